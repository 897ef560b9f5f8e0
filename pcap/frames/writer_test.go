package frames

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"uftp/pcap"
)

// TestWriter writes every capture again in both forms and reads it back. gopacket
// reads it too and finds the checksums right.
func TestWriter(t *testing.T) {
	for name, b := range captures(t) {
		want, _, err := readAll(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []pcap.Format{pcap.Classic, pcap.NG} {
			var out bytes.Buffer
			w, err := pcap.NewWriter(&out, form)
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

// checkSums lets gopacket compute the checksums and compares the frames.
func checkSums(t *testing.T, name string, form pcap.Format, b []byte) {
	t.Helper()
	var src interface {
		ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	}
	var err error
	if form == pcap.NG {
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
