package link

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"uftp/engine/clock"
	"uftp/engine/sim"
)

// Limits of a Config.
const (
	DelayMax  = time.Minute
	RateMax   = 400_000_000_000 // bit/s
	RateMin   = 1000            // bit/s
	QueueMax  = 64 << 20        // bytes
	EventsMax = 64
)

const (
	dupWithin      = 2 * time.Millisecond // a copy is at most so much later
	reorderDefault = 5 * time.Millisecond
	frameMin       = 42 // bytes: no useful frame is shorter; bounds how many can wait
	flipsMax       = 8  // bits of a corrupted frame
	headerLen      = 14 // bytes of an Ethernet header, which Damage spares
)

// ErrConfig reports a Config that describes no link.
var ErrConfig = errors.New("link: impossible settings")

// Config is what one direction of a link does. Probabilities are 0..1.
type Config struct {
	Delay    time.Duration // one way, 0..DelayMax
	Jitter   time.Duration // added to Delay, uniform in 0..Jitter; does not reorder
	Rate     int64         // bit/s; 0 = no limit
	Queue    int           // bytes that wait for the transmitter, 0..QueueMax; without Rate nothing waits
	Overhead int           // bytes that each frame takes on the line in addition to its own

	Loss  float64   // independent loss
	Burst sim.Burst // bursts of loss on top of it, counted in frames
	Fades Fades     // bursts of loss on top of it, measured in time
	Dup   float64   // arrives a second time

	Reorder   float64       // held back by up to ReorderBy, so that others overtake
	ReorderBy time.Duration // 0 = 5 ms

	Corrupt float64 // 1 to 8 bits flipped

	Events []Event
}

// Fades are the bursts of Gilbert and Elliott in continuous time: all frames are lost in
// spans that last Length in the mean and make up Share of the time. A Burst is counted in
// frames, so it lasts for many seconds while only a few control messages are sent. A fade
// of a radio link does not.
type Fades struct {
	Share  float64       // 0..1; 0 = never
	Length time.Duration // 1 µs..DelayMax
}

// Event is a span of time in which the link is worse.
type Event struct {
	From   time.Duration // since the start
	Length time.Duration
	Every  time.Duration // 0 = once
	Loss   float64       // 1 = nothing passes
	Rate   int64         // bit/s meanwhile; 0 = as before
	Delay  time.Duration // added meanwhile
}

func (e *Event) active(t time.Duration) bool {
	t -= e.From
	if t >= 0 && e.Every > 0 {
		t %= e.Every
	}
	return t >= 0 && t < e.Length
}

// Check returns an error that wraps ErrConfig if a value is out of range.
func (c *Config) Check() error {
	bad := func(what string) error { return fmt.Errorf("%w: %s", ErrConfig, what) }
	share := func(p float64) bool { return p >= 0 && p <= 1 }
	switch {
	case c.Delay < 0 || c.Delay > DelayMax || c.Jitter < 0 || c.Jitter > DelayMax || c.ReorderBy < 0 || c.ReorderBy > DelayMax:
		return bad("a delay, jitter or reordering outside 0 to 60 s")
	case !rateOK(c.Rate):
		return bad("a rate outside 1 kbit/s to 400 Gbit/s")
	case c.Queue < 0 || c.Queue > QueueMax:
		return bad("a queue outside 0 to 64 MiB")
	case c.Overhead < 0 || c.Overhead > 1000:
		return bad("an overhead outside 0 to 1000 bytes a frame")
	case !share(c.Loss) || !share(c.Dup) || !share(c.Reorder) || !share(c.Corrupt):
		return bad("a probability outside 0 to 1")
	case !share(c.Burst.Enter) || !share(c.Burst.Leave) || !share(c.Burst.Loss):
		return bad("bursts with a probability outside 0 to 1")
	case !share(c.Fades.Share) || c.Fades.Share > 0 && (c.Fades.Length < time.Microsecond || c.Fades.Length > DelayMax):
		return bad("fades with a share outside 0 to 1, or not 1 µs to 60 s long")
	case len(c.Events) > EventsMax:
		return bad("more than 64 events")
	}
	for i := range c.Events {
		e := &c.Events[i]
		switch {
		case e.From < 0 || e.Length <= 0 || e.Every != 0 && e.Every < e.Length:
			return bad("an event that never is, or lasts longer than until it comes again")
		case !share(e.Loss) || !rateOK(e.Rate) || e.Delay < 0 || e.Delay > DelayMax:
			return bad("an event with a loss, rate or delay out of range")
		}
	}
	return nil
}

