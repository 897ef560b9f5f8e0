package pcap

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// TestWriter writes every capture anew in both forms and reads it back; gopacket
// reads it too and finds the checksums right.
func TestWriter(t *testing.T) {
	for name, b := range captures(t) {
		want, _, err := readAll(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []Format{Classic, NG} {
			var out bytes.Buffer
			w, err := NewWriter(&out, form)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range want {
				d.Time = d.Time.Add(7) // nanoseconds have to stay
				if err := w.Write(d); err != nil {
					t.Fatalf("%s frame %d: %v", name, d.Frame, err)
				}
			}
			got, _, err := readAll(out.Bytes())
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s, form %d: %v, %d datagrams, want %d", name, form, err, len(got), len(want))
			}
			for i, g := range got {
				w := want[i]
				if !g.Time.Equal(w.Time.Add(7)) || g.Src != w.Src || g.Dst != w.Dst || !bytes.Equal(g.Payload, w.Payload) {
					t.Fatalf("%s, form %d, datagram %d: %v %v>%v, want %v %v>%v and the same bytes", name, form, i, g.Time, g.Src, g.Dst, w.Time, w.Src, w.Dst)
				}
			}
			checkSums(t, name, form, out.Bytes())
		}
	}
}

// checkSums lets gopacket make the checksums anew and compares the frames.
func checkSums(t *testing.T, name string, form Format, b []byte) {
	t.Helper()
	var src interface {
		ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	}
	var err error
	if form == NG {
		src, err = pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.DefaultNgReaderOptions)
	} else {
		src, err = pcapgo.NewReader(bytes.NewReader(b))
	}
	if err != nil {
		t.Fatal(err)
	}
	for {
		frame, _, err := src.ReadPacketData()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
		udp, ok := p.TransportLayer().(*layers.UDP)
		if !ok {
			t.Fatalf("%s: gopacket finds no UDP: %v", name, p)
		}
		if err := udp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
		again := gopacket.NewSerializeBuffer()
		opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
		ip, _ := p.NetworkLayer().(gopacket.SerializableLayer)
		if err := gopacket.SerializeLayers(again, opts, p.LinkLayer().(*layers.Ethernet), ip, udp, gopacket.Payload(udp.Payload)); err != nil {
			t.Fatal(err)
		}
		n := min(len(frame), len(again.Bytes())) // gopacket pads to 60
		if at := len(frame) - len(udp.Payload) - 2; udp.Checksum == 0 && frame[at] == 0xff && frame[at+1] == 0xff {
			frame[at], frame[at+1] = 0, 0 // gopacket does not know that 0 means none (RFC 768)
		}
		if !bytes.Equal(frame[:n], again.Bytes()[:n]) {
			t.Fatalf("%s: frame\n%x, gopacket makes\n%x", name, frame[:60], again.Bytes()[:60])
		}
	}
}

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
