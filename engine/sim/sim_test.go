package sim

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/pcap/frames"
	"uftp/wire"
)

// The tests of this file are about the world itself: what it claims to do to
// packets happens, runs repeat, and every checker sees what it is there for.

func TestContent(t *testing.T) {
	f := file("a", 10_000)
	whole := make([]byte, f.Size)
	f.read(whole, 0)
	for off := range int64(40) {
		for n := range 60 {
			part := make([]byte, n)
			f.read(part, off)
			if !bytes.Equal(part, whole[off:off+int64(n)]) || !f.equal(part, off) {
				t.Fatalf("%d bytes at %d differ from those of the whole file", n, off)
			}
		}
	}
	if !f.equal(whole, 0) {
		t.Error("the whole file must equal itself")
	}
	for _, i := range []int{0, 1, 511, 512, 5000, 9999} {
		whole[i] ^= 0x10
		if f.equal(whole, 0) {
			t.Errorf("a flipped bit at %d goes unseen", i)
		}
		whole[i] ^= 0x10
	}
	if file("b", f.Size).equal(whole, 0) || f.equal(whole[1300:2600], 0) {
		t.Error("other files and other places must have other bytes")
	}
}

// spy is a machine that hands on what it gets and does what the test asks for.
type spy struct {
	handle   func(d *machine.Datagram) machine.Verdict
	poll     func() machine.Kind
	deadline func() clock.Time
}

func (s spy) Handle(_ clock.Time, d *machine.Datagram) machine.Verdict { return s.handle(d) }
func (s spy) Poll(clock.Time, *machine.Out) machine.Kind {
	if s.poll == nil {
		return machine.Idle
	}
	return s.poll()
}
func (s spy) Deadline() clock.Time {
	if s.deadline == nil {
		return clock.Never
	}
	return s.deadline()
}

// arrival is a packet that came through.
type arrival struct {
	n     int // as numbered when sent
	at    time.Duration
	clean bool
}

// flow sends n packets 1 ms apart over one link and returns what arrives. Each
// carries its number and 98 fixed bytes.
func flow(t *testing.T, seed uint64, p Path, n int) (got []arrival) {
	t.Helper()
	w := New(seed)
	r := w.AddReceiverOn(receiver.Config{}, Path{}, p)
	s := &Sender{addr: netip.MustParseAddrPort("10.0.0.1:40000"), ended: true}
	s.w, s.name = w, "spy"
	s.room = func() bool { return true }
	s.begin(spy{handle: func(d *machine.Datagram) machine.Verdict {
		if d.At != w.now || d.To != s.addr.Addr() || d.From != r.addr {
			t.Fatalf("arrived at %v from %v to %v, want %v from %v to %v", d.At, d.From, d.To, w.now, r.addr, s.addr)
		}
		pkt := d.Data
		clean := len(pkt) == 100
		for i := 2; clean && i < 100; i++ {
			clean = pkt[i] == byte(i)
		}
		got = append(got, arrival{int(pkt[0])<<8 | int(pkt[1]), w.Now(), clean})
		return machine.Verdict{}
	}})
	w.senders = append(w.senders, s)
	data := make([]byte, 100)
	for i := range data {
		data[i] = byte(i)
	}
	for i := range n {
		w.At(time.Duration(i)*ms, func() {
			data[0], data[1] = byte(i>>8), byte(i)
			w.send(w.packet(r.addr, s.addr, data), w.now, r)
		})
	}
	if err := w.Run(time.Hour); err != nil {
		t.Fatal(err)
	}
	return got
}

// near reports whether got is within a tenth of want.
func near(got, want float64) bool { return math.Abs(got-want) <= want/10 }

func TestLinkLoss(t *testing.T) {
	const n = 40_000
	for _, p := range []float64{0.01, 0.1, 0.3} {
		if lost := 1 - float64(len(flow(t, 1, Path{Loss: p}, n)))/n; !near(lost, p) {
			t.Errorf("a loss of %v loses %.4f", p, lost)
		}
		got := flow(t, 1, Path{Burst: Bursts(p, 8)}, n)
		lost := 1 - float64(len(got))/n
		bursts := 0
		for i := 1; i < len(got); i++ {
			if got[i].n != got[i-1].n+1 {
				bursts++
			}
		}
		if length := float64(n-len(got)) / float64(bursts); math.Abs(lost-p) > p/4 || math.Abs(length-8) > 1.6 {
			t.Errorf("bursts of 8 that lose %v lose %.4f in bursts of %.2f", p, lost, length)
		}
	}
	if got := flow(t, 1, Path{}, 100); len(got) != 100 {
		t.Errorf("a path without faults delivers %d of 100", len(got))
	}
}

