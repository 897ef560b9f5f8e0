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

// Config is all that a receiver is told before it starts.
type Config struct {
	UID             wire.UID
	MaxSessions     int          // sessions at once, >= 1; memory of the machine is proportional to it
	Public          []netip.Addr // groups joined for good: a private address equal to one is neither joined nor left
	Restart         bool         // a temporary directory is in use: partial files of a session survive
	Servers         []Server     // not empty: only these senders, source-specific multicast only
	Roaming         bool         // what is in clear counts from any address, not only from that of the session's ANNOUNCE
	Heartbeats      []netip.AddrPort
	HeartbeatEvery  time.Duration
	CheckpointEvery time.Duration // how often the missing set of a file under way is handed out; 0 = never

	MinSecurity identity.Strength      // the least a session must have; above None no session in clear is taken
	Keys        []*identity.PrivateKey // to show to senders that ask who we are, in order of preference
	GuardRSA    bool                   // with the RSA exchange show keys only to Servers with a fingerprint, and take no sync and preview
	MakeKeys    bool                   // when a sender asks and no key will do, make one for the life of the machine
	Rand        io.Reader              // nil = crypto/rand.Reader
}

// SessionID names a session for the life of a machine.
type SessionID struct {
	Slot     int // 0..MaxSessions-1, used again after the session; -1 in reports about sessions not taken
	Group    uint32
	Instance uint8
}

// Session is what events tell about a session.
type Session struct {
	SessionID
	Sender  wire.UID
	From    netip.AddrPort // source of the first ANNOUNCE: answers go there
	FileID  uint16         // current or last file, 0 before the first
	Started clock.Time     // moment of the first ANNOUNCE: backups are named after it
	Owner   Owner          // whose it is; in reports about sessions not taken it may be missing
}

// Request is what FILEINFO asks for, after every check that needs no file system.
type Request struct {
	Ref     machine.FileRef
	Type    wire.FileType
	Name    string // as sent; not yet checked against the file system's dangers
	Link    string
	Size    int64
	MTime   int64
	Layout  block.Layout
	Sync    bool
	Preview bool
	Resume  bool // the session is a restart: what earlier instances left may be used
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
	Action  Action
	Status  wire.CompleteStatus // Complete: the answer; Receive: what to answer once the file is whole
	Missing *block.Set          // Receive: blocks that are not here yet; nil = all of them. Borrowed during the call
	// Partial: part of the file was here before (FILEINFO_ACK says so).
	Partial   bool
	FreeSpace uint64
	HasSpace  bool
	Text      string // Abort: to the sender, without paths of this host; Complete with StatusRejected: for the log
}

// Phase of a session (v4-receiver.md section 2.2).
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

// Stats is a picture of one session for a display.
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
