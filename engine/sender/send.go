package sender

import (
	"net/netip"
	"time"

	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// Limits of the ABORTs to single hosts, which others can cause.
const (
	repliesPerSecond = 50 // to hosts that are not in the session
	replyBurst       = 500 * time.Millisecond
	abortGapMax      = time.Millisecond // between those to clients
)

// round is one message to all clients that it concerns, in as many parts as their list needs.
// lists decides who is on the list when a part is built.
type round struct {
	fn      wire.Func
	number  int
	part    int  // parts sent so far
	next    int  // place in the roster to go on from
	bare    bool // has no list, or is sent even if the list is empty
	all     bool // DONE_CONF: also to clients that were confirmed before
	first   bool // KEYINFO: only to clients that had none yet
	probe   bool // DONE in mid-pass that lists nobody: a question about section
	section int
	quiet   bool // does not count as a round, and is not reported
}

// rounds are those that wait. A phase queues three at most in one decision, and takes the next
// decision when they have left.
type rounds struct {
	list   [3]round // the first n, in order
	n      int
	partAt clock.Time // earliest moment of the next part of a round
	sentAt clock.Time // when the group was last sent something
}

// queue puts a round behind those that wait.
func (s *Sender) queue(r round) {
	if s.rounds.n == len(s.rounds.list) {
		panic("sender: a phase plans more rounds than there is room for")
	}
	s.rounds.list[s.rounds.n] = r
	s.rounds.n++
}

// sendRound builds the next part of the first round that has one.
func (s *Sender) sendRound(now clock.Time, p *machine.Packet) bool {
	for s.rounds.n > 0 {
		if now < s.rounds.partAt {
			return false
		}
		r := &s.rounds.list[0]
		sent := s.sendPart(now, r, p)
		if !sent || r.next == s.roster.Len() || r.fn == wire.FuncAnnounce && !s.closed {
			copy(s.rounds.list[:], s.rounds.list[1:s.rounds.n])
			s.rounds.n--
		}
		if sent {
			return true
		}
	}
	return false
}

// sendPart builds one datagram of r. It reports false if r needs no more.
func (s *Sender) sendPart(now clock.Time, r *round, p *machine.Packet) bool {
	sealed := s.dialect.Seals(r.fn)
	b := s.begin(p, r.fn, s.seq, sealed)
	to := s.cfg.Private
	fixed := len(b)
	switch r.fn {
	case wire.FuncAnnounce:
		to = s.cfg.Public
		b = s.appendAnnounce(now, b)
	case wire.FuncFileInfo:
		b = s.appendFileInfo(now, b)
	case wire.FuncDone:
		m := wire.Done{}
		switch s.phase {
		case Data:
			m = wire.Done{FileID: s.file.id, Section: uint16(max(s.file.layout.Sections-1, 0))}
			if r.probe {
				m.Section = uint16(r.section)
			}
		case Announcing, BetweenFiles:
			m.FileID = max(s.file.id, 1) // 0 would mean the end of the session
		}
		b = m.Append(b)
	case wire.FuncKeyInfo:
		if b = s.appendKeyInfo(r, b); len(b) == fixed {
			return false
		}
	default:
		m := wire.HostList{Func: r.fn}
		b = m.Append(b)
	}
	open := r.fn == wire.FuncAnnounce && !s.closed

	if !open && r.fn != wire.FuncKeyInfo {
		// A datagram may be longer than a block by its header, but not longer than
		// receivers read.
		room := min(wire.MaxUIDs(s.cfg.BlockSize), (s.dialect.LongestPacket(sealed)-len(b))/4)
		fixed = len(b)
		for ; r.next < s.roster.Len() && room > 0; r.next++ {
			if c := s.roster.At(r.next); s.lists(r, c) {
				b = wire.AppendUID(b, s.roster.UID(r.next))
				room--
				if r.fn == wire.FuncRegConf || r.fn == wire.FuncDoneConf {
					s.confirm(c)
				}
			}
		}
		if len(b) == fixed && (!r.bare || r.part > 0) {
			return false
		}
	}
	s.commit(p, to, b, sealed)
	s.rounds.sentAt = now
	r.part++
	if rate := s.pass.rate; rate > 0 {
		s.rounds.partAt = now.Add(time.Duration(int64(len(p.Data)+s.cfg.LowerLayers) * 1e9 / rate))
	}
	if r.probe || r.quiet {
		return true
	}
	s.report(Sent{Func: r.fn, Round: r.number, Part: r.part, Open: open})
	return true
}

// lists reports whether r concerns c.
func (s *Sender) lists(r *round, c *client) bool {
	switch r.fn {
	case wire.FuncAnnounce:
		return c.state == Mute
	case wire.FuncRegConf:
		return c.state == Active && !c.confirmed
	case wire.FuncFileInfo:
		return c.state == Registered
	case wire.FuncDone:
		return c.state == Active && s.phase != BetweenFiles && s.phase != Announcing && !r.probe
	}
	return c.state == Done && (r.all || !c.confirmed)
}

// header returns the header of a message with sequence number seq.
func (s *Sender) header(fn wire.Func, seq uint16) wire.Header {
	return wire.Header{
		Version:   s.dialect.Version(),
		Func:      fn,
		Seq:       seq,
		Src:       s.cfg.UID,
		Group:     s.cfg.Group,
		Instance:  s.cfg.Instance,
		GRTT:      s.grtt.code,
		GroupSize: wire.EncodeGroupSize(s.roster.Len()),
	}
}

// begin starts a datagram: its header and, if it will be sealed, the room that the seal needs
// before the message.
func (s *Sender) begin(p *machine.Packet, fn wire.Func, seq uint16, sealed bool) []byte {
	return s.dialect.Begin(p.Buffer(), s.header(fn, seq), sealed)
}

// commit makes b, started with begin and s.seq, the datagram that leaves next.
func (s *Sender) commit(p *machine.Packet, to netip.AddrPort, b []byte, sealed bool) {
	s.finish(p, to, b, sealed)
	s.seq++
}

// finish makes b, started with begin, a whole datagram.
func (s *Sender) finish(p *machine.Packet, to netip.AddrPort, b []byte, sealed bool) {
	p.To, p.Data = to, s.dialect.Finish(b, sealed)
	s.counters.Control++
}

// abort is an ABORT that waits to be sent; text "" is none.
type abort struct {
	to    netip.AddrPort
	uid   wire.UID // 0 = everybody
	flags uint8
	form  form
	text  string
}

// form says how an ABORT travels in an encrypted session: sealed to clients that have the keys,
// which ignore it in clear; in clear to those that have none; both ways when that is not known,
// or differs.
type form uint8

const (
	inClear form = iota
	bothWays
	inSeal
)

// aborts are the ABORTs that wait, in order of precedence.
type aborts struct {
	toAll     abort      // text "" = none
	replies   abortRing  // to hosts that are not in the session
	replyRate cc.Bucket  // of those
	toClients abortRing  // that are out of the session
	nextAt    clock.Time // of the next one to a client
}

// abortRing holds aborts in order. When it is full it takes no more: hosts that get no ABORT
// run into their own time limit.
type abortRing struct {
	buf  [256]abort
	head int
	n    int
}

func (r *abortRing) push(a abort) bool {
	if r.n == len(r.buf) {
		return false
	}
	r.buf[(r.head+r.n)%len(r.buf)] = a
	r.n++
	return true
}

// pop takes the oldest one out. One that travels both ways it returns twice.
func (r *abortRing) pop() abort {
	a := r.buf[r.head]
	if a.form == bothWays {
		r.buf[r.head].form = inSeal
		return a
	}
	r.head = (r.head + 1) % len(r.buf)
	r.n--
	return a
}

// abortAll sends an ABORT to all clients, before anything else. One that concerns a file does
// not concern clients without keys.
func (s *Sender) abortAll(flags uint8, text string) {
	s.aborts.toAll = abort{to: s.cfg.Private, flags: flags, form: s.form(flags&wire.AbortCurrentFile != 0), text: text}
}

// form returns how an ABORT travels to hosts that all have the keys, or may have not.
func (s *Sender) form(keyed bool) form {
	switch {
	case !s.dialect.Encrypted():
		return inClear
	case keyed:
		return inSeal
	}
	return bothWays
}

// abortClient aborts client i.
func (s *Sender) abortClient(i int, text string) { s.abortClientWith(i, 0, text) }

// abortClientWith is abortClient with flags.
func (s *Sender) abortClientWith(i int, flags uint8, text string) {
	form := s.form(s.roster.At(i).hasKeys())
	s.aborts.toClients.push(abort{to: s.cfg.Private, uid: s.roster.UID(i), flags: flags, form: form, text: text})
}

// rejectHost sends an ABORT to a host that cannot take part, at the address that it sent from.
func (s *Sender) rejectHost(now clock.Time, to netip.AddrPort, uid wire.UID, text string) {
	if s.aborts.replyRate.Allow(now, 1) {
		s.aborts.replies.push(abort{to: to, uid: uid, text: text})
	}
}

// sendAbort builds the next ABORT that may leave.
func (s *Sender) sendAbort(now clock.Time, p *machine.Packet) bool {
	var a abort
	switch {
	case s.aborts.toAll.text != "":
		a = s.aborts.toAll
		if s.aborts.toAll.form = inSeal; a.form != bothWays {
			s.aborts.toAll = abort{}
		}
	case s.aborts.replies.n > 0:
		a = s.aborts.replies.pop()
	case s.aborts.toClients.n > 0 && now >= s.aborts.nextAt:
		a = s.aborts.toClients.pop()
		s.aborts.nextAt = now.Add(min(s.grtt.interval, abortGapMax))
	default:
		return false
	}
	m := wire.Abort{Flags: a.flags, Host: a.uid, Text: []byte(a.text)}
	sealed := a.form == inSeal
	s.commit(p, a.to, m.Append(s.begin(p, wire.FuncAbort, s.seq, sealed)), sealed)
	if a.form != bothWays {
		s.report(SentAbort{UID: a.uid, Text: a.text})
	}
	return true
}
