package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"uftp/engine/clock"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/wire"
)

// Memberships of a receiver. It joins each group on every interface that the configuration
// names and that has an address of the group's family, also on interfaces that come later.
// The kernel reports when something has changed; where it does not, the receiver looks from
// time to time.
//
// The receiver does not leave an interface that goes away, since the kernel keeps the
// membership of one that is only down. When the interface is there again, also under another
// index, the receiver joins anew. After a failure it tries again with each look.

const (
	lookEvery = 5 * time.Second        // between two looks at the interfaces when nothing changes
	lookLeast = 100 * time.Millisecond // between two looks at least
)

// leftMax is how many names of interfaces that went away are kept.
const leftMax = 64

// provisionalUID is that of a receiver that has no interface but loopback yet.
const provisionalUID wire.UID = 0x7f000001

var errNoInterface = errors.New("no interface of its address family")

// watch is a netio.Watch.
type watch interface {
	Next() error
	Gone() (list []int, all bool)
	Close() error
}

// places are the interfaces on which a group is joined, or should be.
type places struct {
	group netip.Addr
	zone  string // joined on this interface alone; empty: on all
	at    []place
}

type place struct {
	ifi    netio.Interface
	choice int // the entry of ReceiveConfig.Interfaces that names it
	state  placeState
}

// member reports whether the socket counts p as a membership: it has joined and not left.
func (p *place) member() bool { return p.state == joined || p.state == lost }

type placeState uint8

const (
	joined   placeState = iota
	lost                // the interface is away, or the kernel has dropped the membership
	unjoined            // left after it was lost; join it again, the interface is there
	refused             // joining failed
)

// memberships is the part of a receiveRun that joins groups.
type memberships struct {
	choices    []netio.Choice // of interfaces, never empty
	interfaces func() ([]netio.Link, []netio.Interface, error)
	links      []netio.Link      // as of the last survey
	list       []netio.Interface // likewise
	there      map[addressed]bool
	same       bool // the last survey found nothing new

	groups  []*places      // the public ones, then those of sessions
	known   []netio.Choice // by choice: name and index of what it stood for last
	waiting []string       // by choice and family: the reason last reported for waiting
	left    []string       // names of interfaces that went away

	changed  atomic.Bool // interfaces have changed since the last look
	lastLook clock.Time
	nextLook clock.Time

	uid         wire.UID
	provisional bool // uid is, until an interface gives one
}

// init takes what it needs from cfg. It gives cfg a UID and takes the zones out of its public
// groups, which it returns as they were.
func (m *memberships) init(cfg *ReceiveConfig, now clock.Time) (public []netip.Addr) {
	m.choices = cfg.Interfaces
	if len(m.choices) == 0 {
		m.choices = make([]netio.Choice, 1)
	}
	m.known, m.waiting = make([]netio.Choice, len(m.choices)), make([]string, 2*len(m.choices))
	if m.interfaces = cfg.interfaces; m.interfaces == nil {
		m.interfaces = netio.Survey
	}
	m.lastLook, m.nextLook = now, now.Add(lookEvery)
	if m.uid = cfg.Receiver.UID; m.uid == 0 {
		m.uid, m.provisional = provisionalUID, true
	}
	cfg.Receiver.UID = m.uid
	public = cfg.Receiver.Public
	cfg.Receiver.Public = make([]netip.Addr, len(public))
	for i, g := range public {
		cfg.Receiver.Public[i] = g.WithZone("")
	}
	return public
}

// addressed is an interface with an address of a family.
type addressed struct {
	index int
	six   bool
}

// survey looks at the interfaces of the host.
func (r *receiveRun) survey() error {
	links, list, err := r.interfaces()
	if err != nil {
		return err
	}
	r.same = slices.Equal(links, r.links) && slices.Equal(list, r.list)
	if r.same {
		return nil
	}
	r.links, r.list, r.there = links, list, make(map[addressed]bool)
	for _, ifi := range list {
		r.there[addressed{ifi.Index, ifi.Addr.Is6()}] = true
	}
	return nil
}

// joinPublic joins the public groups when the run begins.
func (r *receiveRun) joinPublic(groups []netip.Addr) error {
	if err := r.survey(); err != nil {
		return err
	}
	for _, g := range groups {
		if err := r.joinAll(g, receiver.Session{}); err != nil {
			return err
		}
	}
	r.chooseUID()
	return nil
}

// joinAll joins group on all interfaces that it can. A public group waits if there is no
// interface. Any other group must be joined somewhere, or joinAll returns an error.
func (r *receiveRun) joinAll(group netip.Addr, s receiver.Session) error {
	g := &places{group: group.WithZone(""), zone: group.Zone()}
	err := r.follow(g, func(i netio.Interface, err error) {
		if err != nil {
			r.put(Note{s, 1, "Error " + err.Error()})
		}
	})
	if !slices.ContainsFunc(g.at, func(p place) bool { return p.state == joined }) {
		switch {
		case err != nil && !netio.Vanished(err):
			return err
		case s != receiver.Session{}:
			return fmt.Errorf("joining multicast group %v: %w", group, errNoInterface)
		}
	}
	r.groups = append(r.groups, g)
	return nil
}

