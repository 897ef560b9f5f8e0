package sender

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"uftp/engine/machine"
	"uftp/wire"
)

// The ways to say how long registration lasts.
var registrations = []struct {
	name string
	set  func(*Config)
	wait time.Duration // that it lasts at least
}{
	{"default", nothing, 0},
	{"count", func(c *Config) { c.RegisterCount = 3 }, 0},
	{"quiet", func(c *Config) { c.RegisterQuiet = 90 * time.Second }, 90 * time.Second},
	{"wait", func(c *Config) { c.RegisterWait = 2 * time.Minute }, 2 * time.Minute},
	{"count_wait", func(c *Config) { c.RegisterCount, c.RegisterWait = 3, 2*time.Minute }, 2 * time.Minute},
	{"count_quiet_wait", func(c *Config) {
		c.RegisterCount, c.RegisterQuiet, c.RegisterWait = 3, time.Hour, 2*time.Minute
	}, 2 * time.Minute},
	{"listed", hosts(1, 2), 0},
	{"listed_count", with(hosts(1, 2, 3, 4), func(c *Config) { c.RegisterCount = 3 }), 0},
	{"listed_quiet", with(hosts(1, 2, 3, 4), func(c *Config) { c.RegisterQuiet = 90 * time.Second }), 90 * time.Second},
	{"listed_wait", with(hosts(1, 2), func(c *Config) { c.RegisterWait = 2 * time.Minute }), 2 * time.Minute},
}

// wantNoSilence wants that clients never heard nothing for half of the patience that the headers
// gave them.
func (r *rig) wantNoSilence(why string, since time.Duration) {
	r.t.Helper()
	last, patience := since, time.Hour
	for i, line := range r.wire {
		at, what, _ := strings.Cut(line, " ")
		ms, err := strconv.ParseFloat(at, 64)
		r.check(err)
		when := time.Duration(ms * 1e6)
		if when-last > patience/2 {
			r.t.Fatalf("%s: %v of silence before %s at %v; a receiver gives up after %v", why, when-last, what, when, patience)
		}
		g := time.Duration(wire.DecodeGRTT(r.headers[i].GRTT) * 1e9)
		last, patience = when, max(time.Second, time.Duration(r.cfg.Robust)*g)
	}
	if end := r.now.Sub(r.start); end-last > patience/2 {
		r.t.Fatalf("%s: %v of silence at the end", why, end-last)
	}
}

// Clients that are in must hear something while registration waits for others, whatever the
// GRTT was before a near client has registered.
func TestNobodyWaitsInSilence(t *testing.T) {
	for _, reg := range registrations {
		for _, grtt := range []time.Duration{10 * ms, 500 * ms, 15 * time.Second} {
			for _, robust := range []int{10, 50} {
				for _, secret := range []bool{false, true} {
					why := fmt.Sprintf("%s, GRTT %v, robust %d, encrypted %v", reg.name, grtt, robust, secret)
					set := with(reg.set, func(c *Config) { c.GRTT, c.Robust = grtt, robust })
					if secret {
						set = with(set, encrypted(gcm, false))
					}
					r := newRig(t, set)
					r.advance(ms)
					since := r.now.Sub(r.start)
					r.forget()
					if secret {
						h := r.host(1)
						h.register()
						for n := 0; len(r.sec.keyInfos) == 0; n++ {
							if n > 100_000 {
								t.Fatalf("%s: no KEYINFO", why)
							}
							r.advance(ms)
						}
						h.keyed().ack()
						since = r.now.Sub(r.start)
						r.forget()
					} else {
						r.register(1, ms)
					}
					r.advance(130 * time.Second) // on into the time between the files
					r.wantState(why, 1, Active)
					r.wantPhase(why, BetweenFiles)
					r.wantNoSilence(why, since)
				}
			}
		}
	}
}

