package engine

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"

	"uftp/engine/clock"
	"uftp/engine/netio"
	"uftp/engine/ring"
	"uftp/pcap"
)

// A capture of our own packets, from socket to file:
//
//  1. the transmitter copies what has left into its lane, the rx stage what has
//     arrived into another, before anybody opens it in place: whole trains, with
//     one time for a batch. A lane that is full takes nothing and counts that;
//  2. one goroutine (capture.go) merges the lanes by time, cuts trains into
//     datagrams, makes headers around them and writes to a ring of files.
//
// The data path waits for nothing here: a copy, two atomics, and a token into a
// channel when the goroutine sleeps. Whatever goes wrong behind the lanes costs
// packets of the capture only; they are counted in the file and told.

// Head of a record in a lane: length of the record (a multiple of 8) and of the
// payload, time, datagrams lost before it, size of a datagram, port of the peer,
// traffic class, the addresses of the peer and of ourselves in their IPv6 forms, and
// the zone of the peer's.
const (
	recTotal  = 0
	recLen    = 4
	recAt     = 8
	recMissed = 16
	recSeg    = 24
	recPort   = 28
	recTOS    = 30
	recPeer   = 32
	recOwn    = 48
	recZone   = 64
	recHead   = 80

	recFiller = 1<<32 - 1 // as payload length: skip to the start of the buffer
)

// tapLane carries copies from one goroutine of the data path to the tap. A nil lane
// takes nothing and costs nothing.
type tapLane struct {
	tap *tap
	way pcap.Way
	tos uint8 // of what is sent
	buf []byte

	// Positions count bytes and never wrap. The data path writes what comes first,
	// the tap tail, which is kept away from it: no cache line has two writers.
	head   atomic.Uint64
	lost   atomic.Uint64 // datagrams that did not fit
	missed uint64        // of these, since the last record
	room   uint64        // tail, as far as it has been looked at
	begun  atomic.Int64  // time of what is being put in, clock.Never if nothing is
	_      [120]byte
	tail   atomic.Uint64
}

// begin takes the time of what is sent next. Until sent is called, which may be long
// when the socket is full, the tap keeps back what is younger: no answer stands in a
// capture before what it answers.
func (l *tapLane) begin() {
	if l != nil {
		l.begun.Store(0) // in the time between asking the clock and telling
		l.begun.Store(int64(l.tap.wall.now()))
	}
}

// end lets the tap take what is younger.
func (l *tapLane) end() { l.begun.Store(int64(clock.Never)) }

// sent copies what has left since begin.
func (l *tapLane) sent(trains []netio.TxTrain) {
	if l == nil {
		return
	}
	at := clock.Time(l.begun.Load())
	for i := range trains {
		l.put(at, trains[i].To, netip.Addr{}, l.tos, trains[i].Seg, trains[i].Buf)
	}
	l.end()
}

// received copies what has arrived just now.
func (l *tapLane) received(slots []netio.RxSlot) {
	if l == nil {
		return
	}
	l.begin()
	at := clock.Time(l.begun.Load())
	for i := range slots {
		s := &slots[i]
		if s.Truncated {
			l.miss(1)
			continue
		}
		l.put(at, s.From, s.To, s.TOS, s.Seg, s.Buf[:s.N])
	}
	l.end()
}

// miss counts datagrams that the capture does not get.
func (l *tapLane) miss(n uint64) {
	l.missed += n
	l.lost.Add(n)
}

func (l *tapLane) put(at clock.Time, peer netip.AddrPort, own netip.Addr, tos uint8, seg int, b []byte) {
	size := uint64(len(l.buf))
	need := uint64(recHead+len(b)+7) &^ 7
	head := l.head.Load()
	start := head & (size - 1)
	filler := uint64(0)
	if start+need > size {
		filler = size - start
	}
	if head+filler+need-l.room > size {
		l.room = l.tail.Load()
	}
	if head+filler+need-l.room > size {
		l.miss(uint64(datagramsOf(len(b), seg)))
		ring.Poke(l.tap.wake)
		return
	}
	le := binary.LittleEndian
	if filler > 0 {
		le.PutUint32(l.buf[start+recTotal:], uint32(filler))
		le.PutUint32(l.buf[start+recLen:], recFiller)
		start = 0
	}
	r := l.buf[start : start+need]
	le.PutUint32(r[recTotal:], uint32(need))
	le.PutUint32(r[recLen:], uint32(len(b)))
	le.PutUint64(r[recAt:], uint64(at))
	le.PutUint64(r[recMissed:], l.missed)
	le.PutUint32(r[recSeg:], uint32(seg))
	le.PutUint16(r[recPort:], peer.Port())
	r[recTOS] = tos
	p, o := peer.Addr().As16(), own.As16() // no address is all zeros
	copy(r[recPeer:], p[:])
	copy(r[recOwn:], o[:])
	clear(r[recZone:recHead])
	copy(r[recZone:recHead], peer.Addr().Zone())
	copy(r[recHead:], b)
	l.missed = 0
	head += filler + need
	l.head.Store(head)
	if head-l.room > size/2 {
		l.room = l.tail.Load()
	}
	if head-l.room > size/2 || l.tap.asleep.Load() {
		ring.Poke(l.tap.wake)
	}
}

// datagramsOf returns how many datagrams of seg bytes n bytes make; seg 0 means one.
func datagramsOf(n, seg int) int {
	if seg <= 0 || seg >= n {
		return 1
	}
	return (n + seg - 1) / seg
}

// peek returns the oldest record, nil if there is none.
func (l *tapLane) peek() []byte {
	for {
		tail := l.tail.Load()
		if tail == l.head.Load() {
			return nil
		}
		r := l.buf[tail&uint64(len(l.buf)-1):]
		total := binary.LittleEndian.Uint32(r[recTotal:])
		if binary.LittleEndian.Uint32(r[recLen:]) != recFiller {
			return r[:total]
		}
		l.tail.Store(tail + uint64(total))
	}
}

// drop frees the record that peek returned.
func (l *tapLane) drop(r []byte) { l.tail.Store(l.tail.Load() + uint64(len(r))) }

// crowded reports whether more than half of the lane is in use.
func (l *tapLane) crowded() bool { return l.head.Load()-l.tail.Load() > uint64(len(l.buf)/2) }
