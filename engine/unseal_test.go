package engine

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/ring"
	"uftp/engine/seal"
	"uftp/engine/sender"
	"uftp/wire"
)

// Suites that workers open.
var unsealSuites = []handshake.Suite{
	{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA},
	{Cipher: wire.CipherAES256CCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA},
	{Cipher: wire.CipherAES256CBC, Hash: wire.HashSHA256, SigType: wire.SigHMAC, KeyExch: wire.KeyExchRSA},
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), 1}).Read(b)
	return b
}

// TestWorkersUnderFire mixes good datagrams with everything that must be distinguished from
// them. Files arrive, and as many datagrams of each kind are refused as when the core opens
// everything itself.
func TestWorkersUnderFire(t *testing.T) {
	const blockSize, size = 1000, 300_500
	data := randomBytes(size)
	for _, s := range unsealSuites {
		t.Run(s.String(), func(t *testing.T) {
			var want map[machine.Drop]int64
			for _, workers := range []int{0, 1, 2, 5} {
				r := newRoom(t, workers)
				p := r.newPeer(s, 7, blockSize)
				l := p.announce(1, "f", size)
				p.fire(l, data)
				p.done(1, l)
				p.finish()
				r.wantFile("f", data)
				r.close()
				if want == nil {
					want = r.drops
				}
				if fmt.Sprint(r.drops) != fmt.Sprint(want) {
					t.Errorf("%d workers: refused %v, want %v as without", workers, r.drops, want)
				}
			}
			for _, d := range []machine.Drop{machine.DropSealed, machine.DropReplay, machine.DropClear, machine.DropGroup, machine.DropSource} {
				if want[d] == 0 {
					t.Errorf("nothing was refused as %q, want some: %v", d, want)
				}
			}
		})
	}
}

// fire sends a file in slots of all sizes, with hostile datagrams between its own.
func (p *peer) fire(l *block.Layout, data []byte) {
	rng := rand.New(rand.NewPCG(1, 2))
	seg := len(p.segment(1, l, data, 0)) // comes again with another counter
	var slot []byte
	joined, limit := 0, 1
	add := func(pkt []byte) {
		slot = append(slot, pkt...)
		// The last datagram of a slot may be shorter.
		if joined++; joined >= limit || len(pkt) < seg {
			p.say(slot, seg)
			slot, joined, limit = nil, 0, 1+rng.IntN(20)
		}
	}
	flip := func(pkt []byte, i int) []byte {
		bad := bytes.Clone(pkt)
		bad[i] ^= 1 << rng.IntN(8)
		return bad
	}
	var old []byte
	for i := range l.Blocks {
		pkt := p.segment(1, l, data, i)
		bodies := rng.IntN(4)
		for range bodies { // forged copies come first
			add(flip(pkt, wire.HeaderLen+8+rng.IntN(len(pkt)-wire.HeaderLen-8)))
		}
		add(bytes.Clone(pkt))
		switch rng.IntN(12) {
		case 0:
			add(bytes.Clone(pkt)) // again, in the same slot mostly
		case 1:
			if old != nil {
				add(bytes.Clone(old))
			}
			old = pkt
		case 2:
			add(flip(pkt, 4+rng.IntN(4))) // another source
		case 3:
			add(flip(pkt, 8+rng.IntN(4))) // another group
		case 4:
			clear := bytes.Clone(pkt)
			clear[1] = byte(wire.FuncFileSeg)
			add(clear)
		case 5:
			add(pkt[:wire.HeaderLen+rng.IntN(40)]) // cut
		case 6:
			add(p.segment(1, l, data, rng.IntN(i+1))) // a block that came
		case 7:
			far := bytes.Clone(pkt) // a counter far ahead must not move the window
			far[wire.HeaderLen] ^= 0x40
			add(far)
		case 8:
			noise := randomBytes(seg)
			copy(noise, pkt[:wire.HeaderLen])
			for range 30 {
				add(noise)
			}
		}
	}
	if joined > 0 {
		p.say(slot, seg)
	}
}

