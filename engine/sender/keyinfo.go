package sender

import (
	"bytes"
	"net/netip"
	"time"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// How clients receive the keys of an encrypted session (docs/protocol.md, "Key phase"):
// REGISTER and, if asked for, CLIENT_KEY make them Registered; KEYINFO lists them every cycle;
// a KEYINFO_ACK with the right verify data makes them Active.

// Limits on the public-key operations that hosts can cause, µs of work a second. They occur
// only during registration, when no data is sent; the limit leaves time for ANNOUNCE and
// KEYINFO.
const (
	keyWork      = 500_000
	keyWorkBurst = time.Second
	// With packet signatures of type KEYEX every forged packet costs a verification, also while
	// data is sent. Failures with the UID of one client have a limit of their own, so that others
	// are still heard, and there is one for all together. Packets from other addresses
	// than the client's have a smaller limit, and do not use up that of the client itself.
	failWork          = 200_000
	farFailWork       = 50_000
	clientFailWork    = 100_000
	clientFarFailWork = 20_000
	failWorkBurst     = 100 * time.Millisecond
)

// start is one start of a client, known by the random number of its REGISTER. It may also be
// another host that uses the client's UID.
type start struct {
	handshake.Peer
	addr     netip.AddrPort // where its REGISTER came from
	keyInfos int            // sent since
	rtt      time.Duration  // the least of its REGISTERs, 0 = none; believed when it has the keys
}

// member is what an encrypted session keeps of a client.
type member struct {
	peer   start
	acked  bool        // its KEYINFO_ACK was right: it has the keys of the group
	warned bool        // of a weak key
	window aead.Window // of its counters, valid when acked

	// Verifications with its key that failed, of packets from its address and from others, µs.
	failRate    cc.Bucket
	farFailRate cc.Bucket

	// A host that comes with another random number when peer is Ready is the client that was
	// started again, or another host. Until it has proved itself peer stays. At most one such
	// newcomer is kept, the latest.
	next *start
}

func newMember() *member {
	return &member{
		failRate:    cc.NewBucket(clientFailWork, failWorkBurst),
		farFailRate: cc.NewBucket(clientFarFailWork, failWorkBurst),
	}
}

// settle moves n into the place of peer and clears n.
func (k *member) settle(n *start) {
	k.peer.Wipe()
	k.peer = *n
	*n = start{}
}

// promote puts next into the place of peer.
func (k *member) promote() {
	k.settle(k.next)
	k.next = nil
}

// mayWork books a public-key operation of so many µs, if the budget allows it.
func (s *Sender) mayWork(now clock.Time, us int) bool {
	return s.budgets.keys.Allow(now, us)
}

// deriveKeys computes the keys of a host from its first REGISTER.
func (s *Sender) deriveKeys(now clock.Time, from netip.AddrPort, n *start, m *wire.Register) machine.Drop {
	if !s.mayWork(now, s.dialect.Handshake().RegisterCostUs()) {
		return machine.DropLimit
	}
	if s.dialect.Handshake().Register(&n.Peer, m.Random, m.KeyInfo) != nil {
		return machine.DropSealed
	}
	n.addr = from
	return machine.DropNone
}

// registerKeys takes a REGISTER of client i during registration.
func (s *Sender) registerKeys(now clock.Time, from netip.AddrPort, i int, m *wire.Register) machine.Drop {
	c := s.roster.At(i)
	// A host that shows no key cannot prove that it is the client that has the keys already;
	// and two hosts with one key would take each other's place for ever.
	taken := c.sharedReported || c.keys != nil && c.keys.acked && !s.dialect.Handshake().ClientAuth()
	if taken && s.foreign(now, from, wire.FuncRegister, i) {
		return machine.DropSource
	}
	if c.keys == nil {
		c.keys = newMember()
		s.restartQuiet(now, c)
	}
	known := c.keys.peer.Registered()
	n := s.startOf(c.keys, m)
	if n == nil {
		if !s.hasPlace(c.keys) {
			return machine.DropLimit
		}
		n = new(start)
		if d := s.deriveKeys(now, from, n, m); d != machine.DropNone {
			s.refuseOnce(now, wire.FuncRegister, i, badPremaster(d))
			return d
		}
		n = s.takePeer(c, n)
	}
	s.reportHeard(Heard{Func: wire.FuncRegister, Client: s.client(i), Repeat: known, RTT: s.registerRTT(now, from, c, n, m)})
	s.checkReady(c)
	return machine.DropNone
}

// startOf returns the start whose REGISTER m repeats, nil if m is of a new one.
func (s *Sender) startOf(k *member, m *wire.Register) *start {
	switch {
	case k.peer.Registered() && s.dialect.Handshake().Register(&k.peer.Peer, m.Random, nil) == nil:
		return &k.peer
	case k.next != nil && s.dialect.Handshake().Register(&k.next.Peer, m.Random, nil) == nil:
		return k.next
	}
	return nil
}

// hasPlace reports whether a newcomer may be kept. It must not replace one that has shown the
// client's key before that one was sent all its KEYINFOs.
func (s *Sender) hasPlace(k *member) bool {
	srv := s.dialect.Handshake()
	return k.next == nil || !srv.ClientAuth() || !srv.Ready(&k.next.Peer) || k.next.keyInfos >= s.cfg.Robust
}

// registerRTT takes the echo in a REGISTER of start n and returns the round trip time, 0 if it
// does not count. REGISTER is in clear. So a repetition counts only if it comes from the same
// address as the first one, and cannot raise the time; and until the host has the keys it
// cannot raise the group's time above the value that the session began with.
func (s *Sender) registerRTT(now clock.Time, from netip.AddrPort, c *client, n *start, m *wire.Register) time.Duration {
	rtt := s.roundTrip(now, m.Time)
	if !sameHost(from, n.addr) || rtt == 0 {
		return 0
	}
	if n.rtt == 0 || rtt < n.rtt {
		n.rtt = rtt
	}
	if n == &c.keys.peer && !c.keys.acked {
		c.sample = s.grtt.Measure(min(n.rtt, s.cfg.GRTT))
	}
	return rtt
}

// badPremaster says why a REGISTER was not taken.
func badPremaster(d machine.Drop) string {
	if d == machine.DropLimit {
		return "too many registrations at once"
	}
	return "its key information is not usable"
}

// takePeer puts n, a start of client c whose keys were derived, into its place and returns it
// there. A peer that is Ready stays; n is kept beside it. Where receivers show no key, a
// newcomer from the same address takes its place at once: a host that can send from there
// could send an ABORT as well, and a client that was started again need not wait.
func (s *Sender) takePeer(c *client, n *start) *start {
	k, srv := c.keys, s.dialect.Handshake()
	if !c.addr.IsValid() {
		c.settleAt(n.addr) // until it has proved itself
	}
	if srv.Ready(&k.peer.Peer) && (k.acked || srv.ClientAuth() || n.addr != k.peer.addr) {
		if k.next != nil {
			k.next.Wipe()
		}
		k.next = n
		return n
	}
	k.settle(n)
	if c.state == Registered {
		s.reg.keysSoon = true
	}
	return &k.peer
}

// checkReady makes c Registered when all is known that KEYINFO needs.
func (s *Sender) checkReady(c *client) {
	k, srv := c.keys, s.dialect.Handshake()
	switch {
	case c.state == Mute && srv.Ready(&k.peer.Peer):
		s.setState(c, Registered)
		s.reg.keysSoon = true
	case k.acked && k.next != nil && k.next.keyInfos == 0 && srv.Ready(&k.next.Peer):
		s.reg.keysSoon = true
	}
}

// handleClientKey takes a CLIENT_KEY of client i. If it is wrong the state of the client stays
// as it was, and the client repeats the message.
func (s *Sender) handleClientKey(now clock.Time, from netip.AddrPort, i int, msg []byte) machine.Drop {
	m, err := wire.ParseClientKey(msg)
	if err != nil {
		return s.badRegister(now, from, s.roster.UID(i), wire.FuncClientKey, err)
	}
	c := s.roster.At(i)
	srv := s.dialect.Handshake()
	if s.phase != Announcing || c.keys == nil || !srv.ClientAuth() || c.state.Failed() && c.state != Mute {
		return machine.DropPhase
	}
	k := c.keys
	p, shown := &k.peer, k.peer.Key()
	if k.next != nil {
		p = k.next
	}
	if !p.Registered() {
		return machine.DropPhase
	}
	repeat := srv.Ready(&p.Peer)
	switch { // the cheapest check comes first
	case c.want != nil && identity.BlobFingerprint(m.PublicKey) != *c.want:
		err = handshake.ErrClientPrint
	case shown != nil && !bytes.Equal(shown.AppendBlob(nil), m.PublicKey):
		err = handshake.ErrOtherKey
	case !repeat && !s.mayWork(now, srv.ClientKeyCostUs(m.PublicKey)):
		return machine.DropLimit
	default:
		err = srv.ClientKey(&p.Peer, m, c.want)
	}
	if err != nil {
		s.refuseOnce(now, wire.FuncClientKey, i, refusal(err))
		if err == handshake.ErrOtherKey && from != c.addr {
			s.rejectOther(now, from, i)
		}
		return machine.DropSealed
	}
	if !repeat {
		s.keyShown(i, from, p)
	}
	s.reportHeard(Heard{Func: wire.FuncClientKey, Client: s.client(i), Repeat: repeat || shown != nil})
	s.checkReady(c)
	return machine.DropNone
}

// keyShown notes that start p of client i has shown the client's key. A peer that has
// acknowledged stays all the same: CLIENT_KEY can be replayed, KEYINFO_ACK cannot.
func (s *Sender) keyShown(i int, from netip.AddrPort, p *start) {
	c := s.roster.At(i)
	k := c.keys
	if level, reason := p.Key().Strength(); level < identity.Medium && !k.warned {
		k.warned = true
		s.reports.must(KeyWarning{Client: s.client(i), Text: "its key is weak: " + reason})
	}
	if k.acked {
		return
	}
	if p == k.next {
		k.promote()
		s.reg.keysSoon = true
	}
	c.settleAt(from)
}

// refusal returns the text for the log of an error of the handshake.
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

// awaitingKeys returns the start of client c that KEYINFO should list, nil if there is none.
func (s *Sender) awaitingKeys(c *client) *start {
	k := c.keys
	switch {
	case k == nil || s.phase != Announcing:
	case c.state == Registered:
		return &k.peer
	case c.state == Active && k.next != nil && k.next.keyInfos < s.cfg.Robust && s.dialect.Handshake().Ready(&k.next.Peer):
		return k.next
	}
	return nil
}

// replaceSilentPeer gives a newcomer the place of a peer that does not answer. It must not do so
// earlier: a stock receiver that gets a KEYINFO meant for another one gives up.
func (s *Sender) replaceSilentPeer(c *client) {
	k := c.keys
	if c.state == Registered && k.next != nil && k.peer.keyInfos >= s.cfg.Robust/2 && s.dialect.Handshake().Ready(&k.next.Peer) {
		k.promote()
		c.settleAt(k.peer.addr)
	}
}

// keying reports whether a client registered so late that it was sent fewer KEYINFOs than
// others.
func (s *Sender) keying() bool {
	if !s.dialect.Encrypted() {
		return false
	}
	for i := range s.roster.Len() {
		if n := s.awaitingKeys(s.roster.At(i)); n != nil && n.keyInfos < s.cfg.Robust {
			return true
		}
	}
	return false
}

// keysNow reports whether KEYINFO should leave without waiting for the cycle: the last host of
// a closed group has registered, or clients are answered at once.
func (s *Sender) keysNow() bool {
	return s.reg.keysSoon && (s.answersAtOnce() || s.closed && s.in(Mute) == 0)
}

// keyInfoNow sends KEYINFO and repeats it after 3·G, with the round trip time measured by now.
// Where registration waits for others, the time that it gives them keeps its length.
func (s *Sender) keyInfoNow(now clock.Time) {
	s.reg.keysSoon = false
	s.updateGRTT()
	s.queue(round{fn: wire.FuncKeyInfo, number: s.cycle.attempt, first: s.answersAtOnce()})
	switch {
	case !s.answersAtOnce():
		s.timers.Hasten(timerCycle, now.Add(s.timerLength(timerCycle)))
	case !s.timers.Armed(timerKeys):
		s.timers.SetWhenSent(timerKeys)
	}
}

// appendKeyInfo appends the next part of KEYINFO, nothing if no client needs it.
func (s *Sender) appendKeyInfo(r *round, b []byte) []byte {
	room := min(wire.MaxKeyInfoItems(s.cfg.BlockSize), (wire.MaxDatagram-len(b))/wire.KeyInfoItemLen-1)
	m := wire.KeyInfo{}
	for ; r.next < s.roster.Len() && room > 0; r.next++ {
		c := s.roster.At(r.next)
		if s.awaitingKeys(c) == nil {
			continue
		}
		s.replaceSilentPeer(c)
		n := s.awaitingKeys(c)
		if r.first && n.keyInfos > 0 {
			continue
		}
		if m.Counter == 0 {
			m.Counter = s.dialect.Counters(1)
			b = m.Append(s.dialect.Version(), b)
		}
		b = s.dialect.Handshake().AppendKeyInfoItem(b, &n.Peer, s.roster.UID(r.next), s.cfg.UID, m.Counter)
		n.keyInfos++
		room--
	}
	return b
}

// handleSealed takes an ENCRYPTED datagram of client i.
func (s *Sender) handleSealed(now clock.Time, from netip.AddrPort, i int, pkt []byte) machine.Drop {
	c := s.roster.At(i)
	k := c.keys
	switch {
	case k == nil || !k.acked && !s.dialect.Handshake().Ready(&k.peer.Peer):
		return machine.DropSealed // it cannot have the keys
	case c.state.Failed():
		return machine.DropPhase
	case !s.mayVerify(now, from, c):
		return machine.DropLimit
	}
	msg, counter, err := s.dialect.Open(pkt, &k.peer.Peer)
	if err != nil {
		s.bookFailure(now, from, c, s.dialect.FailureCostUs())
		return machine.DropSealed
	}
	if len(msg) == 0 {
		return machine.DropMalformed
	}
	fn := wire.Func(msg[0])
	switch {
	case s.dialect.Ours(counter) && s.roster.UID(i) == s.cfg.UID:
		return machine.DropReplay // one of this sender that comes back
	case fn == wire.FuncKeyInfoAck:
		return s.handleKeyInfoAck(now, from, i, counter, msg)
	case !k.acked && fn != wire.FuncAbort:
		return machine.DropPhase
	case !s.dialect.Signed() && s.foreign(now, from, fn, i):
		return machine.DropSource
	case k.acked && !k.window.Mark(counter):
		return machine.DropReplay
	}
	return s.dispatch(now, from, fn, i, msg)
}

// handleKeyInfoAck takes a KEYINFO_ACK of client i, opened.
func (s *Sender) handleKeyInfoAck(now clock.Time, from netip.AddrPort, i int, counter uint64, msg []byte) machine.Drop {
	m, err := wire.ParseKeyInfoAck(s.dialect.Version(), msg)
	if err != nil {
		return machine.DropMalformed
	}
	if s.phase != Announcing {
		return machine.DropPhase
	}
	c := s.roster.At(i)
	k, srv := c.keys, s.dialect.Handshake()
	repeat, again := k.acked, k.acked
	switch {
	case k.next != nil && srv.CheckAck(&k.next.Peer, m.Verify) == nil:
		k.promote()
		k.window.Reset()
		k.window.Mark(counter)
		again = false
	case srv.CheckAck(&k.peer.Peer, m.Verify) != nil:
		s.refuse(now, wire.FuncKeyInfoAck, i, "wrong verify data")
		return machine.DropSealed
	case !k.window.Mark(counter):
		return machine.DropReplay
	}
	k.acked = true
	if !again {
		c.settleAt(from)
		if k.peer.rtt > 0 {
			c.sample = s.grtt.Measure(k.peer.rtt)
		}
	}
	if c.state == Registered {
		s.setState(c, Active)
	}
	s.reportHeard(Heard{Func: wire.FuncKeyInfoAck, Client: s.client(i), Repeat: repeat})
	return machine.DropNone
}

// mayVerify reports whether the budgets allow to verify a signed packet.
func (s *Sender) mayVerify(now clock.Time, from netip.AddrPort, c *client) bool {
	if !s.dialect.Signed() {
		return true
	}
	if s.budgets.failed.Next(now) > now {
		return false
	}
	if sameHost(from, c.addr) {
		return c.keys.failRate.Next(now) <= now
	}
	return s.budgets.failedFar.Next(now) <= now && c.keys.farFailRate.Next(now) <= now
}

// bookFailure books the time of a verification that failed, µs.
func (s *Sender) bookFailure(now clock.Time, from netip.AddrPort, c *client, us int) {
	if us == 0 {
		return
	}
	s.budgets.failed.Take(now, us)
	if sameHost(from, c.addr) {
		c.keys.failRate.Take(now, us)
		return
	}
	s.budgets.failedFar.Take(now, us)
	c.keys.farFailRate.Take(now, us)
}

// forgetPeers clears the secrets of clients that only registration needs.
func (s *Sender) forgetPeers() {
	for i := range s.roster.Len() {
		k := s.roster.At(i).keys
		if k == nil {
			continue
		}
		k.peer.Forget()
		if k.next != nil {
			k.next.Wipe()
			k.next = nil
		}
	}
}
