package tap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/store"
	"uftp/pcap"
	"uftp/pcap/frames"
)

var (
	tapGroup = netip.MustParseAddrPort("230.4.4.1:1044")
	tapPeer  = netip.MustParseAddrPort("10.0.0.7:5000")
	tapOwn   = netip.MustParseAddr("10.0.0.1")
)

// memoryFiles is a ring of files in memory that fails on demand.
type memoryFiles struct {
	mu    sync.Mutex
	head  []byte
	files [][]byte
	err   error         // of Write and Next
	stuck chan struct{} // Write waits for it, if there is one
	shut  bool          // the last failure has closed the file
	moved bool
}

func (m *memoryFiles) Write(b []byte) error {
	if m.stuck != nil {
		<-m.stuck
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	last := len(m.files) - 1
	m.files[last] = append(m.files[last], b...)
	return nil
}

func (m *memoryFiles) Next() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		m.shut = true
		return m.err
	}
	m.files, m.shut = append(m.files, bytes.Clone(m.head)), false
	return nil
}

func (m *memoryFiles) Open() bool { return !m.shut }

func (m *memoryFiles) Moved() bool { return m.moved }

func (m *memoryFiles) Size() int64 { return int64(len(m.files[len(m.files)-1])) }

func (m *memoryFiles) Close() error { return nil }

func (m *memoryFiles) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// readFile returns the datagrams of a capture and the losses that its packets and
// its end state.
func readFile(t testing.TB, b []byte) (list []pcap.Datagram, marked, lost uint64) {
	t.Helper()
	r, err := frames.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for d, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, d)
	}
	if s := r.Stats(); s.Broken+s.Other+s.Super != 0 {
		t.Errorf("%+v, want datagrams only", s)
	}
	le := binary.LittleEndian
	for at := 0; at < len(b); {
		n := int(le.Uint32(b[at+4:]))
		body := b[at+8 : at+n-4]
		switch le.Uint32(b[at:]) {
		case 6: // enhanced packet; option 4 counts drops
			for o := body[20+(le.Uint32(body[12:])+3)&^3:]; len(o) > 4; o = o[4+(le.Uint16(o[2:])+3)&^3:] {
				if le.Uint16(o) == 4 {
					marked += le.Uint64(o[4:])
				}
			}
		case 5: // statistics; option 5 counts what is lost
			lost = le.Uint64(body[12+12+4:])
		}
		at += n
	}
	return list, marked, lost
}

// testTap is a Tap that writes to memory. It does not run unless started.
type testTap struct {
	*Tap
	files  *memoryFiles
	events []machine.Event
}

func newTestTap() *testTap {
	x := &testTap{}
	x.Tap = newTap(Config{Files: store.CaptureConfig{Path: "memory", FileBytes: 1 << 40}}, Host{
		Now:    func() clock.Time { return clock.Time(time.Now().UnixNano()) },
		Time:   func(t clock.Time) time.Time { return time.Unix(0, int64(t)) },
		Report: func(ev machine.Event) { x.events = append(x.events, ev) },
		Source: func(netip.AddrPort) (netip.Addr, error) { return tapOwn, nil },
		Port:   1044, TTL: 9,
	})
	x.files = &memoryFiles{head: x.enc.AppendHead(nil)}
	x.files.files = [][]byte{bytes.Clone(x.files.head)}
	x.Tap.files = x.files
	return x
}

// start lets the Tap run on a goroutine of its own. Until stop returns, events belong to it.
func (x *testTap) start() { go x.Run() }

func (x *testTap) stop() { x.Close(func(ended <-chan struct{}) bool { <-ended; return true }) }

// reports returns how many failures and how many losses the events report.
func (x *testTap) reports() (failed int, lost uint64) {
	for _, ev := range x.events {
		switch ev := ev.(type) {
		case Failed:
			failed++
		case Lost:
			lost += ev.Count
		}
	}
	return failed, lost
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timeout: want that %s", what)
		}
	}
}

// trains makes random trains of equal datagrams with a shorter last one.
func trains(rng *rand.Rand, n int) (list []netio.TxTrain) {
	for range n {
		seg := 1 + rng.IntN(3000)
		b := make([]byte, 1+rng.IntN(20_000))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		if rng.IntN(3) == 0 {
			seg = 0
		}
		list = append(list, netio.TxTrain{Buf: b, Seg: seg, To: tapGroup})
	}
	return list
}

