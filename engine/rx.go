package engine

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/ring"
)

// rxSlot is one receive buffer of a ring: a datagram, or several of seg bytes
// that the kernel joined.
type rxSlot struct {
	buf    []byte
	n, seg int
	from   netip.AddrPort
	opened []receiver.Unsealed // receiver: what became of sealed datagrams so far
	writes writeList           // receiver: what the core found to store
}

// ReadFailed tells that the socket could not be read; it is tried again.
type ReadFailed struct{ Err error }

func (ReadFailed) MachineEvent() {}

// Waits after a failed read double from the first to the longest.
const (
	readRetryFirst = time.Millisecond
	readRetryMax   = time.Second
)

// step returns the size of the datagrams in the slot, but for the last.
func (s *rxSlot) step() int {
	if s.seg > 0 {
		return s.seg
	}
	return max(1, s.n)
}

// split puts the first datagrams of the slot into pkts and returns how many they are,
// and how many there are more: none, unless a kernel joins more than any known one.
func (s *rxSlot) split(pkts *[slotWritesMax][]byte) (k, more int) {
	step := s.step()
	for at := 0; at < s.n; at += step {
		if k == len(pkts) {
			return k, (s.n - at + step - 1) / step
		}
		pkts[k] = s.buf[at:min(at+step, s.n)]
		k++
	}
	return k, 0
}

// receiveInto fills slots from the socket until it is closed. Any other error is
// told and the read tried again: a process that goes deaf helps nobody.
func receiveInto(conn netio.Conn, h *ring.Hand[rxSlot], notes *mailbox[machine.Event], tap *tapLane, quit <-chan struct{}) {
	var batch [rxBatch]netio.RxSlot
	var retry time.Duration
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
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if retry == 0 {
				notes.put(ReadFailed{err})
			}
			retry = min(max(2*retry, readRetryFirst), readRetryMax)
			select {
			case <-time.After(retry):
				continue
			case <-quit:
				return
			}
		}
		retry = 0
		tap.received(batch[:n])
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
