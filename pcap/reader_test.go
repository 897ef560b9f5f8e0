package pcap

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
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

func ng(t testing.TB, frames []stamped) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		ci := gopacket.CaptureInfo{Timestamp: start.Add(f.after), CaptureLength: len(f.data), Length: len(f.data)}
		if err := w.WritePacket(ci, f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// block builds a pcapng block.
func block(o binary.AppendByteOrder, typ uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	b := o.AppendUint32(nil, typ)
	b = o.AppendUint32(b, uint32(12+len(body)))
	b = append(b, body...)
	return o.AppendUint32(b, uint32(12+len(body)))
}

func section(o binary.AppendByteOrder) []byte {
	b := o.AppendUint32(nil, ngByteOrder)
	b = o.AppendUint16(b, 1)
	b = o.AppendUint16(b, 0)
	return block(o, ngSection, o.AppendUint64(b, 1<<64-1))
}

func ngIfaceBlock(o binary.AppendByteOrder, link uint16, snap uint32, options ...byte) []byte {
	b := o.AppendUint16(nil, link)
	b = o.AppendUint16(b, 0)
	return block(o, ngInterface, append(o.AppendUint32(b, snap), options...))
}

func enhanced(o binary.AppendByteOrder, iface uint32, stamp uint64, data []byte) []byte {
	b := o.AppendUint32(nil, iface)
	b = o.AppendUint32(b, uint32(stamp>>32))
	b = o.AppendUint32(b, uint32(stamp))
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, uint32(len(data)))
	return block(o, ngEnhanced, append(b, data...))
}

func zipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func TestEveryFormReadsTheSame(t *testing.T) {
	frames := []stamped{
		{0, ipv4(1, 0, udp([]byte("one")))},
		{1500 * time.Millisecond, ipv6(protoUDP, udp([]byte("two")))},
	}
	want, _, err := readAll(classic(t, layers.LinkTypeEthernet, frames))
	if err != nil || len(want) != 2 || string(want[1].Payload) != "two" || !want[1].Time.Equal(start.Add(frames[1].after)) {
		t.Fatalf("classic: %v, %+v; want both datagrams", err, want)
	}
	for name, b := range map[string][]byte{
		"pcapng":          ng(t, frames),
		"zipped classic":  zipped(t, classic(t, layers.LinkTypeEthernet, frames)),
		"zipped pcapng":   zipped(t, ng(t, frames)),
		"two ng sections": append(ng(t, frames[:1]), ng(t, frames[1:])...),
	} {
		got, _, err := readAll(b)
		for i := range got {
			got[i].Offset = want[i%len(want)].Offset // the forms differ there
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, got, want)
		}
	}
}

func TestClassicDetails(t *testing.T) {
	data := ipv4(1, 0, udp([]byte("x")))
	for _, o := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for magic, want := range map[uint32]time.Time{
			classicMicros: time.Unix(1700000000, 999_000),
			classicNanos:  time.Unix(1700000000, 999),
		} {
			b := o.AppendUint32(nil, magic)
			b = o.AppendUint16(b, 2)
			b = o.AppendUint16(b, 4)
			b = append(b, make([]byte, 12)...) // a snapshot length of 0 does not matter
			b = o.AppendUint32(b, 0xf<<28|1)   // Ethernet, with check sums told of
			b = o.AppendUint32(b, 1_700_000_000)
			b = o.AppendUint32(b, 999)
			b = o.AppendUint32(b, uint32(len(data)))
			b = o.AppendUint32(b, uint32(len(data)))
			list, _, err := readAll(append(b, data...))
			if err != nil || len(list) != 1 || !list[0].Time.Equal(want) || string(list[0].Payload) != "x" {
				t.Errorf("%v, magic %#x: %v, %+v; want one datagram at %v", o, magic, err, list, want)
			}
		}
	}
}

func TestNgDetails(t *testing.T) {
	frame := ipv4(1, 0, udp([]byte("x")))
	sec := time.Unix(1700000000, 0)
	for _, o := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		option := func(code uint16, value ...byte) []byte {
			b := o.AppendUint16(nil, code)
			b = o.AppendUint16(b, uint16(len(value)))
			b = append(b, value...)
			for len(b)%4 != 0 {
				b = append(b, 0)
			}
			return b
		}
		simple := block(o, ngSimple, append(o.AppendUint32(nil, uint32(len(frame))), frame...))
		for _, x := range []struct {
			why    string
			iface  []byte
			packet []byte
			want   time.Time
		}{
			{"microseconds without an option", ngIfaceBlock(o, 1, 0), enhanced(o, 0, 1700000000_000007, frame), sec.Add(7 * time.Microsecond)},
			{"nanoseconds", ngIfaceBlock(o, 1, 0, option(9, 9)...), enhanced(o, 0, 1700000000_000000007, frame), sec.Add(7)},
			{"tenths of a second behind another option", ngIfaceBlock(o, 1, 0, append(option(2, 'e', '0'), option(9, 1)...)...), enhanced(o, 0, 17000000003, frame), sec.Add(300 * time.Millisecond)},
			{"powers of two", ngIfaceBlock(o, 1, 0, option(9, 0x80|10)...), enhanced(o, 0, 1700000000<<10|512, frame), sec.Add(500 * time.Millisecond)},
			{"an offset in seconds", ngIfaceBlock(o, 1, 0, option(14, o.AppendUint64(nil, 1600000000)...)...), enhanced(o, 0, 100000000_000000, frame), sec},
			{"options behind their end do not count", ngIfaceBlock(o, 1, 0, append(option(0), option(9, 1)...)...), enhanced(o, 0, 1700000000_000000, frame), sec},
			{"a simple packet has no time", ngIfaceBlock(o, 1, 0), simple, time.Time{}},
		} {
			b := append(append(section(o), block(o, 0xbad, []byte("skip me"))...), x.iface...)
			list, _, err := readAll(append(b, x.packet...))
			if err != nil || len(list) != 1 || !list[0].Time.Equal(x.want) || string(list[0].Payload) != "x" {
				t.Errorf("%v, %s: %v, %+v; want one datagram at %v", o, x.why, err, list, x.want)
			}
		}
	}
}

