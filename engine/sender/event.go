package sender

import (
	"net/netip"
	"time"

	"uftp/engine/block"
	"uftp/wire"
)

// Requests to the host.
type (
	// NeedFile asks for the next file: the host answers with Offer or EndOfFiles.
	NeedFile struct{}
	// CloseFile says that no more trains of the file are planned.
	CloseFile struct{ FileID uint16 }
)

// Reports for the user.
type (
	// PhaseStarted reports that the session entered a phase.
	PhaseStarted struct{ Phase Phase }
	// FileStarted reports the ID and the layout of the file that was offered.
	FileStarted struct {
		FileID uint16
		File   File
		Layout block.Layout // zero unless TypeFile
	}
	// Sent reports that a control message left, as part Part of round Round (both from 1).
	// Open is set for the ANNOUNCE of an open group, which has no parts.
	Sent struct {
		Func        wire.Func
		Round, Part int
		Open        bool
	}
	// Heard reports that a client answered. Repeat: it had done so before.
	Heard struct {
		Func    wire.Func
		Client  Client
		Repeat  bool
		Partial bool                // FILEINFO_ACK
		Status  wire.CompleteStatus // COMPLETE
		RTT     time.Duration       // 0 unless the message carried a stamp
		FileID  uint16
	}
	// NAKs reports how many blocks of a section a client lacks.
	NAKs struct {
		Client  Client
		Section int
		Count   int
		Excess  bool // the share was above MaxNAKPct for the last time; the client is aborted
	}
	// PassStarted, SectionStarted and PassEnded follow the cursor of a file.
	PassStarted    struct{ Pass int }
	SectionStarted struct{ Section int }
	PassEnded      struct {
		FileID  uint16
		Pass    int
		Packets int64 // data packets of this pass
		Bytes   int64
		Elapsed time.Duration
	}
	// ClientLost reports that a client did not answer in time.
	ClientLost struct {
		Client Client
		In     LostIn
	}
	// Stalled reports that a client made no progress in so many passes and is aborted. Lacks
	// is the number of blocks that it lacked.
	Stalled struct {
		Client        Client
		Passes, Lacks int
	}
	// NoData reports, once for each client, that it lacks every block of a file after so many
	// passes. PacketBytes is the length of the IP packets that carry the blocks.
	NoData struct {
		Client              Client
		Passes, PacketBytes int
	}
	// GotAbort reports that a host sent an ABORT. Known is false for a UID outside the roster.
	GotAbort struct {
		Client Client
		Known  bool
		Text   string
	}
	// SentAbort reports that the sender sent an ABORT; UID 0 is everybody.
	SentAbort struct {
		UID  wire.UID
		Text string
	}
	// Refused reports that a message was not accepted, and why (level 1 of the log). The
	// REGISTERs and CLIENT_KEYs of a known client are reported once for each reason.
	Refused struct {
		Func   wire.Func
		UID    wire.UID
		Client Client // zero when unknown
		Known  bool
		Reason string
	}
	// KeyWarning reports once what is doubtful about a client's key that is accepted, or about
	// the fingerprint that it should have.
	KeyWarning struct {
		Client Client
		Text   string
	}
	// SharedUID reports once that another host answers under the UID of a client. Only
	// messages of the first one count.
	SharedUID struct {
		Client        Client
		First, Second netip.AddrPort
	}
	// RateChanged reports a new rate, bytes/s, and the share of blocks, 0..1, that receivers
	// had lost.
	RateChanged struct {
		Rate int64
		Loss float64
	}
	// GRTTChanged reports the new group round-trip time.
	GRTTChanged struct{ GRTT time.Duration }
	// Notice is a step that has no data of its own.
	Notice struct{ Kind NoticeKind }
	// Connected lists all hosts at the end of registration, in roster order; OK says which
	// are in.
	Connected struct {
		Clients []Client
		OK      []bool
	}
	// FileEnded reports the outcome of a file for every client but proxies, in roster order.
	FileEnded struct {
		FileID  uint16
		File    File
		Results []Result
		Elapsed time.Duration // data-phase start to the last COMPLETE; 0 if there was none
		Passes  int
		Err     string // why the file was given up, "" otherwise
		GivenUp bool   // the sender gave it up, for those that did not have it
	}
	// SessionEnded is the last event. Only clients that are Done, in a session with a
	// completion phase, have confirmed that they hold the files of their Results.
	SessionEnded struct {
		Exit     Exit
		Complete bool     // the completion phase was run
		Clients  []Client // all, proxies included
		States   []State  // of Clients, at the end
		Lacking  []int    // in Clients: those that were in while a file was given up, and lack it
		Left     []int    // in Clients: those that were not heard after a file was given up
		Counters Counters
	}
)

// Phase is a phase of the session.
type Phase uint8

const (
	Announcing   Phase = iota // Initializing group
	BetweenFiles              // between files
	FileInfo                  // Sending FILEINFO
	Data                      // Sending file
	Finishing                 // Finishing group
	Ended                     // ended
)

// LostIn says where a client was lost.
type LostIn uint8

const (
	LostRegister LostIn = iota // registration
	LostFileInfo               // FILEINFO
	LostData                   // data
	LostComplete               // completion
)

// NoticeKind is the kind of a Notice.
type NoticeKind uint8

const (
	LateRegisters    NoticeKind = iota // Late registers:
	LateCompletions                    // Late completions:
	AnnounceTimedOut                   // Announce timed out
	DataTimedOut                       // Sending thread timed out
	RewindStarted                      // Starting rewind timer
	RewindTripped                      // Rewind timer tripped
	PassesExceeded                     // Maximum number of passes exceeded
	TimeExceeded                       // Maximum file transfer time exceeded
	RegistrationCut                    // Registration ended early
	GroupComplete                      // Group complete
	BegunByUser                        // Beginning with those that are registered
	NobodyToBegin                      // Nobody is registered yet, still waiting
	BegunAlready                       // Registration is over already
)

func (NeedFile) MachineEvent()       {}
func (CloseFile) MachineEvent()      {}
func (PhaseStarted) MachineEvent()   {}
func (FileStarted) MachineEvent()    {}
func (Sent) MachineEvent()           {}
func (Heard) MachineEvent()          {}
func (NAKs) MachineEvent()           {}
func (PassStarted) MachineEvent()    {}
func (SectionStarted) MachineEvent() {}
func (PassEnded) MachineEvent()      {}
func (RateChanged) MachineEvent()    {}
func (ClientLost) MachineEvent()     {}
func (Stalled) MachineEvent()        {}
func (NoData) MachineEvent()         {}
func (GotAbort) MachineEvent()       {}
func (SentAbort) MachineEvent()      {}
func (Refused) MachineEvent()        {}
func (KeyWarning) MachineEvent()     {}
func (SharedUID) MachineEvent()      {}
func (GRTTChanged) MachineEvent()    {}
func (Notice) MachineEvent()         {}
func (Connected) MachineEvent()      {}
func (FileEnded) MachineEvent()      {}
func (SessionEnded) MachineEvent()   {}
