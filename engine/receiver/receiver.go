package receiver

import (
	"crypto/rand"
	"slices"

	"uftp/crypto/identity"
	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

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

	queue  []item
	head   int           // first item of the queue
	report machine.Event // goes out before the queue

	wake       clock.Time // no timer runs out before
	nextBeat   clock.Time // next heartbeat
	expected   []bool     // per heartbeat host: an answer is outstanding
	shown      []bool     // per heartbeat host: it was shown a key since the last heartbeat
	refusals   cc.Bucket  // answers to ANNOUNCEs that are not taken
	joinFailed bool       // the last Join did
	admission  admission
	keyWork    cc.Bucket              // public-key work for ANNOUNCEs
	own        []*identity.PrivateKey // keys to show: the configured ones, then those made here
	made       madeKeys

	unsealer   Unsealer // of HandleBatch; its keys are those of the sessions, which wipe them
	keyNumbers uint64   // of keys, given out so far
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

// Poll gives what has to be done next, timers included.
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

// runTimers acts on every timer that ran out and finds the next one. It runs only
// while the queue is empty.
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

// Deadline tells when to Poll although nothing came in. It may be early, never late.
func (r *Receiver) Deadline() clock.Time {
	if r.report != nil || r.head < len(r.queue) {
		return 0
	}
	return r.wake
}

// Stop ends every session because the host shuts down, each with an ABORT; but one that
// has said COMPLETE for all of it is over, whether or not that was heard. What Poll gives afterwards has to be carried out, and where an answer to Open or
// Close is outstanding, the session ends with that. ANNOUNCEs are refused from now on.
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

// Wipe clears the keys that were made here and the secrets of sessions that never
// came to their end. Keys of the Config stay the caller's. Afterwards the Receiver
// must not be used.
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
