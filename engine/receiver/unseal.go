package receiver

import (
	"uftp/crypto/aead"
	"uftp/engine/machine"
	"uftp/wire"
)

// batchMax is how many datagrams are opened together.
const batchMax = machine.MaxJoined

// Unsealer opens sealed datagrams in place before the machine sees them. Opening takes time but
// needs only keys, so several goroutines can do it at once, each with its own Unsealer. The
// machine decides what a message means and whether its counter came before, one datagram after
// the other.
//
// An Unsealer opens datagrams from the sender of a session whose keys are proved. These keys stay
// the same as long as the session, and no others can open its packets: so an attempt that
// destroys a datagram that is not authentic does no harm. It leaves alone what it has no keys
// for, and packets with a signature each (KEYEX), since the machine has a budget for those. The
// machine itself opens the packets that come while keys are on their way to an Unsealer.
//
// The zero Unsealer has no keys. It belongs to one goroutine and shares nothing.
type Unsealer struct {
	keys   []*UnsealKey
	place  map[uint64]int // in keys, by session
	recent *UnsealKey     // of the last datagram
	batch  [batchMax]aead.Opened
}

// UnsealKey opens the packets of one session, in one Unsealer.
type UnsealKey struct {
	number  uint64 // session.keyNumber
	session uint64 // key of the session
	sender  wire.UID
	opener  *aead.Opener
	replay  *aead.Window // counters that need no opening; nil but for the machine itself
}

// Unsealed is what an Unsealer has made of one datagram. The zero value says that none has tried
// to open it.
type Unsealed struct {
	keys uint64 // number of the keys that were tried, 0 = none
	msg  []byte // in the datagram, from its function byte on; nil: it is not authentic
}

// Add gives u a key, which then belongs to u.
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

// drop removes the key of a session and returns it, nil if there is none.
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

// Unseal opens those of the datagrams that it has keys for, and writes to out[i] what it has made
// of pkts[i]. It skips those where out[i] is not zero.
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

// alike returns the key of the first datagram, nil if there is none, and how many datagrams from
// there on need the same.
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

// find returns the key of a datagram, nil if it must not be opened here.
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

// fresh reports whether the counter of an ENCRYPTED datagram may be new.
func fresh(w *aead.Window, pkt []byte) bool {
	counter, ok := wire.Counter(pkt)
	return ok && w.Check(counter)
}

// keysProved gives the keys of a session to the machine's own Unsealer.
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

// UnsealKey returns a new key for an Unsealer, once Keyed has reported the keys of the session.
// ok is false if the session is over, or if the machine opens all its packets itself. When the
// session ends, the host must Remove the key from the Unsealer.
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
