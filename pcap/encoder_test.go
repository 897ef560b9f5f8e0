package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// raw is how a program captures its own packets.
var raw = Encoder{Format: NG, Raw: true, Application: "test 1"}

// samples are datagrams of both families and of lengths that need padding.
func samples() (list []Datagram, meta []Meta) {
	rng := rand.NewChaCha8([32]byte{1})
	for i, n := range []int{0, 1, 2, 3, 16, 1316, 8999, payloadMax} {
		for _, a := range [][2]string{{"10.0.0.1:1044", "230.4.4.1:1044"}, {"[fd00::1]:5000", "[ff15::1]:1044"}} {
			d := Datagram{
				Time: start.Add(7), Src: netip.MustParseAddrPort(a[0]), Dst: netip.MustParseAddrPort(a[1]), Payload: make([]byte, n),
			}
			rng.Read(d.Payload)
			list = append(list, d)
			meta = append(meta, Meta{Way: Way(i % 3), Lost: uint64(i % 2 * 5), TOS: 0xb8 | uint8(i&3), TTL: uint8(i)})
		}
	}
	return list, meta
}

func encode(t testing.TB, e *Encoder) []byte {
	t.Helper()
	b := e.AppendHead(nil)
	list, meta := samples()
	for i := range list {
		before := len(b)
		var err error
		if b, err = e.AppendDatagram(b, &list[i], &meta[i]); err != nil {
			t.Fatal(err)
		}
		if len(b)-before > RecordMax {
			t.Errorf("record of %d bytes, want no more than RecordMax", len(b)-before)
		}
	}
	return e.AppendStatistics(b, start, 100, 40)
}

// TestRawIP writes raw IP; gopacket reads it and finds what was written.
func TestRawIP(t *testing.T) {
	for _, format := range []Format{Classic, NG} {
		e := Encoder{Format: format, Raw: true}
		checkHeaders(t, format, encode(t, &e))
	}
}

func checkHeaders(t *testing.T, format Format, b []byte) {
	t.Helper()
	list, meta := samples()
	var src gopacket.PacketDataSource
	var err error
	if format == NG {
		src, err = pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.DefaultNgReaderOptions)
	} else {
		src, err = pcapgo.NewReader(bytes.NewReader(b))
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range meta {
		frame, info, err := src.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		first := layers.LayerTypeIPv4
		if frame[0]>>4 == 6 {
			first = layers.LayerTypeIPv6
		}
		p := gopacket.NewPacket(frame, first, gopacket.Default)
		udp, ok := p.TransportLayer().(*layers.UDP)
		if !ok {
			t.Fatalf("packet %d: gopacket finds no UDP: %v", i, p)
		}
		d := &list[i]
		network, transport := p.NetworkLayer().NetworkFlow(), udp.TransportFlow()
		if src := network.Src().String() + " " + transport.Src().String(); src != fmt.Sprint(d.Src.Addr(), " ", d.Src.Port()) {
			t.Errorf("packet %d: from %s, want %v", i, src, d.Src)
		}
		if dst := network.Dst().String() + " " + transport.Dst().String(); dst != fmt.Sprint(d.Dst.Addr(), " ", d.Dst.Port()) {
			t.Errorf("packet %d: to %s, want %v", i, dst, d.Dst)
		}
		if !info.Timestamp.Equal(d.Time) || !bytes.Equal(udp.Payload, d.Payload) {
			t.Errorf("packet %d: %d bytes at %v, want %d bytes at %v", i, len(udp.Payload), info.Timestamp, len(d.Payload), d.Time)
		}
		ttl := m.TTL
		if ttl == 0 {
			ttl = 64
		}
		switch ip := p.NetworkLayer().(type) {
		case *layers.IPv4:
			if ip.TOS != m.TOS || ip.TTL != ttl {
				t.Errorf("packet %d: TOS %#x, TTL %d, want %#x and %d", i, ip.TOS, ip.TTL, m.TOS, ttl)
			}
		case *layers.IPv6:
			if ip.TrafficClass != m.TOS || ip.HopLimit != ttl || ip.FlowLabel != 0 {
				t.Errorf("packet %d: class %#x, hops %d, want %#x and %d", i, ip.TrafficClass, ip.HopLimit, m.TOS, ttl)
			}
		}
		if err := udp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
		again := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(again, gopacket.SerializeOptions{ComputeChecksums: true},
			p.NetworkLayer().(gopacket.SerializableLayer), udp, gopacket.Payload(udp.Payload)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Bytes(), frame) {
			t.Errorf("packet %d: gopacket makes other checksums", i)
		}
	}
}

// TestSum holds the fast sum against the definition.
func TestSum(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{2})
	for n := range 200 {
		b := make([]byte, n)
		rng.Read(b)
		if n%3 == 0 {
			for i := range b {
				b[i] |= 0xf8 // many carries
			}
		}
		var want uint32
		for i, x := range b {
			want += uint32(x) << (8 * (1 - i%2))
		}
		for want > 0xffff {
			want = want>>16 + want&0xffff
		}
		if got := fold(sum(b)); uint32(got)%0xffff != want%0xffff {
			t.Errorf("%d bytes: sum %#x, want %#x", n, got, want)
		}
	}
}