// TestWorkersSessionEnds ends sessions while slots full of their packets are on their
// way, and begins new ones under the same name at once.
func TestWorkersSessionEnds(t *testing.T) {
	const blockSize, size = 1000, 200_000
	data := randomBytes(size)
	for _, workers := range []int{0, 1, 2} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			r := newRoom(t, workers)
			for round := range 6 {
				s := unsealSuites[round%len(unsealSuites)]
				p := r.newPeer(s, 7, blockSize)
				l := p.announce(1, fmt.Sprint("lost", round), size)
				ended := r.sessionsEnded()
				for i := 0; i < l.Blocks; i += 10 {
					if i == 10*(3+round) {
						x := wire.Abort{Text: []byte("enough")}
						p.say(p.seal(wire.FuncAbort, x.Append(nil)), 0)
					}
					pkts, seg := p.train(1, l, data, i, 10)
					p.say(pkts, seg)
				}
				eventually(t, "the end of the session", func() bool { return r.sessionsEnded() > ended })
			}
			p := r.newPeer(unsealSuites[0], 7, blockSize)
			l := p.announce(1, "last", size)
			for i := 0; i < l.Blocks; i += 10 {
				pkts, seg := p.train(1, l, data, i, 10)
				p.say(pkts, seg)
			}
			p.done(1, l)
			p.finish()
			r.wantFile("last", data)
			r.close()
			if r.drops[machine.DropGroup] == 0 {
				t.Errorf("refused %v, want packets of sessions that were over among them", r.drops)
			}
			if r.drops[machine.DropSealed] > 0 {
				t.Errorf("%d packets were tried with wrong keys", r.drops[machine.DropSealed])
			}
		})
	}
}

// TestWorkersSessionsSideBySide has sessions with different ciphers, one of them none,
// share workers.
func TestWorkersSessionsSideBySide(t *testing.T) {
	const blockSize, size = 1000, 150_000
	for _, workers := range []int{1, 2} {
		r := newRoom(t, workers)
		var peers []*peer
		var layouts []*block.Layout
		var files [][]byte
		for i, s := range unsealSuites {
			p := r.newPeer(s, uint32(7+i), blockSize)
			peers = append(peers, p)
			layouts = append(layouts, p.announce(1, fmt.Sprint("f", i), size+i))
			files = append(files, randomBytes(size+i))
		}
		for at := 0; at < layouts[0].Blocks+20; at += 7 {
			for i, p := range peers {
				if pkts, seg := p.train(1, layouts[i], files[i], at, 7); len(pkts) > 0 {
					p.say(pkts, seg)
				}
			}
		}
		for i, p := range peers {
			p.done(1, layouts[i])
			p.finish()
			r.wantFile(fmt.Sprint("f", i), files[i])
		}
		r.close()
		if r.drops[machine.DropSealed]+r.drops[machine.DropReplay] > 0 {
			t.Errorf("%d workers: refused %v, want nothing sealed among them", workers, r.drops)
		}
	}
}

// TestStopWithWorkers stops the receiver under full load.
func TestStopWithWorkers(t *testing.T) {
	before := runtime.NumGoroutine()
	for round := range 4 {
		r := newRoom(t, 2)
		p := r.newPeer(unsealSuites[round%3], 7, 1000)
		data := randomBytes(60_000)
		l := p.announce(1, "f", len(data))
		quit, gone := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(gone)
			for {
				pkts, seg := p.train(1, l, data, 0, 60)
				select {
				case r.c.in <- netio.RxSlot{Buf: pkts, Seg: seg, From: p.from}:
				case <-quit:
					return
				}
			}
		}()
		time.Sleep(time.Duration(round) * 5 * time.Millisecond)
		r.close()
		close(quit)
		<-gone
	}
	eventually(t, "no goroutine left", func() bool { return runtime.NumGoroutine() <= before })
}

