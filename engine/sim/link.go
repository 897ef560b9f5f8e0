package sim

import (
	"math/rand/v2"
	"time"

	"uftp/engine/clock"
	"uftp/wire"
)

// Path describes one direction of a link. Probabilities are 0..1.
type Path struct {
	Delay  time.Duration
	Jitter time.Duration // added to Delay, uniform in 0..Jitter; does not reorder
	Loss   float64       // independent loss
	Burst  Burst         // bursts of loss on top of it
	Dup    float64       // delivered twice, the copy up to 2 ms later

	Reorder   float64       // held back by up to ReorderBy, so that others overtake
	ReorderBy time.Duration // 0 = 5 ms

	Corrupt float64 // 1 to 8 bits flipped: the checksum of UDP finds it, the packet is lost
	// Rate is the bottleneck of this direction, bytes/s (0 = none), with a queue of Queue
	// bytes before it: packets that find it full are lost. Jitter, Reorder, Dup and Corrupt have
	// no effect together with it.
	Rate  int64
	Queue int

	// NoChecksum delivers corrupted packets. Checks of content are off then: the protocol
	// in clear has no other protection.
	NoChecksum bool
}

// Burst is the loss model of Gilbert and Elliott: a link is good or bad, changes
// with a probability per packet, and loses packets in the bad state with Loss.
type Burst struct {
	Enter, Leave float64 // good to bad, bad to good; Enter 0 = never
	Loss         float64
}

// Bursts returns bursts of a mean length in packets that lose share of all packets.
func Bursts(share, length float64) Burst {
	leave := 1 / length
	return Burst{Enter: leave * share / (1 - share), Leave: leave, Loss: 1}
}

// Step moves a link on by one packet: it returns the state that the packet meets, and whether
// the packet is lost there. It draws from rng once, in the bad state twice.
func (b Burst) Step(bad bool, rng *rand.Rand) (now, lost bool) {
	if bad {
		now = rng.Float64() >= b.Leave
	} else {
		now = rng.Float64() < b.Enter
	}
	return now, now && rng.Float64() < b.Loss
}

// Direction of a packet, seen from the receiver.
type Direction uint8

const (
	Down Direction = iota // from a sender to a receiver
	Up                    // from a receiver to a sender
)

// Everybody as the Node of a Rule or an Outage means all receivers.
const Everybody = -1

// Rule drops chosen packets of one kind at a receiver's link. A packet is
// dropped when any of First, Every and All applies.
type Rule struct {
	Dir   Direction
	Func  wire.Func // 0 = every kind
	Node  int       // receiver in order of adding, or Everybody
	First int       // the first n
	Every int       // each n-th: 2 drops the 2nd, 4th, …
	All   bool
	// Match narrows the rule to packets for which it is true; nil = all.
	Match func(h wire.Header, msg []byte) bool
}

// Outage is a span of time in which a receiver's link carries nothing.
type Outage struct {
	Node     int // receiver, or Everybody
	Down, Up bool
	From, To time.Duration // since the start
}

// link is one direction of one receiver's link.
type link struct {
	w    *World
	node *Receiver
	dir  Direction
	Path
	rng   *rand.Rand
	bad   bool       // state of Burst
	last  clock.Time // latest arrival that was not held back
	free  clock.Time // when the bottleneck has passed on all that waits
	ruled []int      // packets seen by each rule of the world
}

func newLink(w *World, r *Receiver, dir Direction, p Path) *link {
	id := uint64(r.index)<<1 | uint64(dir)
	return &link{w: w, node: r, dir: dir, Path: p, rng: rand.New(rand.NewPCG(w.seed, id))}
}

// lost decides whether the link loses a packet.
func (l *link) lost(p *packet) bool {
	if len(l.w.Outages) > 0 && l.down() {
		return true
	}
	if len(l.w.Rules) > 0 && l.ruledOut(p) {
		return true
	}
	if l.Burst.Enter > 0 {
		var lost bool
		if l.bad, lost = l.Burst.Step(l.bad, l.rng); lost {
			return true
		}
	}
	return l.Loss > 0 && l.rng.Float64() < l.Loss
}

func (l *link) down() bool {
	t := l.w.Now()
	for i := range l.w.Outages {
		o := &l.w.Outages[i]
		if (o.Node == Everybody || o.Node == l.node.index) && (l.dir == Down && o.Down || l.dir == Up && o.Up) && o.From <= t && t < o.To {
			return true
		}
	}
	return false
}

func (l *link) ruledOut(p *packet) bool {
	h, msg, err := wire.ParseHeader(p.data)
	if err != nil {
		return false
	}
	for len(l.ruled) < len(l.w.Rules) {
		l.ruled = append(l.ruled, 0)
	}
	drop := false
	for i := range l.w.Rules {
		r := &l.w.Rules[i]
		if r.Dir != l.dir || r.Func != 0 && r.Func != h.Func || r.Node != Everybody && r.Node != l.node.index {
			continue
		}
		if r.Match != nil && !r.Match(h, msg) {
			continue
		}
		l.ruled[i]++
		n := l.ruled[i]
		drop = drop || r.All || n <= r.First || r.Every > 0 && n%r.Every == 0
	}
	return drop
}

// carry takes a packet that has just passed the fixed delay of the link, for which the caller
// has waited. It delivers the packet now or later, once, twice or never.
func (l *link) carry(p *packet) {
	if l.lost(p) {
		l.w.lost++
		return
	}
	if l.Rate > 0 {
		l.free = max(l.free, l.w.now)
		waiting := l.free.Sub(l.w.now).Seconds() * float64(l.Rate)
		if int(waiting)+len(p.data) > l.Queue {
			l.w.lost++
			return
		}
		l.free = l.free.Add(time.Duration(int64(len(p.data)+udpHeaders) * 1e9 / l.Rate))
		l.later(p, l.free.Sub(l.w.now))
		return
	}
	if l.Corrupt > 0 && l.rng.Float64() < l.Corrupt {
		if !l.NoChecksum {
			l.w.lost++
			return
		}
		p = l.corrupt(p)
		defer p.release() // made here; an event made below holds it for itself
	}
	if l.Dup > 0 && l.rng.Float64() < l.Dup {
		l.later(p, time.Duration(1+l.rng.Int64N(int64(2*time.Millisecond))))
	}
	if l.Reorder > 0 && l.rng.Float64() < l.Reorder {
		by := l.ReorderBy
		if by == 0 {
			by = 5 * time.Millisecond
		}
		l.later(p, time.Duration(1+l.rng.Int64N(int64(by))))
		return
	}
	if l.Jitter > 0 {
		at := max(l.w.now.Add(time.Duration(l.rng.Int64N(int64(l.Jitter)+1))), l.last)
		l.last = at
		if at > l.w.now {
			l.later(p, at.Sub(l.w.now))
			return
		}
	}
	l.deliver(p)
}

func (l *link) later(p *packet, d time.Duration) {
	p.refs++
	l.w.events.Push(l.w.now.Add(d), event{pkt: p, to: l})
}

func (l *link) deliver(p *packet) {
	if l.dir == Up {
		l.w.toSender(p)
		return
	}
	l.node.receive(p)
}

// corrupt returns a copy with some bits flipped.
func (l *link) corrupt(p *packet) *packet {
	c := l.w.packet(p.from, p.to, p.data)
	for range 1 + l.rng.IntN(8) {
		bit := l.rng.IntN(8 * len(c.data))
		c.data[bit/8] ^= 1 << (bit % 8)
	}
	l.w.mangled = true
	return c
}
