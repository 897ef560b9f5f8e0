package sender

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

func TestForeignDatagrams(t *testing.T) {
	r := begin(t, fast, 5000, 1)
	r.advance(ms)
	good := func() []byte {
		m := wire.Complete{FileID: 1}
		return m.Append(message(1, wire.FuncComplete))
	}
	for _, c := range []struct {
		why    string
		change func(p []byte) []byte
		want   machine.Drop
	}{
		{"nothing", func(p []byte) []byte { return nil }, machine.DropMalformed},
		{"short", func(p []byte) []byte { return p[:19] }, machine.DropMalformed},
		{"version 3", func(p []byte) []byte { p[0] = 0x30; return p }, machine.DropVersion},
		{"another group", func(p []byte) []byte { p[8]++; return p }, machine.DropGroup},
		{"another instance", func(p []byte) []byte { p[12]++; return p }, machine.DropGroup},
		{"UID 0", func(p []byte) []byte { copy(p[4:8], "\x00\x00\x00\x00"); return p }, machine.DropMalformed},
		{"a message of a sender", func(p []byte) []byte { p[1] = byte(wire.FuncDone); return p }, machine.DropFunction},
		{"an unknown message", func(p []byte) []byte { p[1] = 99; return p }, machine.DropFunction},
		{"encrypted", func(p []byte) []byte { p[1] = byte(wire.FuncEncrypted); return p }, machine.DropSealed},
		{"congestion control", func(p []byte) []byte { p[1] = byte(wire.FuncCCAck); return p }, machine.DropFunction},
		{"keys", func(p []byte) []byte { p[1] = byte(wire.FuncKeyInfoAck); return p }, machine.DropFunction},
		{"two names for one message", func(p []byte) []byte { p[16] = byte(wire.FuncStatus); return p }, machine.DropMalformed},
		{"a header longer than the datagram", func(p []byte) []byte { p[17] = 200; return p }, machine.DropMalformed},
	} {
		before := r.s.Stats().Counters.Drops[c.want]
		r.wantDrop(c.why, r.deliver(1, c.change(good())), c.want)
		if n := r.s.Stats().Counters.Drops[c.want]; n != before+1 {
			t.Errorf("%s: counter went from %d to %d", c.why, before, n)
		}
		r.wantState(c.why, 1, Active)
	}
	m := wire.Complete{FileID: 1}
	r.wantDrop("a stranger", r.deliver(9, m.Append(message(9, wire.FuncComplete))), machine.DropUnknown)
	r.wantDrop("and the good one", r.deliver(1, good()), machine.DropNone)
}

func TestStatusOutOfRange(t *testing.T) {
	r := begin(t, fast, 41_000, 1)
	r.advance(ms)
	for _, c := range []struct {
		why  string
		m    wire.Status
		want machine.Drop
	}{
		{"no such section", wire.Status{FileID: 1, Section: 1, NAKs: make([]byte, 6)}, machine.DropRange},
		{"section 65535", wire.Status{FileID: 1, Section: 65535, NAKs: make([]byte, 6)}, machine.DropRange},
		{"another file", wire.Status{FileID: 2, NAKs: make([]byte, 6)}, machine.DropFile},
		{"a byte missing", wire.Status{FileID: 1, NAKs: []byte{255, 255, 255, 255, 255}}, machine.DropMalformed},
		{"no bitmap", wire.Status{FileID: 1}, machine.DropMalformed},
	} {
		r.events = nil
		r.wantDrop(c.why, r.deliver(1, c.m.Append(wire.Version4, message(1, wire.FuncStatus))), c.want)
		want[Refused](r, c.why)
		r.wantState(c.why, 1, Active)
	}
	// What a proxy appends is garbage: 41 blocks need 6 bytes.
	m := wire.Status{FileID: 1, NAKs: []byte{0, 0, 0, 0, 0, 0xfe, 255, 255, 255}}
	r.wantDrop("bits past the section", r.deliver(1, m.Append(wire.Version4, message(1, wire.FuncStatus))), machine.DropNone)
	if r.s.Stats().Left != 0 {
		t.Errorf("%d blocks are needed, want none", r.s.Stats().Left)
	}
}

func TestSpoofedAbort(t *testing.T) {
	m := wire.Abort{Text: []byte("Client shutting down")}
	r := begin(t, func(c *Config) { c.QuitOnError = true }, 5000, 1)
	for _, from := range []netip.AddrPort{addr(2), netip.MustParseAddrPort("[2001:db8::1]:1044")} {
		r.events = nil
		r.wantDrop("from elsewhere", r.deliverFrom(from, m.Append(message(1, wire.FuncAbort))), machine.DropSource)
		want[Refused](r, "the user hears of it")
		wantNone[GotAbort](r, "it is none of the client")
		r.wantState("it changes nothing", 1, Active)
	}
	r.wantDrop("cut short", r.deliver(1, m.Append(message(1, wire.FuncAbort))[:200]), machine.DropMalformed)
	r.wantDrop("from where it registered, whatever the port", r.deliverFrom(netip.AddrPortFrom(addr(1).Addr(), 1045), m.Append(message(1, wire.FuncAbort))), machine.DropNone)
	r.wantState("it counts", 1, Aborted)
}

