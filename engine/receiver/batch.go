package receiver

import (
	"net/netip"

	"uftp/engine/clock"
	"uftp/engine/machine"
)

// HandleBatch is Handle for datagrams that came together: out[i] becomes the
// verdict about pkts[i]. It comes to the same, but sealed ones that nobody has tried
// to open are opened side by side, which makes the CCM ciphers several times as fast.
//
// opened[i] is what an Unsealer has made of pkts[i]; one that is zero has not been
// tried. All are zero afterwards. opened and out must be at least as long as pkts.
func (r *Receiver) HandleBatch(now clock.Time, from netip.AddrPort, pkts [][]byte, opened []Unsealed, out []machine.Verdict) {
	r.unsealer.Unseal(pkts, opened)
	for i, pkt := range pkts {
		out[i] = r.handle(now, from, pkt, opened[i])
		opened[i] = Unsealed{}
	}
}