func rateOK(r int64) bool { return r == 0 || r >= RateMin && r <= RateMax }

// Cause says why a frame was lost, or that it passed.
type Cause uint8

const (
	Passed     Cause = iota
	LostQueue        // no room in the queue
	LostEvent        // in an outage or fade
	LostBurst        // in the bad state of Burst, or in a fade
	LostSingle       // independently
	causes
)

var causeNames = [causes]string{"pass", "queue", "outage", "burst", "loss"}

func (c Cause) String() string { return causeNames[c] }

// Fate is what the link does with one frame.
type Fate struct {
	Number uint64 // of the frame in this direction, from 0
	Cause  Cause
	Queued int        // bytes that waited before it
	Sent   clock.Time // the transmitter is done with it; 0 if LostQueue
	At     clock.Time // arrival; 0 if lost
	Copy   clock.Time // arrival of a copy; 0 = none
	Held   bool       // chosen for reordering
	Damage uint64     // for Damage; 0 = arrives whole
}

// Counters of a link since the start. Frames = Passed + the sum of the losses.
type Counters struct {
	Frames, Bytes             uint64 // that came to the link
	Passed, PassedBytes       uint64 // without copies
	LostQueue, LostEvent      uint64
	LostBurst, LostSingle     uint64
	Copies, Held, Damaged     uint64
	QueuePeak                 int           // bytes
	WaitMax                   time.Duration // longest time in queue and transmitter
	FirstArrival, LastArrival clock.Time
}

// Link is one direction of a link. It is for one goroutine.
type Link struct {
	cfg   Config
	start clock.Time
	rng   *rand.Rand
	bad   bool       // state of Burst
	faded bool       // state of Fades at seen
	seen  clock.Time // 0: never
	busy  clock.Time // the transmitter is done with all that waits
	last  clock.Time // latest arrival that was not held back
	fades bool       // some event loses a share only

	waiting []waiting // ring of frames in queue and transmitter
	head    int
	count   int
	queued  int // bytes in the ring

	n Counters
}

type waiting struct {
	until clock.Time
	size  int
}

// New returns a link that starts at start. Links of one seed differ by direction.
func New(cfg Config, seed, direction uint64, start clock.Time) (*Link, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.ReorderBy == 0 {
		cfg.ReorderBy = reorderDefault
	}
	l := &Link{cfg: cfg, start: start, rng: rand.New(rand.NewPCG(seed, direction)), busy: start}
	limited := cfg.Rate > 0
	for i := range cfg.Events {
		e := &cfg.Events[i]
		limited = limited || e.Rate > 0
		l.fades = l.fades || e.Loss > 0 && e.Loss < 1
	}
	if limited {
		l.waiting = make([]waiting, cfg.Queue/frameMin+1)
	}
	return l, nil
}

// Counters returns the counters so far.
func (l *Link) Counters() Counters { return l.n }

// luck is the set of random numbers of one frame. All are drawn for every frame, even for
// one that is lost before they are needed: the numbers of the next frame must not depend
// on that.
type luck struct {
	burst  bool
	single bool
	radio  float64 // 0..1, against being faded
	fade   float64 // 0..1, against the loss of an event
	jitter time.Duration
	held   time.Duration // 0 = in order
	copied time.Duration // after the first; 0 = no copy
	damage uint64
}

func (l *Link) draw() (k luck) {
	c := &l.cfg
	if c.Burst.Enter > 0 {
		l.bad, k.burst = c.Burst.Step(l.bad, l.rng)
	}
	if c.Fades.Share > 0 {
		k.radio = l.rng.Float64()
	}
	if c.Loss > 0 {
		k.single = l.rng.Float64() < c.Loss
	}
	if l.fades {
		k.fade = l.rng.Float64()
	}
	if c.Jitter > 0 {
		k.jitter = time.Duration(l.rng.Float64() * float64(c.Jitter+1))
	}
	if c.Reorder > 0 {
		hit, by := l.rng.Float64() < c.Reorder, l.rng.Float64()
		if hit {
			k.held = 1 + time.Duration(by*float64(c.ReorderBy))
		}
	}
	if c.Dup > 0 {
		hit, by := l.rng.Float64() < c.Dup, l.rng.Float64()
		if hit {
			k.copied = 1 + time.Duration(by*float64(dupWithin))
		}
	}
	if c.Corrupt > 0 {
		hit, seed := l.rng.Float64() < c.Corrupt, l.rng.Uint64()
		if hit {
			k.damage = seed | 1
		}
	}
	return k
}

