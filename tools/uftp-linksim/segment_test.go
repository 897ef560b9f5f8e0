package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// super is a frame as the kernel makes it for a card that cuts it.
type super struct {
	name    string
	six     bool
	udp     bool
	vlan    bool
	payload int
	size    int
}

// build returns the frame with its header and payload.
func (s super) build(t testing.TB) (frame []byte, v vnet, payload []byte) {
	t.Helper()
	payload = make([]byte, s.payload)
	r := rand.New(rand.NewPCG(1, uint64(s.payload)))
	for i := range payload {
		payload[i] = byte(r.Uint32())
	}
	kind := layers.EthernetTypeIPv4
	if s.six {
		kind = layers.EthernetTypeIPv6
	}
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: kind}
	all := []gopacket.SerializableLayer{eth}
	if s.vlan {
		eth.EthernetType = layers.EthernetTypeDot1Q
		all = append(all, &layers.Dot1Q{VLANIdentifier: 7, Type: kind})
	}
	proto := layers.IPProtocolTCP
	if s.udp {
		proto = layers.IPProtocolUDP
	}
	var ip gopacket.NetworkLayer
	if s.six {
		l := &layers.IPv6{Version: 6, NextHeader: proto, HopLimit: 9, SrcIP: net.ParseIP("fd00::1"), DstIP: net.ParseIP("fd00::2")}
		ip, all = l, append(all, l)
	} else {
		l := &layers.IPv4{Version: 4, TTL: 9, Id: 65530, Protocol: proto, SrcIP: net.IP{10, 0, 0, 1}, DstIP: net.IP{10, 0, 0, 2}}
		ip, all = l, append(all, l)
	}
	if s.udp {
		l := &layers.UDP{SrcPort: 1, DstPort: 2}
		l.SetNetworkLayerForChecksum(ip)
		all = append(all, l)
	} else {
		l := &layers.TCP{SrcPort: 1, DstPort: 2, Seq: 0xfffffff0, Ack: 3, ACK: true, PSH: true, FIN: true, CWR: true, Window: 100,
			Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop}}}
		l.SetNetworkLayerForChecksum(ip)
		all = append(all, l)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append(all, gopacket.Payload(payload))...); err != nil {
		t.Fatal(err)
	}
	v = vnet{flags: vnetNeedsCsum, size: uint16(s.size), csumStart: 34, csumOffset: 16, gso: gsoTCP4}
	if s.six {
		v.csumStart, v.gso = 54, gsoTCP6
	}
	if s.vlan {
		v.csumStart += 4
	}
	if s.udp {
		v.gso, v.csumOffset = gsoUDP, 6
	}
	return buf.Bytes(), v, payload
}

var supers = []super{
	{name: "TCP over IPv4", payload: 10000, size: 1448},
	{name: "TCP over IPv6 in a VLAN", six: true, vlan: true, payload: 60000, size: 8900},
	{name: "UDP over IPv4 in a VLAN", udp: true, vlan: true, payload: 5000, size: 1333},
	{name: "UDP over IPv6", six: true, udp: true, payload: 4000, size: 1000},
	{name: "two bytes more than a segment", udp: true, payload: 1002, size: 1000},
	{name: "less than a segment", payload: 10, size: 1000},
}

func TestCut(t *testing.T) {
	for _, s := range supers {
		frame, v, payload := s.build(t)
		var c cutter
		if err := c.start(frame, v); err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		var got []byte
		for i := 0; c.more(); i++ {
			seg, again := make([]byte, c.length()), make([]byte, c.length())
			w := c.cut(seg)
			if c.cut(again) != w || !bytes.Equal(seg, again) {
				t.Fatalf("%s: segment %d is another one for the second link", s.name, i)
			}
			c.step()
			if done := finish(seg, w); done != (vnet{}) {
				t.Fatalf("%s: %+v is left to do", s.name, done)
			}
			part := s.check(t, i, seg, len(got), !c.more())
			if want := min(s.size, len(payload)-len(got)); len(part) != want {
				t.Fatalf("%s: segment %d has %d bytes, want %d", s.name, i, len(part), want)
			}
			got = append(got, part...)
		}
		if !bytes.Equal(got, payload) {
			t.Errorf("%s: the segments together are not what was cut", s.name)
		}
	}
}

