package receiver

import (
	"io"
	"net/netip"
	"time"

	"uftp/crypto/identity"
	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// DefaultMaxSessions is how many sessions the stock daemon takes at once.
const DefaultMaxSessions = 100

// Config is what a receiver needs to start.
type Config struct {
	UID             wire.UID
	MaxSessions     int          // sessions at once, >= 1; the memory of the machine is proportional to it
	Public          []netip.Addr // groups that the host has joined; sessions neither join nor leave them
	Restart         bool         // a temporary directory is in use: partial files of a session survive
	Servers         []Server     // not empty: only these senders, and only source-specific multicast
	Roaming         bool         // messages in clear count from any address, not only from that of the ANNOUNCE
	Heartbeats      []netip.AddrPort
	HeartbeatEvery  time.Duration
	CheckpointEvery time.Duration // interval of Checkpoint while a file is received; 0 = none

	MinSecurity identity.Strength      // the least that a session must have; above None sessions in clear are refused
	Keys        []*identity.PrivateKey // shown to senders that ask for one, in order of preference
	// GuardRSA: in an RSA exchange keys are shown only to Servers with a fingerprint, and
	// sync and preview are refused.
	GuardRSA bool
	MakeKeys bool      // if a sender asks for a key and none fits, make one for the life of the machine
	Rand     io.Reader // nil = crypto/rand.Reader
}

// SessionID names a session for the life of a machine.
type SessionID struct {
	Slot     int // 0..MaxSessions-1, reused after the session; -1 in reports about sessions that are refused
	Group    uint32
	Instance uint8
}

// Session is what events say about a session.
type Session struct {
	SessionID
	Sender  wire.UID
	From    netip.AddrPort // source of the ANNOUNCE: our packets go there
	FileID  uint16         // current or last file, 0 before the first
	Started clock.Time     // time of the ANNOUNCE: backups are named after it
	Owner   Owner          // may be missing in reports about sessions that are refused
}

// Request is a file that FILEINFO announces, after every check that needs no file system.
type Request struct {
	Ref     machine.FileRef
	Type    wire.FileType
	Name    string // as sent; the host checks what it means to the file system
	Link    string
	Size    int64
	MTime   int64
	Layout  block.Layout
	Sync    bool
	Preview bool
	Resume  bool // the session is a restart: the host may use what earlier instances left
}

// Action is the host's answer to a Request.
type Action uint8

//go:generate go tool stringer -type=Action,Phase,Step,EndReason -linecomment
const (
	Receive  Action = iota // receive the data
	Complete               // answer COMPLETE at once, with Opened.Status
	Abort                  // abort the session with Opened.Text
)

// Opened is the outcome of an Open request.
type Opened struct {
	Action    Action
	Status    wire.CompleteStatus // Complete: the answer; Receive: the answer when all blocks are here
	Missing   *block.Set          // Receive: blocks that are not here; nil = all. Borrowed during the call
	Partial   bool                // part of the file was here before; FILEINFO_ACK says so
	FreeSpace uint64
	HasSpace  bool
	Text      string // Abort: for the sender, without paths of this host; Complete with StatusRejected: for the log
}

// Phase of a session (docs/protocol.md, "Receiver phases").
type Phase uint8

const (
	Free        Phase = iota // no session
	Joining                  // joining the private address
	Registering              // registered
	MidGroup                 // between files
	Opening                  // opening a file
	Receiving                // receiving
	Closing                  // finishing a file
	Completing               // complete
)

// Stats is the state of one session, for a display.
type Stats struct {
	Session Session
	Phase   Phase
	Name    string
	Size    int64
	Blocks  int
	Missing int
	NAKs    int64
	GRTT    time.Duration
}