func TestLinkDelayAndOrder(t *testing.T) {
	const n = 5000
	late, inOrder := 0, true
	for i, a := range flow(t, 2, Path{Delay: 10 * ms, Jitter: 30 * ms}, n) {
		d := a.at - time.Duration(a.n)*ms
		if d < 10*ms || d > 40*ms {
			t.Fatalf("packet %d took %v, want 10 to 40 ms", a.n, d)
		}
		if d > 20*ms {
			late++
		}
		inOrder = inOrder && a.n == i
	}
	if late < n/4 || !inOrder {
		t.Errorf("jitter delays %d of %d by more than 10 ms, in order %v", late, n, inOrder)
	}
	overtaken := 0
	got := flow(t, 3, Path{Delay: ms, Reorder: 0.1, ReorderBy: 20 * ms}, n)
	for i := 1; i < len(got); i++ {
		if got[i].n < got[i-1].n {
			overtaken++
		}
	}
	if len(got) != n || !near(float64(overtaken), 0.095*n) {
		t.Errorf("reordering delivers %d of %d, %d of them overtaken", len(got), n, overtaken)
	}
	if got := flow(t, 4, Path{Dup: 0.2}, n); !near(float64(len(got)), 1.2*n) {
		t.Errorf("duplicating a fifth delivers %d of %d", len(got), n)
	}
}

func TestLinkCorruption(t *testing.T) {
	const n = 20_000
	got := flow(t, 5, Path{Corrupt: 0.1}, n)
	dirty := 0
	for _, a := range got {
		if !a.clean {
			dirty++
		}
	}
	if !near(float64(n-len(got)), 0.1*n) || dirty > 0 {
		t.Errorf("with the checksum %d of %d arrive, %d of them dirty", len(got), n, dirty)
	}
	got, dirty = flow(t, 5, Path{Corrupt: 0.1, NoChecksum: true}, n), 0
	for _, a := range got {
		if !a.clean {
			dirty++
		}
	}
	// Some flips meet the number, which is not compared, and some undo each other.
	if len(got) != n || dirty < n/12 || dirty > n/10*11/10 {
		t.Errorf("without it %d of %d arrive, %d of them dirty", len(got), n, dirty)
	}
}

func TestLinksAreIndependent(t *testing.T) {
	p := Path{Loss: 0.5}
	a, b := flow(t, 6, p, 200), flow(t, 6, p, 200)
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("the same seed gives another outcome")
	}
	if fmt.Sprint(a) == fmt.Sprint(flow(t, 7, p, 200)) {
		t.Error("another seed gives the same outcome")
	}
	// What one link loses does not depend on what others carry.
	fate := func(n int) (lost []bool) {
		w := New(8)
		receivers(w, n, p)
		for range 200 {
			pk := w.packet(Public, Public, nil)
			for _, r := range w.receivers[1:] {
				r.downLink.lost(pk)
			}
			lost = append(lost, w.receivers[0].downLink.lost(pk))
			pk.release()
		}
		return lost
	}
	if !slices.Equal(fate(1), fate(4)) {
		t.Error("one receiver's luck depends on how many others there are")
	}
}

// TestRunsRepeat compares the traces of equal and of different seeds.
func TestRunsRepeat(t *testing.T) {
	trace := func(seed uint64) [32]byte {
		w := New(seed)
		h := sha256.New()
		w.Trace = h
		if err := play(w, mix); err != nil {
			t.Fatal(err)
		}
		return [32]byte(h.Sum(nil))
	}
	seen := map[[32]byte]bool{}
	for seed := uint64(1); seed <= 5; seed++ {
		a := trace(seed)
		if a != trace(seed) {
			t.Errorf("seed %d runs differently the second time", seed)
		}
		if seen[a] {
			t.Errorf("seed %d runs like another one", seed)
		}
		seen[a] = true
	}
}

