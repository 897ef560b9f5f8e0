package receiver

import (
	"net/netip"
	"testing"
	"time"

	"uftp/crypto/identity"
	"uftp/wire"
)

// While a session is live, another instance of its group is taken only from its own
// sender, whatever else a stranger knows and whichever phase the session is in.
func TestForeignInstanceRefused(t *testing.T) {
	another := func(w *world) { // has another key
		w.far = &far{cfg: w.far.cfg}
		key, err := identity.GenerateEC(identity.P256, seeded(77))
		if err != nil {
			t.Fatal(err)
		}
		w.far.cfg.Key, w.far.cfg.Rand = key, seeded(78)
		w.far.start(w.t)
	}
	far2 := netip.MustParseAddrPort("10.88.0.9:1044")
	for _, c := range []struct {
		name    string
		secure  bool
		foreign func(w *world)
		text    string
	}{
		{"clear, another address", false, func(w *world) { w.from = far2 }, textForeign},
		{"clear, another UID", false, func(w *world) { w.src, w.from = other, netip.AddrPortFrom(w.from.Addr(), 5) }, textForeign},
		{"clear, another UID and address", false, func(w *world) { w.src, w.from = other, far2 }, textForeign},
		{"encrypted beside clear", false, func(w *world) {
			w.from = netip.AddrPortFrom(w.from.Addr(), 5)
			*w = *secured(w)
		}, textForeign},
		{"encrypted, another key", true, func(w *world) {
			w.from = netip.AddrPortFrom(w.from.Addr(), 5)
			another(w)
		}, textForeign},
		{"encrypted, another key, UID and address", true, func(w *world) { w.src, w.from = other, far2; another(w) }, textForeign},
		{"encrypted, the key is claimed from another address", true, func(w *world) { w.from = far2; w.far.start(w.t) }, textForeign},
		{"clear beside encrypted", true, func(w *world) {
			w.from = netip.AddrPortFrom(w.from.Addr(), 5)
			w.far = nil
		}, "No unencrypted transfers allowed"},
	} {
		for _, temp := range []bool{false, true} {
			for _, instance := range []uint8{0, 2, 255} { // of the stranger; the session is instance 1
				for _, ph := range []Phase{Registering, MidGroup, Opening, Receiving, Closing, Completing} {
					t.Run(c.name+" "+ph.String(), func(t *testing.T) {
						var w *world
						set := func(cfg *Config) { cfg.Restart = temp }
						if c.secure {
							w = newSecureWorld(t, gcm, false, set)
						} else {
							w = newWorld(t, set)
						}
						w.instance = 1
						w.until(ph)
						mine := *w
						w.forget()
						w.instance, w.seq = instance, 0
						c.foreign(w)
						ask := func() {
							if w.far != nil {
								w.announceSealed()
							} else {
								w.announce()
							}
							w.wantPhase(Free)
						}
						if c.text == textForeign { // the sender may have started again: it must have spoken meanwhile
							ask()
							ask()
							w.wantSilence("the session may be dead")
							if e := event[Refused](w, "it is reported all the same"); e.Text != c.text {
								t.Fatalf("%+v", e)
							}
							foreign := *w
							w.instance, w.from, w.src, w.far, w.seq = 1, mine.from, mine.src, mine.far, mine.seq
							w.advance(time.Millisecond)
							if c.secure {
								w.announceSealed()
							} else {
								w.announce()
							}
							w.advance(time.Millisecond)
							w.forget()
							w.instance, w.from, w.src, w.far, w.seq = instance, foreign.from, foreign.src, foreign.far, foreign.seq
						}
						ask()
						if x, err := wire.ParseAbort(w.next(wire.FuncAbort).msg); err != nil || string(x.Text) != c.text {
							t.Fatalf("ABORT %q %v, want %q", x.Text, err, c.text)
						}
						if e := event[Refused](w, "it is reported"); e.Text != c.text || e.Session.Instance != instance {
							t.Fatalf("%+v", e)
						}
						noEvent[SessionStarted](w, "refused")
						w.instance, w.from, w.src = 1, mine.from, mine.src
						w.wantPhase(ph)
					})
				}
			}
		}
	}
}

// secured returns w with a sender that encrypts.
func secured(w *world) *world {
	s := newSecureWorld(w.t, gcm, false)
	x := *w
	x.far = s.far
	return &x
}

// until brings a session to a phase.
func (w *world) until(p Phase) {
	w.t.Helper()
	if p == Registering {
		if w.far != nil {
			w.announceSealed()
		} else {
			w.announce()
		}
		w.joined("")
		w.wantPhase(p)
		return
	}
	w.toMidGroup()
	switch p {
	case Opening:
		w.fileInfo(1, 1000)
	case Receiving, Closing:
		q := w.toReceiving(1, 1000)
		if p == Closing {
			w.data(1, &q.Layout, 0, 0)
		}
	case Completing:
		w.done(0, 0, us)
	}
	w.wantPhase(p)
}

// A session whose sender is finished, but for which the host still works, keeps strangers
// out, too.
func TestForeignInstanceWhileFilesSettle(t *testing.T) {
	w := newWorld(t)
	w.until(Closing)
	w.abort(wire.Abort{})
	w.forgetPackets()
	w.instance, w.from = 1, netip.MustParseAddrPort("10.88.0.9:1044")
	w.announce()
	w.announce()
	w.wantPhase(Free)
	w.wantSilence("the file is not settled: it asks again")
	if e := event[Refused](w, "it is reported"); e.Text != textForeign {
		t.Fatalf("%+v", e)
	}
	w.closed("")
	w.announce()
	w.wantPhase(Joining)
}

