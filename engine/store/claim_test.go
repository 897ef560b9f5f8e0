package store

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"uftp/wire"
)

// Owners of tests.
var (
	anna   = Owner{Name: "0x0A4D0001 10.77.0.1"}
	bert   = Owner{Name: "0x0A4D0001 10.77.0.9"} // the same UID at another address
	secret = Owner{Encrypted: true, Name: "AA"}
	other  = Owner{Encrypted: true, Name: "BB"}
	owners = []Owner{anna, bert, secret, other, {}}
)

// inMemory returns a directory in memory, if the system has one: these tests sync a lot.
func inMemory(t *testing.T) {
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm")
	}
}

// as begins an instance of the session for an owner.
func (h *hall) as(o Owner, instance uint8) *Session {
	h.s = h.k.Begin(SessionKey{Group: testGroup, Instance: instance, Owner: o, Started: h.started})
	return h.s
}

// cutBy leaves an interrupted session of o: a complete file and a part of another.
func (h *hall) cutBy(o Owner, text string) {
	h.t.Helper()
	h.as(o, 0)
	h.receive(h.file("whole", "of the owner"), "of the owner")
	f, left := h.cut(h.file("f", text), text, 0, 2)
	if err := f.Abandon(left); err != nil {
		h.t.Fatal(err)
	}
	h.end(false)
}

// wantResumed resumes the session of o and wants that it uses the files of the first instance.
func (h *hall) wantResumed(o Owner, text string) {
	h.t.Helper()
	h.as(o, 9)
	if a := h.complete(h.resume(h.file("whole", "of the owner"))); a.Status != wire.StatusNormal {
		h.t.Errorf("%+v: want the finished file to be taken as it is", a)
	}
	req := h.resume(h.file("f", text))
	a, f := h.s.Open(req)
	if f == nil || !a.Partial || !slices.Equal(blocksOf(a.Missing), []int{1, 3}) {
		h.t.Fatalf("owner %+v: %+v: want the part to be taken up", o, a)
	}
	h.finishRest(a, f, req, text)
	h.end(true)
	if got, err := os.ReadFile(h.at("dest/f")); err != nil || string(got) != text {
		h.t.Errorf("owner %+v: the file holds something else: %v", o, err)
	}
}

// TestStrangerLeavesCutSessionAlone: whatever another owner's session of the same group does, the
// files of an interrupted session stay as they are, and only their owner resumes them.
func TestStrangerLeavesCutSessionAlone(t *testing.T) {
	inMemory(t)
	text := body(4 * testBlock)
	for i, owner := range owners[:4] {
		for j, stranger := range owners {
			if owner == stranger {
				continue
			}
			for name, act := range map[string]func(h *hall){
				"resumes":          func(h *hall) { h.complete2(h.resume(h.file("f", text))) },
				"is another new":   func(h *hall) { h.receive(h.file("f", text), text) },
				"ends with files":  func(h *hall) { h.receive(h.file("other", "x"), "x"); h.end(true) },
				"ends without":     func(h *hall) { h.end(true) },
				"is whole":         func(h *hall) { h.s.MarkDone() },
				"is cut":           func(h *hall) { h.receive(h.file("whole", "x"), "x"); h.end(false) },
				"deletes":          func(h *hall) { h.complete(h.request(wire.TypeDelete, "whole", 0)); h.end(true) },
				"makes a link":     func(h *hall) { h.complete(Request{Type: wire.TypeLink, Name: "f", Link: "x"}); h.end(true) },
				"makes directory":  func(h *hall) { h.complete(h.request(wire.TypeDir, "f", 0)); h.end(true) },
				"looks for copies": func(h *hall) { r := h.file("whole", "x"); r.Sync, r.Preview = true, true; h.complete(r); h.end(true) },
				"asks for space":   func(h *hall) { h.complete(h.request(wire.TypeFreeSpace, ".", 0)); h.end(true) },
			} {
				if j != (i+1)%len(owners) && name != "resumes" && name != "ends with files" {
					continue // all of them have been strangers, and all owners
				}
				for _, instance := range []uint8{0, 1} {
					t.Run(fmt.Sprintf("%v, %v %s/%d", owner, stranger, name, instance), func(t *testing.T) {
						h := newHall(t, withTemp)
						h.cutBy(owner, text)
						before := h.tree("temp")
						h.as(stranger, instance)
						act(h)
						h.kill()
						for _, line := range before {
							if !slices.Contains(h.tree("temp"), line) {
								t.Errorf("%s is gone", line)
							}
						}
						os.Remove(h.at("dest/f"))
						h.wantResumed(owner, text)
					})
				}
			}
		}
	}
}

