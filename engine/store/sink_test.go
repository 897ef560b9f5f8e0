package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/wire"
)

// hall is a receiver's directories and a session in them.
type hall struct {
	t       *testing.T
	base    string // holds dest, backup, temp and outside
	cfg     SinkConfig
	k       *Sink
	s       *Session
	fileID  uint16
	started time.Time
}

const (
	testGroup = 0x0BADCAFE
	testBlock = 1000 // bytes
	oldStamp  = 1577880000
	newStamp  = 1600000000
)

func newHall(t *testing.T, change func(*SinkConfig)) *hall {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{t: t, base: base, started: time.Date(2026, 11, 22, 10, 50, 25, 0, time.Local)}
	for _, d := range []string{"dest", "backup", "temp", "outside"} {
		h.mkdir(d)
	}
	h.cfg = SinkConfig{Dests: []string{h.at("dest")}}
	if change != nil {
		change(&h.cfg)
	}
	if h.cfg.Temp != "" {
		h.mkdir(h.cfg.Temp)
		h.cfg.Temp = h.at(h.cfg.Temp)
	}
	for i, b := range h.cfg.Backups {
		h.cfg.Backups[i] = h.at(b)
	}
	if h.k, err = NewSink(h.cfg); err != nil {
		t.Fatal(err)
	}
	h.begin(0)
	return h
}

func withBackup(c *SinkConfig) { c.Backups = []string{"backup"} }
func withTemp(c *SinkConfig)   { c.Temp = "temp" }
func withMerge(c *SinkConfig)  { c.Temp, c.Merge = "temp", true }

func (h *hall) at(name string) string { return filepath.Join(h.base, name) }

// begin starts an instance of the session like a daemon that has just started.
func (h *hall) begin(instance uint8) {
	h.s = h.k.Begin(SessionKey{Group: testGroup, Instance: instance, Started: h.started})
}

