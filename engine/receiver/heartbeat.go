package receiver

import (
	"net/netip"

	"uftp/crypto/handshake"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// heartbeat sends HB_REQ to each configured host (docs/protocol.md, "Heartbeat"). It carries no
// key: only a host that asks for one sees it.
func (r *Receiver) heartbeat(now clock.Time) {
	for i := range r.cfg.Heartbeats {
		r.sendHeartbeat(i, nil)
		r.shown[i] = false
	}
	r.nextBeat = clock.Never
	if r.cfg.HeartbeatEvery > 0 {
		r.nextBeat = now.Add(r.cfg.HeartbeatEvery)
	}
}

// sendHeartbeat sends HB_REQ to host i. It signs the challenge, if there is one.
func (r *Receiver) sendHeartbeat(i int, challenge *uint32) {
	to := r.cfg.Heartbeats[i]
	var m heartbeat
	if challenge != nil {
		key := r.cfg.Keys[0]
		sig, err := handshake.AppendNonceSignature(nil, key, *challenge)
		if err != nil {
			return // the host gets no answer
		}
		m = heartbeat{Nonce: *challenge, PublicKey: key.Public().AppendBlob(nil), Signature: sig}
	}
	r.expected[i] = true
	r.sayClear(to, wire.Version4, &Session{}, wire.FuncHBReq, m)
	r.emit(Heartbeat{Peer: to})
}

// gotHBResp takes HB_RESP, one for each HB_REQ. The answer to a challenge leaves at once, with
// the first key, but once between two heartbeats, since a challenge makes us sign.
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
		if x.Result == wire.HBChallenge && len(r.cfg.Keys) > 0 && !r.shown[i] {
			r.shown[i] = true
			r.sendHeartbeat(i, &x.Nonce)
		}
		return machine.DropNone
	}
	return machine.DropSource
}

type heartbeat wire.HBReq

func (m heartbeat) appendTo(b []byte, _ *item, _ clock.Time) ([]byte, bool) {
	x := wire.HBReq(m)
	return x.Append(b), false
}
