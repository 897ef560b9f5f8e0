package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/ring"
	"uftp/engine/seal"
	"uftp/engine/sender"
	"uftp/engine/store"
	"uftp/engine/tap"
	"uftp/wire"
)

const (
	lookahead = 5 * time.Millisecond
	// shortWait is the longest that the core sleeps without listening for other work.
	shortWait = 300 * time.Microsecond
)

// Send runs one sender session and returns when it has ended. Cancelling ctx ends it as a
// signal does: Send tells the receivers and returns within [StopLimit], even while a disk
// hangs. Send uses up the Dialect of cfg and wipes its secrets (but see stop.go). report
// may be nil. The error is that of setting up (socket, addresses); the result says how the
// session went.
func Send(ctx context.Context, cfg SendConfig, report Reporter) (SendResult, error) {
	var res SendResult
	var err error
	if !supervise(ctx, report, func(report Reporter) { res, err = listenAndSend(ctx, cfg, report) }) {
		// The run may still write to res.
		return SendResult{Group: cfg.Session.Group, Instance: cfg.Session.Instance, SessionEnded: sender.SessionEnded{Exit: sender.ExitSignal}}, nil
	}
	return res, err
}

func listenAndSend(ctx context.Context, cfg SendConfig, report Reporter) (SendResult, error) {
	cfg.Net.Destinations = cfg.Capture.Files.Path != ""
	conn, err := netio.Listen(cfg.Net)
	if err != nil {
		cfg.Session.Dialect.Wipe()
		return SendResult{}, fmt.Errorf("opening the socket: %w", err)
	}
	defer conn.Close()
	return sendOn(ctx, cfg, conn, report)
}

// sendRun is one running sender. The core goroutine owns all fields but the rings and the
// mailboxes.
type sendRun struct {
	*host
	m *sender.Sender

	out    machine.Out
	alive  machine.Packet     // of KeepAlive
	tx     *ring.Hand[txSlot] // trains and packets, planned
	urgent *ring.Hand[txSlot] // one packet, see runUrgent
	reaped uint64             // the machine knows of the departures before this position
	trains int                // planned and not reaped
	rx     *ring.Hand[rxSlot] // what has arrived
	failed *ring.Mailbox[fileFailure]

	offers   chan offer
	wants    chan struct{} // asks the walk for a file
	wanting  bool          // the machine waits for an Offer
	current  *source       // of the file announced last
	closes   *ring.Mailbox[*source]
	ended    bool
	hold     func() // for tests: see source
	stopping bool   // after a signal
	result   SendResult
}

// sendOn is Send on a connection that is open already.
func sendOn(ctx context.Context, cfg SendConfig, conn netio.Conn, report Reporter) (SendResult, error) {
	sc := &cfg.Session
	defer sc.Dialect.Wipe()
	if sc.Group == 0 {
		sc.Group = randomGroup()
	}
	if sc.Lookahead == 0 {
		sc.Lookahead = lookahead
	}
	packers, err := newPackers(sc, max(1, cfg.Workers))
	if err != nil {
		return SendResult{}, fmt.Errorf("setting up encryption: %w", err)
	}
	plan := planSend(&cfg, conn.Caps(), packers[0].Stride())
	sc.TrainBlocks = plan.trainBlocks
	r := newSendRun(&cfg, conn, report)
	rxTap, txTap, err := r.capture(cfg.Capture, cfg.Net, tap.Control, tap.Data, cfg.holdCapture)
	if err != nil {
		wipeAll(packers)
		r.finish("", nil, nil)
		return SendResult{}, err
	}
	r.put(Opened{
		Port: conn.LocalPort(), Caps: conn.Caps(), WantRcvBuf: cfg.Net.RcvBuf, WantSndBuf: cfg.Net.SndBuf,
		PrivateAddress: sc.Private.Addr(), Group: sc.Group, Instance: sc.Instance,
	})
	r.start(&cfg, &plan, packers, rxTap, txTap)

	r.loop(ctx, cfg.Begin)
	if !r.stopping && r.result.Exit != sender.ExitNobody {
		r.listUntried(ctx)
	}
	r.end.begin()
	r.flush()
	current := r.current
	r.finish("the source disk", func() { closeAll(current, r.offers, r.closes, r.notes) }, func() {
		r.result.Stats = r.sendStats()
		r.put(SendStopped{r.result.Stats})
	})
	return r.result, nil
}