// sentAt is a train that left at some time.
func sentAt(l *Lane, at clock.Time, trains ...netio.TxTrain) {
	l.begun.Store(int64(at))
	l.Sent(trains)
}

// split is what a train is on the wire.
func split(buf []byte, seg int) (list [][]byte) {
	for n := netio.Datagrams(len(buf), seg); n > 1; n-- {
		list = append(list, buf[:seg])
		buf = buf[seg:]
	}
	return append(list, buf)
}

func TestTapSplitsTrains(t *testing.T) {
	x := newTestTap()
	tx := x.Lane(pcap.Outbound, Size{1 << 20, 4096}, 0xb8)
	rx := x.Lane(pcap.Inbound, Size{1 << 20, 4096}, 0)
	rng := rand.New(rand.NewPCG(1, 1))
	x.start()
	type want struct {
		src, dst netip.AddrPort
		data     []byte
	}
	var wants []want
	own := netip.AddrPortFrom(tapOwn, 1044)
	for i := range 100 {
		if i%3 == 0 {
			b := trains(rng, 1)[0]
			s := netio.RxSlot{Buf: b.Buf, N: len(b.Buf), Seg: b.Seg, From: tapPeer, To: tapGroup.Addr()}
			dst := tapGroup
			if i%2 == 0 {
				s.To, dst = netip.Addr{}, own // a system that does not report it
			}
			rx.Received([]netio.RxSlot{s})
			for _, p := range split(b.Buf, b.Seg) {
				wants = append(wants, want{tapPeer, dst, p})
			}
			continue
		}
		list := trains(rng, 1+rng.IntN(3))
		tx.Begin()
		tx.Sent(list)
		for _, b := range list {
			for _, p := range split(b.Buf, b.Seg) {
				wants = append(wants, want{own, tapGroup, p})
			}
		}
		if i%10 == 0 {
			eventually(t, "the lanes are empty, there is room for what comes", func() bool { return tx.in.Idle() && rx.in.Idle() })
		}
	}
	x.stop()
	got, marked, lost := readFile(t, x.files.files[0])
	if marked != 0 || lost != 0 {
		t.Errorf("%d and %d datagrams lost, want none", marked, lost)
	}
	if len(got) != len(wants) {
		t.Fatalf("%d datagrams, want %d", len(got), len(wants))
	}
	for i, g := range got {
		if w := wants[i]; g.Src != w.src || g.Dst != w.dst || !bytes.Equal(g.Payload, w.data) {
			t.Fatalf("datagram %d: %v > %v, %d bytes; want %v > %v, %d bytes", i, g.Src, g.Dst, len(g.Payload), w.src, w.dst, len(w.data))
		}
		if i > 0 && g.Time.Before(got[i-1].Time) {
			t.Errorf("datagram %d is older than the one before", i)
		}
	}
}

// TestAnswersDoNotOvertake: sending takes long, and the answer is there before it has
// ended. The capture waits with the answer, unless that costs packets.
func TestAnswersDoNotOvertake(t *testing.T) {
	x := newTestTap()
	tx, rx := x.Lane(pcap.Outbound, Size{1 << 20, 4096}, 0), x.Lane(pcap.Inbound, Size{64 << 10, 4096}, 0)
	answer := []netio.RxSlot{{Buf: []byte("answer"), N: 6, From: tapPeer, To: tapOwn}}
	tx.Begin()
	rx.Received(answer)
	late := x.host.Now().Add(time.Minute)
	x.drain(x.complete(late))
	if rx.oldest() == nil {
		t.Fatal("the answer was taken while its question is being sent")
	}
	tx.Sent([]netio.TxTrain{{Buf: []byte("question"), To: tapGroup}})
	x.drain(x.complete(late))
	x.flush()
	got, _, _ := readFile(t, x.files.files[0])
	if len(got) != 2 || string(got[0].Payload) != "question" || string(got[1].Payload) != "answer" {
		t.Errorf("%d datagrams, %v, want the question first", len(got), got)
	}

	tx.Begin()
	for !rx.halfFull() {
		rx.Received(answer)
	}
	x.drain(x.complete(late))
	if rx.oldest() != nil || rx.refused.Load() != 0 {
		t.Error("want a lane that fills up to be emptied, whatever is being sent")
	}
}

