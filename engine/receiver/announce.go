package receiver

import (
	"net/netip"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/clock"
	"uftp/engine/dialect"
	"uftp/engine/machine"
	"uftp/wire"
)

// gotAnnounce takes an ANNOUNCE of an unknown session (docs/protocol.md, "Answer to
// ANNOUNCE").
func (r *Receiver) gotAnnounce(now clock.Time, d *machine.Datagram, h wire.Header, msg []byte) machine.Drop {
	if h.Group == 0 {
		return machine.DropGroup
	}
	if r.stopped {
		return machine.DropPhase
	}
	a, err := wire.ParseAnnounce(h.Version, msg)
	if err == wire.ErrShort || err == wire.ErrFunc {
		return machine.DropMalformed
	}
	id := Session{
		SessionID: SessionID{Slot: -1, Group: h.Group, Instance: h.Instance},
		Sender:    h.Src,
		From:      d.From,
		Started:   now,
	}
	addr := d.From.Addr()
	if len(a.Hosts) >= 4 && !a.Hosts.Contains(r.cfg.UID) {
		r.passOver(now, &id, NotListed)
		return machine.DropNotForUs
	}
	if !r.knownAddr(addr) {
		return machine.DropSource
	}
	victim, ok := r.roomFor(now, addr)
	if !ok {
		r.passOver(now, &id, TooMany)
		return machine.DropLimit
	}
	id.Owner = r.ownerOf(&a, h.Src, d.From)
	silent := false
	text := r.objection(h, &a, err, addr)
	if text == "" {
		text, silent = r.conflict(now, &id)
	}
	var client *dialect.Client
	if text == "" {
		switch client, err = r.startHandshake(now, d.Data, h, &a, addr); err {
		case nil:
		case handshake.ErrBusy:
			return machine.DropLimit
		case errNoKeyYet:
			return machine.DropNone // the sender will ask again
		default:
			text = err.Error()
		}
	}
	if text != "" {
		r.refuse(now, &id, h.Version, text, silent)
		return machine.DropNone
	}
	if r.joinFailed && !a.Private.IsUnspecified() && !r.refusals.Allow(now, 1) {
		// The Join would fail again, with an ABORT each time.
		client.Release()
		return machine.DropLimit
	}
	if victim != nil {
		victim.evict(now)
	}
	r.accept(now, id, h, &a, client)
	return machine.DropNone
}

// passOver reports a session that is not taken. Its sender gets no answer.
func (r *Receiver) passOver(now clock.Time, id *Session, why Step) {
	if r.refusals.Allow(now, 1) {
		r.emit(Stepped{Session: *id, Step: why})
	}
}

// refuse reports a session that is not taken. Unless silent is set its sender gets an ABORT.
func (r *Receiver) refuse(now clock.Time, id *Session, v wire.Version, text string, silent bool) {
	if !r.refusals.Allow(now, 1) {
		return
	}
	if !silent && !r.sendsFrom(id.Group, id.From) {
		r.sayClear(id.From, v, id, wire.FuncAbort, abortText(text))
	}
	r.emit(Refused{Session: *id, Text: text})
}

// objection returns why a session cannot be taken, as the text of the ABORT; "" if it can.
func (r *Receiver) objection(h wire.Header, a *wire.Announce, err error, from netip.Addr) string {
	switch {
	case err == wire.ErrHeaderLen:
		return "Invalid header size"
	case err == wire.ErrExtension:
		return "Invalid extension size"
	case !a.HasEnc && (r.cfg.MinSecurity > identity.None || r.encrypted(h.Group)):
		return "No unencrypted transfers allowed"
	case a.CC == wire.CCTFMCC:
		// Silence would stall the sender, which waits for feedback.
		return "Congestion control is not supported by this receiver yet"
	case !a.HasEnc && !r.knownServer(h.Src, from):
		return "Sender is not in the server list"
	case h.Instance > 0 && r.cfg.Restart && a.Flags&(wire.AnnounceSync|wire.AnnouncePreview) != 0:
		return "Sync mode and restart mode incompatible"
	case a.Private.IsUnspecified():
		return ""
	case len(r.cfg.Servers) > 0 && !sourceSpecific(a.Private):
		return "Invalid source specific multicast address"
	case !a.Private.IsMulticast():
		return "Invalid multicast address"
	}
	return ""
}

// accept opens a session in a free slot. The caller has made sure that there is one.
func (r *Receiver) accept(now clock.Time, id Session, h wire.Header, a *wire.Announce, client *dialect.Client) {
	slot := 0
	for r.slots[slot].phase != Free {
		slot++
	}
	s := &r.slots[slot]
	id.Slot = slot
	*s = session{
		r:           r,
		info:        id,
		robust:      int(a.Robust),
		blockSize:   int(a.BlockSize),
		sync:        a.Flags&(wire.AnnounceSync|wire.AnnouncePreview) != 0,
		preview:     a.Flags&wire.AnnouncePreview != 0,
		twoAddrs:    hasSecondAddr(id.From.Addr(), a.Private),
		echo:        echo{a.Time, now},
		heardAt:     now,
		dialect:     client,
		joins:       s.joins,
		missingCopy: s.missingCopy,
		copyRef:     s.copyRef,
	}
	s.win.start(h.Seq)
	r.sessions++
	r.index[key(h.Group, h.Instance)] = s
	s.setGRTT(h.GRTT)
	r.setWaiting(s, true)
	r.emit(SessionStarted{Session: id, Public: a.Public, Private: a.Private, Sync: s.sync, Preview: s.preview})
	s.enter(now, Joining)

	if a.Private.IsUnspecified() || r.isPublic(a.Private) {
		s.registerFirst(now)
		return
	}
	s.private = a.Private
	switch other := r.sharer(s); {
	case other == nil:
		s.join()
	case other.member == member:
		s.member = member
		s.registerFirst(now)
	}
	// Otherwise the answer to the other session's Join counts for this one too.
}
