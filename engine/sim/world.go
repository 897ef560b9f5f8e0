package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/wire"
)

// Epoch is the moment at which every world starts.
const Epoch clock.Time = 1_800_000_000_000_000_000

// Addresses of every world.
var (
	Public  = netip.MustParseAddrPort("230.4.4.1:1044")
	Private = netip.MustParseAddrPort("230.5.5.5:1044")
)

// Limits of one run.
const (
	maxErrors = 20        // kept; more are no help
	maxAtOnce = 1_000_000 // things one machine may do while time stands still
)

// event is something that happens at a moment, one of: a call; a timer; a packet for all
// links of a lane; a packet for one link, which may still be lost there when fresh.
type event struct {
	call  func()
	timer *host
	pkt   *packet
	lane  *lane
	to    *link
	fresh bool
}

// World is one simulation. Build it (AddSender, AddReceiver, At, the fields), then
// Run it once or several times.
type World struct {
	Rules   []Rule
	Outages []Outage
	// LineRate is how fast a sender's port puts packets on the line, bytes/s.
	LineRate int64
	// Tap sees every packet that leaves a host. It must not keep data.
	Tap func(at clock.Time, from, to netip.AddrPort, data []byte)
	// Trace gets a line for every packet sent and every event of a machine.
	Trace io.Writer

	seed      uint64
	now       clock.Time
	events    clock.Queue[event]
	senders   []*Sender
	receivers []*Receiver
	byAddr    map[netip.AddrPort]*Receiver
	lanes     []*lane
	groups    []netip.Addr
	free      []*packet
	datagram  machine.Datagram // that a machine is getting
	files     map[fileKey]*File

	running bool
	lost    int64
	carried int64
	mangled bool // a corrupted packet got through: content is not checked any more
	errs    []error
}

// lane holds the receivers that multicast reaches after the same delay.
type lane struct {
	delay time.Duration
	down  []*link
}

// packet is a datagram on its way. It returns to the world when the last event
// that holds it has happened.
type packet struct {
	w        *World
	from, to netip.AddrPort
	data     []byte
	refs     int

	group int   // index of a multicast destination, -1 otherwise
	file  *File // FILESEG as built: the data is that of file from off on
	off   int64
}

// arrived is p as the machine of its destination gets it, with these bytes.
func (p *packet) arrived(data []byte) *machine.Datagram {
	p.w.datagram = machine.Datagram{From: p.from, To: p.to.Addr(), At: p.w.now, Data: data}
	return &p.w.datagram
}

func (p *packet) release() {
	if p.refs--; p.refs == 0 {
		p.file = nil
		p.w.free = append(p.w.free, p)
	}
}

type fileKey struct {
	name  string
	mtime int64
	size  int64
}

// fileOf returns the file that a session asks for: the one of its sender, since several may
// send something of the same name, size and time.
func (w *World) fileOf(s *receiver.Session, rq *receiver.Request) *File {
	key := fileKey{rq.Name, rq.MTime, rq.Size}
	for _, o := range w.senders {
		if o.addr != s.From {
			continue
		}
		for _, f := range o.Files {
			if (fileKey{f.Name, f.MTime, f.Size}) == key {
				return f
			}
		}
	}
	return w.files[key]
}

// New returns an empty world whose random numbers come from seed.
func New(seed uint64) *World {
	return &World{
		LineRate: 125_000_000,
		seed:     seed,
		now:      Epoch,
		byAddr:   map[netip.AddrPort]*Receiver{},
		files:    map[fileKey]*File{},
		groups:   []netip.Addr{Public.Addr(), Private.Addr()},
	}
}

// Now returns the time since the start.
func (w *World) Now() time.Duration { return w.now.Sub(Epoch) }

// Sent returns how many packets have left hosts, Lost how many links have lost
// (counted per receiver).
func (w *World) Sent() int64 { return w.carried }
func (w *World) Lost() int64 { return w.lost }

// Receivers returns all receivers in order of adding.
func (w *World) Receivers() []*Receiver { return w.receivers }

// At calls fn at a moment since the start.
func (w *World) At(d time.Duration, fn func()) {
	w.events.Push(max(Epoch.Add(d), w.now), event{call: fn})
}

