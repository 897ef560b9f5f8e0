package receiver

import (
	"crypto/rand"
	"slices"

	"uftp/crypto/identity"
	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/seal"
	"uftp/wire"
)

// Receiver is the machine of a whole daemon. It belongs to one goroutine.
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
	settles   uint32 // number of the last Settle

	queue  []item
	head   int           // first item of the queue
	report machine.Event // goes out before the queue

	wake       clock.Time // no timer runs out before
	nextBeat   clock.Time // next heartbeat
	expected   []bool     // by heartbeat host: its answer is outstanding
	shown      []bool     // by heartbeat host: it has seen a key since the last heartbeat
	refusals   cc.Bucket  // answers to, and reports of, ANNOUNCEs that are refused
	joinFailed bool       // at the last Join
	admission  admission
	keyWork    cc.Bucket              // public-key work for ANNOUNCEs
	own        []*identity.PrivateKey // keys to show: those of Config, then those made here
	made       madeKeys

	unsealer   seal.Unsealer // of HandleBatch; has the keys of the sessions that are proved
	keyNumbers uint64        // of keys, given out so far
}

// New returns a receiver that waits for sessions. Its heartbeats begin now. It panics if
// MaxSessions is not positive.
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
		nextBeat: clock.Never,
		own:      slices.Clone(cfg.Keys),
		refusals: cc.NewBucket(refusalRate, refusalBurst),
	}
	for i := range r.slots {
		r.slots[i].r = r
	}
	r.admission.start(cfg.MaxSessions)
	if r.cfg.Rand == nil {
		r.cfg.Rand = rand.Reader
	}
	setWork(&r.keyWork, announceWork)
	if len(cfg.Heartbeats) > 0 {
		r.nextBeat = now
	}
	r.wake = r.nextBeat
	return r
}

// SetUID changes the UID, unless a session is live: its sender knows the old one. It reports
// whether it did.
func (r *Receiver) SetUID(uid wire.UID) bool {
	if r.sessions > 0 {
		return false
	}
	r.cfg.UID = uid
	return true
}

// key identifies a session (docs/protocol.md, "Group and instance").
func key(group uint32, instance uint8) uint64 { return uint64(group)<<8 | uint64(instance) }

// find returns a session, nil if there is none.
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

// byRef returns the session whose current file is ref, nil if there is none any more.
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

// Poll implements [machine.Machine].
func (r *Receiver) Poll(now clock.Time, out *machine.Out) machine.Kind {
	for {
		if k := r.next(now, out); k != machine.Idle {
			return k
		}
		if now < r.wake {
			return machine.Idle
		}
		r.runTimers(now)
	}
}

// runTimers acts on every timer that has expired and finds the next one. It runs only while the
// queue is empty.
func (r *Receiver) runTimers(now clock.Time) {
	r.wake = clock.Never
	if now >= r.nextBeat {
		r.heartbeat(now)
	}
	for i := range r.slots {
		s := &r.slots[i]
		for t := range s.due {
			if s.phase != Free && s.due[t] <= now {
				s.expire(now, timer(t))
			}
		}
	}
	r.wake = clock.Min(r.wake, r.nextBeat)
	for i := range r.slots {
		if s := &r.slots[i]; s.phase != Free {
			for _, due := range s.due {
				r.wake = clock.Min(r.wake, due)
			}
		}
	}
}

// Deadline implements [machine.Machine]. It may be too early, never too late.
func (r *Receiver) Deadline() clock.Time {
	if r.report != nil || r.head < len(r.queue) {
		return 0
	}
	return r.wake
}

// Stop ends every session with an ABORT, because the host shuts down; a session that has said
// COMPLETE for all of it just ends. The host must carry out what Poll still gives. A session
// with an Open or a Close under way ends with its answer. ANNOUNCEs are ignored from now on.
func (r *Receiver) Stop(now clock.Time) {
	r.stopped = true
	r.nextBeat = clock.Never
	for i := range r.slots {
		switch s := &r.slots[i]; {
		case s.phase == Completing && s.settling == 0:
			s.step(Unfinished)
			s.end(now, EndUnconfirmed)
		case s.phase != Free:
			s.abort(now, "Client shutting down", EndShutdown)
		}
	}
}

// Wipe clears the keys that were made here, and the secrets of sessions that have not ended. The
// keys of Config remain. The Receiver must not be used afterwards.
func (r *Receiver) Wipe() {
	for _, key := range r.own[len(r.cfg.Keys):] {
		key.Wipe()
	}
	for i := range r.slots {
		if s := &r.slots[i]; s.phase != Free {
			s.dialect.Wipe()
		}
	}
	for i := range r.queue[r.head:] {
		if it := &r.queue[r.head+i]; it.event == nil {
			it.dialect.Wipe()
		}
	}
}

// Stats appends the state of each session to buf.
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
