package receiver

import (
	"net/netip"
	"strings"
	"testing"

	"uftp/engine/machine"
	"uftp/wire"
)

func addrOf(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestGotAbort(t *testing.T) {
	// docs/protocol.md, "Receiver aborts".
	for _, c := range []struct {
		name      string
		receiving bool
		x         wire.Abort
		from      netip.AddrPort
		ends      bool
	}{
		{"all, between files", false, wire.Abort{}, senderAddr, true},
		{"all, receiving", true, wire.Abort{}, senderAddr, true},
		{"us", true, wire.Abort{Host: us}, senderAddr, true},
		{"another host", true, wire.Abort{Host: other}, senderAddr, false},
		{"current file, between files", false, wire.Abort{Flags: wire.AbortCurrentFile}, senderAddr, false},
		{"current file, between files, us", false, wire.Abort{Flags: wire.AbortCurrentFile, Host: us}, senderAddr, false}, // a second one
		{"forged", true, wire.Abort{}, addrOf("10.88.0.66:40000"), false},
		{"the sender's other port", true, wire.Abort{}, addrOf("10.88.0.100:9"), true},
		{"mapped address", true, wire.Abort{}, addrOf("[::ffff:10.88.0.100]:40000"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.toMidGroup()
			if c.receiving {
				w.toReceiving(1, 9000)
			}
			w.from = c.from
			c.x.Text = []byte("Server quit, aborting all")
			w.seq -= 1000 // the sequence does not matter
			w.abort(c.x)
			w.from = senderAddr
			if !c.ends {
				noEvent[GotAbort](w, "it does not count")
				if w.last.Drop == 0 || w.session() == nil {
					t.Fatalf("verdict %q", w.last.Drop)
				}
				return
			}
			if e := event[GotAbort](w, "it counts"); e.Text != "Server quit, aborting all" {
				t.Fatalf("%+v", e)
			}
			if c.receiving {
				event[Abandon](w, "the file is given up")
			}
			noEvent[Abandon](w, "once")
			w.wantEnded(false, EndAborted)
			w.wantSilence("an ABORT is not answered")
		})
	}
}

// TestFileGivenUp: an ABORT of the current file costs that file, the session goes on.
func TestFileGivenUp(t *testing.T) {
	for _, host := range []wire.UID{0, us} {
		w := newWorld(t)
		w.toMidGroup()
		q := w.toReceiving(1, 5000)
		w.data(1, &q.Layout, 0, 0)
		w.forgetPackets()
		w.abort(wire.Abort{Flags: wire.AbortCurrentFile, Host: host, Text: []byte("Cannot read file")})
		if a := event[Abandon](w, "the file is dropped"); a.Ref != q.Ref || a.Missing.Len() != q.Layout.Blocks || a.Missing.Count() != q.Layout.Blocks {
			t.Fatalf("%+v: nothing of it should be kept", a)
		}
		if e := event[FileEnded](w, "it is reported"); e.Status != wire.StatusRejected || !strings.Contains(e.Text, "Cannot read file") {
			t.Fatalf("%+v", e)
		}
		w.wantPhase(MidGroup)
		noEvent[SessionEnded](w, "others follow")
		w.wantSilence("an ABORT is not answered")
		w.data(1, &q.Layout, 0, 1)
		w.done(1, 0, us)
		w.wantComplete(1, wire.StatusRejected, "it never has that file")
		w.toReceiving(2, 1000)
		w.wantPhase(Receiving)
	}
}

// TestFileGivenUpWhileItIsOpened: the sender gives up a file while the host still opens
// it. The file ends when the host has answered.
func TestFileGivenUpWhileItIsOpened(t *testing.T) {
	for _, host := range []wire.UID{0, us} {
		for _, o := range []Opened{{Action: Receive}, {Action: Complete, Status: wire.StatusSkipped}} {
			w := newWorld(t)
			w.toMidGroup()
			w.fileInfo(1, 5000)
			w.abort(wire.Abort{Flags: wire.AbortCurrentFile, Host: host, Text: []byte("Cannot read file")})
			noEvent[GotAbort](w, "the session goes on")
			w.wantPhase(Opening)
			w.fileInfo(2, 1000) // the sender goes on
			w.wantPhase(Opening)
			w.wantSilence("the host owes an answer about the first")
			w.opened(o)
			e := event[FileEnded](w, "it is reported")
			if o.Action == Receive {
				event[Abandon](w, "the file is dropped")
				if e.Status != wire.StatusRejected || !strings.Contains(e.Text, "Cannot read file") {
					t.Fatalf("%+v", e)
				}
				w.wantSilence("there is nothing to say about it")
			} else if w.forgetPackets(); e.Status != o.Status {
				t.Fatalf("%+v", e)
			}
			w.wantPhase(MidGroup)
			w.toReceiving(2, 1000)
		}
	}
}

// TestLateAbortOfAFile: an ABORT of the current file does not name it. So one that was
// sent before the present file was announced, and comes late or twice, must not cost the
// present file.
func TestLateAbortOfAFile(t *testing.T) {
	for _, host := range []wire.UID{0, us} {
		for _, opening := range []bool{true, false} {
			for _, stale := range []bool{true, false} {
				w := newWorld(t)
				w.toMidGroup()
				w.toReceiving(1, 5000)
				abort := wire.Abort{Flags: wire.AbortCurrentFile, Host: host, Text: []byte("Cannot read file")}
				saved := w.seq
				w.abort(abort)
				w.wantPhase(MidGroup)
				w.forget()
				w.fileInfo(2, 5000)
				if !opening {
					w.opened(Opened{Action: Receive})
				}
				if w.forgetPackets(); stale {
					w.seq = saved
				}
				w.abort(abort)
				if opening {
					w.opened(Opened{Action: Receive})
				}
				want := MidGroup
				if stale {
					want = Receiving
				}
				w.wantPhase(want)
			}
		}
	}
}

func TestStop(t *testing.T) {
	w := newWorld(t)
	w.announce()
	w.group = 2
	w.toMidGroupShared()
	w.group = 3
	w.toMidGroupShared()
	w.toReceiving(1, 5000)
	w.group = 4
	w.toMidGroupShared()
	q := w.toReceiving(1, 1000)
	w.data(1, &q.Layout, 0, 0)
	w.forgetPackets()
	w.r.Stop(w.now)
	w.poll()
	for range 4 {
		w.wantAbort("Client shutting down", "each session")
	}
	w.wantSilence("one each")
	if a := event[Abandon](w, "the unfinished file"); a.Session.Group != 3 || a.Missing.Count() != 5 {
		t.Fatalf("%+v", a)
	}
	for range 3 {
		if e := event[SessionEnded](w, "those that wait for nothing"); e.OK || e.Reason != EndShutdown {
			t.Fatalf("%+v", e)
		}
	}
	noEvent[SessionEnded](w, "the host owes an answer to one")
	w.closed("")
	if e := event[FileEnded](w, "that one's file is whole"); e.Status != wire.StatusNormal {
		t.Fatalf("%+v", e)
	}
	w.wantEnded(false, EndShutdown)
	w.group = 9
	w.announce()
	w.wantDrop(machine.DropPhase, "we are leaving")
	w.wantSilence("we are leaving")
}

// toMidGroupShared registers in a session of a group that the host has joined itself.
func (w *world) toMidGroupShared() {
	w.t.Helper()
	w.announce(func(a *wire.Announce) { a.Private = publicAddr })
	w.wantRegister("nothing to join")
	w.regConf(us)
	w.wantPhase(MidGroup)
}

func TestLongAbortText(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	w.fileInfo(1, 10)
	w.opened(Opened{Action: Abort, Text: strings.Repeat("x", 5000)})
	w.wantAbort(strings.Repeat("x", 299), "cut to what fits")
}

func TestWindow(t *testing.T) {
	type step struct {
		seq        uint16
		ok, newest bool
	}
	for _, c := range []struct {
		name  string
		start uint16
		steps []step
	}{
		{"5 behind count, 6 do not", 0, []step{{1, true, true}, {10, true, true}, {10, true, false}, {5, true, false}, {4, false, false}, {11, true, true}}},
		{"any start", 40000, []step{{40001, true, true}, {39996, true, false}, {0, true, true}, {32766, true, true}}},
		{"wrap", 65534, []step{{65535, true, true}, {0, true, true}, {65535, true, false}, {65530, false, false}, {3, true, true}}},
		{"half the space", 0, []step{{32767, true, true}, {65535, false, false}, {32761, false, false}, {65534, true, true}}},
	} {
		var w window
		w.start(c.start)
		for i, s := range c.steps {
			if ok, newest := w.accept(s.seq); ok != s.ok || newest != s.newest {
				t.Errorf("%s: step %d (%d): %v %v, want %v %v", c.name, i, s.seq, ok, newest, s.ok, s.newest)
			}
		}
	}
}

func TestForgedSequenceDoesNotBlind(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	q := w.toReceiving(1, 100_000)
	real := w.seq
	w.seq += 30000
	w.done(1, 0, other) // forged, with the right UID
	w.seq = real
	for b := range 100 {
		if b == 7 { // a packet that comes late does not matter
			w.seq -= 100
			w.done(1, 0, other)
			w.seq += 99
		}
		w.data(1, &q.Layout, 0, b)
	}
	// 7 blocks; then the late packet begins a new run, the 16th of which counts.
	if n := w.missing(); n != 7+resyncAfter-2 {
		t.Fatalf("%d of 100 blocks lost, want %d", n, 7+resyncAfter-2)
	}
}