// check decodes a segment strictly and returns its payload.
func (s super) check(t *testing.T, i int, seg []byte, offset int, last bool) []byte {
	t.Helper()
	p := gopacket.NewPacket(seg, layers.LayerTypeEthernet, gopacket.Default)
	if p.ErrorLayer() != nil || p.Metadata().Truncated {
		t.Fatalf("%s: segment %d: %v", s.name, i, p)
	}
	if s.vlan != (p.Layer(layers.LayerTypeDot1Q) != nil) {
		t.Fatalf("%s: segment %d lost its tag", s.name, i)
	}
	l3 := 14
	if s.vlan {
		l3 += 4
	}
	var pseudo uint32
	if ip, ok := p.NetworkLayer().(*layers.IPv4); ok {
		if int(ip.Length) != len(seg)-l3 || ip.Id != uint16(65530+i) || fold(add(0, seg[l3:l3+20])) != 0xffff {
			t.Fatalf("%s: segment %d: %+v, want the right length, ID and checksum", s.name, i, ip)
		}
		pseudo = add(0, seg[l3+12:l3+20])
	} else {
		ip := p.NetworkLayer().(*layers.IPv6)
		if int(ip.Length) != len(seg)-l3-40 {
			t.Fatalf("%s: segment %d: length %d", s.name, i, ip.Length)
		}
		pseudo = add(0, seg[l3+8:l3+40])
	}
	l4 := p.TransportLayer()
	all := append(append([]byte{}, l4.LayerContents()...), l4.LayerPayload()...)
	proto := uint32(protoTCP)
	if s.udp {
		proto = protoUDP
	}
	if sum := fold(add(pseudo+uint32(len(all))+proto, all)); sum != 0xffff {
		t.Fatalf("%s: segment %d: checksum leaves %#x", s.name, i, sum)
	}
	switch l := l4.(type) {
	case *layers.UDP:
		if int(l.Length) != len(all) {
			t.Fatalf("%s: segment %d: UDP length %d, want %d", s.name, i, l.Length, len(all))
		}
	case *layers.TCP:
		seq := uint32(0xfffffff0)
		if l.Seq != seq+uint32(offset) || l.FIN != last || l.PSH != last || l.CWR != (i == 0) || !l.ACK {
			t.Fatalf("%s: segment %d: %+v, want sequence, and FIN and PSH at the end, CWR at the beginning", s.name, i, l)
		}
	}
	return l4.LayerPayload()
}

func TestCutRefuses(t *testing.T) {
	var c cutter
	for _, s := range supers {
		frame, v, _ := s.build(t)
		for n := range min(len(frame), 80) {
			if err := c.start(frame[:n], v); err == nil && n <= c.head {
				t.Fatalf("%s cut off at %d of its headers is taken", s.name, n)
			}
		}
		unknown := v
		unknown.gso = 3
		none := v
		none.size = 0
		for _, bad := range []vnet{unknown, none} {
			if err := c.start(frame, bad); !errors.Is(err, errSegment) {
				t.Errorf("%s with %+v: %v, want errSegment", s.name, bad, err)
			}
		}
	}
}

func TestOrdinaryFrameIsNotCut(t *testing.T) {
	frame, v, _ := supers[2].build(t)
	v.gso, v.size = gsoNone, 0
	var c cutter
	if err := c.start(frame, v); err != nil || !c.more() || c.length() != len(frame) {
		t.Fatalf("%v, %d bytes, want %d", err, c.length(), len(frame))
	}
	dst := make([]byte, len(frame))
	if w := c.cut(dst); w != v || !bytes.Equal(dst, frame) {
		t.Errorf("header %+v, want %+v and the frame as it is", w, v)
	}
	if c.step(); c.more() {
		t.Error("there is more behind it")
	}
}

func TestTagAndVnet(t *testing.T) {
	frame, v, _ := supers[0].build(t)
	buf := append(make([]byte, tagLen), frame...)
	tagged := insertTag(buf, v, 0x8100, 7)
	if tagged.csumStart != v.csumStart+4 || !bytes.Equal(buf[:12], frame[:12]) || !bytes.Equal(buf[12:16], []byte{0x81, 0, 0, 7}) || !bytes.Equal(buf[16:], frame[12:]) {
		t.Errorf("tagged frame starts %x", buf[:20])
	}
	raw := make([]byte, vnetLen)
	raw[0], raw[1] = vnetNeedsCsum, gsoTCP4|gsoECN
	for i, n := range []uint16{66, 1448, 34, 16} {
		binary.NativeEndian.PutUint16(raw[2+2*i:], n)
	}
	if got := getVnet(raw); got != (vnet{flags: 1, gso: gsoTCP4, size: 1448, csumStart: 34, csumOffset: 16}) {
		t.Errorf("header reads %+v", got)
	}
	putVnet(raw, vnet{flags: vnetNeedsCsum, csumStart: 34, csumOffset: 6})
	if got := getVnet(raw); got != (vnet{flags: 1, csumStart: 34, csumOffset: 6}) {
		t.Errorf("header written and read is %+v", got)
	}
	if putVnet(raw, vnet{csumStart: 3}); !bytes.Equal(raw, make([]byte, vnetLen)) {
		t.Errorf("header with nothing to do is %x", raw)
	}
}

// FuzzCut: whatever a frame and its header say, cutting ends and stays in bounds.
func FuzzCut(f *testing.F) {
	for _, s := range supers {
		frame, v, _ := s.build(f)
		f.Add(frame, v.flags, v.gso, v.size, v.csumStart, v.csumOffset)
	}
	dst := make([]byte, 1<<16)
	f.Fuzz(func(t *testing.T, frame []byte, flags, gso uint8, size, at, offset uint16) {
		if len(frame) > 1<<16 {
			return
		}
		v := vnet{flags: flags, gso: gso, size: size, csumStart: at, csumOffset: offset}
		finish(bytes.Clone(frame), v)
		var c cutter
		if c.start(frame, v) != nil {
			return
		}
		total := 0
		for c.more() {
			n := c.length()
			if n > len(dst) {
				return
			}
			c.cut(dst[:n])
			c.step()
			total += n - c.head
		}
		if total != len(frame)-c.head {
			t.Fatalf("%d bytes of payload, want %d", total, len(frame)-c.head)
		}
	})
}
