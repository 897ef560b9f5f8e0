// Command uftp sends files to any number of receivers at once.
//
// It has the options of the stock sender, with the same letters, ranges and exit codes, a long name
// for each, and a few options of its own; see uftp --help.
//
// # Exit codes
//
//	 0  the session is complete; a receiver took a file and confirmed the session
//	 1  an option, a list; a restart file or the status file, read or written
//	 2  addresses, interface or socket
//	 3  key file, or keys that do not fit the other options
//	 4  the log file, the key log, the capture, JSON or standard error
//	 6  interrupted by SIGINT, SIGTERM, SIGQUIT or SIGHUP
//	 7  no receiver registered
//	 8  no receiver answered the announcement of a file
//	 9  no receiver finished a file
//	10  the session is complete, but no receiver accepted a file and confirmed the session
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
// Proxies and congestion control are recognised and refused. On a terminal the live display
// replaces log lines of level 2; -T, -L, -x 3 or --no-progress restore them.
package main
