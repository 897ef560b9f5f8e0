// Command uftpd receives what uftp sends.
//
// It has the options of the stock daemon, with the same letters, ranges and exit codes, a long name
// for each, and a few options of its own; see uftpd --help.
//
// # Exit codes
//
//	0  started in the background
//	1  an option, a list, a directory, the status or the pid file
//	2  addresses, interfaces, socket, joining a group
//	3  keys
//	4  the log file, the key log, the capture, JSON or standard error
//	5  the background process could not be started
//	6  ended by SIGINT, SIGTERM or SIGQUIT
//
// # Background
//
// A Go program cannot fork, so the daemon is a second process: the same program with the same
// arguments, in a session of its own. The first process only looks for -d. The second reads lists
// and keys (which may come from a pipe), changes to /, opens log and status file, joins the groups,
// writes the pid file, and then sends one byte through a pipe. The first process waits for that
// byte; if it never comes, the first process ends with the exit code of the second. So an error at
// the start, such as a log file that cannot be opened, reaches the user.
//
// At SIGHUP the daemon opens its log file, status file and key log again, and its capture if that
// was moved; with -d too. A second SIGINT, SIGTERM or SIGQUIT ends it at once. At its end it
// removes the pid file if that still has its own number.
//
// # Files
//
// Package uftp/cmd/outfile opens all output files, because they may be in a directory that other
// users can write to: the default log is in /tmp. If an output cannot be written, uftpd logs that
// once, and again when writing works; the log itself then says how many lines are missing. A loss
// changes the exit code, but does not stop the receiver.
//
// # Keys
//
// A receiver needs a key of its own only when a sender asks for one (uftp -c, -w keyex). Without -k
// and -K uftpd creates it then: prime256v1, which all senders accept, or RSA of 2048 bits where
// packets are signed with RSA keys. That key is lost when the daemon ends, so its fingerprint is
// useless in a host list.
//
// # Scripts
//
// The post-receive script runs in the background, in a process group of its own, with /dev/null as
// its input and outputs. At most [scriptsMax] run at a time; uftpd logs that others wait. A script
// that takes longer than --script-timeout is ended with its group. The end of each script is an
// event, and a warning if it failed. When the daemon ends, waiting calls have [scriptsEnd] to
// start; running scripts continue.
//
// # Umask
//
// Received files and directories, and whatever scripts create, obey the umask that uftpd was
// started with, or --umask.
//
// # Limits
//
// Proxies are recognised and refused. Running in the background, -N and --umask need a Unix system;
// elsewhere they are refused. -t changes nothing: with or without it a file gets its name when it
// is complete.
package main
