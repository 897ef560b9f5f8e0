package receiver

import (
	"uftp/wire"
)

// sentBySenders reports whether a message that came sealed can be one of a sender.
// All have the same keys, and sender and receiver of one host the same UID, so a
// packet of ours that somebody sends back opens too. ABORT goes both ways: echo
// tells which one it is.
func sentBySenders(msg []byte, echo bool) bool {
	if len(msg) < wire.MinDatagram-wire.HeaderLen {
		return false
	}
	switch wire.Func(msg[0]) {
	case wire.FuncRegConf, wire.FuncFileInfo, wire.FuncFileSeg, wire.FuncDone, wire.FuncDoneConf, wire.FuncCongCtrl:
		return true
	case wire.FuncAbort:
		return !echo
	}
	return false
}

// mayBeOurs reports whether a packet that came may be one of ours: receivers have no
// round trip time to tell, and senders always have.
func (r *Receiver) mayBeOurs(h wire.Header) bool { return h.Src == r.cfg.UID && h.GRTT == 0 }

// wellFormed reports whether a message that passed sentBySenders is as a sender makes
// it. Of messages that wrong keys make up, about one in 100,000 is.
func wellFormed(msg []byte) bool {
	header := 4 * int(msg[1])
	hosts := (len(msg)-header)%4 == 0
	switch wire.Func(msg[0]) {
	case wire.FuncFileInfo:
		x, err := wire.ParseFileInfo(wire.Version4, msg)
		return err == nil && hosts && len(x.Name) > 0
	case wire.FuncFileSeg:
		return header == wire.FileSegLen && len(msg) > header
	case wire.FuncDone:
		return header == 8 && hosts && len(msg) >= header
	case wire.FuncRegConf, wire.FuncDoneConf:
		return header == 4 && hosts
	case wire.FuncCongCtrl:
		return header == 16 && hosts && len(msg) >= header
	case wire.FuncAbort:
		return header == len(msg) && header == 8+wire.AbortTextLen
	}
	return false
}
