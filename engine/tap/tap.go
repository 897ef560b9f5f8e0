package tap

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/store"
	"uftp/pcap"
)

// Config says where a capture goes.
type Config struct {
	Files       store.CaptureConfig // Path empty: nothing is captured
	Application string              // named in the files
	Reopen      <-chan struct{}     // asks for a new file if the present one was moved; may be nil
}

// Host is what a Tap needs from the run that it belongs to.
type Host struct {
	Now    func() clock.Time                                   // called by the data path, too
	Time   func(clock.Time) time.Time                          // for files; called by Run alone
	Report func(machine.Event)                                 // takes Failed and Lost, and never waits
	Source func(to netip.AddrPort) (own netip.Addr, err error) // own address for a peer; called by Run alone
	Port   uint16                                              // of this host
	TTL    int                                                 // of multicast that is sent
	Hold   func()                                              // for tests: called before files are opened and written to; may be nil
}

// OpenError reports that the files of a capture could not be set up.
type OpenError struct{ Err error }

func (e *OpenError) Error() string { return "opening the capture: " + e.Err.Error() }
func (e *OpenError) Unwrap() error { return e.Err }

// Events of a capture.
type (
	// Failed reports that the files cannot be written. The session goes on, and so does
	// the capture as soon as it can.
	Failed struct {
		Path string
		Err  error
	}
	// Lost reports how many datagrams are missing in the capture since the last time.
	Lost struct{ Count uint64 }
)

func (Failed) MachineEvent() {}
func (Lost) MachineEvent()   {}

const (
	// pause is how long records gather before they are written.
	pause = 20 * time.Millisecond
	// flushBytes is how much is gathered for a write to a file, turnBytes how much is taken
	// out of the lanes before Run looks at anything else.
	flushBytes = 256 << 10
	turnBytes  = 4 << 20
	// retryPause is the wait after a failed write, reportPause the one between two Lost.
	retryPause  = 10 * time.Second
	reportPause = time.Minute
	// tailBytes is room for the statistics at the end of a file.
	tailBytes = 128

	// Source addresses are asked of the system once a minute.
	sourcesMax = 4096
	sourceFor  = time.Minute
)

// ringOfFiles is a store.Capture.
type ringOfFiles interface {
	Write(b []byte) error
	Next() error
	Open() bool
	Moved() bool
	Size() int64
	Close() error
}

// Tap writes one capture. A nil Tap captures nothing.
type Tap struct {
	host   Host
	lanes  []*Lane
	asleep atomic.Bool   // Run waits for a record
	wake   chan struct{} // it waits here
	quit   chan struct{}
	ended  chan struct{}

	// What follows belongs to Run.
	path    string
	reopen  <-chan struct{}
	asked   bool // reopen was heard
	max     int64
	enc     pcap.Encoder
	files   ringOfFiles
	sources map[netip.Addr]knownSource

	buf      []byte        // packets to write
	inBuf    uint64        // datagrams there
	stated   uint64        // losses that packets there state
	inFile   uint64        // datagrams in the file
	written  uint64        // datagrams in all files
	dropped  atomic.Uint64 // datagrams that came out of a lane and got into no file
	unstated uint64        // losses that no packet states yet
	reported uint64        // losses that were reported
	reportAt clock.Time
	failure  string     // of the last write; empty: it succeeded
	retryAt  clock.Time // after a failure
}

type knownSource struct {
	addr netip.Addr
	at   clock.Time
}

// Open opens the files of a capture. It returns nil if there is none, and an *OpenError if
// they cannot be opened.
func Open(cfg Config, host Host) (*Tap, error) {
	if cfg.Files.Path == "" {
		return nil, nil
	}
	t := newTap(cfg, host)
	t.host.Hold()
	files, err := store.OpenCapture(cfg.Files, t.enc.AppendHead(nil))
	if err != nil {
		return nil, &OpenError{err}
	}
	t.files = files
	return t, nil
}