// lasted is how long registration has lasted, up to the first file.
func (r *rig) lasted(most time.Duration) time.Duration {
	r.t.Helper()
	for r.s.phase == Announcing {
		if r.now.Sub(r.start) > most {
			r.t.Fatalf("registration goes on after %v", most)
		}
		r.advance(ms)
	}
	return r.now.Sub(r.start)
}

// Asking for more clients than come does not change how long registration lasts, and
// neither does it for those whose keys are agreed on.
func TestRegistrationKeepsItsLength(t *testing.T) {
	for _, grtt := range []time.Duration{100 * ms, 500 * ms, 2 * time.Second} {
		for _, rtt := range []time.Duration{ms, 40 * ms} {
			var want time.Duration
			for _, secret := range []bool{false, true} {
				for _, count := range []int{0, 2, 100} {
					r := newRig(t, func(c *Config) {
						c.GRTT, c.RegisterCount = grtt, count
						if secret {
							encrypted(gcm, false)(c)
						}
					})
					r.advance(rtt)
					if secret {
						h := r.host(1)
						h.registerFrom(addr(1), rtt)
						for len(r.sec.keyInfos) == 0 && r.s.phase == Announcing {
							r.advance(ms)
						}
						h.keyed().ack()
					} else {
						r.register(1, rtt)
					}
					got := r.lasted(time.Minute)
					if want == 0 {
						want = got
					}
					if d := (got - want).Abs(); d > want/20 {
						t.Errorf("GRTT %v, RTT %v, encrypted %v, count %d: registration lasts %v, want %v", grtt, rtt, secret, count, got, want)
					}
				}
			}
		}
	}
}

// RegisterWait and RegisterQuiet are kept to the millisecond, short or long.
func TestRegisterWait(t *testing.T) {
	for _, c := range []struct {
		why  string
		set  func(*Config)
		want time.Duration
		exit bool // nobody has registered
	}{
		{"shorter than a round", func(c *Config) { c.RegisterCount, c.RegisterWait = 3, 300*ms }, 300 * ms, false},
		{"longer than all rounds", func(c *Config) { c.RegisterCount, c.RegisterWait = 3, 100*time.Second }, 100 * time.Second, false},
		{"without a count", func(c *Config) { c.RegisterWait = 10 * time.Second }, 10 * time.Second, false},
		{"a list", with(hosts(1, 2), func(c *Config) { c.RegisterWait = 10 * time.Second }), 10 * time.Second, false},
		{"quiet, of a list", with(hosts(1, 2), func(c *Config) { c.RegisterQuiet = 5 * time.Second }), 5 * time.Second, false},
		{"quiet comes first", func(c *Config) { c.RegisterQuiet, c.RegisterWait = 3*time.Second, time.Minute }, 3 * time.Second, false},
		{"quiet, short", func(c *Config) { c.RegisterQuiet = ms }, ms, false},
		{"quiet, longer than the rounds", func(c *Config) { c.RegisterQuiet = 5 * time.Second }, 5 * time.Second, false},
		{"quiet, ten minutes", func(c *Config) { c.RegisterQuiet = 10 * time.Minute }, 10 * time.Minute, false},
		{"nobody comes", func(c *Config) { c.RegisterCount, c.RegisterWait = 3, 40*time.Second }, 40 * time.Second, true},
	} {
		r := newRig(t, c.set)
		if !c.exit {
			r.register(1, 0)
		}
		r.advance(c.want - ms)
		r.wantPhase(c.why+": not over yet", Announcing)
		r.forget()
		r.advance(11 * ms)
		if c.exit {
			r.wantExit(c.why, ExitNobody)
			continue
		}
		r.wantPhase(c.why+": over", BetweenFiles)
		r.wantState(c.why, 1, Active)
	}
}

// A count may be less than those that are listed.
func TestCountOfList(t *testing.T) {
	r := newRig(t, with(hosts(1, 2, 3), func(c *Config) { c.RegisterCount, c.RegisterWait = 2, time.Hour }))
	r.register(3, 0)
	r.advance(time.Minute)
	r.wantPhase("one is too few", Announcing)
	r.register(1, 0)
	r.advance(20 * ms)
	r.wantPhase("two are enough", BetweenFiles)
	r.wantState("a client that did not come", 2, Mute)
}

