package netio

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWatch changes interfaces in every way that concerns memberships: each is reported, and an
// interface that loses its memberships is named.
func TestWatch(t *testing.T) {
	n := newNetns(t)
	var w *Watch
	n.do(func() {
		var err error
		if w, err = NewWatch(); err != nil {
			t.Fatal(err)
		}
	})
	defer w.Close()
	index := func() int {
		var i int
		n.do(func() {
			if ifi, err := net.InterfaceByName("d0"); err == nil {
				i = ifi.Index
			}
		})
		return i
	}
	was := 0
	for _, tt := range []struct {
		change string // of ip
		gone   bool
	}{
		{"link add d0 type veth peer name p0", false},
		{"link set d0 up", false},
		{"addr add 10.1.0.1/24 dev d0", false},
		{"addr del 10.1.0.1/24 dev d0", false},
		{"link set d0 mtu 1000", true}, // removes IPv6 and its memberships
		{"link set d0 mtu 1500", false},
		{"link set d0 down", false}, // the kernel keeps memberships
		{"link set d0 name d1", false},
		{"link set d1 name d0", false},
		{"link del d0", true},
	} {
		if i := index(); i != 0 {
			was = i
		}
		heard := make(chan error, 1)
		go func() { heard <- w.Next() }()
		n.ip(tt.change)
		select {
		case err := <-heard:
			if err != nil {
				t.Fatalf("ip %s: %v", tt.change, err)
			}
		case <-time.After(soon):
			t.Fatalf("ip %s: no news", tt.change)
		}
		w.drain(t)
		gone, all := w.Gone()
		if got := slices.Contains(gone, was); got != tt.gone || all {
			t.Errorf("ip %s: gone %v (all: %v), want %d there: %v", tt.change, gone, all, was, tt.gone)
		}
	}
	w.Close()
	if err := w.Next(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v, want %v", err, net.ErrClosed)
	}
}

// drain reads the other notices about one change.
func (w *Watch) drain(t *testing.T) {
	t.Helper()
	for {
		if err := w.file.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if w.Next() != nil {
			break
		}
	}
	w.file.SetReadDeadline(time.Time{})
}

// TestWatchMessages: only notices about interfaces count; the kernel uses the same type when a port
// leaves a bridge. Incomplete notices do no harm.
func TestWatchMessages(t *testing.T) {
	link := func(kind uint16, family byte, index int32, attrs ...byte) *syscall.NetlinkMessage {
		m := &syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: kind}, Data: make([]byte, unix.SizeofIfInfomsg)}
		m.Data[0] = family
		binary.NativeEndian.PutUint32(m.Data[4:], uint32(index))
		m.Data = append(m.Data, attrs...)
		return m
	}
	mtu := func(n uint32) []byte {
		b := binary.NativeEndian.AppendUint16(nil, 8)
		b = binary.NativeEndian.AppendUint16(b, unix.IFLA_MTU)
		return binary.NativeEndian.AppendUint32(b, n)
	}
	for _, tt := range []struct {
		why           string
		m             *syscall.NetlinkMessage
		changed, gone bool
	}{
		{"a new interface", link(unix.RTM_NEWLINK, unix.AF_UNSPEC, 7), true, false},
		{"a deleted one", link(unix.RTM_DELLINK, unix.AF_UNSPEC, 7), true, true},
		{"a port that leaves a bridge", link(unix.RTM_DELLINK, unix.AF_BRIDGE, 7), false, false},
		{"the least MTU of IPv6", link(unix.RTM_NEWLINK, unix.AF_UNSPEC, 7, mtu(1280)...), true, false},
		{"a smaller one", link(unix.RTM_NEWLINK, unix.AF_UNSPEC, 7, mtu(1279)...), true, true},
		{"an attribute that is cut", link(unix.RTM_NEWLINK, unix.AF_UNSPEC, 7, mtu(1279)[:6]...), true, false},
		{"a message that is cut", &syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.RTM_DELLINK}, Data: []byte{0, 0}}, false, false},
		{"an address", &syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.RTM_DELADDR}}, true, false},
		{"something else", &syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.RTM_NEWROUTE}}, false, false},
	} {
		w := new(Watch)
		changed := w.note(tt.m)
		gone, _ := w.Gone()
		if changed != tt.changed || slices.Contains(gone, 7) != tt.gone {
			t.Errorf("%s: changed %v, gone %v, want %v, %v", tt.why, changed, gone, tt.changed, tt.gone)
		}
	}
	w := new(Watch)
	for i := range goneMax + 1 {
		w.note(link(unix.RTM_DELLINK, unix.AF_UNSPEC, int32(i)))
	}
	if gone, all := w.Gone(); len(gone) > goneMax || !all {
		t.Errorf("%d kept, all: %v, want at most %d and all", len(gone), all, goneMax)
	}
}

// TestZonesAfterChange: an interface that is renamed, or created again, has its new name and index
// as soon as a Watch has received the notice.
func TestZonesAfterChange(t *testing.T) {
	n := newNetns(t)
	var w *Watch
	n.do(func() {
		var err error
		if w, err = NewWatch(); err != nil {
			t.Fatal(err)
		}
	})
	defer w.Close()
	var names zoneNames
	var indexes zoneIndexes
	want := func(name string, not ...string) {
		t.Helper()
		w.drain(t)
		n.do(func() {
			ifi, err := net.InterfaceByName(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := names.with(netip.MustParseAddr("fe80::1"), uint32(ifi.Index)).Zone(); got != name {
				t.Errorf("zone of index %d: %q, want %q", ifi.Index, got, name)
			}
			if got, err := indexes.index(name); err != nil || got != uint32(ifi.Index) {
				t.Errorf("index of zone %s: %d, %v, want %d", name, got, err, ifi.Index)
			}
			for _, x := range not {
				if got, err := indexes.index(x); err == nil {
					t.Errorf("index of zone %s: %d, want none", x, got)
				}
			}
		})
	}
	n.ip("link add z0 type veth peer name peer0")
	want("z0")
	n.ip("link set z0 name y0")
	want("y0", "z0")
	n.ip("link del y0")
	n.ip("link add y0 type veth peer name peer0")
	want("y0", "z0")
}