// A sender that died and starts again, with another key or at another address, is kept out
// until its old session has timed out. It gets no ABORT, which would cost it the receiver
// for ever, and is taken after that.
func TestRestartOfADeadSender(t *testing.T) {
	for _, secure := range []bool{false, true} {
		w := newWorld(t)
		if secure {
			w = newSecureWorld(t, gcm, false)
		}
		w.until(Receiving)
		w.forget()
		w.instance, w.seq = 1, 0
		dead := w.far
		var again *far
		if secure {
			again = &far{cfg: dead.cfg}
			again.cfg.Key, _ = identity.GenerateEC(identity.P256, seeded(77))
			again.start(t)
		} else {
			w.from = netip.MustParseAddrPort("10.88.0.9:1044")
		}
		ask := func(want Phase) {
			t.Helper()
			w.forget()
			if secure {
				w.far = again
				w.announceSealed()
				w.far = dead
			} else {
				w.announce()
			}
			w.wantPhase(want)
			w.wantSilence("the old session may be dead, or the private group is being joined")
		}
		for range 9 { // the session lives for 1 s
			w.advance(100 * time.Millisecond)
			ask(Free)
		}
		w.advance(time.Second)
		ask(Joining)
	}
}

// After a while a session forgets that another sender asked for its group: the sender has
// spoken since, so one that asks now gets an ABORT.
func TestContestIsForgotten(t *testing.T) {
	for _, c := range []struct {
		ago    time.Duration
		aborts bool
	}{{contestMax, true}, {contestMax + 1, false}} {
		w := newWorld(t)
		w.robust, w.grtt = 255, code500ms
		w.toMidGroup()
		w.instance, w.from = 1, netip.MustParseAddrPort("10.88.0.9:1044")
		w.announce()
		w.instance, w.from = 0, senderAddr
		w.advance(time.Second)
		w.announce()
		w.instance, w.from = 1, netip.MustParseAddrPort("10.88.0.9:1044")
		w.advance(c.ago - time.Second)
		w.forget()
		w.announce()
		if got := len(w.packets) > 0; got != c.aborts {
			t.Fatalf("after %v: ABORT %v, want %v", c.ago, got, c.aborts)
		}
	}
}

// Where addresses of senders change, the UID or the key identifies a sender.
func TestRoamingSenderRestarts(t *testing.T) {
	for _, secure := range []bool{false, true} {
		w := newWorld(t, func(c *Config) { c.Roaming = true })
		if secure {
			w = newSecureWorld(t, gcm, false, func(c *Config) { c.Roaming = true })
		}
		w.toMidGroup()
		w.instance, w.from = 1, netip.MustParseAddrPort("10.88.0.9:1044")
		if secure {
			w.far.start(t)
			w.announceSealed()
		} else {
			w.announce()
		}
		w.wantPhase(Registering)
	}
}

// An older instance of a live session is a late or copied ANNOUNCE.
func TestOlderInstanceRefused(t *testing.T) {
	for _, secure := range []bool{false, true} {
		w := newWorld(t)
		if secure {
			w = newSecureWorld(t, gcm, false)
		}
		w.instance = 3
		w.toMidGroup()
		if secure {
			w.fileInfo(1, 1000) // proves the keys
		}
		w.forget()
		w.from = netip.AddrPortFrom(w.from.Addr(), 5)
		for _, i := range []uint8{0, 2} {
			w.instance = i
			if secure {
				w.far.start(t)
				w.announceSealed()
			} else {
				w.announce()
			}
			w.wantAbort(textStale, "it is older")
			w.wantPhase(Free)
		}
	}
}

// An ANNOUNCE that seems to come from the address and port of the live session's sender is refused
// in silence: an ABORT would end the session itself.
func TestRefusalDoesNotAbortTheLiveSession(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	w.forget()
	w.instance, w.src = 1, other
	w.announce()
	w.wantSilence("the live session's sender would hear it")
	event[Refused](w, "it is reported")
	w.wantPhase(Free)
}

// Every report of an accepted session names the owner. In an encrypted session the owner
// does not depend on the address.
func TestOwner(t *testing.T) {
	own := func(w *world) Owner {
		if w.far != nil {
			w.announceSealed()
		} else {
			w.announce()
		}
		return event[SessionStarted](w, "it is taken").Session.Owner
	}
	a := own(newWorld(t))
	if a != (Owner{Sender: them, Addr: senderAddr.Addr()}) {
		t.Fatalf("%+v", a)
	}
	mapped := newWorld(t)
	mapped.from = netip.AddrPortFrom(netip.AddrFrom16(senderAddr.Addr().As16()), 9)
	if b := own(mapped); b != a {
		t.Errorf("%+v, want the same owner whatever the socket and the port", b)
	}
	roaming := func(c *Config) { c.Roaming = true }
	moved := newWorld(t, roaming)
	moved.from = netip.MustParseAddrPort("10.88.0.9:1044")
	if c := own(moved); c != own(newWorld(t, roaming)) || c == a {
		t.Errorf("%+v, want one owner wherever the UID comes from", c)
	}
	x := newSecureWorld(t, gcm, false)
	first := own(x)
	y := newSecureWorld(t, ccm, false)
	y.src, y.from = other, netip.MustParseAddrPort("[fd00::7]:5")
	if second := own(y); !first.Encrypted || second != first {
		t.Errorf("%+v and %+v, want one owner: the key is the same", first, second)
	}
	if z := own(newSecureWorld(t, rsa, false)); z == first || !z.Encrypted {
		t.Errorf("%+v, want another owner: the key is another", z)
	}
}
