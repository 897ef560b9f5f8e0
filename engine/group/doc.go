// Package group holds what every host that leads a group of others needs to know
// of it: who is in it ([Roster]), how far away they are ([GRTT]) and what is to
// happen when ([Timers]). The sender uses it, and so does a proxy.
//
// Nothing here knows a message, sends one or reads a clock.
package group
