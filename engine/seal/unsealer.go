package seal

import (
	"uftp/crypto/aead"
	"uftp/engine/machine"
	"uftp/wire"
)

// batchMax is how many datagrams are opened together: what a kernel joins at most.
const batchMax = machine.MaxJoined

// Unsealer opens sealed datagrams in place before the machine sees them. Opening takes time but
// needs only keys, so several goroutines can do it at once, each with its own Unsealer. The
// machine decides what a message means and whether its counter is new, one datagram after the
// other.
//
// An Unsealer opens a datagram if it has a key for its session and source. Give it keys that
// are proved and stay the same as long as the session. Then no others can open its packets, so
// an attempt that destroys a datagram which is not authentic does no harm. An Unsealer leaves
// alone what it has no key for.
//
// The zero Unsealer has no keys. It belongs to one goroutine and shares nothing.
type Unsealer struct {
	keys   []*Key
	place  map[owner]int // in keys
	recent *Key          // the one found last
	batch  [batchMax]aead.Opened
}

// owner names whose packets a key opens: those of one source in one session. All members of a
// session may share a key, or each may have its own.
type owner struct {
	group    uint32
	instance uint8
	source   wire.UID
}

// Key opens the packets of one source in one session, for one Unsealer.
type Key struct {
	Number   uint64 // of the key, among all that a machine has had, from 1
	Group    uint32
	Instance uint8
	Source   wire.UID
	Opener   *aead.Opener
	Replay   *aead.Window // counters that need no opening; nil: all are tried
}

func (k *Key) owner() owner { return owner{k.Group, k.Instance, k.Source} }

// Mark says what an Unsealer has done with one datagram. The zero Mark says that nobody has
// tried to open it.
type Mark struct {
	Key uint64 // Number of the key that it was tried with; 0: none
	Msg []byte // in the datagram, from its function byte on; nil: it is not authentic
}

// Add takes a key, which from then on belongs to u. It wipes the key that it replaces.
func (u *Unsealer) Add(k *Key) {
	if u.place == nil {
		u.place = map[owner]int{}
	}
	if i, ok := u.place[k.owner()]; ok {
		u.remove(i)
	}
	u.place[k.owner()] = len(u.keys)
	u.keys = append(u.keys, k)
}

// Len returns how many keys there are.
func (u *Unsealer) Len() int { return len(u.keys) }

// Remove wipes all keys of a session.
func (u *Unsealer) Remove(group uint32, instance uint8) {
	for i := len(u.keys) - 1; i >= 0; i-- {
		if k := u.keys[i]; k.Group == group && k.Instance == instance {
			u.remove(i)
		}
	}
}

// remove wipes the key at a place. The last one takes the place.
func (u *Unsealer) remove(i int) {
	k, last := u.keys[i], len(u.keys)-1
	u.keys[i] = u.keys[last]
	u.place[u.keys[i].owner()] = i
	u.keys[last] = nil
	u.keys = u.keys[:last]
	delete(u.place, k.owner())
	u.recent = nil
	k.Opener.Wipe()
}

// Wipe wipes all keys.
func (u *Unsealer) Wipe() {
	for _, k := range u.keys {
		k.Opener.Wipe()
	}
	*u = Unsealer{}
}

// Unseal opens what it has keys for among datagrams that came together, and writes to out[i]
// what became of pkts[i]. It passes over those where out[i] is not zero.
func (u *Unsealer) Unseal(pkts [][]byte, out []Mark) {
	if len(u.keys) == 0 {
		return
	}
	for i := 0; i < len(pkts); {
		k, n := u.alike(pkts[i:], out[i:])
		if k == nil {
			i++
			continue
		}
		k.Opener.OpenBatch(pkts[i:i+n], u.batch[:n])
		for j := range u.batch[:n] {
			o := &u.batch[j]
			out[i+j] = Mark{Key: k.Number, Msg: o.Msg}
			*o = aead.Opened{}
		}
		i += n
	}
}

// alike returns the key of the first datagram, nil if there is none, and how many datagrams from
// there on need the same.
func (u *Unsealer) alike(pkts [][]byte, out []Mark) (k *Key, n int) {
	for n < min(len(pkts), batchMax) && out[n].Key == 0 {
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
func (u *Unsealer) find(pkt []byte) *Key {
	h, _, err := wire.ParseHeader(pkt)
	if err != nil || h.Func != wire.FuncEncrypted {
		return nil
	}
	k := u.recent
	if want := (owner{h.Group, h.Instance, h.Src}); k == nil || k.owner() != want {
		i, ok := u.place[want]
		if !ok {
			return nil
		}
		k = u.keys[i]
		u.recent = k
	}
	if k.Replay != nil {
		if counter, ok := wire.Counter(pkt); !ok || !k.Replay.Check(counter) {
			return nil
		}
	}
	return k
}
