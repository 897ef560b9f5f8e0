package receiver

import (
	"uftp/engine/clock"
	"uftp/engine/machine"
)

// HandleBatch is Handle for datagrams that arrived together: out[i] becomes the verdict
// about pkts[i]. d says where and when all of them arrived; HandleBatch puts one after
// the other into d.Data. Sealed datagrams that no Unsealer has tried are opened side by
// side, which makes the CCM ciphers several times as fast.
//
// opened[i] is what an Unsealer has made of pkts[i]; one that is zero has not been
// tried. All are zero afterwards. opened and out must be at least as long as pkts.
func (r *Receiver) HandleBatch(now clock.Time, d *machine.Datagram, pkts [][]byte, opened []Unsealed, out []machine.Verdict) {
	r.unsealer.Unseal(pkts, opened)
	for i, pkt := range pkts {
		d.Data = pkt
		out[i] = r.handle(now, d, opened[i])
		opened[i] = Unsealed{}
	}
}