// weather is the sum of all events of a moment.
func (l *Link) weather(at clock.Time) (loss float64, rate int64, delay time.Duration) {
	rate = l.cfg.Rate
	since := at.Sub(l.start)
	for i := range l.cfg.Events {
		e := &l.cfg.Events[i]
		if !e.active(since) {
			continue
		}
		loss = max(loss, e.Loss)
		delay += e.Delay
		if e.Rate > 0 && (rate == 0 || e.Rate < rate) {
			rate = e.Rate
		}
	}
	return loss, rate, delay
}

// fading moves the state of Fades to a later moment and reports whether frames are lost
// there. Right after the last moment the state is the same; after a long time it is bad
// with the probability Share.
func (l *Link) fading(at clock.Time, u float64) bool {
	share := l.cfg.Fades.Share
	if share == 0 {
		return false
	}
	memory := 0.0
	if l.seen > 0 && share < 1 {
		// The bad state lasts Length in the mean, the good one Length·(1-share)/share.
		// The influence of the old state decays with the sum of both rates.
		memory = math.Exp(-float64(at.Sub(l.seen)) / (float64(l.cfg.Fades.Length) * (1 - share)))
	}
	p := share * (1 - memory)
	if l.faded {
		p += memory
	}
	l.faded, l.seen = u < p, at
	return l.faded
}

// Carry decides about a frame of size bytes that comes to the link at now. Calls must come
// in the order of time.
func (l *Link) Carry(now clock.Time, size int) Fate {
	f := Fate{Number: l.n.Frames}
	l.n.Frames++
	l.n.Bytes += uint64(size)
	k := l.draw()
	l.drain(now)
	f.Queued = l.queued

	start := max(now, l.busy)
	_, rate, _ := l.weather(start)
	f.Sent = start
	if rate > 0 {
		if l.count > 0 && (l.queued+size > l.cfg.Queue || l.count == len(l.waiting)) {
			f.Cause, f.Sent = LostQueue, 0
			l.n.LostQueue++
			return f
		}
		f.Sent = start.Add(time.Duration(int64(size+l.cfg.Overhead) * 8 * int64(time.Second) / rate))
		l.busy = f.Sent
		l.wait(f.Sent, size)
	}
	l.n.WaitMax = max(l.n.WaitMax, f.Sent.Sub(now))

	loss, _, extra := l.weather(f.Sent)
	switch {
	case loss >= 1 || loss > 0 && k.fade < loss:
		f.Cause = LostEvent
		l.n.LostEvent++
		return f
	case k.burst || l.fading(f.Sent, k.radio):
		f.Cause = LostBurst
		l.n.LostBurst++
		return f
	case k.single:
		f.Cause = LostSingle
		l.n.LostSingle++
		return f
	}
	f.At = max(f.Sent.Add(l.cfg.Delay+extra+k.jitter), l.last)
	l.last = f.At
	if k.held > 0 {
		f.Held = true
		f.At = f.At.Add(k.held)
		l.n.Held++
	}
	if k.copied > 0 {
		f.Copy = f.At.Add(k.copied)
		l.n.Copies++
	}
	if k.damage != 0 {
		f.Damage = k.damage
		l.n.Damaged++
	}
	if l.n.Passed == 0 {
		l.n.FirstArrival = f.At
	}
	l.n.LastArrival = max(l.n.LastArrival, f.At)
	l.n.Passed++
	l.n.PassedBytes += uint64(size)
	return f
}

// drain removes frames that the transmitter has sent.
func (l *Link) drain(now clock.Time) {
	for l.count > 0 && l.waiting[l.head].until <= now {
		l.queued -= l.waiting[l.head].size
		l.count--
		if l.head++; l.head == len(l.waiting) {
			l.head = 0
		}
	}
}

func (l *Link) wait(until clock.Time, size int) {
	i := l.head + l.count
	if i >= len(l.waiting) {
		i -= len(l.waiting)
	}
	l.waiting[i] = waiting{until: until, size: size}
	l.count++
	l.queued += size
	l.n.QueuePeak = max(l.n.QueuePeak, l.queued)
}

// Damage flips 1 to 8 bits of frame behind its Ethernet header, chosen by Fate.Damage, and
// returns how many were chosen; a bit that is chosen twice keeps its value.
func Damage(frame []byte, seed uint64) int {
	if len(frame) <= headerLen {
		return 0
	}
	body := frame[headerLen:]
	var g rand.PCG
	g.Seed(seed, uint64(len(frame)))
	flips := 1 + int(g.Uint64()%flipsMax)
	for range flips {
		bit := g.Uint64() % uint64(8*len(body))
		body[bit/8] ^= 1 << (bit % 8)
	}
	return flips
}
