package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/store"
	"uftp/pcap"
)

// CaptureConfig says where what is sent and received is captured.
type CaptureConfig struct {
	Files       store.CaptureConfig // Path empty: nothing is captured
	Application string              // named in the files
	Reopen      <-chan struct{}     // asks for a new file if the present one was moved away; may be nil

	hold func() // for tests: called before files are opened and written to; may be nil
}

// CaptureError says that the files of a capture could not be set up.
type CaptureError struct{ Err error }

func (e *CaptureError) Error() string { return "opening the capture: " + e.Err.Error() }
func (e *CaptureError) Unwrap() error { return e.Err }

// Events of a capture.
type (
	// CaptureFailed tells that the files cannot be written. The session goes on, and
	// the capture as soon as they can.
	CaptureFailed struct {
		Path string
		Err  error
	}
	// CaptureLost tells how many datagrams are missing in the capture since the last time.
	CaptureLost struct{ Count uint64 }
)

func (CaptureFailed) MachineEvent() {}
func (CaptureLost) MachineEvent()   {}

const (
	// Memory of a lane, bytes, a power of two. Data comes at the rate of the
	// network while a disk may think for a while.
	tapDataBytes    = 32 << 20
	tapControlBytes = 4 << 20

	// tapPause is how long records gather before they are written.
	tapPause = 20 * time.Millisecond
	// tapFlushBytes is how much is gathered for a write to a file, tapTurnBytes how
	// much is taken before anything else is looked at.
	tapFlushBytes = 256 << 10
	tapTurnBytes  = 4 << 20
	// tapRetry is the wait after a failed write, tapTell the one between reports.
	tapRetry = 10 * time.Second
	tapTell  = time.Minute
	// tapTail is room for the statistics at the end of a file.
	tapTail = 128

	// Source addresses are asked of the system once a minute.
	sourcesMax = 4096
	sourceFor  = time.Minute
)

// captureFiles is a store.Capture.
type captureFiles interface {
	Write(b []byte) error
	Next() error
	Open() bool
	Moved() bool
	Size() int64
	Close() error
}

// tap writes the capture. Its goroutine owns all fields below wake.
type tap struct {
	wall   wall
	notes  *mailbox[machine.Event]
	port   uint16
	ttl    uint8 // of multicast that is sent
	lanes  []*tapLane
	asleep atomic.Bool
	wake   chan struct{}
	quit   chan struct{}
	done   chan struct{}

	path    string
	reopen  <-chan struct{}
	anew    bool  // reopen was heard
	max     int64 // bytes of a file
	enc     pcap.Encoder
	files   captureFiles
	hold    func()
	source  func(to netip.AddrPort) (netip.Addr, error)
	sources map[netip.Addr]knownSource

	buf      []byte // records to write
	inBuf    uint64 // datagrams there
	marked   uint64 // losses that records there tell
	inFile   uint64 // datagrams in the file
	written  uint64 // datagrams in all files
	gone     uint64 // datagrams that came out of a lane and got into no file
	unmarked uint64 // losses that no record tells yet
	told     uint64 // losses that were reported
	tellAt   clock.Time
	failure  string     // of the last write; empty: it went well
	retryAt  clock.Time // after a failure
}

type knownSource struct {
	addr netip.Addr
	at   clock.Time
}

// newTap opens the files of a capture. It returns nil when there is none.
func newTap(cfg *CaptureConfig, net netio.Config, w wall, conn netio.Conn, notes *mailbox[machine.Event]) (*tap, error) {
	if cfg.Files.Path == "" {
		return nil, nil
	}
	hold := cfg.hold
	if hold == nil {
		hold = func() {}
	}
	hold()
	enc := pcap.Encoder{Format: pcap.NG, Raw: true, Application: cfg.Application}
	files, err := store.OpenCapture(cfg.Files, enc.AppendHead(nil))
	if err != nil {
		return nil, &CaptureError{err}
	}
	t := &tap{
		wall: w, notes: notes, port: conn.LocalPort(), ttl: uint8(max(1, net.TTL)),
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
		path: cfg.Files.Path, reopen: cfg.Reopen, max: cfg.Files.FileBytes, enc: enc, files: files, hold: hold,
		source:  func(to netip.AddrPort) (netip.Addr, error) { return netio.Source(net, to) },
		sources: map[netip.Addr]knownSource{},
		buf:     make([]byte, 0, tapFlushBytes+pcap.RecordMax),
	}
	return t, nil
}