// TestRecord: what a failure leaves can be read, and holds the session.
func TestRecord(t *testing.T) {
	w := New(1)
	capture, trace, err := record(w, func() {
		play(w, func(w *World) (time.Duration, func() error) {
			receivers(w, 2, Path{Delay: ms})
			w.AddSender(fast(), file("a", 10_000))
			return time.Minute, nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(strings.TrimSuffix(capture, "/packets.pcap"))
	f, err := os.Open(capture)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := frames.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	kinds := map[wire.Func]bool{}
	for d, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		h, _, err := wire.ParseHeader(d.Payload)
		if err != nil {
			t.Fatal(err)
		}
		kinds[h.Func] = true
		n++
	}
	if n != w.Sent() || !kinds[wire.FuncAnnounce] || !kinds[wire.FuncFileSeg] || !kinds[wire.FuncDoneConf] {
		t.Errorf("the capture holds %d packets of %d", n, w.Sent())
	}
	if b, err := os.ReadFile(trace); err != nil || !bytes.Contains(b, []byte("SessionEnded")) {
		t.Errorf("the trace does not show the end: %v", err)
	}
}

// faulty returns what the checkers say to a world in which do happens after 100 ms
// of a good session with one file of 10 blocks, opened by the receiver as file 1.
func faulty(do func(w *World, s *Sender, r *Receiver, o *openFile)) error {
	w := New(1)
	r := w.AddReceiver(receiver.Config{Restart: true}, Path{Delay: ms})
	cfg := slow()
	cfg.RegisterCount = 1
	s := w.AddSender(cfg, file("a", 13_000))
	done := false
	r.Hook = func(ev machine.Event) {
		if ev, ok := ev.(receiver.Open); ok && !done {
			done = true
			w.At(w.Now()+2*ms, func() { do(w, s, r, r.Disk.open[ev.Request.Ref]) })
		}
	}
	return w.Run(time.Minute)
}

func TestCheckersSee(t *testing.T) {
	block0 := func(w *World, o *openFile) (*packet, *machine.Store) {
		p := w.packet(Private, Private, make([]byte, 1324))
		o.file.read(p.data[24:], 0)
		return p, &machine.Store{Ref: o.ref, Offset: 0, Data: p.data[24:]}
	}
	full := func(n int, missing ...int) *block.Set {
		s := new(block.Set)
		s.Reset(n, false)
		for _, i := range missing {
			s.Add(i)
		}
		return s
	}
	for _, c := range []struct {
		want string
		do   func(w *World, s *Sender, r *Receiver, o *openFile)
	}{
		{"", func(*World, *Sender, *Receiver, *openFile) {}},
		{"wrong bytes", func(w *World, s *Sender, r *Receiver, o *openFile) {
			p, st := block0(w, o)
			st.Data[7] ^= 1
			o.have.Reset(10, false)
			r.Disk.store(p, st)
		}},
		{"twice", func(w *World, s *Sender, r *Receiver, o *openFile) {
			o.have.Reset(10, false)
			r.Disk.store(block0(w, o))
			r.Disk.store(block0(w, o))
		}},
		{"no block of it", func(w *World, s *Sender, r *Receiver, o *openFile) {
			p, st := block0(w, o)
			st.Offset = 1
			r.Disk.store(p, st)
		}},
		{"no block of it", func(w *World, s *Sender, r *Receiver, o *openFile) {
			p, st := block0(w, o)
			st.Data = st.Data[1:]
			r.Disk.store(p, st)
		}},
		{"which is not open", func(w *World, s *Sender, r *Receiver, o *openFile) {
			p, st := block0(w, o)
			st.Ref += 9
			r.Disk.store(p, st)
		}},
		{"not open yet or closed", func(w *World, s *Sender, r *Receiver, o *openFile) {
			o.closed = true
			r.Disk.store(block0(w, o))
		}},
		{"closes a with", func(w *World, s *Sender, r *Receiver, o *openFile) {
			o.have.Reset(10, false)
			r.Disk.close(&receiver.Close{Ref: o.ref})
		}},
		{"block 3 missing false", func(w *World, s *Sender, r *Receiver, o *openFile) {
			o.have.Reset(10, true)
			o.have.Remove(3)
			r.Disk.checkpoint(&receiver.Checkpoint{Ref: o.ref, Missing: full(10)})
		}},
		{"block 4 missing true", func(w *World, s *Sender, r *Receiver, o *openFile) {
			o.have.Reset(10, true)
			r.Disk.abandon(&receiver.Abandon{Ref: o.ref, Missing: full(10, 4)})
		}},
		{"without a set", func(w *World, s *Sender, r *Receiver, o *openFile) {
			r.Disk.abandon(&receiver.Abandon{Ref: o.ref, Missing: full(9)})
		}},
		{"its disk does not have it", func(w *World, s *Sender, r *Receiver, o *openFile) {
			r.event(receiver.FileEnded{Request: o.rq})
		}},
		{"but the disk does not have it", func(w *World, s *Sender, r *Receiver, o *openFile) {
			w.checkResults(s, &sender.FileEnded{FileID: 1, File: sender.File{Name: "a", Size: 13_000, MTime: o.rq.MTime},
				Results: []sender.Result{{Client: sender.Client{UID: r.UID()}, State: sender.Done}}})
		}},
		{"which it never started", func(w *World, s *Sender, r *Receiver, o *openFile) {
			w.checkResults(s, &sender.FileEnded{FileID: 2, File: sender.File{Name: "b"}})
		}},
		{"where it is no member", func(w *World, s *Sender, r *Receiver, o *openFile) {
			r.event(receiver.Leave{Group: netip.MustParseAddr("230.9.9.9")})
		}},
		{"where it is a member", func(w *World, s *Sender, r *Receiver, o *openFile) {
			r.event(receiver.Join{Group: Private.Addr()})
		}},
		{"sends number", func(w *World, s *Sender, r *Receiver, o *openFile) { s.seq += 2 }},
		{"what does not parse", func(w *World, s *Sender, r *Receiver, o *openFile) {
			w.checkPacket(w.packet(r.addr, s.addr, []byte("nonsense of twenty and more bytes")), "x")
		}},
		{"more than a receiver takes", func(w *World, s *Sender, r *Receiver, o *openFile) {
			w.send(w.packet(s.addr, Private, make([]byte, 9001)), w.now, nil)
		}},
		{"ahead of its rate", func(w *World, s *Sender, r *Receiver, o *openFile) {
			for range 40 {
				s.pace.took(s, w.now, 1300)
			}
		}},
		{"plans a train of file 7", func(w *World, s *Sender, r *Receiver, o *openFile) {
			tr := machine.Train{FileID: 7}
			s.carryOut(machine.TrainKind, &machine.Out{Train: tr})
		}},
		{"has not ended", func(w *World, s *Sender, r *Receiver, o *openFile) { w.events = clock.Queue[event]{} }},
		{"packets after hearing", func(w *World, s *Sender, r *Receiver, o *openFile) {
			h := wire.Header{Version: wire.Version4, Func: wire.FuncComplete, Src: r.UID()}
			x := wire.Complete{}
			p := w.packet(r.addr, s.addr, x.Append(h.Append(nil)))
			for range 200 {
				r.checkSent(p)
			}
		}},
	} {
		err := faulty(c.do)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("a good session is reported: %v", err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("nobody says %q, but: %v", c.want, err)
		}
	}
}

// TestHostChecks drives machines that break the contract in time.
func TestHostChecks(t *testing.T) {
	for _, c := range []struct {
		want string
		m    func(w *World) spy
	}{
		{"", func(w *World) spy { return spy{} }},
		{"does not come to an end", func(w *World) spy { return spy{poll: func() machine.Kind { return machine.EventKind }} }},
		{"is idle, but its deadline was", func(w *World) spy { return spy{deadline: func() clock.Time { return w.now }} }},
	} {
		w := New(1)
		h := &host{w: w, name: "spy", room: func() bool { return true }, do: func(machine.Kind, *machine.Out) {}}
		h.begin(c.m(w))
		w.At(ms, h.settle)
		err := w.Run(time.Second)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("a good machine is reported: %v", err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("nobody says %q, but: %v", c.want, err)
		}
	}
}

// TestDeadlineIsKept: a machine is asked exactly at its deadline, also when it has
// moved it since.
func TestDeadlineIsKept(t *testing.T) {
	w := New(1)
	var asked []time.Duration
	due := Epoch.Add(10 * ms)
	h := &host{w: w, name: "spy", room: func() bool { return true }}
	h.begin(spy{
		poll: func() machine.Kind {
			asked = append(asked, w.Now())
			if w.now >= due {
				due = due.Add(10 * ms)
			}
			if w.Now() >= 35*ms {
				due = clock.Never
			}
			return machine.Idle
		},
		deadline: func() clock.Time { return due },
	})
	w.At(0, h.settle)
	w.At(25*ms, func() { due = Epoch.Add(35 * ms); h.settle() }) // later than the 30 ms set before
	if err := w.Run(time.Second); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{0, 10 * ms, 20 * ms, 25 * ms, 30 * ms, 35 * ms}; fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("the machine was asked at %v, want %v", asked, want)
	}
	// Forgetting a deadline is noticed at the next occasion.
	w = New(1)
	h = &host{w: w, name: "spy", deadline: Epoch, timer: clock.Never}
	w.now = Epoch.Add(ms)
	if h.onTime(); len(w.errs) == 0 {
		t.Error("a deadline that went by goes unseen")
	}
}

// TestRules: rules count what they match, on the links they name.
func TestRules(t *testing.T) {
	w := New(1)
	a, b := w.AddReceiver(receiver.Config{}, Path{}), w.AddReceiver(receiver.Config{}, Path{})
	w.Rules = []Rule{
		{Dir: Up, Func: wire.FuncRegister, Node: 0, First: 2},
		{Dir: Up, Func: wire.FuncStatus, Node: Everybody, Every: 3},
		{Dir: Up, Func: wire.FuncComplete, Node: 1, All: true},
		{Dir: Up, Node: Everybody, All: true, Match: func(h wire.Header, _ []byte) bool { return h.Seq == 9 }},
	}
	fates := func(l *link, f wire.Func, n int, seq uint16) (s string) {
		for range n {
			h := wire.Header{Version: wire.Version4, Func: f, Seq: seq}
			p := w.packet(Private, Private, append(h.Append(nil), byte(f), 1, 0, 0))
			s += map[bool]string{true: "x", false: "."}[l.lost(p)]
			p.release()
		}
		return s
	}
	for _, c := range []struct {
		l    *link
		f    wire.Func
		seq  uint16
		want string
	}{
		{&a.upLink, wire.FuncRegister, 0, "xx...."}, {&b.upLink, wire.FuncRegister, 0, "......"}, {&a.downLink, wire.FuncRegister, 0, "......"},
		{&a.upLink, wire.FuncStatus, 0, "..x..x"}, {&b.upLink, wire.FuncStatus, 0, "..x..x"},
		{&a.upLink, wire.FuncComplete, 0, "......"}, {&b.upLink, wire.FuncComplete, 0, "xxxxxx"},
		{&a.upLink, wire.FuncAbort, 9, "xxxxxx"},
	} {
		if got := fates(c.l, c.f, 6, c.seq); got != c.want {
			t.Errorf("%v on the link of %s, direction %d: %s, want %s", c.f, c.l.node, c.l.dir, got, c.want)
		}
	}
}

// TestPacketsReturn: after a session no buffer is held any more, so long runs do
// not grow.
func TestPacketsReturn(t *testing.T) {
	w := New(1)
	receivers(w, 5, Path{Delay: ms, Loss: 0.1, Dup: 0.1, Reorder: 0.1, Jitter: ms, Corrupt: 0.1})
	s := w.AddSender(fast(), file("a", 500_000))
	if err := w.Run(time.Minute); err != nil {
		t.Fatal(err)
	}
	if !s.Done() {
		t.Fatal("the session did not end")
	}
	for _, p := range w.free {
		if p.refs != 0 {
			t.Fatalf("a free packet is held %d times", p.refs)
		}
	}
	if n := len(w.free); n == 0 || int64(n) > w.Sent()/2 {
		t.Errorf("%d buffers served %d packets: they are not used again", n, w.Sent())
	}
}
