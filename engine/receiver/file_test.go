package receiver

import (
	"strings"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/wire"
)

func TestFileInfoRejected(t *testing.T) {
	named := func(n string) func(*wire.FileInfo) { return func(x *wire.FileInfo) { x.Name = []byte(n) } }
	typed := func(ty wire.FileType, n string) func(*wire.FileInfo) {
		return func(x *wire.FileInfo) { x.Type, x.Name = ty, []byte(n) }
	}
	const (
		empty = "filename is empty"
		dots  = "Rejecting FILEINFO from server: filename contains .."
		self  = "filename is that of the destination itself"
	)
	for _, c := range []struct {
		what string
		info func(*wire.FileInfo)
		why  string // "" = the host is asked
	}{
		{"plain", named("a"), ""},
		{"stock sends ./x for uftp .", named("./f1"), ""},
		{"doubled separators", named("rem//s/f1"), ""},
		{"dots in a name", named("..x/a..b/c.."), ""},
		{"three dots", named("..."), ""},
		{"absolute", named("/dest/abs"), ""},
		{"empty", named(""), empty},
		{"..", named(".."), dots},
		{"first element", named("../up"), dots},
		{"middle", named("a/../b"), dots},
		{"last", named("a/.."), dots},
		{"only the first is looked at by stock", named("a..b/../../evil"), dots},
		{"backslashes", named(`a\..\b`), dots},
		{"mixed", named(`a\../b`), dots},
		{"absolute with ..", named("/dest/../etc"), dots},
		{".", named("."), self},
		{"./", named("././"), self},
		{"/", named("/"), self},
		{`\`, named(`\`), self},
		{"the destination as a directory", typed(wire.TypeDir, "."), self},
		{"deleting the destination", typed(wire.TypeDelete, "."), self},
		{"deleting it in another way", typed(wire.TypeDelete, ".//."), self},
		{"deleting outside", typed(wire.TypeDelete, "x/../.."), dots},
		{"deleting", typed(wire.TypeDelete, "a/b"), ""},
		{"free space", typed(wire.TypeFreeSpace, "."), ""},
		{"free space elsewhere", typed(wire.TypeFreeSpace, ".."), dots},
		{"directory", typed(wire.TypeDir, "d"), ""},
		{"link", func(x *wire.FileInfo) { x.Type, x.Link = wire.TypeLink, []byte("../t") }, ""},
		{"link without target", typed(wire.TypeLink, "l"), "link has no target"},
		{"largest file", func(x *wire.FileInfo) { x.Size = block.MaxSize(1000) }, ""},
		{"too large", func(x *wire.FileInfo) { x.Size = block.MaxSize(1000) + 1 }, "file too large"},
		{"2^48-1", func(x *wire.FileInfo) { x.Size = 1<<48 - 1 }, "file too large"},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			w.toMidGroup()
			w.fileInfo(1, 0, c.info)
			event[FileStarted](w, "it is reported in any case")
			if c.why == "" {
				w.wantPhase(Opening)
				w.wantSilence("the host decides")
				if n := len(w.session().file.missing.AppendBitmap(nil, 0, 0)); n != 1 || w.session().file.missing.Len() != 0 {
					t.Fatal("memory before the host has said yes")
				}
				return
			}
			w.wantComplete(1, wire.StatusRejected, "rejected")
			if e := event[FileEnded](w, "rejected"); e.Status != wire.StatusRejected || !strings.Contains(e.Text, c.why) {
				t.Fatalf("%+v, want %q", e, c.why)
			}
			noEvent[Open](w, "rejected")
			w.wantPhase(MidGroup)
			w.fileInfo(1, 0, c.info)
			w.wantComplete(1, wire.StatusRejected, "FILEINFO again")
			noEvent[FileEnded](w, "once")
		})
	}
	t.Run("block size 0", func(t *testing.T) {
		w := newWorld(t)
		w.toMidGroup(func(a *wire.Announce) { a.BlockSize = 0 })
		w.fileInfo(1, 5)
		w.wantComplete(1, wire.StatusRejected, "no layout")
	})
	t.Run("the memory of all sessions together", func(t *testing.T) {
		w := newWorld(t)
		big := func(x *wire.FileInfo) { x.Size = block.MaxSize(8800) } // 2^32-65537 blocks
		for i := range 3 {
			w.group = uint32(i + 1)
			w.announce(func(a *wire.Announce) { a.Private, a.BlockSize = publicAddr, 8800 })
			w.regConf(us)
			w.forget()
			w.fileInfo(1, 0, big)
			if i < 2 {
				event[Open](w, "two of the largest files find room")
				continue
			}
			w.wantComplete(1, wire.StatusRejected, "the third does not")
			w.fileInfo(2, 1000)
			event[Open](w, "a small one does")
		}
		w.group = 1
		w.r.Opened(w.now, w.session().file.req.Ref, Opened{Action: Complete, Status: wire.StatusRejected, Text: "Not enough disk space"})
		w.abort(wire.Abort{})
		w.group = 3
		w.r.Opened(w.now, w.session().file.req.Ref, Opened{Action: Complete})
		w.poll()
		w.forget()
		w.fileInfo(3, 0, big)
		event[Open](w, "the first session has made room")
	})
}

func TestFileInfoAborts(t *testing.T) {
	bad := func(w *world) {
		x := wire.FileInfo{FileID: 1, Name: []byte("abcd"), Hosts: uids(us)}
		msg := x.Append(wire.Version4, nil)
		msg[8]++ // name longer than the header
		w.send(wire.FuncFileInfo, msg)
	}
	nine := func(w *world) { w.fileInfo(1, 5, func(x *wire.FileInfo) { x.Type = 9 }) }
	for _, c := range []struct {
		name string
		say  func(w *world)
		text string
	}{
		{"sizes", bad, "Rejecting FILEINFO: invalid message size"},
		{"type", nine, "Invalid file type"},
	} {
		w := newWorld(t)
		w.toMidGroup()
		w.from = addrOf("10.88.0.66:1044")
		c.say(w)
		w.wantDrop(machine.DropSource, c.name+": not from the sender's address")
		w.wantPhase(MidGroup)
		w.from = senderAddr
		c.say(w)
		w.wantAbort(c.text, c.name)
		if e := event[SentAbort](w, c.name); e.Text != c.text {
			t.Fatalf("%+v", e)
		}
		w.wantEnded(false, EndRefused)
	}
	w := newWorld(t)
	w.toMidGroup()
	w.fileInfo(0, 5)
	w.wantDrop(machine.DropFile, "file 0 is the session")
}

func TestFileInfoAgain(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	w.fileInfo(1, 2000)
	w.advance(30 * time.Millisecond)
	w.fileInfo(1, 2000, func(x *wire.FileInfo) { x.Time = 90e6 })
	w.wantSilence("the host is not ready")
	w.advance(20 * time.Millisecond)
	q := w.opened(Opened{Action: Receive})
	if x := w.wantAck(1, false, "ready"); x.Time != 90_020_000 {
		t.Fatalf("echoes %v, want the newest stamp, aged", x.Time)
	}
	w.fileInfo(1, 2000)
	w.wantAck(1, false, "the ACK was lost")
	w.fileInfo(2, 700)
	w.wantAck(1, false, "any FILEINFO while receiving gets the ACK of the current file")
	w.data(1, &q.Layout, 0, 0)
	w.data(1, &q.Layout, 0, 1)
	w.fileInfo(1, 2000)
	w.wantAck(1, false, "while the host finishes the file")
	w.closed("")
	w.fileInfo(1, 2000)
	w.wantComplete(1, wire.StatusNormal, "the file is here")
	noEvent[Open](w, "the file is here")
	w.done(2, 0, us)
	w.wantSilence("a DONE of a file we have not heard of")
	w.fileInfo(2, 700, func(x *wire.FileInfo) { x.Hosts = uids(other) })
	w.wantDrop(machine.DropNotForUs, "not listed")
	w.done(0, 0, other)
	w.fileInfo(1, 2000)
	event[Open](w, "the DONE of the session makes us forget file 1")
}

func TestOpenedOutcomes(t *testing.T) {
	t.Run("complete at once", func(t *testing.T) {
		for _, st := range []wire.CompleteStatus{wire.StatusNormal, wire.StatusSkipped, wire.StatusOverwrite, wire.StatusRejected} {
			w := newWorld(t)
			w.toMidGroup()
			w.fileInfo(1, 2000)
			w.opened(Opened{Action: Complete, Status: st, Text: "because"})
			w.wantComplete(1, st, "at once")
			if e := event[FileEnded](w, "at once"); e.Status != st || e.Text != "because" {
				t.Fatalf("%+v", e)
			}
			w.wantPhase(MidGroup)
			w.done(1, 0, us)
			w.wantComplete(1, st, "DONE, as for a file that was received")
		}
	})
	t.Run("free space", func(t *testing.T) {
		w := newWorld(t)
		w.toMidGroup()
		info := func(x *wire.FileInfo) { x.Type, x.Name = wire.TypeFreeSpace, []byte(".") }
		w.fileInfo(1, 0, info)
		w.opened(Opened{Action: Complete, HasSpace: true, FreeSpace: 123456789})
		for range 2 {
			if x := w.wantComplete(1, wire.StatusNormal, "with the value"); !x.HasSpace || x.FreeSpace != 123456789 {
				t.Fatalf("%+v", x)
			}
			w.fileInfo(1, 0, info)
		}
	})
	t.Run("abort", func(t *testing.T) {
		w := newWorld(t)
		w.toMidGroup()
		w.fileInfo(1, 2000)
		w.opened(Opened{Action: Abort, Text: "Not enough disk space"})
		w.wantAbort("Not enough disk space", "the host wants it")
		noEvent[Abandon](w, "nothing was opened")
		w.wantEnded(false, EndRefused)
	})
	t.Run("status of a file that is received", func(t *testing.T) {
		w := newWorld(t)
		w.toMidGroup()
		w.fileInfo(1, 1000)
		q := w.opened(Opened{Action: Receive, Status: wire.StatusOverwrite})
		w.wantAck(1, false, "open")
		w.data(1, &q.Layout, 0, 0)
		w.closed("")
		w.done(1, 0, us)
		w.wantComplete(1, wire.StatusOverwrite, "sync: it replaced one")
	})
	t.Run("a DONE came while the host was opening", func(t *testing.T) {
		w := newWorld(t)
		w.toMidGroup()
		w.fileInfo(1, 9000)
		w.done(1, 0, us)
		w.opened(Opened{Action: Receive})
		w.wantAck(1, false, "open")
		w.advance(oneG)
		w.wantStatus(0, "ff01", "everything is missing")
	})
	t.Run("an answer twice, or about nothing", func(t *testing.T) {
		w := newWorld(t)
		w.toMidGroup()
		w.fileInfo(1, 9000)
		q := w.opened(Opened{Action: Receive})
		w.wantAck(1, false, "open")
		w.r.Opened(w.now, q.Ref, Opened{Action: Complete})
		w.r.Opened(w.now, 999, Opened{Action: Complete})
		w.r.Closed(w.now, q.Ref, "")
		w.r.Closed(w.now, 0, "")
		w.r.StoreFailed(w.now, 999, "x")
		w.r.CheckpointDone(w.now, q.Ref)
		w.r.CheckpointDone(w.now, 0)
		w.poll()
		w.wantPhase(Receiving)
		w.wantSilence("history")
	})
	t.Run("the session ends before the answer", func(t *testing.T) {
		for _, c := range []struct {
			o       Opened
			abandon bool
			ended   bool
		}{
			{Opened{Action: Receive}, true, false},
			{Opened{Action: Complete, Status: wire.StatusSkipped}, false, true},
			{Opened{Action: Abort, Text: "x"}, false, false},
		} {
			w := newWorld(t)
			w.toMidGroup()
			w.fileInfo(1, 9000)
			w.abort(wire.Abort{Text: []byte("Server quit, aborting all")})
			w.fileInfo(1, 9000)
			w.wantDrop(machine.DropPhase, "it has ended")
			w.advance(time.Minute)
			noEvent[SessionEnded](w, "not before the host has answered")
			w.opened(c.o)
			w.wantSilence("nobody listens")
			if c.abandon {
				if a := event[Abandon](w, "the host has opened it"); a.Missing.Count() != 9 {
					t.Fatalf("%d missing", a.Missing.Count())
				}
			}
			if c.ended {
				event[FileEnded](w, "what came of it")
			}
			noEvent[Abandon](w, "nothing is open")
			w.wantEnded(false, EndAborted)
		}
	})
}

func TestBlocksOutOfRange(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	q := w.toReceiving(1, 9500)
	seg := func(id uint16, section, blk uint16, n int) {
		x := wire.FileSeg{FileID: id, Section: section, Block: blk, Data: make([]byte, n)}
		w.send(wire.FuncFileSeg, x.Append(nil))
	}
	for _, c := range []struct {
		name           string
		section, block uint16
		len            int
		drop           machine.Drop
	}{
		{"section", 1, 0, 1000, machine.DropRange},
		{"far section", 65535, 0, 1000, machine.DropRange},
		{"block", 0, 10, 1000, machine.DropRange},
		{"far block", 0, 65535, 1000, machine.DropRange},
		{"short", 0, 0, 999, machine.DropRange},
		{"long", 0, 0, 1001, machine.DropRange},
		{"empty", 0, 0, 0, machine.DropRange},
		{"last longer than a block", 0, 9, 1001, machine.DropRange},
		{"last too short", 0, 9, 499, machine.DropRange},
		{"last filled by a source that grew", 0, 9, 1000, machine.DropNone},
		{"last", 0, 9, 500, machine.DropDuplicate},
		{"first", 0, 0, 1000, machine.DropNone},
		{"again", 0, 0, 1000, machine.DropDuplicate},
	} {
		seg(1, c.section, c.block, c.len)
		w.wantDrop(c.drop, c.name)
		if stored := w.last.Store.Data != nil; stored != (c.drop == 0) {
			t.Fatalf("%s: stored %v", c.name, stored)
		}
		if end := w.last.Store.Offset + int64(len(w.last.Store.Data)); end > q.Size {
			t.Fatalf("%s: stores up to byte %d of %d", c.name, end, q.Size)
		}
	}
	seg(2, 0, 1, 1000)
	w.wantDrop(machine.DropFile, "another file")
	if n := w.missing(); n != q.Layout.Blocks-2 {
		t.Fatalf("%d blocks missing", n)
	}
}

func TestClosing(t *testing.T) {
	whole := func(t *testing.T, robust uint8) (*world, Request) {
		w := newWorld(t)
		w.toMidGroup(func(a *wire.Announce) { a.Robust = robust })
		q := w.toReceiving(1, 3000)
		for b := range 3 {
			w.data(1, &q.Layout, 0, b)
		}
		return w, q
	}
	t.Run("fails", func(t *testing.T) {
		w, _ := whole(t, 20)
		w.done(1, 0, us)
		w.closed("read-only file system")
		w.wantComplete(1, wire.StatusRejected, "the sender hears it")
		if e := event[FileEnded](w, "why"); e.Text != "read-only file system" || e.Status != wire.StatusRejected {
			t.Fatalf("%+v", e)
		}
		w.wantPhase(MidGroup)
	})
	t.Run("takes long: the sender is kept waiting", func(t *testing.T) {
		w, q := whole(t, 20)
		for round := 1; round <= 20; round++ {
			w.done(1, 0, us)
			w.advance(3 * oneG)
			if round%5 == 0 {
				w.wantStatus(0, "04", "a quarter of its patience is used up: ask for the last block")
			}
			w.wantSilence("otherwise nothing")
		}
		if v := w.data(1, &q.Layout, 0, 2); v.Store.Data != nil {
			t.Fatal("the block is not wanted really")
		}
		w.closed("")
		w.wantComplete(1, wire.StatusNormal, "at last")
	})
	t.Run("a sender with little patience", func(t *testing.T) {
		w, _ := whole(t, 1)
		w.done(1, 0, us)
		w.advance(oneG / 2)
		w.closed("")
		w.wantComplete(1, wire.StatusNormal, "within 1 G: no STATUS")
		w.advance(10 * oneG)
		w.wantSilence("no STATUS")
	})
	t.Run("an ABORT does not lose the file", func(t *testing.T) {
		w, q := whole(t, 20)
		w.done(1, 0, us)
		w.abort(wire.Abort{})
		event[GotAbort](w, "it is reported at once")
		w.done(1, 0, us)
		w.wantDrop(machine.DropPhase, "it has ended")
		w.closed("")
		w.wantSilence("nobody listens")
		if e := event[FileEnded](w, "the file is whole"); e.Status != wire.StatusNormal || e.Request.Ref != q.Ref {
			t.Fatalf("%+v", e)
		}
		noEvent[Abandon](w, "the file is whole")
		w.wantEnded(false, EndAborted)
	})
	t.Run("a write that failed does", func(t *testing.T) {
		w, q := whole(t, 20)
		w.r.StoreFailed(w.now, q.Ref, "no space left on device")
		w.poll()
		w.wantAbort("f1: no space left on device", "a hole in the file")
		if a := event[Abandon](w, "a hole in the file"); a.Missing.Count() != 3 {
			t.Fatalf("%d missing, want all: nobody knows which is not there", a.Missing.Count())
		}
		w.wantEnded(false, EndRefused)
	})
}

func TestStoreFailed(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	q := w.toReceiving(1, 3000)
	w.data(1, &q.Layout, 0, 0)
	w.r.StoreFailed(w.now, q.Ref, "no space left on device")
	w.r.StoreFailed(w.now, q.Ref, "no space left on device")
	w.poll()
	w.wantAbort("f1: no space left on device", "once")
	w.wantSilence("once")
	w.wantEnded(false, EndRefused)
}

func TestCheckpoints(t *testing.T) {
	const every = 300 * time.Millisecond
	begin := func(restart bool) (*world, Request) {
		w := newWorld(t, func(c *Config) { c.Restart, c.CheckpointEvery = restart, every })
		w.toMidGroup()
		q := w.toReceiving(1, 10000)
		return w, q
	}
	w, q := begin(false)
	w.data(1, &q.Layout, 0, 0)
	w.advance(2 * every)
	noEvent[Checkpoint](w, "nothing to resume without a temporary directory")

	w, q = begin(true)
	w.advance(every)
	noEvent[Checkpoint](w, "nothing came")
	w.data(1, &q.Layout, 0, 4)
	w.advance(every)
	c := event[Checkpoint](w, "a block came")
	if c.Ref != q.Ref || c.Missing.Count() != 9 || c.Missing.Has(4) {
		t.Fatalf("%+v", c)
	}
	w.data(1, &q.Layout, 0, 5)
	w.advance(2 * every)
	noEvent[Checkpoint](w, "one at a time")
	if c.Missing.Count() != 9 {
		t.Fatal("the copy belongs to the host")
	}
	w.r.CheckpointDone(w.now, q.Ref)
	w.data(1, &q.Layout, 0, 6)
	w.advance(every)
	if c := event[Checkpoint](w, "the next"); c.Missing.Count() != 7 {
		t.Fatalf("%d missing", c.Missing.Count())
	}
	// The session ends, and another one takes its slot while the host has the copy.
	w.abort(wire.Abort{})
	if a := event[Abandon](w, "aborted"); a.Missing.Count() != 7 || a.Ref != q.Ref {
		t.Fatalf("%+v", a)
	}
	w.forget()
	w.toMidGroup()
	q2 := w.toReceiving(1, 500_000)
	w.data(1, &q2.Layout, 0, 0)
	w.advance(every)
	noEvent[Checkpoint](w, "the old copy is still out")
	if c.Missing.Len() != 10 {
		t.Fatal("the old copy was changed")
	}
	w.r.CheckpointDone(w.now, q.Ref)
	w.advance(every)
	if c := event[Checkpoint](w, "the copy is back"); c.Ref != q2.Ref || c.Missing.Count() != 499 {
		t.Fatalf("%+v", c)
	}
}

// File IDs wrap from 65535 to 1, which is not the file 1 of long ago.
func TestFileIDWrap(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	for _, id := range []uint16{1, 65534, 65535, 1, 2} {
		w.fileInfo(id, 0)
		w.opened(Opened{Action: Receive})
		w.wantAck(id, false, "open")
		w.closed("")
		w.done(id, 0, us)
		w.wantComplete(id, wire.StatusNormal, "received")
	}
}
