package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/wire"
)

// fakeHost is a host whose interfaces a test changes.
type fakeHost struct {
	mu    sync.Mutex
	links []netio.Link
	list  []netio.Interface
	asked int
}

func newFakeHost(list ...netio.Interface) *fakeHost {
	h := new(fakeHost)
	h.set(list...)
	return h
}

// set makes list all that is up, and the only links.
func (h *fakeHost) set(list ...netio.Interface) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.links, h.list = nil, list
	for _, i := range list {
		h.links = append(h.links, netio.Link{Name: i.Name, Index: i.Index, Up: true})
	}
}

func (h *fakeHost) survey() ([]netio.Link, []netio.Interface, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	return slices.Clone(h.links), slices.Clone(h.list), nil
}

// ifi parses "name index address", with "lo" for a loopback.
func ifi(text string) netio.Interface {
	var i netio.Interface
	var addr string
	if _, err := fmt.Sscan(text, &i.Name, &i.Index, &addr); err != nil {
		panic(err)
	}
	i.Addr, i.Loopback = netip.MustParseAddr(addr), i.Name == "lo"
	return i
}

// joinRun is the part of a receiver that joins groups, with a socket and a host whose far
// end is the test.
type joinRun struct {
	*receiveRun
	t     *testing.T
	fake  *fakeHost
	at    map[string]int // memberships by "group index"
	fail  error          // of joining
	drops []int          // what the kernel says it has dropped
	now   time.Duration
	notes []string
	uids  []wire.UID
}

func newJoinRun(t *testing.T, cfg *ReceiveConfig, fake *fakeHost) *joinRun {
	j := &joinRun{t: t, fake: fake, at: map[string]int{}}
	c := newFakeConn()
	key := func(g netip.Addr, i netio.Interface) string { return fmt.Sprintf("%v %d", g, i.Index) }
	c.join = func(g netip.Addr, i netio.Interface) error {
		if j.fail == nil {
			j.at[key(g, i)]++
		}
		return j.fail
	}
	c.leave = func(g netip.Addr, i netio.Interface) error { j.at[key(g, i)]--; return nil }
	cfg.interfaces, cfg.watch = fake.survey, j
	j.receiveRun = &receiveRun{host: &host{wall: newWall(), conn: c}, cfg: cfg}
	cfg.Receiver.MaxSessions = 1
	public := j.memberships.init(cfg, 0)
	j.m = receiver.New(cfg.Receiver, 0)
	j.reports = newReports(func(_ time.Time, ev machine.Event) {
		switch e := ev.(type) {
		case Note:
			j.notes = append(j.notes, e.Text)
		case Identified:
			j.uids = append(j.uids, e.UID)
		}
	})
	if err := j.joinPublic(public); err != nil {
		t.Fatal(err)
	}
	j.reportWaiting()
	return j
}

// Next, Gone and Close make a joinRun the news of its interfaces.
func (j *joinRun) Next() error  { return errors.ErrUnsupported }
func (j *joinRun) Close() error { return nil }
func (j *joinRun) Gone() ([]int, bool) {
	list := j.drops
	j.drops = nil
	return list, false
}

// look lets the receiver look at interfaces that are now these.
func (j *joinRun) look(list ...netio.Interface) {
	j.fake.set(list...)
	j.now += lookEvery
	j.lookAtInterfaces(clock.Time(j.now))
}

