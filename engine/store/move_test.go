package store

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"uftp/wire"
)

// fill receives a tree: two files, one of them in a directory, an empty directory, a link and an
// empty file.
func (h *hall) fill() {
	h.t.Helper()
	h.receive(h.file("f1", "one"), "one")
	h.receive(h.file("dirA/a", "two"), "two")
	h.receive(h.file("dirA/deep/b", "three"), "three")
	h.complete(h.request(wire.TypeDir, "emptyd", 0))
	link := h.request(wire.TypeLink, "ln", 0)
	link.Link = "f1"
	h.wantStatus(h.complete(link), wire.StatusNormal, "link")
	h.receive(h.file("zero", ""), "")
}

func (h *hall) paths(names ...string) []string {
	for i := range names {
		names[i] = h.at("dest/" + names[i])
	}
	return names
}

// TestMove: a session's files are moved in two ways, with and without Merge.
func TestMove(t *testing.T) {
	obstacles := func(h *hall) {
		h.write("dest/dirA/keepme", "old", oldStamp)
		h.write("dest/dirA/a", "old", oldStamp)
		h.write("dest/dirA/deep", "a file", oldStamp)
		h.write("dest/emptyd/kept", "old", oldStamp)
		h.mkdir("dest/f1")
		h.write("outside/t", "precious", oldStamp)
		h.link(h.at("outside/t"), "dest/zero")
		h.write("dest/stay", "old", oldStamp)
	}
	t.Run("replace", func(t *testing.T) {
		h := newHall(t, withTemp)
		obstacles(h)
		before := h.tree("dest")
		h.fill()
		h.wantTree("dest", "nothing changes before the end", before...)
		moved, _ := h.end(true)
		if want := h.paths("dirA", "emptyd", "f1", "ln", "zero"); !slices.Equal(moved, want) {
			t.Errorf("script gets %q, want the top-level entries %q", moved, want)
		}
		h.wantTree("dest", "received directories replace existing ones",
			"dirA/", "dirA/a = two", "dirA/deep/", "dirA/deep/b = three", "emptyd/", "f1 = one", "ln -> f1", "zero = ", "stay = old")
		h.wantTree("temp", "nothing is left")
		h.wantTree("outside", "no link is followed", "t = precious")
	})
	t.Run("merge", func(t *testing.T) {
		h := newHall(t, withMerge)
		obstacles(h)
		h.fill()
		moved, _ := h.end(true)
		if want := h.paths("dirA/a", "dirA/deep/b", "emptyd", "f1", "ln", "zero"); !slices.Equal(moved, want) {
			t.Errorf("script gets %q, want each file, link and empty directory %q", moved, want)
		}
		h.wantTree("dest", "directories are merged",
			"dirA/", "dirA/a = two", "dirA/deep/", "dirA/deep/b = three", "dirA/keepme = old",
			"emptyd/", "emptyd/kept = old", "f1 = one", "ln -> f1", "zero = ", "stay = old")
		h.wantTree("temp", "nothing is left")
		h.wantTree("outside", "no link is followed", "t = precious")
	})
	for _, merge := range []bool{false, true} {
		t.Run(fmt.Sprintf("failed session, merge %v", merge), func(t *testing.T) {
			h := newHall(t, func(c *SinkConfig) { c.Temp, c.Merge = "temp", merge })
			h.fill()
			if moved, _ := h.end(false); moved != nil {
				t.Errorf("moved %q: an aborted session moves nothing", moved)
			}
			h.wantTree("dest", "nothing arrives")
			h.begin(1)
			h.receive(h.resume(h.file("last", "x")), "x")
			h.end(true)
			h.wantTree("dest", "the next instance moves what is there", "dirA/", "dirA/a = two", "dirA/deep/",
				"dirA/deep/b = three", "emptyd/", "f1 = one", "ln -> f1", "zero = ", "last = x")
		})
	}
}

func TestMergeThroughLink(t *testing.T) {
	h := newHall(t, withMerge)
	h.write("outside/d/a", "precious", oldStamp)
	h.link(h.at("outside/d"), "dest/d")
	h.receive(h.file("d/a", "new"), "new")
	h.end(true)
	h.wantTree("outside", "a link in the way is replaced, not followed", "d/", "d/a = precious")
	h.wantTree("dest", "by a directory", "d/", "d/a = new")
}

func TestMovePurgesOrphans(t *testing.T) {
	for _, merge := range []bool{false, true} {
		h := newHall(t, func(c *SinkConfig) { c.Temp, c.Merge = "temp", merge })
		h.receive(h.file("d/f", "x"), "x")
		h.write(groupDir+"/"+tempName("g", testGroup, 7), "partial", 1)
		h.write(groupDir+"/d/"+tempName("h", testGroup, 9), "partial", 1)
		h.write(groupDir+"/"+scratchName("d", testGroup, scratchOld)+"/in", "replaced", 1)
		h.mkdir(groupDir + "/" + scratchName("e", testGroup, scratchDir))
		notOurs := tempName("h", testGroup+1, 9)
		h.write(groupDir+"/d/"+notOurs, "sent by this name", 1)
		h.end(true)
		h.wantTree("dest", "partial files of killed daemons are not moved", "d/", "d/f = x", "d/"+notOurs+" = sent by this name")
		h.wantTree("temp", "nor left")
	}
}

