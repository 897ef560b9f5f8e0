// Package lists reads and writes the lists that command lines name: paths (-i, -X), hosts (-H, -j,
// uftpd -S), and the restart file of a sender (-f, -F).
//
// [ReadList] and [ReadHostList] read lists of a user, one entry a line. [SendRestart] is the
// restart file in the layout of the stock sender, byte for byte, so that either program resumes the
// other's session. All have limits on the number and length of entries; the texts of the ErrRestart
// errors are those of the stock sender.
package lists
