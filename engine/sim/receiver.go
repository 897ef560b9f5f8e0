package sim

import (
	"fmt"
	"net/netip"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/wire"
)

// maxGroups is how many multicast groups a world can have.
const maxGroups = 32

// Receiver is the host of a receiver machine with its link and disk.
type Receiver struct {
	host
	Config receiver.Config
	Disk   Disk
	// Hook sees every event after the receiver has dealt with it.
	Hook func(machine.Event)

	// Ends are the reasons for which sessions ended, in order.
	Ends []receiver.EndReason
	// Statuses are the answers to FILEINFO and the outcomes of files, by name; the
	// last one counts.
	Statuses map[string]wire.CompleteStatus

	index    int
	addr     netip.AddrPort
	m        *receiver.Receiver
	member   [maxGroups]int
	downLink link
	upLink   link
	life     int  // how often it was started: answers for an earlier life are void
	stopping bool // will go off when nothing is due any more

	seqs   map[uint64]uint16 // next number of each session
	sealed map[uint64]bool   // sessions that have sent something sealed
	proved map[uint64]bool   // sessions whose keys the sender has proved
	keyed  map[uint64]uint64 // last counter of each session in all lives, which have the same key
	heard  int64             // control packets taken since the start
	said   int64             // packets sent
	since  clock.Time        // start of this life
}

// AddReceiver adds a receiver with the same path in both directions.
func (w *World) AddReceiver(cfg receiver.Config, both Path) *Receiver {
	return w.AddReceiverOn(cfg, both, both)
}

// AddReceiverOn adds a receiver that is up. UID 0 becomes 0x0A010001 and so on.
func (w *World) AddReceiverOn(cfg receiver.Config, down, up Path) *Receiver {
	n := len(w.receivers)
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = 4
	}
	if cfg.UID == 0 {
		cfg.UID = wire.UID(0x0A010001 + n)
	}
	if cfg.Public == nil {
		cfg.Public = []netip.Addr{Public.Addr()}
	}
	r := &Receiver{Config: cfg, index: n, Statuses: map[string]wire.CompleteStatus{}, keyed: map[uint64]uint64{}}
	r.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)}), wire.DefaultPort)
	r.w, r.name = w, fmt.Sprintf("receiver %d", n)
	r.room = func() bool { return true }
	r.do = r.carryOut
	r.Disk.init(r)
	r.downLink = *newLink(w, r, Down, down)
	r.upLink = *newLink(w, r, Up, up)
	w.receivers = append(w.receivers, r)
	w.byAddr[r.addr] = r
	w.addToLane(&r.downLink)
	r.Start()
	return r
}

func (w *World) addToLane(l *link) {
	for _, lane := range w.lanes {
		if lane.delay == l.Delay {
			lane.down = append(lane.down, l)
			return
		}
	}
	w.lanes = append(w.lanes, &lane{delay: l.Delay, down: []*link{l}})
}

// UID returns the UID of the receiver.
func (r *Receiver) UID() wire.UID { return r.Config.UID }

// Up reports whether the receiver is on.
func (r *Receiver) Up() bool { return r.up }

// Start switches the receiver on. It remembers nothing but its disk.
func (r *Receiver) Start() {
	r.m = receiver.New(r.Config, r.w.now)
	r.life++
	r.since, r.heard, r.said = r.w.now, 0, 0
	r.seqs, r.sealed, r.proved = map[uint64]uint16{}, map[uint64]bool{}, map[uint64]bool{}
	r.member = [maxGroups]int{}
	for _, g := range r.Config.Public {
		r.member[r.w.group(g)]++
	}
	r.begin(r.m)
	if r.w.running {
		r.settle()
	}
}

// Kill switches the receiver off as a power cut does: the disk keeps what was
// made durable.
func (r *Receiver) Kill() {
	r.up, r.stopping = false, false
	r.life++
	r.Disk.powerCut()
}

// Stop stops the receiver as a signal does: it aborts its sessions, carries out what Poll gives,
// and is off when the disk owes no answer any more.
func (r *Receiver) Stop() {
	if !r.up {
		return
	}
	r.m.Stop(r.w.now)
	r.settle()
	r.stopping = true
	r.offIfIdle()
}

