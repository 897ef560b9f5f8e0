package frames

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/google/gopacket/layers"

	"uftp/pcap"
	"uftp/wire"
)

func TestLinkTypes(t *testing.T) {
	v4, v6 := ipv4(1, 0, udp([]byte("payload")))[14:], ipv6(protoUDP, udp([]byte("payload")))[14:]
	join := func(head []byte, ip []byte) []byte { return append(bytes.Clone(head), ip...) }
	sll := func(typ uint16) []byte { return binary.BigEndian.AppendUint16(make([]byte, 14), typ) }
	sll2 := func(typ uint16) []byte { return append(binary.BigEndian.AppendUint16(nil, typ), make([]byte, 18)...) }
	for _, x := range []struct {
		why   string
		link  uint16
		frame []byte
		want  Stats
	}{
		{"Linux cooked, IPv4", pcap.LinkSLL, join(sll(etherIPv4), v4), Stats{Datagrams: 1}},
		{"Linux cooked, IPv6", pcap.LinkSLL, join(sll(etherIPv6), v6), Stats{Datagrams: 1}},
		{"Linux cooked with a VLAN tag", pcap.LinkSLL, join(join(sll(etherVLAN), []byte{0, 1, 8, 0}), v4), Stats{Datagrams: 1}},
		{"Linux cooked, something else", pcap.LinkSLL, join(sll(0x0806), v4), Stats{Other: 1}},
		{"Linux cooked, cut", pcap.LinkSLL, sll(etherIPv4)[:15], Stats{Broken: 1}},
		{"Linux cooked 2, IPv4", pcap.LinkSLL2, join(sll2(etherIPv4), v4), Stats{Datagrams: 1}},
		{"Linux cooked 2, IPv6", pcap.LinkSLL2, join(sll2(etherIPv6), v6), Stats{Datagrams: 1}},
		{"Linux cooked 2, cut", pcap.LinkSLL2, sll2(etherIPv4)[:19], Stats{Broken: 1}},
		{"raw IPv4", pcap.LinkRaw, v4, Stats{Datagrams: 1}},
		{"raw IPv6", pcap.LinkRaw, v6, Stats{Datagrams: 1}},
		{"raw IP as BSDs number it", pcap.LinkRawBSD, v4, Stats{Datagrams: 1}},
		{"raw IP as OpenBSD numbers it", pcap.LinkRawOpen, v6, Stats{Datagrams: 1}},
		{"raw, IPv4 only", pcap.LinkIPv4, v4, Stats{Datagrams: 1}},
		{"raw, IPv6 only", pcap.LinkIPv6, v6, Stats{Datagrams: 1}},
		{"raw, neither", pcap.LinkRaw, []byte{0x50}, Stats{Other: 1}},
		{"raw, empty", pcap.LinkRaw, nil, Stats{Broken: 1}},
		{"null of a small machine", pcap.LinkNull, join([]byte{2, 0, 0, 0}, v4), Stats{Datagrams: 1}},
		{"null of a big machine", pcap.LinkNull, join([]byte{0, 0, 0, 2}, v4), Stats{Datagrams: 1}},
		{"null, IPv6 of macOS", pcap.LinkNull, join([]byte{30, 0, 0, 0}, v6), Stats{Datagrams: 1}},
		{"loopback of OpenBSD", pcap.LinkLoop, join([]byte{0, 0, 0, 24}, v6), Stats{Datagrams: 1}},
		{"null, another family", pcap.LinkNull, join([]byte{7, 0, 0, 0}, v4), Stats{Other: 1}},
		{"null, cut", pcap.LinkNull, []byte{2, 0, 0}, Stats{Broken: 1}},
	} {
		b := classic(t, layers.LinkTypeEthernet, at0(x.frame))
		binary.LittleEndian.PutUint32(b[20:], uint32(x.link))
		list, got, err := readAll(b)
		x.want.Frames = 1
		if err != nil || got != x.want || len(list) == 1 && string(list[0].Payload) != "payload" {
			t.Errorf("%s: %v, %+v, %d datagrams, want %+v", x.why, err, got, len(list), x.want)
		}
	}
}

// Package wire cannot be imported by super: its tests import this package.
const (
	_ = uint(uftpHead - wire.HeaderLen)
	_ = uint(wire.HeaderLen - uftpHead)
	_ = uint(uftpFileSeg - wire.FuncFileSeg)
	_ = uint(wire.FuncFileSeg - uftpFileSeg)
	_ = uint(uftpEncrypted - wire.FuncEncrypted)
	_ = uint(wire.FuncEncrypted - uftpEncrypted)
)

