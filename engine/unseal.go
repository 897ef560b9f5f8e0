package engine

import (
	"uftp/engine/machine"
	"uftp/engine/ring"
	"uftp/engine/seal"
)

// unsealBytes is how much an opener opens before it looks for news and wakes the core.
const unsealBytes = 64 << 10

// keyNews gives an opener the key of a session, or takes it away.
type keyNews struct {
	key *seal.Key // to be added; nil: the keys of a session that is over are removed
	// The session that is over.
	group    uint32
	instance uint8
}

// opener is one goroutine of the stage between socket and core that opens sealed
// datagrams. All it knows are keys. The core sends each opener keys of its own, and the
// opener wipes them when it hears that their session is over. So a key that comes late, or
// goes late, costs the core some work and nothing else (see seal.Unsealer).
type opener struct {
	hand *ring.Hand[rxSlot]
	news *ring.Mailbox[keyNews]
	quit <-chan struct{}

	keys seal.Unsealer
	pkts [machine.MaxJoined][]byte
}

func newOpener(hand *ring.Hand[rxSlot], quit <-chan struct{}) *opener {
	wake := make(chan struct{}, 1)
	hand.SetWake(wake)
	return &opener{hand: hand, news: ring.NewMailbox[keyNews](wake), quit: quit}
}

func (w *opener) run() {
	for {
		w.hear()
		if w.open() {
			continue
		}
		select {
		case <-w.hand.Wake():
		case <-w.quit:
			w.hear()
			w.keys.Wipe()
			return
		}
	}
}

func (w *opener) hear() {
	for _, n := range w.news.Take() {
		if n.key != nil {
			w.keys.Add(n.key)
		} else {
			w.keys.Remove(n.group, n.instance)
		}
	}
}

// open opens what is in the next slots and reports whether there were any.
func (w *opener) open() (busy bool) {
	h := w.hand
	for n := 0; n < unsealBytes && h.Ready(); busy = true {
		s := h.Slot()
		k, _ := s.split(&w.pkts)
		w.keys.Unseal(w.pkts[:k], s.opened)
		n += s.n
		h.Pass(1)
	}
	if busy {
		h.WakeNext()
	}
	return busy
}
