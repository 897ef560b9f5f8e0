package receiver

import (
	"net/netip"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// heartbeat sends a HB_REQ to each configured host (v4-receiver.md section 14).
// It carries no key: there is none before encryption exists.
func (r *Receiver) heartbeat(now clock.Time) {
	for i, to := range r.cfg.Heartbeats {
		r.expected[i] = true
		r.push(item{to: to, head: wire.Header{Version: wire.Version4, Func: wire.FuncHBReq, Src: r.cfg.UID}})
		r.emit(Heartbeat{Peer: to})
	}
	r.beat = clock.Never
	if r.cfg.HeartbeatEvery > 0 {
		r.beat = now.Add(r.cfg.HeartbeatEvery)
	}
}

// gotHBResp takes HB_RESP, one for each HB_REQ.
func (r *Receiver) gotHBResp(from netip.AddrPort, msg []byte) machine.Drop {
	for i, to := range r.cfg.Heartbeats {
		if !r.expected[i] || to.Port() != from.Port() || !sameAddr(to, from) {
			continue
		}
		x, err := wire.ParseHBResp(msg)
		if err != nil {
			return machine.DropMalformed
		}
		r.expected[i] = false
		r.emit(Heartbeat{Peer: to, Response: true, Result: x.Result})
		return machine.DropNone
	}
	return machine.DropSource
}