// TestFullLaneCounts stops the disk: what does not fit is counted and reported in the
// events, in the packet behind the gap, and at the end of the file; nobody waits.
func TestFullLaneCounts(t *testing.T) {
	x := newTestTap()
	x.files.stuck = make(chan struct{})
	tx := x.Lane(pcap.Outbound, Size{64 << 10, 4096}, 0)
	x.start()
	b := make([]byte, 13*100)
	total := 0
	put := func(n int) {
		for range n {
			binary.LittleEndian.PutUint32(b, uint32(total))
			tx.Begin()
			tx.Sent([]netio.TxTrain{{Buf: b, Seg: 100, To: tapGroup}})
			total += 13
		}
	}
	put(1000)
	if tx.refused.Load() == 0 {
		t.Fatal("nothing was lost, want a full lane")
	}
	close(x.files.stuck)
	eventually(t, "the lane is empty again", tx.in.Idle)
	put(1)
	x.stop()
	got, marked, lost := readFile(t, x.files.files[0])
	if len(got)+int(lost) != total || marked != lost || lost != tx.refused.Load() {
		t.Errorf("%d in the file, %d lost by its packets, %d by its end, %d by the lane; want %d together", len(got), marked, lost, tx.refused.Load(), total)
	}
	if g := got[len(got)-13].Payload; binary.LittleEndian.Uint32(g) != uint32(total-13) {
		t.Errorf("the last train is not the one sent after the gap")
	}
	if failed, counted := x.reports(); counted != lost || failed != 0 {
		t.Errorf("%d lost datagrams and %d failures reported, want %d and none", counted, failed, lost)
	}
}

// TestFilesFail lets writes fail for a while: the failure is reported once, what is lost
// meanwhile is counted, and it goes on afterwards.
func TestFilesFail(t *testing.T) {
	for _, shut := range []bool{false, true} {
		x := newTestTap()
		tx := x.Lane(pcap.Outbound, Size{1 << 20, 4096}, 0)
		total, at := 0, x.host.Now()
		put := func(n int) {
			for range n {
				sentAt(tx, at, netio.TxTrain{Buf: make([]byte, 1300), Seg: 100, To: tapGroup})
				total += 13
				at += clock.Time(time.Microsecond)
			}
			for x.drain(clock.Never) {
			}
			x.flush()
		}
		put(10)
		x.files.fail(errors.New("no space left"))
		put(10)
		if x.files.shut = shut; shut {
			at = x.retryAt
			put(10) // now the file cannot be opened either
		}
		x.files.fail(nil)
		at = x.retryAt.Add(-time.Second)
		put(10) // too early
		at = x.retryAt
		put(10)
		x.finish()
		in := 0
		var marked, lost uint64
		for _, f := range x.files.files {
			got, m, l := readFile(t, f)
			in, marked, lost = in+len(got), marked+m, max(lost, l)
		}
		if in != 20*13 || in+int(lost) != total || marked != lost {
			t.Errorf("shut %v: %d in the files, %d lost by packets, %d by the end; want %d of %d in the files", shut, in, marked, lost, 20*13, total)
		}
		failed, counted := x.reports()
		if failed != 1 || counted != lost {
			t.Errorf("shut %v: %d failures reported, want 1; %d losses reported, want %d", shut, failed, counted, lost)
		}
	}
}

// TestFilesRotate: no file is longer than it may be, every one is good by itself, and
// together they hold everything.
func TestFilesRotate(t *testing.T) {
	x := newTestTap()
	x.max = 300_000
	tx := x.Lane(pcap.Outbound, Size{1 << 20, 4096}, 0)
	var want []byte
	for i := range 100 {
		b := bytes.Repeat([]byte{byte(i)}, 20_000)
		sentAt(tx, clock.Time(i), netio.TxTrain{Buf: b, Seg: 1300, To: tapGroup})
		want = append(want, b...)
		for i%7 == 0 && x.drain(clock.Never) {
		}
		if i%20 == 0 {
			x.drain(clock.Never)
			x.flush()
		}
	}
	x.finish()
	if len(x.files.files) < 8 {
		t.Errorf("%d files, want several", len(x.files.files))
	}
	var all []byte
	for i, f := range x.files.files {
		if len(f) > 300_000 || i < len(x.files.files)-1 && len(f) < 300_000-2*pcap.RecordMax {
			t.Errorf("file %d of %d bytes, want nearly 300000", i, len(f))
		}
		got, _, _ := readFile(t, f)
		for _, g := range got {
			all = append(all, g.Payload...)
		}
	}
	if !bytes.Equal(all, want) {
		t.Errorf("%d bytes in all files, want the %d that were sent", len(all), len(want))
	}
}

