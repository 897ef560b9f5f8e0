package store

import "time"

// FILEINFO has 32 bits for the time stamp of a file, seconds since 1970; 0 means that
// none is given. Stock programs count with a sign, from 1901 to 2038. Here a stamp means
// the time that is nearest to the clock of whoever reads it, so times before 1970 arrive
// as they do there, and those after 2038 arrive as well. A clock reaches 68 years both
// ways; older and newer times are sent as the oldest and the newest that can be.

const (
	stampReach = 1 << 31 // s, from the clock of the reader to either side
	stampSlack = 1 << 24 // s, about 194 days that the clocks of both may differ
	stampStep  = 1 << 22 // s, about 49 days in which the ends of the reach stay where they are
)

// clockSeconds returns the Unix seconds of now. Without a clock, stamps are from 1970 on.
func clockSeconds(now time.Time) int64 {
	if now.IsZero() {
		return stampReach
	}
	return now.Unix()
}

// unixOf returns the Unix seconds that a stamp means for a reader whose clock says now.
func unixOf(stamp uint32, now time.Time) int64 {
	clock := clockSeconds(now)
	return clock + int64(int32(stamp-uint32(clock)))
}

// stampOf returns the stamp of a file, to be read about now.
func stampOf(t, now time.Time) uint32 {
	s := t.Unix()
	if !now.IsZero() {
		clock := now.Unix() / stampStep * stampStep
		s = min(max(s, clock-stampReach+stampSlack), clock+stampReach-stampSlack)
	} else {
		s = min(max(s, -stampReach), 2*stampReach-1)
	}
	if uint32(s) == 0 {
		s++ // 0 would mean that none is given
	}
	return uint32(s)
}
