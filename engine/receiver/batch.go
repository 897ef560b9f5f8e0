package receiver

import (
	"net/netip"

	"uftp/crypto/aead"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// batchMax is how many datagrams are opened together: what a kernel joins at most.
const batchMax = 64

// HandleBatch is Handle for datagrams that came together: out[i] becomes the
// verdict about pkts[i]. It comes to the same, but neighbours of one encrypted
// session are opened side by side, which makes the CCM ciphers several times as
// fast. len(out) must be at least len(pkts).
//
// Opening is apart from what the session does with the outcome (gotOpened), so
// that other goroutines, with openers of their own, could do it before.
func (r *Receiver) HandleBatch(now clock.Time, from netip.AddrPort, pkts [][]byte, out []machine.Verdict) {
	for i := 0; i < len(pkts); {
		s, n := r.alike(pkts[i:min(len(pkts), i+batchMax)])
		if n < 2 {
			out[i] = r.Handle(now, from, pkts[i])
			i++
			continue
		}
		c := s.sec
		c.current.opener.OpenBatch(pkts[i:i+n], r.opened[:n])
		for j := range n {
			o := &r.opened[j]
			v := drop(machine.DropGroup) // what came before has ended the session
			if s.sec == c {
				v = drop(machine.DropPhase)
				if !s.ended {
					h, _, _ := wire.ParseHeader(pkts[i+j])
					v = r.gotOpened(now, from, s, h, o.Msg, o.Counter, o.Err)
				}
			}
			*o = aead.Opened{}
			r.drops[v.Drop]++
			out[i+j] = v
		}
		i += n
	}
}

// alike returns the session and the number of the first datagrams that can be
// opened together: all sealed, of one session, not to be refused before that, and
// in order, so that none of them is a replay of another. Signed ones are taken one
// by one: each bad one counts before the next.
func (r *Receiver) alike(pkts [][]byte) (s *session, n int) {
	var last uint64
	for _, pkt := range pkts {
		h, _, err := wire.ParseHeader(pkt)
		if err != nil || h.Func != wire.FuncEncrypted {
			break
		}
		o := r.find(h.Group, h.Instance)
		if o == nil || s != nil && o != s || o.sec == nil || !o.sec.settled || o.sec.signed != nil || o.ended || h.Src != o.info.Sender || o.sec.refuse(pkt) != machine.DropNone {
			break
		}
		ctr := counterOf(pkt)
		if n > 0 && ctr <= last {
			break
		}
		s, last = o, ctr
		n++
	}
	return s, n
}
