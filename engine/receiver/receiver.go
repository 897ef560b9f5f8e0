package receiver

import (
	"crypto/rand"
	"net/netip"
	"slices"

	"uftp/crypto/identity"
	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// blocksMax is how many blocks the files under way may have altogether: a bit
// each, 1 GiB in all (twice that with checkpoints), which is the largest file of
// the protocol once and half. Who announces more is answered "rejected".
const blocksMax int64 = 1 << 33

// Receiver is the machine of a whole daemon. It is used from one goroutine.
type Receiver struct {
	cfg Config

	slots     []session
	sessions  int                 // slots in use
	index     map[uint64]*session // by key; never ranged over
	recent    *session            // the session of the last packet
	recentKey uint64              // 0: none, group 0 has no session
	blocks    int64               // reserved by all sessions, at most blocksMax
	lastRef   machine.FileRef
	stopped   bool
	noRoom    bool   // the host cannot store blocks
	settles   uint32 // numbers of Settle, given out so far

	queue []item
	head  int           // first item of the queue
	after machine.Event // goes out before the queue

	wake       clock.Time // no timer runs out before
	beat       clock.Time // next heartbeat
	expected   []bool     // per heartbeat host: an answer is outstanding
	shown      []bool     // per heartbeat host: it was shown a key since the last heartbeat
	refusals   refusals
	joinFailed bool // the last Join did
	crowd      crowd
	budget     budget                 // of public-key work for strangers
	own        []*identity.PrivateKey // keys to show: the configured ones, then those made here
	made       madeKeys

	unsealer Unsealer // of HandleBatch; its keys are those of the sessions, which wipe them
	numbers  uint64   // of keys, given out so far
}

// New returns a receiver that waits for sessions; now is the start of its heartbeats.
// It panics if MaxSessions is not positive.
func New(cfg Config, now clock.Time) *Receiver {
	if cfg.MaxSessions < 1 {
		panic("receiver: MaxSessions must be positive")
	}
	r := &Receiver{
		cfg:      cfg,
		slots:    make([]session, cfg.MaxSessions),
		index:    make(map[uint64]*session, cfg.MaxSessions),
		expected: make([]bool, len(cfg.Heartbeats)),
		shown:    make([]bool, len(cfg.Heartbeats)),
		beat:     clock.Never,
		own:      slices.Clone(cfg.Keys),
	}
	r.crowd.start(cfg.MaxSessions)
	if r.cfg.Rand == nil {
		r.cfg.Rand = rand.Reader
	}
	r.refusals.start(now)
	r.budget.start(now)
	if len(cfg.Heartbeats) > 0 {
		r.beat = now
	}
	r.wake = r.beat
	return r
}

// SetUID gives the receiver another UID, unless a session is under way: that one is known by
// the old one. It reports whether it did.
func (r *Receiver) SetUID(uid wire.UID) bool {
	if r.sessions > 0 {
		return false
	}
	r.cfg.UID = uid
	return true
}

// key packs what names a session (v4-receiver.md section 2).
func key(group uint32, instance uint8) uint64 { return uint64(group)<<8 | uint64(instance) }

// find returns the session, or nil.
func (r *Receiver) find(group uint32, instance uint8) *session {
	k := key(group, instance)
	if k == r.recentKey {
		return r.recent
	}
	s := r.index[k]
	if s != nil {
		r.recent, r.recentKey = s, k
	}
	return s
}

// byRef returns the session whose file is ref, or nil when that is history.
func (r *Receiver) byRef(ref machine.FileRef) *session {
	for i := range r.slots {
		switch s := &r.slots[i]; s.phase {
		case Opening, Receiving, Closing:
			if s.file.req.Ref == ref {
				return s
			}
		}
	}
	return nil
}

// Handle takes one datagram (v4-receiver.md section 2.1).
func (r *Receiver) Handle(now clock.Time, d *machine.Datagram) machine.Verdict {
	return r.handle(now, d, Unsealed{})
}

func (r *Receiver) handle(now clock.Time, d *machine.Datagram, u Unsealed) machine.Verdict {
	from, pkt := d.From, d.Data
	h, msg, err := wire.ParseHeader(pkt)
	if err != nil {
		if err == wire.ErrVersion {
			return drop(machine.DropVersion)
		}
		return drop(machine.DropMalformed)
	}
	s := r.find(h.Group, h.Instance)
	if s == nil {
		return drop(r.stranger(now, from, h, pkt, msg))
	}
	// The stock receiver looks at the sequence number and GRTT first. Strangers
	// must not move either, and the UID is no secret: what is in clear has to come from
	// the sender's address, too.
	if h.Src != s.info.Sender {
		return drop(machine.DropSource)
	}
	switch {
	case s.ended:
		return drop(machine.DropPhase)
	case s.sec == nil && !r.fromSender(from, s):
		return r.gotElsewhere(now, from, s, h, msg)
	case s.sec == nil:
		return r.gotMessage(now, s, h, msg)
	case h.Func == wire.FuncEncrypted:
		return r.gotSealed(now, from, s, h, pkt, u)
	}
	return drop(r.gotClear(now, from, s, h, msg))
}

// gotMessage takes a message of a session, in clear from its sender's address or
// opened; h.Func is that of the message.
func (r *Receiver) gotMessage(now clock.Time, s *session, h wire.Header, msg []byte) machine.Verdict {
	newest := false
	if h.Func != wire.FuncAbort && h.Func != wire.FuncKeyInfo {
		var ok bool
		if ok, newest = s.win.take(h.Seq); !ok {
			return drop(machine.DropSequence)
		}
	}
	s.spoke = now
	if h.GRTT != s.grttCode {
		r.setGRTT(s, h.GRTT)
	}
	if s.phase.unconfirmed() {
		s.alive(now) // of later phases it depends on the message
	}
	if h.Func == wire.FuncFileSeg {
		return r.gotFileSeg(now, s, msg, newest)
	}
	if r.full() {
		return drop(machine.DropLimit)
	}
	return drop(r.gotControl(now, s, h, msg))
}

// stranger takes a message that belongs to no session.
func (r *Receiver) stranger(now clock.Time, from netip.AddrPort, h wire.Header, pkt, msg []byte) machine.Drop {
	if r.full() {
		return machine.DropLimit
	}
	switch h.Func {
	case wire.FuncAnnounce:
		return r.gotAnnounce(now, from, h, pkt, msg)
	case wire.FuncHBResp:
		return r.gotHBResp(from, msg)
	case wire.FuncHBReq, wire.FuncKeyReq, wire.FuncProxyKey:
		return machine.DropFunction
	}
	return machine.DropGroup
}

// gotControl takes every message of a session but FILESEG.
func (r *Receiver) gotControl(now clock.Time, s *session, h wire.Header, msg []byte) machine.Drop {
	switch h.Func {
	case wire.FuncAbort:
		return r.gotAbort(now, s, h.Seq, msg)
	case wire.FuncFileInfo:
		return r.gotFileInfo(now, s, msg)
	case wire.FuncDone:
		return r.gotDone(now, s, msg)
	case wire.FuncRegConf:
		return r.gotRegConf(now, s, msg)
	case wire.FuncDoneConf:
		return r.gotDoneConf(now, s, msg)
	case wire.FuncEncrypted:
		return machine.DropSealed
	}
	// ANNOUNCE again, KEYINFO and CONG_CTRL of a session that has neither keys nor
	// congestion control, and what no sender sends.
	if s.phase != MidGroup {
		return machine.DropPhase
	}
	s.alive(now)
	return machine.DropNone
}

func drop(d machine.Drop) machine.Verdict { return machine.Verdict{Drop: d} }

// Poll gives what has to be done next, timers included.
func (r *Receiver) Poll(now clock.Time, out *machine.Out) machine.Kind {
	for {
		if k := r.take(now, out); k != machine.Idle {
			return k
		}
		if now < r.wake {
			return machine.Idle
		}
		r.tick(now)
	}
}

// tick acts on every timer that ran out and finds the next one. It runs only
// while the queue is empty.
func (r *Receiver) tick(now clock.Time) {
	r.wake = clock.Never
	if now >= r.beat {
		r.heartbeat(now)
	}
	for i := range r.slots {
		s := &r.slots[i]
		for t := range s.due {
			if s.phase != Free && s.due[t] <= now {
				r.expire(now, s, timer(t))
			}
		}
	}
	r.wake = clock.Min(r.wake, r.beat)
	for i := range r.slots {
		if s := &r.slots[i]; s.phase != Free {
			for _, due := range s.due {
				r.wake = clock.Min(r.wake, due)
			}
		}
	}
}

// Deadline tells when to Poll although nothing came in. It may be early, never late.
func (r *Receiver) Deadline() clock.Time {
	if r.after != nil || r.head < len(r.queue) {
		return 0
	}
	return r.wake
}

// Stop ends every session because the host shuts down, each with an ABORT; but one that
// has said COMPLETE for all of it is over, whether or not that was heard. What Poll gives afterwards has to be carried out, and where an answer to Open or
// Close is outstanding, the session ends with that. ANNOUNCEs are refused from now on.
func (r *Receiver) Stop(now clock.Time) {
	r.stopped = true
	r.beat = clock.Never
	for i := range r.slots {
		switch s := &r.slots[i]; {
		case s.phase == Completing && s.settling == 0:
			r.step(s, Unfinished)
			r.end(now, s, EndUnconfirmed)
		case s.phase != Free:
			r.abort(now, s, "Client shutting down", EndShutdown)
		}
	}
}

// Stats appends a picture of each session to buf.
func (r *Receiver) Stats(buf []Stats) []Stats {
	for i := range r.slots {
		s := &r.slots[i]
		if s.phase == Free {
			continue
		}
		st := Stats{Session: s.info, Phase: s.phase, NAKs: s.naks, GRTT: s.grtt}
		switch s.phase {
		case Opening, Receiving, Closing:
			st.Name = s.file.req.Name
			st.Size = s.file.req.Size
			st.Blocks = s.file.req.Layout.Blocks
			st.Missing = s.file.missing.Count()
		}
		buf = append(buf, st)
	}
	return buf
}

// reserve takes the memory of a file of n blocks from the budget and reports
// whether there is enough. A session keeps what the largest file it received took until it
// ends.
func (r *Receiver) reserve(now clock.Time, s *session, n int) bool {
	more := int64(n - s.reserved)
	if more <= 0 {
		return true
	}
	r.reclaim(now, s, more)
	if r.blocks+more > blocksMax {
		return false
	}
	r.blocks += more
	s.reserved = n
	return true
}

// unreserve gives back what a file that is not received has reserved.
func (r *Receiver) unreserve(s *session) {
	r.blocks -= int64(s.reserved - s.held)
	s.reserved = s.held
}

// checkpoint hands out a copy of the missing set, unless the host still has the
// last one or nothing came since.
func (r *Receiver) checkpoint(now clock.Time, s *session) {
	r.arm(s, checkpointTimer, now, r.cfg.CheckpointEvery)
	f := &s.file
	if s.lent != 0 || f.missing.Count() == f.checkpointed {
		return
	}
	f.checkpointed = f.missing.Count()
	if s.spare == nil {
		s.spare = new(block.Set)
	}
	s.spare.CopyFrom(&f.missing)
	s.lent = f.req.Ref
	r.emit(Checkpoint{Session: s.info, Ref: s.lent, Missing: s.spare})
}

// CheckpointDone gives back the set of a Checkpoint.
func (r *Receiver) CheckpointDone(now clock.Time, ref machine.FileRef) {
	for i := range r.slots {
		s := &r.slots[i]
		if s.lent != ref || ref == 0 {
			continue
		}
		s.lent = 0
		if s.phase == Free {
			s.spare = nil
		}
		return
	}
}
