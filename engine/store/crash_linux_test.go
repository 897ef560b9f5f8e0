package store

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/wire"
)

// These tests compute the content of a disk after a power failure at any moment. A file system
// promises little: the bytes of a file are there if it was synced after they were written, and a
// change of names is there if one of its directories was synced after it. The rest is open, so the
// tests try several disks for each moment (see disks).

// inode is a file, link or directory of the watched disk.
type inode struct {
	kind   fs.FileMode
	synced string // bytes of a file as they were synced last, text of a link
	mode   fs.FileMode
	mtime  time.Time
}

// edit gives name in a directory to something, or takes it away if to is nil.
type edit struct {
	in   *inode
	name string
	to   *inode
}

// names are the entries of directories.
type names map[*inode]map[string]*inode

// watched is a disk under a receiver.
type watched struct {
	t      *testing.T
	base   string
	root   *inode
	byID   map[uint64]*inode
	start  names
	edits  [][]edit // one change of names each, in order
	synced []bool   // of edits
	forced int      // edits before this are there if the file system keeps the order
	calls  int
	seen   map[[32]byte]bool
	failed bool

	// fails is called for each disk, in a directory that holds a copy of it.
	fails func(base string) error
	key   func() string // fails depends on it as well as on the disk
}

// watch records all calls of store below base.
func watch(t *testing.T, base string) *watched {
	w := &watched{t: t, base: base, byID: map[uint64]*inode{}, start: names{}, seen: map[[32]byte]bool{}}
	w.root = w.scan(base)
	spy = w.call
	t.Cleanup(func() { spy = nil })
	return w
}

func (w *watched) scan(path string) *inode {
	n := w.add(lstat(w.t, path))
	if n.kind == fs.ModeDir {
		w.start[n] = map[string]*inode{}
		entries, _ := os.ReadDir(path)
		for _, e := range entries {
			w.start[n][e.Name()] = w.scan(filepath.Join(path, e.Name()))
		}
		return n
	}
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	n.synced = string(b)
	return n
}

func lstat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi
}

// add takes something new into the list.
func (w *watched) add(fi fs.FileInfo) *inode {
	n := &inode{kind: fi.Mode().Type(), mode: fi.Mode().Perm(), mtime: fi.ModTime()}
	w.byID[fi.Sys().(*syscall.Stat_t).Ino] = n
	return n
}

func (w *watched) id(fi fs.FileInfo, err error) *inode {
	if err != nil {
		w.t.Fatal(err)
	}
	n := w.byID[fi.Sys().(*syscall.Stat_t).Ino]
	if n == nil {
		w.t.Fatalf("%s: nobody has made it", fi.Name())
	}
	return n
}

func (w *watched) dir(d dir) *inode { return w.id(d.Root.Stat(".")) }

// call is the spy: the power fails before each change, and after the last.
func (w *watched) call(c *call, do func() error) error {
	switch c.op {
	case "open", "lstat", "list", "close":
		return do()
	}
	w.powerFails()
	err := do()
	if err == nil {
		w.calls++
		w.note(c)
	}
	return err
}

func (w *watched) note(c *call) {
	change := func(e ...edit) {
		w.edits, w.synced = append(w.edits, e), append(w.synced, false)
	}
	switch c.op {
	case "mkdir", "create", "symlink":
		fi, err := c.at.Root.Lstat(c.name)
		if err != nil {
			w.t.Fatal(err)
		}
		n := w.add(fi)
		if c.op == "symlink" {
			n.synced = c.newName
		}
		change(edit{w.dir(c.at), c.name, n})
	case "remove", "removeall":
		change(edit{w.dir(c.at), c.name, nil})
	case "rename":
		n := w.id(c.to.Root.Lstat(c.newName))
		change(edit{w.dir(c.at), c.name, nil}, edit{w.dir(c.to), c.newName, n})
	case "link":
		change(edit{w.dir(c.to), c.newName, w.id(c.to.Root.Lstat(c.newName))})
	case "exchange":
		a, b := w.id(c.at.Root.Lstat(c.name)), w.id(c.to.Root.Lstat(c.newName))
		change(edit{w.dir(c.at), c.name, a}, edit{w.dir(c.to), c.newName, b})
	case "chtimes":
		fi, err := c.at.Root.Lstat(c.name)
		w.id(fi, err).mtime = fi.ModTime()
	case "chmod":
		fi, err := c.file.Stat()
		w.id(fi, err).mode = fi.Mode().Perm()
	case "syncdata":
		b, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", c.file.Fd()))
		if err != nil {
			w.t.Fatal(err)
		}
		w.id(c.file.Stat()).synced = string(b)
	case "syncdir":
		d := w.dir(c.at)
		for i, es := range w.edits {
			if slices.ContainsFunc(es, func(e edit) bool { return e.in == d }) {
				w.synced[i], w.forced = true, max(w.forced, i+1)
			}
		}
	case "write", "truncate", "reserve", "release":
	default:
		w.t.Fatalf("call %s is not known", c.op)
	}
}

