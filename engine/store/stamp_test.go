package store

import (
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"uftp/wire"
)

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

// TestStamps: the meaning of a stamp for senders and receivers with different clocks, and for stock
// receivers, which read it as signed.
func TestStamps(t *testing.T) {
	for _, x := range []struct {
		now, file    string
		ours, stocks string // as it arrives; "" = as it was
	}{
		{"2026-11-27", "2026-11-26", "", ""},
		{"2026-11-27", "1969-12-31", "", ""},
		{"2026-11-27", "1960-01-01", "", ""},
		{"2026-11-27", "2038-01-18", "", ""},
		{"2026-11-27", "2040-02-03", "", "1903-12-28"},
		{"2026-11-27", "2090-01-01", "", "1953-11-25"},
		{"2050-01-01", "2106-03-01", "", "1970-01-22"},
		{"2050-01-01", "1990-01-01", "", ""},
		{"1970-01-05", "1969-12-31", "", ""}, // a machine without a clock
		{"1970-01-05", "2026-11-26", "", ""},
	} {
		now, file := day(x.now), day(x.file)
		stamp := stampOf(file, now)
		for _, later := range []time.Duration{0, 100 * 24 * time.Hour, -100 * 24 * time.Hour} {
			want := file
			if x.ours != "" {
				want = day(x.ours)
			}
			if got := unixOf(stamp, now.Add(later)); got != want.Unix() {
				t.Errorf("%s in %s: arrives as %v with a clock that differs by %v, want %v", x.file, x.now, time.Unix(got, 0).UTC(), later, want)
			}
		}
		want := file
		if x.stocks != "" {
			want = day(x.stocks)
		}
		if got := time.Unix(int64(int32(stamp)), 0).UTC(); got.Truncate(24*time.Hour) != want {
			t.Errorf("%s in %s: a stock receiver takes it for %v, want %v", x.file, x.now, got, want)
		}
	}
	now := day("2026-11-27")
	for _, x := range []struct {
		why    string
		s      int64
		before bool // now
	}{
		{"1800", day("1800-01-01").Unix(), true}, {"1901", day("1901-01-01").Unix(), true}, {"far", math.MinInt64 / 4, true},
		{"2106", day("2106-03-01").Unix(), false}, {"2300", day("2300-01-01").Unix(), false}, {"far", math.MaxInt64 / 4, false},
	} {
		got := unixOf(stampOf(time.Unix(x.s, 0), now), now)
		if (got < now.Unix()) != x.before || (got-now.Unix())/(40*365*86400) == 0 {
			t.Errorf("%s: arrives as %v, want it on the same side, far away", x.why, time.Unix(got, 0))
		}
	}
	for _, s := range []int64{0, 1 << 32} {
		for _, now := range []time.Time{{}, now, day("2080-01-01")} {
			if got := stampOf(time.Unix(s, 0), now); got == 0 {
				t.Errorf("%d is sent as 0, which means that none is given", s)
			}
		}
	}
}

// TestStampsArrive sends a file of each time through a walk and a sink, and then a newer
// one with sync, which must not be skipped, and the same again, which must.
func TestStampsArrive(t *testing.T) {
	now := day("2026-11-27")
	for _, s := range []string{"1960-01-01", "1969-12-31", "1970-01-02", "2026-11-26", "2038-02-01", "2090-01-01", "1850-01-01", "2250-01-01"} {
		for _, temp := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, temp %v", s, temp), func(t *testing.T) {
				h := newHall(t, func(c *SinkConfig) {
					if temp {
						withTemp(c)
					}
				})
				h.started = now
				send := func(stamp int64, text string, sync, resume bool, instance uint8) (Answer, *File) {
					h.write("outside/f", text, stamp)
					e, _, _ := NewWalker(WalkConfig{Operands: []string{h.at("outside/f")}, Now: now}).Next()
					req := h.file("f", text)
					req.MTime, req.Sync, req.Resume = e.MTime, sync, resume
					return h.s.Open(req)
				}
				deliver := func(f *File, text string) {
					t.Helper()
					if f == nil {
						t.Fatal("want the file to be received")
					}
					f.WriteAt([][]byte{[]byte(text)}, 0)
					if _, err := f.Finish(); err != nil {
						t.Fatal(err)
					}
				}
				first := day(s).Unix()
				h.begin(0)
				_, f := send(first, "v1", false, false, 0)
				deliver(f, "v1")
				if temp {
					h.end(false)
					h.begin(1)
					if a, f := send(first, "v1", false, true, 1); f != nil || a.Status != wire.StatusNormal {
						t.Errorf("%+v, want a later instance to take it as it is", a)
					}
				}
				h.end(true)
				fi, err := os.Stat(h.at("dest/f"))
				if err != nil {
					t.Fatal(err)
				}
				if year := day(s).Year(); year > 1959 && year < 2091 && fi.ModTime().Unix() != first {
					t.Errorf("it arrives with %v", fi.ModTime().UTC())
				}
				if temp {
					return // sync compares with the files in the temporary directory
				}
				h.begin(0)
				if a, _ := send(first, "v1", true, false, 0); a.Status != wire.StatusSkipped {
					t.Errorf("%+v, want what is in sync to be skipped", a)
				}
				if day(s).Year() < 2027 {
					_, f := send(now.Unix()-5, "version 2", true, false, 0)
					deliver(f, "version 2")
				}
				h.end(true)
			})
		}
	}
}

// TestSyncIsNotSkippedForEver: a file of today is newer than any existing one that is not of today
// too.
func TestSyncIsNotSkippedForEver(t *testing.T) {
	now := day("2026-11-27")
	for _, x := range []struct {
		why   string
		stamp int64 // on disk
		mtime uint32
		size  int
		want  wire.CompleteStatus
	}{
		{"of 1969, read without its sign", 4294880896, uint32(now.Unix()), 9, wire.StatusOverwrite},
		{"of 1903, from a stock receiver", day("1903-12-29").Unix(), uint32(day("2041-01-01").Unix()), 9, wire.StatusOverwrite},
		{"no stamp given, another size", now.Unix(), 0, 9, wire.StatusOverwrite},
		{"no stamp given, the same size", now.Unix(), 0, 2, wire.StatusSkipped},
		{"newer", now.Unix(), uint32(now.Unix() - 1), 9, wire.StatusSkipped},
	} {
		h := newHall(t, nil)
		h.started = now
		h.begin(0)
		h.write("dest/f", "v1", x.stamp)
		req := h.request(wire.TypeFile, "f", int64(x.size))
		req.MTime, req.Sync, req.Preview = x.mtime, true, true
		if a, _ := h.s.Open(req); a.Status != x.want {
			t.Errorf("%s: %+v, want status %d", x.why, a, x.want)
		}
		h.end(true)
	}
}
