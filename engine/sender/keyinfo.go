package sender

import (
	"net/netip"
	"time"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// How clients come to the keys of an encrypted session (v4-crypto.md section 4,
// v4-sender.md section 4): REGISTER and, if asked for, CLIENT_KEY make them
// Registered; KEYINFO goes to them every cycle; a KEYINFO_ACK with the right
// verify data makes them Active.

// Limits on the public-key operations that hosts can cause, µs of work a second.
// They come up during registration only, when no data is sent; the limit keeps
// ANNOUNCE and KEYINFO going.
const (
	keyWork      = 500_000
	keyWorkBurst = time.Second
	// With packet signatures of type KEYEX whoever sends rubbish makes us verify it,
	// while data is sent too. Failures are counted against the first limit; those
	// from where the client does not live against the second as well.
	failWork      = 200_000
	farFailWork   = 50_000
	failWorkBurst = 100 * time.Millisecond
)

// member is what an encrypted session keeps of a client.
type member struct {
	peer     handshake.Peer
	acked    bool                // its KEYINFO_ACK was right: it has the keys of the group
	keyInfos int                 // sent since its REGISTER
	key      *identity.PublicKey // signs its packets; set when peer is forgotten
	window   aead.Window         // of its counters, valid when acked

	// A client that was started again comes with another random number. Until it has
	// proved that it has the keys, what the old one said stays true.
	next     *handshake.Peer
	nextAddr netip.AddrPort
}

// mayWork books a public-key operation of so many µs, if there is time for it.
func (s *Sender) mayWork(now clock.Time, us int) bool {
	if s.keyRate.Next(now) > now {
		return false
	}
	s.keyRate.Take(now, us)
	return true
}

// agree computes the keys of a host that comes with a new REGISTER.
func (s *Sender) agree(now clock.Time, p *handshake.Peer, m *wire.Register) machine.Drop {
	if !s.mayWork(now, s.sec.server.RegisterCostUs()) {
		return machine.DropLimit
	}
	if s.sec.server.Register(p, m.Random, m.KeyInfo) != nil {
		return machine.DropSealed
	}
	return machine.DropNone
}

// registerKeys takes a REGISTER of client i during registration.
func (s *Sender) registerKeys(now clock.Time, from netip.AddrPort, i int, m *wire.Register) machine.Drop {
	c := s.roster.At(i)
	k, srv := c.keys, s.sec.server
	known := k != nil && k.peer.Registered()
	again := known && srv.Register(&k.peer, m.Random, nil) == nil ||
		k != nil && k.next != nil && srv.Register(k.next, m.Random, nil) == nil
	if !again {
		var p handshake.Peer
		if d := s.agree(now, &p, m); d != machine.DropNone {
			s.refuse(now, wire.FuncRegister, i, badPremaster(d))
			return d
		}
		s.takePeer(c, from, p)
	}
	h := Heard{Func: wire.FuncRegister, Client: s.client(i), Repeat: known}
	if !c.keys.acked {
		h.RTT = s.measure(now, c, m.Time) // who has the keys says nothing in clear that counts
	}
	s.reportHeard(h)
	s.checkReady(c)
	return machine.DropNone
}

// badPremaster says why a REGISTER was not taken.
func badPremaster(d machine.Drop) string {
	if d == machine.DropLimit {
		return "too many registrations at once"
	}
	return "its key information is not usable"
}

// takePeer puts the keys agreed with client c in their place.
func (s *Sender) takePeer(c *client, from netip.AddrPort, p handshake.Peer) {
	if c.keys == nil {
		c.keys = new(member)
	}
	k := c.keys
	k.keyInfos = 0
	if k.acked {
		if k.next != nil {
			k.next.Wipe()
		}
		k.next, k.nextAddr = &p, from
		return
	}
	k.peer.Wipe()
	k.peer = p
	c.addr = from
	if c.state == Registered {
		s.setState(c, Mute) // until it has shown its key again
	}
}

// checkReady moves c on when there is nothing more to hear before KEYINFO.
func (s *Sender) checkReady(c *client) {
	k := c.keys
	switch {
	case c.state == Mute && s.sec.server.Ready(&k.peer):
		s.setState(c, Registered)
		s.hurry = true
	case k.next != nil && k.keyInfos == 0 && s.sec.server.Ready(k.next):
		s.hurry = true
	}
}

// handleClientKey takes a CLIENT_KEY of client i. Whatever is wrong with it, the
// client stays as it was and comes again.
func (s *Sender) handleClientKey(now clock.Time, from netip.AddrPort, i int, msg []byte) machine.Drop {
	m, err := wire.ParseClientKey(msg)
	if err != nil {
		return s.badRegister(now, from, s.roster.UID(i), wire.FuncClientKey, err)
	}
	c := s.roster.At(i)
	srv := s.sec.server
	if s.phase != Announcing || c.keys == nil || !srv.ClientAuth() || c.state.Failed() && c.state != Mute {
		return machine.DropPhase
	}
	p := &c.keys.peer
	if c.keys.next != nil && srv.Ready(p) {
		p = c.keys.next
	}
	if !p.Registered() {
		return machine.DropPhase
	}
	repeat := srv.Ready(p)
	if !repeat && !s.mayWork(now, srv.ClientKeyCostUs(m.PublicKey)) {
		return machine.DropLimit
	}
	err = srv.ClientKey(p, m, c.want)
	if err == nil && p == c.keys.next && !p.Key().Equal(c.keys.peer.Key()) {
		p.Wipe()
		c.keys.next = nil
		err = handshake.ErrOtherKey
	}
	if err != nil {
		s.refuse(now, wire.FuncClientKey, i, refusal(err))
		return machine.DropSealed
	}
	s.reportHeard(Heard{Func: wire.FuncClientKey, Client: s.client(i), Repeat: repeat || c.keys.acked})
	s.checkReady(c)
	return machine.DropNone
}

// refusal puts an error of the handshake into words for the log.
func refusal(err error) string {
	switch err {
	case handshake.ErrClientPrint:
		return "the key has another fingerprint than the one listed"
	case handshake.ErrOtherKey:
		return "it has shown another key before"
	case handshake.ErrKeyKind:
		return "the key is not of the kind that signs packets"
	}
	return "key or signature is not valid"
}

// keyless returns with whom the group's keys are still to be shared as client c,
// nil if with nobody.
func (s *Sender) keyless(c *client) *handshake.Peer {
	k := c.keys
	switch {
	case k == nil || s.phase != Announcing:
	case c.state == Registered:
		return &k.peer
	case c.state == Active && k.next != nil && k.keyInfos < s.cfg.Robust && s.sec.server.Ready(k.next):
		return k.next
	}
	return nil
}

// keying reports whether somebody registered so late that KEYINFO was not sent to
// it as often as others.
func (s *Sender) keying() bool {
	if s.sec == nil {
		return false
	}
	for i := range s.roster.Len() {
		if c := s.roster.At(i); s.keyless(c) != nil && c.keys.keyInfos < s.cfg.Robust {
			return true
		}
	}
	return false
}

// keysNow reports whether KEYINFO should leave without waiting for the cycle: the
// last one of a closed group has registered, or whoever waits for few wants them
// soon.
func (s *Sender) keysNow() bool {
	return s.hurry && (s.early() || s.closed && s.in(Mute) == 0)
}

// keyInfoNow sends KEYINFO and has it repeated by the clock of the round trip time
// measured by now.
func (s *Sender) keyInfoNow(now clock.Time) {
	s.hurry = false
	s.updateGRTT()
	s.queue(round{fn: wire.FuncKeyInfo, number: s.attempt, first: !s.closed})
	s.timers.Hasten(timerCycle, now.Add(s.length(timerCycle)))
}

// appendKeyInfo appends the next part of KEYINFO; nothing if it concerns nobody.
func (s *Sender) appendKeyInfo(r *round, b []byte) []byte {
	room := min(wire.MaxKeyInfoItems(s.cfg.BlockSize), (wire.MaxDatagram-len(b))/wire.KeyInfoItemLen-1)
	m := wire.KeyInfo{}
	for ; r.next < s.roster.Len() && room > 0; r.next++ {
		c := s.roster.At(r.next)
		p := s.keyless(c)
		if p == nil || r.first && c.keys.keyInfos > 0 {
			continue
		}
		if m.Counter == 0 {
			m.Counter = s.sec.take(1)
			b = m.Append(b)
		}
		b = s.sec.server.AppendKeyInfoItem(b, p, s.roster.UID(r.next), s.cfg.UID, m.Counter)
		c.keys.keyInfos++
		room--
	}
	return b
}

// handleSealed takes an ENCRYPTED datagram of client i.
func (s *Sender) handleSealed(now clock.Time, from netip.AddrPort, i int, pkt []byte) machine.Drop {
	c := s.roster.At(i)
	k := c.keys
	switch {
	case k == nil || !k.acked && !s.sec.server.Ready(&k.peer):
		return machine.DropSealed // it cannot have the keys
	case c.state.Failed():
		return machine.DropPhase
	case !s.mayVerify(now, from, c):
		return machine.DropLimit
	}
	msg, counter, err := s.sec.opener.Open(pkt)
	if err != nil {
		s.bookFailure(now, from, c)
		return machine.DropSealed
	}
	if len(msg) == 0 {
		return machine.DropMalformed
	}
	fn := wire.Func(msg[0])
	switch {
	case fn == wire.FuncKeyInfoAck:
		return s.handleKeyInfoAck(now, i, counter, msg)
	case !k.acked && fn != wire.FuncAbort:
		return machine.DropPhase
	case k.acked && !k.window.Mark(counter):
		return machine.DropReplay
	}
	return s.dispatch(now, from, fn, i, msg)
}

// handleKeyInfoAck takes a KEYINFO_ACK of client i, opened.
func (s *Sender) handleKeyInfoAck(now clock.Time, i int, counter uint64, msg []byte) machine.Drop {
	m, err := wire.ParseKeyInfoAck(msg)
	if err != nil {
		return machine.DropMalformed
	}
	if s.phase != Announcing {
		return machine.DropPhase
	}
	c := s.roster.At(i)
	k, srv := c.keys, s.sec.server
	repeat := k.acked
	switch {
	case k.next != nil && srv.CheckAck(k.next, m.Verify) == nil:
		k.peer.Wipe()
		k.peer, k.next = *k.next, nil
		c.addr = k.nextAddr
		k.window.Reset()
		k.window.Mark(counter)
	case srv.CheckAck(&k.peer, m.Verify) != nil:
		s.refuse(now, wire.FuncKeyInfoAck, i, "wrong verify data")
		return machine.DropSealed
	case !k.window.Mark(counter):
		return machine.DropReplay
	}
	k.acked = true
	if c.state == Registered {
		s.setState(c, Active)
	}
	s.reportHeard(Heard{Func: wire.FuncKeyInfoAck, Client: s.client(i), Repeat: repeat})
	return machine.DropNone
}

// mayVerify reports whether there is time to verify a signed packet.
func (s *Sender) mayVerify(now clock.Time, from netip.AddrPort, c *client) bool {
	if s.sec.sigLen == 0 {
		return true
	}
	return s.failRate.Next(now) <= now && (from == c.addr || s.farFailRate.Next(now) <= now)
}

// bookFailure counts the time of a verification that came to nothing.
func (s *Sender) bookFailure(now clock.Time, from netip.AddrPort, c *client) {
	key := c.keys.verifier()
	if s.sec.sigLen == 0 || key == nil {
		return
	}
	us := s.sec.server.ClientKeyCostUs(key.AppendBlob(nil))
	s.failRate.Take(now, us)
	if from != c.addr {
		s.farFailRate.Take(now, us)
	}
}

// verifier returns the key that signs the client's packets, nil if none is known.
func (k *member) verifier() *identity.PublicKey {
	if k.key != nil {
		return k.key
	}
	return k.peer.Key()
}

// verifierOf is verifier for the opener.
func (s *Sender) verifierOf(uid wire.UID) aead.Verifier {
	if i, ok := s.roster.Find(uid); ok {
		if k := s.roster.At(i).keys; k != nil {
			if key := k.verifier(); key != nil {
				return key
			}
		}
	}
	return nil
}

// forgetPeers clears what only registration needs of the clients' secrets.
func (s *Sender) forgetPeers() {
	for i := range s.roster.Len() {
		k := s.roster.At(i).keys
		if k == nil {
			continue
		}
		k.key = k.peer.Key()
		k.peer.Wipe()
		if k.next != nil {
			k.next.Wipe()
			k.next = nil
		}
	}
}
