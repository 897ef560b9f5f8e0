// Package group holds what a host that leads a group of others knows about it: the members
// ([Roster]), the group's round-trip time ([GRTT]), and what happens when ([Timers]). The
// sender uses it; a proxy will, too.
//
// Nothing here knows a message, sends one or reads a clock.
package group
