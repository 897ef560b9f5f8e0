package receiver

import (
	"bytes"
	"testing"

	"uftp/crypto/handshake"
	"uftp/engine/machine"
	"uftp/engine/seal"
	"uftp/wire"
)

// sealedSeg returns block i of file 1 in a session that is receiving it.
func (w *world) sealedSeg(i int) []byte {
	w.t.Helper()
	h := wire.Header{Version: wire.Version4, Func: wire.FuncFileSeg, Seq: w.seq, Src: them, Group: w.group, Instance: w.instance, GRTT: w.grtt}
	w.seq++
	x := wire.FileSeg{FileID: 1, Block: uint16(i), Data: make([]byte, w.layout().Len(i))}
	return w.packet(h, x.Append(nil))
}

// Keys are for others to have only while they are settled and cheap to use.
func TestUnsealKey(t *testing.T) {
	clear := newWorld(t)
	clear.toMidGroup()
	if clear.unsealer() != nil {
		t.Error("a session in clear has a key")
	}
	signed := newSecureWorld(t, sig, false)
	signed.toMidGroup()
	signed.toReceiving(1, 8500)
	if signed.unsealer() != nil || signed.r.unsealer.Len() != 0 {
		t.Error("packets with signatures of KEYEX are opened in batches, want them under their budget")
	}
	w := newSecureWorld(t, ccm, false)
	w.toMidGroup()
	if w.unsealer() != nil || w.r.unsealer.Len() != 0 {
		t.Error("there is a key before the sender has proved it")
	}
	w.toReceiving(1, 8500)
	u := w.unsealer()
	if u == nil || w.r.unsealer.Len() != 1 {
		t.Fatal("there is no key after the sender has proved it")
	}
	pkt := w.sealedSeg(0)
	w.abort(wire.Abort{Text: []byte("enough")})
	w.wantEnded(false, EndAborted)
	if w.unsealer() != nil || w.r.unsealer.Len() != 0 {
		t.Error("there is a key after the end of the session")
	}
	if v := w.unsealed(u, pkt); v.Drop != machine.DropGroup {
		t.Errorf("a packet of a session that is over, opened all the same: %q, want %q", v.Drop, machine.DropGroup)
	}
	u.Remove(w.group, w.instance)
	u.Remove(w.group, w.instance)
	if u.Len() != 0 {
		t.Errorf("%d keys left, want none", u.Len())
	}
	u.Wipe()
}

// TestUnsealerKeepsApart has keys of many sessions come and go: each packet is opened
// with those of its own, and left alone when they are gone.
func TestUnsealerKeepsApart(t *testing.T) {
	var worlds []*world
	u := new(seal.Unsealer)
	for i, s := range []handshake.Suite{gcm, ccm, cbc, rsa, gcm} {
		w := newSecureWorld(t, s, false)
		w.group += uint32(i)
		w.far.cfg.Session.Group, w.far.cfg.Rand = w.group, seeded(byte(i+5))
		w.far.start(t)
		w.toMidGroup()
		w.toReceiving(1, 85_000)
		k, ok := w.r.UnsealKey(w.session().info.SessionID)
		if !ok {
			t.Fatal("no key")
		}
		u.Add(k)
		worlds = append(worlds, w)
	}
	gone := map[int]bool{}
	for round, remove := range []int{-1, 1, 4, 0, 3, 2} {
		if remove >= 0 {
			u.Remove(worlds[remove].group, worlds[remove].instance)
			gone[remove] = true
		}
		var pkts [][]byte
		for range 2 {
			for _, w := range worlds {
				pkts = append(pkts, w.sealedSeg(2*round), w.sealedSeg(2*round+1))
				w.seq -= 2
			}
		}
		before := make([][]byte, len(pkts))
		for i := range pkts {
			before[i] = bytes.Clone(pkts[i])
		}
		opened := make([]seal.Mark, len(pkts))
		u.Unseal(pkts, opened)
		for i, o := range opened {
			switch from := i / 2 % len(worlds); {
			case gone[from] && (o.Key != 0 || !bytes.Equal(pkts[i], before[i])):
				t.Fatalf("round %d: a packet of session %d was touched after its key was removed", round, from)
			case !gone[from] && (o.Msg == nil || wire.Func(o.Msg[0]) != wire.FuncFileSeg):
				t.Fatalf("round %d: a packet of session %d was not opened", round, from)
			}
		}
	}
	if u.Len() != 0 {
		t.Errorf("%d keys left, want none", u.Len())
	}
}

// TestStaleKey starts a session anew under the same name. A packet that an Unsealer has tried
// with the old keys, because it had not heard of the new ones, is lost and does no harm.
func TestStaleKey(t *testing.T) {
	for _, s := range []handshake.Suite{gcm, ccm, cbc} {
		t.Run(s.String(), func(t *testing.T) {
			w := newSecureWorld(t, s, false)
			w.toMidGroup()
			w.toReceiving(1, 8500)
			stale, old := w.unsealer(), w.sealedSeg(0)
			w.abort(wire.Abort{Text: []byte("again")})
			w.wantEnded(false, EndAborted)
			w.forget()
			w.far.cfg.Rand = seeded(7)
			w.far.start(t)
			w.toMidGroup()
			if d := w.unsealed(stale, old).Drop; d == machine.DropNone {
				t.Fatal("a packet of the old session is taken before the new one is proved")
			}
			w.toReceiving(1, 8500)
			w.forget()
			before := w.snapshot()
			if d := w.unsealed(stale, bytes.Clone(old)).Drop; d == machine.DropNone {
				t.Fatal("a packet of the old session is taken")
			}
			pkt := w.sealedSeg(1)
			if d := w.unsealed(stale, bytes.Clone(pkt)).Drop; d != machine.DropSealed {
				t.Fatalf("tried with the old key: %q, want %q", d, machine.DropSealed)
			}
			if after := w.snapshot(); after != before {
				t.Fatalf("the session is\n%+v, was\n%+v", after, before)
			}
			if v := w.unsealed(w.unsealer(), pkt); v.Drop != machine.DropNone || v.Store.Data == nil {
				t.Fatalf("the same packet again: %q, want it stored", v.Drop)
			}
		})
	}
}

// TestEndedSessionIsNotOpened waits for the host's answer after the end: nothing that
// comes then is worth the time.
func TestEndedSessionIsNotOpened(t *testing.T) {
	w := newSecureWorld(t, gcm, false)
	w.toMidGroup()
	w.fileInfo(1, 8500)
	w.abort(wire.Abort{Text: []byte("enough")})
	w.wantPhase(Opening)
	if w.r.unsealer.Len() != 0 {
		t.Error("the machine still opens packets of a session that only waits for its end")
	}
	w.fileInfo(2, 8500)
	w.wantDrop(machine.DropPhase, "after the end")
}