func (r *receiveRun) leaveAll(group netip.Addr) {
	i := slices.IndexFunc(r.groups, func(g *places) bool { return g.group == group })
	if i < 0 {
		return
	}
	for _, p := range r.groups[i].at {
		if p.member() {
			// It can fail only because the kernel has dropped it already.
			_ = r.conn.Leave(group, p.ifi, r.sources(group))
		}
	}
	r.groups = slices.Delete(r.groups, i, i+1)
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

// lookAtInterfaces makes the memberships follow the interfaces of the host, when these
// have changed or it is time to look.
func (r *receiveRun) lookAtInterfaces(now clock.Time) {
	if r.changed.Swap(false) {
		r.nextLook = clock.Min(r.nextLook, r.lastLook.Add(lookLeast))
	}
	if now < r.nextLook {
		return
	}
	r.lastLook, r.nextLook = now, now.Add(lookEvery)
	if r.cfg.watch != nil { // before the survey: what goes away after it is for the next look
		gone, all := r.cfg.watch.Gone()
		r.loseAll(gone, all)
	}
	if r.survey() != nil {
		return // next time
	}
	r.leaveLost()
	for _, g := range r.groups {
		if r.same && !slices.ContainsFunc(g.at, func(p place) bool { return p.state >= unjoined }) {
			continue
		}
		r.follow(g, func(ifi netio.Interface, err error) {
			switch {
			case err != nil:
				r.put(Note{Level: 1, Text: "Error " + err.Error()})
			case r.wasThere(ifi.Name):
				r.put(Note{Level: 1, Text: fmt.Sprintf("Interface %s is back: joined %v again", ifi.Name, g.group)})
			default:
				r.put(Note{Level: 1, Text: fmt.Sprintf("Interface %s is there: joined %v", ifi.Name, g.group)})
			}
		})
	}
	if by, changed := r.chooseUID(); changed {
		r.put(Identified{UID: r.uid, Interface: by})
	}
	r.reportWaiting()
}

// loseAll marks the memberships that the kernel has dropped, even if their interface is there
// again.
func (r *receiveRun) loseAll(gone []int, all bool) {
	slices.Sort(gone)
	for _, g := range r.groups {
		for i := range g.at {
			if p := &g.at[i]; p.state == joined && (all && !p.ifi.Loopback || contains(gone, p.ifi.Index)) {
				r.lose(p)
			}
		}
	}
}

func contains(sorted []int, index int) bool {
	_, found := slices.BinarySearch(sorted, index)
	return found
}

// leaveLost leaves lost memberships whose interface is there again. That comes before any
// join: two entries can have the same group, and the kernel joins anew only after both left.
func (r *receiveRun) leaveLost() {
	for _, g := range r.groups {
		for i := range g.at {
			p := &g.at[i]
			if p.state == joined && !r.isThere(g, p) {
				r.lose(p)
			}
			if p.state == lost && r.isThere(g, p) {
				_ = r.conn.Leave(g.group, p.ifi, r.sources(g.group)) // the kernel may have dropped it already
				p.state = unjoined
			}
		}
	}
}

// isThere reports whether the interface of p has an address of the family of g.
func (r *receiveRun) isThere(g *places, p *place) bool {
	return r.there[addressed{p.ifi.Index, g.group.Is6()}]
}

func (r *receiveRun) lose(p *place) {
	p.state = lost
	if !r.wasThere(p.ifi.Name) {
		if len(r.left) == leftMax {
			r.left = slices.Delete(r.left, 0, 1)
		}
		r.left = append(r.left, p.ifi.Name)
	}
}

func (r *receiveRun) wasThere(name string) bool { return slices.Contains(r.left, name) }

// follow joins g on the interfaces where it should be and is not, and leaves those that
// others have replaced. It calls report for each interface that it has joined or has failed
// to join for the first time, and returns the last failure.
func (r *receiveRun) follow(g *places, report func(netio.Interface, error)) (failed error) {
	want := r.wanted(g)
	g.at = slices.DeleteFunc(g.at, func(p place) bool {
		if !r.replaced(p, want) {
			return false
		}
		if p.member() {
			_ = r.conn.Leave(g.group, p.ifi, r.sources(g.group)) // the kernel may have dropped it already
		}
		return true
	})
	for _, w := range want {
		i := slices.IndexFunc(g.at, func(p place) bool { return p.ifi.Index == w.ifi.Index })
		first := i < 0
		if first {
			i = len(g.at)
			g.at = append(g.at, place{state: refused})
		}
		p := &g.at[i]
		was := p.state
		p.ifi, p.choice = w.ifi, w.choice
		if was == joined {
			continue
		}
		if err := r.conn.Join(g.group, p.ifi, r.sources(g.group)); err != nil {
			p.state = refused
			failed = fmt.Errorf("joining multicast group %v on %s: %w", g.group, p.ifi.Name, err)
			if first || was == unjoined {
				report(p.ifi, failed)
			}
			continue
		}
		p.state = joined
		report(p.ifi, nil)
	}
	return failed
}

// wanted returns where g should be joined by the last survey, each interface once.
func (r *receiveRun) wanted(g *places) (want []place) {
	six := g.group.Is6()
	for c, choice := range r.choices {
		picked := choice.Pick(r.list, six)
		switch {
		case len(picked) > 0:
		case choice.Any(): // until one comes
			for _, ifi := range r.list {
				if ifi.Loopback && ifi.Addr.Is6() == six {
					picked = append(picked, ifi)
				}
			}
		case choice.Family == 0 || six == (choice.Family == 6): // the same one, by another name, address or index
			if k := r.known[c]; !k.Any() {
				if picked = (netio.Choice{Index: k.Index}).Pick(r.list, six); len(picked) == 0 {
					picked = netio.Choice{Name: k.Name}.Pick(r.list, six)
				}
			}
		}
		for _, ifi := range picked {
			if !choice.Any() {
				r.known[c] = netio.Choice{Name: ifi.Name, Index: ifi.Index}
			}
			seen := slices.ContainsFunc(want, func(p place) bool { return p.ifi.Index == ifi.Index })
			if !seen && (g.zone == "" || len(netio.Zone(g.zone).Pick([]netio.Interface{ifi}, six)) > 0) {
				want = append(want, place{ifi: ifi, choice: c})
			}
		}
	}
	return want
}

// replaced reports whether p has ended: its interface does not exist any more or has come
// back under another index, or its choice names another interface now. A loopback stays.
func (r *receiveRun) replaced(p place, want []place) bool {
	if slices.ContainsFunc(want, func(w place) bool { return w.ifi.Index == p.ifi.Index }) {
		return false
	}
	exists := slices.ContainsFunc(r.links, func(l netio.Link) bool { return l.Index == p.ifi.Index })
	return p.state == refused || !exists || !r.choices[p.choice].Any() &&
		slices.ContainsFunc(want, func(w place) bool { return w.choice == p.choice || w.ifi.Name == p.ifi.Name })
}

// chooseUID gives a receiver without a UID that of its first interface, as soon as there is
// one and no session runs. The UID stays when that interface goes away. changed reports
// whether the UID is another one now.
func (r *receiveRun) chooseUID() (by netio.Interface, changed bool) {
	if !r.provisional || r.live > 0 {
		return by, false
	}
	by, ok := r.firstInterface()
	if !ok {
		return by, false
	}
	uid := wire.AddrUID(by.Addr)
	if uid != r.uid && !r.m.SetUID(uid) {
		return by, false // next time
	}
	changed = uid != r.uid
	r.uid, r.provisional = uid, false
	return by, changed
}

// firstInterface returns the interface whose address makes the UID: the one that is named
// first, with an IPv4 address if there is one.
func (r *receiveRun) firstInterface() (netio.Interface, bool) {
	var all, six []place
	for _, g := range r.groups {
		if g.group.Is6() {
			six = append(six, r.wanted(g)...)
		} else {
			all = append(all, r.wanted(g)...)
		}
	}
	all = append(all, six...)
	for c, choice := range r.choices {
		i := slices.IndexFunc(all, func(p place) bool { return p.choice == c && !(choice.Any() && p.ifi.Loopback) })
		switch {
		case i < 0:
		case choice.Any(): // the first address of the host, as with the stock daemon
			return r.list[slices.IndexFunc(r.list, func(x netio.Interface) bool { return !x.Loopback })], true
		default:
			return all[i].ifi, true
		}
	}
	return netio.Interface{}, false
}

// reportWaiting reports for which interfaces the receiver waits and why, once for each reason.
func (r *receiveRun) reportWaiting() {
	for c, choice := range r.choices {
		for i, six := range []bool{false, true} {
			g := slices.IndexFunc(r.groups, func(g *places) bool { return g.group.Is6() == six })
			why := ""
			if g >= 0 && choice.Takes(six) && !slices.ContainsFunc(r.wanted(r.groups[g]), func(p place) bool { return p.choice == c && !(choice.Any() && p.ifi.Loopback) }) {
				why = choice.Missing(r.links, r.list, six)
			}
			last := &r.waiting[2*c+i]
			if why != *last && why != "" {
				text := fmt.Sprintf("Waiting for %v to join %v: %s", choice, r.groups[g].group, why)
				if choice.Any() && len(r.wanted(r.groups[g])) > 0 {
					text += "; until then only loopback is heard"
				}
				r.put(Note{Level: 1, Text: text})
			}
			*last = why
		}
	}
}

// reportJoined reports where each group is joined.
func (r *receiveRun) reportJoined() {
	for _, g := range r.groups {
		var on []string
		for _, p := range g.at {
			if p.state == joined {
				on = append(on, p.ifi.String())
			}
		}
		if len(on) > 0 {
			r.put(Note{Level: 2, Text: fmt.Sprintf("Joined %v on %s", g.group, strings.Join(on, ", "))})
		}
	}
}
