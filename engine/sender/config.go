package sender

import (
	"net/netip"
	"time"

	"uftp/crypto/identity"
	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/engine/dialect"
	"uftp/engine/machine"
	"uftp/wire"
)

// MaxClients is the most hosts one session can have.
const MaxClients = 100_000

// Config is what a session needs before it starts. New checks no ranges: the caller must.
type Config struct {
	UID       wire.UID
	Group     uint32 // not 0
	Instance  uint8
	Public    netip.AddrPort // where ANNOUNCE goes
	Private   netip.AddrPort // where everything else goes; equal to Public when Unicast
	Unicast   bool           // Public is no multicast address: ANNOUNCE carries unspecified addresses
	BlockSize int            // 512..8800
	Robust    int            // 10..50
	Rate      int64          // bytes/s of IP packets, 0 = as fast as the way out takes it
	Adapt     Adapt
	// LowerLayers is the length of the UDP and IP headers of a packet, bytes. Rate counts them.
	LowerLayers int

	GRTT, MinGRTT, MaxGRTT time.Duration

	Hosts  []Host // closed group; empty = open group
	Closed bool   // with no Hosts: nobody may register; a list that was filtered to nothing must not open the group

	// Registration ends when all of a closed group are in, when RegisterCount clients are in
	// (0 = off), or when no new client has come for RegisterQuiet since the latest one (0 =
	// off). If none of these happens it ends after Robust rounds of ANNOUNCE, as with stock.
	// RegisterWait (0 = off) bounds all of it, in place of the rounds.
	RegisterCount int
	RegisterQuiet time.Duration
	RegisterWait  time.Duration

	// Roaming accepts messages with the UID of a client from any address, not only from the
	// one that it registered from.
	Roaming bool

	MaxNAKPct   int // 0..100; 100 = never excessive
	MaxNAKCount int // excessive STATUS messages that abort a client, >= 1
	MaxPasses   int // 1..65535
	StallPasses int // passes without progress that abort a client; 0 = never
	TxWeight    int // percent of the ideal time that a file may take; 0 = no limit
	QuitOnError bool
	Sync        bool
	Preview     bool

	Dialect *dialect.Server // nil = version 4 in clear; for this machine alone

	TrainBlocks int           // most blocks in one Train, 1..machine.MaxTrainBlocks; the machine shortens it to about 1 ms of Rate
	Lookahead   time.Duration // how long before its departure a train may be planned
}

// PacketBytes is the length of the IP packet that carries a whole block.
func (c *Config) PacketBytes() int { return c.BlockSize + c.Dialect.Overhead() + c.LowerLayers }

// Adapt lets the rate follow what the receivers lose; it starts at Rate. Receivers of any
// make understand the questions: in mid-pass a DONE that lists nobody.
type Adapt struct {
	On   bool
	Most int64 // bytes/s that the rate never exceeds; 0 = no limit
	// MaxLoss is the share of blocks, 0..1, that the client with the greatest loss may lose.
	// Once more was lost, DefaultMaxLoss is the most that counts.
	MaxLoss float64
}

// DefaultMaxLoss is the share of loss up to which sending faster is worth it.
const DefaultMaxLoss = cc.DefaultMaxLoss

// Host is one entry of a closed group.
type Host struct {
	UID     wire.UID
	Name    string // as the user wrote it
	IsProxy bool
	// Fingerprint is that of the host's key, nil = any. It matters only when hosts have to
	// show a key.
	Fingerprint *identity.Fingerprint
}

// File is what the host offers as the next file of the session.
type File struct {
	Type  wire.FileType
	Name  string // on the wire, 1..300 bytes
	Link  string // target of a TypeLink
	Size  int64  // TypeFile only
	MTime int64  // TypeFile only, Unix seconds
}

// Client names a client in events.
type Client struct {
	Index int // place in the roster, stable for the session
	UID   wire.UID
	Name  string // as listed by the user, or 0x%08X of the UID
	Proxy bool
}

// State is the state of a client (docs/protocol.md, "Client states").
type State uint8

//go:generate go tool stringer -type=State,Phase,NoticeKind,LostIn,Exit -linecomment
const (
	Mute       State = iota // mute
	Registered              // registered
	Active                  // active
	ActiveNAK               // active, NAKs heard
	Done                    // done
	Lost                    // lost
	Aborted                 // aborted
)

// Failed reports whether the state is final and counts as an error.
func (s State) Failed() bool { return s == Mute || s == Lost || s == Aborted }

// Exit is how a session ended; the numbers are the exit codes of the command.
type Exit int

const (
	ExitOK         Exit = 0  // completed
	ExitSignal     Exit = 6  // interrupted
	ExitNobody     Exit = 7  // nobody registered
	ExitNoFileInfo Exit = 8  // nobody answered FILEINFO
	ExitNoFile     Exit = 9  // nobody finished the file
	ExitNoneSent   Exit = 10 // no receiver accepted a file and confirmed the session
)

// Result is what became of one file at one client.
type Result struct {
	Client    Client
	State     State               // Done, or why not
	Status    wire.CompleteStatus // valid when State is Done
	Elapsed   time.Duration       // from the start of the data phase to its COMPLETE
	NAKs      int64               // blocks that it lacked, summed over its STATUS messages
	FreeSpace uint64              // valid when HasSpace
	HasSpace  bool
}

// Counters are running totals of a session.
type Counters struct {
	DataPackets   int64 // FILESEG datagrams planned
	DataBytes     int64 // file bytes in them
	RepairPackets int64 // those of DataPackets that were not the first of their block
	RepairBytes   int64
	Control       int64 // control datagrams planned
	NAKs          int64 // NAKs counted in STATUS messages
	ReportsLost   int64 // reports for the user that were dropped at a limit
	Drops         [machine.NumDrops]int64
}

// Stats is a picture of the running session for a display.
type Stats struct {
	Phase     Phase
	FileID    uint16
	Pass      int
	Blocks    int // of the file
	Left      int // blocks still to send, by what is known now
	GRTT      time.Duration
	Rate      int64
	States    [numStates]int // clients by State, proxies not counted
	Counters  Counters
	FileStart clock.Time
}