func TestEndWithoutFiles(t *testing.T) {
	for _, ok := range []bool{false, true} {
		h := newHall(t, withTemp)
		moved, _ := h.end(ok)
		if moved != nil {
			t.Errorf("moved %q", moved)
		}
		h.wantTree("temp", "a session without files leaves nothing")
	}
}

func TestAbsoluteNameWithTemp(t *testing.T) {
	h := newHall(t, withTemp)
	a := h.complete(h.file(h.at("dest/abs"), "x"))
	h.wantStatus(a, wire.StatusRejected, "absolute name")
	if a.Text != string(errNameAbsTemp) {
		t.Errorf("text %q", a.Text)
	}
}

func TestDeleteWithTemp(t *testing.T) {
	h := newHall(t, withTemp)
	h.write("dest/f", "old", oldStamp)
	h.receive(h.file("g", "x"), "x")
	h.complete(h.request(wire.TypeDelete, "f", 0))
	h.complete(h.request(wire.TypeDelete, "g", 0))
	for _, name := range []string{".", "../_group_0BADCAFE", "../../dest/f"} {
		h.wantStatus(h.complete(h.request(wire.TypeDelete, name, 0)), wire.StatusRejected, name)
	}
	h.end(true)
	h.wantTree("dest", "deletes act inside the temporary directory", "f = old")
}

func TestGroupDirIsALink(t *testing.T) {
	h := newHall(t, withTemp)
	h.link(h.at("outside"), groupDir)
	h.receive(h.file("f", "x"), "x")
	h.wantTree("temp", "the session has a directory of its own",
		"_group_0BADCAFE -> "+h.at("outside"), h.s.name+"/", h.s.name+"/f = x")
	h.end(true)
	h.wantTree("outside", "nothing went out")
	h.wantTree("dest", "all has arrived", "f = x")
}

// TestBackupKeepsBoth receives one name twice in a session: the second backup must
// not destroy the first.
func TestBackupKeepsBoth(t *testing.T) {
	h := newHall(t, withBackup)
	h.write("dest/f", "original", oldStamp)
	h.receive(h.file("f", "first"), "first")
	_, done := h.receive(h.file("f", "second"), "second")
	dir := "backup/20261122/105025" + h.at("dest")
	h.wantTree("dest", "the last one stays", "f = second")
	h.wantTree(dir, "both are kept", "f = original", "f.1 = first")
	if want := "Backed up existing file to " + h.at(dir+"/f.1"); !slices.Contains(done.Log, want) {
		t.Errorf("log %q, want %q", done.Log, want)
	}
}

// TestNoGapWithBackup: the name of a file that is replaced and backed up always exists.
func TestNoGapWithBackup(t *testing.T) {
	h := newHall(t, withBackup)
	h.write("dest/f", "0", oldStamp)
	stop, gaps := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				gaps <- n
				return
			default:
			}
			if _, err := os.Lstat(h.at("dest/f")); err != nil {
				n++
			}
		}
	}()
	for i := range 90 { // there are 100 names
		text := string(rune('a' + i%26))
		h.receive(h.file("f", text), text)
	}
	close(stop)
	if n := <-gaps; n > 0 {
		t.Errorf("%d times nothing had the name", n)
	}
}