// A REGISTER from elsewhere must not move the address that ABORT is checked by.
func TestRegisterDoesNotMoveAClient(t *testing.T) {
	r := newRig(t, nil)
	r.register(1, 0)
	reg, abort := wire.Register{Time: r.echo(0)}, wire.Abort{}
	r.deliverFrom(addr(7), reg.Append(wire.Version4, message(1, wire.FuncRegister)))
	r.wantDrop("the second one to register", r.deliverFrom(addr(7), abort.Append(message(1, wire.FuncAbort))), machine.DropSource)
	r.wantDrop("the first one", r.deliver(1, abort.Append(message(1, wire.FuncAbort))), machine.DropNone)
}

func TestAbortOfStrangers(t *testing.T) {
	r := newRig(t, hosts(1))
	r.forget()
	r.wantDrop("it is not in the session", r.abort(9, "Invalid multicast address"), machine.DropUnknown)
	if e := want[GotAbort](r, "but the user wants to know"); e.Known || e.Client.UID != 9 || e.Text != "Invalid multicast address" {
		t.Errorf("reported %+v", e)
	}
	r.wantWire("an ABORT is not answered")
}

// A flood of wrong messages makes the sender neither send nor report without bound.
func TestFloodsAreBounded(t *testing.T) {
	r := begin(t, with(fast, func(c *Config) { c.Robust = 50 }), 5000, 1)
	r.advance(ms)
	r.forget()
	m := wire.FileInfoAck{FileID: 1}
	const n, step = 20_000, 50 * time.Microsecond // 1 s in all
	for i := range n {
		u := wire.UID(1000 + i)
		r.s.Handle(r.now, arrived(addr(u), m.Append(wire.Version4, message(u, wire.FuncFileInfoAck))))
		r.s.Handle(r.now, arrived(addr(1), m.Append(wire.Version4, message(1, wire.FuncFileInfoAck))))
		if i%100 == 0 {
			r.drain()
		}
		r.now = r.now.Add(step)
	}
	r.drain()
	aborts, refused := 0, 0
	for _, line := range r.wire {
		if strings.Contains(line, "ABORT") {
			aborts++
		}
	}
	for _, e := range r.events {
		if _, ok := e.(Refused); ok {
			refused++
		}
	}
	if limit := repliesPerSecond + 30; aborts == 0 || aborts > limit {
		t.Errorf("%d ABORTs to %d wrong messages, want 1..%d", aborts, n, limit)
	}
	if limit := refusalsPerSecond + 110; refused == 0 || refused > limit {
		t.Errorf("%d reports about %d wrong messages, want 1..%d", refused, 2*n, limit)
	}
	if r.s.Stats().Counters.Drops[machine.DropUnknown] != n {
		t.Error("every one must be counted")
	}
	if st := r.s.Stats().Counters; st.ReportsLost == 0 {
		t.Error("what is not reported must be counted")
	}
}

// Reports wait in bounded memory, but what changes the session is never lost.
func TestReportsAreBounded(t *testing.T) {
	r := begin(t, fast, 5000, 1, 2)
	r.advance(ms)
	r.forget()
	pkt := r.statusOf(1, 1, 0, 3)
	for range 3 * maxReports {
		r.s.Handle(r.now, arrived(addr(1), pkt))
	}
	m := wire.Complete{FileID: 1}
	r.s.Handle(r.now, arrived(addr(2), m.Append(message(2, wire.FuncComplete))))
	if n := len(r.s.reports.list); n != maxReports+1 {
		t.Errorf("%d reports wait, want %d and the COMPLETE", n, maxReports)
	}
	r.drain()
	if h := want[Heard](r, "the COMPLETE is reported"); h.Client.UID != 2 {
		t.Errorf("reported %+v", h)
	}
	if n := r.s.Stats().Counters.ReportsLost; n != 2*maxReports {
		t.Errorf("%d reports lost, want %d", n, 2*maxReports)
	}
}

// A queue that never runs empty keeps its order and its memory.
func TestReportQueue(t *testing.T) {
	var q reportQueue
	next, want := 0, 0
	push := func() { q.must(PassStarted{next}); next++ }
	push()
	for range 10 * maxReports {
		push()
		var e machine.Event
		if !q.pop(nil, &e) || e != (PassStarted{want}) {
			t.Fatalf("got %v, want pass %d", e, want)
		}
		want++
	}
	if cap(q.list) != 2*maxReports {
		t.Errorf("one report waits in room for %d", cap(q.list))
	}
}

