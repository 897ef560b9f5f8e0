package receiver

import (
	"net/netip"

	"uftp/engine/clock"
	"uftp/engine/dialect"
	"uftp/engine/machine"
	"uftp/wire"
)

// item is one thing that Poll gives: an event, or the packet of a message.
type item struct {
	event machine.Event // nil: a packet

	to      netip.AddrPort
	head    wire.Header
	msg     message
	s       *session // numbers the packet; nil: its number is 0
	dialect *dialect.Client
	keys    *dialect.KeySet // seal the packet; nil: the current ones
}

// message is what a packet says. It is written when the packet leaves: so stamps are aged up to
// that moment, and a STATUS shows what is missing then.
type message interface {
	// appendTo appends the message to b, or returns nil if there is nothing left to say. With
	// more it must be called again for the next packet.
	appendTo(b []byte, it *item, now clock.Time) (_ []byte, more bool)
}

// queueMax is how long the queue may be before messages that want an answer are refused. What
// comes on top is bounded by the number of sessions: the host's answers, and the last blocks of
// files. Timers run only while the queue is empty.
func (r *Receiver) queueMax() int { return 256 + 4*len(r.slots) }

func (r *Receiver) full() bool { return len(r.queue)-r.head >= r.queueMax() }

func (r *Receiver) push(it item) {
	if r.head > 0 && len(r.queue) == cap(r.queue) { // reuse the front before growing
		n := copy(r.queue, r.queue[r.head:])
		clear(r.queue[n:])
		r.queue, r.head = r.queue[:n], 0
	}
	if it.event == nil {
		it.dialect.Hold()
	}
	r.queue = append(r.queue, it)
}

func (r *Receiver) emit(e machine.Event) { r.push(item{event: e}) }

func (s *session) step(what Step) { s.r.emit(Stepped{Session: s.info, Step: what}) }

// header is that of our packets to the sender of a session.
func (r *Receiver) header(of *Session, client *dialect.Client, f wire.Func) wire.Header {
	return wire.Header{
		Version:  client.Version(),
		Func:     f,
		Src:      r.cfg.UID,
		Group:    of.Group,
		Instance: of.Instance,
	}
}

// say queues a packet to the sender of the session.
func (s *session) say(f wire.Func, m message) { s.sayWith(nil, f, m) }

// sayWith is say with the keys to seal the packet with; nil: the current ones.
func (s *session) sayWith(keys *dialect.KeySet, f wire.Func, m message) {
	s.r.push(item{to: s.info.From, head: s.r.header(&s.info, s.dialect, f), msg: m, s: s, dialect: s.dialect, keys: keys})
}

// sayClear queues a packet about a session that is not taken, or about none.
func (r *Receiver) sayClear(to netip.AddrPort, v wire.Version, of *Session, f wire.Func, m message) {
	client := dialect.NewClient(v, nil)
	r.push(item{to: to, head: r.header(of, client, f), msg: m, dialect: client})
}

// pop removes the first item.
func (r *Receiver) pop() {
	if it := &r.queue[r.head]; it.event == nil {
		it.dialect.Release()
	}
	r.queue[r.head] = item{}
	r.head++
	if r.head == len(r.queue) {
		r.queue, r.head = r.queue[:0], 0
	}
}

// next gives the first thing of the queue, or Idle when there is none.
func (r *Receiver) next(now clock.Time, out *machine.Out) machine.Kind {
	if r.report != nil {
		out.Event, r.report = r.report, nil
		return machine.EventKind
	}
	for r.head < len(r.queue) {
		it := &r.queue[r.head]
		if it.event != nil {
			out.Event = it.event
			r.pop()
			return machine.EventKind
		}
		ok, more := it.build(now, &out.Packet)
		if !more {
			r.pop()
		}
		if ok {
			return machine.PacketKind
		}
	}
	return machine.Idle
}

// build writes the packet. ok says that there is one to send, more that another one of this item
// may follow.
func (it *item) build(now clock.Time, p *machine.Packet) (ok, more bool) {
	h := it.head
	if it.s != nil {
		h.Seq = it.s.seq
	}
	b, more := it.msg.appendTo(it.dialect.Begin(p.Buffer(), h, it.keys), it, now)
	if b == nil {
		return false, more
	}
	if it.s != nil {
		it.s.seq++
	}
	if b, ok = it.dialect.Finish(b, h.Func, it.keys); !ok {
		return false, false
	}
	p.To, p.Data = it.to, b
	return true, more
}