func newTap(cfg Config, host Host) *Tap {
	if host.Hold == nil {
		host.Hold = func() {}
	}
	host.TTL = max(1, host.TTL)
	return &Tap{
		host: host,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{}),
		path: cfg.Files.Path, reopen: cfg.Reopen, max: cfg.Files.FileBytes,
		enc:     pcap.Encoder{Format: pcap.NG, Raw: true, Application: cfg.Application},
		sources: map[netip.Addr]knownSource{},
		buf:     make([]byte, 0, flushBytes+pcap.RecordMax),
	}
}

// Close has Run write what the lanes still hold and end. Nobody may use a lane any more. wait
// waits until Run has ended, or returns false: then the files hang and are left behind.
func (t *Tap) Close(wait func(ended <-chan struct{}) bool) {
	if t == nil {
		return
	}
	close(t.quit)
	if !wait(t.ended) {
		t.host.Report(Failed{t.path, errors.New("the disk does not answer")})
	}
}

// Run writes what comes out of the lanes until Close is called.
func (t *Tap) Run() {
	if t == nil {
		return
	}
	defer close(t.ended)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	more := false
	for !t.closed() {
		if t.empty() && t.Lost() == t.reported {
			t.asleep.Store(true)
			if t.empty() { // otherwise a lane may have been filled while we were awake
				t.wait(nil)
			}
			t.asleep.Store(false)
		}
		if !more && !t.halfFull() {
			timer.Reset(pause)
			t.wait(timer.C)
		}
		t.renew()
		now := t.host.Now()
		more = t.drain(t.complete(now))
		t.flush()
		t.report(now)
	}
	t.finish()
}

// wait waits for a token, the timer, a request for a new file, or Close.
func (t *Tap) wait(timer <-chan time.Time) {
	select {
	case <-t.wake:
	case <-timer:
	case <-t.quit:
	case <-t.reopen:
		t.asked = true
	}
}

// closed reports whether Close was called.
func (t *Tap) closed() bool {
	select {
	case <-t.quit:
		return true
	default:
		return false
	}
}

// finish writes the rest.
func (t *Tap) finish() {
	for t.drain(clock.Never) {
	}
	t.flush()
	t.seal()
	if err := t.files.Close(); err != nil {
		t.fail(err)
	}
	t.reportAt = 0
	t.report(t.host.Now())
}

func (t *Tap) empty() bool {
	for _, l := range t.lanes {
		if l.oldest() != nil {
			return false
		}
	}
	return true
}

func (t *Tap) halfFull() bool {
	for _, l := range t.lanes {
		if l.halfFull() {
			return true
		}
	}
	return false
}

// complete returns the time up to which all records are in their lanes: a record that was
// begun after now was read has a later time. A lane that fills up does not wait for that.
func (t *Tap) complete(now clock.Time) clock.Time {
	if t.halfFull() {
		return clock.Never
	}
	for _, l := range t.lanes {
		now = clock.Min(now, clock.Time(l.begun.Load()))
	}
	return now
}

// drain takes records up to a time out of the lanes, the oldest first, and reports whether it
// left some for another turn.
func (t *Tap) drain(until clock.Time) (more bool) {
	for taken := 0; taken < turnBytes; {
		var from *Lane
		var oldest *record
		at := until
		for _, l := range t.lanes {
			if r := l.oldest(); r != nil && r.at < at {
				from, oldest, at = l, r, r.at
			}
		}
		if from == nil {
			return false
		}
		t.record(from, oldest)
		taken += recordCost + oldest.n
		from.drop(oldest)
	}
	return true
}

// recordCost is what a record counts in turnBytes, besides its payload.
const recordCost = 80

// Lost returns how many datagrams the capture lacks so far. Any goroutine may call it.
func (t *Tap) Lost() uint64 {
	if t == nil {
		return 0
	}
	n := t.dropped.Load()
	for _, l := range t.lanes {
		n += l.refused.Load()
	}
	return n
}

// report reports losses, at most once a minute.
func (t *Tap) report(now clock.Time) {
	if n := t.Lost(); n > t.reported && now >= t.reportAt {
		t.host.Report(Lost{n - t.reported})
		t.reported, t.reportAt = n, now.Add(reportPause)
	}
}