// TestWorkerWipes: keys do not stay with a worker longer than the session, nor longer
// than the worker, even those that it never got round to taking.
func TestWorkerWipes(t *testing.T) {
	in := ring.New[rxSlot](4, nil, 1, 1, 1)
	quit := make(chan struct{})
	w := newOpener(in.Hand(1, 0), quit)
	m, _, id := provedSession(t)
	for _, step := range []struct {
		news keyNews
		keys int
	}{
		{keyNews{key: freshKey(t, m, id)}, 1},
		{keyNews{group: id.Group, instance: id.Instance}, 0},
		{keyNews{group: id.Group, instance: id.Instance}, 0},
		{keyNews{key: freshKey(t, m, id)}, 1},
	} {
		w.news.Put(step.news)
		w.hear()
		if n := w.keys.Len(); n != step.keys {
			t.Fatalf("%d keys, want %d", n, step.keys)
		}
	}
	done := make(chan struct{})
	close(quit)
	w.news.Put(keyNews{key: freshKey(t, m, id)})
	go func() { w.run(); close(done) }()
	<-done
	if !reflect.ValueOf(&w.keys).Elem().IsZero() || w.news.Size() != 0 {
		t.Error("a worker that has ended still has keys")
	}
}

// TestWorkerOpens follows slots through the stage: what workers open the core finds
// opened, and takes.
func TestWorkerOpens(t *testing.T) {
	m, p, id := provedSession(t)
	in := ring.New(8, func(_ int, s *rxSlot) { s.opened = make([]seal.Mark, machine.MaxJoined) }, 1, 2, 1)
	rx, core := in.Hand(0, 0), in.Hand(2, 0)
	workers := []*opener{newOpener(in.Hand(1, 0), nil), newOpener(in.Hand(1, 1), nil)}
	workers[1].keys.Add(freshKey(t, m, id))
	for range 4 {
		s := rx.Slot()
		for range 3 { // CONG_CTRL, which a receiver takes and forgets
			pkt := p.seal(wire.FuncCongCtrl, (&wire.CongCtrl{}).Append(wire.Version4, nil))
			s.buf, s.seg, s.head.From = append(s.buf, pkt...), len(pkt), p.from
		}
		s.n = len(s.buf)
		rx.Done(1)
	}
	for _, w := range workers {
		if !w.open() || w.open() {
			t.Fatal("a worker does not take the slots that are there")
		}
	}
	var pkts [machine.MaxJoined][]byte
	var out [machine.MaxJoined]machine.Verdict
	for i := range 4 {
		s := core.Slot()
		if got := !reflect.ValueOf(s.opened[2]).IsZero(); got != (i%2 == 1) {
			t.Fatalf("slot %d: opened by a worker is %v, want those of the one with the key", i, got)
		}
		k, more := s.split(&pkts)
		if k != 3 || more != 0 {
			t.Fatalf("slot %d: %d datagrams and %d more, want 3", i, k, more)
		}
		m.HandleBatch(1, &s.head, pkts[:k], s.opened, out[:])
		for _, v := range out[:k] {
			if v.Drop == machine.DropSealed || v.Drop == machine.DropReplay {
				t.Fatalf("slot %d: %q", i, v.Drop)
			}
		}
		core.Done(1)
	}
}

func freshKey(t *testing.T, m *receiver.Receiver, id receiver.SessionID) *seal.Key {
	t.Helper()
	k, ok := m.UnsealKey(id)
	if !ok {
		t.Fatal("the session has no key to give")
	}
	return k
}