// complete2 opens a request, and wants that all of it is received again.
func (h *hall) complete2(req Request) {
	h.t.Helper()
	if a, f := h.s.Open(req); f == nil || a.Partial {
		h.t.Errorf("%+v: want the file to be received anew", a)
	}
}

// TestStrangerBesideLiveSession: two owners send the same file in the same group at the same time.
// Each has its own copy.
func TestStrangerBesideLiveSession(t *testing.T) {
	inMemory(t)
	mine, theirs := body(4*testBlock), strings.Repeat("E", 4*testBlock)
	for _, temp := range []bool{false, true} {
		for _, a := range owners {
			for _, b := range owners {
				for _, ok := range []bool{false, true} {
					if a == b {
						continue
					}
					h := newHall(t, func(c *SinkConfig) {
						if temp {
							c.Temp = "temp"
						}
					})
					first := h.as(a, 0)
					req := h.file("f", mine)
					f, left := h.cut(req, mine, 0, 1)
					if err := f.Checkpoint(left); err != nil {
						t.Fatal(err)
					}
					h.as(b, 1)
					h.receive(h.resume(h.file("f", theirs)), theirs)
					h.end(ok)
					if err := f.WriteAt([][]byte{[]byte(mine[2*testBlock:])}, 2*testBlock); err != nil {
						t.Fatal(err)
					}
					if _, err := f.Finish(); err != nil {
						t.Fatal(err)
					}
					h.s = first
					if _, _, err := h.s.End(true); err != nil {
						t.Fatal(err)
					}
					if got, err := os.ReadFile(h.at("dest/f")); err != nil || string(got) != mine {
						t.Errorf("%v beside %v, ended %v, -T %v: the file is not its own: %v", a, b, ok, temp, err)
					}
				}
			}
		}
	}
}

// TestStockStateIsForClearSessions: only a restart in clear resumes files without an owner, which
// come from a stock daemon or an old version.
func TestStockStateIsForClearSessions(t *testing.T) {
	inMemory(t)
	text := body(4 * testBlock)
	for _, stock := range []bool{false, true} {
		for _, o := range owners {
			for _, instance := range []uint8{0, 1} {
				h := newHall(t, withTemp)
				h.cutBy(Owner{}, text)
				if stock {
					h.makeStock(text)
				}
				before := h.tree("temp")
				h.as(o, instance)
				req := h.file("f", text)
				req.Resume = instance > 0
				a, f := h.s.Open(req)
				if f == nil {
					t.Fatalf("%+v", a)
				}
				if want := !o.Encrypted && instance > 0; a.Partial != want {
					t.Errorf("stock %v, %+v, instance %d: partial %v, want %v", stock, o, instance, a.Partial, want)
				}
				h.kill()
				for _, line := range before {
					if (o.Encrypted || o.Name != "" && instance == 0) && !slices.Contains(h.tree("temp"), line) {
						t.Errorf("stock %v, %+v, instance %d: %s is gone", stock, o, instance, line)
					}
				}
			}
		}
	}
}

// TestOneSessionAtATime: while a session of any process uses a directory, another session of the
// same owner gets a directory of its own, and resumes the first one when it is free.
func TestOneSessionAtATime(t *testing.T) {
	text := body(4 * testBlock)
	for _, o := range owners {
		h := newHall(t, withTemp)
		h.needLocks()
		h.cutBy(o, text)
		first := h.as(o, 1)
		req := h.resume(h.file("f", text))
		a, f := h.s.Open(req)
		if f == nil || !a.Partial {
			t.Fatalf("%+v", a)
		}
		k, err := NewSink(h.cfg) // another daemon
		if err != nil {
			t.Fatal(err)
		}
		mine := h.k
		h.k = k
		for i := range 3 {
			h.as(o, uint8(2+i))
			h.complete2(req)
			if h.s.name == first.name {
				t.Errorf("%+v: two sessions have one directory", o)
			}
			if len(k.Expire(time.Now().Add(time.Hour))) > 0 {
				t.Errorf("%+v: what is in use has expired", o)
			}
			h.s.open.discard()
			h.end(true)
		}
		h.k, h.s = mine, first
		h.finishRest(a, f, req, text)
		h.end(true)
		h.wantTree("dest", "all has arrived", "f = 4000 bytes", "whole = of the owner")
		h.wantTree("temp", "nothing is left")
	}
}

