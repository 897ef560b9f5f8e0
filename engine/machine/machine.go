// Package machine is the contract between a protocol machine and the stages around it.
//
// A machine is one protocol role without its surroundings. Datagrams, the time and the outcome
// of slow effects go in; what to send, store or report comes out. A machine opens no socket,
// reads no clock, touches no file, starts no goroutine, takes no lock and writes no log. One
// goroutine, its host, calls it.
//
// The result of Handle borrows from the datagram. Poll gives everything else, in the order in
// which it must happen: packets and trains leave in the order in which Poll gave them, and the
// host carries out an event after everything that Handle returned before it.
//
// A host drives a machine like this:
//
//  1. hand in what has arrived: Handle for each datagram, and the outcomes of effects by the
//     methods of the role (Offer, Opened, Departed, …);
//  2. call Poll until it returns Idle, and pass on what it gives; do not call it while there is
//     no room for packets, which is all the back-pressure there is;
//  3. sleep until input arrives or Deadline passes.
package machine

import (
	"net/netip"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/wire"
)

// Machine is the interface of every role.
type Machine interface {
	// Handle takes one datagram. It may change d.Data (open it in place) and keeps
	// neither d nor d.Data; Verdict borrows from d.Data.
	Handle(now clock.Time, d *Datagram) Verdict
	// Poll fills one field of out and returns which, or Idle.
	Poll(now clock.Time, out *Out) Kind
	// Deadline is when the host must call Poll even if nothing arrives. It may change with
	// every call of Handle, Poll or a method of the role.
	Deadline() clock.Time
}

// Kind says which field of Out is filled.
type Kind uint8

//go:generate go tool stringer -type=Kind,Drop -linecomment
const (
	Idle       Kind = iota // nothing to do before Deadline
	PacketKind             // Packet
	TrainKind              // Train
	EventKind              // Event
)

// Limits of one Out.
const (
	MaxPacket      = wire.MaxDatagram + 512 // longest control datagram, bytes: a full list behind a full header
	MaxTrainBlocks = 64                     // kernels take at most 64 segments in one send
	MaxJoined      = 64                     // and join at most 64 datagrams of one source
)

// Datagram is one UDP datagram that arrived, with what the network says about it. A
// host keeps one for each receive buffer, so it is passed by pointer.
type Datagram struct {
	From netip.AddrPort
	To   netip.Addr // the group or the address of this host; zero if the host does not know
	ECN  ECN
	// At is when the host read it from the socket. That may be well before the host
	// hands it to the machine, and it may be before the At of an earlier datagram.
	At   clock.Time
	Data []byte
}

// ECN is the congestion mark of the IP header, as RFC 3168 numbers it. Where the system
// does not pass it on, it is NotECT.
type ECN uint8

const (
	NotECT ECN = iota // the sender does not take part in marking
	ECT1              // not marked
	ECT0              // not marked
	CE                // a router on the way was congested
)

// Out is what Poll fills. The host keeps one and reuses it.
type Out struct {
	Packet Packet
	Train  Train
	Event  Event
}

// Packet is one complete control datagram, which leaves after everything that Poll gave before.
// Data lies in memory of the Out and is valid until the next Poll.
type Packet struct {
	To   netip.AddrPort
	Data []byte
	buf  [MaxPacket]byte
}

// Buffer returns the empty buffer in which the machine builds Data.
func (p *Packet) Buffer() []byte { return p.buf[:0] }

// Train is a run of data packets of one kind, planned together. The machine touches no file
// bytes: a stage reads the blocks, puts the headers before them and, in an encrypted session,
// seals them (package seal). Datagram i carries Block[i] and has sequence number Head.Seq+i.
type Train struct {
	Depart clock.Time // not before
	Rate   int64      // bytes/s of IP packets at which such trains leave, 0 = no limit
	To     netip.AddrPort
	Head   wire.Header // Func: FILESEG or PARITY; Seq is that of the first datagram
	FileID uint16
	// Counter is that of the first datagram in an encrypted session, where datagram i
	// is sealed with Counter+i; 0 in clear.
	Counter uint64
	Layout  *block.Layout // fixed for the file; stays valid while trains of it are under way
	N       int           // datagrams, 1..MaxTrainBlocks
	// Block is a block of the file in a FILESEG. Only the last block of a file is shorter
	// than Layout.BlockSize, and only the last of a train may be it. In a PARITY it is a
	// wire.ParityOf, and all are as long as a block.
	Block [MaxTrainBlocks]uint32
	CC    [MaxTrainBlocks]wire.TFMCCData // in a session with congestion control
}

// Place returns the place of the block in datagram i, as the header of the datagram says it: a
// wire.PlaceOf or a wire.ParityOf.
func (t *Train) Place(i int) uint32 {
	if t.Head.Func == wire.FuncParity {
		return t.Block[i]
	}
	section, place := t.Layout.Section(int(t.Block[i]))
	return wire.PlaceOf(uint16(section), uint16(place))
}

// Len returns how many bytes of data datagram i carries.
func (t *Train) Len(i int) int {
	if t.Head.Func == wire.FuncParity {
		return t.Layout.BlockSize
	}
	return t.Layout.Len(int(t.Block[i]))
}

// Event is a request to the host or a report for the user. Each role has its own types.
type Event interface{ MachineEvent() }

// Verdict is what Handle has decided about one datagram. The zero Verdict says that it counts
// and that there is nothing to store.
type Verdict struct {
	Drop  Drop // not 0: the datagram was refused and nothing changed
	Store Store
}

// Store asks the host to write Data at Offset of the file that a request of the role has named
// Ref. Without Data there is nothing to store.
type Store struct {
	Ref    FileRef
	Offset int64
	Data   []byte
}

// FileRef identifies one opened file for the life of a machine. 0 is none.
type FileRef uint32

// Drop is the reason why a datagram was refused; each has a counter.
type Drop uint8

const (
	DropNone      Drop = iota // taken
	DropMalformed             // malformed
	DropVersion               // wrong version
	DropGroup                 // no such session
	DropSource                // not from the session's sender
	DropUnknown               // unknown client
	DropSequence              // outside the sequence window
	DropPhase                 // not expected in this phase
	DropNotForUs              // not addressed to this host
	DropFile                  // other file
	DropRange                 // section, block or length out of range
	DropDuplicate             // block already here
	DropClear                 // clear message in an encrypted session
	DropSealed                // cannot be opened or verified
	DropReplay                // counter seen before
	DropLimit                 // a limit of this host is reached
	DropFunction              // message not for this role or not supported
	DropNoRoom                // block that the disk has no room for yet
	NumDrops      = int(DropNoRoom) + 1
)
