package receiver

import (
	"uftp/crypto/aead"
	"uftp/engine/seal"
)

// keysProved gives the keys of a session to the machine's own Unsealer.
func (s *session) keysProved() {
	s.r.keyNumbers++
	s.keyNumber = s.r.keyNumbers
	if s.dialect.Signed() {
		return
	}
	opener, replay := s.dialect.Opener()
	k := s.unsealKey(opener)
	k.Replay = replay
	s.r.unsealer.Add(k)
}

// UnsealKey returns a new key for an Unsealer of the host, which removes it when the session
// ends. ok is false before Keyed, after the end, and in a session whose packets the machine
// opens itself: those that bear signatures, for which it has a budget.
func (r *Receiver) UnsealKey(id SessionID) (k *seal.Key, ok bool) {
	s := r.find(id.Group, id.Instance)
	if s == nil || s.keyNumber == 0 || s.dialect.Signed() {
		return nil, false
	}
	opener, err := s.dialect.NewOpener()
	if err != nil {
		return nil, false // the machine opens them
	}
	return s.unsealKey(opener), true
}

// unsealKey returns a key for the packets of the session's sender.
func (s *session) unsealKey(o *aead.Opener) *seal.Key {
	return &seal.Key{Number: s.keyNumber, Group: s.info.Group, Instance: s.info.Instance, Source: s.info.Sender, Opener: o}
}