// TestClaimsEnd: when all names are in use, the file is refused, and nothing is changed.
func TestClaimsEnd(t *testing.T) {
	h := newHall(t, withTemp)
	h.needLocks()
	var live []*Session
	defer func() { runtime.KeepAlive(live) }()
	for _, o := range []Owner{anna, secret} {
		for i := range claimNames {
			live = append(live, h.as(o, 0))
			if a, f := h.s.Open(h.file(fmt.Sprint(i), "x")); f == nil {
				t.Fatalf("session %d: %+v", i, a)
			}
		}
		h.as(o, 0)
		a := h.complete(h.file("one more", "x"))
		h.wantStatus(a, wire.StatusRejected, "all directories are in use")
		h.end(true)
	}
}

func (h *hall) needLocks() {
	if runtime.GOOS == "windows" {
		h.t.Skip("no locks here")
	}
}

// TestLateMoveOfOwned: the next receiver moves a session of any owner that was complete when its
// receiver was killed, and removes its owner file.
func TestLateMoveOfOwned(t *testing.T) {
	for _, o := range owners {
		h := newHall(t, withTemp)
		h.as(o, 0)
		h.receive(h.file("f", "x"), "x")
		if _, err := h.s.MarkDone(); err != nil {
			t.Fatal(err)
		}
		h.s.done.close() // like a kill
		h.finishMoves(1)
		h.wantTree("dest", "all has arrived", "f = x")
		h.wantTree("temp", "nothing is left")
	}
}

// TestMarkIsTaken: the files of a session are moved even if the name of its mark is taken: by an
// earlier session of its number that another process moves, or that cannot be moved.
func TestMarkIsTaken(t *testing.T) {
	for _, o := range owners {
		h := newHall(t, withTemp)
		name := h.as(o, 0).claimName(0)
		h.write("temp/"+name+doneSuffix+"/older", "x", oldStamp)
		before := h.tree("temp")
		h.receive(h.file("f", "new"), "new")
		h.end(true)
		h.wantTree("dest", "all has arrived", "f = new")
		h.wantTree("temp", "the earlier session stays", before...)
	}
}

// TestUnclaimedIsReported: the log names a directory that a session does not continue, once.
func TestUnclaimedIsReported(t *testing.T) {
	for _, o := range []Owner{anna, secret} {
		h := newHall(t, withTemp)
		h.mkdir(groupDir)
		instance := uint8(0)
		if o.Encrypted {
			instance = 1
		}
		h.as(o, instance)
		reported := 0
		for _, name := range []string{"d1", "d2"} {
			a, _ := h.s.Open(h.request(wire.TypeDir, name, 0))
			for _, l := range a.Log {
				if strings.HasPrefix(l, "Leaving "+h.at(groupDir)+" alone: ") {
					reported++
				}
			}
		}
		if reported != 1 {
			t.Errorf("%+v: reported %d times, want once", o, reported)
		}
		h.end(true)
	}
}

// TestExpireOfOwned: Expire removes old files of sessions of all owners, and keeps new ones.
func TestExpireOfOwned(t *testing.T) {
	h := newHall(t, withTemp)
	text := body(4 * testBlock)
	for _, o := range owners[:4] {
		h.cutBy(o, text)
	}
	before := h.tree("temp")
	if list := h.k.Expire(time.Now().Add(-time.Hour)); len(list) != 0 {
		t.Errorf("%v, want nothing to expire", list)
	}
	h.wantTree("temp", "nothing is old", before...)
	for _, x := range h.k.Expire(time.Now().Add(time.Hour)) {
		if x.Err != nil {
			t.Error(x)
		}
	}
	h.wantTree("temp", "nothing is left")
}