// Fail records an error.
func (w *World) Fail(format string, args ...any) {
	if len(w.errs) < maxErrors {
		w.errs = append(w.errs, fmt.Errorf("at %v: "+format, append([]any{w.Now()}, args...)...))
	}
}

// Run runs the world until nothing is left to happen, or until limit, counted from its start. It
// returns what the checkers have found. A world that is not at rest at limit is an error, too.
func (w *World) Run(limit time.Duration) error {
	w.running = true
	for _, h := range w.hosts() {
		h.settle()
	}
	end := Epoch.Add(limit)
	for w.events.Len() > 0 && len(w.errs) < maxErrors {
		if w.events.Next() > end {
			w.now = end
			w.atRest()
			break
		}
		var e event
		w.now, e = w.events.Pop()
		switch {
		case e.timer != nil:
			e.timer.ring(w.now)
		case e.lane != nil:
			for _, l := range e.lane.down {
				if l.node.up && l.node.member[e.pkt.group] > 0 {
					l.carry(e.pkt)
				}
			}
			e.pkt.release()
		case e.fresh:
			e.to.carry(e.pkt)
			e.pkt.release()
		case e.to != nil:
			e.to.deliver(e.pkt)
			e.pkt.release()
		default:
			e.call()
		}
	}
	if w.events.Len() == 0 {
		w.atRest()
	}
	w.final()
	return errors.Join(w.errs...)
}

// atRest checks that everything has come to its end.
func (w *World) atRest() {
	for _, s := range w.senders {
		if s.up && !s.ended {
			st := s.m.Stats()
			w.Fail("sender %d has not ended: phase %v, file %d, pass %d, %d blocks left, clients %v", s.index, st.Phase, st.FileID, st.Pass, st.Left, st.States)
		}
	}
	for _, r := range w.receivers {
		if !r.up {
			continue
		}
		for _, s := range r.m.Stats(nil) {
			w.Fail("%s: session %08X/%d has not ended: phase %v, file %d, %d of %d blocks missing", r, s.Session.Group, s.Session.Instance, s.Phase, s.Session.FileID, s.Missing, s.Blocks)
		}
		r.atRest()
	}
}

func (w *World) hosts() []*host {
	var hs []*host
	for _, r := range w.receivers {
		if r.up {
			hs = append(hs, &r.host)
		}
	}
	for _, s := range w.senders {
		if s.up {
			hs = append(hs, &s.host)
		}
	}
	return hs
}

// packet makes a packet with a copy of data, held once.
func (w *World) packet(from, to netip.AddrPort, data []byte) *packet {
	var p *packet
	if n := len(w.free); n > 0 {
		p, w.free = w.free[n-1], w.free[:n-1]
	} else {
		p = &packet{w: w}
	}
	p.from, p.to, p.refs, p.group = from, to, 1, -1
	p.data = append(p.data[:0], data...)
	return p
}

// send puts a packet on the line at a moment that is not in the past. The caller
// must not use it any more.
func (w *World) send(p *packet, at clock.Time, from *Receiver) {
	w.carried++
	if w.Tap != nil {
		w.Tap(at, p.from, p.to, p.data)
	}
	if w.Trace != nil {
		fmt.Fprintf(w.Trace, "%v %v > %v %s\n", at.Sub(Epoch), p.from, p.to, wire.Describe(p.data))
	}
	if len(p.data) > wire.MaxDatagram {
		w.Fail("%v sends %d bytes, more than a receiver takes: %s", p.from, len(p.data), wire.Describe(p.data))
	}
	if p.to.Addr().IsMulticast() {
		if p.group = w.group(p.to.Addr()); p.group >= 0 {
			for _, l := range w.lanes {
				p.refs++
				w.events.Push(at.Add(l.delay), event{pkt: p, lane: l})
			}
		}
		p.release()
		return
	}
	l := (*link)(nil)
	if from != nil {
		l = &from.upLink
	} else if r := w.byAddr[p.to]; r != nil {
		l = &r.downLink
	}
	if l == nil {
		p.release()
		return
	}
	w.events.Push(at.Add(l.Delay), event{pkt: p, to: l, fresh: true})
}

