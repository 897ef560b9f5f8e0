package engine

import (
	"context"
	"fmt"
	"net/netip"

	"uftp/engine/clock"
	"uftp/engine/disk"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/ring"
	"uftp/engine/seal"
	"uftp/engine/store"
	"uftp/engine/tap"
	"uftp/wire"
)

// Receive runs a receiver until ctx is cancelled. Then it aborts every session, saves what
// can be resumed, and returns within [StopLimit], even while a disk hangs. report may be
// nil. Errors are those of setting up: directories, socket, memberships.
func Receive(ctx context.Context, cfg ReceiveConfig, report Reporter) error {
	var err error
	if !supervise(ctx, report, func(report Reporter) { err = listenAndReceive(ctx, cfg, report) }) {
		return nil // the run may still write to err
	}
	return err
}

func listenAndReceive(ctx context.Context, cfg ReceiveConfig, report Reporter) error {
	sink, err := store.NewSink(cfg.Sink)
	if err != nil {
		return err
	}
	cfg.Net.Destinations = cfg.Capture.Files.Path != ""
	conn, err := netio.Listen(cfg.Net)
	if err != nil {
		return fmt.Errorf("opening the socket: %w", err)
	}
	defer conn.Close()
	if watch, err := netio.NewWatch(); err == nil { // else the core only looks from time to time
		cfg.watch = watch
	}
	return receiveOn(ctx, cfg, sink, conn, report)
}

// receiveRun is one running receiver. The core goroutine owns all fields but the rings and
// the mailboxes.
type receiveRun struct {
	*host
	m    *receiver.Receiver
	sink *store.Sink
	cfg  *ReceiveConfig

	out      machine.Out
	rx       *ring.Hand[rxSlot]
	overflow *ring.Hand[rxSlot] // filled while the other ring is full
	reader   *reader
	tx       *ring.Hand[txSlot]

	openers []*opener

	pkts     [machine.MaxJoined][]byte // datagrams of one slot
	verdicts [machine.MaxJoined]machine.Verdict

	files
	live   int // sessions not ended
	making int // keys to come
	keys   *ring.Mailbox[newKey]

	memberships
}

// receiveOn is Receive on a connection that is open already.
func receiveOn(ctx context.Context, cfg ReceiveConfig, sink *store.Sink, conn netio.Conn, report Reporter) error {
	if cfg.watch != nil {
		defer cfg.watch.Close()
	}
	plan := planReceive(&cfg, conn.Caps())
	r, public := newReceiveRun(&cfg, sink, conn, report)
	var rxTap, txTap *tap.Lane
	err := r.joinPublic(public)
	if err == nil {
		rxTap, txTap, err = r.capture(cfg.Capture, cfg.Net, tap.Data, tap.Control, cfg.holdCapture)
	}
	if err != nil {
		r.finish("", nil, nil)
		return err
	}
	r.start(&plan, rxTap, txTap)
	r.startUpkeep(ctx)

	r.put(Opened{UID: r.uid, Port: conn.LocalPort(), Caps: conn.Caps(), WantRcvBuf: cfg.Net.RcvBuf, WantSndBuf: cfg.Net.SndBuf})
	r.reportJoined()
	r.reportWaiting()
	for _, w := range sink.Warnings() {
		r.put(Note{Level: 0, Text: w})
	}
	for _, l := range sink.FinishMoves() {
		for _, ev := range lateMove(&l) {
			r.put(ev)
		}
	}
	if cfg.Ready != nil {
		cfg.Ready()
	}
	r.loop(ctx)
	if cfg.watch != nil {
		cfg.watch.Close()
	}
	r.finish("the disk", nil, func() {
		r.put(ReceiveStopped{r.receiveStats()})
		r.m.Wipe()
	})
	return nil
}

// newReceiveRun returns the run and the public groups that it should join.
func newReceiveRun(cfg *ReceiveConfig, sink *store.Sink, conn netio.Conn, report Reporter) (r *receiveRun, public []netip.Addr) {
	r = &receiveRun{
		host: newHost(newWall(), conn, cfg.Net, cfg.Tick, cfg.Trace, report),
		sink: sink, cfg: cfg,
		files: newFiles(),
	}
	public = r.memberships.init(cfg, r.began)
	r.m = receiver.New(cfg.Receiver, r.began)
	r.stats = func() machine.Event { return ReceiveTick{r.receiveStats()} }
	r.keys = ring.NewMailbox[newKey](r.wake)
	return r, public
}

