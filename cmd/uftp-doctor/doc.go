// Command uftp-doctor checks this machine for anything that would slow down or stop a transfer with
// uftp and uftpd, and says how to fix it.
//
//	uftp-doctor -I eth0 -R 5000000 -b 8800 -Y aes256-gcm -D /srv/in
//
// Options that uftp and uftpd have too mean the same here, so parts of a command line can be
// copied.
//
// Among the checks are those for lost packets: carrier, multicast flag, route, membership, the
// rules of nft, the reverse-path filter, and the program that uses the port. --role says what the
// machine does, since a receiver needs less than a sender, and --peer names the other side.
//
// # Output
//
// One line for each check on standard output: ok or warn, the name of the check, the finding. A
// warning is followed by a line with "fix:" and a command.
//
// # Exit codes
//
//	0  no warnings
//	1  an option
//	2  an address or an interface
//	4  standard output cannot be written
//	7  there are warnings
//
// # What it does to the machine
//
// It opens sockets, joins the group for a moment, sends a few datagrams to itself over loopback,
// and writes a file into the destination and removes it. It opens the port of receivers for a
// moment, if it is free, and runs nft to list the rules. It changes no setting and sends nothing to
// the network but the report of a membership.
//
// # Limits
//
// Only root may list rules and see which program uses a port; for other users the check says that
// it was skipped. Rules are understood as far as they are about addresses, ports, interfaces and
// states. Where limits or extensions decide, the firewall "may" drop, which is no warning. Rules of
// the old iptables and of other systems are not read.
//
// It sees one machine only; whether switches forward multicast shows in a transfer. The speed of
// the interface is known on Linux only. The disk is measured with one short file; over hours it may
// be slower. Large sends are tried over loopback; a driver may behave differently.
package main