func (h *hall) mkdir(name string) {
	h.t.Helper()
	if err := os.MkdirAll(h.at(name), 0o755); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hall) write(name, text string, stamp int64) {
	h.t.Helper()
	h.mkdir(filepath.Dir(name))
	if err := os.WriteFile(h.at(name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.stamp(name, stamp)
}

func (h *hall) stamp(name string, stamp int64) {
	h.t.Helper()
	if err := os.Chtimes(h.at(name), time.Unix(stamp, 0), time.Unix(stamp, 0)); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hall) link(text, name string) {
	h.t.Helper()
	if err := os.Symlink(text, h.at(name)); err != nil {
		h.t.Skipf("no symbolic links here: %v", err)
	}
}

// tree returns everything below name, one line each: path, kind and content.
func (h *hall) tree(name string) []string {
	h.t.Helper()
	var lines []string
	root := h.at(name)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		line := filepath.ToSlash(rel)
		switch {
		case e.IsDir():
			line += "/"
		case e.Type()&fs.ModeSymlink != 0:
			text, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + text
		default:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if len(data) > 40 {
				data = fmt.Appendf(nil, "%d bytes", len(data))
			}
			line += " = " + string(data)
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	sort.Strings(lines)
	return lines
}

func (h *hall) wantTree(name, why string, want ...string) {
	h.t.Helper()
	sort.Strings(want)
	if got := h.tree(name); !slices.Equal(got, want) {
		h.t.Errorf("%s: %s holds\n\t%s\nwant\n\t%s", why, name, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// request builds the request for a file, numbering files as a sender does.
func (h *hall) request(typ wire.FileType, name string, size int64) Request {
	h.t.Helper()
	l, err := block.NewLayout(size, testBlock)
	if err != nil {
		h.t.Fatal(err)
	}
	h.fileID++
	return Request{FileID: h.fileID, Type: typ, Name: name, Size: size, MTime: newStamp, Layout: l}
}

func (h *hall) file(name, text string) Request {
	h.t.Helper()
	return h.request(wire.TypeFile, name, int64(len(text)))
}

// receive opens req, which must be wanted, and writes and finishes it.
func (h *hall) receive(req Request, text string) (Answer, Finished) {
	h.t.Helper()
	a, f := h.s.Open(req)
	if f == nil {
		h.t.Fatalf("Open(%q) = %+v: want a file to receive", req.Name, a)
	}
	if err := f.WriteAt([][]byte{[]byte(text)}, 0); err != nil {
		h.t.Fatal(err)
	}
	done, err := f.Finish()
	if err != nil {
		h.t.Fatal(err)
	}
	return a, done
}

// complete opens req, which must be completed at once.
func (h *hall) complete(req Request) Answer {
	h.t.Helper()
	a, f := h.s.Open(req)
	if f != nil || !a.Complete {
		h.t.Fatalf("Open(%q) = %+v: want it completed at once", req.Name, a)
	}
	return a
}

func (h *hall) wantStatus(a Answer, want wire.CompleteStatus, why string) {
	h.t.Helper()
	if a.Status != want {
		h.t.Errorf("%s: status %d (%s), want %d", why, a.Status, a.Text, want)
	}
	if (a.Status == wire.StatusRejected) != (a.Text != "") {
		h.t.Errorf("%s: status %d with text %q: a rejection and only a rejection gives its reason", why, a.Status, a.Text)
	}
}

func (h *hall) end(ok bool) (moved, log []string) {
	h.t.Helper()
	moved, log, err := h.s.End(ok)
	if err != nil {
		h.t.Errorf("End(%v): %v", ok, err)
	}
	return moved, log
}

func (h *hall) wantMissing(name, why string) {
	h.t.Helper()
	if _, err := os.Lstat(h.at(name)); !errors.Is(err, fs.ErrNotExist) {
		h.t.Errorf("%s: %s exists (%v)", why, name, err)
	}
}

func body(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i/251)
	}
	return string(b)
}

func TestReceive(t *testing.T) {
	h := newHall(t, nil)
	text := body(5*testBlock + 17)
	req := h.file("a/b/f", text)
	a, f := h.s.Open(req)
	if f == nil || a.Missing != nil || a.Partial || a.Status != wire.StatusNormal {
		t.Fatalf("Open = %+v: want all of a new file", a)
	}
	for _, off := range []int{2 * testBlock, 0, testBlock} { // any order
		if err := f.WriteAt([][]byte{[]byte(text[off : off+testBlock])}, int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	h.wantMissing("dest/a", "before the file is whole not even its directory exists")
	rest := []byte(text[3*testBlock:])
	if err := f.WriteAt([][]byte{rest[:testBlock], rest[testBlock : 2*testBlock], nil, rest[2*testBlock:]}, 3*testBlock); err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{-1, req.Size, req.Size - 4, math.MaxInt64} {
		if err := f.WriteAt([][]byte{[]byte("xxxxx")}, off); err == nil {
			t.Errorf("WriteAt(%d) of 5 bytes: want an error, the file has %d", off, req.Size)
		}
	}
	done, err := f.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if done.Path != h.at("dest/a/b/f") {
		t.Errorf("Finish gave path %s", done.Path)
	}
	got, err := os.ReadFile(done.Path)
	if err != nil || string(got) != text {
		t.Errorf("content differs (%v)", err)
	}
	fi, err := os.Lstat(done.Path)
	if err != nil || fi.ModTime().Unix() != newStamp {
		t.Errorf("time stamp %v (%v), want the one sent", fi.ModTime(), err)
	}
	if err := f.WriteAt([][]byte{[]byte("x")}, 0); err == nil {
		t.Error("WriteAt after Finish: want an error")
	}
	if _, err := f.Finish(); err == nil {
		t.Error("Finish twice: want an error")
	}
	a, done = h.receive(h.file("empty", ""), "")
	if a.Complete || done.Path != h.at("dest/empty") {
		t.Errorf("empty file: %+v, %+v", a, done)
	}
	h.wantTree("dest", "two files and no temporaries", "a/", "a/b/", fmt.Sprintf("a/b/f = %d bytes", len(text)), "empty = ")
	if moved, _ := h.end(true); moved != nil {
		t.Errorf("End moved %v: want nothing without a temporary directory", moved)
	}
}

// TestExisting lets every kind of object arrive where another one is, without and with
// backups (docs/files.md).
func TestExisting(t *testing.T) {
	const text = "new text"
	setups := map[string]func(*hall){
		"nothing":       func(*hall) {},
		"file":          func(h *hall) { h.write("dest/x", "old", oldStamp) },
		"directory":     func(h *hall) { h.write("dest/x/inner", "old", oldStamp) },
		"empty dir":     func(h *hall) { h.mkdir("dest/x") },
		"link":          func(h *hall) { h.write("outside/t", "out", oldStamp); h.link(h.at("outside/t"), "dest/x") },
		"link to dir":   func(h *hall) { h.write("outside/d/t", "out", oldStamp); h.link(h.at("outside/d"), "dest/x") },
		"dangling link": func(h *hall) { h.link("nowhere", "dest/x") },
	}
	backups := map[string][]string{ // below the backup of dest
		"file":          {"x = old"},
		"directory":     {"x/", "x/inner = old"},
		"empty dir":     {"x/"},
		"link":          {"x -> OUT/t"},
		"link to dir":   {"x -> OUT/d"},
		"dangling link": {"x -> nowhere"},
	}
	requests := map[string]func(*hall) Request{
		"file": func(h *hall) Request { return h.file("x", text) },
		"dir":  func(h *hall) Request { return h.request(wire.TypeDir, "x", 0) },
		"link": func(h *hall) Request { r := h.request(wire.TypeLink, "x", 0); r.Link = "target"; return r },
		"file below": func(h *hall) Request {
			return h.file("x/y", text)
		},
	}
	results := map[string][]string{
		"file":       {"x = " + text},
		"dir":        {"x/"},
		"link":       {"x -> target"},
		"file below": {"x/", "x/y = " + text},
	}
	for what, request := range requests {
		for there, setup := range setups {
			for _, backup := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s on %s, backup %v", what, there, backup), func(t *testing.T) {
					var change func(*SinkConfig)
					if backup {
						change = withBackup
					}
					h := newHall(t, change)
					setup(h)
					before, outside := h.tree("dest"), h.tree("outside")
					isDir := strings.Contains(there, "dir") && !strings.Contains(there, "link")
					isLink := strings.Contains(there, "link")

					a, f := h.s.Open(request(h))
					if what == "file below" && isLink {
						h.wantStatus(a, wire.StatusRejected, "a parent that is a link is not followed")
						h.wantTree("dest", "and it stays", before...)
						return
					}
					if f != nil {
						var now []string
						for _, l := range h.tree("dest") {
							if !strings.Contains(l, ".~uftp-0BADCAFE-") {
								now = append(now, l)
							}
						}
						if !slices.Equal(now, before) {
							t.Errorf("while receiving dest holds %q, want %q and a temporary: the old stays until the new is whole", now, before)
						}
						if err := f.WriteAt([][]byte{[]byte(text)}, 0); err != nil {
							t.Fatal(err)
						}
						if _, err := f.Finish(); err != nil {
							t.Fatal(err)
						}
					}
					if what == "dir" && isDir {
						h.wantStatus(a, wire.StatusSkipped, "a directory that exists is skipped")
						h.wantTree("dest", "and left alone", before...)
						h.wantTree("backup", "nothing was replaced")
						return
					}
					if what != "file below" && there == "directory" && !backup {
						h.wantStatus(a, wire.StatusRejected, "a directory that holds something is in the way")
						h.wantTree("dest", "and left alone", before...)
						return
					}
					h.wantStatus(a, wire.StatusNormal, "what is in the way is replaced")
					want := results[what]
					if what == "file below" && there == "directory" {
						want = append(want, "x/inner = old")
					}
					h.wantTree("dest", "the new replaces the old", want...)
					h.wantTree("outside", "what a link points to is untouched", outside...)
					old := slices.Clone(backups[there])
					if what == "file below" && isDir {
						old = nil
					}
					if !backup || old == nil {
						h.wantTree("backup", "nothing to back up, or nowhere")
						return
					}
					dir := "backup/20261122/105025" + filepath.ToSlash(h.at("dest"))
					for i := range old {
						old[i] = strings.ReplaceAll(old[i], "OUT", h.at("outside"))
					}
					h.wantTree(dir, "the old is in the backup, under its full path", old...)
				})
			}
		}
	}
}

func TestLinkTargetUntouched(t *testing.T) {
	h := newHall(t, nil)
	h.write("outside/t", "precious", oldStamp)
	h.link(h.at("outside/t"), "dest/f1")
	h.receive(h.file("f1", "new"), "new")
	h.wantTree("dest", "the link is replaced", "f1 = new")
	h.wantTree("outside", "its target is intact", "t = precious")
}

func TestSync(t *testing.T) {
	const same, longer = "12345678", "123456789"
	tests := []struct {
		name   string
		setup  func(*hall)
		status wire.CompleteStatus
		wanted bool
		log    string
	}{
		{"missing", func(*hall) {}, wire.StatusNormal, true, logCopy},
		{"older", func(h *hall) { h.write("dest/x", longer, newStamp-1) }, wire.StatusOverwrite, true, logOverwrite},
		{"newer", func(h *hall) { h.write("dest/x", longer, newStamp+1) }, wire.StatusSkipped, false, logInSync},
		{"same time, same size", func(h *hall) { h.write("dest/x", same, newStamp) }, wire.StatusSkipped, false, logInSync},
		{"same time, other size", func(h *hall) { h.write("dest/x", longer, newStamp) }, wire.StatusOverwrite, true, logOverwrite},
		{"older directory", func(h *hall) { h.write("dest/x/in", "", 1); h.stamp("dest/x", newStamp-1) }, wire.StatusOverwrite, true, logOverwrite},
		{"directory of same time", func(h *hall) { h.mkdir("dest/x"); h.stamp("dest/x", newStamp) }, wire.StatusOverwrite, true, logOverwrite},
		{"newer directory", func(h *hall) { h.mkdir("dest/x"); h.stamp("dest/x", newStamp+1) }, wire.StatusSkipped, false, logInSync},
		{"newer link, older target", func(h *hall) { h.write("dest/t", "", 5); h.link("t", "dest/x") }, wire.StatusSkipped, false, logInSync},
	}
	for _, tt := range tests {
		for _, preview := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, preview %v", tt.name, preview), func(t *testing.T) {
				h := newHall(t, withBackup)
				tt.setup(h)
				before := h.tree("dest")
				req := h.file("x", same)
				req.Sync, req.Preview = true, preview
				a, f := h.s.Open(req)
				h.wantStatus(a, tt.status, tt.name)
				if !slices.Contains(a.Log, tt.log) {
					t.Errorf("log %q does not say %q", a.Log, tt.log)
				}
				if a.Complete == (tt.wanted && !preview) {
					t.Errorf("complete at once = %v with preview %v", a.Complete, preview)
				}
				if f == nil {
					h.wantTree("dest", "nothing is received, nothing changes", before...)
					return
				}
				if err := f.WriteAt([][]byte{[]byte(same)}, 0); err != nil {
					t.Fatal(err)
				}
				if _, err := f.Finish(); err != nil {
					t.Fatal(err)
				}
				if got, _ := os.ReadFile(h.at("dest/x")); string(got) != same {
					t.Errorf("content %q", got)
				}
				if made := len(h.tree("backup")) > 0; made != (len(before) > 0) {
					t.Errorf("backup made = %v, existed before = %v", made, len(before) > 0)
				}
			})
		}
	}
}

