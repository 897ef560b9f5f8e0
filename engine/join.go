package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"uftp/engine/clock"
	"uftp/engine/netio"
	"uftp/engine/receiver"
)

// Memberships of a receiver: each group on every interface of its family. An
// interface that fails is told and left out as long as another one works; one that
// comes back under another index, as a replugged one does, is joined again, for the
// sessions under way as well.

// lookEvery is how often interfaces are looked at.
const lookEvery = 5 * time.Second

var errNoInterface = errors.New("no interface of its address family")

// joinAll joins group wherever it can. It returns an error only if that is nowhere.
func (r *receiveRun) joinAll(group netip.Addr, s receiver.Session) error {
	var failed error
	joined := false
	for _, ifi := range r.cfg.Interfaces {
		if ifi.Addr.Is4() != group.Is4() {
			continue
		}
		if err := r.conn.Join(group, ifi, r.sources(group)); err != nil {
			failed = fmt.Errorf("joining multicast group %v on %s: %w", group, ifi.Name, err)
			r.put(Note{s, 1, "Error " + failed.Error()})
			continue
		}
		joined = true
	}
	switch {
	case joined:
		r.groups = append(r.groups, group)
		return nil
	case failed != nil:
		return failed
	}
	return fmt.Errorf("joining multicast group %v: %w", group, errNoInterface)
}

func (r *receiveRun) leaveAll(group netip.Addr) {
	if i := slices.Index(r.groups, group); i >= 0 {
		r.groups = slices.Delete(r.groups, i, i+1)
	}
	for _, ifi := range r.cfg.Interfaces {
		if ifi.Addr.Is4() == group.Is4() {
			// What was not joined cannot be left: that is all that can go wrong here.
			_ = r.conn.Leave(group, ifi, r.sources(group))
		}
	}
}

// sources returns the addresses of the allowed senders, for a source-specific membership.
func (r *receiveRun) sources(group netip.Addr) (list []netip.Addr) {
	for _, s := range r.cfg.Receiver.Servers {
		if s.Addr.Is4() == group.Is4() {
			list = append(list, s.Addr)
		}
	}
	return list
}

// lookAtInterfaces joins the groups on interfaces that have come back under another index.
func (r *receiveRun) lookAtInterfaces(now clock.Time) {
	if now < r.nextLook {
		return
	}
	r.nextLook = now.Add(lookEvery)
	list, err := r.interfaces()
	if err != nil {
		return // next time
	}
	for i := range r.cfg.Interfaces {
		ifi := &r.cfg.Interfaces[i]
		if is, ok := moved(list, *ifi); ok {
			r.rejoin(ifi, is)
		}
	}
}

// moved finds an interface that has another index by now, and perhaps another address:
// a membership does not depend on that.
func moved(list []netio.Interface, ifi netio.Interface) (is netio.Interface, ok bool) {
	for _, x := range list {
		if x.Name != ifi.Name || x.Index == ifi.Index || x.Addr.Is4() != ifi.Addr.Is4() {
			continue
		}
		if !ok || x.Addr == ifi.Addr {
			is, ok = x, true
		}
	}
	return is, ok
}

// rejoin moves the groups to an interface's new index.
func (r *receiveRun) rejoin(ifi *netio.Interface, is netio.Interface) {
	old, joined := *ifi, true
	for _, g := range r.groups {
		if g.Is4() != is.Addr.Is4() {
			continue
		}
		_ = r.conn.Leave(g, old, r.sources(g)) // the kernel has dropped it already
		text := fmt.Sprintf("Interface %s is back: joined %v again", is.Name, g)
		if err := r.conn.Join(g, is, r.sources(g)); err != nil {
			text = fmt.Sprintf("Error joining multicast group %v on %s: %v", g, is.Name, err)
			joined = false
		}
		r.put(Note{Level: 1, Text: text})
	}
	if joined { // else it is tried again
		*ifi = is
	}
}
