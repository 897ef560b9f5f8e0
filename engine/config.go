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

// Reporter gets everything that happens, in order, from one goroutine that the data path
// never waits for. Events are those of packages sender, receiver, disk and tap and those of
// this package. When 8192 reports wait for a slow Reporter, more are lost and counted (see
// Lost). Results are lost only when 131072 wait.
type Reporter func(at time.Time, ev machine.Event)

// SendConfig is all that one sender session needs.
type SendConfig struct {
	Session sender.Config // Group 0: a random one; TrainBlocks, Lookahead 0: chosen here
	Net     netio.Config
	Without map[string]bool // paths of entries that are left out
	Walk    store.WalkConfig
	Workers int           // fillers: goroutines that read and seal blocks; 0 = the transmitting one does it
	Tick    time.Duration // how often a SendTick is reported; 0 = never
	Trace   bool          // report every datagram as a Traced
	Capture tap.Config
	// A value from Begin makes the session begin at once, with the receivers registered by then.
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
	Interfaces []netio.Choice // where groups are joined, those that come later too; none: all but loopback
	Sink       store.SinkConfig
	CacheBytes int           // memory for datagrams between socket and disk; 0 = 16 MiB
	Workers    int           // openers: goroutines that open sealed datagrams; 0 = the core does it
	ResumeFor  time.Duration // how long Sink.Temp keeps the files of an interrupted session; 0 = for ever
	Tick       time.Duration // how often a ReceiveTick is reported while sessions run; 0 = never
	Trace      bool
	Capture    tap.Config
	Ready      func() // called once, when the receiver listens
	// KeyLog gets the secrets of each encrypted session, once; nil: nothing does. Several
	// goroutines may call it at the same time.
	KeyLog func(receiver.Session, receiver.Secrets)

	// For tests; nil: nothing special.
	holdDisk    func()                                          // called before each write
	holdRequest func()                                          // called before each opening, closing, moving
	holdCapture func()                                          // called before files of the capture are opened and written to
	interfaces  func() ([]netio.Link, []netio.Interface, error) // instead of those of the host
	watch       watch
}

// AnyCipher is no cipher. It stands for all that a receiver may meet, before a session has
// chosen one.
const AnyCipher wire.Cipher = 0xff

// The most workers that DefaultWorkers returns.
const (
	workersMax    = 8 // for a cipher that costs much
	workersMaxAny = 4 // for a receiver, where they are idle most of the time
)

// DefaultWorkers returns how many fillers or openers a run should have. The goroutines that
// send, receive and write keep two processors busy without them. cores is the number of
// processors (runtime.GOMAXPROCS); cipher is one of package wire or AnyCipher; accelerated
// says whether the machine has instructions for it (see aead.Accelerated; AES-GCM stands for
// AnyCipher).
//
// GCM and CCM in hardware do 3 to 5 GB/s a core. One worker does more than a network
// brings, and on a small machine it only takes turns with the others. Other ciphers cost
// four times as much and more, so even two processors do better when both can
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
	// Opened reports the socket in use and what the kernel granted.
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
	// Entered reports that the walk has come to a directory that is not empty.
	Entered struct{ Path string }
	// Skipped reports an operand or file that is not sent.
	Skipped struct{ store.Skip }
	// NotTried reports that the session ended before a file was announced. More: there are
	// others, which are not listed.
	NotTried struct {
		Path string
		More bool
	}
	// Offered reports the local path of the file that is announced next.
	Offered struct{ Entry store.Entry }
	// SendFailed reports that datagrams could not be sent; the same error at most once a second.
	SendFailed struct {
		To  netip.AddrPort
		Err error
	}
	// SourceFailed reports that a file could not be opened or read.
	SourceFailed struct {
		Path string
		Err  error
	}
	// Stored reports that a file has its final name (in the temporary directory, if there is one).
	Stored struct {
		Session receiver.Session
		Request receiver.Request
		Path    string
		Elapsed time.Duration
	}
	// Moved reports that a session's files were moved out of the temporary directory.
	Moved struct {
		Session receiver.Session
		Paths   []string
	}
	// Expired reports that the files of an interrupted session were removed, or could not be.
	Expired struct{ store.Expired }
	// Note is a line for the log about a session; Level as in -x.
	Note struct {
		Session receiver.Session
		Level   int
		Text    string
	}
	// Identified reports that a receiver got the UID of its first interface, which came later.
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
	// Dropped reports how many datagrams were refused since the last report, by reason. There
	// is at most one a second for each reason.
	Dropped struct {
		Reason machine.Drop
		Count  int64
	}
	// Lost reports that the reporter was too slow for Count events.
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
