package main

import "testing"

func TestMTUWarning(t *testing.T) {
	for _, tt := range []struct {
		mtu, block, packet int
		want               string
	}{
		{1500, 1300, 1352, ""}, {1500, 1448, 1500, ""}, {0, 8800, 8852, ""}, {65536, 8800, 8852, ""},
		{1500, 1449, 1501, "Warning: packets of 1501 bytes are longer than the MTU of e0, 1500: they are fragmented, and lost if one fragment is lost (-b 1448 fits)"},
		{1500, 8800, 8900, "Warning: packets of 8900 bytes are longer than the MTU of e0, 1500: they are fragmented, and lost if one fragment is lost (-b 1400 fits)"},
		{560, 1300, 1352, "Warning: packets of 1352 bytes are longer than the MTU of e0, 560: they are fragmented, and lost if one fragment is lost"},
	} {
		if got := mtuWarning("e0", tt.mtu, tt.block, tt.packet); got != tt.want {
			t.Errorf("MTU %d, packets of %d: %q, want %q", tt.mtu, tt.packet, got, tt.want)
		}
	}
}
