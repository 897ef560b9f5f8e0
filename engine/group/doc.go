// Package group is the state that a host keeps of the group it leads: the members ([Roster]), the
// group's round-trip time ([GRTT]), and the timers ([Timers]). The sender uses it; a proxy will,
// too.
//
// Nothing here knows or sends messages or reads a clock.
package group
