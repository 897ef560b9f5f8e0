package receiver

import (
	"fmt"
	"testing"

	"uftp/engine/machine"
	"uftp/wire"
)

// segments returns n datagrams of file 1, one for each block.
func segments(w *world, n, blockSize int) [][]byte {
	h := wire.Header{Version: wire.Version4, Func: wire.FuncFileSeg, Src: them, Group: w.group, GRTT: w.grtt}
	l := w.layout()
	var list [][]byte
	for i := range n {
		s, b := l.Section(i)
		h.Seq = w.seq
		w.seq++
		x := wire.FileSeg{FileID: 1, Section: uint16(s), Block: uint16(b), Data: make([]byte, blockSize)}
		list = append(list, w.packet(h, x.Append(nil)))
	}
	return list
}

func TestDataPathAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	w.announce(func(a *wire.Announce) { a.BlockSize = 512 })
	w.joined("")
	w.regConf(us)
	const n = 20000 // five sections: their ends set the timer
	w.fileInfo(1, n*512)
	w.opened(Opened{Action: Receive})
	w.forget()
	list := segments(w, n, 512)
	var stored, i int
	if a := testing.AllocsPerRun(9000, func() {
		for range 2 {
			if v := w.r.Handle(w.now, arrived(w.from, list[i])); v.Store.Data != nil {
				stored++
			}
			w.r.Poll(w.now, &w.out)
			w.r.Deadline()
			w.now += 1000
			i++
		}
	}); a != 0 {
		t.Fatalf("%v allocations for two blocks", a)
	}
	if stored != i {
		t.Fatalf("%d of %d blocks stored", stored, i)
	}
}

// One control packet a GRTT is off the data path, yet STATUS must not cost a
// buffer either: only its report is allocated.
func TestStatusAllocatesOnlyItsReport(t *testing.T) {
	w := newWorld(t)
	l := w.receiveSections(3)
	w.all(l, 0, 7)
	w.forget()
	x := wire.Done{FileID: 1, Section: 2, Hosts: uids(us)}
	h := wire.Header{Version: wire.Version4, Func: wire.FuncDone, Seq: w.seq, Src: them, Group: w.group, GRTT: w.grtt}
	done := x.Append(h.Append(nil))
	kinds := 0
	a := testing.AllocsPerRun(100, func() {
		w.r.Handle(w.now, arrived(w.from, done))
		w.now += 20_000_000
		for k := w.r.Poll(w.now, &w.out); k != machine.Idle; k = w.r.Poll(w.now, &w.out) {
			kinds++
		}
	})
	if kinds != 101*7 {
		t.Fatalf("%d outputs, want a GotDone, three STATUS and their reports each time", kinds)
	}
	if a > 4 {
		t.Fatalf("%v allocations, want the four events", a)
	}
}

func BenchmarkFileSeg(b *testing.B) {
	for _, c := range []struct{ sessions, size int }{{1, 1300}, {1, 8800}, {10, 1300}} {
		b.Run(fmt.Sprintf("sessions=%d/block=%d", c.sessions, c.size), func(b *testing.B) {
			w := newWorld(&testing.T{})
			const n = 256 // few enough to stay in the cache, as what has just been received
			var lists [][][]byte
			var all []*session
			for i := range c.sessions {
				w.group, w.seq = uint32(1000+i), 0
				w.announce(func(a *wire.Announce) { a.BlockSize, a.Private = uint16(c.size), publicAddr })
				w.regConf(us)
				w.fileInfo(1, int64((n+1)*c.size))
				w.opened(Opened{Action: Receive})
				lists = append(lists, segments(w, n, c.size))
				all = append(all, w.session())
			}
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s, k := i%c.sessions, i/c.sessions%n
				if k == 0 {
					all[s].file.missing.Reset(n+1, true)
					all[s].win.start(0)
				}
				v := w.r.Handle(w.now, arrived(w.from, lists[s][k]))
				if v.Store.Data == nil {
					b.Fatal(v.Drop)
				}
			}
		})
	}
}