// TestLaneWraps puts records of all lengths through a small lane from one goroutine
// to another: they come out as they went in, or are counted.
func TestLaneWraps(t *testing.T) {
	x := newTestTap()
	rx := x.Lane(pcap.Inbound, Size{16 << 10, 4096}, 0)
	x.start()
	rng := rand.New(rand.NewPCG(2, 2))
	offered := 0
	for i := range 20_000 {
		b := make([]byte, rng.IntN(4000))
		for j := range b {
			b[j] = byte(i)
		}
		rx.Received([]netio.RxSlot{{Buf: b, N: len(b), From: tapPeer, To: tapOwn}})
		offered++
		if i%50 == 0 {
			time.Sleep(10 * time.Microsecond)
		}
	}
	rx.Received([]netio.RxSlot{{Truncated: true}})
	offered++
	x.stop()
	got, _, lost := readFile(t, x.files.files[0])
	if len(got) == 0 || len(got)+int(lost) != offered || lost == 0 {
		t.Errorf("%d captured and %d lost, want %d together and some of both", len(got), lost, offered)
	}
	for _, g := range got {
		for _, c := range g.Payload {
			if c != g.Payload[0] {
				t.Fatal("a record holds bytes of another")
			}
		}
	}
}

// TestRecordsRunOut: a lane that has bytes left but no records refuses and counts, too, and
// asks to be emptied before that.
func TestRecordsRunOut(t *testing.T) {
	x := newTestTap()
	tx := x.Lane(pcap.Outbound, Size{1 << 20, 8}, 0)
	for i := range 10 {
		if want := i > 4; tx.halfFull() != want {
			t.Errorf("%d of 8 records: half full is %v, want %v", i, !want, want)
		}
		sentAt(tx, clock.Time(i), netio.TxTrain{Buf: []byte{byte(i)}, To: tapGroup})
		if poked := len(x.wake) > 0; poked != (i >= 4) {
			t.Errorf("Run was woken with %d of 8 records: %v, want that from the fifth on", i+1, poked)
		}
	}
	for x.drain(clock.Never) {
	}
	sentAt(tx, 10, netio.TxTrain{Buf: []byte{10}, To: tapGroup})
	x.finish()
	got, marked, lost := readFile(t, x.files.files[0])
	if len(got) != 9 || got[8].Payload[0] != 10 || marked != 2 || lost != 2 {
		t.Errorf("%d datagrams, %d lost by packets, %d by the end; want the first 8 and the last, and 2 lost", len(got), marked, lost)
	}
}

// TestFilesHang: Close does not wait for a file longer than its caller, and reports that.
func TestFilesHang(t *testing.T) {
	x := newTestTap()
	x.files.stuck = make(chan struct{})
	sentAt(x.Lane(pcap.Outbound, Size{1 << 20, 8}, 0), 1, netio.TxTrain{Buf: []byte("x"), To: tapGroup})
	x.start()
	x.Close(func(<-chan struct{}) bool { return false })
	if failed, _ := x.reports(); failed != 1 {
		t.Errorf("%d failures reported, want 1", failed)
	}
	close(x.files.stuck)
	<-x.ended
}

// TestNil: a role without a capture makes the same calls.
func TestNil(t *testing.T) {
	x, err := Open(Config{}, Host{})
	if x != nil || err != nil {
		t.Fatalf("%v, %v: want no Tap without a path", x, err)
	}
	l := x.Lane(pcap.Inbound, Data, 0)
	x.Run()
	l.Begin()
	l.Sent(make([]netio.TxTrain, 1))
	l.Received(make([]netio.RxSlot, 1))
	x.Close(nil)
	if x.Lost() != 0 {
		t.Error("nothing is captured, and some of it is lost")
	}
}

