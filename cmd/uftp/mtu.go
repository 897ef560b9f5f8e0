package main

import (
	"fmt"
	"net"

	"uftp/engine"
	"uftp/wire"
)

// warnMTU returns a warning if data packets are longer than the MTU of the outgoing interface, ""
// if they are not or the MTU is unknown.
func warnMTU(cfg *engine.SendConfig) string {
	out := cfg.Net.MulticastIf
	if out == nil || cfg.Session.Unicast {
		return "" // the route decides about the interface
	}
	i, err := net.InterfaceByIndex(out.Index)
	if err != nil {
		return ""
	}
	return mtuWarning(i.Name, i.MTU, cfg.Session.BlockSize, cfg.Session.PacketBytes())
}

func mtuWarning(name string, mtu, block, packet int) string {
	if mtu <= 0 || packet <= mtu {
		return ""
	}
	text := fmt.Sprintf("Warning: packets of %d bytes are longer than the MTU of %s, %d: they are fragmented, and lost if one fragment is lost",
		packet, name, mtu)
	if fits := (block - (packet - mtu)) &^ 3; fits >= wire.MinBlockSize {
		text += fmt.Sprintf(" (-b %d fits)", fits)
	}
	return text
}
