package receiver

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// checker plays a host that answers late and in any order, and holds the machine
// to what it promises.
type checker struct {
	t   *testing.T
	r   *Receiver
	now clock.Time
	out machine.Out

	joins  []Join
	opens  []Open
	closes []Close
	points []Checkpoint
	whole  []Settle
	groups map[netip.Addr]bool // member, or asked to be
	live   map[SessionID]bool  // started and not ended
	files  map[machine.FileRef]*checkedFile
	store  machine.FileRef
}

type checkedFile struct {
	layout block.Layout
	have   block.Set
	open   bool // Opened said Receive, and it is neither closed nor abandoned
}

const fuzzSessions = 4

func newChecker(t *testing.T) *checker {
	c := &checker{
		t: t, now: 1_800_000_000_000_000_000,
		groups: map[netip.Addr]bool{}, live: map[SessionID]bool{}, files: map[machine.FileRef]*checkedFile{},
	}
	c.r = New(Config{
		UID: us, MaxSessions: fuzzSessions, Public: []netip.Addr{publicAddr}, Restart: true,
		CheckpointEvery: 50 * time.Millisecond,
		Heartbeats:      []netip.AddrPort{senderAddr}, HeartbeatEvery: time.Second,
	}, c.now)
	return c
}

func (c *checker) handle(from netip.AddrPort, pkt []byte) {
	v := c.r.Handle(c.now, arrived(from, pkt))
	if v.Drop != 0 && v.Store.Data != nil {
		c.t.Fatal("a refused packet is to be stored")
	}
	if s := v.Store; s.Data != nil {
		f := c.files[s.Ref]
		if f == nil || !f.open {
			c.t.Fatalf("a block for file %d, which is not open", s.Ref)
		}
		i := int(s.Offset / int64(f.layout.BlockSize))
		if s.Offset != f.layout.Offset(i) || len(s.Data) != f.layout.Len(i) {
			c.t.Fatalf("block at %d of %d bytes", s.Offset, len(s.Data))
		}
		if !f.have.Add(i) {
			c.t.Fatalf("block %d stored twice", i)
		}
		c.store = s.Ref
	}
}

func (c *checker) poll() {
	for n := 0; ; n++ {
		if n > 100000 {
			c.t.Fatal("Poll never says Idle")
		}
		switch c.r.Poll(c.now, &c.out) {
		case machine.Idle:
			if c.r.Deadline() <= c.now {
				c.t.Fatal("Deadline in the past after Idle")
			}
			return
		case machine.PacketKind:
			if len(c.out.Packet.Data) > machine.MaxPacket {
				c.t.Fatalf("a packet of %d bytes", len(c.out.Packet.Data))
			}
			if h, _, err := wire.ParseHeader(c.out.Packet.Data); err != nil || h.Src != us {
				c.t.Fatalf("a packet nobody can read: %v", err)
			}
		case machine.EventKind:
			c.event(c.out.Event)
		}
	}
}

func (c *checker) event(e machine.Event) {
	switch e := e.(type) {
	case SessionStarted:
		if c.live[e.Session.SessionID] {
			c.t.Fatal("a session started twice")
		}
		c.live[e.Session.SessionID] = true
	case SessionEnded:
		if !c.live[e.Session.SessionID] {
			c.t.Fatal("a session ended that had not started")
		}
		delete(c.live, e.Session.SessionID)
	case Join:
		if c.groups[e.Group] || !e.Group.IsMulticast() {
			c.t.Fatalf("join of %v", e.Group)
		}
		c.groups[e.Group] = true
		c.joins = append(c.joins, e)
	case Leave:
		if !c.groups[e.Group] {
			c.t.Fatalf("leaving %v without being a member", e.Group)
		}
		delete(c.groups, e.Group)
	case Open:
		c.files[e.Request.Ref] = &checkedFile{layout: e.Request.Layout}
		c.opens = append(c.opens, e)
	case Close:
		f := c.files[e.Ref]
		if !f.open || f.have.Count() != f.layout.Blocks {
			c.t.Fatalf("close with %d of %d blocks", f.have.Count(), f.layout.Blocks)
		}
		c.closes = append(c.closes, e)
	case Settle:
		if !c.live[e.Session.SessionID] {
			c.t.Fatal("a session that is over is to be settled")
		}
		c.whole = append(c.whole, e)
	case Checkpoint:
		c.points = append(c.points, e)
		c.sameSet(c.files[e.Ref], e.Missing)
	case Abandon:
		f := c.files[e.Ref]
		if !f.open {
			c.t.Fatal("a file that is not open is abandoned")
		}
		f.open = false
		c.sameSet(f, e.Missing)
	case FileEnded:
		if f := c.files[e.Request.Ref]; f != nil && f.open {
			c.t.Fatal("a file ended that is open")
		}
	}
}