// start makes the rings and starts the stages that datagrams pass.
func (r *receiveRun) start(p *receivePlan, rxTap, txTap *tap.Lane) {
	opened := make([]seal.Mark, machine.MaxJoined) // of the slot that the core is at
	in := ring.New(p.in.n, func(_ int, s *rxSlot) {
		s.buf, s.opened = make([]byte, p.in.bytes), opened
		if p.openers > 0 {
			s.opened = make([]seal.Mark, machine.MaxJoined)
		}
	}, p.stages...)
	overflow := ring.New(p.overflow.n, func(_ int, s *rxSlot) { s.buf, s.opened = make([]byte, p.overflow.bytes), opened }, 1, 1)
	out := txRing(p.out, 1, 1)
	last := len(p.stages) - 1
	r.rx, r.overflow, r.tx = in.Hand(last-1, 0), overflow.Hand(1, 0), out.Hand(0, 0)
	r.inGauge, r.outGauge = newGauge(p.in.n, in.Used), newGauge(p.out.n, out.Used)
	r.rx.SetWake(r.wake)
	r.overflow.SetWake(r.wake)
	r.tx.SetWake(r.wake)

	// All hands have their place to sleep before the first goroutine touches a ring.
	r.reader = newReader(r.wall, r.conn, in.Hand(0, 0), overflow.Hand(0, 0), r.notes, rxTap, r.quit)
	for i := range p.openers {
		r.openers = append(r.openers, newOpener(in.Hand(1, i), r.quit))
	}
	r.disk = disk.New(disk.Config{
		Sink: disk.Files(r.sink), Slots: p.in.n, Core: r.rx, Writer: in.Hand(last, 0),
		Clock: r.wall.now, Go: r.run, Wake: r.wake, Quit: r.quit,
		HoldWrite: r.cfg.holdDisk, HoldJob: r.cfg.holdRequest,
	})
	t := &transmitter{wall: r.wall, conn: r.conn, notes: r.notes, tap: txTap, trace: r.trace, quit: r.quit}

	r.run(r.reader.run)
	for _, w := range r.openers {
		r.run(w.run)
	}
	r.run(r.disk.Run)
	r.run(func() { t.run(out.Hand(1, 0)) })
}

// startUpkeep starts the goroutines that work beside the sessions.
func (r *receiveRun) startUpkeep(ctx context.Context) {
	r.run(func() { r.sink.Clean(ctx) })
	if r.cfg.watch != nil {
		r.run(r.watch)
	}
	if r.cfg.ResumeFor > 0 {
		r.run(func() { expireLoop(r.sink, r.cfg.ResumeFor, r.notes, r.quit) })
	}
	if r.cfg.Sink.Temp != "" {
		r.run(func() { retryLoop(r.sink, r.notes, r.quit) })
	}
}

