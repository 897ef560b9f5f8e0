package session

import (
	"fmt"
	"net/netip"
	"time"

	"uftp/crypto/handshake"
	"uftp/engine/block"
	"uftp/wire"
)

// Bounds on what is kept.
const (
	sessionsMax = 1024
	layoutsMax  = 1024    // per session
	peersMax    = 100_000 // per session
	keysPerPeer = 4
)

// ID names a session.
type ID struct {
	Group    uint32
	Instance uint8
}

// String returns the group in hex and the instance, as the tools write and read it.
func (id ID) String() string { return fmt.Sprintf("%08x/%d", id.Group, id.Instance) }

// ParseID reads GROUP or GROUP/INSTANCE; any says that no instance was given.
func ParseID(text string) (id ID, any bool, err error) {
	var rest string
	if n, _ := fmt.Sscanf(text, "%x/%d%s", &id.Group, &id.Instance, &rest); n == 2 {
		return id, false, nil
	}
	id.Instance = 0
	if n, _ := fmt.Sscanf(text, "%x%s", &id.Group, &rest); n == 1 {
		return id, true, nil
	}
	return ID{}, false, fmt.Errorf("%q is not a session: want GROUP or GROUP/INSTANCE, such as 8b69467a/0", text)
}

// Session is what is known of a session so far.
type Session struct {
	ID
	First, Last time.Time // of its messages

	Announced bool // an ANNOUNCE was seen: what follows is known
	Sender    wire.UID
	From      netip.AddrPort // of the sender
	Public    netip.AddrPort // where the ANNOUNCE went
	Private   netip.Addr     // unspecified in a unicast session
	BlockSize int
	Robust    int
	Encrypted bool
	Suite     handshake.Suite // valid when Encrypted

	layouts map[uint16]*block.Layout
	vault   vault
}

// Layout returns the layout of a file, nil if it is not known.
func (s *Session) Layout(fileID uint16) *block.Layout {
	if s == nil {
		return nil
	}
	return s.layouts[fileID]
}

// Open returns the message within a sealed datagram of the session, and does not change
// the datagram. It fails with [ErrNoKeys] and [ErrNotOpen].
func (s *Session) Open(pkt []byte) ([]byte, error) {
	_, msg, err := wire.ParseHeader(pkt)
	if err != nil {
		return nil, err
	}
	x, err := wire.ParseEncrypted(msg)
	if err != nil {
		return nil, err
	}
	msg, _, err = s.vault.open(pkt, &x)
	return msg, err
}

// GroupMaster returns the group master of the session; if there are several, the one that
// opened the latest message. ok is false if none is known.
func (s *Session) GroupMaster() (master [handshake.MasterLen]byte, ok bool) {
	if len(s.vault.openers) == 0 {
		return master, false
	}
	return s.vault.openers[0].of.groupMaster, true
}

// announce reads an ANNOUNCE. The first one counts, but later ones may bring other keys: a
// capture can hold both sides of a proxy.
func (s *Session) announce(m *Message, a *wire.Announce) {
	if !s.Announced {
		s.Announced = true
		s.Sender, s.From, s.Public, s.Private = m.Head.Src, m.Src, m.Dst, a.Private
		s.BlockSize, s.Robust = int(a.BlockSize), int(a.Robust)
		s.Encrypted = a.HasEnc
		if a.HasEnc {
			s.Suite = handshake.SuiteOf(&a.Enc)
		}
	}
	if a.HasEnc {
		s.vault.announced(m.Head.Src, &a.Enc)
	}
}

// fileInfo notes the layout of a file.
func (s *Session) fileInfo(x *wire.FileInfo) {
	if x.Type != wire.TypeFile || s.BlockSize < wire.MinBlockSize || s.BlockSize > wire.MaxBlockSize {
		return
	}
	if old := s.layouts[x.FileID]; old != nil && old.Size == x.Size {
		return
	}
	l, err := block.NewLayout(x.Size, s.BlockSize)
	if err != nil {
		return
	}
	if len(s.layouts) >= layoutsMax {
		clear(s.layouts)
	}
	s.layouts[x.FileID] = &l
}
