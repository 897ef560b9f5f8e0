package engine

import (
	"time"

	"uftp/crypto/aead"
	"uftp/engine/disk"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/ring"
	"uftp/engine/sender"
	"uftp/engine/store"
)

// A plan says which buffers a run has, and how many goroutines of which stage pass them on.
// It is made before the run starts. After that the data path allocates nothing. Plans count
// buffers; beside each buffer a slot holds some 5 KiB of lists.

// Fixed sizes.
const (
	txSlots  = 64 // trains and control packets planned but not sent
	ctlSlots = 64 // receive buffers of a sender
	rxBatch  = 16 // receive buffers of one system call
	txBatch  = 16 // trains of one system call
	// signedTrain is the most blocks of a train that have a signature each: with a long
	// RSA key on a slow machine a full train takes longer than receivers wait for data.
	signedTrain = 4

	defaultCacheBytes = 16 << 20 // of a receiver, between socket and disk
	minRxSlots        = 32       // of a receiver, however small its cache
	plainSlotBytes    = 16 << 10 // holds a datagram, where the kernel joins none
	overflowSlots     = 16       // of a receiver whose ring is full (disk/backlog.go)
	replySlots        = 256      // control packets of a receiver, planned but not sent
)

// Sizes that depend on each other, in this package and others.
const (
	// If a network path reverses the order of a whole ring and the urgent packet, the window
	// against replays still takes all of them.
	_ = uint(aead.WindowLen - (txSlots*machine.MaxTrainBlocks + 1))
	// A train is what the kernel takes in one send.
	_ = uint(netio.MaxTrainSegs - machine.MaxTrainBlocks)
	// A run of a train is read with one system call.
	_ = uint(store.ReadVecLen - machine.MaxTrainBlocks)
	// A receive buffer holds all that the kernel joins, and every control packet.
	_ = uint(netio.SlotBytes - machine.MaxPacket)
	_ = uint(netio.SlotBytes - netio.MaxTrainBytes)
	_ = uint(plainSlotBytes - machine.MaxPacket)
	// A sender does not give up a receiver that waits for its disk.
	_ = uint64(sender.StallLeast - disk.StallMax - 5*time.Second)
)

// slots is the memory of one ring.
type slots struct {
	n     int
	bytes int // of the buffer of each
}

func (s slots) total() int { return s.n * s.bytes }

// sendPlan is the plan of a sender.
type sendPlan struct {
	fillers     int // goroutines that fill trains; 0: the transmitter does
	stages      []int
	stride      int // bytes that a datagram of data takes in a slot
	trainBlocks int // most blocks of a train

	out    slots // trains and control packets
	urgent slots // control packets that overtake
	in     slots // what receivers say
}

// planSend plans a sender whose datagrams of data take stride bytes.
func planSend(cfg *SendConfig, caps netio.Caps, stride int) sendPlan {
	sc := &cfg.Session
	p := sendPlan{fillers: cfg.Workers, stages: []int{1, 1}, stride: stride, trainBlocks: sc.TrainBlocks}
	if p.fillers > 0 {
		p.stages = []int{1, p.fillers, 1}
	}
	if p.trainBlocks == 0 {
		p.trainBlocks = trainBlocks(caps, p.stride, sc.Dialect.Signed())
	}
	p.out = slots{txSlots, max(p.trainBlocks*p.stride, machine.MaxPacket)}
	p.urgent = slots{1, machine.MaxPacket}
	p.in = slots{ctlSlots, netio.SlotBytes}
	return p
}

// bytes is the memory of all buffers.
func (p *sendPlan) bytes() int {
	return p.out.total() + // 64 · 64 KiB = 4 MiB with trains as long as the kernel takes them
		p.urgent.total() + // 9 KiB
		p.in.total() // 64 · 64 KiB = 4 MiB
}

// trainBlocks is how many blocks a train has at most, when a datagram takes stride
// bytes and, perhaps, is signed.
func trainBlocks(caps netio.Caps, stride int, signed bool) int {
	n := min(caps.MaxSegs, caps.MaxTrainBytes/stride, machine.MaxTrainBlocks)
	if signed {
		n = min(n, signedTrain)
	}
	return max(1, n)
}

// receivePlan is the plan of a receiver.
type receivePlan struct {
	openers int // goroutines that open sealed datagrams; 0: the core does
	stages  []int

	in       slots // what comes, on its way to the disk
	overflow slots // what comes while that is full
	out      slots // control packets
}

func planReceive(cfg *ReceiveConfig, caps netio.Caps) receivePlan {
	p := receivePlan{openers: cfg.Workers, stages: []int{1, 1, 1}, out: slots{replySlots, machine.MaxPacket}}
	if p.openers > 0 {
		p.stages = []int{1, p.openers, 1, 1}
	}
	slot := plainSlotBytes
	if caps.GRO {
		slot = netio.SlotBytes
	}
	cache := cfg.CacheBytes
	if cache == 0 {
		cache = defaultCacheBytes
	}
	p.in = slots{max(minRxSlots, cache/slot), slot}
	p.overflow = slots{overflowSlots, slot}
	return p
}

// bytes is the memory of all buffers.
func (p *receivePlan) bytes() int {
	return p.in.total() + // CacheBytes, but at least 32 · 64 KiB = 2 MiB with joined datagrams
		p.overflow.total() + // 16 · 64 KiB = 1 MiB
		p.out.total() // 256 · 9 KiB = 2.3 MiB
}

// txRing makes a ring of trains and packets.
func txRing(s slots, stages ...int) *ring.Ring[txSlot] {
	return ring.New(s.n, func(_ int, x *txSlot) { x.buf = make([]byte, s.bytes) }, stages...)
}
