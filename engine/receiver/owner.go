package receiver

import (
	"crypto/sha256"
	"net/netip"
	"time"

	"uftp/engine/clock"
	"uftp/wire"
)

// The number of a group stands in clear in every packet, so anybody can announce another
// instance of it. Only the sender that began may go on with what it began.

// Owner says whose a session is, as far as it can be known: in an encrypted session who
// has the sender's long-term key, in one in clear the UID and the address, without the
// port, which a sender that starts again has anew, or with Config.Roaming the UID alone.
// Owners can be compared with ==. That
// of an encrypted session is proved when the keys are, before the first file.
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

// same reports whether two sessions can be of one sender. Its key may be at other places,
// too; while a session is live, its restart comes from where it came from.
func (r *Receiver) same(a, b *Session) bool {
	return a.Owner == b.Owner && a.Sender == b.Sender && (r.cfg.Roaming || sameAddr(a.From, b.From))
}

// Texts of the ABORT to an instance that cannot be the restart of a live session.
const (
	textForeign = "Group is in use by another sender"
	textStale   = "A newer instance of this session is under way"
)

// contestMax is how long it is remembered that another sender asked for a group.
const contestMax = time.Minute

// conflict returns why a session cannot be taken beside those of its group that are under
// way, "" if it can. Before a newer instance is confirmed, and the keys of an encrypted
// one proved, an older one is taken: the newer may be a stranger's copy.
//
// silent says that the other sender has not been heard since a stranger asked first. It may be
// dead, and the stranger its restart, with a new key of its own or from another address.
// An ABORT would cost that the whole session; without one it goes on asking, and is taken
// when the old session has timed out.
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

// sendsFrom reports whether the sender of a session of the group speaks from this very
// address and port. An ABORT to another instance would reach it, and a stock sender does
// not look which instance is meant.
func (r *Receiver) sendsFrom(group uint32, from netip.AddrPort) bool {
	for i := range r.slots {
		if o := &r.slots[i]; o.phase != Free && o.info.Group == group && o.info.From == from {
			return true
		}
	}
	return false
}

// encrypted reports whether an encrypted session of the group is under way: a
// session in clear cannot be its restart.
func (r *Receiver) encrypted(group uint32) bool {
	for i := range r.slots {
		if s := &r.slots[i]; s.phase != Free && s.dialect.Encrypted() && s.info.Group == group {
			return true
		}
	}
	return false
}

// supersede lets a restarted session take the place of its older instances, once
// it is confirmed and, if encrypted, its sender has proved the keys. In clear, who
// could forge that could forge an ABORT.
func (r *Receiver) supersede(now clock.Time, s *session) {
	for i := range r.slots {
		o := &r.slots[i]
		if o.phase != Free && !o.ended && o.info.Group == s.info.Group && o.info.Instance < s.info.Instance && r.same(&o.info, &s.info) {
			o.end(now, EndSuperseded)
		}
	}
}

// olderUnfinished reports whether the host is not done with an older instance of a
// restarted session: what that one has got is not yet there to be used.
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
