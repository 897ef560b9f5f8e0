package store

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// killedInMove is a session that ended well and whose receiver was killed after marking it.
func (h *hall) killedInMove() {
	h.t.Helper()
	h.kill()
	if err := os.Rename(h.at(groupDir), h.at(groupDir+doneSuffix)); err != nil {
		h.t.Fatal(err)
	}
}

// finishMoves starts a receiver again, and wants that it finds n sessions to move.
func (h *hall) finishMoves(n int) []LateMove {
	h.t.Helper()
	k, err := NewSink(h.cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	h.k = k
	list := k.FinishMoves()
	for _, l := range list {
		if l.Err != nil {
			h.t.Errorf("group %08X: %v", l.Group, l.Err)
		}
	}
	if len(list) != n {
		h.t.Fatalf("%d sessions were moved, want %d: %+v", len(list), n, list)
	}
	return list
}

// TestLateMove: a receiver that is killed during a move is followed by one that continues.
func TestLateMove(t *testing.T) {
	t.Run("replace", func(t *testing.T) {
		h := newHall(t, withTemp)
		h.write("dest/dirA/keepme", "old", oldStamp)
		h.fill()
		h.killedInMove()
		if err := os.Rename(h.at(groupDir+doneSuffix+"/f1"), h.at("dest/f1")); err != nil { // it came so far
			t.Fatal(err)
		}
		l := h.finishMoves(1)[0]
		if want := h.paths("dirA", "emptyd", "ln", "zero"); l.Group != testGroup || !slices.Equal(l.Moved, want) {
			t.Errorf("group %08X with %q, want %08X with %q", l.Group, l.Moved, testGroup, want)
		}
		h.wantTree("dest", "all has arrived", "dirA/", "dirA/a = two", "dirA/deep/", "dirA/deep/b = three",
			"emptyd/", "f1 = one", "ln -> f1", "zero = ")
		h.wantTree("temp", "nothing is left")
		h.finishMoves(0)
	})
	t.Run("merge", func(t *testing.T) {
		h := newHall(t, withMerge)
		h.write("dest/dirA/keepme", "old", oldStamp)
		h.fill()
		h.killedInMove()
		h.finishMoves(1)
		h.wantTree("dest", "directories are merged", "dirA/", "dirA/a = two", "dirA/deep/", "dirA/deep/b = three",
			"dirA/keepme = old", "emptyd/", "f1 = one", "ln -> f1", "zero = ")
		h.wantTree("temp", "nothing is left")
	})
	t.Run("between the steps of a replacement", func(t *testing.T) {
		h := newHall(t, withTemp)
		aside := func(name string) string { return "dest/" + scratchName(name, testGroup, scratchOld) }
		h.receive(h.file("new/f", "new"), "new")
		h.write(aside("new")+"/in", "replaced", oldStamp)
		h.write("dest/there", "new", newStamp)
		h.write(aside("there")+"/in", "replaced", oldStamp)
		h.write(aside("gone")+"/in", "not replaced", oldStamp)
		h.mkdir("dest/" + scratchName("gone", testGroup, scratchDir))
		notOurs := scratchName("x", testGroup+1, scratchOld)
		h.write("dest/"+notOurs, "another session's", oldStamp)
		h.killedInMove()
		h.finishMoves(1)
		h.wantTree("dest", "what was replaced goes, what was not comes back",
			"gone/", "gone/in = not replaced", "new/", "new/f = new", "there = new", notOurs+" = another session's")
		h.wantTree("temp", "nothing is left")
	})
}

// TestLateMoveLeavesAlone: FinishMoves touches nothing but marked directories.
func TestLateMoveLeavesAlone(t *testing.T) {
	h := newHall(t, withTemp)
	h.receive(h.file("f", "x"), "x") // a session that may be resumed
	h.write("temp/_group_0000001_done/f", "no group", oldStamp)
	h.write("temp/0000001A_done/f", "no group", oldStamp)
	h.write("temp/_group_0000001A_done", "no directory", oldStamp)
	before := h.tree("temp")
	h.finishMoves(0)
	h.wantTree("temp", "everything stays", before...)
	h.wantTree("dest", "nothing arrives")
}

// TestLateMoveLocked: a receiver leaves alone what another one is moving.
func TestLateMoveLocked(t *testing.T) {
	h := newHall(t, withTemp)
	h.receive(h.file("f", "x"), "x")
	h.killedInMove()
	root, err := h.s.root(h.cfg.Temp)
	if err != nil {
		t.Fatal(err)
	}
	d, err := root.sub(h.s.groupName() + doneSuffix)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	unlock, err := d.lock()
	if err != nil {
		t.Fatal(err)
	}
	other, err := d.lock()
	if err == nil {
		other()
		if runtime.GOOS == "linux" {
			t.Fatal("two have the lock")
		}
		t.Skip("no locks here")
	}
	h.finishMoves(0)
	unlock()
	h.finishMoves(1)
	h.wantTree("dest", "now it is nobody's", "f = x")
}

// TestFailedMoveIsNotTriedAgain: files that could not be moved for a reason that does not pass stay
// in the session's directory, and replace nothing newer at the next start.
func TestFailedMoveIsNotTriedAgain(t *testing.T) {
	h := newHall(t, withTemp)
	h.receive(h.file("f", "x"), "x")
	h.receive(h.file("g", "y"), "y")
	spy = refuse("rename", "g", syscall.EXDEV)
	defer func() { spy = nil }()
	if _, _, err := h.s.End(true); err == nil {
		t.Fatal("End: one cannot be moved, want an error")
	}
	h.wantTree(groupDir, "it waits for the user", "g = y")
	h.finishMoves(0)
	if l := h.k.RetryMoves(); l != nil {
		t.Errorf("%v, want no other try", l)
	}
}

// refuse returns a spy that refuses a call about an entry.
func refuse(op, name string, err error) func(*call, func() error) error {
	return func(c *call, do func() error) error {
		if c.op == op && (c.name == name || c.newName == name) {
			return err
		}
		return do()
	}
}

// TestMoveIsTriedAgain: the sender heard of success, so a reason that passes must not
// leave anything in the temporary directory for ever.
func TestMoveIsTriedAgain(t *testing.T) {
	defer func() { spy = nil }()
	for _, row := range []struct {
		op, name string
		err      error
	}{
		{"rename", "g", syscall.EIO},
		{"rename", "g", syscall.ENOSPC},
		{"rename", "g", syscall.EDQUOT},
		{"rename", "g", syscall.EROFS},
		{"rename", "g", syscall.EACCES},
		{"mkdir", "sub", syscall.ENOSPC},
		{"open", "sub", syscall.EMFILE},
		{"list", ".", syscall.ENFILE},
		{"lstat", "g", syscall.ENOMEM},
		{"syncdir", ".", syscall.EIO},
		{"remove", "sub", syscall.EIO},
	} {
		for _, start := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %s: %v, start %v", row.op, row.name, row.err, start), func(t *testing.T) {
				h := newHall(t, withMerge)
				h.receive(h.file("g", "y"), "y")
				h.receive(h.file("sub/f", "x"), "x")
				h.s.MarkDone()
				spy = refuse(row.op, row.name, row.err)
				_, log, err := h.s.End(true)
				if !errors.Is(err, row.err) {
					t.Fatalf("End: %v, want %v", err, row.err)
				}
				if len(log) == 0 || !strings.Contains(log[len(log)-1], "uftpd retries") {
					t.Errorf("log %q does not say that uftpd retries", log)
				}
				h.k.RetryMoves() // there may be other places that fail now
				if l := h.k.RetryMoves(); len(l) != 0 {
					t.Errorf("%+v: it was reported already", l)
				}
				spy = nil
				if start {
					h.finishMoves(1)
				} else if l := h.k.RetryMoves(); len(l) != 1 || l[0].Err != nil {
					t.Errorf("%+v, want it moved", l)
				}
				h.wantTree("dest", "the reason has passed", "g = y", "sub/", "sub/f = x")
				h.wantTree("temp", "nothing is left")
			})
		}
	}
}