func TestPreviewChangesNothing(t *testing.T) {
	for name, change := range map[string]func(*SinkConfig){"plain": nil, "backup": withBackup, "temp": withTemp} {
		t.Run(name, func(t *testing.T) {
			h := newHall(t, change)
			h.write("dest/file", "f", oldStamp)
			h.write("dest/dir/in", "f", oldStamp)
			h.write("dest/gone", "f", oldStamp)
			before := h.tree(".")
			link := h.request(wire.TypeLink, "dir", 0)
			link.Link = "file"
			for _, req := range []Request{
				h.file("file/below", "text"), h.file("new/deep/f", "text"), h.file("dir", "text"), link,
				h.request(wire.TypeDir, "file", 0), h.request(wire.TypeDir, "fresh/er", 0),
				h.request(wire.TypeDir, "dir", 0),
				h.request(wire.TypeDelete, "gone", 0), h.request(wire.TypeDelete, "dir", 0),
			} {
				req.Preview, req.Sync = true, true
				a := h.complete(req)
				blocked := req.Name == "dir" && (req.Type == wire.TypeLink && name == "plain" || name == "temp" && req.Type != wire.TypeDir && req.Type != wire.TypeDelete)
				if (a.Status == wire.StatusRejected) != blocked {
					t.Errorf("%s: status %d (%s)", req.Name, a.Status, a.Text)
				}
				h.wantTree(".", "a preview changes nothing on disk: "+req.Name, before...)
			}
			h.end(true)
			h.wantTree(".", "nor does its end", before...)
		})
	}
}

