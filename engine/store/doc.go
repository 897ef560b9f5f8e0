// Package store is the only package that touches files: it reads what a sender
// sends and keeps what a receiver receives.
//
// It starts no goroutine, reads no clock and knows no packets. Slow calls
// (opening, syncing, moving) block; the host calls them where blocking is no
// harm. Reading and writing blocks allocates nothing.
//
// # Receiving
//
// A [Sink] has the directories, a [Session] the files of one session, a [File]
// is one of them while it is received. What must hold:
//
//   - A file has its final name only when it is whole. It is received under
//     final.~uftp-GGGGGGGG-IIII (group, file ID), in the deepest directory of its
//     path that exists; parents are made, and what is in the way is replaced, when
//     it is whole and not before. What is in the way stays until then, and for
//     good if anything fails.
//   - No name from the network is one that a file is received under, of whatever session.
//   - No name from the network leads out of the destination. Names with ".." are
//     refused, absolute ones must lie in a destination. On the way no link is
//     followed, neither out nor to a place inside: a link as a parent rejects the
//     file, a link under the final name is replaced. os.Root walks, and each step
//     is compared with what was there before it, so a directory that is swapped
//     for a link meanwhile does not help. The destination itself may be a link.
//   - A link is made only if its text cannot lead out: relative, ".." at its start
//     only, and not above the destination. x/../y is refused even where it stays
//     inside, because x may be a link. AllowOutsideLinks lifts this.
//   - If directories of the configuration lie in one another, no name deletes,
//     replaces or moves one away, and none leads into the temporary directory or a
//     backup directory, where things of other sessions are. They are known by
//     identity, not by name, so that links, mounts and the case of letters make no
//     way round. A destination in a destination is open to both kinds of names.
//   - Nothing but a deletion, or a directory that is moved from a temporary directory
//     without Merge, removes a directory that holds something; docs/files.md says what
//     becomes of what is in the way.
//   - An announcement takes no space: it is compared with what is free, and space is
//     reserved as data come, see reserve.go. What was reserved goes back when a file is
//     given up.
//   - A preview changes nothing on disk.
//   - A backup never destroys an older backup: B/YYYYMMDD/HHMMSS/path, and path.1
//     to path.99 when a session replaces one name again.
//
// With a temporary directory T files are collected in T/_group_GGGGGGGG and moved
// when the session ends well. What is there belongs to one sender, its [Owner], and to
// one session at a time; see claim.go. An encrypted session has a directory whose name
// is made from its sender's key, T/_group_GGGGGGGG.HHHH..., so nothing in clear and
// nothing of another key ever touches it. One in clear has T/_group_GGGGGGGG, and
// T/_group_GGGGGGGG_owner tells whose it is; if it is another's, or in use, it gets one
// made from its UID and address in the same way. Who owns a directory has its lock as
// long as the session lasts. What a stock daemon left has no owner: only a restart in
// clear goes on with it.
//
// What is moved out of T is moved with the rights of this process. So all that is found
// in T must belong to the user that this process is, nobody else may be able to write to
// it, a file must have one name only and not set a user, and a link must not lead out
// (without AllowOutsideLinks). It is looked at when it is open, and again before it is
// moved. What fails is left alone, with a step that says so; a session gets another
// directory then. Directories of sessions are for us alone (0700). A receiver that
// starts warns of directories that everybody may write to.
//
// What a later instance of the session may use:
//
//   - A file under its final name there is finished: it was synced before it got
//     the name. It is taken as it is if its size and time stamp are what the
//     sender says. If the sender gives no stamp, size is enough, but only if a
//     record tells that an instance ended in order.
//   - A partial file is under its temporary name, and T/_group_GGGGGGGG_restart
//     tells what is missing of it; see state_record.go. The record is written by
//     Checkpoint, after the data were synced, so it holds after kill -9 and after
//     a crash of the machine. Without a record a temporary file is worth nothing:
//     it is replaced or, at the end, removed.
//   - Data that no record names, because nothing was received or the disk is too
//     full for a record, are removed when the session gives the file up.
//   - What is never resumed stays, unless Expire is asked to remove it.
//   - What is called T/_group_GGGGGGGG_done is of a session that got all its files, and is
//     being moved or will be in a moment. If a start finds it, FinishMoves does the rest.
//     With a number behind it, it could not be moved for a reason that may pass, such as a
//     full disk or a missing one, and is tried again by RetryMoves; what a later session
//     brought under the same name waits behind it.
//   - Abandon, the orderly end, also gives the partial file its final name and
//     writes the record so that a stock daemon can go on from it; until then a
//     stock daemon takes our record for one of no file. The stamp of such a file
//     is 1 s after the epoch, so that it is not taken for finished if the record
//     gets lost. Whoever reads a record, ours or a stock daemon's, first moves the
//     data back to a temporary name.
//   - Name, size, blocks, sections, time stamp and block size must agree, or the
//     file is received anew. A stock record has no stamp and no block size; the
//     stamp is taken from the data.
//
// A file has COMPLETE only when neither its bytes nor its name can get lost: with
// Durable, and always with T, both were synced, and the names of the directories that
// were made for it. So are links, empty directories, deletions and backups, the name
// T/_group_GGGGGGGG_done before the session is confirmed, and what was moved before its
// name in T goes.
//
// Outside T a receiver that is killed leaves its temporary files. They are removed by
// the next that is started for the same destination (Clean: its nearest 50,000
// entries) and by the first file that a receiver takes into the same directory; see
// leftover.go for how those of others that live are told from them, and for how
// several receive the same file of the same session into one directory.
//
// A directory of the configuration that is gone is made again, if its parent is still
// there and on the same file system; else what arrives is rejected.
//
// Honest limits: one partial file a session is remembered, the last one. Temporary
// files of a killed process stay if they lie deeper than a start looks and nothing
// comes to their directory any more, where the system knows neither modes nor locks
// of files (Windows, some network file systems), or if they are links, or directories
// that were being replaced. Receivers on several machines may share a directory only
// if locks hold between the machines: with NFS mounted nolock or local_lock, or a FUSE
// file system that locks for each machine alone, one takes the file that another
// receives for a leftover and removes it, which ends as a rejected file there. Where
// nothing can be locked at all, that befalls two that receive the same file of the
// same session. Between two steps nothing has the name of what is replaced if it goes to
// a backup directory, unless it is a file that can be linked there and is replaced by no
// directory; if a directory is part of it and two entries cannot change places (only
// Linux lets them); and if it is moved from T.
// Where another disk is mounted below a destination, files cannot be backed up
// from it nor moved to it from T; they are refused, or stay in T. Unless Durable
// is set, a crash of the machine (not of the process) may leave a file whose last
// seconds are zeros. The move out of T lists directories whole, about 100 bytes an
// entry and the name. On Windows the moves between directories go by name, not by
// handle, and a stranger with write access to the destination can misguide them; nor is
// it looked at there whose things in T are, and nothing is locked: T must be for this
// user alone. The same holds where a file system keeps no owners or modes; a start warns.
//
// # Sending
//
// A [Walker] turns the operands of the user into entries with their names on the
// wire, one at a time. It differs from the stock sender where that one does harm:
// entries of a directory come sorted by name, bases (-E) match whole components
// and leave no leading slash, an operand that is too long is skipped instead of
// cut, a delete that would empty the destination is refused, a link whose text
// does not fit is skipped, and links that lead back into their own directory are
// not followed again.
//
// The order costs memory: the names in every directory on the way to where the
// walk is, 16 bytes and the name for each entry, so 8 MB and about 0.1 s for a
// directory of 200,000. What else the tree holds costs nothing.
//
// An entry tells what the walk found when it got there. The engine walks and opens
// up to two files ahead of the one being sent; [Source.Check] tells what became of
// a file since, without reading it.
//
// A [Source] is one open file, the blocks of which are read. The size is that of
// the walk: a file that grows is delivered at its old length, one that shrinks
// fails, and Check and Close tell of every change in between. A change at equal
// size and equal time stamp goes unnoticed, and what is read before a change is
// noticed has been sent.
//
// # Captures
//
// A [Capture] is a ring of files that a program writes about itself. It knows no
// format but the head that each file begins with. A new file is made whole under
// another name and then moved to its own, so whatever has a name of the ring is
// good, also after kill -9; what a write left in part is cut off. Nothing is synced:
// a crash of the machine may cost the last seconds. A second program that writes the
// same ring is refused where locks hold; elsewhere (Windows, the file systems named
// above) the two lose packets.
//
// [SendRestart] is the restart file of the stock sender, byte for byte;
// [ReadList] and [ReadHostList] read what the options -i, -X, -H and -j name.
package store