// TestMoveAgainKeepsOrder: a retried move does not replace files of a later session, neither in
// the same receiver nor in the next.
func TestMoveAgainKeepsOrder(t *testing.T) {
	for _, start := range []bool{false, true} {
		h := newHall(t, withTemp)
		h.receive(h.file("f", "older"), "older")
		spy = refuse("rename", "f", syscall.EIO)
		defer func() { spy = nil }()
		h.s.End(true)
		for _, text := range []string{"newer", "newest"} {
			h.begin(0)
			h.receiveUnseen(h.file("f", text), text)
			h.receiveUnseen(h.file("g "+text, text), text)
			spy = refuse("rename", "f", syscall.EIO)
			if _, _, err := h.s.End(true); !errors.Is(err, errWaits) {
				t.Fatalf("End: %v, want %v", err, errWaits)
			}
		}
		h.s = h.k.Begin(SessionKey{Group: 7})
		h.receiveUnseen(h.file("other", "x"), "x")
		h.end(true) // nothing of the same name waits
		spy = nil
		if start {
			h.finishMoves(3)
		} else if l := h.k.RetryMoves(); len(l) != 3 {
			t.Errorf("%+v, want three sessions moved", l)
		}
		h.wantTree("dest", "the newest came last", "f = newest", "g newer = newer", "g newest = newest", "other = x")
		h.wantTree("temp", "nothing is left")
	}
}

