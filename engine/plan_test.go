package engine

import (
	"fmt"
	"slices"
	"testing"

	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/seal"
	"uftp/engine/sender"
	"uftp/wire"
)

var fullCaps = netio.Caps{GRO: true, MaxTrainBytes: netio.MaxTrainBytes, MaxSegs: netio.MaxTrainSegs}

// TestTrainBlocks: a train is as long as the kernel takes it, but a few blocks only
// where each costs a signature.
func TestTrainBlocks(t *testing.T) {
	for _, c := range []struct {
		caps   netio.Caps
		stride int
		signed bool
		want   int
		why    string
	}{
		{fullCaps, 1324, false, netio.MaxTrainBytes / 1324, "the bytes that the kernel takes"},
		{fullCaps, 100, false, machine.MaxTrainBlocks, "the segments that the kernel takes"},
		{fullCaps, 1800, true, signedTrain, "a few signatures"},
		{netio.Caps{MaxTrainBytes: 65507, MaxSegs: 1}, 1324, false, 1, "no offload"},
		{netio.Caps{MaxTrainBytes: 8000, MaxSegs: 64}, 8824, true, 1, "never none"},
	} {
		if got := trainBlocks(c.caps, c.stride, c.signed); got != c.want {
			t.Errorf("%s: %d, want %d", c.why, got, c.want)
		}
	}
}

// TestSendPlan: the memory of a sender, and how its slots go round.
func TestSendPlan(t *testing.T) {
	const clear = wire.HeaderLen + wire.FileSegLen
	for _, c := range []struct {
		what        string
		caps        netio.Caps
		block       int
		trainBlocks int // asked for
		workers     int
		wantBlocks  int
		wantBytes   int
	}{
		{"joined sends fill their slots", fullCaps, 1300, 0, 0, netio.MaxTrainBytes / (1300 + clear), 8 << 20},
		{"each datagram by itself needs a slot for a packet", netio.Caps{MaxTrainBytes: 65507, MaxSegs: 1}, 1300, 0, 0, 1, 64*machine.MaxPacket + 4<<20},
		{"short trains as well", fullCaps, 1300, 2, 2, 2, 64*machine.MaxPacket + 4<<20},
		{"long blocks are the most memory", fullCaps, 8800, 0, 1, netio.MaxTrainBytes / (8800 + clear), 8 << 20},
	} {
		cfg := &SendConfig{Workers: c.workers, Session: sender.Config{BlockSize: c.block, TrainBlocks: c.trainBlocks}}
		p := planSend(cfg, c.caps, seal.NewPacker(nil, cfg.Session.BlockSize, false).Stride())
		if p.trainBlocks != c.wantBlocks {
			t.Errorf("%s: trains of %d blocks, want %d", c.what, p.trainBlocks, c.wantBlocks)
		}
		if most := c.wantBytes + machine.MaxPacket; p.bytes() > most || p.bytes() < most*9/10 {
			t.Errorf("%s: %d bytes, want close to %d and no more", c.what, p.bytes(), most)
		}
		if p.out.bytes < p.trainBlocks*p.stride || p.out.bytes < machine.MaxPacket || p.urgent.bytes < machine.MaxPacket {
			t.Errorf("%s: %+v: a slot must hold a train and a packet", c.what, p)
		}
		want := []int{1, 1}
		if c.workers > 0 {
			want = []int{1, c.workers, 1}
		}
		if !slices.Equal(p.stages, want) {
			t.Errorf("%s: stages %v, want %v", c.what, p.stages, want)
		}
	}
}

// TestReceivePlan: the cache is what was asked for, but at least the smallest that works,
// and a slot holds what the kernel joins.
func TestReceivePlan(t *testing.T) {
	plain := netio.Caps{MaxTrainBytes: 65507, MaxSegs: 1}
	const out = replySlots * machine.MaxPacket
	for _, c := range []struct {
		caps      netio.Caps
		cache     int
		workers   int
		wantSlots int
		wantCache int
	}{
		{fullCaps, 0, 0, 256, 16 << 20},
		{fullCaps, 100 << 20, 4, 1600, 100 << 20},
		{fullCaps, 33*netio.SlotBytes - 1, 0, 32, 2 << 20},
		{fullCaps, 33 * netio.SlotBytes, 0, 33, 33 * netio.SlotBytes},
		{fullCaps, 1, 2, 32, 2 << 20},
		{plain, 0, 0, 1024, 16 << 20},
		{plain, 1, 0, 32, 512 << 10},
	} {
		t.Run(fmt.Sprintf("GRO %v, cache %d, %d workers", c.caps.GRO, c.cache, c.workers), func(t *testing.T) {
			p := planReceive(&ReceiveConfig{CacheBytes: c.cache, Workers: c.workers}, c.caps)
			if p.in.n != c.wantSlots || p.in.total() != c.wantCache {
				t.Errorf("%d slots, %d bytes, want %d and %d", p.in.n, p.in.total(), c.wantSlots, c.wantCache)
			}
			if want := c.wantCache + overflowSlots*p.in.bytes + out; p.bytes() != want {
				t.Errorf("%d bytes in all, want %d", p.bytes(), want)
			}
			want := []int{1, 1, 1}
			if c.workers > 0 {
				want = []int{1, c.workers, 1, 1}
			}
			if !slices.Equal(p.stages, want) {
				t.Errorf("stages %v, want %v", p.stages, want)
			}
		})
	}
}
