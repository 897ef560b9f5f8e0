// Package store is the only package that touches files: it reads what a sender
// sends and keeps what a receiver receives.
//
// It starts no goroutine, reads no clock and knows no packets. Slow calls
// (opening, syncing, moving) block; the host calls them where blocking is no
// harm. Reading and writing blocks allocates nothing.
//
// # Sending
//
// A [Walker] turns the operands of the user into entries with their names on the
// wire, one at a time, so that a tree of any size costs no memory and an entry is
// looked at just before it is sent. It differs from the stock sender where that
// one does harm: entries of a directory come sorted by name, bases (-E) match
// whole components and leave no leading slash, an operand that is too long is
// skipped instead of cut, a delete that would empty the destination is refused,
// a link whose text does not fit is skipped, and links that lead back into
// their own directory are not followed again.
//
// A [Source] reads the blocks of one file. The size is that of the walk: a file
// that grows is delivered at its old length, one that shrinks fails, and Close
// tells of every change in between. A change at equal size and equal time stamp
// goes unnoticed, and what is read before a change is noticed has been sent.
//
// [SendRestart] is the restart file of the stock sender, byte for byte;
// [ReadList] and [ReadHostList] read what the options -i, -X, -H and -j name.
package store