// lane adds a lane for one goroutine of the data path. All are added before start. It
// has to be twice as long as the longest record, which needs to be in one piece.
func (t *tap) lane(way pcap.Way, bytes int, tos int) *tapLane {
	if t == nil {
		return nil
	}
	l := &tapLane{tap: t, way: way, tos: uint8(tos), buf: make([]byte, 1<<bits.Len(uint(bytes-1)))}
	l.end()
	t.lanes = append(t.lanes, l)
	return l
}

func (t *tap) start() {
	if t != nil {
		go t.run()
	}
}

// close writes what the lanes still hold; nobody may put anything into them any
// more. Files that hang are left alone after a while.
func (t *tap) close(end *ending) {
	if t == nil {
		return
	}
	close(t.quit)
	if !end.await(t.done) {
		t.notes.put(CaptureFailed{t.path, errors.New("the disk does not answer")})
	}
}

func (t *tap) run() {
	defer close(t.done)
	timer := time.NewTimer(tapPause)
	defer timer.Stop()
	more := false
	for !t.ending() {
		if t.empty() && t.lost() == t.told {
			t.asleep.Store(true)
			if t.empty() { // else whoever filled it may have seen us awake
				select {
				case <-t.wake:
				case <-t.quit:
				case <-t.reopen:
					t.anew = true
				}
			}
			t.asleep.Store(false)
		}
		if !more && !t.crowded() {
			timer.Reset(tapPause)
			select {
			case <-t.wake:
			case <-timer.C:
			case <-t.quit:
			case <-t.reopen:
				t.anew = true
			}
		}
		t.renew()
		now := t.wall.now()
		more = t.drain(t.safe(now))
		t.flush()
		t.tell(now)
	}
	t.finish()
}

// renew begins a new file when the present one was moved away and somebody says so.
func (t *tap) renew() {
	if !t.anew {
		return
	}
	t.anew = false
	if !t.files.Moved() {
		return
	}
	t.flush()
	t.seal()
	t.inFile = 0
	if err := t.files.Next(); err != nil {
		t.fail(err)
	}
}

// ending reports whether nothing comes any more.
func (t *tap) ending() bool {
	select {
	case <-t.quit:
		return true
	default:
		return false
	}
}

// finish writes the rest.
func (t *tap) finish() {
	for t.drain(clock.Never) {
	}
	t.flush()
	t.seal()
	if err := t.files.Close(); err != nil {
		t.fail(err)
	}
	t.tellAt = 0
	t.tell(t.wall.now())
}

func (t *tap) empty() bool {
	for _, l := range t.lanes {
		if l.head.Load() != l.tail.Load() {
			return false
		}
	}
	return true
}

func (t *tap) crowded() bool {
	for _, l := range t.lanes {
		if l.crowded() {
			return true
		}
	}
	return false
}

// safe is the time up to which records may be taken: whoever has begun a younger one
// since now was asked for has a later time. A lane that fills up does not wait for
// that.
func (t *tap) safe(now clock.Time) clock.Time {
	if t.crowded() {
		return clock.Never
	}
	for _, l := range t.lanes {
		now = clock.Min(now, clock.Time(l.begun.Load()))
	}
	return now
}

// drain takes records up to a time out of the lanes, the oldest first, and reports
// whether it left some for another turn.
func (t *tap) drain(until clock.Time) (more bool) {
	for taken := 0; taken < tapTurnBytes; {
		var from *tapLane
		var oldest []byte
		at := until
		for _, l := range t.lanes {
			if r := l.peek(); r != nil {
				if a := clock.Time(binary.LittleEndian.Uint64(r[recAt:])); a < at {
					from, oldest, at = l, r, a
				}
			}
		}
		if from == nil {
			return false
		}
		t.record(from, oldest, at)
		from.drop(oldest)
		taken += len(oldest)
	}
	return true
}

// record makes packets of one record of a lane.
func (t *tap) record(l *tapLane, r []byte, at clock.Time) {
	le := binary.LittleEndian
	b := r[recHead : recHead+le.Uint32(r[recLen:])]
	seg := int(le.Uint32(r[recSeg:]))
	missed := le.Uint64(r[recMissed:])
	from := netip.AddrFrom16([16]byte(r[recPeer:])).Unmap()
	if zone, _, _ := bytes.Cut(r[recZone:recHead], []byte{0}); len(zone) > 0 {
		from = from.WithZone(string(zone))
	}
	peer := netip.AddrPortFrom(from, le.Uint16(r[recPort:]))
	addr := netip.AddrFrom16([16]byte(r[recOwn:]))
	if addr.IsUnspecified() {
		addr = t.ownAddr(peer, at)
	}
	own := netip.AddrPortFrom(addr.Unmap(), t.port)
	d := pcap.Datagram{Time: t.wall.time(at), Src: peer, Dst: own}
	m := pcap.Meta{Way: l.way, TOS: r[recTOS]}
	if l.way == pcap.Outbound {
		d.Src, d.Dst = own, peer
		if peer.Addr().IsMulticast() {
			m.TTL = t.ttl
		}
	}
	n := datagramsOf(len(b), seg)
	if n == 1 {
		seg = len(b)
	}
	t.unmarked += missed
	for range n {
		d.Payload = b[:min(seg, len(b))]
		b = b[len(d.Payload):]
		t.packet(at, &d, &m)
	}
}