// powerFails tries all disks that there may be now.
func (w *watched) powerFails() {
	if w.failed {
		return
	}
	spy = func(c *call, do func() error) error { // wait for no disk
		if c.op == "syncdata" || c.op == "syncdir" {
			return nil
		}
		return do()
	}
	defer func() { spy = w.call }()
	try := func(what string, there func(i int) bool) {
		if w.failed {
			return
		}
		state := w.state(there)
		if !w.isNew(state) {
			return
		}
		base := scratch(w.t)
		defer os.RemoveAll(base)
		w.restore(state, w.root, base)
		if err := w.fails(base); err != nil {
			w.failed = true
			w.t.Errorf("power failed after %d calls, %s: %v\ndisk:\n\t%s", w.calls, what, err, strings.Join(w.list(state, w.root, ""), "\n\t"))
		}
	}
	try("only what was synced is there", func(i int) bool { return w.synced[i] })
	for n := w.forced; n <= len(w.edits); n++ {
		try(fmt.Sprintf("%d changes of %d are there", n, len(w.edits)), func(i int) bool { return i < n })
	}
}

// scratch makes a directory, in memory if there is such a place.
func scratch(t *testing.T) string {
	where := "/dev/shm"
	if _, err := os.Stat(where); err != nil {
		where = ""
	}
	base, err := os.MkdirTemp(where, "uftp-crash")
	if err != nil {
		t.Fatal(err)
	}
	return base
}

func (w *watched) state(there func(i int) bool) names {
	s := names{}
	for d, m := range w.start {
		s[d] = map[string]*inode{}
		for k, v := range m {
			s[d][k] = v
		}
	}
	for i, es := range w.edits {
		if !there(i) {
			continue
		}
		for _, e := range es {
			if s[e.in] == nil {
				s[e.in] = map[string]*inode{}
			}
			if e.to == nil {
				delete(s[e.in], e.name)
			} else {
				s[e.in][e.name] = e.to
			}
		}
	}
	return s
}

func (w *watched) list(s names, n *inode, path string) (lines []string) {
	for name, to := range s[n] {
		p := path + "/" + name
		lines = append(lines, fmt.Sprintf("%s %v %o %d %q", p, to.kind, to.mode, to.mtime.Unix(), to.synced))
		lines = append(lines, w.list(s, to, p)...)
	}
	sort.Strings(lines)
	return lines
}

func (w *watched) isNew(s names) bool {
	sum := sha256.Sum256([]byte(strings.Join(w.list(s, w.root, ""), "\n") + w.key()))
	if w.seen[sum] {
		return false
	}
	w.seen[sum] = true
	return true
}