// watch wakes the core when interfaces change.
func (r *receiveRun) watch() {
	for r.cfg.watch.Next() == nil {
		r.changed.Store(true)
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// loop drives the machine until ctx is cancelled and all jobs of the disk are done, or the
// time of the end is over.
func (r *receiveRun) loop(ctx context.Context) {
	cancelled := ctx.Done()
	stopping := false
	for {
		now := r.wall.now()
		select {
		case <-cancelled:
			cancelled, stopping = nil, true
			r.stop(now, flushWait)
			r.m.Stop(now)
		default:
		}
		busy := r.handle(now)
		r.watchDisk(now)
		r.done(now)
		r.keysMade()
		busy = r.poll(now) || busy
		r.due(now)
		if r.end.passed() {
			return
		}
		if busy {
			continue
		}
		if stopping && r.disk.Pending() == 0 && r.making == 0 && r.tx.Idle() {
			return
		}
		r.lookAtInterfaces(now)
		r.sleep(r.idle(r.wakeAt()), cancelled, nil)
	}
}

// handle gives the machine what has arrived, a bounded number of slots at a time.
func (r *receiveRun) handle(now clock.Time) (busy bool) {
	n := 0
	for ; n < rxBatch && r.rx.Ahead(n); n++ {
		s := r.rx.Peek(n)
		pos := r.rx.Pos() + uint64(n)
		busy = r.handleOverflow(now, pos) || busy
		r.handleSlot(now, s, pos)
	}
	if n > 0 {
		r.rx.Done(n)
		return true
	}
	return r.handleOverflow(now, r.rx.Pos()) || busy
}

// handleSlot gives the machine the datagrams of one slot together, so that the machine opens
// sealed ones side by side where no opener has done so. pos is the slot's position in the
// ring, for the disk.
func (r *receiveRun) handleSlot(now clock.Time, s *rxSlot, pos uint64) {
	k, more := s.split(&r.pkts)
	for range more {
		r.drops.add(machine.DropLimit)
	}
	pkts := r.pkts[:k]
	if r.trace {
		for _, pkt := range pkts {
			r.put(Traced{In: true, Peer: s.head.From, Text: wire.Describe(pkt)})
		}
	}
	r.m.HandleBatch(now, &s.head, pkts, s.opened, r.verdicts[:])
	for i := range pkts {
		v := &r.verdicts[i]
		if v.Drop != machine.DropNone {
			r.drops.add(v.Drop)
			continue
		}
		if v.Store.Data == nil {
			continue
		}
		r.store(&v.Store, pos)
	}
}

// handleOverflow gives the machine what was read into the overflow ring before the slot at
// pos of the other one. It does not take blocks out of it.
func (r *receiveRun) handleOverflow(now clock.Time, pos uint64) (busy bool) {
	for r.overflow.Ready() && r.overflow.Slot().after <= pos {
		r.m.NoRoom(true)
		r.handleSlot(now, r.overflow.Slot(), pos)
		r.m.NoRoom(false)
		r.overflow.Done(1)
		busy = true
	}
	return busy
}

// watchDisk makes rx read into the overflow ring while the disk lags, and reports how the disk
// keeps up.
func (r *receiveRun) watchDisk(now clock.Time) {
	if !r.disk.Lags() {
		return
	}
	was := r.disk.Overflow()
	ev, report := r.disk.Look(now, r.m.Patience())
	if on := r.disk.Overflow(); on != was {
		r.reader.readOn.Store(on)
		ring.Poke(r.reader.wake)
	}
	if report {
		r.put(ev)
	}
}

// keysMade gives the machine the keys that it wanted.
func (r *receiveRun) keysMade() {
	for _, k := range r.keys.Take() {
		r.making--
		for _, ev := range failure(receiver.Session{}, "making a key of type "+k.spec.String(), k.err) {
			r.put(ev)
		}
		r.m.KeyMade(k.key)
	}
}

// poll carries out what the machine wants while there is room, and reports
// whether it did anything.
func (r *receiveRun) poll(now clock.Time) (busy bool) {
	for r.tx.Ready() {
		switch r.m.Poll(now, &r.out) {
		case machine.Idle:
			return busy
		case machine.PacketKind:
			r.tx.Slot().packet(&r.out.Packet)
			r.tx.Done(1)
		case machine.EventKind:
			r.event(now, r.out.Event)
		case machine.TrainKind:
			panic("engine: a receiver plans no trains")
		}
		busy = true
	}
	return busy
}

func (r *receiveRun) event(now clock.Time, ev machine.Event) {
	if r.job(ev) {
		return
	}
	switch ev := ev.(type) {
	case receiver.Join:
		text := ""
		if err := r.joinAll(ev.Group, ev.Session); err != nil {
			text = forPeer(err)
		}
		r.m.Joined(now, ev.Session.SessionID, text)
		return
	case receiver.Leave:
		r.leaveAll(ev.Group)
		return
	case receiver.KeyWanted:
		r.making++
		r.run(func() { r.keys.Put(makeKey(ev.Spec)) })
		return
	case receiver.Keyed:
		r.shareKey(ev.Session.SessionID)
		if secrets, ok := r.m.Secrets(ev.Session.SessionID); ok && r.cfg.KeyLog != nil {
			r.run(func() { r.cfg.KeyLog(ev.Session, secrets) })
		}
	case receiver.SessionStarted:
		r.live++
		r.active(now, true)
	case receiver.SessionEnded:
		r.losses.look(r.put)
		r.revokeKey(ev.Session.SessionID)
		r.disk.End(r.session(&ev.Session), ev.OK, ev)
		delete(r.sessions, ev.Session.SessionID)
	}
	r.put(ev)
}

// wakeAt is when the core should wake up by itself.
func (r *receiveRun) wakeAt() clock.Time {
	until := clock.Min(r.m.Deadline(), r.nextLook)
	if now := r.wall.now(); until <= now && !r.tx.Ready() {
		until = now.Add(flushWait) // the way out is full: the transmitter wakes us
	}
	return clock.Min(until, r.disk.LookAt())
}

// shareKey gives each opener a key of a session.
func (r *receiveRun) shareKey(id receiver.SessionID) {
	for _, w := range r.openers {
		if k, ok := r.m.UnsealKey(id); ok {
			w.news.Put(keyNews{key: k})
		}
	}
}

// revokeKey has each opener wipe what shareKey gave it.
func (r *receiveRun) revokeKey(id receiver.SessionID) {
	for _, w := range r.openers {
		w.news.Put(keyNews{group: id.Group, instance: id.Instance})
	}
}