// train makes the payload of a super-packet: n datagrams of size bytes from
// sequence number seq on, the last one of last bytes.
func train(fn byte, seq uint16, n, size, last int) (b []byte) {
	for i := range n {
		d := make([]byte, size)
		for k := range d {
			d[k] = byte(k)
		}
		copy(d, []byte{uftpVersion, fn, 0, 0, 10, 0, 0, 1, 1, 2, 3, 4, 0, 157, 50, 0})
		binary.BigEndian.PutUint16(d[2:], seq+uint16(i))
		if i == n-1 {
			d = d[:last]
		}
		b = append(b, d...)
	}
	return b
}

func TestSuperPackets(t *testing.T) {
	mixed := train(uftpFileSeg, 1, 3, 1324, 1324)
	mixed[1324*2+3]++ // the third is not the third
	within := train(uftpFileSeg, 1, 1, 1324, 1324)
	copy(within[500:], train(uftpFileSeg, 2, 1, 16, 16)) // a header in the data of a single one
	for _, x := range []struct {
		why    string
		pkt    []byte
		lens   []int // of the datagrams
		refuse bool
	}{
		{"a train of clear blocks", train(uftpFileSeg, 9, 40, 1324, 1324), slicesOf(1324, 40), false},
		{"a train with a short last block", train(uftpFileSeg, 9, 3, 1324, 30), []int{1324, 1324, 30}, false},
		{"a train over the end of the numbers", train(uftpFileSeg, 65534, 4, 824, 824), slicesOf(824, 4), false},
		{"two datagrams that one could be", train(uftpEncrypted, 9, 2, 1400, 1400), []int{1400, 1400}, false},
		{"one datagram", train(uftpFileSeg, 9, 1, 8824, 8824), []int{8824}, false},
		{"numbers that do not follow", mixed, []int{len(mixed)}, false},
		{"one block of a capture with the next header in it", within, []int{1324}, false},
		{"more than a datagram holds, and no train", train(uftpFileSeg, 9, 1, 9001, 9001), nil, true},
		{"a long message of another kind", train(1, 9, 8, 1324, 1324), nil, true},
		{"no UFTP", make([]byte, 20000), []int{20000}, false},
	} {
		after := ipv4(1, 0, udp([]byte("after")))
		r, err := NewReader(bytes.NewReader(classic(t, layers.LinkTypeEthernet, at0(ipv4(1, 0, udp(x.pkt)), after))))
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for _, n := range x.lens {
			d, err := r.Next()
			if err != nil || len(d.Payload) != n || d.Frame != 1 || d.Offset != 24 {
				t.Errorf("%s: %v, %d bytes of frame %d, want %d bytes", x.why, err, len(d.Payload), d.Frame, n)
			}
			got = append(got, d.Payload...)
		}
		if x.refuse {
			_, err := r.Next()
			if !errors.Is(err, ErrSuper) {
				t.Errorf("%s: %v, want it refused", x.why, err)
			}
		} else if !bytes.Equal(got, x.pkt) {
			t.Errorf("%s: the parts are not the whole", x.why)
		}
		if d, err := r.Next(); err != nil || string(d.Payload) != "after" || d.Frame != 2 {
			t.Errorf("%s: %v, %q of frame %d, want reading to go on", x.why, err, d.Payload, d.Frame)
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("%s: %v, want the end", x.why, err)
		}
	}
}

func slicesOf(size, n int) (list []int) {
	for range n {
		list = append(list, size)
	}
	return list
}

// TestLayersNotUsed wants the defects of gopacket for which doc.go gives as the reason that
// these headers are decoded here.
func TestLayersNotUsed(t *testing.T) {
	func() {
		defer func() {
			if recover() == nil {
				t.Error("layers.LinuxSLL does not panic at a wrong length of the address")
			}
		}()
		cooked := make([]byte, 60)
		cooked[4] = 0xff // of the address
		_ = new(layers.LinuxSLL).DecodeFromBytes(cooked, silent)
	}()
	options := []byte{protoUDP, 0, 1, 4, 0, 0, 0, 0}
	padded := append(ipv6(protoHopByHop, append(options, udp([]byte("payload"))...))[14:], 9, 9, 9)
	var ip layers.IPv6
	if err := ip.DecodeFromBytes(padded, silent); err != nil || bytes.Equal(ip.Payload, udp([]byte("payload"))) {
		t.Errorf("%v, layers.IPv6 finds the payload behind a hop-by-hop header", err)
	}
}