// offIfIdle ends a stop once the disk owes no answer.
func (r *Receiver) offIfIdle() {
	if !r.stopping || r.Disk.pending > 0 {
		return
	}
	for _, s := range r.m.Stats(nil) {
		r.w.Fail("%s: session %08X is left in phase %v by Stop", r, s.Session.Group, s.Phase)
	}
	r.atRest()
	r.up, r.stopping = false, false
	r.life++
}

// receive gives a packet to the machine.
func (r *Receiver) receive(p *packet) {
	if !r.up {
		return
	}
	r.onTime()
	data := p.data
	f := wire.Func(data[1]) // hosts take packets of every length, links carry only what was sent
	if f == wire.FuncEncrypted {
		data = append([]byte(nil), data...) // opened in place
	}
	v := r.mach.Handle(r.w.now, p.arrived(data))
	if f != wire.FuncFileSeg {
		r.heard++
	}
	if v.Store.Data != nil {
		if v.Drop != machine.DropNone {
			r.w.Fail("%s: a packet is dropped (%v) and stored", r, v.Drop)
		}
		r.Disk.store(p, &v.Store)
	}
	r.settle()
}

// carryOut carries out a request of the machine.
func (r *Receiver) carryOut(k machine.Kind, out *machine.Out) {
	switch k {
	case machine.PacketKind:
		p := r.w.packet(r.addr, out.Packet.To, out.Packet.Data)
		r.checkSent(p)
		r.w.send(p, r.w.now, r)
	case machine.TrainKind:
		r.w.Fail("%s plans a train", r)
	case machine.EventKind:
		r.event(out.Event)
	}
}

func (r *Receiver) event(ev machine.Event) {
	r.trace(ev)
	switch ev := ev.(type) {
	case receiver.Join:
		g := r.w.group(ev.Group)
		if g < 0 {
			r.later(0, func() { r.m.Joined(r.w.now, ev.Session.SessionID, "no such group here") })
			break
		}
		r.later(0, func() {
			if r.member[g] > 0 {
				r.w.Fail("%s joins %v, where it is a member", r, ev.Group)
			}
			r.member[g]++
			r.m.Joined(r.w.now, ev.Session.SessionID, "")
		})
	case receiver.Leave:
		g := r.w.group(ev.Group)
		r.later(0, func() {
			if g < 0 || r.member[g] == 0 {
				r.w.Fail("%s leaves %v, where it is no member", r, ev.Group)
				return
			}
			r.member[g]--
		})
	case receiver.Settle:
		r.later(0, func() { r.m.Settled(r.w.now, ev.Session.SessionID, ev.Number, "") })
	case receiver.KeyWanted:
		r.w.Fail("%s wants a key that cannot be made the same way twice: %v", r, ev.Spec)
	case receiver.Keyed:
		r.proved[uint64(ev.Session.Group)<<8|uint64(ev.Session.Instance)] = true
	case receiver.Open:
		r.Disk.openRequest(&ev)
	case receiver.Close:
		r.Disk.close(&ev)
	case receiver.Checkpoint:
		r.Disk.checkpoint(&ev)
	case receiver.Abandon:
		r.Disk.abandon(&ev)
	case receiver.FileEnded:
		r.Statuses[ev.Request.Name] = ev.Status
		r.Disk.checkEnded(&ev)
	case receiver.SessionEnded:
		r.Ends = append(r.Ends, ev.Reason)
		delete(r.seqs, uint64(ev.Session.Group)<<8|uint64(ev.Session.Instance))
		delete(r.sealed, uint64(ev.Session.Group)<<8|uint64(ev.Session.Instance))
		delete(r.proved, uint64(ev.Session.Group)<<8|uint64(ev.Session.Instance))
		r.Disk.sessionEnded(&ev)
	}
	if r.Hook != nil {
		r.Hook(ev)
	}
}

// atRest checks the state without sessions.
func (r *Receiver) atRest() {
	for g, n := range r.member {
		want := 0
		for _, p := range r.Config.Public {
			if g < len(r.w.groups) && r.w.groups[g] == p {
				want++
			}
		}
		if n != want {
			r.w.Fail("%s is %d times member of %v at rest, want %d", r, n, r.w.groups[g], want)
		}
	}
	r.Disk.atRest()
}