// newPackers returns n packers of a session.
func newPackers(cfg *sender.Config, n int) ([]*seal.Packer, error) {
	var list []*seal.Packer
	for range n {
		p, err := cfg.Dialect.NewPacker(cfg.BlockSize)
		if err != nil {
			wipeAll(list)
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func wipeAll(list []*seal.Packer) {
	for _, p := range list {
		p.Wipe()
	}
}

func newSendRun(cfg *SendConfig, conn netio.Conn, report Reporter) *sendRun {
	w := newWall()
	if cfg.shortSleep != nil {
		w.shortSleep = cfg.shortSleep
	}
	r := &sendRun{
		host:   newHost(w, conn, cfg.Net, cfg.Tick, cfg.Trace, report),
		offers: make(chan offer, 1),
		wants:  make(chan struct{}, 1),
		closes: ring.NewMailbox[*source](make(chan struct{}, 1)),
		hold:   cfg.holdDisk,
	}
	r.m = sender.New(cfg.Session, r.began)
	r.stats = func() machine.Event { return SendTick{r.sendStats()} }
	r.active(r.began, true)
	r.failed = ring.NewMailbox[fileFailure](r.wake)
	r.result.Group, r.result.Instance, r.result.Caps = cfg.Session.Group, cfg.Session.Instance, conn.Caps()
	return r
}

// start makes the rings and starts the stages. From here on the packers belong to the
// fillers, which wipe them.
func (r *sendRun) start(cfg *SendConfig, p *sendPlan, packers []*seal.Packer, rxTap, txTap *tap.Lane) {
	out, urgent := txRing(p.out, p.stages...), txRing(p.urgent, 1, 1)
	in := ring.New(p.in.n, func(_ int, s *rxSlot) { s.buf = make([]byte, p.in.bytes) }, 1, 1)
	r.tx, r.urgent, r.rx = out.Hand(0, 0), urgent.Hand(0, 0), in.Hand(1, 0)
	r.inGauge, r.outGauge = newGauge(p.in.n, in.Used), newGauge(p.out.n, out.Used)
	r.tx.SetWake(r.wake)
	r.urgent.SetWake(r.wake)
	r.rx.SetWake(r.wake)

	rd := &reader{wall: r.wall, conn: r.conn, hand: in.Hand(0, 0), notes: r.notes, tap: rxTap, quit: r.quit}
	r.run(rd.run)
	t := &transmitter{
		wall: r.wall, conn: r.conn, notes: r.notes, tap: txTap, trace: r.trace, quit: r.quit,
		packet: cfg.Session.PacketBytes(), turn: make(chan struct{}, 1),
	}
	for i, packer := range packers {
		f := &filler{packer: packer, failed: r.failed, quit: r.quit}
		if p.fillers == 0 {
			t.filler = f
			continue
		}
		r.run(func() { f.run(out.Hand(1, i)) })
	}
	r.run(func() { t.run(out.Hand(len(p.stages)-1, 0)) })
	r.run(func() { t.runUrgent(urgent.Hand(1, 0)) })

	cfg.Walk.Now = r.wall.time(r.wall.now())
	walker := store.NewWalker(cfg.Walk)
	r.run(func() { walkLoop(walker, cfg.Without, r.wants, r.offers, r.wake, cfg.holdWalk, r.quit) })
	r.run(func() { closeLoop(r.closes, r.notes, r.quit) })
}

// loop drives the machine until its session has ended.
func (r *sendRun) loop(ctx context.Context, begin <-chan struct{}) {
	cancelled := ctx.Done()
	for !r.ended && !r.end.passed() {
		now := r.wall.now()
		select {
		case <-cancelled:
			cancelled = nil
			r.stopping = true
			r.stop(now, stopWait)
			r.result.Exit = sender.ExitSignal // if the machine does not come to its end
			r.m.Stop(now)
		case <-begin:
			r.m.Begin(now)
		default:
		}
		r.handle(now)
		r.reap()
		for _, f := range r.failed.Take() {
			if f.src.failed {
				continue // trains that were planned before
			}
			f.src.failed = true
			r.put(SourceFailed{f.src.path, f.err})
			r.m.FileFailed(now, f.src.id, f.err.Error())
		}
		r.due(now)
		if r.wanting {
			r.offer(now)
		}
		if r.urgent.Ready() && r.m.KeepAlive(now, &r.alive) {
			r.sendUrgent(&r.alive)
		}
		if !r.poll(now) {
			r.rest(cancelled, begin)
		}
	}
}

// sendUrgent sends a control packet before all that waits in the ring, which may stand still
// because of a disk. The caller has checked that there is room.
func (r *sendRun) sendUrgent(p *machine.Packet) {
	r.urgent.Slot().packet(p)
	r.urgent.Done(1)
}

// handle gives the machine what has arrived.
func (r *sendRun) handle(now clock.Time) {
	for range ctlSlots {
		if !r.rx.Ready() {
			return
		}
		s := r.rx.Slot()
		for at, step := 0, s.step(); at < s.n; at += step {
			pkt := s.buf[at:min(at+step, s.n)]
			if r.trace {
				r.put(Traced{In: true, Peer: s.head.From, Text: wire.Describe(pkt)})
			}
			s.head.Data = pkt
			r.drops.add(r.m.Handle(now, &s.head).Drop)
		}
		r.rx.Done(1)
	}
}

// poll carries out what the machine wants while there is room, and reports
// whether it did anything.
func (r *sendRun) poll(now clock.Time) (busy bool) {
	for r.room() && !r.ended {
		switch r.m.Poll(now, &r.out) {
		case machine.Idle:
			return busy
		case machine.PacketKind:
			if r.stopping {
				r.sendUrgent(&r.out.Packet)
				break
			}
			r.tx.Slot().packet(&r.out.Packet)
			r.tx.Done(1)
		case machine.TrainKind: // not after Stop
			r.trains++
			s := r.tx.Slot()
			s.train = r.out.Train
			s.src, s.state = r.current, slotPlanned
			r.current.pending++
			r.tx.Done(1)
		case machine.EventKind:
			r.event(now, r.out.Event)
		}
		busy = true
	}
	return busy
}

func (r *sendRun) event(now clock.Time, ev machine.Event) {
	switch ev := ev.(type) {
	case sender.NeedFile:
		r.wanting = true
		ring.Poke(r.wants)
		r.offer(now)
		return
	case sender.CloseFile:
		r.current.closing = true
		r.closeIfIdle(r.current)
		r.current = nil
		return
	case sender.FileStarted:
		r.current.id = ev.FileID
	case sender.SessionEnded:
		r.result.SessionEnded = ev
		r.ended = true
	}
	r.put(ev)
}

// offer answers NeedFile as soon as the walk has something.
func (r *sendRun) offer(now clock.Time) {
	for r.wanting {
		select {
		case o, more := <-r.offers:
			if !more {
				r.wanting = false
				r.m.EndOfFiles(now)
				return
			}
			if o.note != nil {
				r.put(o.note)
				continue
			}
			f := sender.File{Type: o.entry.Type, Name: o.entry.Name, Link: o.entry.Link, Size: o.entry.Size, MTime: int64(o.entry.MTime)}
			r.put(Offered{o.entry})
			if err := r.m.Offer(now, f); err != nil {
				r.closes.Put(o.src)
				if errors.Is(err, sender.ErrNotAsked) { // the session is ending
					r.wanting = false
					return
				}
				r.put(SourceFailed{o.entry.Path, err})
				ring.Poke(r.wants)
				continue
			}
			r.wanting = false
			r.current = o.src
			o.src.hold = r.hold
		default:
			return
		}
	}
}

// Limits of the list of files that a session did not come to.
const (
	untriedMax  = 1000
	untriedWait = 500 * time.Millisecond
)

// listUntried reports the files that the walk had not offered when the session ended early.
func (r *sendRun) listUntried(ctx context.Context) {
	limit := time.NewTimer(untriedWait)
	defer limit.Stop()
	last := ""
	for n := 0; n < untriedMax; {
		ring.Poke(r.wants)
		select {
		case o, more := <-r.offers:
			if !more {
				return
			}
			if o.note != nil {
				if _, ok := o.note.(Entered); !ok {
					r.put(o.note)
				}
				continue
			}
			r.closes.Put(o.src)
			last = o.entry.Path
			r.put(NotTried{Path: last})
			n++
		case <-limit.C:
			r.put(NotTried{Path: last, More: true})
			return
		case <-ctx.Done():
			return
		}
	}
	r.put(NotTried{Path: last, More: true})
}

// room reports whether there is a free slot. A slot that came back is free only when reap
// has read it. After a signal every packet is urgent: the ring may stand still, and what
// waits there is useless.
func (r *sendRun) room() bool {
	if r.stopping {
		return r.urgent.Ready()
	}
	if r.tx.Pos()-r.reaped == txSlots {
		r.reap()
	}
	return r.tx.Pos()-r.reaped < txSlots
}

// reap tells the machine how many trains have left, and frees their slots.
func (r *sendRun) reap() {
	end := r.tx.Returned()
	trains := 0
	for ; r.reaped < end; r.reaped++ {
		s := r.tx.At(r.reaped)
		if s.src == nil {
			continue
		}
		trains++
		s.src.pending--
		r.closeIfIdle(s.src)
		s.src = nil
	}
	if r.trains -= trains; trains > 0 {
		r.m.Departed(r.wall.now(), trains)
	}
}

// closeIfIdle closes a source if no slot refers to it any more.
func (r *sendRun) closeIfIdle(s *source) {
	if s.closing && s.pending == 0 {
		r.closes.Put(s)
	}
}

// rest sleeps until there is work. A value from begin makes the session begin.
func (r *sendRun) rest(cancelled, begin <-chan struct{}) {
	until := r.m.Deadline()
	if until <= r.wall.now() && !r.room() {
		until = clock.Never // the way out is full: the transmitter wakes us
	}
	if r.urgent.Ready() {
		until = clock.Min(until, r.m.KeepAliveAt())
	}
	d := r.idle(until)
	// Timers are exact to a millisecond. For a small file that is much time between its
	// data and DONE. While data is on its way out it does not matter.
	if 0 < d && d < shortWait && r.tx.Idle() {
		r.wall.shortSleep(d)
		return
	}
	if r.sleep(d, cancelled, begin) {
		r.m.Begin(r.wall.now())
	}
}

// flush waits for the last packets to leave, but not for data that a signal has made useless.
func (r *sendRun) flush() {
	limit := r.wall.now().Add(flushWait)
	for !r.urgent.Idle() || !r.tx.Idle() && !(r.stopping && r.trains > 0) {
		d := min(limit.Sub(r.wall.now()), r.end.left())
		if d <= 0 || r.end.passed() {
			break
		}
		r.sleep(d, nil, nil)
		r.reap()
	}
	r.reap()
	r.putNotes()
}

// randomGroup returns a group ID, not 0.
func randomGroup() uint32 {
	var b [4]byte
	for {
		rand.Read(b[:])
		if g := binary.BigEndian.Uint32(b[:]); g != 0 {
			return g
		}
	}
}
