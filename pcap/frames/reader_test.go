package frames

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"uftp/pcap"
)

// Numbers in frames.
const (
	etherIPv4     = 0x0800
	etherIPv6     = 0x86dd
	etherVLAN     = 0x8100
	protoHopByHop = 0
	protoUDP      = 17
	protoFragment = 44
	protoDestOpts = 60
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// udp builds a UDP datagram with its header.
func udp(payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, 40000)
	b = binary.BigEndian.AppendUint16(b, 1044)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// ipv4 builds an Ethernet frame with an IPv4 packet of protocol UDP.
func ipv4(id, fragment uint16, payload []byte) []byte {
	b := append(make([]byte, 12), 8, 0, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(20+len(payload)))
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, fragment)
	b = append(b, 64, protoUDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2)
	return append(b, payload...)
}

// ipv6 builds an Ethernet frame with an IPv6 packet that starts with header next.
func ipv6(next byte, payload []byte) []byte {
	b := append(make([]byte, 12), 0x86, 0xdd, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	b = append(b, next, 64)
	b = append(b, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
	b = append(b, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2)
	return append(b, payload...)
}

// fragment6 builds a part of an IPv6 packet.
func fragment6(id uint32, offset int, more bool, part []byte) []byte {
	frag := uint16(offset)
	if more {
		frag |= 1
	}
	b := binary.BigEndian.AppendUint16([]byte{protoUDP, 0}, frag)
	b = binary.BigEndian.AppendUint32(b, id)
	return ipv6(protoFragment, append(b, part...))
}

func fragment4(id uint16, offset int, more bool, part []byte) []byte {
	frag := uint16(offset / 8)
	if more {
		frag |= 0x2000
	}
	return ipv4(id, frag, part)
}

// stamped is a frame and when it was captured, after start.
type stamped struct {
	after time.Duration
	data  []byte
}

func at0(frames ...[]byte) (list []stamped) {
	for _, f := range frames {
		list = append(list, stamped{0, f})
	}
	return list
}

func classic(t testing.TB, link layers.LinkType, frames []stamped) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(65535, link); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		ci := gopacket.CaptureInfo{Timestamp: start.Add(f.after), CaptureLength: len(f.data), Length: len(f.data)}
		if err := w.WritePacket(ci, f.data); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestFrames(t *testing.T) {
	whole := udp([]byte("payload"))
	v4 := ipv4(1, 0, whole)
	edit := func(b []byte, i int, v byte) []byte {
		b = bytes.Clone(b)
		b[i] = v
		return b
	}
	vlan := append(append(bytes.Clone(v4[:12]), 0x88, 0xa8, 0, 1, 0x81, 0, 0, 2), v4[12:]...)
	options := append([]byte{protoDestOpts, 0, 0, 0, 0, 0, 0, 0, protoUDP, 1}, make([]byte, 14)...)
	for _, x := range []struct {
		why   string
		frame []byte
		want  Stats
	}{
		{"IPv4", v4, Stats{Datagrams: 1}},
		{"padding behind the packet", append(bytes.Clone(v4), 0, 0, 0, 0), Stats{Datagrams: 1}},
		{"two VLAN tags", vlan, Stats{Datagrams: 1}},
		{"IPv6", ipv6(protoUDP, whole), Stats{Datagrams: 1}},
		{"IPv6 with two option headers", ipv6(protoHopByHop, append(options, whole...)), Stats{Datagrams: 1}},
		{"IPv6 with a fragment header for the whole", fragment6(1, 0, false, whole), Stats{Datagrams: 1}},
		{"ARP", edit(v4, 13, 6), Stats{Other: 1}},
		{"TCP", edit(v4, 23, 6), Stats{Other: 1}},
		{"TCP over IPv6", ipv6(6, whole), Stats{Other: 1}},
		{"no Ethernet header", v4[:13], Stats{Broken: 1}},
		{"a VLAN tag cut off", vlan[:16], Stats{Broken: 1}},
		{"cut by the capture", v4[:len(v4)-1], Stats{Broken: 1}},
		{"an IP header of 16 bytes", edit(v4, 14, 0x44), Stats{Broken: 1}},
		{"an IP header longer than the packet", edit(v4, 14, 0x4f), Stats{Broken: 1}},
		{"version 6 in a packet of version 4", edit(v4, 14, 0x65), Stats{Broken: 1}},
		{"IPv6 cut by the capture", ipv6(protoUDP, whole)[:60], Stats{Broken: 1}},
		{"an option header longer than the packet", ipv6(protoHopByHop, []byte{protoUDP, 9, 0, 0, 0, 0, 0, 0}), Stats{Broken: 1}},
		{"a cut option header", ipv6(protoHopByHop, []byte{protoUDP, 0}), Stats{Broken: 1}},
		{"a cut fragment header", ipv6(protoFragment, []byte{protoUDP, 0}), Stats{Broken: 1}},
		{"UDP longer than IP", edit(v4, 39, 99), Stats{Broken: 1}},
		{"UDP shorter than its header", edit(v4, 39, 7), Stats{Broken: 1}},
		{"no room for UDP", ipv4(1, 0, whole[:7]), Stats{Broken: 1}},
	} {
		list, got, err := readAll(classic(t, layers.LinkTypeEthernet, at0(x.frame)))
		x.want.Frames = 1
		if err != nil || got != x.want {
			t.Errorf("%s: %v, %+v, want %+v", x.why, err, got, x.want)
		}
		for _, d := range list {
			if string(d.Payload) != "payload" || d.Src.Port() != 40000 || d.Dst.Port() != 1044 {
				t.Errorf("%s: %+v, want its payload and ports", x.why, d)
			}
		}
	}
}

func TestFragments(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789abcdef"), 20)
	whole := udp(payload) // 328 bytes
	type cutter func(from, to int) []byte
	cut4 := func(from, to int) []byte { return fragment4(7, from, to < len(whole), whole[from:to]) }
	cut6 := func(from, to int) []byte { return fragment6(7, from, to < len(whole), whole[from:to]) }
	later := func(after time.Duration, f []byte) stamped { return stamped{after, f} }

	for _, x := range []struct {
		why            string
		frames         func(cut cutter) []stamped
		whole, givenUp int
	}{
		{"in order", func(cut cutter) []stamped { return at0(cut(0, 80), cut(80, 160), cut(160, 328)) }, 1, 0},
		{"backwards", func(cut cutter) []stamped { return at0(cut(160, 328), cut(80, 160), cut(0, 80)) }, 1, 0},
		{"a part twice", func(cut cutter) []stamped { return at0(cut(0, 80), cut(0, 80), cut(80, 328)) }, 1, 0},
		{"29 s apart", func(cut cutter) []stamped {
			return []stamped{later(0, cut(0, 80)), later(29*time.Second, cut(80, 328))}
		}, 1, 0},
		{"31 s apart are two beginnings", func(cut cutter) []stamped {
			return []stamped{later(0, cut(0, 80)), later(31*time.Second, cut(80, 328))}
		}, 0, 2},
		{"one missing", func(cut cutter) []stamped { return at0(cut(0, 80), cut(160, 328)) }, 0, 1},
		{"the last missing", func(cut cutter) []stamped { return at0(cut(0, 80), cut(80, 160)) }, 0, 1},
		{"a part that overlaps the one before", func(cut cutter) []stamped { return at0(cut(0, 80), cut(72, 160)) }, 0, 1},
		{"a part that overlaps the one behind", func(cut cutter) []stamped { return at0(cut(80, 160), cut(0, 88)) }, 0, 1},
		{"a part longer than its first copy", func(cut cutter) []stamped { return at0(cut(0, 80), cut(0, 88)) }, 0, 1},
		{"an odd length before the end", func(cut cutter) []stamped { return at0(cut(0, 81)) }, 0, 1},
		{"an empty part", func(cut cutter) []stamped { return at0(cut(8, 8)) }, 0, 1},
		{"the same number again, later", func(cut cutter) []stamped {
			return at0(cut(0, 80), cut(80, 328), cut(80, 328), cut(0, 80))
		}, 2, 0},
	} {
		for version, cut := range map[int]cutter{4: cut4, 6: cut6} {
			list, stats, err := readAll(classic(t, layers.LinkTypeEthernet, x.frames(cut)))
			if err != nil || len(list) != x.whole || stats.Unmade != x.givenUp {
				t.Errorf("IPv%d, %s: %v, %d datagrams, %+v; want %d and %d given up", version, x.why, err, len(list), stats, x.whole, x.givenUp)
			}
			for _, d := range list {
				if !bytes.Equal(d.Payload, payload) {
					t.Errorf("IPv%d, %s: payload %q", version, x.why, d.Payload)
				}
			}
		}
	}

	for _, x := range []struct {
		why    string
		frames []stamped
	}{
		{"two ends that differ", at0(cut4(80, 328), fragment4(7, 320, false, whole[:80]))},
		{"a part behind the end", at0(fragment4(7, 80, false, whole[:80]), fragment4(7, 160, true, whole[:80]))},
		{"an end before a part", at0(fragment4(7, 160, true, whole[:80]), fragment4(7, 80, false, whole[:8]))},
		{"more than 65535 bytes", at0(fragment4(7, 65528, false, whole[:80]))},
	} {
		list, stats, err := readAll(classic(t, layers.LinkTypeEthernet, x.frames))
		if err != nil || len(list) != 0 || stats.Unmade != 1 {
			t.Errorf("%s: %v, %d datagrams, %+v; want it given up", x.why, err, len(list), stats)
		}
	}
}

func TestUnfinishedDatagramsAreBounded(t *testing.T) {
	const flood = 3 * fragmentsMax
	var frames []stamped
	for id := range flood {
		frames = append(frames, stamped{0, fragment4(uint16(id), 0, true, make([]byte, 800))})
	}
	r, err := NewReader(bytes.NewReader(classic(t, layers.LinkTypeEthernet, frames)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Fatalf("%v, want the end", err)
	}
	if cap(r.parts.open) > 2*fragmentsMax || r.Stats().Unmade != flood {
		t.Errorf("%+v, room for %d; want all %d given up and at most %d kept at once", r.Stats(), cap(r.parts.open), flood, fragmentsMax)
	}
}

func TestAll(t *testing.T) {
	b := classic(t, layers.LinkTypeEthernet, at0(ipv4(1, 0, udp([]byte("a"))), ipv4(1, 0, udp([]byte("b"))), ipv4(1, 0, udp([]byte("c")))))
	read := func(b []byte, limit int) (got string) {
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		for d, err := range r.All() {
			if err != nil {
				got += fmt.Sprint(" ", err)
				continue
			}
			got += string(d.Payload)
			if len(got) == limit {
				break
			}
		}
		return got
	}
	if got := read(b, 9); got != "abc" {
		t.Errorf("All gave %q, want all three", got)
	}
	if got := read(b, 2); got != "ab" {
		t.Errorf("All gave %q after a break, want it to stop", got)
	}
	if got := read(b[:len(b)-1], 9); got != "ab packet 3 at offset 142: unexpected EOF" {
		t.Errorf("All gave %q of a cut capture, want the error last", got)
	}
}

func FuzzReader(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		list, stats, _ := readAll(b)
		if len(list) != stats.Datagrams || stats.Super == 0 && stats.Datagrams+stats.Other+stats.Broken > stats.Frames {
			t.Errorf("%d datagrams, %+v", len(list), stats)
		}
		total := 0
		for _, d := range list {
			total += len(d.Payload)
		}
		// Compressed input may grow, as gzip does.
		if total > len(b) && !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
			t.Errorf("%d bytes of payload out of a capture of %d", total, len(b))
		}
	})
}

