package receiver

import (
	"bytes"
	"testing"

	"uftp/crypto/handshake"
	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/engine/seal"
	"uftp/wire"
)

// HandleBatch does the same as Handle, whatever the batch holds and whether the machine has
// opened it, openers did so long before, or each opened a part.
func TestHandleBatch(t *testing.T) {
	ways := []struct {
		name      string
		unsealers int // that take turns
		runs      int // datagrams in a turn
		mine      int // every so many turns are left to the machine
	}{
		{"the machine opens", 0, 1000, 1},
		{"another opens all", 1, 1000, 0},
		{"two others open by turns", 2, 7, 0},
		{"three of four turns", 3, 5, 4},
		{"one by one", 2, 1, 3},
	}
	for _, s := range []handshake.Suite{gcm, ccm, cbc} {
		for _, way := range ways {
			t.Run(s.String()+"/"+way.name, func(t *testing.T) {
				one, many := newSecureWorld(t, s, false), newSecureWorld(t, s, false)
				var lists [2][][]byte
				for k, w := range []*world{one, many} {
					w.toMidGroup()
					q := w.toReceiving(1, 99_500)
					w.forget()
					lists[k] = hostileBatch(w, &q.Layout)
				}
				if len(lists[0]) < 150 {
					t.Fatal("the batch is too short")
				}
				opened := make([]seal.Mark, len(lists[1]))
				var unsealers []*seal.Unsealer
				for range way.unsealers {
					unsealers = append(unsealers, many.unsealer())
				}
				for i, turn := 0, 0; i < len(opened); i, turn = i+way.runs, turn+1 {
					if way.mine == 0 || turn%way.mine > 0 {
						end := min(i+way.runs, len(opened))
						unsealers[turn%len(unsealers)].Unseal(lists[1][i:end], opened[i:end])
					}
				}
				out := make([]machine.Verdict, len(opened))
				many.r.HandleBatch(many.now, arrived(many.from, nil), lists[1], opened, out)
				for i, pkt := range lists[0] {
					v := one.r.Handle(one.now, arrived(one.from, pkt))
					if v.Drop != out[i].Drop || v.Store.Offset != out[i].Store.Offset || !bytes.Equal(v.Store.Data, out[i].Store.Data) {
						t.Fatalf("datagram %d: %v with %d bytes, want %v with %d", i, out[i].Drop, len(out[i].Store.Data), v.Drop, len(v.Store.Data))
					}
					if opened[i].Key != 0 || opened[i].Msg != nil {
						t.Fatalf("datagram %d: what became of it is left behind", i)
					}
				}
				one.poll()
				many.poll()
				if one.eventNames() != many.eventNames() {
					t.Fatalf("events %s, want %s", many.eventNames(), one.eventNames())
				}
			})
		}
	}
}

// hostileBatch mixes blocks of a file with everything that must be distinguished
// from them; in its middle the sender aborts the session.
func hostileBatch(w *world, l *block.Layout) (list [][]byte) {
	add := func(f wire.Func, msg []byte) []byte {
		h := wire.Header{Version: wire.Version4, Func: f, Seq: w.seq, Src: them, Group: w.group, GRTT: w.grtt}
		w.seq++
		list = append(list, w.packet(h, msg))
		return list[len(list)-1]
	}
	seg := func(i int) []byte {
		x := wire.FileSeg{FileID: 1, Block: uint16(i), Data: make([]byte, l.Len(i))}
		return add(wire.FuncFileSeg, x.Append(nil))
	}
	for i := range l.Blocks {
		p := seg(i)
		switch i {
		case 5:
			list = append(list, bytes.Clone(p)) // twice in one batch
		case 9:
			list = append(list, bytes.Clone(p[:30]), bytes.Clone(list[2]))
		case 12:
			p[40] ^= 1
		case 20:
			x := wire.Done{FileID: 1}
			add(wire.FuncDone, x.Append(nil))
		case 25:
			q := bytes.Clone(p)
			q[4] ^= 1 // another source
			r := bytes.Clone(p)
			r[9] ^= 1 // another group
			c := bytes.Clone(p)
			c[1] = byte(wire.FuncFileSeg)
			list = append(list, q, r, c, nil)
		}
	}
	for i := range 40 {
		seg(i) // again
		if i == 30 {
			a := wire.Abort{Text: []byte("enough")}
			add(wire.FuncAbort, a.Append(nil))
		}
	}
	for i := range 12 {
		seg(i)
	}
	return list
}

func TestSealedDataPathAllocatesNothing(t *testing.T) {
	for _, s := range []handshake.Suite{gcm, ccm, cbc} {
		t.Run(s.String(), func(t *testing.T) {
			w := newSecureWorld(t, s, false)
			w.toMidGroup(func(a *wire.Announce) { a.BlockSize = 512 })
			const n, batch = 8000, 16
			w.fileInfo(1, n*512)
			w.opened(Opened{Action: Receive})
			w.forget()
			list := segments(w, n, 512)
			out := make([]machine.Verdict, batch)
			opened := make([]seal.Mark, batch)
			unsealers := [2]*seal.Unsealer{new(seal.Unsealer), w.unsealer()} // the first has no key
			var stored, i int
			if a := testing.AllocsPerRun(200, func() {
				for _, u := range unsealers {
					u.Unseal(list[i:i+batch], opened)
					w.r.HandleBatch(w.now, arrived(w.from, nil), list[i:i+batch], opened, out)
					i += batch
					for j := range out {
						if out[j].Store.Data != nil {
							stored++
						}
					}
				}
				if w.r.Handle(w.now, arrived(w.from, list[i])).Store.Data != nil {
					stored++
				}
				i++
				w.r.Poll(w.now, &w.out)
				w.now += 1000
			}); a != 0 {
				t.Fatalf("%v allocations for %d blocks", a, 2*batch+1)
			}
			if stored != i {
				t.Fatalf("%d of %d blocks stored", stored, i)
			}
		})
	}
}

// FuzzSealed lets a stranger who knows everything but the keys talk to a session
// that has its keys: the stranger changes nothing but the timer of ANNOUNCE and KEYINFO.
func FuzzSealed(f *testing.F) {
	f.Add([]byte{}, byte(wire.FuncEncrypted))
	f.Add(make([]byte, 300), byte(wire.FuncEncrypted))
	f.Add(make([]byte, 60), byte(wire.FuncKeyInfo))
	x := wire.Encrypted{Counter: 9, Payload: make([]byte, 32)}
	f.Add(x.Append(nil), byte(wire.FuncEncrypted))
	a := wire.Abort{Text: []byte("no")}
	f.Add(a.Append(nil), byte(wire.FuncAbort))
	f.Fuzz(func(t *testing.T, msg []byte, fn byte) {
		for _, s := range []handshake.Suite{gcm, ccm, cbc} {
			w := newSecureWorld(t, s, false)
			w.toMidGroup()
			w.toReceiving(1, 8500)
			w.forget()
			h := wire.Header{Version: wire.Version4, Func: wire.Func(fn), Src: them, Group: theGroup, Seq: 500, GRTT: code500ms}
			w.hostile(append(h.Append(nil), msg...), "without a key")
		}
	})
}