// TestBackupFails blocks the backup: the old object survives.
func TestBackupFails(t *testing.T) {
	h := newHall(t, withBackup)
	h.write("dest/f", "old", oldStamp)
	h.write("dest/d/in", "old", oldStamp)
	h.write("backup/20261122", "a file where a directory belongs", oldStamp)
	before := h.tree("dest")
	_, f := h.s.Open(h.file("f", "new"))
	if err := f.WriteAt([][]byte{[]byte("new")}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Finish(); err == nil || !strings.Contains(err.Error(), "back up") {
		t.Errorf("Finish = %v, want the failed backup named", err)
	}
	for _, typ := range []wire.FileType{wire.TypeDelete, wire.TypeLink} {
		req := h.request(typ, "d", 0)
		req.Link = "x"
		h.wantStatus(h.complete(req), wire.StatusRejected, fmt.Sprintf("type %d", typ))
	}
	h.wantTree("dest", "everything survives", before...)
}

// TestBackupThroughLink backs up a link and then something below where it was.
func TestBackupThroughLink(t *testing.T) {
	h := newHall(t, withBackup)
	h.mkdir("outside/d")
	h.link(h.at("outside"), "dest/l")
	h.receive(h.file("l", "file"), "file") // the link goes to the backup
	h.complete(h.request(wire.TypeDelete, "l", 0))
	h.receive(h.file("l/d", "x"), "x")
	a, f := h.s.Open(h.file("l/d", "y"))
	if f == nil {
		t.Fatalf("%+v", a)
	}
	if err := f.WriteAt([][]byte{[]byte("y")}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Finish(); err == nil {
		t.Error("Finish: the backup would lead through a link, want an error")
	}
	h.wantTree("outside", "nothing went out", "d/")
	if got, _ := os.ReadFile(h.at("dest/l/d")); string(got) != "x" {
		t.Errorf("the old file did not survive: %q", got)
	}
}

func TestBackupOfSecondDestination(t *testing.T) {
	h := newHall(t, nil)
	h.mkdir("two")
	h.mkdir("bk2")
	k, err := NewSink(SinkConfig{Dests: []string{h.at("dest"), h.at("two")}, Backups: []string{h.at("backup"), h.at("bk2")}})
	if err != nil {
		t.Fatal(err)
	}
	h.k = k
	h.begin(0)
	h.write("two/sub/f", "old", oldStamp)
	h.receive(h.file(h.at("two/sub/f"), "new"), "new")
	h.wantTree("two", "landed in the second destination", "sub/", "sub/f = new")
	h.wantTree("bk2/20261122/105025"+h.at("two"), "backed up in its own directory", "sub/", "sub/f = old")
	h.wantTree("backup", "not in the other")
}

// TestMoveAtOnce ends sessions of several groups with the same directory at the same time: in the
// end one of these directories is there, complete, and nothing of the others.
func TestMoveAtOnce(t *testing.T) {
	for name, change := range map[string]func(*SinkConfig){"replace": withTemp, "merge": withMerge} {
		t.Run(name, func(t *testing.T) {
			h := newHall(t, change)
			for round := 0; round < 30 && !t.Failed(); round++ {
				h.endAtOnce()
				h.wantTree("dest", "the directory of the last one", "dir/", "dir/a = one", "dir/b = two")
				h.wantTree("temp", "nothing is left")
				if round%2 == 0 { // the next ones find no such directory
					if err := os.RemoveAll(h.at("dest/dir")); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// endAtOnce ends sessions of four groups that have received the same directory.
func (h *hall) endAtOnce() {
	h.t.Helper()
	var all [4]*Session
	for i := range all {
		h.s = h.k.Begin(SessionKey{Group: testGroup + 1 + uint32(i), Started: h.started})
		all[i] = h.s
		h.receive(h.file("dir/a", "one"), "one")
		h.receive(h.file("dir/b", "two"), "two")
	}
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(func() {
			if _, _, err := s.End(true); err != nil {
				h.t.Errorf("the end of a session that has everything: %v", err)
			}
		})
	}
	wg.Wait()
}

// TestBackupAtOnce finishes a file in sessions of several groups at the same time: each must back up
// that of another one, and none gets lost.
func TestBackupAtOnce(t *testing.T) {
	const groups, rounds = 4, 10
	h := newHall(t, withBackup)
	h.write("dest/f", "old", oldStamp)
	for range rounds {
		var all [groups]*File
		for i := range all {
			h.s = h.k.Begin(SessionKey{Group: testGroup + 1 + uint32(i), Started: h.started})
			_, f := h.s.Open(h.file("f", "new"))
			if f == nil {
				t.Fatal("want a file to receive")
			}
			if err := f.WriteAt([][]byte{[]byte("new")}, 0); err != nil {
				t.Fatal(err)
			}
			all[i] = f
		}
		var wg sync.WaitGroup
		for _, f := range all {
			wg.Go(func() {
				if _, err := f.Finish(); err != nil {
					t.Errorf("the end of a file that is whole: %v", err)
				}
			})
		}
		wg.Wait()
		for _, f := range all {
			if _, _, err := f.s.End(true); err != nil {
				t.Error(err)
			}
		}
	}
	h.wantTree("dest", "the last one", "f = new")
	files := 0
	for _, line := range h.tree("backup") {
		if strings.Contains(line, " = ") {
			files++
		}
	}
	if files != groups*rounds {
		t.Errorf("%d files in the backup, want the old one and all but the last of the new ones: %d", files, groups*rounds)
	}
}

// TestFinishBesideDelete: a complete file gets its name even if another session deletes the old
// object at that moment.
func TestFinishBesideDelete(t *testing.T) {
	h := newHall(t, withBackup)
	for i := range 40 {
		h.write("dest/f", "old", oldStamp)
		h.s = h.k.Begin(SessionKey{Group: testGroup + 1, Started: h.started.Add(time.Duration(i) * time.Second)})
		one := h.s
		_, f := one.Open(h.file("f", "new"))
		if f == nil {
			t.Fatal("want a file to receive")
		}
		if err := f.WriteAt([][]byte{[]byte("new")}, 0); err != nil {
			t.Fatal(err)
		}
		two := h.k.Begin(SessionKey{Group: testGroup + 2, Started: h.started.Add(time.Duration(i) * time.Second)})
		gone := h.request(wire.TypeDelete, "f", 0)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := f.Finish(); err != nil {
				t.Errorf("the end of a file that is whole: %v", err)
			}
		})
		wg.Go(func() {
			if a, _ := two.Open(gone); !a.Complete || a.Status == wire.StatusRejected {
				t.Errorf("deleting: %+v", a)
			}
		})
		wg.Wait()
		for _, s := range []*Session{one, two} {
			if _, _, err := s.End(true); err != nil {
				t.Error(err)
			}
		}
	}
}