// TestGroupEntry: groupEntry splits the names that this package makes, and no others.
func TestGroupEntry(t *testing.T) {
	hex := strings.Repeat("0F", ownerHex/2)
	for name, want := range map[string][2]string{
		"_group_0000000A":                           {"_group_0000000A", ""},
		"_group_0000000A_restart":                   {"_group_0000000A", "_restart"},
		"_group_0000000A_owner":                     {"_group_0000000A", "_owner"},
		"_group_0000000A." + hex:                    {"_group_0000000A." + hex, ""},
		"_group_0000000A." + hex + "_done":          {"_group_0000000A." + hex, "_done"},
		"_group_0000000A." + hex + ".2_done":        {"_group_0000000A." + hex + ".2", "_done"},
		"_group_0000000A." + hex + ".2":             {"_group_0000000A." + hex + ".2", ""},
		"_group_0000000A." + hex[1:] + "_done":      {"_group_0000000A", "." + hex[1:] + "_done"},
		"_group_0000000A.2_done":                    {"_group_0000000A", ".2_done"},
		"_group_0000000a":                           {"", ""},
		"group_0000000A":                            {"", ""},
		"_group_0000000":                            {"", ""},
		"x_group_0000000A." + hex + "_restart":      {"", ""},
		"_group_0000000A." + strings.ToLower("0F"):  {"_group_0000000A", ".0f"},
		"_group_0000000A." + hex + "_restart.~new":  {"_group_0000000A." + hex, "_restart.~new"},
		"_group_0000000A." + hex + ".22" + "_owner": {"_group_0000000A." + hex + ".2", "2_owner"},
	} {
		if group, kind := groupEntry(name); group != want[0] || kind != want[1] {
			t.Errorf("%s: %q and %q, want %q", name, group, kind, want)
		}
	}
	if n := groupNumber("_group_0000000A." + hex); n != 10 {
		t.Errorf("group %X", n)
	}
	for _, o := range owners {
		s := (&Sink{}).Begin(SessionKey{Group: 10, Owner: o})
		for i := range claimNames {
			if group, kind := groupEntry(s.claimName(i)); group != s.claimName(i) || kind != "" {
				t.Errorf("%s is taken for %q and %q", s.claimName(i), group, kind)
			}
		}
	}
}

// TestModesOfWhatIsCollected: other users cannot look into a session's directory, and files reach
// the destination with the modes that they have without a temporary directory.
func TestModesOfWhatIsCollected(t *testing.T) {
	h := newHall(t, withTemp)
	h.needLocks()
	plain := newHall(t, nil)
	for _, x := range []*hall{h, plain} {
		x.as(anna, 0)
		x.receive(x.file("d/e/f", "x"), "x")
		x.complete(x.request(wire.TypeDir, "empty", 0))
	}
	if fi, err := os.Stat(h.at(groupDir)); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("%v %v, want a directory for us alone", fi.Mode(), err)
	}
	h.end(true)
	for _, name := range []string{"d", "d/e", "d/e/f", "empty"} {
		a, errA := os.Stat(h.at("dest/" + name))
		b, errB := os.Stat(plain.at("dest/" + name))
		if errA != nil || errB != nil || a.Mode() != b.Mode() {
			t.Errorf("%s: %v %v with -T, %v %v without", name, a, errA, b, errB)
		}
	}
}

// TestOwnerIsWrittenDown: the owner file can be read by users, and goes with the directory.
func TestOwnerIsWrittenDown(t *testing.T) {
	h := newHall(t, withTemp)
	h.as(anna, 0)
	h.receive(h.file("f", "x"), "x")
	if got, err := os.ReadFile(h.at(groupDir + ownerSuffix)); err != nil || string(got) != anna.Name+"\n" {
		t.Errorf("%q %v", got, err)
	}
	h.end(true)
	h.wantTree("temp", "nothing is left")
	if _, err := os.Stat(filepath.Join(h.base, "dest", "f")); err != nil {
		t.Error(err)
	}
	// An owner file of a killed receiver keeps nobody out.
	h.write(groupDir+ownerSuffix, "somebody\n", oldStamp)
	h.as(anna, 0)
	h.receive(h.file("f", "x"), "x")
	if h.s.name != filepath.Base(groupDir) {
		t.Errorf("the session has %s", h.s.name)
	}
	// With one that is cut or cannot be read the directory is not ours.
	h.end(false)
	h.write(groupDir+ownerSuffix, "", oldStamp)
	h.as(anna, 1)
	h.receive(h.resume(h.file("g", "x")), "x")
	if h.s.name == filepath.Base(groupDir) {
		t.Errorf("the session has %s", h.s.name)
	}
	h.end(true)
}

// TestOwnerReachesTheDiskFirst: a crash of the machine never leaves a directory without its owner
// file.
func TestOwnerReachesTheDiskFirst(t *testing.T) {
	h := newHall(t, withTemp)
	h.as(anna, 0)
	var ops []string
	spy = func(c *call, do func() error) error {
		switch {
		case c.op == "syncdir" && c.at.path == h.cfg.Temp:
			ops = append(ops, "sync")
		case c.op == "rename" && strings.HasSuffix(c.newName, ownerSuffix):
			ops = append(ops, "owner")
		case c.op == "mkdir" && c.at.path == h.cfg.Temp:
			ops = append(ops, "directory")
		}
		return do()
	}
	defer func() { spy = nil }()
	_, f := h.s.Open(h.file("f", "x"))
	if got := strings.Join(ops, " "); f == nil || !strings.HasPrefix(got, "directory owner sync") {
		t.Errorf("it does %q, want the directory, its owner, and then both to reach the disk", got)
	}
}

