package receiver

import (
	"uftp/crypto/aead"
	"uftp/engine/machine"
	"uftp/wire"
)

// batchMax is how many datagrams are opened together: what a kernel joins at most.
const batchMax = machine.MaxJoined

// Unsealer opens sealed datagrams, in place, before the machine sees them: that is
// what takes time, needs keys alone, and can be done by several goroutines at once,
// each with an Unsealer of its own. What a message means, and whether its counter
// came before, is for the machine, one datagram after the other.
//
// It opens what has proved to be of use: datagrams from the sender of a session whose
// keys are settled. These never change while the session lasts, and no other keys can
// open its packets, so bytes that are gone because a datagram was not authentic are
// missed by nobody. It leaves alone what it has no keys for, and the packets of KEYEX,
// whose signatures the machine has a budget for. The machine opens the first and the
// last packets of a session itself, those that come while keys are on their way.
//
// The zero Unsealer has no keys. It belongs to one goroutine and shares nothing.
type Unsealer struct {
	keys   []*UnsealKey
	place  map[uint64]int // in keys, by session
	recent *UnsealKey     // the one found last
	batch  [batchMax]aead.Opened
}

// UnsealKey is what opens the packets of one session, for one Unsealer.
type UnsealKey struct {
	number  uint64 // as in session
	session uint64 // as in Receiver.index
	sender  wire.UID
	opener  *aead.Opener
	replay  *aead.Window // the machine's own key: counters that need no opening; else nil
}

// Unsealed is what became of one datagram. The zero Unsealed says that nobody has
// tried to open it.
type Unsealed struct {
	keys uint64 // number of the keys that it was tried with, 0: none
	msg  []byte // in the datagram, from its function byte on; nil: it is not authentic
}

// Add takes a key, which from then on belongs to u.
func (u *Unsealer) Add(k *UnsealKey) {
	if u.place == nil {
		u.place = map[uint64]int{}
	}
	u.place[k.session] = len(u.keys)
	u.keys = append(u.keys, k)
}

// Remove wipes the key of a session, if there is one.
func (u *Unsealer) Remove(id SessionID) {
	if k := u.drop(key(id.Group, id.Instance)); k != nil {
		k.opener.Wipe()
	}
}

// drop takes the key of a session away and returns it, nil if there is none.
func (u *Unsealer) drop(session uint64) *UnsealKey {
	i, ok := u.place[session]
	if !ok {
		return nil
	}
	k, last := u.keys[i], len(u.keys)-1
	u.keys[i] = u.keys[last]
	u.place[u.keys[i].session] = i
	u.keys[last] = nil
	u.keys = u.keys[:last]
	delete(u.place, session)
	u.recent = nil
	return k
}

// Wipe wipes all keys.
func (u *Unsealer) Wipe() {
	for _, k := range u.keys {
		k.opener.Wipe()
	}
	*u = Unsealer{}
}

// Unseal opens what it has keys for among datagrams that came together, and writes
// what became of pkts[i] to out[i]. It passes over those where out[i] is not zero.
func (u *Unsealer) Unseal(pkts [][]byte, out []Unsealed) {
	if len(u.keys) == 0 {
		return
	}
	for i := 0; i < len(pkts); {
		k, n := u.alike(pkts[i:], out[i:])
		if k == nil {
			i++
			continue
		}
		k.opener.OpenBatch(pkts[i:i+n], u.batch[:n])
		for j := range u.batch[:n] {
			o := &u.batch[j]
			out[i+j] = Unsealed{keys: k.number, msg: o.Msg}
			*o = aead.Opened{}
		}
		i += n
	}
}

// alike returns the key of the first datagram and how many of them it is for, nil if
// that one is not to be opened.
func (u *Unsealer) alike(pkts [][]byte, out []Unsealed) (k *UnsealKey, n int) {
	for n < min(len(pkts), batchMax) && out[n].keys == 0 {
		next := u.find(pkts[n])
		if next == nil || n > 0 && next != k {
			break
		}
		k = next
		n++
	}
	return k, n
}

// find returns the key of a datagram, nil if it is not to be opened here.
func (u *Unsealer) find(pkt []byte) *UnsealKey {
	h, _, err := wire.ParseHeader(pkt)
	if err != nil || h.Func != wire.FuncEncrypted {
		return nil
	}
	k := u.recent
	if session := key(h.Group, h.Instance); k == nil || k.session != session {
		i, ok := u.place[session]
		if !ok {
			return nil
		}
		k = u.keys[i]
		u.recent = k
	}
	if h.Src != k.sender || k.replay != nil && !fresh(k.replay, pkt) {
		return nil
	}
	return k
}

// fresh reports whether the counter of an ENCRYPTED datagram may be a new one.
func fresh(w *aead.Window, pkt []byte) bool {
	counter, ok := wire.Counter(pkt)
	return ok && w.Check(counter)
}

// keysProved gives the keys of a session, which are proved now, to the machine's own
// Unsealer.
func (s *session) keysProved() {
	s.r.keyNumbers++
	s.keyNumber = s.r.keyNumbers
	if s.dialect.Signed() {
		return
	}
	opener, replay := s.dialect.Opener()
	s.r.unsealer.Add(&UnsealKey{
		number: s.keyNumber, session: key(s.info.Group, s.info.Instance), sender: s.info.Sender,
		opener: opener, replay: replay,
	})
}

// UnsealKey returns a new key for an Unsealer, after Keyed told that a session has
// its keys; ok is false if the session is over, or none of its packets is to be
// opened elsewhere. When the session ends, the host gives the key back to Remove.
func (r *Receiver) UnsealKey(id SessionID) (k *UnsealKey, ok bool) {
	s := r.find(id.Group, id.Instance)
	if s == nil || s.keyNumber == 0 || s.dialect.Signed() {
		return nil, false
	}
	opener, err := s.dialect.NewOpener()
	if err != nil {
		return nil, false // the machine opens them
	}
	return &UnsealKey{
		number: s.keyNumber, session: key(s.info.Group, s.info.Instance), sender: s.info.Sender, opener: opener,
	}, true
}