func TestDelete(t *testing.T) {
	for _, backup := range []bool{false, true} {
		t.Run(fmt.Sprintf("backup %v", backup), func(t *testing.T) {
			change := withBackup
			if !backup {
				change = func(*SinkConfig) {}
			}
			h := newHall(t, change)
			h.write("outside/keep", "precious", oldStamp)
			h.write("dest/f", "f", oldStamp)
			h.write("dest/d/deep/f", "f", oldStamp)
			h.link(h.at("outside"), "dest/d/out")
			h.link(h.at("outside"), "dest/l")
			h.write("dest/stay", "s", oldStamp)
			for _, name := range []string{"f", "d", "l", "nosuch", "nosuch/deeper", "stay/below"} {
				h.wantStatus(h.complete(h.request(wire.TypeDelete, name, 0)), wire.StatusNormal, name)
			}
			h.wantTree("dest", "what was named is gone", "stay = s")
			h.wantTree("outside", "links are removed, not followed", "keep = precious")
			if backup {
				h.wantTree("backup/20261122/105025"+filepath.ToSlash(h.at("dest")), "all in the backup",
					"f = f", "d/", "d/deep/", "d/deep/f = f", "d/out -> "+h.at("outside"), "l -> "+h.at("outside"))
			}
			for _, name := range []string{".", "./", "/", "..", "d/..", h.at("dest"), ""} {
				h.wantStatus(h.complete(h.request(wire.TypeDelete, name, 0)), wire.StatusRejected, fmt.Sprintf("delete of %q", name))
			}
			h.link(h.at("outside"), "dest/l")
			h.wantStatus(h.complete(h.request(wire.TypeDelete, "l/keep", 0)), wire.StatusRejected, "through a link")
			h.wantTree("outside", "nothing outside is touched", "keep = precious")
		})
	}
}

