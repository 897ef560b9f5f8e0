// Command uftp sends files to any number of receivers at once.
//
// It takes the options of the stock sender with the same letters, ranges and
// exit codes, and adds a long name for each and a few of its own; see uftp --help.
//
// # Exit codes
//
//	 0  the session reached its end; a receiver took a file and confirmed the session
//	 1  an option, a list; a restart file or the status file, read or written
//	 2  addresses, interface or socket
//	 3  key file, or keys that do not fit what is asked for
//	 4  the log file, the key log, the capture, --json or standard error
//	 6  interrupted by SIGINT, SIGTERM, SIGQUIT or SIGHUP, in whatever phase
//	 7  nobody registered
//	 8  nobody answered the announcement of a file
//	 9  nobody finished a file
//	10  the session reached its end but no file was accepted and confirmed
//
// # Flow
//
//	options ──► log, status file ──► keys ──► addresses ──► engine.Send ──► table, restart file
//	                                                           │ events
//	                                                           ▼
//	                                            report: log, status, JSON, live display
//
// # Limits
//
// Proxies and congestion control are recognised and refused. On a terminal the live display takes the place of log lines of level 2; -T, -L, -x 3
// or --no-progress bring those back.
package main
