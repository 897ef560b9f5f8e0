package pcap

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

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

// readAll returns the frames up to the first error, nil for a clean end.
func readAll(b []byte) (list []Frame, err error) {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	for {
		f, err := r.Next()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		f.Data = bytes.Clone(f.Data)
		list = append(list, f)
	}
}

// TestLinkTypes wants frames of the known types with their type, and others refused.
func TestLinkTypes(t *testing.T) {
	o := binary.LittleEndian
	known := []uint16{LinkNull, LinkEthernet, LinkRawBSD, LinkRawOpen, LinkRaw, LinkLoop, LinkSLL, LinkIPv4, LinkIPv6, LinkSLL2}
	for link := range uint16(300) {
		b := classic(t, layers.LinkTypeEthernet, at0([]byte("x")))
		o.PutUint32(b[20:], uint32(link))
		for form, b := range map[string][]byte{
			"classic": b,
			"pcapng":  append(append(section(o), ngIfaceBlock(o, link, 0)...), enhanced(o, 0, 0, []byte("x"))...),
		} {
			list, err := readAll(b)
			if slices.Contains(known, link) != (err == nil && len(list) == 1 && list[0].Link == link) || err != nil && !errors.Is(err, ErrLinkType) {
				t.Errorf("%s, type %d: %v, %+v", form, link, err, list)
			}
		}
	}
}

func TestEveryFormReadsTheSame(t *testing.T) {
	frames := []stamped{
		{0, []byte("one")},
		{1500 * time.Millisecond, []byte("number two")},
	}
	want, err := readAll(classic(t, layers.LinkTypeEthernet, frames))
	if err != nil || len(want) != 2 || string(want[1].Data) != "number two" || !want[1].Time.Equal(start.Add(frames[1].after)) {
		t.Fatalf("classic: %v, %+v; want both frames", err, want)
	}
	for name, b := range map[string][]byte{
		"pcapng":          ng(t, frames),
		"zipped classic":  zipped(t, classic(t, layers.LinkTypeEthernet, frames)),
		"zipped pcapng":   zipped(t, ng(t, frames)),
		"two ng sections": append(ng(t, frames[:1]), ng(t, frames[1:])...),
	} {
		got, err := readAll(b)
		for i := range got {
			got[i].Offset = want[i%len(want)].Offset // the forms differ there
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, got, want)
		}
	}
}

func TestClassicDetails(t *testing.T) {
	data := []byte("x")
	for _, o := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for magic, want := range map[uint32]time.Time{
			classicMicros: time.Unix(1700000000, 999_000),
			classicNanos:  time.Unix(1700000000, 999),
		} {
			b := o.AppendUint32(nil, magic)
			b = o.AppendUint16(b, 2)
			b = o.AppendUint16(b, 4)
			b = append(b, make([]byte, 12)...) // a snapshot length of 0 does not matter
			b = o.AppendUint32(b, 0xf<<28|1)   // Ethernet, with a checksum behind each frame
			b = o.AppendUint32(b, 1_700_000_000)
			b = o.AppendUint32(b, 999)
			b = o.AppendUint32(b, uint32(len(data)))
			b = o.AppendUint32(b, uint32(len(data)))
			list, err := readAll(append(b, data...))
			if err != nil || len(list) != 1 || !list[0].Time.Equal(want) || string(list[0].Data) != "x" {
				t.Errorf("%v, magic %#x: %v, %+v; want one frame at %v", o, magic, err, list, want)
			}
		}
	}
}

func TestNgDetails(t *testing.T) {
	frame := []byte("x")
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
			list, err := readAll(append(b, x.packet...))
			if err != nil || len(list) != 1 || !list[0].Time.Equal(x.want) || string(list[0].Data) != "x" {
				t.Errorf("%v, %s: %v, %+v; want one frame at %v", o, x.why, err, list, x.want)
			}
		}
	}
}

func TestWhatIsNoCapture(t *testing.T) {
	o := binary.LittleEndian
	head := append(section(o), ngIfaceBlock(o, 1, 0)...)
	frame := make([]byte, 42)
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
		if _, err := readAll(x.b); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", x.why, err, x.want)
		}
	}
	other := append(append(section(o), ngIfaceBlock(o, 105, 0)...), enhanced(o, 0, 0, frame)...)
	if _, err := readAll(other); !errors.Is(err, ErrLinkType) {
		t.Errorf("a pcapng packet of another link type: %v, want %v", err, ErrLinkType)
	}
}

// TestEveryTruncation cuts both formats everywhere: what was whole is still
// there, and a cut within a frame is not taken for an end.
func TestEveryTruncation(t *testing.T) {
	frames := at0([]byte("one"), []byte("two"))
	for name, b := range map[string][]byte{"classic": classic(t, layers.LinkTypeEthernet, frames), "pcapng": ng(t, frames)} {
		ends := 0
		for n := range b {
			list, err := readAll(b[:n])
			if len(list) > 2 || len(list) > 0 && string(list[0].Data) != "one" {
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