// ownAddr returns the address of ours that a peer talks to.
func (t *tap) ownAddr(peer netip.AddrPort, at clock.Time) netip.Addr {
	known, ok := t.sources[peer.Addr()]
	if ok && at.Sub(known.at) < sourceFor {
		return known.addr
	}
	addr, err := t.source(peer)
	if err != nil { // the address has gone, say
		addr = netip.IPv6Unspecified()
		if peer.Addr().Is4() {
			addr = netip.IPv4Unspecified()
		}
	}
	if !ok && len(t.sources) == sourcesMax {
		clear(t.sources)
	}
	t.sources[peer.Addr()] = knownSource{addr, at}
	return addr
}

// packet puts one datagram into the buffer.
func (t *tap) packet(at clock.Time, d *pcap.Datagram, m *pcap.Meta) {
	if !t.ready(at) {
		t.give(1)
		return
	}
	m.Lost = t.unmarked
	buf, err := t.enc.AppendDatagram(t.buf, d, m)
	if err != nil { // longer than IPv4 allows, as one of IPv6 can be
		t.give(1)
		return
	}
	t.buf = buf
	t.inBuf++
	t.marked += m.Lost
	t.unmarked = 0
}

// give counts datagrams that are given up here.
func (t *tap) give(n uint64) {
	t.gone += n
	t.unmarked += n
}

// ready sees to it that there is room for one more packet, in buf and in a file.
func (t *tap) ready(at clock.Time) bool {
	if t.failure != "" && at < t.retryAt {
		return false
	}
	if len(t.buf) >= tapFlushBytes || t.full() {
		if !t.flush() {
			return false
		}
	}
	if t.full() {
		t.seal()
		t.inFile = 0
		if err := t.files.Next(); err != nil {
			t.fail(err)
			return false
		}
	}
	return true
}

// full reports whether buf and one more packet have no room in the file.
func (t *tap) full() bool {
	return !t.files.Open() || t.files.Size()+int64(len(t.buf)+pcap.RecordMax+tapTail) > t.max
}

// flush writes buf, or gives up what it holds; false means the latter.
func (t *tap) flush() bool {
	if len(t.buf) == 0 {
		return true
	}
	n, marked := t.inBuf, t.marked
	t.hold()
	err := t.files.Write(t.buf)
	t.buf, t.inBuf, t.marked = t.buf[:0], 0, 0
	if err != nil {
		t.give(n)
		t.unmarked += marked
		t.fail(err)
		return false
	}
	t.written += n
	t.inFile += n
	t.failure = ""
	return true
}

// seal writes behind the packets of a file what there was and what is missing.
func (t *tap) seal() {
	if t.inFile == 0 || !t.files.Open() {
		return
	}
	lost := t.lost()
	t.buf = t.enc.AppendStatistics(t.buf[:0], t.wall.time(t.wall.now()), t.written+lost, lost)
	if err := t.files.Write(t.buf); err != nil {
		t.fail(err)
	}
	t.buf = t.buf[:0]
}

// fail waits a while before anything is written again. What is told once is not
// told again before a write has gone well.
func (t *tap) fail(err error) {
	t.retryAt = t.wall.now().Add(tapRetry)
	if text := err.Error(); text != t.failure {
		t.failure = text
		t.notes.put(CaptureFailed{t.path, err})
	}
}

// lost is how many datagrams the capture missed so far.
func (t *tap) lost() uint64 {
	n := t.gone
	for _, l := range t.lanes {
		n += l.lost.Load()
	}
	return n
}

// tell reports losses, at most once a minute.
func (t *tap) tell(now clock.Time) {
	if n := t.lost(); n > t.told && now >= t.tellAt {
		t.notes.put(CaptureLost{n - t.told})
		t.told, t.tellAt = n, now.Add(tapTell)
	}
}
