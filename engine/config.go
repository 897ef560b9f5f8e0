package engine

import (
	"net/netip"
	"time"

	"uftp/crypto/aead"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/store"
	"uftp/engine/tap"
	"uftp/wire"
)

// Reporter is told everything that happens, in order, from one goroutine that
// the data path never waits for. Events are those of packages sender or receiver
// and those of this package. When 8192 reports wait for a slow reporter, more are lost
// and counted (see Lost); results are lost only when 131072 wait.
type Reporter func(at time.Time, ev machine.Event)

// SendConfig is all that one sender session needs.
type SendConfig struct {
	Session sender.Config // Group 0: a random one; TrainBlocks, Lookahead 0: chosen here
	Net     netio.Config
	Without map[string]bool // paths of entries that are left out
	Walk    store.WalkConfig
	Workers int           // goroutines that read and seal blocks; 0 = the transmitting one does it
	Tick    time.Duration // how often a SendTick is reported; 0 = never
	Trace   bool          // report every datagram as a Traced
	Capture tap.Config
	// Begin is sent to when the session should begin now with those that are registered.
	Begin <-chan struct{}

	// For tests; nil: nothing special.
	holdDisk    func()              // called before each read
	holdWalk    func()              // called before each step of the walk
	holdCapture func()              // called before files of the capture are opened and written to
	shortSleep  func(time.Duration) // see wall
}

// SendResult is how a session ended.
type SendResult struct {
	Group    uint32
	Instance uint8
	sender.SessionEnded
	Stats SendStats // at the end
	Caps  netio.Caps
}

// ReceiveConfig is all that a receiver daemon needs.
type ReceiveConfig struct {
	Receiver   receiver.Config // UID 0: from the address of the first interface; a zone in Public: joined there alone
	Net        netio.Config
	Interfaces []netio.Choice // where groups are joined, now and when they come; none: all that are no loopback
	Sink       store.SinkConfig
	CacheBytes int           // memory for datagrams between socket and disk; 0 = 16 MiB
	Workers    int           // goroutines that open sealed datagrams; 0 = the core does it
	ResumeFor  time.Duration // how long what an interrupted session left in Sink.Temp is kept; 0 = for ever
	Tick       time.Duration // how often a ReceiveTick is reported while sessions run; 0 = never
	Trace      bool
	Capture    tap.Config
	Ready      func() // called once, when the receiver listens
	// KeyLog is given what opens the packets of each encrypted session, once; nil =
	// nobody is. It is called from goroutines of its own, several at a time.
	KeyLog func(receiver.Session, receiver.Secrets)

	// For tests; nil: nothing special.
	holdDisk    func()                                          // called before each write
	holdRequest func()                                          // called before each opening, closing, moving
	holdCapture func()                                          // called before files of the capture are opened and written to
	interfaces  func() ([]netio.Link, []netio.Interface, error) // instead of those of the host
	watch       newsOfInterfaces
}

// AnyCipher is no cipher: it stands for those that a receiver may meet, before it has
// met one.
const AnyCipher wire.Cipher = 0xff

// Most workers that are started unasked.
const (
	workersMax    = 8 // for a cipher that costs
	workersMaxAny = 4 // of which a receiver has no use most of the time
)

// DefaultWorkers returns how many goroutines should seal or open packets besides
// those that send, receive and write, which two processors are busy with. cores is how
// many processors there are (runtime.GOMAXPROCS); cipher is one of package wire or
// AnyCipher; accelerated says whether the machine has instructions for it (see
// aead.Accelerated; AES-GCM stands for AnyCipher).
//
// GCM and CCM in hardware do 3 to 5 GB/s a core: one worker is more than a network
// brings, and on a small machine it only takes turns with the others. The rest costs
// four times as much and more, so there even two processors do better when both can
// work on it. A worker that has nothing to do costs next to nothing.
func DefaultWorkers(cores int, cipher wire.Cipher, accelerated bool) int {
	costly := !accelerated || cipher != AnyCipher && !aead.Authenticates(cipher)
	switch {
	case cipher == wire.CipherNone || cores < 2:
		return 0
	case costly:
		return max(2, min(cores-1, workersMax))
	case cores < 4:
		return 0
	case cipher == AnyCipher:
		return min(cores-2, workersMaxAny)
	}
	return 1
}

// Events of the engine itself.
type (
	// Opened tells the socket in use and what the kernel granted.
	Opened struct {
		UID            wire.UID // of a receiver
		Port           uint16
		Caps           netio.Caps
		WantRcvBuf     int // bytes asked for
		WantSndBuf     int
		PrivateAddress netip.Addr
		Group          uint32
		Instance       uint8
	}
	// Entered tells that the walk has come to a directory that holds something.
	Entered struct{ Path string }
	// Skipped tells of an operand or file that is not sent.
	Skipped struct{ store.Skip }
	// NotTried tells that the session ended before a file was announced. More: there are
	// others, which are not listed.
	NotTried struct {
		Path string
		More bool
	}
	// Offered tells the local path of the file that is announced next.
	Offered struct{ Entry store.Entry }
	// SendFailed tells that datagrams could not be sent. Repeats of the same error are counted, not reported.
	SendFailed struct {
		To  netip.AddrPort
		Err error
	}
	// SourceFailed tells that a file could not be opened or read.
	SourceFailed struct {
		Path string
		Err  error
	}
	// Stored tells that a file has its final name (in the temporary directory, if there is one).
	Stored struct {
		Session receiver.Session
		Request receiver.Request
		Path    string
		Elapsed time.Duration
	}
	// Moved tells that a session's files were moved out of the temporary directory.
	Moved struct {
		Session receiver.Session
		Paths   []string
	}
	// Expired tells that what an interrupted session left was removed, or could not be.
	Expired struct{ store.Expired }
	// Note is a line for the log about a session; Level as in -x.
	Note struct {
		Session receiver.Session
		Level   int
		Text    string
	}
	// Identified tells that a receiver has the UID of its first interface, which came later than it.
	Identified struct {
		UID       wire.UID
		Interface netio.Interface
	}
	// Traced is one datagram on its way out or in (level 5 of the log).
	Traced struct {
		In   bool
		Peer netip.AddrPort
		Text string
	}
	// Dropped tells how many datagrams were refused since the last time, by reason; at most one a second.
	Dropped struct {
		Reason machine.Drop
		Count  int64
	}
	// Lost tells that the reporter was too slow for Count events.
	Lost struct{ Count int64 }
)

func (Opened) MachineEvent()       {}
func (Entered) MachineEvent()      {}
func (Skipped) MachineEvent()      {}
func (Offered) MachineEvent()      {}
func (SendFailed) MachineEvent()   {}
func (SourceFailed) MachineEvent() {}
func (NotTried) MachineEvent()     {}
func (Stored) MachineEvent()       {}
func (Moved) MachineEvent()        {}
func (Expired) MachineEvent()      {}
func (Note) MachineEvent()         {}
func (Identified) MachineEvent()   {}
func (Traced) MachineEvent()       {}
func (Dropped) MachineEvent()      {}
func (Lost) MachineEvent()         {}
