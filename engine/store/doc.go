// Package store is the only package that touches files. It reads the files that a sender sends
// and keeps those that a receiver receives.
//
// It starts no goroutine, reads no clock and knows no packets. Opening, syncing and moving block;
// the engine calls them where that does no harm. Reading and writing blocks allocates nothing.
//
// # Receiving
//
// A [Sink] has the directories of a receiver, a [Session] the files of one session, a [File] is
// one file while it is received. The rules (docs/files.md shows what follows from them):
//
//   - A file is received under a temporary name, final.~uftp-GGGGGGGG-IIII (group, file ID). It
//     gets its final name when it is complete. An older object of that name stays until then, and
//     stays if anything fails. So no name from the network looks like a temporary one.
//   - No name from the network leads out of the destination, into a temporary or backup directory,
//     or to a directory of the configuration itself. No link is followed. See path.go for names,
//     path_dir.go for walking, path_guard.go for the directories of the configuration.
//   - Only a deletion, or a move out of the temporary directory, removes a directory that is not
//     empty. A backup never replaces an older backup; see backup.go.
//   - An announcement takes no space; see reserve.go. A preview changes nothing on disk.
//   - With Durable, COMPLETE means that data and names survive a crash of the machine.
//
// With a temporary directory T a session collects its files in T/_group_GGGGGGGG:
//
//	claim.go       who owns T/_group_GGGGGGGG...; its lock; its owner file
//	trust.go       what in T may be another user's, and is left alone
//	state.go       T/_group_GGGGGGGG_restart: the partial file, for the next instance
//	move.go        the move to the destination when the session ends well
//	move_late.go   T/_group_GGGGGGGG_done: a move that was interrupted or failed, and retries
//	expire.go      removing what no sender came back for
//
// Without one, leftover.go removes the temporary files of killed receivers.
//
// # Sending and captures
//
// A [Walker] turns the operands of a sender into entries with their names on the wire, one at a
// time. A [Source] is one open file whose blocks are read; its size is that of the walk. A
// [Capture] is a ring of files that a program writes about itself. These share with the sink how to
// lock a file, to move vectors of bytes, to encode times and to phrase errors.
//
// # Limits
//
//   - A session remembers one partial file, the last one.
//   - For a moment a name does not exist while it is replaced, if the old object goes to a backup
//     directory and cannot be hard-linked there, if the old or new object is a directory and the
//     system cannot exchange two entries (only Linux can), or if the new object comes from T.
//   - Several machines may share a directory only if file locks hold between them. If not (NFS with
//     nolock or local_lock, some FUSE file systems), one machine may take another's temporary file
//     for a leftover and remove it; the file is then rejected there.
//   - Windows has no modes, no locks on files being received, and no calls that name open
//     directories: leftovers stay, and T and the destination must be writable for this user alone.
//     The same holds for file systems without owners or modes; [Sink.Warnings] names them.
//   - Files cannot be moved from T to another disk that is mounted below the destination, nor backed
//     up from it: they stay in T, or are refused.
//   - Without Durable, a crash of the machine may leave a file that ends in zeros.
//   - A Walker holds the names of each directory on its way, 16 bytes and the name for each entry. A
//     move out of T holds those of one directory at a time.
//   - A Source does not notice a change that keeps size and time.
package store
