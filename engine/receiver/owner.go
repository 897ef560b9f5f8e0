package receiver

import (
	"crypto/sha256"
	"net/netip"
	"time"

	"uftp/engine/clock"
	"uftp/wire"
)

// Group numbers are in clear in every packet, so anybody can announce another instance of a
// group. Only the sender that began a session may go on with it.

// Owner identifies the sender of a session as well as it can be known. In an encrypted session
// it is the long-term key, which is proved together with the session's keys, before the first
// file. In clear it is UID and address, without the port, since a restarted sender has another
// one; with Config.Roaming the UID alone. Owners can be compared with ==.
type Owner struct {
	Encrypted bool
	Key       [sha256.Size]byte // SHA-256 of the long-term key's blob
	Sender    wire.UID          // in clear
	Addr      netip.Addr        // in clear; not valid with Config.Roaming
}

// ownerOf returns the owner that an ANNOUNCE names.
func (r *Receiver) ownerOf(a *wire.Announce, src wire.UID, from netip.AddrPort) Owner {
	switch {
	case a.HasEnc:
		return Owner{Encrypted: true, Key: sha256.Sum256(a.Enc.PublicKey)}
	case r.cfg.Roaming:
		return Owner{Sender: src}
	}
	return Owner{Sender: src, Addr: from.Addr().Unmap()}
}

// same reports whether two sessions can be of one sender. Several hosts may have its key, so the
// restart of a live session must also come from the same address.
func (r *Receiver) same(a, b *Session) bool {
	return a.Owner == b.Owner && a.Sender == b.Sender && (r.cfg.Roaming || sameAddr(a.From, b.From))
}

// Texts of the ABORT to an instance that cannot be a restart of a live session.
const (
	textForeign = "Group is in use by another sender"
	textStale   = "A newer instance of this session is under way"
)

// contestMax is how long a session remembers that another sender asked for its group.
const contestMax = time.Minute

// conflict returns why a session cannot be taken beside the live ones of its group, "" if it
// can. An older instance is taken as long as the newer one is not confirmed, and if encrypted
// its keys are not proved: the newer one may be forged.
//
// silent says that the sender of the live session has not been heard since a stranger first
// asked. It may have stopped, and the stranger may be its restart, with a new key or from another
// address. An ABORT would end the restart; without one it goes on asking, and is taken when the
// old session has timed out.
func (r *Receiver) conflict(now clock.Time, id *Session) (text string, silent bool) {
	for i := range r.slots {
		o := &r.slots[i]
		switch {
		case o.phase == Free || o.info.Group != id.Group:
		case !r.same(&o.info, id):
			silent = o.contested == 0 || o.heardAt <= o.contested || now.Sub(o.contested) > contestMax
			o.contested = now
			return textForeign, silent
		case o.info.Instance > id.Instance && !o.phase.unconfirmed() && o.dialect.Proved():
			return textStale, false
		}
	}
	return "", false
}

// sendsFrom reports whether a live session of the group has its sender at this address and port.
// An ABORT to another instance would reach that sender, and a stock one does not check the
// instance.
func (r *Receiver) sendsFrom(group uint32, from netip.AddrPort) bool {
	for i := range r.slots {
		if o := &r.slots[i]; o.phase != Free && o.info.Group == group && o.info.From == from {
			return true
		}
	}
	return false
}

// encrypted reports whether an encrypted session of the group is live: a session in clear cannot
// be its restart.
func (r *Receiver) encrypted(group uint32) bool {
	for i := range r.slots {
		if s := &r.slots[i]; s.phase != Free && s.dialect.Encrypted() && s.info.Group == group {
			return true
		}
	}
	return false
}

// supersede ends the older instances of a restarted session, which is confirmed and, if
// encrypted, has its keys proved. In clear that can be forged, but so can an ABORT.
func (r *Receiver) supersede(now clock.Time, s *session) {
	for i := range r.slots {
		o := &r.slots[i]
		if o.phase != Free && !o.ended && o.info.Group == s.info.Group && o.info.Instance < s.info.Instance && r.same(&o.info, &s.info) {
			o.end(now, EndSuperseded)
		}
	}
}

// olderUnfinished reports whether the host still works on an older instance of a restarted
// session: what that one has received cannot be used yet.
func (r *Receiver) olderUnfinished(s *session) bool {
	if s.info.Instance == 0 {
		return false
	}
	for i := range r.slots {
		if o := &r.slots[i]; o.ended && o.reason == EndSuperseded && o.info.Group == s.info.Group && o.info.Instance < s.info.Instance {
			return true
		}
	}
	return false
}
