// Command uftp-doctor looks at this machine as uftp and uftpd will find it and
// says what would slow a transfer down or stop it, and what helps.
//
//	uftp-doctor -I eth0 -R 5000000 -b 8800 -Y aes256-gcm -D /srv/in
//
// Options that uftp and uftpd have too mean the same here, so a command line can
// be taken over as far as it goes.
//
// It also looks at what would keep packets away: carrier, multicast flag, route, membership,
// the rules of nft, the reverse-path filter, and who has the port. --role says what the
// machine is for, since a receiver needs less than a sender, and --peer names the other side.
//
// # Output
//
// One line for each check on standard output: ok or warn, what was looked at, what
// was found. Below a warning stands a command that helps, after "fix:".
//
// # Exit codes
//
//	0  nothing to warn of
//	1  an option
//	2  an address or an interface
//	4  standard output cannot be written
//	7  there are warnings
//
// # What it does to the machine
//
// It opens sockets, joins the groups for a moment, sends itself a few datagrams over
// loopback and writes a file into the destination, which it removes. Nothing
// leaves the machine but the report of a membership, and no setting is changed. It opens the
// port of receivers for a moment, if nobody has it, and runs nft to list the rules.
//
// # Limits
//
// Only root may list rules, and see who has a port; others are told that it was not looked
// at. Rules are judged as far as they say something about addresses, ports, interfaces and
// states; where limits or extensions decide, the firewall "may" drop, which is no warning.
// Rules of the old iptables and of other systems are not read.
//
// It sees one machine: whether switches carry multicast only a transfer can tell.
// The speed of the interface is known on Linux alone. The disk is measured by
// one file of a moment's length; what it can keep up for hours may be less. Large
// sends are tried over loopback; what a driver makes of them may differ.
package main