func TestWhatIsNoCapture(t *testing.T) {
	o := binary.LittleEndian
	head := append(section(o), ngIfaceBlock(o, 1, 0)...)
	frame := ipv4(1, 0, udp(nil))
	long := classic(t, layers.LinkTypeEthernet, at0(frame))
	binary.LittleEndian.PutUint32(long[24+8:], 0xf0000000) // negative where an int has 32 bits
	version := classic(t, layers.LinkTypeEthernet, nil)
	version[4] = 3
	tail := enhanced(o, 0, 0, frame)
	tail[len(tail)-4]++
	for _, x := range []struct {
		why  string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrFormat},
		{"text", []byte("this is not a capture at all"), ErrFormat},
		{"gzip of nothing", []byte{0x1f, 0x8b, 0, 0}, ErrFormat},
		{"a classic capture of another link type", classic(t, layers.LinkTypeIEEE802_11, nil), ErrLinkType},
		{"a classic capture of version 3", version, ErrFormat},
		{"a classic frame of 3.75 GiB", long, ErrFormat},
		{"a pcapng packet of another link type", append(append(section(o), ngIfaceBlock(o, 113, 0)...), tail...), ErrFormat},
		{"a pcapng packet before any interface", append(section(o), enhanced(o, 0, 0, frame)...), ErrFormat},
		{"a packet of an unknown interface", append(head[:len(head):len(head)], enhanced(o, 1, 0, frame)...), ErrFormat},
		{"two lengths that differ", append(head[:len(head):len(head)], tail...), ErrFormat},
		{"a block of 1 GiB", append(head[:len(head):len(head)], 6, 0, 0, 0, 0, 0, 0, 64), ErrFormat},
		{"a block shorter than its lengths", append(head[:len(head):len(head)], 6, 0, 0, 0, 8, 0, 0, 0), ErrFormat},
		{"an option longer than its block", append(section(o), ngIfaceBlock(o, 1, 0, 2, 0, 9, 0)...), ErrFormat},
		{"a resolution finer than 64 bits", append(section(o), ngIfaceBlock(o, 1, 0, 9, 0, 1, 0, 20, 0, 0, 0)...), ErrFormat},
		{"no byte order", append([]byte{0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0}, make([]byte, 20)...), ErrFormat},
	} {
		if _, _, err := readAll(x.b); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", x.why, err, x.want)
		}
	}
	other := append(append(section(o), ngIfaceBlock(o, 105, 0)...), enhanced(o, 0, 0, frame)...)
	if _, _, err := readAll(other); !errors.Is(err, ErrLinkType) {
		t.Errorf("a pcapng packet of another link type: %v, want %v", err, ErrLinkType)
	}
}

// TestEveryTruncation cuts both formats everywhere: what was whole is still
// there, and a cut within a frame is told from an end.
func TestEveryTruncation(t *testing.T) {
	frames := at0(ipv4(1, 0, udp([]byte("one"))), ipv4(2, 0, udp([]byte("two"))))
	for name, b := range map[string][]byte{"classic": classic(t, layers.LinkTypeEthernet, frames), "pcapng": ng(t, frames)} {
		ends := 0
		for n := range b {
			list, _, err := readAll(b[:n])
			if len(list) > 2 || len(list) > 0 && string(list[0].Payload) != "one" {
				t.Fatalf("%s cut to %d bytes: %+v", name, n, list)
			}
			switch {
			case err == nil:
				ends++
			case !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrFormat):
				t.Fatalf("%s cut to %d bytes: %v, want %v or %v", name, n, err, io.ErrUnexpectedEOF, ErrFormat)
			}
		}
		// Clean are only the cuts between: after the head and after one frame,
		// for pcapng also between section and interface.
		if want := map[string]int{"classic": 2, "pcapng": 3}[name]; ends != want {
			t.Errorf("%s: %d cuts look like a clean end, want %d", name, ends, want)
		}
	}
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