// TestUnknownSource: a datagram whose own address the system does not know is
// captured all the same, and the system is not asked for every one.
func TestUnknownSource(t *testing.T) {
	x := newTestTap()
	asked := 0
	x.host.Source = func(netip.AddrPort) (netip.Addr, error) { asked++; return netip.Addr{}, io.ErrUnexpectedEOF }
	tx := x.Lane(pcap.Outbound, Size{1 << 20, 4096}, 0)
	six := netip.MustParseAddrPort("[ff12::1%eth7]:1044")
	at := x.host.Now()
	for range 100 {
		sentAt(tx, at, netio.TxTrain{Buf: []byte("x"), To: tapGroup}, netio.TxTrain{Buf: []byte("y"), To: six})
	}
	sentAt(tx, at.Add(2*sourceFor), netio.TxTrain{Buf: []byte("x"), To: tapGroup})
	x.finish()
	got, _, _ := readFile(t, x.files.files[0])
	if len(got) != 201 || got[0].Src.Addr() != netip.IPv4Unspecified() || got[1].Src.Addr() != netip.IPv6Unspecified() {
		t.Errorf("%d datagrams, from %v and %v; want 201 from the unspecified addresses", len(got), got[0].Src, got[1].Src)
	}
	if got[1].Dst != netip.AddrPortFrom(six.Addr().WithZone(""), 1044) {
		t.Errorf("sent to %v, want the group without its zone", got[1].Dst)
	}
	if asked != 3 {
		t.Errorf("the system was asked %d times, want once for each address, and again after a while", asked)
	}
}

func TestTapAllocatesNothing(t *testing.T) {
	x := newTestTap()
	tx, rx := x.Lane(pcap.Outbound, Size{4 << 20, 4096}, 0), x.Lane(pcap.Inbound, Size{4 << 20, 4096}, 0)
	x.files.files[0] = make([]byte, 0, 64<<20)
	b := make([]byte, 20*1324)
	out := []netio.TxTrain{{Buf: b, Seg: 1324, To: tapGroup}}
	in := []netio.RxSlot{{Buf: b, N: len(b), Seg: 1324, From: tapPeer}}
	if n := testing.AllocsPerRun(500, func() {
		tx.Begin()
		tx.Sent(out)
		rx.Received(in)
		x.drain(clock.Never)
		x.flush()
	}); n != 0 {
		t.Errorf("%v allocations for a train and a slot, want none", n)
	}
	if x.Lost() != 0 {
		t.Errorf("%d lost, want none", x.Lost())
	}
}

// BenchmarkTap is what the data path pays for a train of 45 datagrams of 1300 bytes.
func BenchmarkTap(b *testing.B) {
	buf := make([]byte, 45*1324)
	out := []netio.TxTrain{{Buf: buf, Seg: 1324, To: tapGroup}}
	b.Run("off", func(b *testing.B) {
		var lane *Lane
		b.SetBytes(int64(len(buf)))
		for b.Loop() {
			lane.Begin()
			lane.Sent(out)
		}
	})
	b.Run("on", func(b *testing.B) {
		x := newTestTap()
		lane := x.Lane(pcap.Outbound, Data, 0)
		b.SetBytes(int64(len(buf)))
		for b.Loop() {
			lane.Begin()
			lane.Sent(out)
			lane.drop(lane.oldest()) // Run keeps up
		}
	})
	b.Run("full", func(b *testing.B) {
		x := newTestTap()
		lane := x.Lane(pcap.Outbound, Size{64 << 10, 4096}, 0)
		lane.Begin()
		lane.Sent(out)
		b.SetBytes(int64(len(buf)))
		for b.Loop() {
			lane.Begin()
			lane.Sent(out)
		}
	})
}

// A file that was moved away is followed by a new one when somebody asks for it, not
// before, and one that is still there goes on.
func TestTapReopens(t *testing.T) {
	for _, tt := range []struct {
		asked, moved bool
		files        int
	}{{false, true, 1}, {true, false, 1}, {true, true, 2}} {
		x := newTestTap()
		reopen := make(chan struct{}, 1)
		x.reopen, x.files.moved = reopen, tt.moved
		if tt.asked {
			reopen <- struct{}{}
		}
		x.start()
		if tt.asked {
			for len(reopen) > 0 {
				time.Sleep(time.Millisecond)
			}
		}
		x.stop()
		if len(x.files.files) != tt.files {
			t.Errorf("asked %v, moved %v: %d files, want %d", tt.asked, tt.moved, len(x.files.files), tt.files)
		}
	}
}
