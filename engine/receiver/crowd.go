package receiver

import (
	"net/netip"

	"uftp/engine/clock"
)

// crowd counts the sessions that are not confirmed yet, by the address that their
// ANNOUNCE came from. An ANNOUNCE costs its sender nothing, may ask for patience of an
// hour, and needs no sender who goes on: so one host could keep all slots. While they
// are all taken a host that waits for nothing therefore gets the oldest slot of one that
// waits in several. Who has lost his and is a true sender asks again.
//
// Nobody loses his only unconfirmed session, nor a confirmed one: what comes from as
// many addresses as there are slots, or plays the sender further, still fills them. Who
// can forge the address of a host makes it one that waits in several.
type crowd struct {
	waiting map[netip.Addr]int // never ranged over
	surplus int                // of them, those behind the first of each address
}

func (c *crowd) add(from netip.Addr) {
	if c.waiting[from]++; c.waiting[from] > 1 {
		c.surplus++
	}
}

func (c *crowd) remove(from netip.Addr) {
	if c.waiting[from]--; c.waiting[from] > 0 {
		c.surplus--
		return
	}
	delete(c.waiting, from)
}

// unconfirmed reports whether a session of phase p waits for its confirmation.
func (p Phase) unconfirmed() bool { return p == Joining || p == Registering }

// hasRoom reports whether a session announced from there gets a slot.
func (r *Receiver) hasRoom(from netip.Addr) bool {
	return r.sessions < len(r.slots) || r.crowd.surplus > 0 && r.crowd.waiting[from.Unmap()] == 0
}

// makeRoom frees a slot, after hasRoom has said that it can be done.
func (r *Receiver) makeRoom(now clock.Time) {
	if r.sessions < len(r.slots) {
		return
	}
	var oldest *session
	for i := range r.slots {
		s := &r.slots[i]
		if s.phase.unconfirmed() && r.crowd.waiting[s.info.From.Addr().Unmap()] > 1 &&
			(oldest == nil || s.info.Started < oldest.info.Started) {
			oldest = s
		}
	}
	r.step(oldest, TooMany)
	r.end(now, oldest, EndTimeout)
}
