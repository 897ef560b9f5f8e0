package receiver

import (
	"net/netip"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// item is one thing that Poll will give: an event, or a packet described by what
// it will say. Packets are built when they leave, so that stamps are aged up to
// that moment and a STATUS shows what is missing then.
type item struct {
	event machine.Event // nil: a packet

	to   netip.AddrPort
	head wire.Header
	s    *session // whose sequence number counts; nil: number 0
	sec  *secrets // of the session; nil in clear
	keys *keySet  // KEYINFO_ACK: the keys it is about

	stamp    wire.Stamp // REGISTER, FILEINFO_ACK: the sender's stamp, and when it came
	heard    clock.Time
	fileID   uint16 // FILEINFO_ACK, COMPLETE
	partial  bool   // FILEINFO_ACK
	answer   finished
	text     string          // ABORT
	beat     wire.HBReq      // HB_REQ
	ref      machine.FileRef // STATUS: for this file, sections next..end-1; sign: only the last block
	next     int
	end      int
	sent     int
	signLife bool
}

// queueMax is how long the queue may be before messages that ask for an answer
// are refused. Timers run only while it is empty, and what the host's answers and
// the last block of a file add is bounded by the number of sessions.
func (r *Receiver) queueMax() int { return 256 + 4*len(r.slots) }

func (r *Receiver) full() bool { return len(r.queue)-r.head >= r.queueMax() }

func (r *Receiver) push(it item) {
	if r.head > 0 && len(r.queue) == cap(r.queue) { // make room at the end before taking more memory
		n := copy(r.queue, r.queue[r.head:])
		clear(r.queue[n:])
		r.queue, r.head = r.queue[:n], 0
	}
	if it.sec != nil {
		it.sec.uses++
	}
	r.queue = append(r.queue, it)
}

func (r *Receiver) emit(e machine.Event) { r.push(item{event: e}) }

func (r *Receiver) step(s *session, what Step) { r.emit(Stepped{Session: s.info, Step: what}) }

// packet starts the item of a packet of a session.
func (r *Receiver) packet(s *session, f wire.Func) item {
	return item{
		to:  s.info.From,
		s:   s,
		sec: s.sec,
		head: wire.Header{
			Version:  s.version,
			Func:     f,
			Src:      r.cfg.UID,
			Group:    s.info.Group,
			Instance: s.info.Instance,
		},
	}
}

// pop removes the first item and drops what it refers to.
func (r *Receiver) pop() {
	if c := r.queue[r.head].sec; c != nil {
		c.release()
	}
	r.queue[r.head] = item{}
	r.head++
	if r.head == len(r.queue) {
		r.queue, r.head = r.queue[:0], 0
	}
}

// take gives the first thing of the queue, or Idle when there is none.
func (r *Receiver) take(now clock.Time, out *machine.Out) machine.Kind {
	if r.after != nil {
		out.Event, r.after = r.after, nil
		return machine.EventKind
	}
	for r.head < len(r.queue) {
		it := &r.queue[r.head]
		switch {
		case it.event != nil:
			out.Event = it.event
			r.pop()
			return machine.EventKind
		case it.head.Func == wire.FuncStatus:
			if r.status(now, it, &out.Packet) {
				return machine.PacketKind
			}
			r.pop()
		default:
			ok := it.build(now, &out.Packet)
			r.pop()
			if ok {
				return machine.PacketKind
			}
		}
	}
	return machine.Idle
}

// begin writes the common header with the session's next number, and leaves room
// for what sealing puts behind it.
func (it *item) begin(p *machine.Packet) []byte {
	p.To = it.to
	h := it.head
	if it.s != nil {
		h.Seq = it.s.seq
		it.s.seq++
	}
	b := h.Append(p.Buffer())
	if k := it.sealing(); k != nil {
		return b[:k.sealer.Lead()]
	}
	return b
}

// sealing returns the keys to seal a packet with, nil for one in clear. REGISTER
// and CLIENT_KEY belong to the time before the keys; everything else is sealed once
// they are there.
func (it *item) sealing() *keySet {
	switch f := it.head.Func; {
	case !it.sec.keyed() || f == wire.FuncRegister || f == wire.FuncClientKey:
		return nil
	case it.keys != nil:
		return it.keys
	}
	return it.sec.current
}

// finish seals the packet if need be, and reports whether it can be sent.
func (it *item) finish(p *machine.Packet, b []byte) (ok bool) {
	if k := it.sealing(); k != nil {
		if b, ok = it.sec.seal(k, b); !ok {
			return false
		}
	}
	p.Data = b
	return true
}

// build writes every packet but STATUS. It reports false if there is nothing to
// send any more.
func (it *item) build(now clock.Time, p *machine.Packet) bool {
	b := it.begin(p)
	switch it.head.Func {
	case wire.FuncRegister:
		x := wire.Register{Time: age(it.stamp, now.Sub(it.heard))}
		if it.sec != nil {
			var err error
			if x.KeyInfo, err = it.sec.client.AppendRegisterKeyInfo(nil); err != nil {
				return false // it has been taken
			}
			random := it.sec.client.Random()
			x.Random = random[:]
		}
		b = x.Append(it.head.Version, b)
	case wire.FuncClientKey:
		x, err := it.sec.client.ClientKey()
		if err != nil {
			return false
		}
		b = x.Append(b)
	case wire.FuncKeyInfoAck:
		x := wire.KeyInfoAck{Verify: it.keys.verify[:]}
		b = x.Append(it.head.Version, b)
	case wire.FuncFileInfoAck:
		x := wire.FileInfoAck{FileID: it.fileID, Partial: it.partial, Time: age(it.stamp, now.Sub(it.heard))}
		b = x.Append(it.head.Version, b)
	case wire.FuncComplete:
		x := wire.Complete{FileID: it.answer.id, Status: it.answer.status, HasSpace: it.answer.hasSpace, FreeSpace: it.answer.space}
		b = x.Append(b)
	case wire.FuncAbort:
		x := wire.Abort{Text: []byte(it.text)}
		b = x.Append(b)
	case wire.FuncHBReq:
		b = it.beat.Append(b)
	}
	return it.finish(p, b)
}

// status writes the next STATUS of an item and reports whether there was one.
// The report about it follows with the next Poll, so a long range costs no memory.
func (r *Receiver) status(now clock.Time, it *item, p *machine.Packet) bool {
	s := it.s
	f := &s.file
	switch {
	case s.phase == Closing && it.signLife && f.req.Ref == it.ref:
		l := &f.req.Layout
		section, place := l.Section(l.Blocks - 1)
		if section < it.next {
			return false
		}
		it.next = section + 1
		n := block.NAKBytes(l.SectionBlocks(section))
		b := it.statusHead(section, p)
		for range n {
			b = append(b, 0)
		}
		b[len(b)-n+place/8] |= 1 << (place % 8)
		r.after = SentStatus{Session: s.info, Section: section, NAKs: 1}
		return it.finish(p, b)
	case s.phase != Receiving || it.signLife || f.req.Ref != it.ref:
		return false
	}
	l := &f.req.Layout
	i := f.missing.Next(l.First(it.next))
	if i >= l.First(it.end) {
		return false
	}
	section, _ := l.Section(i)
	if it.sent == statusBurst {
		f.nak.rest, f.nak.restEnd = section, it.end
		r.arm(s, nakTimer, now, s.grtt/4)
		return false
	}
	it.next = section + 1
	it.sent++
	first, n := l.First(section), l.SectionBlocks(section)
	b := f.missing.AppendBitmap(it.statusHead(section, p), first, n)
	count := f.missing.CountRange(first, n)
	s.naks += int64(count)
	r.after = SentStatus{Session: s.info, Section: section, NAKs: count}
	return it.finish(p, b)
}

// statusHead writes a STATUS up to its bitmap.
func (it *item) statusHead(section int, p *machine.Packet) []byte {
	x := wire.Status{FileID: it.fileID, Section: uint16(section)}
	return x.Append(it.head.Version, it.begin(p))
}

// age returns the stamp that is to be echoed after d: the sender subtracts it
// from its clock and gets the round trip without the time we held it.
func age(s wire.Stamp, d time.Duration) wire.Stamp {
	return s + wire.Stamp(max(d, 0)/time.Microsecond)
}
