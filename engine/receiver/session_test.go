package receiver

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"uftp/engine/machine"
	"uftp/wire"
)

func TestWholeSession(t *testing.T) {
	w := newWorld(t)
	w.announce()
	if e := event[SessionStarted](w, "the ANNOUNCE is good"); e.Private != privateAddr || e.Session.Sender != them || e.Session.From != senderAddr {
		t.Fatalf("started %+v", e)
	}
	w.wantSilence("before the host has joined")
	w.advance(100 * time.Millisecond)
	w.joined("")
	if x := w.wantRegister("after the join"); x.Time != 78_099_000 {
		t.Fatalf("REGISTER echoes %v, want the stamp of the ANNOUNCE and the 100 ms it was held", x.Time)
	}
	w.regConf(other)
	w.wantPhase(Registering)
	w.regConf(other, us)
	w.wantPhase(MidGroup)

	q := w.toReceiving(1, 5500)
	l := &q.Layout
	for b := range l.Blocks {
		if v := w.data(1, l, 0, b); v.Drop != 0 || v.Store.Ref != q.Ref || v.Store.Offset != int64(b)*1000 {
			t.Fatalf("block %d: %+v", b, v)
		}
	}
	w.wantPhase(Closing)
	w.done(1, 0, us)
	w.advance(time.Millisecond)
	w.wantSilence("COMPLETE waits for the disk")
	w.closed("")
	w.wantComplete(1, wire.StatusNormal, "a DONE came while the file was being finished")
	if e := event[FileEnded](w, "the file is received"); e.Status != wire.StatusNormal || e.Request.Name != "f1" {
		t.Fatalf("ended %+v", e)
	}
	if !bytes.Equal(w.disk[q.Ref], pattern(l)) {
		t.Fatal("what was stored is not what was sent")
	}
	w.done(1, 0, us)
	w.wantComplete(1, wire.StatusNormal, "a DONE again")
	w.done(0, 0, other)
	w.wantSilence("the session's DONE does not list us")
	w.done(0, 0, other, us)
	w.wantComplete(0, wire.StatusNormal, "the session's DONE lists us")
	w.wantPhase(Completing)
	w.doneConf(other)
	w.wantPhase(Completing)
	w.doneConf(us)
	w.wantEnded(true, EndConfirmed)
	if e := event[Leave](w, "the group is left"); e.Group != privateAddr {
		t.Fatalf("left %v", e.Group)
	}
	w.wantSilence("at the end")
	if w.live() != 0 || w.reserved() != 0 || len(w.r.index) != 0 {
		t.Fatalf("left behind: %d sessions, %d blocks, %d keys", w.live(), w.reserved(), len(w.r.index))
	}
}

// The log of the stock receiver shows these steps in this order.
func TestOrderOfReports(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	q := w.toReceiving(1, 2000)
	w.events = nil
	w.data(1, &q.Layout, 0, 1)
	w.data(1, &q.Layout, 0, 0)
	w.r.Closed(w.now, q.Ref, "")
	w.poll()
	w.done(1, 0, us)
	w.done(0, 0, us)
	w.doneConf(us)
	var got []string
	for _, e := range w.events {
		switch e := e.(type) {
		case Stepped:
			got = append(got, e.Step.String())
		case GotDone:
			got = append(got, "DONE")
		case Close:
			got = append(got, "close")
		case FileEnded:
			got = append(got, "ended")
		case SessionEnded:
			got = append(got, "session ended")
		case Leave:
			got = append(got, "leave")
		}
	}
	want := []string{"File transfer complete", "close", "ended", "DONE", "COMPLETE sent", "DONE", "Group complete", "COMPLETE sent",
		"Group file transfer confirmed", "leave", "session ended"}
	if !slices.Equal(got, want) {
		t.Fatalf("reports\n%q, want\n%q", got, want)
	}
}

