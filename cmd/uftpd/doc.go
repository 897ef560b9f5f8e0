// Command uftpd receives what uftp sends.
//
// It takes the options of the stock daemon with the same letters, ranges and exit
// codes, and adds a long name for each and a few of its own; see uftpd --help.
//
// # Exit codes
//
//	0  started in the background
//	1  an option, a list, a directory, the status or the pid file
//	2  addresses, interfaces, socket, joining a group
//	3  keys
//	4  the log file, the key log, the capture, --json or standard error
//	5  the background process could not be started
//	6  ended by SIGINT, SIGTERM or SIGQUIT
//
// # Background
//
// A Go program cannot fork, so the daemon is a second process: the same program
// with the same arguments, in a session of its own. The first only looks whether -d
// is there. The second reads lists and keys (which may come from a pipe), changes to
// /, opens log and status file, joins the groups, writes the pid file, and then sends
// one byte through a pipe. Until that byte the first process waits; if it never
// comes, the first process ends with the exit code of the second. So, other than
// with the stock daemon, a log file that cannot be opened does not go unnoticed.
//
// SIGHUP makes the daemon open its log file, its status file, its key log and, if it
// was moved away, its capture anew, with -d as well. A second SIGINT, SIGTERM or
// SIGQUIT ends it at once. At its end it removes the pid file if its own number is
// there.
//
// # Files
//
// Package uftp/cmd/outfile opens the files that are written, which may lie in
// a directory that others write: the default log is in /tmp. An output that cannot be
// written is logged once, and again when it can be; the log itself then says how many
// lines it lacks. A loss changes the exit code. Receiving goes on.
//
// # Keys
//
// Receivers need a key of their own only when a sender asks for one (uftp -c, -w
// keyex). Without -k and -K one is made then: prime256v1, which senders of all kinds
// take, or RSA of 2048 bits where packets are signed with RSA keys. It is lost when
// the daemon ends, so it is no good for a host list with fingerprints. Stock makes a
// 512-bit RSA key at every start and refuses senders with a key of another size.
//
// # Scripts
//
// The post-receive script is started in the background, with /dev/null as its
// input and outputs and in a process group of its own; at most [scriptsMax] run at a
// time, the others wait, which is logged. One that takes longer than --script-timeout
// is ended with its group. How each ends is an event, and a warning when it fails. At
// the end of the daemon calls that wait get [scriptsEnd] to begin; scripts that still
// run go on.
//
// # Umask
//
// Received files, directories and what scripts make obey the umask that uftpd was
// started with, or --umask. The stock daemon sets its umask to 0 in the background, and
// so that of its scripts.
//
// # Limits
//
// Proxies are recognised and refused. Running in the background,
// -N and --umask need a Unix system; elsewhere they are refused. -t changes
// nothing: a file appears under its name only when it is whole in any case.
package main
