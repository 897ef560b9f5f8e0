package receiver

import (
	"net/netip"
	"time"

	"uftp/engine/clock"
)

// How long a session lives that only promises data. The limits that follow from its GRTT and
// robust factor do not help: both come from whoever announced it, and would keep it for an hour.
const (
	// promiseMax is how long a session that has stored no block outlives the last packet
	// of its sender, or COMPLETE.
	promiseMax = 2 * time.Minute
	// openMax is the same for a file that is open: it holds memory, here and at the host.
	openMax = time.Minute
	// silentMax is the silence after which a session that has stored blocks counts as
	// waiting too.
	silentMax = time.Minute
	// sweepEvery is how often silent sessions are searched while all slots are taken.
	sweepEvery = time.Second
	// startTime is how long a host may wait in one slot before another host of its network
	// may evict it.
	startTime = 10 * time.Second
)

// admission decides who gets a slot while all are taken. A session waits if it has stored no
// block, or its sender has been silent for silentMax. An ANNOUNCE, a REG_CONF and a block cost
// nothing, so one host could otherwise keep all slots.
//
// A host for which no session waits gets the slot of a session that does: of the network with
// the most waiting sessions, there of the host with the most, there the oldest. An honest sender
// that loses a session before its confirmation asks again.
//
// Networks count because a host can use all 2^64 addresses of its IPv6 network. On a LAN its
// neighbours are in that network as well. So while its own network has at least as many waiting
// sessions as any other, a host gets the slot of a host of its network: of one with several
// waiting sessions, or else the oldest after startTime.
//
// No host loses a session that stores blocks, nor the only waiting one of its network. A host
// that has as many networks as there are slots, or that goes on sending blocks in each session,
// still fills them. Whoever can forge the address of a host makes it look like one with many
// waiting sessions.
type admission struct {
	hosts   map[netip.Addr]*host    // with waiting sessions; never ranged over
	nets    map[netip.Addr]*network // theirs; never ranged over
	surplus int                     // waiting sessions but the first of each network
	swept   clock.Time              // last search for silent sessions
}

// host is the address of a sender with waiting sessions.
type host struct {
	addr    netip.Addr
	net     *network
	waiting int
}

// network holds the addresses that one host can use: the /64 of an IPv6 address, an IPv4
// address alone.
type network struct {
	addr    netip.Addr
	waiting int
}

// networkOf returns the first address of the network of an unmapped address. The zone stays:
// another zone is another link.
func networkOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, _ := a.WithZone("").Prefix(64) // cannot fail
	return p.Addr().WithZone(a.Zone())
}

func (c *admission) start(sessions int) {
	c.hosts = make(map[netip.Addr]*host, sessions)
	c.nets = make(map[netip.Addr]*network, sessions)
}

// add counts a waiting session of this address.
func (c *admission) add(from netip.Addr) *host {
	a := from.Unmap()
	h := c.hosts[a]
	if h == nil {
		key := networkOf(a)
		n := c.nets[key]
		if n == nil {
			n = &network{addr: key}
			c.nets[key] = n
		}
		h = &host{addr: a, net: n}
		c.hosts[a] = h
	}
	h.waiting++
	if h.net.waiting++; h.net.waiting > 1 {
		c.surplus++
	}
	return h
}

// remove undoes one add.
func (c *admission) remove(h *host) {
	if h.waiting--; h.waiting == 0 {
		delete(c.hosts, h.addr)
	}
	if h.net.waiting--; h.net.waiting > 0 {
		c.surplus--
	} else {
		delete(c.nets, h.net.addr)
	}
}

// setWaiting says whether s waits.
func (r *Receiver) setWaiting(s *session, yes bool) {
	switch {
	case yes && s.waitsAt == nil:
		s.waitsAt = r.admission.add(s.info.From.Addr())
	case !yes && s.waitsAt != nil:
		r.admission.remove(s.waitsAt)
		s.waitsAt = nil
	}
}

// unconfirmed reports whether a session of phase p waits for its confirmation.
func (p Phase) unconfirmed() bool { return p == Joining || p == Registering }

// silence returns how long the sender of s has not been heard, or has not confirmed COMPLETE.
// While the host owes an answer it is 0: the sender need not say anything.
func (s *session) silence(now clock.Time) time.Duration {
	switch {
	case s.phase == MidGroup, s.phase == Receiving, s.phase == Completing && s.settling == 0:
		return now.Sub(s.start[idleTimer])
	}
	return 0
}

// sweep finds the sessions that have stored blocks and are silent, once in sweepEvery.
func (r *Receiver) sweep(now clock.Time) {
	if now.Sub(r.admission.swept) < sweepEvery {
		return
	}
	r.admission.swept = now
	for i := range r.slots {
		if s := &r.slots[i]; s.phase != Free && s.stored {
			r.setWaiting(s, s.silence(now) >= silentMax)
		}
	}
}

// evictable reports whether s waits and can end at once. While the host owes an answer, the end
// waits for that.
func (s *session) evictable() bool {
	return s.waitsAt != nil && s.phase != Opening && s.phase != Closing && s.settling == 0
}

// roomFor reports whether a session that is announced from this address gets a slot: a free one,
// or that of victim.
func (r *Receiver) roomFor(now clock.Time, from netip.Addr) (victim *session, ok bool) {
	if r.sessions < len(r.slots) {
		return nil, true
	}
	r.sweep(now)
	c, a := &r.admission, from.Unmap()
	if c.surplus == 0 || c.hosts[a] != nil {
		return nil, false
	}
	own, ours := c.nets[networkOf(a)], 0
	if own != nil {
		ours = own.waiting
	}
	var other, neighbour *session // the first to evict of other networks, and of its own
	for i := range r.slots {
		s := &r.slots[i]
		switch {
		case !s.evictable():
		case s.waitsAt.net == own:
			if neighbour == nil || s.evictedBefore(neighbour) {
				neighbour = s
			}
		case other == nil || s.evictedBefore(other):
			other = s
		}
	}
	switch {
	case other != nil && other.waitsAt.net.waiting > ours+1:
		return other, true
	case neighbour != nil && ours > 1 && (neighbour.waitsAt.waiting > 1 || now.Sub(neighbour.info.Started) >= startTime):
		return neighbour, true
	}
	return nil, false
}

// evictedBefore reports whether s must go before o.
func (s *session) evictedBefore(o *session) bool {
	switch a, b := s.waitsAt, o.waitsAt; {
	case a.net.waiting != b.net.waiting:
		return a.net.waiting > b.net.waiting
	case a.waiting != b.waiting:
		return a.waiting > b.waiting
	}
	return s.info.Started < o.info.Started
}

// evict frees the slot of a waiting session. A sender that counts on us hears why; one that
// waits for our answer asks again.
func (s *session) evict(now clock.Time) {
	s.step(TooMany)
	switch {
	case s.phase.unconfirmed():
		s.end(now, EndEvicted)
	case s.phase == Completing: // COMPLETE was sent
		s.end(now, EndUnconfirmed)
	default:
		s.abort(now, "Too many sessions, and this one waits for data", EndEvicted)
	}
}