// sameSet checks that the blocks that are said to be here have been stored; more may be.
func (c *checker) sameSet(f *checkedFile, missing *block.Set) {
	if missing.Len() != f.layout.Blocks {
		c.t.Fatalf("a set of %d blocks for a file of %d", missing.Len(), f.layout.Blocks)
	}
	for i := range missing.Len() {
		if !missing.Has(i) && !f.have.Has(i) {
			c.t.Fatalf("block %d is not here", i)
		}
	}
}

func pick[E any](list *[]E, at byte) (e E, ok bool) {
	if len(*list) == 0 {
		return e, false
	}
	i := int(at) % len(*list)
	e = (*list)[i]
	*list = append((*list)[:i], (*list)[i+1:]...)
	return e, true
}

// answer answers one request.
func (c *checker) answer(kind, at byte) {
	switch kind % 5 {
	case 0:
		if j, ok := pick(&c.joins, 0); ok {
			text := ""
			if at >= 240 {
				text = "no"
				if s := &c.r.slots[j.Session.Slot]; s.joins == 1 && s.member == asked {
					delete(c.groups, j.Group) // otherwise it has been left already
				}
			}
			c.r.Joined(c.now, j.Session.SessionID, text)
		}
	case 1:
		if o, ok := pick(&c.opens, at); ok {
			f := c.files[o.Request.Ref]
			a := Opened{Action: Receive}
			switch {
			case at >= 250:
				a = Opened{Action: Abort, Text: "disk"}
			case at >= 240 || o.Request.Type != wire.TypeFile:
				a = Opened{Action: Complete, Status: wire.StatusSkipped}
			default:
				f.open = true
				f.have.Reset(f.layout.Blocks, false)
				if at >= 200 && f.layout.Blocks > 0 {
					f.have.Add(int(at) % f.layout.Blocks)
					var missing block.Set
					missing.Reset(f.layout.Blocks, true)
					missing.Remove(int(at) % f.layout.Blocks)
					a.Missing, a.Partial = &missing, true
				}
			}
			c.r.Opened(c.now, o.Request.Ref, a)
		}
	case 2:
		if e, ok := pick(&c.closes, at); ok {
			text := ""
			if at >= 240 {
				text = "no"
			}
			if c.files[e.Ref].open {
				c.files[e.Ref].open = false
				c.r.Closed(c.now, e.Ref, text)
			}
		}
	case 3:
		if p, ok := pick(&c.points, at); ok {
			c.r.CheckpointDone(c.now, p.Ref)
		}
		if e, ok := pick(&c.whole, at); ok {
			c.r.Settled(c.now, e.Session.SessionID, e.Number, "")
		}
	case 4:
		if at >= 250 {
			c.r.StoreFailed(c.now, c.store, "disk full")
		}
	}
}

// check compares the counters of the machine with its slots.
func (c *checker) check() {
	n, reserved := 0, 0
	for i := range c.r.slots {
		s := &c.r.slots[i]
		if s.phase == Free {
			continue
		}
		n++
		reserved += s.reserved
		if c.r.find(s.info.Group, s.info.Instance) != s {
			c.t.Fatal("a session that cannot be found")
		}
		if s.phase == Receiving && s.file.missing.Count() == 0 {
			c.t.Fatal("receiving a file that is whole")
		}
		if s.phase == Receiving && s.due[idleTimer] == clock.Never && !s.ended {
			c.t.Fatal("receiving for ever")
		}
		for _, d := range s.due {
			if d < c.r.wake {
				c.t.Fatal("a timer runs out before the machine wakes up")
			}
		}
	}
	if n != c.r.sessions || n != len(c.r.index) || int64(reserved) != c.r.blocks {
		c.t.Fatalf("%d sessions, counted %d, found %d; %d blocks reserved, counted %d", n, c.r.sessions, len(c.r.index), reserved, c.r.blocks)
	}
	if l := len(c.r.queue) - c.r.head; l > c.r.queueMax()+32*fuzzSessions {
		c.t.Fatalf("%d things wait", l)
	}
}

// script is bytes to decide by; it ends in zeros.
type script struct{ b []byte }

func (s *script) byte() byte {
	if len(s.b) == 0 {
		return 0
	}
	x := s.b[0]
	s.b = s.b[1:]
	return x
}