func TestFreeSpace(t *testing.T) {
	for name, change := range map[string]func(*SinkConfig){"plain": nil, "temp": withTemp} {
		h := newHall(t, change)
		before := h.tree(".")
		for _, n := range []string{".", "nosuch/dir"} {
			a := h.complete(h.request(wire.TypeFreeSpace, n, 0))
			h.wantStatus(a, wire.StatusNormal, "free space")
			if !a.HasSpace || a.FreeSpace == 0 {
				t.Errorf("%s: %+v: want the free bytes", name, a)
			}
		}
		h.wantTree(".", "a query changes nothing", before...)
	}
}

func TestNoSpaceTouchesNothing(t *testing.T) {
	h := newHall(t, nil)
	h.write("dest/f", "old", oldStamp)
	req := h.request(wire.TypeFile, "f", 0)
	req.Size = 1 << 47
	l, err := block.NewLayout(req.Size, wire.MaxBlockSize)
	if err != nil {
		req.Size = block.MaxSize(wire.MaxBlockSize)
		if l, err = block.NewLayout(req.Size, wire.MaxBlockSize); err != nil {
			t.Fatal(err)
		}
	}
	req.Layout = l
	a := h.complete(req)
	h.wantStatus(a, wire.StatusRejected, "a file larger than the disk")
	if !strings.HasPrefix(a.Text, ErrNoSpace.Error()) {
		t.Errorf("text %q", a.Text)
	}
	h.wantTree("dest", "the old file survives", "f = old")
	a, done := h.receive(h.file("f", "next"), "next")
	if a.Status != wire.StatusNormal || done.Path == "" {
		t.Errorf("the session does not go on: %+v", a)
	}
}

