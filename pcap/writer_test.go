package pcap

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"
)

func TestWriterRefuses(t *testing.T) {
	four, six := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("[fd00::1]:1")
	for _, x := range []struct {
		why string
		d   Datagram
	}{
		{"no address", Datagram{}},
		{"two families", Datagram{Src: four, Dst: six}},
		{"too long", Datagram{Src: four, Dst: four, Payload: make([]byte, payloadMax+1)}},
	} {
		var out bytes.Buffer
		w, err := NewWriter(&out, Classic)
		if err != nil {
			t.Fatal(err)
		}
		n := out.Len()
		if err := w.Write(x.d); !errors.Is(err, ErrDatagram) || out.Len() != n {
			t.Errorf("%s: %v and %d bytes, want it refused and nothing written", x.why, err, out.Len()-n)
		}
	}
	var out bytes.Buffer
	w, _ := NewWriter(&out, Classic)
	if err := w.Write(Datagram{Src: four, Dst: netip.MustParseAddrPort("230.4.4.1:1044"), Time: time.Time{}}); err != nil {
		t.Fatal(err)
	}
	if mac := out.Bytes()[24+16:][:6]; !bytes.Equal(mac, []byte{1, 0, 0x5e, 4, 4, 1}) {
		t.Errorf("multicast goes to %x, want the address of the group", mac)
	}
}