// message builds a plausible message; most of the time it is right.
func (s *script) message() (wire.Func, []byte) {
	hosts := uids(other, us)
	if s.byte()%8 == 0 {
		hosts = uids(other)
	}
	id := uint16(s.byte() % 3)
	switch s.byte() % 8 {
	case 0:
		x := wire.Announce{Robust: 2, BlockSize: 64, Public: publicAddr, Private: netip.AddrFrom4([4]byte{230, 5, 5, s.byte() % 3})}
		if s.byte()%16 == 0 {
			x.BlockSize = uint16(s.byte())
		}
		return wire.FuncAnnounce, x.Append(wire.Version4, nil)
	case 1:
		x := wire.HostList{Func: wire.FuncRegConf, Hosts: hosts}
		return wire.FuncRegConf, x.Append(nil)
	case 2:
		x := wire.FileInfo{FileID: id, Type: wire.FileType(s.byte() % 6), Size: int64(s.byte()) * 13, Name: []byte("a/b"), Link: []byte("l"), Hosts: hosts}
		if x.Type > 2 || s.byte()%4 > 0 {
			x.Type = wire.TypeFile
		}
		if s.byte() > 250 {
			x.Size = int64(s.byte()) << 40
		}
		return wire.FuncFileInfo, x.Append(wire.Version4, nil)
	case 3, 4:
		x := wire.FileSeg{FileID: id, Block: uint16(s.byte() % 60), Data: make([]byte, 64)}
		return wire.FuncFileSeg, x.Append(nil)
	case 5:
		x := wire.Done{FileID: id, Section: uint16(s.byte() % 2), Hosts: hosts}
		return wire.FuncDone, x.Append(nil)
	case 6:
		x := wire.HostList{Func: wire.FuncDoneConf, Hosts: hosts}
		return wire.FuncDoneConf, x.Append(nil)
	}
	x := wire.Abort{Flags: s.byte() % 2}
	if s.byte()%8 > 0 {
		x.Host = other
	}
	return wire.FuncAbort, x.Append(nil)
}

func FuzzHandle(f *testing.F) {
	// Long scripts of a seeded generator reach every phase; the rest is up to the fuzzer.
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		b := make([]byte, 6000)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		f.Add(b)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &script{b}
		c := newChecker(t)
		var seq [8]uint16
		for len(s.b) > 0 {
			switch op := s.byte(); {
			case op < 150: // a message, perhaps spoiled
				who := s.byte() % 6
				fn, msg := s.message()
				h := wire.Header{Version: wire.Version4, Func: fn, Seq: seq[who], Src: them, Group: uint32(who % 4), Instance: who / 4, GRTT: s.byte()}
				seq[who]++
				pkt := append(h.Append(nil), msg...)
				for n := s.byte(); n > 230; n-- { // spoil a byte
					pkt[int(s.byte())%len(pkt)] ^= s.byte()
				}
				if s.byte() > 245 {
					pkt = pkt[:int(s.byte())%(len(pkt)+1)]
				}
				c.handle(senderAddr, pkt)
			case op < 155: // noise
				n := min(int(s.byte()), len(s.b))
				c.handle(senderAddr, append([]byte(nil), s.b[:n]...))
				s.b = s.b[n:]
			case op < 165:
				// The way out is blocked for a while.
				continue
			case op < 180:
				c.now = c.now.Add(time.Duration(binary.BigEndian.Uint16([]byte{s.byte(), s.byte()})) * 20 * time.Microsecond)
			default:
				c.answer(s.byte(), s.byte())
			}
			c.poll()
			c.check()
		}
		c.finish()
	})
}

// finish stops the machine and checks that nothing is left behind.
func (c *checker) finish() {
	c.r.Stop(c.now)
	c.poll()
	for len(c.joins)+len(c.opens)+len(c.closes)+len(c.points) > 0 {
		for kind := range byte(4) {
			c.answer(kind, 0)
			c.poll()
			c.check()
		}
	}
	if len(c.live) > 0 || len(c.groups) > 0 || c.r.sessions > 0 {
		c.t.Fatalf("left after Stop: sessions %v, groups %v", c.live, c.groups)
	}
	for ref, f := range c.files {
		if f.open {
			c.t.Fatalf("file %d is left open", ref)
		}
	}
	for i := range c.r.slots {
		if s := &c.r.slots[i]; s.copyRef != 0 || s.missingCopy != nil || s.file.missing.Len() > 0 {
			c.t.Fatal("memory is left in a free slot")
		}
	}
}

// Every packet that is cut somewhere must be refused or harmless, in every phase.
func TestTruncations(t *testing.T) {
	s := &script{}
	for k := range 8 {
		s.b = []byte{1, 1, byte(k), 1, 1, 1, 1, 1, 1, 1}
		fn, msg := s.message()
		h := wire.Header{Version: wire.Version4, Func: fn, Src: them, Group: 1, GRTT: code10ms, Seq: 100}
		pkt := append(h.Append(nil), msg...)
		for n := range pkt {
			c := newChecker(t)
			for _, pre := range []byte{0, 1, 2} {
				s.b = []byte{1, 1, pre, 1, 1, 10, 1, 1, 1, 1}
				fn, msg := s.message()
				h := wire.Header{Version: wire.Version4, Func: fn, Src: them, Group: 1, GRTT: code10ms}
				c.handle(senderAddr, append(h.Append(nil), msg...))
				c.poll()
				c.handle(senderAddr, pkt[:n])
				c.poll()
				c.answer(0, 0)
				c.answer(1, 0)
				c.poll()
				c.check()
			}
			c.finish()
		}
	}
}