// provedSession returns a machine with a session that has its keys, and its sender.
func provedSession(t *testing.T) (m *receiver.Receiver, p *peer, id receiver.SessionID) {
	t.Helper()
	c := newFakeConn()
	m = receiver.New(receiver.Config{UID: peerUID, MaxSessions: 1}, 1)
	keyed := make(chan receiver.SessionID)
	go func() {
		var out machine.Out
		for {
			s := <-c.in
			m.Handle(1, &machine.Datagram{From: s.From, Data: s.Buf})
			for k := m.Poll(1, &out); k != machine.Idle; k = m.Poll(1, &out) {
				switch ev := out.Event.(type) {
				case receiver.Join:
					m.Joined(1, ev.Session.SessionID, "")
				case receiver.Keyed:
					keyed <- ev.Session.SessionID
					return
				}
				if k == machine.PacketKind {
					c.WriteBatch([]netio.TxTrain{{Buf: out.Packet.Data}})
				}
				out.Event = nil
			}
		}
	}()
	p = (&room{t: t, c: c}).newPeer(unsealSuites[0], 7, 1000)
	x := wire.FileInfo{FileID: 1, Size: 1, Name: []byte("f"), Hosts: wire.UIDList(wire.AppendUID(nil, peerUID))}
	p.say(p.seal(wire.FuncFileInfo, x.Append(wire.Version4, nil)), 0)
	return m, p, <-keyed
}

// TestEncryptedTransfer sends over loopback, with workers on both sides.
func TestEncryptedTransfer(t *testing.T) {
	for _, s := range sealSuites {
		for _, workers := range []int{0, 1, 2} {
			t.Run(fmt.Sprintf("%v/%d", s, workers), func(t *testing.T) {
				size := 6_000_001
				if s.SigType == wire.SigKeyExch {
					size = 300_001
				}
				p := startReceiver(t, func(cfg *ReceiveConfig) {
					cfg.Workers = workers
					if s.SigType == wire.SigKeyExch {
						cfg.Receiver.Keys = []*identity.PrivateKey{peerKeys[0]()}
					}
				})
				cfg := p.config(40e6, 1300, p.file("big", size), p.file("empty", 0), p.file("one", 1))
				sec, _ := security(t, s)
				cfg.Session.Group, cfg.Session.Dialect, cfg.Workers = sealGroup, sec, workers
				if s.SigType == wire.SigKeyExch {
					cfg.Session.TrainBlocks = 8 // a train leaves when all of it is signed; a long one lets the receiver wait
				}
				res, events := send(t, context.Background(), cfg)
				if res.Exit != sender.ExitOK {
					t.Fatalf("exit %d, want 0: %v", res.Exit, events)
				}
				p.wantSame("big", "empty", "one")
			})
		}
	}
}

// BenchmarkReceive measures the receiver alone: slots of sealed datagrams lie in memory
// and are read as fast as it takes them.
func BenchmarkReceive(b *testing.B) {
	for _, c := range []struct {
		name  string
		suite handshake.Suite
		block int // bytes
	}{
		{"aes256-gcm", unsealSuites[0], 1300},
		{"aes256-gcm", unsealSuites[0], 8800},
		{"aes256-ccm", unsealSuites[1], 8800},
		{"aes256-cbc-hmac", unsealSuites[2], 8800},
	} {
		for _, workers := range []int{0, 1, 2} {
			b.Run(fmt.Sprintf("block=%d/cipher=%s/workers=%d", c.block, c.name, workers), func(b *testing.B) {
				benchmarkReceive(b, c.suite, c.block, workers)
			})
		}
	}
}

func benchmarkReceive(b *testing.B, s handshake.Suite, blockSize, workers int) {
	const size = 32 << 20
	data := randomBytes(size)
	r := newRoom(b, workers)
	count := min(machine.MaxJoined, 65000/(blockSize+100)) // blocks in a slot
	slots := make([]netio.RxSlot, size/(blockSize*count)+1)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		p := r.newPeer(s, 7, blockSize)
		l := p.announce(1, "f", size)
		for i := range slots {
			pkts, seg := p.train(1, l, data, i*count, count)
			slots[i] = netio.RxSlot{Buf: append(slots[i].Buf[:0], pkts...), Seg: seg, From: p.from}
		}
		runtime.GC() // of what sealing has left
		b.StartTimer()
		for i := range slots {
			r.c.in <- slots[i]
		}
		p.done(1, l)
		b.StopTimer()
		p.finish()
		b.StartTimer()
	}
}
