package receiver

import (
	"net/netip"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/wire"
)

// Requests to the host. It carries them out in order, each after it has written every block
// that Handle gave out before.
type (
	// Join asks the host to join Group on all interfaces; it answers with Joined.
	Join struct {
		Session Session
		Group   netip.Addr
	}
	// Leave ends the membership.
	Leave struct {
		Session Session
		Group   netip.Addr
	}
	// Open asks the host to prepare for a file, or to do what a directory, link, delete or
	// query means; it answers with Opened. If that takes longer than R·3·GRTT the sender gives
	// us up: no message can keep it waiting before FILEINFO_ACK.
	Open struct {
		Session Session
		Request Request
	}
	// Close says that every block has been handed out. The host gives the file its final
	// name and answers with Closed.
	Close struct {
		Session Session
		Ref     machine.FileRef
	}
	// Checkpoint asks the host to make durable what is here, so that a killed daemon can
	// resume. Missing is a copy that belongs to the host until it calls CheckpointDone.
	Checkpoint struct {
		Session Session
		Ref     machine.FileRef
		Missing *block.Set
	}
	// Abandon says that the file is given up while blocks are missing. Missing is a copy
	// that the host keeps, never nil. It holds all blocks after a StoreFailed, because then
	// nobody knows which are there, and if the sender gave up the file but not the session.
	Abandon struct {
		Session Session
		Ref     machine.FileRef
		Missing *block.Set
	}
	// Settle says that the session has all its files, and asks the host to record this so
	// that it is known after a kill; it answers with Settled. Only with Config.Restart.
	Settle struct {
		Session Session
		Number  uint32
	}
	// KeyWanted asks the host for a new key to show to senders, since making one takes too
	// long here; it answers with KeyMade.
	KeyWanted struct{ Spec identity.Spec }
	// SessionEnded ends a session. OK: by DONE_CONF or the completion limit; the host may
	// now move the files out of a temporary directory. Lacks: the sender believes that more
	// has arrived here than has.
	SessionEnded struct {
		Session Session
		OK      bool
		Lacks   bool
		Reason  EndReason
	}
)

// Reports for the user.
type (
	// SessionStarted reports that an ANNOUNCE was accepted.
	SessionStarted struct {
		Session Session
		Public  netip.Addr
		Private netip.Addr // unspecified in a unicast session
		Sync    bool
		Preview bool
	}
	// Keyed reports that the sender has proved the keys of an encrypted session with its
	// first sealed packet. Nothing in it is secret.
	Keyed struct {
		Session    Session
		Suite      handshake.Suite
		Server     *identity.PublicKey // key of the sender
		ClientAuth bool                // the sender asked for a key of ours
		Strength   identity.Strength
		Weak       []handshake.Weakness
	}
	// HaveKey reports a key that was made because a sender asked for one.
	HaveKey struct{ Key *identity.PublicKey }
	// Stepped reports a step that has no data of its own.
	Stepped struct {
		Session Session
		Step    Step
	}
	// FileStarted reports a file that FILEINFO announced.
	FileStarted struct {
		Session Session
		Request Request
	}
	// GotDone reports a DONE for Section of the current file, or with Group for the session.
	GotDone struct {
		Session Session
		Section int
		Group   bool
	}
	// SentStatus reports how many blocks of a section were asked for.
	SentStatus struct {
		Session Session
		Section int
		NAKs    int
	}
	// FileEnded reports the outcome of a file, as COMPLETE says it.
	FileEnded struct {
		Session Session
		Request Request
		Status  wire.CompleteStatus
		Text    string // why it was rejected
	}
	// GotAbort and SentAbort report an ABORT that was received or sent.
	GotAbort struct {
		Session Session
		Text    string
	}
	SentAbort struct {
		Session Session
		Text    string
	}
	// Refused reports a session that was not taken; nothing of it is kept.
	Refused struct {
		Session Session
		Text    string
	}
	// Heartbeat reports a HB_REQ that was sent, or the result of a HB_RESP.
	Heartbeat struct {
		Peer     netip.AddrPort
		Response bool
		Result   uint8
	}
)

// Step is the kind of a Stepped.
type Step uint8

const (
	RegisterSent    Step = iota // REGISTER sent
	Confirmed                   // Registration confirmed
	FileInfoAckSent             // FILEINFO_ACK sent
	FileWhole                   // File transfer complete
	CompleteSent                // COMPLETE sent
	GroupDone                   // Group complete
	GroupConfirmed              // Group file transfer confirmed
	Unconfirmed                 // Registration unconfirmed by server
	Unfinished                  // Completion unconfirmed by server
	TimedOut                    // Transfer timed out
	NotListed                   // Name not in host list
	TooMany                     // maximum number of incoming files exceeded
	ClientKeySent               // CLIENT_KEY sent
	GotKeyInfo                  // Received KEYINFO
	KeyInfoAckSent              // KEYINFO_ACK sent
	NothingCame                 // The session is confirmed though no file of it arrived here: its sender had none to send, or another receiver has the same UID
	NotAllCame                  // The session is confirmed though not all of it arrived here: does another receiver have the same UID?
)

// EndReason says why a session ended.
type EndReason uint8

const (
	EndConfirmed   EndReason = iota // confirmed
	EndUnconfirmed                  // completion unconfirmed
	EndTimeout                      // timed out
	EndAborted                      // aborted by the sender
	EndRefused                      // aborted by this receiver
	EndShutdown                     // shut down
	EndSuperseded                   // superseded by a restart
	EndEvicted                      // gave way to other senders
)

func (Join) MachineEvent()           {}
func (Leave) MachineEvent()          {}
func (Open) MachineEvent()           {}
func (Close) MachineEvent()          {}
func (Checkpoint) MachineEvent()     {}
func (Abandon) MachineEvent()        {}
func (Settle) MachineEvent()         {}
func (SessionEnded) MachineEvent()   {}
func (SessionStarted) MachineEvent() {}
func (KeyWanted) MachineEvent()      {}
func (Keyed) MachineEvent()          {}
func (HaveKey) MachineEvent()        {}
func (Stepped) MachineEvent()        {}
func (FileStarted) MachineEvent()    {}
func (GotDone) MachineEvent()        {}
func (SentStatus) MachineEvent()     {}
func (FileEnded) MachineEvent()      {}
func (GotAbort) MachineEvent()       {}
func (SentAbort) MachineEvent()      {}
func (Refused) MachineEvent()        {}
func (Heartbeat) MachineEvent()      {}