// TestLiveBlocks reads block by block what only pcapng can say.
func TestLiveBlocks(t *testing.T) {
	_, meta := samples()
	le := binary.LittleEndian
	b := encode(t, &raw)
	packets, statistics := 0, 0
	for len(b) > 0 {
		n := le.Uint32(b[4:])
		if n%4 != 0 || le.Uint32(b[n-4:]) != n {
			t.Fatalf("block of %d bytes says %d at its end", n, le.Uint32(b[n-4:]))
		}
		body := b[8 : n-4]
		switch typ := le.Uint32(b); typ {
		case ngSection:
			if got := options(body[16:])[ngOptApplication]; string(got) != "test 1" {
				t.Errorf("application %q, want the one given", got)
			}
		case ngEnhanced:
			size := (le.Uint32(body[12:]) + 3) &^ 3
			opts, m := options(body[20+size:]), meta[packets]
			var way uint32
			var lost uint64
			if o := opts[ngOptFlags]; o != nil {
				way = le.Uint32(o)
			}
			if o := opts[ngOptDropCount]; o != nil {
				lost = le.Uint64(o)
			}
			if way != uint32(m.Way) || lost != m.Lost {
				t.Errorf("packet %d: way %d, %d lost, want %d and %d", packets, way, lost, m.Way, m.Lost)
			}
			packets++
		case ngStatistics:
			opts := options(body[12:])
			if seen, lost := le.Uint64(opts[ngOptSeen]), le.Uint64(opts[ngOptLost]); seen != 100 || lost != 40 {
				t.Errorf("statistics of %d and %d, want 100 seen and 40 lost", seen, lost)
			}
			statistics++
		case ngInterface:
			if link := le.Uint16(body); link != LinkRaw {
				t.Errorf("link type %d, want raw IP", link)
			}
		default:
			t.Errorf("block of type %d", typ)
		}
		b = b[n:]
	}
	if packets != len(meta) || statistics != 1 {
		t.Errorf("%d packets, %d statistics, want %d and 1", packets, statistics, len(meta))
	}
}

// options takes a list of options apart.
func options(b []byte) map[int][]byte {
	m := map[int][]byte{}
	for len(b) >= 4 {
		code, n := int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
		if code == ngOptEnd {
			break
		}
		m[code] = b[4 : 4+n]
		b = b[4+(n+3)&^3:]
	}
	return m
}

// TestWiresharkReads lets tshark and capinfos be the judges.
func TestWiresharkReads(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("tshark is missing")
		}
		t.Skip("tshark is not installed")
	}
	name := filepath.Join(t.TempDir(), "x.pcapng")
	if err := os.WriteFile(name, encode(t, &raw), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		cmd := exec.Command("tshark", append([]string{"-r", name}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		return strings.TrimSuffix(string(out), "\n")
	}
	if bad := run("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-Y", "_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0"); bad != "" {
		t.Errorf("tshark finds fault with:\n%s", bad)
	}
	_, meta := samples()
	for i, line := range strings.Split(run("-T", "fields", "-e", "frame.packet_flags_direction", "-e", "udp.srcport"), "\n") {
		way, port, _ := strings.Cut(line, "\t")
		want := map[Way]string{WayUnknown: "", Inbound: "0x00000001", Outbound: "0x00000002"}[meta[i].Way]
		if way != want || port == "" {
			t.Errorf("packet %d: tshark says %q, want direction %q", i, line, want)
		}
	}
}

func TestEncoderRefuses(t *testing.T) {
	four, six := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("[fd00::1]:1")
	for _, x := range []struct {
		why string
		d   Datagram
	}{
		{"two families", Datagram{Src: four, Dst: six}},
		{"no source", Datagram{Dst: six}},
		{"longer than IP allows", Datagram{Src: four, Dst: four, Payload: make([]byte, payloadMax+1)}},
	} {
		if b, err := raw.AppendDatagram([]byte("x"), &x.d, &Meta{}); !errors.Is(err, ErrDatagram) || string(b) != "x" {
			t.Errorf("%s: %v and %d bytes, want ErrDatagram and nothing appended", x.why, err, len(b)-1)
		}
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	list, meta := samples()
	b := make([]byte, 0, 1<<20)
	if n := testing.AllocsPerRun(100, func() {
		b = b[:0]
		for i := range list {
			b, _ = raw.AppendDatagram(b, &list[i], &meta[i])
		}
		b = raw.AppendStatistics(b, start, 1, 2)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// BenchmarkEncoder makes records of data packets.
func BenchmarkEncoder(b *testing.B) {
	d := Datagram{Time: start, Src: netip.MustParseAddrPort("10.0.0.1:1044"), Dst: netip.MustParseAddrPort("230.4.4.1:1044"), Payload: make([]byte, 1328)}
	buf := make([]byte, 0, 1<<16)
	b.SetBytes(int64(len(d.Payload)))
	for b.Loop() {
		buf, _ = raw.AppendDatagram(buf[:0], &d, &Meta{Way: Inbound})
	}
}
