package netio

import (
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
)

// linksChanged counts the notices that any Watch has received about interfaces. A cached name or
// index may be wrong after each.
var linksChanged atomic.Uint32

// zonesMax bounds the cached zones; a host with more interfaces starts over.
const zonesMax = 256

// zoneNames gives received link-local addresses their zone, the name of the interface with the
// scope id. A lookup asks the kernel and allocates, so the result is kept. It is kept as an
// address, because that keeps netip's interned zone alive and makes WithZone free of allocation.
type zoneNames struct {
	byIndex map[uint32]netip.Addr
	asOf    uint32
}

func (z *zoneNames) with(addr netip.Addr, index uint32) netip.Addr {
	if now := linksChanged.Load(); now != z.asOf {
		z.byIndex, z.asOf = nil, now
	}
	if seen, ok := z.byIndex[index]; ok {
		return addr.WithZone(seen.Zone())
	}
	name := strconv.FormatUint(uint64(index), 10)
	if ifi, err := net.InterfaceByIndex(int(index)); err == nil {
		name = ifi.Name
	}
	if z.byIndex == nil || len(z.byIndex) >= zonesMax {
		z.byIndex = make(map[uint32]netip.Addr)
	}
	addr = addr.WithZone(name)
	z.byIndex[index] = addr
	return addr
}

// zoneIndexes finds the scope id of a zone, given as interface name or number.
type zoneIndexes struct {
	byName map[string]uint32
	asOf   uint32
}

func (z *zoneIndexes) index(zone string) (uint32, error) {
	if now := linksChanged.Load(); now != z.asOf {
		z.byName, z.asOf = nil, now
	}
	if index, ok := z.byName[zone]; ok {
		return index, nil
	}
	var index uint32
	if ifi, err := net.InterfaceByName(zone); err == nil {
		index = uint32(ifi.Index)
	} else if n, nerr := strconv.ParseUint(zone, 10, 32); nerr == nil {
		index = uint32(n)
	} else {
		return 0, err
	}
	if z.byName == nil || len(z.byName) >= zonesMax {
		z.byName = make(map[string]uint32)
	}
	z.byName[zone] = index
	return index, nil
}