// receiveUnseen is receive while nothing fails.
func (h *hall) receiveUnseen(req Request, text string) {
	was := spy
	spy = nil
	h.receive(req, text)
	spy = was
}

// TestWhole: from the moment that a session has all its files a kill costs nothing.
func TestWhole(t *testing.T) {
	begin := func(t *testing.T) *hall {
		h := newHall(t, withTemp)
		h.fill()
		if _, err := h.s.MarkDone(); err != nil {
			t.Fatal(err)
		}
		h.wantMissing(groupDir, "it has the name that a start looks for")
		return h
	}
	arrived := []string{"dirA/", "dirA/a = two", "dirA/deep/", "dirA/deep/b = three", "emptyd/", "f1 = one", "ln -> f1", "zero = "}
	t.Run("killed", func(t *testing.T) {
		h := begin(t)
		h.s.done.close() // like a kill
		h.finishMoves(1)
		h.wantTree("dest", "all has arrived", arrived...)
		h.wantTree("temp", "nothing is left")
	})
	t.Run("confirmed", func(t *testing.T) {
		h := begin(t)
		h.finishMoves(0) // a receiver that starts beside us
		if moved, _ := h.end(true); len(moved) != 5 {
			t.Errorf("script gets %q", moved)
		}
		h.wantTree("dest", "all has arrived", arrived...)
		h.wantTree("temp", "nothing is left")
	})
	t.Run("shut down", func(t *testing.T) {
		h := begin(t)
		h.end(false)
		h.wantTree("dest", "nothing arrives")
		h.finishMoves(0)
		h.begin(1)
		h.receive(h.resume(h.file("last", "x")), "x")
		h.end(true)
		h.wantTree("dest", "the next instance moves what is there", append(arrived, "last = x")...)
		h.wantTree("temp", "nothing is left")
	})
	t.Run("without files", func(t *testing.T) {
		h := newHall(t, withTemp)
		if _, err := h.s.MarkDone(); err != nil {
			t.Fatal(err)
		}
		h.end(true)
		h.wantTree("temp", "nothing is left")
	})
}