// FuzzDecoder decodes frames of every link type: parts must lie within the frame, in
// order, and a datagram within its part.
func FuzzDecoder(f *testing.F) {
	links := []uint16{
		pcap.LinkNull, pcap.LinkEthernet, pcap.LinkRawBSD, pcap.LinkRawOpen, pcap.LinkRaw,
		pcap.LinkLoop, pcap.LinkSLL, pcap.LinkIPv4, pcap.LinkIPv6, pcap.LinkSLL2,
	}
	v4, v6 := ipv4(1, 0, udp([]byte("payload"))), ipv6(protoUDP, udp([]byte("payload")))
	options := append([]byte{protoDestOpts, 0, 5, 2, 0, 0, 1, 0, protoUDP, 1}, make([]byte, 14)...)
	routerAlert := append(append(bytes.Clone(v4[:34]), 148, 4, 0, 0), v4[34:]...)
	routerAlert[14], routerAlert[17] = 0x46, routerAlert[17]+4
	for _, x := range []struct {
		link  uint8
		head  []byte
		frame []byte
	}{
		{0, []byte{2, 0, 0, 0}, v4[14:]}, {0, []byte{30, 0, 0, 0}, v6[14:]}, {1, nil, v4}, {1, nil, v6}, {2, nil, v4[14:]}, {4, nil, v6[14:]},
		{5, []byte{0, 0, 0, 24}, v6[14:]}, {6, append(make([]byte, 14), 8, 0), v4[14:]}, {9, append([]byte{8, 0}, make([]byte, 18)...), v4[14:]},
		{1, append(bytes.Clone(v4[:12]), 0x88, 0xa8, 0, 1, 0x81, 0, 0, 2), v4[12:]}, {1, nil, routerAlert},
		{1, nil, ipv6(protoHopByHop, append(options, udp([]byte("payload"))...))},
		{1, nil, fragment6(1, 0, false, udp([]byte("payload")))}, {1, nil, fragment6(1, 8, true, make([]byte, 16))}, {1, nil, fragment4(1, 8, true, make([]byte, 16))},
	} {
		f.Add(x.link, append(x.head, x.frame...))
	}
	var d decoder
	f.Fuzz(func(t *testing.T, link uint8, b []byte) {
		b = b[:len(b):len(b)]
		p, err := d.frame(links[int(link)%len(links)], b)
		if err != nil {
			return
		}
		if !p.src.IsValid() || p.src.BitLen() != p.dst.BitLen() {
			t.Errorf("from %v to %v", p.src, p.dst)
		}
		at := len(b) - cap(p.payload)
		if at < 20 || len(p.payload) > 0 && &p.payload[0] != &b[at] {
			t.Errorf("%d bytes at %d of %d", len(p.payload), at, len(b))
		}
		if _, _, payload, ok := d.ports(p.payload); ok && len(payload) > len(p.payload)-8 {
			t.Errorf("%d bytes in a datagram of %d", len(payload), len(p.payload))
		}
	})
}