func (w *watched) restore(s names, n *inode, path string) {
	for name, to := range s[n] {
		p := filepath.Join(path, name)
		var err error
		switch to.kind {
		case fs.ModeDir:
			if err = os.Mkdir(p, 0o755); err == nil {
				w.restore(s, to, p)
			}
		case fs.ModeSymlink:
			err = os.Symlink(to.synced, p)
		default:
			if err = os.WriteFile(p, []byte(to.synced), 0o644); err == nil {
				err = os.Chmod(p, to.mode)
			}
			if err == nil {
				err = os.Chtimes(p, to.mtime, to.mtime)
			}
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// crashHall is a receiver on a disk that fails, with its promises.
type crashHall struct {
	*hall
	w     *watched
	done  []promise
	whole bool // the sender heard that the session is over
}

// promise is something that the sender heard COMPLETE of.
type promise struct {
	req  Request
	text string
}

func newCrashHall(t *testing.T, change func(*SinkConfig)) *crashHall {
	h := newHall(t, change)
	for name, text := range crashOld {
		h.write("dest/"+name, text, oldStamp)
	}
	c := &crashHall{hall: h, w: watch(t, h.base)}
	c.w.fails = c.lost
	c.w.key = func() string { return fmt.Sprint(len(c.done), c.whole) }
	return c
}

// crashOld is the destination before the session.
var crashOld = map[string]string{
	"f1": "old f1", "ln": "old ln", "isdir": "old isdir", "dirA/a": "old a", "dirA/kept": "kept", "gone": "old gone", "other": "other",
}

func (c *crashHall) put(name, text string) {
	c.t.Helper()
	req := c.file(name, text)
	c.receive(req, text)
	c.done = append(c.done, promise{req, text})
	c.w.powerFails()
}

func (c *crashHall) now(typ wire.FileType, name, link string) {
	c.t.Helper()
	req := c.request(typ, name, 0)
	req.Link = link
	c.complete(req)
	c.done = append(c.done, promise{req, link})
	c.w.powerFails()
}

// lost starts a receiver on the disk at base, resumes an unfinished session, and returns the
// promises that are broken.
func (c *crashHall) lost(base string) error {
	cfg := c.cfg
	move := func(s string) string { return strings.Replace(s, c.base, base, 1) }
	cfg.Dests = []string{move(cfg.Dests[0])}
	if cfg.Temp != "" {
		cfg.Temp = move(cfg.Temp)
	}
	cfg.Backups = slices.Clone(cfg.Backups)
	for i := range cfg.Backups {
		cfg.Backups[i] = move(cfg.Backups[i])
	}
	k, err := NewSink(cfg)
	if err != nil {
		return err
	}
	for _, l := range k.FinishMoves() {
		if l.Err != nil {
			return fmt.Errorf("moving at the start: %w", l.Err)
		}
	}
	read := func(name string) string {
		p := filepath.Join(cfg.Dests[0], name)
		fi, err := os.Lstat(p)
		switch {
		case err != nil:
			return "(missing)"
		case fi.IsDir():
			return "(directory)"
		case fi.Mode()&fs.ModeSymlink != 0:
			text, _ := os.Readlink(p)
			return "link to " + text
		}
		b, _ := os.ReadFile(p)
		return string(b)
	}
	promised := map[string]string{}
	for _, p := range c.done {
		want := p.text
		switch p.req.Type {
		case wire.TypeDir:
			want = "(directory)"
		case wire.TypeLink:
			want = "link to " + p.text
		case wire.TypeDelete:
			if want = "(missing)"; cfg.Temp != "" {
				continue // acts in the temporary directory
			}
		}
		promised[p.req.Name] = want
	}
	kept := func() error {
		for name, want := range promised {
			if got := read(name); got != want {
				return fmt.Errorf("%s was COMPLETE with %q, the destination has %q", name, want, got)
			}
		}
		return nil
	}
	if cfg.Temp != "" && !c.whole && kept() != nil {
		s := k.Begin(SessionKey{Group: testGroup, Instance: 9, Started: c.started})
		for _, p := range c.done {
			req := p.req
			req.Resume = true
			if a, f := s.Open(req); f != nil || a.Text != "" {
				s.End(false)
				return fmt.Errorf("%s was COMPLETE, and is not there for the next instance: %+v", req.Name, a)
			}
		}
		if _, _, err := s.End(true); err != nil {
			return fmt.Errorf("end of the next instance: %w", err)
		}
	}
	if err := kept(); err != nil {
		return err
	}
	for name, old := range crashOld {
		if len(cfg.Backups) > 0 && read(name) != old {
			if err := c.backedUp(base, name, old); err != nil {
				return err
			}
		}
		if _, ok := promised[name]; ok || promised[filepath.Dir(name)] != "" {
			continue
		}
		got := read(name)
		away := got == "(missing)" && (len(cfg.Backups) > 0 || // for a moment it is only there
			cfg.Temp != "" && !cfg.Merge && filepath.Dir(name) == "dirA") // the directory is replaced by what was received
		if got != old && got != crashNew[name] && !away && !(name == "isdir" && got == "(directory)") {
			return fmt.Errorf("%s was %q, nobody heard of anything new, the destination has %q", name, old, got)
		}
	}
	return nil
}

// crashNew is sent by the session in place of crashOld.
var crashNew = map[string]string{"f1": "new f1", "ln": "link to f1", "dirA/a": "new a", "gone": "(missing)"}

func (c *crashHall) backedUp(base, name, want string) error {
	found := false
	filepath.WalkDir(filepath.Join(base, "backup"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if b, _ := os.ReadFile(path); string(b) == want {
				found = true
			}
		}
		return nil
	})
	if !found {
		return fmt.Errorf("%s is replaced, and not in the backup directory", name)
	}
	return nil
}

// TestPowerFails: whenever the power fails, a file that had COMPLETE is in the destination, or the
// next start moves it there, or the next instance of the session finds it. An older object stays
// until a complete one has taken its place.
func TestPowerFails(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*SinkConfig)
	}{
		{"durable", func(c *SinkConfig) { c.Durable = true }},
		{"durable, backups", func(c *SinkConfig) { c.Durable = true; withBackup(c) }},
		{"temp", withTemp},
		{"temp, merge", withMerge},
		{"temp, durable", func(c *SinkConfig) { c.Durable = true; withTemp(c) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newCrashHall(t, row.change)
			c.put("f1", "new f1")
			c.put("dirA/a", "new a")
			c.put("new/deep/b", "new b")
			c.now(wire.TypeDir, "empty", "")
			c.now(wire.TypeDir, "isdir", "")
			c.now(wire.TypeLink, "ln", "f1")
			c.now(wire.TypeDelete, "gone", "")
			c.end1()
			if c.cfg.Temp != "" { // its syncs must not break promises of the first session
				c.s = c.k.Begin(SessionKey{Group: testGroup + 1, Started: c.started})
				c.receive(c.file("later", "x"), "x")
				c.w.powerFails()
				c.end(true)
				c.w.powerFails()
			}
			if c.w.calls < 20 {
				t.Errorf("%d calls seen, the test looks at nothing", c.w.calls)
			}
		})
	}
}

