package receiver

import (
	"net/netip"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// gotAnnounce takes an ANNOUNCE of an unknown session (v4-receiver.md section 3).
func (r *Receiver) gotAnnounce(now clock.Time, from netip.AddrPort, h wire.Header, pkt, msg []byte) machine.Drop {
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
		From:      from,
		Started:   now,
	}
	if len(a.Hosts) >= 4 && !a.Hosts.Contains(r.cfg.UID) {
		if r.refusals.allow(now) {
			r.emit(Stepped{Session: id, Step: NotListed})
		}
		return machine.DropNotForUs
	}
	if !r.knownAddr(from.Addr()) {
		return machine.DropSource
	}
	victim, ok := r.hasRoom(now, from.Addr())
	if !ok {
		if r.refusals.allow(now) {
			r.emit(Stepped{Session: id, Step: TooMany})
		}
		return machine.DropLimit
	}
	var sec *secrets
	id.Owner = r.ownerOf(&a, h.Src, from)
	wait := false // say nothing yet
	text := r.objection(h, &a, err, from.Addr())
	if text == "" {
		text, wait = r.rival(now, &id)
	}
	if text == "" && a.HasEnc {
		switch sec, err = r.agree(now, pkt, h, &a, from.Addr()); err {
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
		if r.refusals.allow(now) {
			if !wait && !r.speaksFrom(h.Group, from) {
				it := r.packet(&session{info: id, version: h.Version}, wire.FuncAbort)
				it.s, it.text = nil, text
				r.push(it)
			}
			r.emit(Refused{Session: id, Text: text})
		}
		return machine.DropNone
	}
	if r.joinFailed && !a.Private.IsUnspecified() && !r.refusals.allow(now) {
		// It would only fail again, with an ABORT each time.
		if sec != nil {
			sec.release()
		}
		return machine.DropLimit
	}
	if victim != nil {
		r.evict(now, victim)
	}
	r.accept(now, id, h, &a, sec)
	return machine.DropNone
}

// objection returns why a session cannot be taken, in the words of the ABORT.
func (r *Receiver) objection(h wire.Header, a *wire.Announce, err error, from netip.Addr) string {
	switch {
	case err == wire.ErrHeaderLen:
		return "Invalid header size"
	case err == wire.ErrExtension:
		return "Invalid extension size"
	case !a.HasEnc && (r.cfg.MinSecurity > identity.None || r.encrypted(h.Group)):
		return "No unencrypted transfers allowed"
	case a.CC == wire.CCTFMCC:
		// Silence instead would stall the sender, who waits for feedback.
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

// knownAddr reports whether a sender may have this address at all. To a list of
// servers no other address gets an answer: its packets would not have come in
// through a source-specific membership either.
func (r *Receiver) knownAddr(from netip.Addr) bool {
	if len(r.cfg.Servers) == 0 {
		return true
	}
	for _, s := range r.cfg.Servers {
		if s.at(from) {
			return true
		}
	}
	return false
}

// knownServer is knownAddr for address and UID together.
func (r *Receiver) knownServer(uid wire.UID, from netip.Addr) bool {
	if len(r.cfg.Servers) == 0 {
		return true
	}
	for _, s := range r.cfg.Servers {
		if s.UID == uid && s.at(from) {
			return true
		}
	}
	return false
}

// sourceSpecific reports whether a is a source-specific multicast group: 232/8 or ff3x::.
func sourceSpecific(a netip.Addr) bool {
	if a.Is4() {
		return a.As4()[0] == 232
	}
	b := a.As16()
	return b[0] == 0xff && b[1]>>4 == 3
}

// accept opens a session in a free slot, which there is.
func (r *Receiver) accept(now clock.Time, id Session, h wire.Header, a *wire.Announce, sec *secrets) {
	slot := 0
	for r.slots[slot].phase != Free {
		slot++
	}
	s := &r.slots[slot]
	id.Slot = slot
	*s = session{
		info:      id,
		version:   h.Version,
		robust:    int(a.Robust),
		blockSize: int(a.BlockSize),
		sync:      a.Flags&(wire.AnnounceSync|wire.AnnouncePreview) != 0,
		preview:   a.Flags&wire.AnnouncePreview != 0,
		moves:     moves(id.From.Addr(), a.Private),
		stamp:     a.Time,
		heard:     now,
		spoke:     now,
		sec:       sec,
		joins:     s.joins,
		spare:     s.spare,
		lent:      s.lent,
	}
	s.win.start(h.Seq)
	r.sessions++
	r.index[key(h.Group, h.Instance)] = s
	r.setGRTT(s, h.GRTT)
	r.wait(s, true)
	r.emit(SessionStarted{Session: id, Public: a.Public, Private: a.Private, Sync: s.sync, Preview: s.preview})
	r.enter(now, s, Joining)

	if a.Private.IsUnspecified() || r.isPublic(a.Private) {
		r.registerFirst(now, s)
		return
	}
	s.private = a.Private
	switch other := r.sharer(s); {
	case other == nil:
		r.join(s)
	case other.member == member:
		s.member = member
		r.registerFirst(now, s)
	}
	// Otherwise the other session's Join answers for this one, too.
}

// isPublic reports whether a is joined for good.
func (r *Receiver) isPublic(a netip.Addr) bool {
	for _, p := range r.cfg.Public {
		if p == a {
			return true
		}
	}
	return false
}

// sharer returns another session of the same private group, one that is or asks
// to be a member before one that waits.
func (r *Receiver) sharer(s *session) *session {
	var found *session
	for i := range r.slots {
		o := &r.slots[i]
		if o == s || o.phase == Free || o.private != s.private {
			continue
		}
		if o.member != noMember {
			return o
		}
		found = o
	}
	return found
}

func (r *Receiver) join(s *session) {
	s.member = asked
	s.joins++
	r.emit(Join{Session: s.info, Group: s.private})
}

// leave gives up the membership of a session that ends, unless others need it. A Join that is still under way is taken back and asked for
// anew by the next in line, so the host never has two for one group.
func (r *Receiver) leave(s *session) {
	if s.member == noMember {
		return
	}
	other := r.sharer(s)
	if other == nil || s.member == asked {
		r.emit(Leave{Session: s.info, Group: s.private})
	}
	if other != nil && s.member == asked {
		r.join(other)
	}
}

// Joined answers the oldest Join of id's slot, for every session that waits for
// it. errText is empty when it worked; otherwise the host is not a member.
func (r *Receiver) Joined(now clock.Time, id SessionID, errText string) {
	s := &r.slots[id.Slot]
	s.joins--
	if s.joins > 0 || s.member != asked {
		return // that session is history
	}
	s.member = noMember
	r.joinFailed = errText != ""
	group := s.private
	for i := range r.slots {
		o := &r.slots[i]
		if o.phase != Joining || o.private != group {
			continue
		}
		if errText != "" {
			r.abort(now, o, "Error joining multicast group: "+errText, EndRefused)
			continue
		}
		o.member = member
		r.registerFirst(now, o)
	}
}

// registerFirst sends the first REGISTER. The limit of the registration goes on
// counting from the ANNOUNCE.
func (r *Receiver) registerFirst(now clock.Time, s *session) {
	r.enter(now, s, Registering)
	r.register(now, s)
}

// register sends REGISTER and sets the timer for the next one.
func (r *Receiver) register(now clock.Time, s *session) {
	it := r.packet(s, wire.FuncRegister)
	it.stamp, it.heard = s.stamp, s.heard
	r.push(it)
	r.step(s, RegisterSent)
	if s.sec != nil && s.sec.client.ClientAuth() {
		r.push(r.packet(s, wire.FuncClientKey))
		r.step(s, ClientKeySent)
	}
	r.arm(s, retryTimer, now, 4*s.grtt)
}

// gotRegConf takes REG_CONF.
func (r *Receiver) gotRegConf(now clock.Time, s *session, msg []byte) machine.Drop {
	switch s.phase {
	case MidGroup:
		s.alive(now)
		return machine.DropNone
	case Registering:
	default:
		return machine.DropPhase
	}
	x, err := wire.ParseHostList(msg)
	if err != nil || x.Func != wire.FuncRegConf {
		return machine.DropMalformed
	}
	if !x.Hosts.Contains(r.cfg.UID) {
		return machine.DropNotForUs
	}
	r.confirm(now, s)
	return machine.DropNone
}

// confirm ends the registration, in an encrypted session until missed.
func (r *Receiver) confirm(now clock.Time, s *session) {
	r.enter(now, s, MidGroup)
	if s.sec == nil {
		r.step(s, Confirmed)
		r.supersede(now, s)
	}
}

// missed takes an ANNOUNCE that comes after KEYINFO. KEYINFO proves nothing: a
// stranger's may have come while the sender never got our REGISTER. It then goes on
// asking for us, so REGISTER is repeated, until a sealed packet has proved the keys.
// An ANNOUNCE to everybody may be for others: it gets few of them.
func (r *Receiver) missed(now clock.Time, s *session, msg []byte) {
	a, err := wire.ParseAnnounce(s.version, msg)
	if err != nil || s.sec.settled || s.due[retryTimer] != clock.Never || now >= s.limit {
		return
	}
	switch {
	case len(a.Hosts) < 4:
		r.arm(s, retryTimer, now, 24*s.grtt)
	case a.Hosts.Contains(r.cfg.UID):
		r.arm(s, retryTimer, now, 4*s.grtt)
	}
}

// supersede lets a restarted session take the place of its older instances, once
// it is confirmed and, if encrypted, its sender has proved the keys. In clear, who
// could forge that could forge an ABORT.
func (r *Receiver) supersede(now clock.Time, s *session) {
	for i := range r.slots {
		o := &r.slots[i]
		if o.phase != Free && !o.ended && o.info.Group == s.info.Group && o.info.Instance < s.info.Instance && r.same(&o.info, &s.info) {
			r.end(now, o, EndSuperseded)
		}
	}
}

// fromSender reports whether a packet comes from an address of the session's sender, or
// may come from anywhere. The port may be another one.
func (r *Receiver) fromSender(from netip.AddrPort, s *session) bool {
	return r.cfg.Roaming || s.sentFrom(from)
}

// sentFrom reports whether a packet comes from the address that the session was announced
// from, or from the second one of its sender.
func (s *session) sentFrom(from netip.AddrPort) bool {
	return sameAddr(from, s.info.From) || s.moves && s.second == from.Addr()
}

// moves reports whether a host that announces from an address may send to a private group
// from another one. With IPv6 a host sends to groups of its link from its link-local address,
// and to wider ones from a global one if it has any.
func moves(from, private netip.Addr) bool {
	return private.Is6() && private.IsMulticast() && from.Is6() && !from.Is4In6() && narrow(private) != from.IsLinkLocalUnicast()
}

// narrow reports whether packets to an IPv6 group stay on their link.
func narrow(group netip.Addr) bool {
	return group.IsLinkLocalMulticast() || group.IsInterfaceLocalMulticast()
}

// mayMove reports whether from can be the second address of the session's sender.
func (s *session) mayMove(from netip.Addr) bool {
	return s.moves && from.Is6() && !from.Is4In6() && from.IsLinkLocalUnicast() != s.info.From.Addr().IsLinkLocalUnicast()
}

// gotElsewhere takes a message in clear from another address than the sender's. If that may
// have two, the other one is where its confirmation of our registration comes from.
func (r *Receiver) gotElsewhere(now clock.Time, from netip.AddrPort, s *session, h wire.Header, msg []byte) machine.Verdict {
	if s.phase != Registering || !s.mayMove(from.Addr()) || !r.knownServer(h.Src, from.Addr()) || !r.confirms(h, msg) {
		return drop(machine.DropSource)
	}
	s.second = from.Addr()
	v := r.gotMessage(now, s, h, msg)
	if s.phase == Registering {
		s.second = netip.Addr{} // refused for another reason
	}
	return v
}

// confirms reports whether a message confirms our registration.
func (r *Receiver) confirms(h wire.Header, msg []byte) bool {
	switch h.Func {
	case wire.FuncRegConf:
		x, err := wire.ParseHostList(msg)
		return err == nil && x.Func == h.Func && x.Hosts.Contains(r.cfg.UID)
	case wire.FuncFileInfo:
		x, err := wire.ParseFileInfo(h.Version, msg)
		return err == nil && x.FileID != 0 && x.Hosts.Contains(r.cfg.UID)
	}
	return false
}

// sameAddr compares addresses without ports: a restarted sender has a new one, and
// some translators of addresses change it. A link-local address has its interface as
// zone: on another link it is that of another host.
func sameAddr(a, b netip.AddrPort) bool { return a.Addr().Unmap() == b.Addr().Unmap() }

// refusals limits how many ANNOUNCEs of sessions that are not taken are answered
// or reported: nothing is kept of them, so nothing else could.
type refusals struct {
	left int
	last clock.Time // when left was last brought up to date
}

const (
	refusalsMax  = 64
	refusalEvery = 10 * time.Millisecond // one more
)

func (f *refusals) start(now clock.Time) { *f = refusals{left: refusalsMax, last: now} }

func (f *refusals) allow(now clock.Time) bool {
	if n := now.Sub(f.last) / refusalEvery; n > 0 {
		f.left = int(min(time.Duration(f.left)+n, refusalsMax))
		f.last = f.last.Add(n * refusalEvery)
	}
	if f.left == 0 {
		return false
	}
	f.left--
	return true
}
