package frames

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"uftp/pcap"
)

// Why a frame yields nothing.
var (
	errOther  = errors.New("frames: not UDP over IP")
	errBroken = errors.New("frames: frame is cut or contradicts itself")
)

// packet is a UDP datagram, or a fragment of one, with the fields of its IP header.
type packet struct {
	src, dst netip.Addr
	payload  []byte // from the UDP header on, or the part from offset on

	fragment bool
	id       uint32
	offset   int  // bytes
	more     bool // not the last part
}

// decoder decodes frames. Its layers are reused for every frame and point into it.
type decoder struct {
	eth  layers.Ethernet
	vlan layers.Dot1Q
	loop layers.Loopback
	ip4  layers.IPv4
	ip6  layers.IPv6
	ext  layers.IPv6ExtensionSkipper
	udp  layers.UDP
}

// ip6Len is the length of the fixed header, bytes.
const ip6Len = 40

// silent drops the layers' reports that a frame is truncated: we compare lengths ourselves.
var silent = gopacket.NilDecodeFeedback

// frame decodes a frame of a known link type down to UDP. It cuts off padding behind the IP
// packet.
func (d *decoder) frame(link uint16, b []byte) (packet, error) {
	switch link {
	case pcap.LinkEthernet:
		if d.eth.DecodeFromBytes(b, silent) != nil {
			return packet{}, errBroken
		}
		return d.behind(d.eth.EthernetType, d.eth.Payload)
	case pcap.LinkSLL:
		if len(b) < 16 {
			return packet{}, errBroken
		}
		return d.behind(layers.EthernetType(binary.BigEndian.Uint16(b[14:])), b[16:])
	case pcap.LinkSLL2:
		if len(b) < 20 {
			return packet{}, errBroken
		}
		return d.behind(layers.EthernetType(binary.BigEndian.Uint16(b)), b[20:])
	case pcap.LinkNull, pcap.LinkLoop:
		return d.family(b)
	}
	if len(b) == 0 {
		return packet{}, errBroken
	}
	switch b[0] >> 4 {
	case 4:
		return d.ipv4(b)
	case 6:
		return d.ipv6(b)
	}
	return packet{}, errOther
}

// behind decodes what follows an Ethernet type: VLAN tags, then IP.
func (d *decoder) behind(typ layers.EthernetType, b []byte) (packet, error) {
	for typ == layers.EthernetTypeDot1Q || typ == layers.EthernetTypeQinQ {
		if d.vlan.DecodeFromBytes(b, silent) != nil {
			return packet{}, errBroken
		}
		typ, b = d.vlan.Type, d.vlan.Payload
	}
	switch typ {
	case layers.EthernetTypeIPv4:
		return d.ipv4(b)
	case layers.EthernetTypeIPv6:
		return d.ipv6(b)
	}
	return packet{}, errOther
}

// family reads a loopback frame: an address family, then IP. IPv6 has another number on
// every system.
func (d *decoder) family(b []byte) (packet, error) {
	if len(b) < 4 {
		return packet{}, errBroken
	}
	if d.loop.DecodeFromBytes(b, silent) != nil {
		return packet{}, errOther // no family has such a number
	}
	switch d.loop.Family {
	case layers.ProtocolFamilyIPv4:
		return d.ipv4(d.loop.Payload)
	case layers.ProtocolFamilyIPv6BSD, layers.ProtocolFamilyIPv6FreeBSD, layers.ProtocolFamilyIPv6Darwin, layers.ProtocolFamilyIPv6Linux:
		return d.ipv6(d.loop.Payload)
	}
	return packet{}, errOther
}

func (d *decoder) ipv4(b []byte) (p packet, err error) {
	ip := &d.ip4
	// The layer accepts a length of 0, and a length beyond the end of the frame.
	if ip.DecodeFromBytes(b, silent) != nil || ip.Version != 4 || binary.BigEndian.Uint16(b[2:]) == 0 || int(ip.Length) > len(b) {
		return p, errBroken
	}
	if ip.Protocol != layers.IPProtocolUDP {
		return p, errOther
	}
	p.src, p.dst = netip.AddrFrom4([4]byte(ip.SrcIP)), netip.AddrFrom4([4]byte(ip.DstIP))
	p.payload = ip.Payload
	p.id = uint32(ip.Id)
	p.more = ip.Flags&layers.IPv4MoreFragments != 0
	p.offset = int(ip.FragOffset) * 8
	p.fragment = p.more || p.offset != 0
	return p, nil
}

func (d *decoder) ipv6(b []byte) (p packet, err error) {
	ip := &d.ip6
	if ip.DecodeFromBytes(b, silent) != nil || ip.Version != 6 || int(ip.Length) > len(b)-ip6Len {
		return p, errBroken
	}
	p.src, p.dst = netip.AddrFrom16([16]byte(ip.SrcIP)), netip.AddrFrom16([16]byte(ip.DstIP))
	// The layer counts the bytes of a hop-by-hop header twice, so its payload may be wrong.
	next, b := ip.NextHeader, b[ip6Len:ip6Len+int(ip.Length)]
	for {
		switch next {
		case layers.IPProtocolUDP:
			p.payload = b
			return p, nil
		case layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Routing, layers.IPProtocolIPv6Destination:
			if d.ext.DecodeFromBytes(b, silent) != nil {
				return p, errBroken
			}
			next, b = d.ext.NextHeader, d.ext.Payload
		case layers.IPProtocolIPv6Fragment:
			if len(b) < 8 || p.fragment {
				return p, errBroken
			}
			frag := binary.BigEndian.Uint16(b[2:])
			p.id = binary.BigEndian.Uint32(b[4:])
			p.more = frag&1 != 0
			p.offset = int(frag &^ 7)
			p.fragment = p.more || p.offset != 0 // else a lone part that is the whole
			next, b = layers.IPProtocol(b[0]), b[8:]
			if p.fragment {
				// Further headers would stand in the first part only, and senders of
				// UDP put none there.
				if next != layers.IPProtocolUDP {
					return p, errOther
				}
				p.payload = b
				return p, nil
			}
		default:
			return p, errOther
		}
	}
}

// ports decodes the UDP header of a whole datagram.
func (d *decoder) ports(b []byte) (src, dst uint16, payload []byte, ok bool) {
	u := &d.udp
	// The layer accepts a length of 0, and a length beyond the end of the packet.
	if u.DecodeFromBytes(b, silent) != nil || u.Length == 0 || int(u.Length) > len(b) {
		return 0, 0, nil, false
	}
	return uint16(u.SrcPort), uint16(u.DstPort), u.Payload, true
}
