package engine

import (
	"errors"
	"net"
	"net/netip"

	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/ring"
)

// rxSlot is one receive buffer of a ring: a datagram, or several of seg bytes
// that the kernel joined.
type rxSlot struct {
	buf    []byte
	n, seg int
	from   netip.AddrPort
	writes writeList // receiver: what the core found to store
}

// receiveInto fills slots from the socket until it is closed.
func receiveInto(conn netio.Conn, h *ring.Hand[rxSlot], notes *mailbox[machine.Event], quit <-chan struct{}) {
	var batch [rxBatch]netio.RxSlot
	for {
		k := 0
		for k < rxBatch && h.Ahead(k) {
			batch[k].Buf = h.Peek(k).buf
			k++
		}
		if k == 0 {
			select {
			case <-h.Wake():
				continue
			case <-quit:
				return
			}
		}
		n, err := conn.ReadBatch(batch[:k])
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				notes.put(SendFailed{Err: err})
			}
			return
		}
		for i := range n {
			s, b := h.Peek(i), &batch[i]
			s.n, s.seg, s.from = b.N, b.Seg, b.From
			if b.Truncated {
				s.n = 0 // counted by netio
			}
		}
		h.Done(n)
	}
}
