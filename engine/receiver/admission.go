package receiver

import (
	"net/netip"
	"time"

	"uftp/engine/clock"
)

// How long a session lives on promises. Its GRTT and robust factor come from the packets
// of whoever announced it, and would keep it for an hour.
const (
	// promiseMax is how long a session that has stored no block yet outlives the last
	// packet of its sender, or COMPLETE.
	promiseMax = 2 * time.Minute
	// openMax is the same for a file that is open: that holds memory, and what the host
	// keeps for it.
	openMax = time.Minute
	// silentMax is the silence after which a session that did store blocks waits like one
	// that did not.
	silentMax = time.Minute
	// sweepEvery is how often silent sessions are looked for while all slots are taken.
	sweepEvery = time.Second
	// startTime is how long a host may wait in one slot before another host of its network
	// pushes it out.
	startTime = 10 * time.Second
)

// admission counts the sessions that wait: those that have stored no block, and those whose
// sender has been silent for silentMax. An ANNOUNCE and a REG_CONF cost nothing, and so
// does a block, so one host could keep all slots. While they are all taken, a host that
// waits for nothing therefore gets the slot of one that waits in several, and of those the
// oldest of the largest crowd. Whoever has lost a session before its confirmation, and is a
// true sender, asks again.
//
// Hosts of one network are a crowd, too: a host has all the 2^64 addresses of its IPv6
// network. On a link without router, or a LAN, that network is also the one of its
// neighbours. So while its network waits in at least as many slots as any other, a host
// that waits for nothing gets the slot of one of its network: of a host that waits in
// several, or else the oldest after startTime.
//
// Nobody loses a session that stores blocks, nor the only one of its network that waits.
// Whoever has as many networks as there are slots, or goes on sending blocks in each, still
// fills them. Whoever can forge the address of a host makes it one that waits in several.
type admission struct {
	hosts   map[netip.Addr]*host    // that wait; never ranged over
	nets    map[netip.Addr]*network // theirs; never ranged over
	surplus int                     // sessions that wait behind the first of each network
	swept   clock.Time              // when silent sessions were looked for
}

// host is an address that sessions wait for.
type host struct {
	addr    netip.Addr
	net     *network
	waiting int
}

// network is the addresses that a host can have at will: the /64 of an IPv6 address, an
// IPv4 address alone.
type network struct {
	addr    netip.Addr
	waiting int
}

// networkOf returns what names the network of an unmapped address. The zone stays: it is
// another link.
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

// add counts a session that waits.
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

// remove counts it no longer.
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

// setWaiting counts s among those that wait, or no longer.
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

// silence returns for how long the sender of s was not heard, or has not confirmed
// COMPLETE. While the host owes an answer it is not the sender's turn.
func (s *session) silence(now clock.Time) time.Duration {
	switch {
	case s.phase == MidGroup, s.phase == Receiving, s.phase == Completing && s.settling == 0:
		return now.Sub(s.start[idleTimer])
	}
	return 0
}

// sweep looks once in sweepEvery which sessions that have stored blocks are silent.
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

// evictable reports whether s waits and its slot is free as soon as s is ended: while the
// host owes an answer the end waits for that.
func (s *session) evictable() bool {
	return s.waitsAt != nil && s.phase != Opening && s.phase != Closing && s.settling == 0
}

// roomFor reports whether a session announced from there gets a slot: a free one, or that
// of the session it returns.
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
	var far, near *session // the oldest of the largest crowd elsewhere, and of the own network
	for i := range r.slots {
		s := &r.slots[i]
		switch {
		case !s.evictable():
		case s.waitsAt.net == own:
			if near == nil || s.evictedBefore(near) {
				near = s
			}
		case far == nil || s.evictedBefore(far):
			far = s
		}
	}
	switch {
	case far != nil && far.waitsAt.net.waiting > ours+1:
		return far, true
	case near != nil && ours > 1 && (near.waitsAt.waiting > 1 || now.Sub(near.info.Started) >= startTime):
		return near, true
	}
	return nil, false
}

// evictedBefore reports whether s gives way rather than o.
func (s *session) evictedBefore(o *session) bool {
	switch a, b := s.waitsAt, o.waitsAt; {
	case a.net.waiting != b.net.waiting:
		return a.net.waiting > b.net.waiting
	case a.waiting != b.waiting:
		return a.waiting > b.waiting
	}
	return s.info.Started < o.info.Started
}

// evict frees the slot of a session that waits. A sender that counts on us hears why; one
// that waits for our answer asks again.
func (s *session) evict(now clock.Time) {
	s.step(TooMany)
	switch {
	case s.phase.unconfirmed():
		s.end(now, EndEvicted)
	case s.phase == Completing: // COMPLETE was said
		s.end(now, EndUnconfirmed)
	default:
		s.abort(now, "Too many sessions, and this one waits for data", EndEvicted)
	}
}
