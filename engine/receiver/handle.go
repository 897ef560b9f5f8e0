package receiver

import (
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/seal"
	"uftp/wire"
)

// Handle implements [machine.Machine] (docs/protocol.md, "Receiver checks").
func (r *Receiver) Handle(now clock.Time, d *machine.Datagram) machine.Verdict {
	return r.handle(now, d, seal.Mark{})
}

// HandleBatch is Handle for datagrams that arrived together: out[i] becomes the verdict
// about pkts[i]. d says where and when all of them arrived; HandleBatch puts one after
// the other into d.Data. Sealed datagrams that no Unsealer has tried are opened side by
// side, which makes the CCM ciphers several times as fast.
//
// marks[i] is what an Unsealer of the host says about pkts[i]; all are zero afterwards. marks
// and out must be at least as long as pkts.
func (r *Receiver) HandleBatch(now clock.Time, d *machine.Datagram, pkts [][]byte, marks []seal.Mark, out []machine.Verdict) {
	r.unsealer.Unseal(pkts, marks)
	for i, pkt := range pkts {
		d.Data = pkt
		out[i] = r.handle(now, d, marks[i])
		marks[i] = seal.Mark{}
	}
}

func (r *Receiver) handle(now clock.Time, d *machine.Datagram, m seal.Mark) machine.Verdict {
	h, msg, err := wire.ParseHeader(d.Data)
	if err != nil {
		if err == wire.ErrVersion {
			return drop(machine.DropVersion)
		}
		return drop(machine.DropMalformed)
	}
	s := r.find(h.Group, h.Instance)
	if s == nil {
		return drop(r.gotUnknown(now, d, h, msg))
	}
	// Only the sender may move the window of sequence numbers and GRTT. Its UID is no secret,
	// so messages in clear must come from its address as well.
	if h.Src != s.info.Sender {
		return drop(machine.DropSource)
	}
	switch {
	case s.ended:
		return drop(machine.DropPhase)
	case !s.dialect.Encrypted() && !s.fromSender(d.From):
		return s.gotFromOtherAddr(now, d.From, h, msg)
	case !s.dialect.Encrypted():
		return s.gotMessage(now, h, msg)
	case h.Func == wire.FuncEncrypted:
		return s.gotSealed(now, d, h, m)
	}
	return drop(s.gotClear(now, d, h, msg))
}

// gotUnknown takes a message that belongs to no session.
func (r *Receiver) gotUnknown(now clock.Time, d *machine.Datagram, h wire.Header, msg []byte) machine.Drop {
	if r.full() {
		return machine.DropLimit
	}
	switch h.Func {
	case wire.FuncAnnounce:
		return r.gotAnnounce(now, d, h, msg)
	case wire.FuncHBResp:
		return r.gotHBResp(d.From, msg)
	case wire.FuncHBReq, wire.FuncKeyReq, wire.FuncProxyKey:
		return machine.DropFunction
	}
	return machine.DropGroup
}

// gotMessage takes a message of the session's sender. It came in clear from the sender's
// address, or it was sealed; then h.Func is that of the message.
func (s *session) gotMessage(now clock.Time, h wire.Header, msg []byte) machine.Verdict {
	newest := false
	if h.Func != wire.FuncAbort && h.Func != wire.FuncKeyInfo {
		var ok bool
		if ok, newest = s.win.accept(h.Seq); !ok {
			return drop(machine.DropSequence)
		}
	}
	s.heardAt = now
	if h.GRTT != s.grttCode {
		s.setGRTT(h.GRTT)
	}
	if s.phase.unconfirmed() {
		s.restartIdle(now) // in later phases it depends on the message
	}
	if h.Func == wire.FuncFileSeg {
		return s.gotFileSeg(now, msg, newest)
	}
	if s.r.full() {
		return drop(machine.DropLimit)
	}
	return drop(s.gotControl(now, h, msg))
}

// gotControl takes every message of a session but FILESEG.
func (s *session) gotControl(now clock.Time, h wire.Header, msg []byte) machine.Drop {
	switch h.Func {
	case wire.FuncAbort:
		return s.gotAbort(now, h.Seq, msg)
	case wire.FuncFileInfo:
		return s.gotFileInfo(now, msg)
	case wire.FuncDone:
		return s.gotDone(now, msg)
	case wire.FuncRegConf:
		return s.gotRegConf(now, msg)
	case wire.FuncDoneConf:
		return s.gotDoneConf(now, msg)
	case wire.FuncEncrypted:
		return machine.DropSealed
	}
	// What is left: a repeated ANNOUNCE, KEYINFO and CONG_CTRL in a session without keys and
	// congestion control, and messages that no sender sends.
	if s.phase != MidGroup {
		return machine.DropPhase
	}
	s.restartIdle(now)
	return machine.DropNone
}

func drop(d machine.Drop) machine.Verdict { return machine.Verdict{Drop: d} }