// want compares the memberships with what is wanted: "group index" each.
func (j *joinRun) want(why string, want ...string) {
	j.t.Helper()
	var got []string
	for k, n := range j.at {
		switch n {
		case 0:
		case 1:
			got = append(got, k)
		default:
			j.t.Errorf("%s: %s is joined %d times", why, k, n)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		j.t.Errorf("%s: joined %q, want %q", why, got, want)
	}
}

// log closes the reports and returns the lines.
func (j *joinRun) log() string {
	j.reports.close(newEnding())
	return strings.Join(j.notes, "\n")
}

func named(names ...string) (list []netio.Choice) {
	for _, n := range names {
		list = append(list, netio.Choice{Name: n})
	}
	return list
}

func publicOf(groups ...string) (list []netip.Addr) {
	for _, g := range groups {
		list = append(list, netip.MustParseAddr(g))
	}
	return list
}

// TestMembershipsFollowInterfaces changes the interfaces of a host in every way there is:
// each group is joined where the configuration wants it, once, as soon as that is there.
func TestMembershipsFollowInterfaces(t *testing.T) {
	const g4, g6 = "230.4.4.1", "ff02::4404"
	lo, e0, e0six := ifi("lo 1 127.0.0.1"), ifi("e0 2 10.0.0.1"), ifi("e0 2 fe80::1")
	type step struct {
		list []netio.Interface
		want []string
	}
	at := func(w ...string) []string { return w }
	is := func(l ...netio.Interface) []netio.Interface { return l }
	for _, tt := range []struct {
		name    string
		choices []netio.Choice
		public  []netip.Addr
		steps   []step // the first one is the start
	}{
		{"nothing at the start", nil, publicOf(g4), []step{{nil, nil}, {is(e0), at(g4 + " 2")}}},
		{"only loopback at the start", nil, publicOf(g4), []step{{is(lo), at(g4 + " 1")}, {is(lo, e0), at(g4+" 1", g4+" 2")}}},
		{"another one later", nil, publicOf(g4), []step{{is(lo, e0), at(g4 + " 2")}, {is(lo, e0, ifi("wlan0 7 10.1.0.1")), at(g4+" 2", g4+" 7")}}},
		{"an address of the family later", nil, publicOf(g4), []step{{is(lo, e0six), at(g4 + " 1")}, {is(lo, e0six, e0), at(g4+" 1", g4+" 2")}}},
		{"IPv6 later", nil, publicOf(g6), []step{{is(e0), nil}, {is(e0, e0six), at(g6 + " 2")}}},
		{"both families", nil, publicOf(g4, g6), []step{{nil, nil}, {is(e0six), at(g6 + " 2")}, {is(e0, e0six), at(g4+" 2", g6+" 2")}}},
		{"one that stays", nil, publicOf(g4), []step{{is(e0), at(g4 + " 2")}, {is(e0), at(g4 + " 2")}}},
		{"two addresses of one", nil, publicOf(g4), []step{{is(e0, ifi("e0 2 10.0.0.2")), at(g4 + " 2")}, {is(e0, ifi("e0 2 10.0.0.2")), at(g4 + " 2")}}},
		{"down and up", nil, publicOf(g4), []step{{is(e0), at(g4 + " 2")}, {nil, nil}, {is(e0), at(g4 + " 2")}}},
		{"another index", nil, publicOf(g4), []step{{is(e0), at(g4 + " 2")}, {is(ifi("e0 9 10.0.0.1")), at(g4 + " 9")}}},
		{"away, then another index and address", nil, publicOf(g4), []step{{is(e0), at(g4 + " 2")}, {nil, nil}, {is(ifi("e0 9 10.0.0.7")), at(g4 + " 9")}}},
		{"another address only", nil, publicOf(g4), []step{{is(e0), at(g4 + " 2")}, {is(ifi("e0 2 10.0.0.7")), at(g4 + " 2")}}},
		{"another name only", nil, publicOf(g4), []step{{is(e0), at(g4 + " 2")}, {is(ifi("lan 2 10.0.0.1")), at(g4 + " 2")}}},

		{"named, not there yet", named("e0"), publicOf(g4), []step{{is(lo), nil}, {is(lo, ifi("e1 5 10.1.0.1")), nil}, {is(lo, e0), at(g4 + " 2")}}},
		{"named, without an address of the family", named("e0"), publicOf(g4), []step{{is(e0six), nil}, {is(e0six, e0), at(g4 + " 2")}}},
		{"named, IPv6 alone", named("e0"), publicOf(g6), []step{{is(e0six), at(g6 + " 2")}}},
		{"named, both families", named("e0"), publicOf(g4, g6), []step{{is(e0), at(g4 + " 2")}, {is(e0, e0six), at(g4+" 2", g6+" 2")}}},
		{"named with a family", []netio.Choice{{Name: "e0", Family: 6}}, publicOf(g4, g6), []step{{is(e0), nil}, {is(e0, e0six), at(g6 + " 2")}}},
		{"two named, one later", named("e1", "e0"), publicOf(g4), []step{{is(e0), at(g4 + " 2")}, {is(e0, ifi("e1 5 10.1.0.1")), at(g4+" 2", g4+" 5")}}},
		{"named, another index", named("e0"), publicOf(g4), []step{{is(e0), at(g4 + " 2")}, {is(ifi("e0 9 10.0.0.1")), at(g4 + " 9")}}},
		{"named, renamed", named("e0"), publicOf(g4), []step{{is(e0), at(g4 + " 2")}, {is(ifi("lan 2 10.0.0.1")), at(g4 + " 2")}}},
		{"named, renamed, and another one has the name", named("e0"), publicOf(g4),
			[]step{{is(e0), at(g4 + " 2")}, {is(ifi("lan 2 10.0.0.1")), at(g4 + " 2")}, {is(ifi("lan 2 10.0.0.1"), ifi("e0 9 10.0.0.9")), at(g4 + " 9")}}},
		{"loopback named", named("lo"), publicOf(g4), []step{{is(lo, e0), at(g4 + " 1")}}},

		{"an address, not there yet", []netio.Choice{{Addr: e0.Addr}}, publicOf(g4), []step{{is(lo), nil}, {is(ifi("e0 2 10.0.0.8")), nil}, {is(e0), at(g4 + " 2")}}},
		{"an address that moves", []netio.Choice{{Addr: e0.Addr}}, publicOf(g4),
			[]step{{is(e0), at(g4 + " 2")}, {is(ifi("e0 2 10.0.0.8"), ifi("e1 5 10.0.0.1")), at(g4 + " 5")}}},
		{"an address, then another index and address", []netio.Choice{{Addr: e0.Addr}}, publicOf(g4),
			[]step{{is(e0), at(g4 + " 2")}, {is(ifi("e0 9 10.0.0.8")), at(g4 + " 9")}}},
		{"an index, not there yet", []netio.Choice{{Name: "7", Index: 7}}, publicOf(g4), []step{{is(e0), nil}, {is(e0, ifi("e7 7 10.0.7.1")), at(g4 + " 7")}}},
		{"an index that changes", []netio.Choice{{Name: "2", Index: 2}}, publicOf(g4), []step{{is(e0), at(g4 + " 2")}, {is(ifi("e0 9 10.0.0.1")), at(g4 + " 9")}}},

		{"a zone", nil, publicOf(g6 + "%e0"), []step{{is(e0six, ifi("e1 5 fe80::5")), at(g6 + " 2")}, {is(ifi("e0 9 fe80::1"), ifi("e1 5 fe80::5")), at(g6 + " 9")}}},
		{"a zone, not there yet", nil, publicOf(g6 + "%e0"), []step{{is(ifi("e1 5 fe80::5")), nil}, {is(ifi("e1 5 fe80::5"), e0six), at(g6 + " 2")}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			host := newFakeHost(tt.steps[0].list...)
			j := newJoinRun(t, &ReceiveConfig{Receiver: receiver.Config{UID: 5, Public: tt.public}, Interfaces: tt.choices}, host)
			j.want("at the start", tt.steps[0].want...)
			for i, s := range tt.steps[1:] {
				j.look(s.list...)
				j.want(fmt.Sprintf("step %d", i+1), s.want...)
			}
			j.reports.close(newEnding())
			if len(j.uids) > 0 {
				t.Errorf("UID changed to %v, want the one that was given", j.uids)
			}
		})
	}
}

// TestSessionGroupsFollowInterfaces: groups of sessions follow the interfaces as well, and
// are left everywhere when the session ends.
func TestSessionGroupsFollowInterfaces(t *testing.T) {
	private, ended := netip.MustParseAddr("230.5.5.1"), netip.MustParseAddr("230.5.5.2")
	j := newJoinRun(t, &ReceiveConfig{Receiver: receiver.Config{Public: publicOf("230.4.4.1")}}, newFakeHost(ifi("e0 2 10.0.0.1")))
	for _, g := range []netip.Addr{private, ended} {
		if err := j.joinAll(g, receiver.Session{SessionID: receiver.SessionID{Group: 7}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.joinAll(netip.MustParseAddr("ff02::5505"), receiver.Session{SessionID: receiver.SessionID{Group: 7}}); !errors.Is(err, errNoInterface) {
		t.Errorf("an IPv6 group of a session without an IPv6 interface: %v, want %v", err, errNoInterface)
	}
	j.leaveAll(ended)
	j.look(ifi("e0 9 10.0.0.1"), ifi("e1 5 10.1.0.1"))
	j.want("a new index and a new interface", "230.4.4.1 9", "230.4.4.1 5", "230.5.5.1 9", "230.5.5.1 5")
	named := newJoinRun(t, &ReceiveConfig{Receiver: receiver.Config{Public: publicOf("230.4.4.1")}, Interfaces: named("e0")}, newFakeHost(ifi("e0 2 10.0.0.1")))
	named.look()
	named.look(ifi("lan 2 10.0.0.1"))
	if err := named.joinAll(private, receiver.Session{SessionID: receiver.SessionID{Group: 7}}); err != nil {
		t.Errorf("a session after its interface was renamed: %v", err)
	}
	named.want("renamed", "230.4.4.1 2", "230.5.5.1 2")
	named.reports.close(newEnding())
	j.leaveAll(private)
	j.want("the session has ended", "230.4.4.1 9", "230.4.4.1 5")
	if text := j.log(); strings.Count(text, "\n") != 3 || !strings.Contains(text, "Interface e0 is back: joined 230.5.5.1 again") ||
		!strings.Contains(text, "Interface e1 is there: joined 230.4.4.1") {
		t.Errorf("logged %q, want a line for each group and interface", text)
	}
}

// TestSameIndexAgain: an interface that is made anew under the same index between two
// looks has lost its memberships. Only the notices of the kernel show that.
func TestSameIndexAgain(t *testing.T) {
	j := newJoinRun(t, &ReceiveConfig{Receiver: receiver.Config{UID: 5, Public: publicOf("230.4.4.1")}}, newFakeHost(ifi("e0 2 10.0.0.1")))
	joins := 0
	join := j.conn.(*fakeConn).join
	j.conn.(*fakeConn).join = func(g netip.Addr, i netio.Interface) error { joins++; return join(g, i) }
	j.look(ifi("e0 2 10.0.0.1"))
	if joins != 0 {
		t.Errorf("joined %d times, want none: nothing has happened", joins)
	}
	j.drops = []int{2}
	j.look(ifi("e0 2 10.0.0.1"))
	if joins != 1 {
		t.Errorf("joined %d times, want once: the kernel has dropped the membership", joins)
	}
	j.want("made anew", "230.4.4.1 2")
	j.reports.close(newEnding())
}

// TestSameIndexAgainForSharedGroup: several sessions, and the announcements, can share a
// group. The socket counts them, so the kernel joins anew only when all have left.
func TestSameIndexAgainForSharedGroup(t *testing.T) {
	group := netip.MustParseAddr("230.4.4.1")
	j := newJoinRun(t, &ReceiveConfig{Receiver: receiver.Config{UID: 5, Public: []netip.Addr{group}}}, newFakeHost(ifi("e0 2 10.0.0.1")))
	for id := range uint32(2) {
		if err := j.joinAll(group, receiver.Session{SessionID: receiver.SessionID{Group: id + 1}}); err != nil {
			t.Fatal(err)
		}
	}
	left := false
	leave := j.conn.(*fakeConn).leave
	j.conn.(*fakeConn).leave = func(g netip.Addr, i netio.Interface) error {
		err := leave(g, i)
		left = left || j.at["230.4.4.1 2"] == 0
		return err
	}
	j.drops = []int{2}
	j.look(ifi("e0 2 10.0.0.1"))
	if n := j.at["230.4.4.1 2"]; !left || n != 3 {
		t.Errorf("left by all %v and joined %d times then, want true and 3", left, n)
	}
	j.reports.close(newEnding())
}

// TestLooks: interfaces are looked at from time to time, and soon after the kernel has said
// that they have changed, but not at each of many changes.
func TestLooks(t *testing.T) {
	host := newFakeHost(ifi("e0 2 10.0.0.1"))
	j := newJoinRun(t, &ReceiveConfig{Receiver: receiver.Config{UID: 5, Public: publicOf("230.4.4.1")}}, host)
	host.asked = 0
	at := func(d time.Duration, change bool, want int) {
		t.Helper()
		if change {
			j.changed.Store(true)
		}
		j.lookAtInterfaces(clock.Time(d))
		if host.asked != want {
			t.Errorf("at %v: looked %d times, want %d", d, host.asked, want)
		}
	}
	at(time.Second, false, 0)
	at(time.Second, true, 1)
	at(time.Second+lookLeast/2, true, 1)
	if want := clock.Time(time.Second + lookLeast); j.nextLook != want {
		t.Errorf("next look at %v, want %v", j.nextLook, want)
	}
	at(time.Second+lookLeast, false, 2)
	at(time.Second+lookLeast+lookEvery-1, false, 2)
	at(time.Second+lookLeast+lookEvery, false, 3)
	j.reports.close(newEnding())
}

// TestJoinFails: at the start a group that can be joined nowhere ends the receiver, unless
// the interface went away meanwhile. The receiver tries again later and reports it once.
func TestJoinFails(t *testing.T) {
	cfg := &ReceiveConfig{Receiver: receiver.Config{UID: 5, Public: publicOf("230.4.4.1")}}
	j := newJoinRun(t, cfg, newFakeHost())
	j.fail = syscall.ENOBUFS
	j.look(ifi("e0 2 10.0.0.1"))
	j.look(ifi("e0 2 10.0.0.1"))
	j.want("it fails")
	if err := j.joinAll(netip.MustParseAddr("230.5.5.1"), receiver.Session{SessionID: receiver.SessionID{Group: 7}}); !errors.Is(err, syscall.ENOBUFS) {
		t.Errorf("%v, want the reason of the system", err)
	}
	j.fail = syscall.ENODEV
	if err := j.joinAll(netip.MustParseAddr("230.4.4.2"), receiver.Session{}); err != nil {
		t.Errorf("%v, want to wait: the interface has gone meanwhile", err)
	}
	j.fail = nil
	j.look(ifi("e0 2 10.0.0.1"))
	j.want("it works again", "230.4.4.1 2", "230.4.4.2 2")
	if text := j.log(); strings.Count(text, "Error joining multicast group 230.4.4.1 on e0") != 1 {
		t.Errorf("logged %q, want the error once", text)
	}
}

// TestLeftInterfacesAreForgotten: interfaces come and go for ever, as those of containers
// do, and no memory grows with them.
func TestLeftInterfacesAreForgotten(t *testing.T) {
	j := newJoinRun(t, &ReceiveConfig{Receiver: receiver.Config{UID: 5, Public: publicOf("ff02::4404")}}, newFakeHost())
	for i := 2; i < 500; i++ {
		j.look(ifi(fmt.Sprintf("veth%d %d fe80::%x", i, i, i)))
	}
	j.want("the last one", "ff02::4404 499")
	if n := len(j.groups[0].at); n != 1 {
		t.Errorf("%d places are kept, want the one that is there", n)
	}
	if len(j.left) > leftMax {
		t.Errorf("%d names are kept, want at most %d", len(j.left), leftMax)
	}
	j.reports.close(newEnding())
}

// TestUIDOfFirstInterface: a receiver that was given no UID has that of its first interface,
// from when there is one, and keeps it. Until then it does not look like every other one.
func TestUIDOfFirstInterface(t *testing.T) {
	lo, e0, e1 := ifi("lo 1 127.0.0.1"), ifi("e0 2 10.0.0.1"), ifi("e1 5 10.1.0.1")
	for _, tt := range []struct {
		name   string
		start  []netio.Interface
		choice []netio.Choice
		later  [][]netio.Interface
		want   []wire.UID // at the start, then each change
	}{
		{"there", []netio.Interface{lo, e0}, nil, [][]netio.Interface{{lo, e1}}, []wire.UID{0x0a000001}},
		{"nothing there", nil, nil, [][]netio.Interface{{lo}, {lo, e0}, {lo, e1, e0}}, []wire.UID{0x7f000001, 0x0a000001}},
		{"loopback there", []netio.Interface{lo}, nil, [][]netio.Interface{{lo, e1}}, []wire.UID{0x7f000001, 0x0a010001}},
		{"IPv6 alone, for an IPv4 group", []netio.Interface{lo, ifi("e0 2 fe80::1")}, nil, [][]netio.Interface{{lo, e0, ifi("e0 2 fe80::1")}}, []wire.UID{0x7f000001, 0x0a000001}},
		{"loopback named", []netio.Interface{lo}, named("lo"), [][]netio.Interface{{lo, e0}}, []wire.UID{0x7f000001}},
		{"named, first of the list", []netio.Interface{lo, e0, e1}, named("e1", "e0"), nil, []wire.UID{0x0a010001}},
		{"named, later", []netio.Interface{lo, e0}, named("e1"), [][]netio.Interface{{lo, e0, e1}}, []wire.UID{0x7f000001, 0x0a010001}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := newJoinRun(t, &ReceiveConfig{Receiver: receiver.Config{MaxSessions: 1, Public: publicOf("230.4.4.1")}, Interfaces: tt.choice}, newFakeHost(tt.start...))
			got := []wire.UID{j.uid}
			for _, l := range tt.later {
				was := j.uid
				j.live = 1
				j.look(l...)
				if j.uid != was {
					t.Error("the UID has changed in a session")
				}
				j.live = 0
				j.look(l...)
				if j.uid != was {
					got = append(got, j.uid)
				}
			}
			j.reports.close(newEnding())
			if !slices.Equal(got, tt.want) {
				t.Errorf("UIDs %v, want %v", got, tt.want)
			}
			if len(j.uids) != len(got)-1 {
				t.Errorf("logged %v, want each change", j.uids)
			}
		})
	}
}

// TestWaitingIsReported: the log names what the receiver waits for, once for each reason.
func TestWaitingIsReported(t *testing.T) {
	j := newJoinRun(t, &ReceiveConfig{Receiver: receiver.Config{UID: 5, Public: publicOf("230.4.4.1")}, Interfaces: named("e0")}, newFakeHost())
	for range 2 {
		j.look()
	}
	j.fake.links = []netio.Link{{Name: "e0", Index: 2}}
	j.now += lookEvery
	j.lookAtInterfaces(clock.Time(j.now))
	j.look(ifi("e0 2 fe80::1"))
	j.look(ifi("e0 2 fe80::1"), ifi("e0 2 10.0.0.1"))
	j.look()
	want := []string{
		"Waiting for e0 to join 230.4.4.1: no such interface",
		"Waiting for e0 to join 230.4.4.1: e0 is down",
		"Waiting for e0 to join 230.4.4.1: e0 has no IPv4 address; -I e0/6 takes its IPv6 one, with an IPv6 address in -M",
		"Interface e0 is there: joined 230.4.4.1",
		"Waiting for e0 to join 230.4.4.1: no such interface",
	}
	if got := j.log(); got != strings.Join(want, "\n") {
		t.Errorf("logged\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