// TestLongRegistrationIsBounded: however long the sender waits for hosts, it sends and reports
// little. Rounds are a second apart, and more when the list is long.
func TestLongRegistrationIsBounded(t *testing.T) {
	var many []Host
	for i := range 20_000 {
		many = append(many, Host{UID: hostUID(i), Name: "h"})
	}
	for _, c := range []struct {
		why  string
		set  func(*Config)
		most int // packets a second
	}{
		{"one of two", func(c *Config) { c.RegisterCount = 2 }, 9},
		{"one of 20000", func(c *Config) { c.Hosts, c.GRTT, c.Rate = many, 50*ms, 125_000_000 }, 12},
	} {
		r := newRig(t, with(c.set, func(c *Config) { c.RegisterWait = time.Hour }))
		r.register(hostUID(0), 0)
		r.advance(45 * time.Second) // the first rounds
		r.forget()
		const span = 100 * time.Second
		r.advance(span)
		if n := len(r.wire); n > c.most*int(span/time.Second) {
			t.Errorf("%s: %d packets in %v", c.why, n, span)
		}
	}
}

func hostUID(i int) wire.UID { return wire.UID(i + 1) }

// REGISTERs in any number do not delay the end of registration, nor do hosts that never show
// that they have the keys.
func TestRegistrationEndsUnderFire(t *testing.T) {
	for _, reg := range registrations {
		if reg.wait > 0 {
			continue // the same code, later
		}
		for _, secret := range []bool{false, true} {
			r := newRig(t, func(c *Config) {
				c.GRTT = 100 * ms
				reg.set(c)
				if secret {
					encrypted(gcm, false)(c)
				}
			})
			if secret {
				r.host(2).register() // and says no more
			}
			for n := 0; r.s.phase == Announcing; n++ {
				if n > 20_000 {
					t.Fatalf("%s, encrypted %v: it goes on after %v", reg.name, secret, r.now.Sub(r.start))
				}
				if secret {
					r.host(1).register()
				} else {
					r.register(1, 0)
				}
				r.advance(ms)
			}
		}
	}
}

// Those that never show that they have the keys do not keep a count from being reached
// that others make up, nor a list from being complete.
func TestSilentNewcomersAreNotWaitedFor(t *testing.T) {
	for _, set := range []func(*Config){
		func(c *Config) { c.RegisterCount = 1 },
		hosts(1, 2),
	} {
		r := newRig(t, with(set, encrypted(gcm, false), func(c *Config) { c.RegisterWait = time.Hour }))
		r.host(2).register()
		r.advance(ms)
		h := r.host(1)
		h.register()
		r.advance(2 * ms)
		h.keyed().ack()
		if d := r.lasted(time.Minute); d > 20*time.Second {
			t.Errorf("it lasts %v", d)
		}
		r.wantState("a client that has said nothing", 2, Lost)
	}
}

// Of those whose keys are under way when the time is over, each gets as many KEYINFOs
// as Robust says, and not more.
func TestLateKeyInfoRounds(t *testing.T) {
	for _, set := range []func(*Config){nothing, func(c *Config) { c.RegisterCount = 5 }} {
		r := newRig(t, with(set, encrypted(gcm, false), func(c *Config) { c.GRTT = 20 * ms }))
		late := time.Duration(r.cfg.Robust)*60*ms - ms
		r.advance(late)
		r.wantPhase("the last moment", Announcing)
		r.forget()
		r.host(1).register()
		r.advance(time.Minute)
		n := 0
		for _, line := range r.wire {
			if strings.HasSuffix(line, "KEYINFO [1]") {
				n++
			}
		}
		if n != r.cfg.Robust {
			t.Errorf("%d KEYINFOs to the client that came last, want %d: %q", n, r.cfg.Robust, r.wire)
		}
		r.wantState("it has not answered", 1, Lost)
	}
}