func TestAbandon(t *testing.T) {
	h := newHall(t, withBackup)
	h.write("dest/f", "old", oldStamp)
	h.receive(h.file("done", "done"), "done")
	_, f := h.s.Open(h.file("f", body(3*testBlock)))
	if err := f.WriteAt([][]byte{[]byte(body(testBlock))}, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Checkpoint(missing(3, 1, 2)); err != nil {
		t.Fatal(err)
	}
	if err := f.Abandon(missing(3, 1, 2)); err != nil {
		t.Fatal(err)
	}
	if err := f.Abandon(nil); err == nil {
		t.Error("Abandon twice: want an error")
	}
	_, f = h.s.Open(h.file("dir/g", body(3*testBlock)))
	if f == nil {
		t.Fatal("want to receive dir/g")
	}
	h.end(false) // without Abandon
	h.wantTree("dest", "the temporary is gone, the old file and the finished one stay", "done = done", "f = old")
	h.wantTree("backup", "nothing was replaced")
}

// TestOrphanReplaced: a leftover file under the temporary name is removed. If another object is
// there, it stays, no link is followed, and the new file gets another name.
func TestOrphanReplaced(t *testing.T) {
	orphan := "dest/" + tempName("f", testGroup, 1)
	for _, x := range []struct {
		why   string
		leave func(h *hall)
		stays []string
	}{
		{"a file", func(h *hall) { h.write(orphan, "left by kill -9", oldStamp) }, nil},
		{"a directory", func(h *hall) { h.write(orphan+"/in", "in", oldStamp) },
			[]string{filepath.Base(orphan) + "/", filepath.Base(orphan) + "/in = in"}},
		{"a link", func(h *hall) { h.link("../outside/t", orphan) },
			[]string{filepath.Base(orphan) + " -> ../outside/t"}},
	} {
		t.Run(x.why, func(t *testing.T) {
			h := newHall(t, nil)
			h.write("outside/t", "t", oldStamp)
			x.leave(h)
			h.receive(h.file("f", "text"), "text")
			h.wantTree("dest", x.why+" under the temporary name", append([]string{"f = text"}, x.stays...)...)
			h.wantTree("outside", "a link in its place is not followed", "t = t")
		})
	}
}

func TestStolenTemporary(t *testing.T) {
	h := newHall(t, nil)
	h.write("dest/f", "old", oldStamp)
	_, f := h.s.Open(h.file("f", "text"))
	temp := "dest/" + tempName("f", testGroup, 1)
	if err := os.Remove(h.at(temp)); err != nil {
		t.Skipf("open files cannot be removed here: %v", err)
	}
	h.write(temp, "evil", oldStamp)
	if _, err := f.Finish(); !errors.Is(err, errStolen) {
		t.Errorf("Finish = %v, want %v", err, errStolen)
	}
	h.wantTree("dest", "neither file is touched", "f = old", filepath.Base(temp)+" = evil")
}

func TestUnknownType(t *testing.T) {
	h := newHall(t, nil)
	h.wantStatus(h.complete(h.request(9, "x", 0)), wire.StatusRejected, "type 9")
}

func TestLongNames(t *testing.T) {
	h := newHall(t, nil)
	for _, n := range []int{235, 236, 254, 255} {
		name := strings.Repeat("n", n)
		h.receive(h.file(name, "x"), "x")
	}
	umlauts := strings.Repeat("ü", 120) // 240 bytes
	h.receive(h.file(umlauts, "x"), "x")
	if temp := tempName(umlauts, testGroup, 1); len(temp) > maxName || strings.ContainsRune(temp, '\uFFFD') {
		t.Errorf("temporary name %q of %d bytes", temp, len(temp))
	}
	deep := strings.Repeat("d/", 149) + "f" // 299 bytes
	h.receive(h.file(deep, "x"), "x")
	h.wantStatus(h.complete(h.file(strings.Repeat("n", 256), "x")), wire.StatusRejected, "longer than a name can be")
	for _, l := range h.tree("dest") {
		if strings.Contains(l, "~uftp") {
			t.Errorf("temporary left: %s", l)
		}
	}
}

func TestOpenTwicePanics(t *testing.T) {
	h := newHall(t, nil)
	_, f := h.s.Open(h.file("f", "text"))
	defer func() {
		if recover() == nil {
			t.Error("want a panic: a session receives one file at a time")
		}
		if err := f.Abandon(nil); err != nil {
			t.Error(err)
		}
	}()
	h.s.Open(h.file("g", "text"))
}

func TestWriteAtAllocatesNothing(t *testing.T) {
	h := newHall(t, nil)
	const n = 64
	req := h.request(wire.TypeFile, "f", n*testBlock)
	_, f := h.s.Open(req)
	bufs := make([][]byte, n)
	for i := range bufs {
		bufs[i] = bytes.Repeat([]byte{byte(i)}, testBlock)
	}
	if got := testing.AllocsPerRun(100, func() {
		if err := f.WriteAt(bufs, 0); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("WriteAt allocates %v times, want 0", got)
	}
	if _, err := f.Finish(); err != nil {
		t.Fatal(err)
	}
	req = h.request(wire.TypeFile, "long", 1000*n*testBlock) // space is reserved on the way
	_, f = h.s.Open(req)
	off := int64(0)
	if got := testing.AllocsPerRun(999, func() {
		if err := f.WriteAt(bufs, off); err != nil {
			t.Fatal(err)
		}
		off += n * testBlock
	}); got != 0 {
		t.Errorf("WriteAt of a file that grows allocates %v times, want 0", got)
	}
	f.Abandon(nil)
}

// BenchmarkWriteAt writes a file many times, in runs of neighbouring blocks as they come from the
// wire.
func BenchmarkWriteAt(b *testing.B) {
	for _, size := range []int{1300, 8800} {
		for _, run := range []int{1, 8, 64, 1024} {
			b.Run(fmt.Sprintf("block=%d/run=%d", size, run), func(b *testing.B) {
				k, err := NewSink(SinkConfig{Dests: []string{b.TempDir()}})
				if err != nil {
					b.Fatal(err)
				}
				s := k.Begin(SessionKey{Group: 1})
				part := int64(size * run)
				whole := (64 << 20) / part * part
				l, err := block.NewLayout(whole, size)
				if err != nil {
					b.Fatal(err)
				}
				_, f := s.Open(Request{FileID: 1, Type: wire.TypeFile, Name: "f", Size: whole, Layout: l})
				bufs := cutBlocks(make([]byte, part), size)
				write := func(off int64) {
					if err := f.WriteAt(bufs, off); err != nil {
						b.Fatal(err)
					}
				}
				for off := int64(0); off < whole; off += part { // the pages are there
					write(off)
				}
				b.SetBytes(part)
				b.ReportAllocs()
				off := int64(0)
				for b.Loop() {
					write(off)
					if off += part; off == whole {
						off = 0
					}
				}
				if err := f.Abandon(nil); err != nil {
					b.Fatal(err)
				}
				s.End(false)
			})
		}
	}
}

func TestDurable(t *testing.T) {
	h := newHall(t, func(c *SinkConfig) { c.Durable = true })
	h.receive(h.file("a/f", "x"), "x")
	link := h.request(wire.TypeLink, "l", 0)
	link.Link = "a/f"
	h.complete(link)
	h.complete(h.request(wire.TypeDir, "d", 0))
	h.complete(h.request(wire.TypeDelete, "d", 0))
	h.wantTree("dest", "syncing changes nothing else", "a/", "a/f = x", "l -> a/f")
}

// missing returns the set of the blocks given, of n.
func missing(n int, blocks ...int) *block.Set {
	s := new(block.Set)
	s.Reset(n, false)
	for _, b := range blocks {
		s.Add(b)
	}
	return s
}
