package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"uftp/engine/clock"
	"uftp/engine/netio"
	"uftp/engine/receiver"
)

// Memberships of a receiver: each group on every interface of its family. An
// interface that fails is told and left out as long as another one works; one that
// comes back under another index, as a replugged one does, is joined again.

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
		return nil
	case failed != nil:
		return failed
	}
	return fmt.Errorf("joining multicast group %v: %w", group, errNoInterface)
}

func (r *receiveRun) leaveAll(group netip.Addr) {
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

// lookAtInterfaces joins the public groups on interfaces that have come back under
// another index. Sessions that ran through the old one are not saved.
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
		for _, is := range list {
			if is.Name == ifi.Name && is.Addr == ifi.Addr && is.Index != ifi.Index {
				r.rejoin(ifi, is)
				break
			}
		}
	}
}

// rejoin moves the public groups to an interface's new index.
func (r *receiveRun) rejoin(ifi *netio.Interface, is netio.Interface) {
	old := *ifi
	*ifi = is
	for _, g := range r.cfg.Receiver.Public {
		if g.Is4() != is.Addr.Is4() {
			continue
		}
		_ = r.conn.Leave(g, old, r.sources(g)) // the kernel has dropped it already
		text := fmt.Sprintf("Interface %s is back: joined %v again", is.Name, g)
		if err := r.conn.Join(g, is, r.sources(g)); err != nil {
			text = fmt.Sprintf("Error joining multicast group %v on %s: %v", g, is.Name, err)
		}
		r.put(Note{Level: 1, Text: text})
	}
}
