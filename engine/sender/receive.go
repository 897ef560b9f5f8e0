package sender

import (
	"net/netip"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// Handle implements [machine.Machine]. It never asks to store anything.
func (s *Sender) Handle(now clock.Time, d *machine.Datagram) machine.Verdict {
	s.input(now)
	drop := s.check(now, d.From, d.Data)
	if drop != machine.DropNone {
		s.counters.Drops[drop]++
	}
	return machine.Verdict{Drop: drop}
}

// check makes the checks that concern every message (docs/protocol.md, "Sender checks").
func (s *Sender) check(now clock.Time, from netip.AddrPort, pkt []byte) machine.Drop {
	h, msg, err := wire.ParseHeader(pkt)
	switch {
	case err == wire.ErrVersion:
		return machine.DropVersion
	case err != nil || h.Src == 0:
		return machine.DropMalformed
	case h.Group != s.cfg.Group || h.Instance != s.cfg.Instance:
		return machine.DropGroup
	case h.Func == wire.FuncEncrypted && !s.dialect.Encrypted():
		return machine.DropSealed
	case h.Func != wire.FuncEncrypted && !forSender(h.Func):
		return machine.DropFunction
	case s.phase == Ended || s.quit.wanted:
		return machine.DropPhase
	}
	i, known := s.roster.Find(h.Src)
	if !known {
		return s.handleStranger(now, from, &h, msg)
	}
	if h.Func == wire.FuncEncrypted {
		return s.handleSealed(now, from, i, pkt)
	}
	if !s.dialect.TakesClear(h.Func, s.roster.At(i).hasKeys()) {
		return machine.DropClear
	}
	encrypted := s.dialect.Encrypted()
	if (!encrypted || h.Func == wire.FuncAbort) && s.foreign(now, from, h.Func, i) {
		return machine.DropSource
	}
	if !encrypted {
		s.checkRepeat(from, i, h.Seq, msg)
	}
	return s.dispatch(now, from, h.Func, i, msg)
}

// dispatch passes a message of client i to its handler. If it was sealed it is open now.
func (s *Sender) dispatch(now clock.Time, from netip.AddrPort, fn wire.Func, i int, msg []byte) machine.Drop {
	switch fn {
	case wire.FuncRegister:
		return s.handleRegister(now, from, i, msg)
	case wire.FuncClientKey:
		if s.dialect.Encrypted() {
			return s.handleClientKey(now, from, i, msg)
		}
	case wire.FuncFileInfoAck:
		return s.handleFileInfoAck(now, i, msg)
	case wire.FuncStatus:
		return s.handleStatus(now, from, i, msg)
	case wire.FuncComplete:
		return s.handleComplete(now, i, msg)
	case wire.FuncAbort:
		return s.handleAbort(now, from, i, msg)
	}
	return machine.DropFunction // congestion control, and keys in clear
}

// forSender reports whether receivers send fn to senders.
func forSender(fn wire.Func) bool {
	switch fn {
	case wire.FuncRegister, wire.FuncClientKey, wire.FuncKeyInfoAck, wire.FuncFileInfoAck,
		wire.FuncStatus, wire.FuncComplete, wire.FuncAbort, wire.FuncCCAck:
		return true
	}
	return false
}

// handleStranger takes a message of a UID that is not in the roster.
func (s *Sender) handleStranger(now clock.Time, from netip.AddrPort, h *wire.Header, msg []byte) machine.Drop {
	open := s.phase == Announcing && !s.closed
	switch h.Func {
	case wire.FuncRegister:
		if open {
			return s.registerStranger(now, from, h.Src, msg)
		}
	case wire.FuncAbort:
		m, err := wire.ParseAbort(msg)
		if err != nil {
			return machine.DropMalformed
		}
		// A host that cannot take part says why; it needs no answer.
		if s.mayRefuse(now) {
			s.report(GotAbort{Client: Client{UID: h.Src, Name: h.Src.String()}, Text: string(m.Text)})
		}
		return machine.DropUnknown
	case wire.FuncClientKey:
		return machine.DropUnknown
	case wire.FuncEncrypted:
		if s.phase == Announcing {
			return machine.DropUnknown // a stranger cannot have the keys: it is not worth an ABORT
		}
	}
	if !open {
		s.refuseStranger(now, h.Func, h.Src, "not in host list")
		s.rejectHost(now, from, h.Src, notInList)
	}
	return machine.DropUnknown
}

// handleAbort takes an ABORT of client i. Anybody can send one for a listed host that has not
// registered: ANNOUNCE goes on listing the host, unless the ABORT comes from the address that
// is its UID.
func (s *Sender) handleAbort(now clock.Time, from netip.AddrPort, i int, msg []byte) machine.Drop {
	m, err := wire.ParseAbort(msg)
	if err != nil {
		return machine.DropMalformed
	}
	c := s.roster.At(i)
	if c.state.Failed() && (c.state != Mute || s.phase != Announcing) {
		return machine.DropPhase
	}
	if s.closed && c.state == Mute && !isUID(from, s.roster.UID(i)) {
		if c.addr.IsValid() {
			s.leave(c)
		}
		text := string(m.Text)
		if said := c.left && c.refused == text; !said && s.mayRefuse(now) {
			c.left, c.refused = true, text
			s.report(GotAbort{Client: s.client(i), Known: true, Text: text})
		}
		return machine.DropNone
	}
	if s.phase == Announcing && s.closed && c.state != Mute && c.returns < maxReturns {
		s.setState(c, Mute) // it is missing again, and ANNOUNCE lists it
		c.left, c.returns = true, c.returns+1
	} else {
		s.setState(c, Aborted)
	}
	if s.phase == Announcing {
		s.leave(c)
	}
	s.reports.must(GotAbort{Client: s.client(i), Known: true, Text: string(m.Text)})
	if s.cfg.QuitOnError {
		s.quit = quit{wanted: true, text: "A client aborted, aborting all"}
		s.rounds.n = 0
	}
	return machine.DropNone
}