// end1 ends the session as a receiver does.
func (c *crashHall) end1() {
	c.t.Helper()
	if _, err := c.s.MarkDone(); err != nil {
		c.t.Fatal(err)
	}
	c.whole = true
	c.w.powerFails()
	c.end(true)
	c.w.powerFails()
}

// TestPowerFailsAfterResume is TestPowerFails for a session that was interrupted and resumed.
func TestPowerFailsAfterResume(t *testing.T) {
	for _, merge := range []bool{false, true} {
		c := newCrashHall(t, func(cfg *SinkConfig) { cfg.Temp, cfg.Merge = "temp", merge })
		c.put("dirA/a", "new a")
		text := body(3500)
		req := c.file("sub/big", text)
		f, left := c.cut(req, text, 0, 2)
		if err := f.Checkpoint(left); err != nil {
			t.Fatal(err)
		}
		if err := f.Abandon(left); err != nil {
			t.Fatal(err)
		}
		c.end(false)
		c.begin(1)
		c.complete(c.resume(c.done[0].req))
		a, f := c.s.Open(c.resume(req))
		if f == nil || !a.Partial {
			t.Fatalf("%+v, want the part that was there", a)
		}
		c.finishRest(a, f, req, text)
		c.done = append(c.done, promise{req, text})
		c.w.powerFails()
		c.end1()
	}
}