func TestEmptyFile(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	w.toReceiving(1, 0)
	w.wantPhase(Closing)
	w.closed("")
	w.wantSilence("COMPLETE answers a DONE")
	w.done(1, 0, other)
	w.wantSilence("a DONE for others")
	w.done(1, 0, us)
	w.wantComplete(1, wire.StatusNormal, "DONE of an empty file")
}

func TestUnlistedPhases(t *testing.T) {
	// docs/protocol.md, "Receiver phases": which messages count in which phase.
	layout := func(w *world) *Request { return &w.session().file.req }
	phases := []struct {
		phase Phase
		reach func(w *world)
	}{
		{Joining, func(w *world) { w.announce() }},
		{Registering, func(w *world) { w.announce(); w.joined("") }},
		{MidGroup, func(w *world) { w.toMidGroup() }},
		{Opening, func(w *world) { w.toMidGroup(); w.fileInfo(1, 2000) }},
		{Receiving, func(w *world) { w.toMidGroup(); w.toReceiving(1, 2000) }},
		{Closing, func(w *world) {
			w.toMidGroup()
			w.toReceiving(1, 2000)
			w.data(1, &layout(w).Layout, 0, 0)
			w.data(1, &layout(w).Layout, 0, 1)
		}},
		{Completing, func(w *world) { w.toMidGroup(); w.done(0, 0, us) }},
	}
	messages := []struct {
		name string
		say  func(w *world)
		next map[Phase]Phase // others keep the phase
		take []Phase         // where it is not refused
	}{
		{"REG_CONF", func(w *world) { w.regConf(us) }, map[Phase]Phase{Registering: MidGroup}, []Phase{Registering, MidGroup}},
		{"FILEINFO", func(w *world) { w.fileInfo(1, 2000) }, map[Phase]Phase{Registering: Opening, MidGroup: Opening},
			[]Phase{Registering, MidGroup, Opening, Receiving, Closing}},
		{"DONE", func(w *world) { w.done(1, 0, us) }, nil, []Phase{MidGroup, Opening, Receiving, Closing}},
		{"DONE of the session", func(w *world) { w.done(0, 0, us) }, map[Phase]Phase{MidGroup: Completing}, []Phase{MidGroup}},
		{"DONE_CONF", func(w *world) { w.doneConf(us) }, map[Phase]Phase{Completing: Free}, []Phase{MidGroup, Completing}},
		{"ABORT", func(w *world) { w.abort(wire.Abort{}) },
			map[Phase]Phase{Joining: Free, Registering: Free, MidGroup: Free, Receiving: Free, Completing: Free},
			[]Phase{Joining, Registering, MidGroup, Opening, Receiving, Closing, Completing}},
		{"ANNOUNCE", func(w *world) { w.announce() }, nil, []Phase{MidGroup}},
		{"KEYINFO", func(w *world) { w.send(wire.FuncKeyInfo, make([]byte, 12)) }, nil, []Phase{MidGroup}},
		{"CONG_CTRL", func(w *world) { w.send(wire.FuncCongCtrl, make([]byte, 16)) }, nil, []Phase{MidGroup}},
		{"ENCRYPTED", func(w *world) { w.send(wire.FuncEncrypted, make([]byte, 40)) }, nil, nil},
		{"a message of receivers", func(w *world) { w.send(wire.FuncStatus, make([]byte, 40)) }, nil, []Phase{MidGroup}},
	}
	for _, p := range phases {
		for _, m := range messages {
			t.Run(p.phase.String()+"/"+m.name, func(t *testing.T) {
				w := newWorld(t)
				p.reach(w)
				w.wantPhase(p.phase)
				m.say(w)
				want, ok := m.next[p.phase]
				if !ok {
					want = p.phase
				}
				w.wantPhase(want)
				if taken := w.last.Drop == 0; taken != slices.Contains(m.take, p.phase) {
					t.Fatalf("verdict %q, want taken: %v", w.last.Drop, !taken)
				}
			})
		}
	}
}