// TestDecoderAllocatesNothing decodes frames of each family, tagged and plain.
func TestDecoderAllocatesNothing(t *testing.T) {
	var d decoder
	v4, v6 := ipv4(1, 0, udp(make([]byte, 1316))), ipv6(protoUDP, udp(make([]byte, 1316)))
	for why, frame := range map[string][]byte{
		"IPv4": v4, "IPv6": v6, "VLAN": append(append(bytes.Clone(v4[:12]), 0x81, 0, 0, 2), v4[12:]...),
	} {
		if n := testing.AllocsPerRun(100, func() {
			p, err := d.frame(pcap.LinkEthernet, frame)
			_, _, _, ok := d.ports(p.payload)
			if err != nil || !ok {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want none", why, n)
		}
	}
}

// BenchmarkReader reads blocks of clear sessions.
func BenchmarkReader(b *testing.B) {
	list := make([]stamped, 1000)
	for i := range list {
		list[i].data = ipv4(uint16(i), 0, udp(train(uftpFileSeg, uint16(i), 1, 1316, 1316)))
	}
	capture := classic(b, layers.LinkTypeEthernet, list)
	b.SetBytes(int64(len(capture)))
	b.ReportAllocs()
	for b.Loop() {
		if got, _, err := readAll(capture); err != nil || len(got) != len(list) {
			b.Fatal(err)
		}
	}
}