// group returns the index of a multicast group; a new one gets the next.
func (w *World) group(a netip.Addr) int {
	for i, g := range w.groups {
		if g == a {
			return i
		}
	}
	if len(w.groups) == maxGroups {
		return -1
	}
	w.groups = append(w.groups, a)
	return len(w.groups) - 1
}

// toSender hands a packet to the sender with its address; without one it is lost.
func (w *World) toSender(p *packet) {
	for _, s := range w.senders {
		if s.up && s.addr == p.to {
			s.onTime()
			data := p.data
			if len(data) > 1 && wire.Func(data[1]) == wire.FuncEncrypted {
				data = bytes.Clone(data) // opened in place, and there may be another copy under way
			}
			s.mach.Handle(w.now, p.arrived(data))
			s.settle()
			return
		}
	}
}

// host is the common part of senders and receivers: it polls a machine until that is idle, and
// keeps a timer for its deadline.
type host struct {
	w    *World
	name string
	up   bool
	room func() bool // whether there is room to send
	do   func(machine.Kind, *machine.Out)
	mach machine.Machine
	out  machine.Out

	deadline clock.Time // after the last settle
	timer    clock.Time // the event that is due first, Never if none
	atOnce   int        // things done at moment
	moment   clock.Time
	settling bool
}

func (h *host) String() string { return h.name }

// settle polls the machine until it is idle, and sets the timer.
func (h *host) settle() {
	if h.settling {
		return // a request was answered at once: the outer call goes on
	}
	now := h.w.now
	h.settling = true
	for h.up {
		if !h.room() {
			h.settling = false
			h.deadline = clock.Never // free room wakes us
			return
		}
		k := h.mach.Poll(now, &h.out)
		if k == machine.Idle {
			break
		}
		if h.moment != now {
			h.moment, h.atOnce = now, 0
		}
		if h.atOnce++; h.atOnce > maxAtOnce {
			h.w.Fail("%s does not come to an end: %d things at one moment, the last a %v", h, h.atOnce, k)
			h.up = false
		}
		h.do(k, &h.out)
	}
	h.settling = false
	if !h.up {
		return
	}
	h.deadline = h.mach.Deadline()
	if h.deadline <= now {
		h.w.Fail("%s is idle, but its deadline was %v ago", h, now.Sub(h.deadline))
		h.up = false
		return
	}
	if h.deadline < h.timer {
		h.timer = h.deadline
		h.w.events.Push(h.deadline, event{timer: h})
	}
}

// ring is a timer event. The machine may have moved its deadline since.
func (h *host) ring(at clock.Time) {
	if !h.up || at != h.timer {
		return
	}
	h.timer = clock.Never
	h.settle()
}

// begin starts a machine.
func (h *host) begin(m machine.Machine) {
	h.mach, h.up = m, true
	h.deadline, h.timer, h.moment, h.atOnce = clock.Never, clock.Never, 0, 0
}

// onTime checks that no deadline has gone by; call it before anything is given to
// the machine.
func (h *host) onTime() {
	if h.deadline < h.w.now && h.timer > h.deadline {
		h.w.Fail("%s was not asked at its deadline, %v ago", h, h.w.now.Sub(h.deadline))
	}
}

// trace writes a line about an event of a machine.
func (h *host) trace(ev machine.Event) {
	if h.w.Trace == nil {
		return
	}
	switch ev := ev.(type) { // the others hold no pointers, which differ from run to run
	case receiver.Checkpoint:
		fmt.Fprintf(h.w.Trace, "%v %s %T file %d, %d blocks missing\n", h.w.Now(), h, ev, ev.Ref, ev.Missing.Count())
	case receiver.Abandon:
		n := 0
		if ev.Missing != nil {
			n = ev.Missing.Count()
		}
		fmt.Fprintf(h.w.Trace, "%v %s %T file %d, %d blocks missing\n", h.w.Now(), h, ev, ev.Ref, n)
	default:
		fmt.Fprintf(h.w.Trace, "%v %s %T%+v\n", h.w.Now(), h, ev, ev)
	}
}