// TestRecordsComeLast: an owner file or a record gets its name when its content is on the disk, and
// a record only when the data that it describes are too. Otherwise a crash of the machine leaves an
// empty one, or a session resumes from data that never reached the disk.
func TestRecordsComeLast(t *testing.T) {
	h := newHall(t, withTemp)
	h.as(anna, 0)
	unsafe := map[string]string{} // names and data that are not durable yet
	records, owners := 0, 0
	spy = func(c *call, do func() error) error {
		switch c.op {
		case "write", "truncate":
			unsafe["data of "+filepath.Base(c.file.Name())] = c.op
		case "syncdata":
			delete(unsafe, "data of "+filepath.Base(c.file.Name()))
		case "create":
			unsafe["name in "+c.at.path] = c.name
		case "syncdir":
			delete(unsafe, "name in "+c.at.path)
		case "rename":
			what := "data of " + c.name
			switch {
			case strings.HasSuffix(c.newName, ownerSuffix):
				if owners++; unsafe[what] != "" {
					t.Errorf("%s gets its name before it is durable", c.newName)
				}
			case strings.HasSuffix(c.newName, recordSuffix):
				records++
				delete(unsafe, "name in "+h.cfg.Temp) // its own
				if len(unsafe) > 0 {
					t.Errorf("%s gets its name before these are durable: %v", c.newName, unsafe)
				}
			}
		}
		return do()
	}
	defer func() { spy = nil }()
	text := body(4 * testBlock)
	f, left := h.cut(h.file("sub/f", text), text, 0)
	if err := f.Checkpoint(left); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteAt([][]byte{[]byte(text[2*testBlock : 3*testBlock])}, 2*testBlock); err != nil {
		t.Fatal(err)
	}
	left.Remove(2)
	if err := f.Abandon(left); err != nil {
		t.Fatal(err)
	}
	h.end(false)
	if owners != 1 || records != 2 {
		t.Errorf("%d owners and %d records, want one and two", owners, records)
	}
}

// TestFoundIsDurableFirst: an earlier session may have been killed before it synced a name. Its
// files must be durable before they count as received.
func TestFoundIsDurableFirst(t *testing.T) {
	h := newHall(t, withTemp)
	h.as(anna, 0)
	h.receive(h.file("a/b/f", "x"), "x")
	h.end(false)
	synced := map[string]bool{}
	spy = func(c *call, do func() error) error {
		if c.op == "syncdir" {
			synced[c.at.path] = true
		}
		return do()
	}
	defer func() { spy = nil }()
	h.as(anna, 1)
	h.complete(h.resume(h.file("a/b/f", "x")))
	for _, d := range []string{"temp", groupDir, groupDir + "/a", groupDir + "/a/b"} {
		if !synced[h.at(d)] {
			t.Errorf("%s is not", d)
		}
	}
	spy = nil
	h.end(true)
}

// lockDir locks a directory like another process.
func (h *hall) lockDir(name string) (unlock func()) {
	h.t.Helper()
	r, err := os.OpenRoot(h.at(name))
	if err != nil {
		h.t.Fatal(err)
	}
	defer r.Close()
	if unlock, err = (dir{Root: r, path: h.at(name)}).lock(); err != nil {
		h.t.Skip(err)
	}
	return unlock
}

// TestOwnersOfNothing go at the start: a stock daemon that ends a session of ours leaves
// one, and so does a receiver that is killed at the end of a move.
func TestOwnersOfNothing(t *testing.T) {
	h := newHall(t, withTemp)
	h.cutBy(anna, body(4*testBlock))
	h.write("temp/_group_0C0FFEE0"+ownerSuffix, "x\n", oldStamp)
	h.mkdir("temp/_group_0C0FFEE0" + doneSuffix)
	unlock := h.lockDir("temp/_group_0C0FFEE0" + doneSuffix)
	defer unlock()
	before := h.tree("temp")
	h.write("temp/_group_0BADF00D"+ownerSuffix, "x\n", oldStamp)
	h.needLocks()
	h.finishMoves(0)
	h.wantTree("temp", "only useful files are left", before...)
}
