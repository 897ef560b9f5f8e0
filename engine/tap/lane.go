package tap

import (
	"math/bits"
	"net/netip"
	"sync/atomic"

	"uftp/engine/clock"
	"uftp/engine/netio"
	"uftp/engine/ring"
	"uftp/pcap"
)

// Size is the memory of a lane.
type Size struct {
	Bytes   int // of payload; made a power of two. At least twice the longest train
	Records int // trains and single datagrams
}

// Sizes of the lanes of a role. Data comes at the rate of the network while a disk may pause.
var (
	Data    = Size{Bytes: 32 << 20, Records: 64 << 10}
	Control = Size{Bytes: 4 << 20, Records: 32 << 10}
)

// record describes one train or datagram whose payload lies in the buffer of its lane.
type record struct {
	at    clock.Time
	peer  netip.AddrPort
	own   netip.Addr // of this host; not valid: unknown
	tos   uint8
	lost  uint64 // datagrams that did not fit since the record before
	start uint64 // position of the payload
	n     int    // its length, bytes
	seg   int    // of one datagram; 0: there is only one
}

// Lane carries copies from one goroutine of the data path to Run. A nil Lane takes nothing
// and costs nothing.
//
// Records travel through a ring. Their payloads lie one behind the other in buf, each in one
// piece. Positions in buf count bytes and never wrap; a payload that has no room before the
// end of buf goes to the next multiple of its size.
type Lane struct {
	tap  *Tap
	way  pcap.Way
	tos  uint8 // of what is sent
	buf  []byte
	half int // half of the records

	// Of the data path.
	in      *ring.Hand[record]
	head    atomic.Uint64 // position behind the last payload
	refused atomic.Uint64 // datagrams that did not fit
	unsaid  uint64        // of these, since the last record
	freed   uint64        // taken, as last looked at
	begun   atomic.Int64  // time of what is being put in; clock.Never if nothing is

	// Of Run, on cache lines of its own.
	_     [120]byte
	out   *ring.Hand[record]
	taken atomic.Uint64 // position behind the last payload that Run has taken
}

// Lane adds a lane for one goroutine of the data path, tos being the traffic class of what it
// sends. Add all lanes before Run.
func (t *Tap) Lane(way pcap.Way, size Size, tos int) *Lane {
	if t == nil {
		return nil
	}
	records := ring.New[record](size.Records, nil, 1, 1)
	l := &Lane{
		tap: t, way: way, tos: uint8(tos),
		buf: make([]byte, 1<<bits.Len(uint(size.Bytes-1))), half: size.Records / 2,
		in: records.Hand(0, 0), out: records.Hand(1, 0),
	}
	l.end()
	t.lanes = append(t.lanes, l)
	return l
}

// Begin sets the time of what is sent next. Until Sent is called Run keeps back what is
// younger.
func (l *Lane) Begin() {
	if l != nil {
		l.begun.Store(0) // Run must not slip through between the two lines
		l.begun.Store(int64(l.tap.host.Now()))
	}
}

// end lets Run take what is younger.
func (l *Lane) end() { l.begun.Store(int64(clock.Never)) }

// Sent copies what has left since Begin.
func (l *Lane) Sent(trains []netio.TxTrain) {
	if l == nil {
		return
	}
	at := clock.Time(l.begun.Load())
	for i := range trains {
		x := &trains[i]
		l.put(record{at: at, peer: x.To, tos: l.tos, seg: x.Seg}, x.Buf)
	}
	l.end()
}

// Received copies what has arrived just now.
func (l *Lane) Received(slots []netio.RxSlot) {
	if l == nil {
		return
	}
	l.Begin()
	at := clock.Time(l.begun.Load())
	for i := range slots {
		s := &slots[i]
		if s.Truncated {
			l.refuse(1)
			continue
		}
		l.put(record{at: at, peer: s.From, own: s.To, tos: s.TOS, seg: s.Seg}, s.Buf[:s.N])
	}
	l.end()
}

// refuse counts datagrams that the capture does not get.
func (l *Lane) refuse(n uint64) {
	l.unsaid += n
	l.refused.Add(n)
}

// put adds a record and a copy of its payload, if there is room.
func (l *Lane) put(r record, b []byte) {
	size := uint64(len(l.buf))
	r.start, r.n = l.head.Load(), len(b)
	if at := r.start % size; at+uint64(len(b)) > size {
		r.start += size - at
	}
	end := r.start + uint64(len(b))
	if !l.in.Ready() || l.above(end, size) {
		l.refuse(uint64(netio.Datagrams(len(b), r.seg)))
		ring.Poke(l.tap.wake)
		return
	}
	r.lost = l.unsaid
	l.unsaid = 0
	*l.in.Slot() = r
	copy(l.buf[r.start%size:], b)
	l.head.Store(end)
	l.in.Pass(1)
	if l.above(end, size/2) || !l.in.Ahead(l.half-1) || l.tap.asleep.Load() {
		ring.Poke(l.tap.wake)
	}
}

// above reports whether more than n bytes are in use, up to a position.
func (l *Lane) above(end, n uint64) bool {
	if end-l.freed > n {
		l.freed = l.taken.Load()
	}
	return end-l.freed > n
}

// oldest returns the oldest record, nil if there is none.
func (l *Lane) oldest() *record {
	if !l.out.Ready() {
		return nil
	}
	return l.out.Slot()
}

// payload returns the bytes of a record.
func (l *Lane) payload(r *record) []byte { return l.buf[r.start%uint64(len(l.buf)):][:r.n] }

// drop frees the record that oldest returned.
func (l *Lane) drop(r *record) {
	l.taken.Store(r.start + uint64(r.n))
	l.out.Pass(1)
}

// halfFull reports whether more than half of the lane is in use.
func (l *Lane) halfFull() bool {
	return l.head.Load()-l.taken.Load() > uint64(len(l.buf)/2) || l.out.Crowded()
}