func (r *rig) begin() {
	r.t.Helper()
	r.s.Begin(r.now)
	r.drain()
}

// Those that go on coming do not hold it up for ever: Robust rounds of KEYINFO follow the
// end of the time, one after Begin.
func TestLateKeyInfoRoundsEnd(t *testing.T) {
	for _, begin := range []bool{false, true} {
		r := newRig(t, with(encrypted(gcm, false), func(c *Config) { c.GRTT = 20 * ms }))
		r.advance(time.Duration(r.cfg.Robust)*60*ms - ms)
		r.host(1).register()
		want := r.cfg.Robust
		if begin {
			r.begin()
			want = 1
		} else {
			r.advance(ms)
		}
		r.wantPhase("keys are under way", Announcing)
		r.forget()
		for u := wire.UID(2); r.s.phase == Announcing; u++ {
			if u > 200 {
				t.Fatal("it does not end")
			}
			r.host(u).register()
			r.advance(15 * ms)
		}
		rounds := 0
		for _, e := range r.events {
			if e, ok := e.(Sent); ok && e.Func == wire.FuncKeyInfo && e.Part == 1 {
				rounds++
			}
		}
		if rounds+1 != want && !begin || begin && rounds > want {
			t.Errorf("begin %v: %d more rounds of KEYINFO, want %d in all", begin, rounds, want)
		}
	}
}

// Begin ends registration for those that are in, whatever else is waited for.
func TestBegin(t *testing.T) {
	for _, reg := range registrations {
		for _, secret := range []bool{false, true} {
			why := fmt.Sprintf("%s, encrypted %v", reg.name, secret)
			r := newRig(t, func(c *Config) {
				reg.set(c)
				c.GRTT = 10 * time.Second // nothing happens by itself
				if secret {
					encrypted(gcm, false)(c)
				}
			})
			r.advance(10 * ms)
			r.begin()
			r.advance(ms)
			r.wantPhase(why+": nobody is in", Announcing)
			r.wantNotice(why, NobodyToBegin)
			if secret {
				h := r.host(1)
				h.register()
				r.begin() // its keys are under way
				r.advance(2 * ms)
				h.keyed().ack()
			} else {
				r.register(1, ms)
				r.begin()
			}
			r.wantNotice(why, BegunByUser)
			since := r.now
			for r.s.phase == Announcing && r.now.Sub(since) < time.Minute {
				r.advance(ms)
			}
			r.wantPhase(why, BetweenFiles)
			if d := r.now.Sub(since); d > 100*ms {
				t.Errorf("%s: it begins %v later", why, d)
			}
			r.wantState(why, 1, Active)
			r.forget()
			r.begin()
			r.wantNotice(why+": once more", BegunAlready)
			r.wantPhase(why, BetweenFiles)
		}
	}
}

// A client that has not heard that it is in repeats REGISTER, and is answered also while the
// first file is late.
func TestConfirmedBetweenFiles(t *testing.T) {
	r := newRig(t, nil)
	r.register(1, 0)
	r.lasted(time.Minute)
	r.forget()
	for range 100 {
		r.wantDrop("it asks again", r.register(1, 0), machine.DropNone)
		r.advance(40 * ms)
	}
	n := strings.Count(strings.Join(r.wire, ","), "REG_CONF [1]")
	if n == 0 || n > r.cfg.Robust {
		t.Errorf("%d REG_CONFs, want some, and %d at most", n, r.cfg.Robust)
	}
	r.offer("f", 0)
	r.ack(1, 1, 0, false)
	r.complete(1, 1, wire.StatusNormal)
	r.advance(ms)
	r.endOfFiles()
	r.advance(ms)
	r.complete(1, 0, wire.StatusNormal)
	r.advance(time.Second)
	r.wantExit("and it goes on", ExitOK)
}
