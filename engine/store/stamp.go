package store

import "time"

// FILEINFO has 32 bits for the time of a file, seconds since 1970; 0 means none (docs/protocol.md,
// "Time stamps"). Stock programs read them as signed, from 1901 to 2038. Here a stamp means the
// time nearest to the reader's clock, so times before 1970 still arrive, and times after 2038 do
// too. That covers 68 years on both sides of the clock; times outside are sent as the nearest one
// inside.

const (
	stampReach = 1 << 31 // s, from the reader's clock to either side
	stampSlack = 1 << 24 // s, about 194 days by which the two clocks may differ
	stampStep  = 1 << 22 // s, about 49 days during which the limits of the reach stay the same
)

// clockSeconds returns the Unix seconds of now. The zero time reads stamps as unsigned.
func clockSeconds(now time.Time) int64 {
	if now.IsZero() {
		return stampReach
	}
	return now.Unix()
}

// unixOf returns the Unix seconds of a stamp, read at the time now.
func unixOf(stamp uint32, now time.Time) int64 {
	clock := clockSeconds(now)
	return clock + int64(int32(stamp-uint32(clock)))
}

// stampOf returns the stamp of time t, to be read at about the time now.
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