func TestGroupZeroAndStrangers(t *testing.T) {
	w := newWorld(t)
	w.group = 0
	w.announce()
	w.wantDrop(machine.DropGroup, "group 0 is no session")
	w.group = theGroup
	w.regConf(us)
	w.wantDrop(machine.DropGroup, "no ANNOUNCE yet")
	w.toMidGroup()
	w.src = other
	w.done(0, 0, us)
	w.wantDrop(machine.DropSource, "another UID")
	w.wantPhase(MidGroup)
}

// TestCompleteWaitsForSettled: with a temporary directory the sender hears that all is
// well when the host has seen to it that a kill changes nothing any more.
func TestCompleteWaitsForSettled(t *testing.T) {
	restart := func(c *Config) { c.Restart = true }
	w := newWorld(t, restart)
	w.toMidGroup()
	w.forget()
	w.done(0, 0, us)
	e := event[Settle](w, "the host is asked")
	w.advance(10 * w.roundTrip())
	w.done(0, 0, us)
	w.wantSilence("while the host is at it")
	w.r.Settled(w.now, e.Session.SessionID, e.Number, "")
	w.poll()
	w.wantComplete(0, wire.StatusNormal, "now it is")
	w.r.Settled(w.now, e.Session.SessionID, e.Number, "")
	w.poll()
	w.wantSilence("one answer is enough")
	w.advance(4 * w.roundTrip())
	w.wantComplete(0, wire.StatusNormal, "repeated as before")
	w.forget()
	w.doneConf(us)
	w.wantEnded(true, EndConfirmed)

	// An answer that comes too late is ignored, also by the next session in the slot.
	w = newWorld(t, restart)
	w.toMidGroup()
	w.done(0, 0, us)
	e = event[Settle](w, "the host is asked")
	w.abort(wire.Abort{})
	w.forget()
	w.r.Settled(w.now, e.Session.SessionID, e.Number, "")
	w.group++
	w.toMidGroup()
	w.done(0, 0, us)
	w.forget()
	w.r.Settled(w.now, e.Session.SessionID, e.Number, "")
	w.poll()
	w.wantSilence("it was about another session")

	// Not even if that has the same group, instance and slot.
	w = newWorld(t, restart)
	w.toMidGroup()
	w.done(0, 0, us)
	e = event[Settle](w, "the host is asked")
	w.abort(wire.Abort{})
	w.toMidGroup()
	w.done(0, 0, us)
	next := event[Settle](w, "the host is asked again")
	w.forget()
	if e.Session.SessionID != next.Session.SessionID {
		t.Fatalf("%+v and %+v, want the same slot and group", e.Session.SessionID, next.Session.SessionID)
	}
	w.r.Settled(w.now, e.Session.SessionID, e.Number, "")
	w.poll()
	w.wantSilence("it was about the session before")

	// A session that cannot be settled is not called complete.
	w.r.Settled(w.now, next.Session.SessionID, next.Number, "disk on fire")
	w.poll()
	w.wantAbort("disk on fire", "the sender hears why")
	w.wantEnded(false, EndRefused)
}

// TestStopAfterComplete: a session that has said COMPLETE for all of it is over well,
// though the sender's answer is outstanding when the host shuts down.
func TestStopAfterComplete(t *testing.T) {
	for _, settled := range []bool{true, false} {
		w := newWorld(t, func(c *Config) { c.Restart = true })
		w.toMidGroup()
		w.done(0, 0, us)
		e := event[Settle](w, "the host is asked")
		w.forget()
		if settled {
			w.r.Settled(w.now, e.Session.SessionID, e.Number, "")
			w.poll()
			w.wantComplete(0, wire.StatusNormal, "all is well")
		}
		w.r.Stop(w.now)
		w.poll()
		if settled {
			w.wantSilence("nothing to abort")
			w.wantEnded(true, EndUnconfirmed)
		} else {
			w.wantAbort("Client shutting down", "the sender did not hear that all is well")
			w.wantEnded(false, EndShutdown)
		}
	}
}