func TestTellsAreBounded(t *testing.T) {
	var uids []wire.UID
	for i := range 600 {
		uids = append(uids, wire.UID(i+1))
	}
	r := join(t, func(c *Config) { c.GRTT = 5 * time.Second; c.Robust = 1 }, uids...)
	r.offer("f", 1)
	r.ack(1, 1, 0, false)
	r.forget()
	r.advance(40 * ms)
	r.wantPhase("599 are lost", Data)
	r.advance(time.Second)
	aborts := 0
	for _, line := range r.wire {
		if strings.Contains(line, "ABORT") {
			aborts++
		}
	}
	if aborts != 257 {
		t.Errorf("%d clients were reported, want 256 and the last one", aborts)
	}
}

func TestTooManyClients(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred thousand clients")
	}
	cfg := newRig(t, nil).cfg
	now := clock.Time(1e18)
	s := New(cfg, now)
	var out machine.Out
	reg := wire.Register{Time: wire.Stamp(now.Micros())}
	for i := range MaxClients {
		if d := s.Handle(now, arrived(addr(wire.UID(i+1)), reg.Append(wire.Version4, message(wire.UID(i+1), wire.FuncRegister)))).Drop; d != machine.DropNone {
			t.Fatalf("client %d was %q", i, d)
		}
	}
	u := wire.UID(MaxClients + 1)
	if d := s.Handle(now, arrived(addr(u), reg.Append(wire.Version4, message(u, wire.FuncRegister)))).Drop; d != machine.DropLimit {
		t.Errorf("one more was %q", d)
	}
	heard, rejected := 0, false
	for k := s.Poll(now, &out); k != machine.Idle; k = s.Poll(now, &out) {
		switch e := out.Event.(type) {
		case Heard:
			heard++
		case SentAbort:
			rejected = rejected || e.UID == u && e.Text == "Max destinations exceeded"
		}
	}
	if heard < MaxClients || !rejected {
		t.Errorf("%d clients heard, the one too many got an ABORT: %v", heard, rejected)
	}
}

// FuzzHandle throws datagrams at a sender in every phase. Two of every three bytes
// that decide are made right, or nothing would get past the first check.
func FuzzHandle(f *testing.F) {
	seed := func(phase byte, pkts ...[]byte) {
		var b []byte
		for _, p := range pkts {
			b = append(b, byte(len(p)), byte(len(p)>>8), 1)
			b = append(b, p...)
		}
		f.Add(phase, b)
	}
	reg := wire.Register{}
	status := wire.Status{FileID: 1, NAKs: []byte{255, 255, 3}}
	complete := wire.Complete{FileID: 1}
	ack := wire.FileInfoAck{FileID: 1}
	abort := wire.Abort{Text: []byte("x")}
	for phase := range byte(6) {
		seed(phase, reg.Append(wire.Version4, message(1, wire.FuncRegister)), ack.Append(wire.Version4, message(1, wire.FuncFileInfoAck)),
			status.Append(wire.Version4, message(1, wire.FuncStatus)), complete.Append(message(2, wire.FuncComplete)),
			abort.Append(message(2, wire.FuncAbort)))
	}
	f.Fuzz(func(t *testing.T, phase byte, data []byte) {
		set := with(fast, func(c *Config) { c.Robust = 2; c.MaxNAKPct = 50; c.QuitOnError = phase&8 != 0 })
		var r *rig
		switch phase % 6 {
		case 0:
			r = newRig(t, set)
		case 1:
			r = newRig(t, with(set, hosts(1, 2)))
		case 2:
			r = join(t, set, 1, 2)
		case 3:
			r = join(t, set, 1, 2)
			r.offer("f", 17_500)
		case 4:
			r = begin(t, set, 17_500, 1, 2)
		case 5:
			r = finish(t, set, 1, 2)
		}
		for len(data) >= 3 {
			n := min(int(data[0])|int(data[1])<<8, len(data)-3)
			how := data[2]
			pkt := data[3 : 3+n]
			data = data[3+n:]
			if how&1 == 0 && len(pkt) >= 20 {
				copy(pkt, message(wire.UID(how>>1&3), wire.Func(pkt[1])))
				pkt[16] = pkt[1]
			}
			r.deliverFrom(addr(wire.UID(how>>3&3)), pkt)
			if how&64 != 0 {
				r.advance(7 * ms)
			}
		}
		if r.s.phase == BetweenFiles && r.s.file.asked {
			r.s.EndOfFiles(r.now)
		}
		r.advance(20 * time.Second)
		if r.s.file.asked && r.s.phase == BetweenFiles {
			r.s.EndOfFiles(r.now)
			r.advance(20 * time.Second)
		}
		want[SessionEnded](r, "whatever comes in, the session ends")
	})
}
