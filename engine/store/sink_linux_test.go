package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"uftp/wire"
)

// mount mounts a tmpfs. Without the right to do so it skips the test, or fails it where the
// environment sets CI.
func (h *hall) mount(name string, flags uintptr, options string) {
	h.t.Helper()
	h.mkdir(name)
	if err := unix.Mount("tmpfs", h.at(name), "tmpfs", flags, options); err != nil {
		text := fmt.Sprintf("not run, cannot mount a tmpfs (are you root?): %v", err)
		if os.Getenv("CI") != "" {
			h.t.Fatal(text)
		}
		h.t.Skip(text)
	}
	h.t.Cleanup(func() {
		if err := unix.Unmount(h.at(name), unix.MNT_DETACH); err != nil {
			h.t.Error(err)
		}
	})
}

func (h *hall) remount(name string, flags uintptr, options string) {
	h.t.Helper()
	if err := unix.Mount("tmpfs", h.at(name), "tmpfs", unix.MS_REMOUNT|flags, options); err != nil {
		h.t.Fatal(err)
	}
}

// TestDiskFull: a disk is too small, or fills up.
func TestDiskFull(t *testing.T) {
	for _, temp := range []bool{false, true} {
		t.Run(fmt.Sprintf("temp %v", temp), func(t *testing.T) {
			h := newHall(t, nil)
			h.mount("disk", 0, "size=1m")
			h.mkdir("disk/dest")
			h.mkdir("disk/temp")
			cfg := SinkConfig{Dests: []string{h.at("disk/dest")}}
			where := "disk/dest"
			if temp {
				cfg.Temp = h.at("disk/temp")
				where = "disk/temp/_group_0BADCAFE"
			}
			k, err := NewSink(cfg)
			if err != nil {
				t.Fatal(err)
			}
			h.k = k
			h.begin(0)
			h.receive(h.file("done", "done"), "done")
			h.receive(h.file("f", "old"), "old")

			a := h.complete(h.request(wire.TypeFile, "f", 2<<20))
			h.wantStatus(a, wire.StatusRejected, "a file of 2 MB on a disk of 1 MB")
			if !strings.HasPrefix(a.Text, "Not enough disk space") {
				t.Errorf("text %q", a.Text)
			}
			h.wantTree(where, "the old file survives", "done = done", "f = old")

			req := h.request(wire.TypeFile, "f", 700<<10)
			_, f := h.s.Open(req)
			if f == nil {
				t.Fatal("want to receive 700 kB")
			}
			h.write("disk/other", strings.Repeat("x", 500<<10), oldStamp) // somebody else is faster
			data := [][]byte{make([]byte, 350<<10), make([]byte, 350<<10)}
			err = f.WriteAt(data, 0)
			if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "/f: ") {
				t.Errorf("WriteAt = %v, want %v and the name", err, ErrNoSpace)
			}
			left := missing(req.Layout.Blocks)
			for i := range req.Layout.Blocks {
				left.Add(i)
			}
			if err := f.Abandon(left); err != nil {
				t.Errorf("Abandon = %v", err)
			}
			h.wantTree(where, "nothing finished is lost, what nobody can use is gone", "done = done", "f = old")
			h.end(false)
		})
	}
}

// TestAbandonOnFullDisk gives a file up when not even its record can be written.
func TestAbandonOnFullDisk(t *testing.T) {
	for _, checkpoint := range []bool{false, true} {
		for _, abandon := range []bool{false, true} {
			t.Run(fmt.Sprintf("checkpoint %v, abandon %v", checkpoint, abandon), func(t *testing.T) {
				h := newHall(t, nil)
				h.mount("disk", 0, "size=1m")
				h.mkdir("disk/dest")
				h.mkdir("disk/temp")
				h.configure(SinkConfig{Dests: []string{h.at("disk/dest")}, Temp: h.at("disk/temp")})
				h.receive(h.file("done", "done"), "done")
				text := body(500 * testBlock)
				req := h.file("f", text)
				f, left := h.cut(req, text, 0, 1, 2)
				if checkpoint {
					if err := f.Checkpoint(left); err != nil {
						t.Fatal(err)
					}
				}
				for i := 3; i < 300; i++ {
					if err := f.WriteAt([][]byte{[]byte(text[i*testBlock : (i+1)*testBlock])}, int64(i*testBlock)); err != nil {
						t.Fatal(err)
					}
					left.Remove(i)
				}
				h.fillDisk("disk/other")
				if abandon {
					if err := f.Abandon(left); !isNoSpace(err) {
						t.Errorf("Abandon = %v, want the full disk reported", err)
					}
				}
				h.s.End(false) // may fail for the same reason
				for _, l := range h.tree("disk/temp/_group_0BADCAFE") {
					if l != "done = done" && !checkpoint {
						t.Errorf("%s is left: it has no record and fills the disk", l)
					}
				}
				if err := os.Remove(h.at("disk/other")); err != nil {
					t.Fatal(err)
				}
				h.begin(1)
				a, f := h.s.Open(h.resume(req))
				if f == nil || a.Partial != checkpoint {
					t.Fatalf("Open = %+v, want what the last checkpoint recorded", a)
				}
				if checkpoint {
					if a.Missing.Has(2) || !a.Missing.Has(3) {
						t.Error("want the blocks of the checkpoint, and no more")
					}
					h.finishRest(a, f, req, text)
				}
				h.end(true)
				if got, _ := os.ReadFile(h.at("disk/dest/f")); checkpoint && string(got) != text {
					t.Error("the resumed file differs")
				}
			})
		}
	}
}

// fillDisk writes to name until the disk is full.
func (h *hall) fillDisk(name string) {
	h.t.Helper()
	f, err := os.Create(h.at(name))
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !isNoSpace(err) {
		h.t.Fatal(err)
	}
}

// TestReadOnly makes the destination read-only after the start.
func TestReadOnly(t *testing.T) {
	h := newHall(t, nil)
	h.mount("disk", 0, "size=1m")
	k, err := NewSink(SinkConfig{Dests: []string{h.at("disk")}})
	if err != nil {
		t.Fatal(err)
	}
	h.k = k
	h.begin(0)
	h.write("disk/f", "old", oldStamp)
	h.mkdir("disk/d")
	before := h.tree("disk")
	h.remount("disk", unix.MS_RDONLY, "size=1m")
	link := h.request(wire.TypeLink, "f", 0)
	link.Link = "x"
	for _, req := range []Request{
		h.file("f", "new"), h.file("new", "new"), h.file("n/e/w", "new"), h.file("f/below", "new"),
		link, h.request(wire.TypeDir, "new", 0), h.request(wire.TypeDir, "f", 0), h.request(wire.TypeDelete, "f", 0),
		h.request(wire.TypeDelete, "d", 0),
	} {
		a, f := h.s.Open(req)
		if f != nil {
			// A file in the way of a parent is noticed at the end only.
			if _, err := f.Finish(); err == nil {
				t.Errorf("%s: want an error", req.Name)
			}
			continue
		}
		h.wantStatus(a, wire.StatusRejected, fmt.Sprintf("type %d %s on a read-only disk", req.Type, req.Name))
		if !strings.Contains(a.Text, "read-only") {
			t.Errorf("%s: text %q does not name the cause", req.Name, a.Text)
		}
	}
	h.wantStatus(h.complete(h.request(wire.TypeDir, "d", 0)), wire.StatusSkipped, "what is there is there")
	h.wantTree("disk", "everything survives", before...)
	if _, err := NewSink(SinkConfig{Dests: []string{h.at("disk")}}); err == nil ||
		!strings.HasPrefix(err.Error(), "couldn't write to dest directory: Read-only file system") {
		t.Errorf("NewSink = %v", err)
	}
}

// TestReadOnlyDuringTransfer makes it read-only while a file is received.
func TestReadOnlyDuringTransfer(t *testing.T) {
	h := newHall(t, nil)
	h.mount("disk", 0, "size=1m")
	h.mount("bk", 0, "size=1m")
	h.write("disk/d/f", "old", oldStamp)
	k, err := NewSink(SinkConfig{Dests: []string{h.at("disk")}})
	if err != nil {
		t.Fatal(err)
	}
	h.k = k
	h.begin(0)
	_, f := h.s.Open(h.file("d/f", "new"))
	if err := f.WriteAt([][]byte{[]byte("new")}, 0); err != nil {
		t.Fatal(err)
	}
	// A disk with a file open for writing cannot become read-only: something
	// immutable has the same effect on the names.
	if err := unix.Mount(h.at("bk"), h.at("disk/d"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(h.at("disk/d"), unix.MNT_DETACH)
	if _, err := f.Finish(); !errors.Is(err, syscall.EXDEV) {
		t.Errorf("Finish = %v: the directory is on another disk now, want %v", err, syscall.EXDEV)
	}
	h.wantTree("bk", "nothing half made")
}

func TestCrossDevice(t *testing.T) {
	h := newHall(t, nil)
	h.mount("disk", 0, "size=1m")
	for _, cfg := range []SinkConfig{
		{Dests: []string{h.at("dest")}, Temp: h.at("disk")},
		{Dests: []string{h.at("dest")}, Backups: []string{h.at("disk")}},
	} {
		if _, err := NewSink(cfg); err == nil || !strings.HasPrefix(err.Error(), "couldn't move between directories") ||
			!strings.HasSuffix(err.Error(), "Invalid cross-device link") {
			t.Errorf("NewSink(%+v) = %v", cfg, err)
		}
	}
	h.wantTree("dest", "no probe is left")
	h.wantTree("disk", "no probe is left")
}

// TestMountBelow mounts another disk below the destination: it receives files, backups from it fail,
// and a move to it leaves the files in the temporary directory.
func TestMountBelow(t *testing.T) {
	h := newHall(t, withMerge)
	h.mount("dest/m", 0, "size=1m")
	h.receive(h.file("m/f", "x"), "x")
	h.receive(h.file("g", "y"), "y")
	moved, _, err := h.s.End(true)
	if !errors.Is(err, syscall.EXDEV) || len(moved) != 1 {
		t.Errorf("End = %q, %v: want g moved and m/f refused", moved, err)
	}
	h.wantTree(groupDir, "what cannot be moved is kept", "m/", "m/f = x")

	h = newHall(t, withBackup)
	h.mount("dest/m", 0, "size=1m")
	h.receive(h.file("m/f", "x"), "x")
	_, f := h.s.Open(h.file("m/f", "z"))
	if err := f.WriteAt([][]byte{[]byte("z")}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Finish(); !errors.Is(err, syscall.EXDEV) {
		t.Errorf("Finish = %v: the backup is on another disk", err)
	}
	h.wantTree("dest", "the old file survives", "m/", "m/f = x")
	if a := h.complete(h.request(wire.TypeFreeSpace, "m", 0)); a.FreeSpace > 1<<20 {
		t.Errorf("free space of m is %d, want that of the disk mounted there", a.FreeSpace)
	}
}

// TestSparse opens a file far larger than the data that are written: a file is never filled to
// reserve its space.
func TestSparse(t *testing.T) {
	h := newHall(t, nil)
	h.mount("disk", 0, "size=64g")
	k, err := NewSink(SinkConfig{Dests: []string{h.at("disk")}})
	if err != nil {
		t.Fatal(err)
	}
	h.k = k
	h.begin(0)
	var st unix.Statfs_t
	if err := unix.Statfs(h.at("disk"), &st); err != nil {
		t.Fatal(err)
	}
	_, f := h.s.Open(h.request(wire.TypeFile, "f", 60<<30))
	if f == nil {
		t.Fatal("want to receive 60 GiB")
	}
	if err := f.WriteAt([][]byte{[]byte("end")}, 60<<30-3); err != nil {
		t.Fatal(err)
	}
	var now unix.Statfs_t
	if err := unix.Statfs(h.at("disk"), &now); err != nil {
		t.Fatal(err)
	}
	if used := int64(st.Bfree-now.Bfree) * int64(now.Bsize); used > 1<<20 {
		t.Errorf("%d bytes used for 3 written", used)
	}
	if err := f.Abandon(nil); err != nil {
		t.Error(err)
	}
}

// TestModes checks modes of new files and directories: 0644 and 0755 less the umask.
func TestModes(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	h := newHall(t, nil)
	h.receive(h.file("d/f", "x"), "x")
	h.complete(h.request(wire.TypeDir, "e", 0))
	for name, want := range map[string]os.FileMode{"d": 0o755, "d/f": 0o644, "e": 0o755} {
		fi, err := os.Stat(h.at("dest/" + name))
		if err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v (%v), want %v", name, fi.Mode().Perm(), err, want)
		}
		if name == "d/f" {
			if atime := fi.Sys().(*syscall.Stat_t).Atim.Sec; atime != newStamp {
				t.Errorf("access time %d, want the sent stamp", atime)
			}
		}
	}
}

func TestReplaceFifo(t *testing.T) {
	h := newHall(t, nil)
	if err := unix.Mkfifo(h.at("dest/fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.receive(h.file("fifo", "x"), "x") // must not block in opening it
	h.wantTree("dest", "a fifo is replaced", "fifo = x")
	if err := unix.Mkfifo(h.at("dest/p"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.receive(h.file("p/f", "x"), "x")
	h.wantTree("dest", "also in the way of a parent", "fifo = x", "p/", "p/f = x")
}

// TestGuardThroughMount reaches a backup directory through a mount.
func TestGuardThroughMount(t *testing.T) {
	h := newHall(t, nil)
	h.mount("backup", 0, "size=1m")
	h.mkdir("dest/alias")
	if err := unix.Mount(h.at("backup"), h.at("dest/alias"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(h.at("dest/alias"), unix.MNT_DETACH)
	h.write("backup/20200101/f", "precious", oldStamp)
	h.k = &Sink{cfg: SinkConfig{Dests: []string{h.at("dest")}, Backups: []string{h.at("backup")}}} // NewSink would refuse another disk
	h.begin(0)
	h.wantRefused("alias/20200101/f", "backup directory", everything...)
	h.wantRefused("alias", "backup directory", wire.TypeFile, wire.TypeLink, wire.TypeDelete)
}

// TestNoGap: the name of a directory that is replaced, or replaces something, always exists.
func TestNoGap(t *testing.T) {
	h := newHall(t, nil)
	h.mount("disk", 0, "size=4m")
	k, err := NewSink(SinkConfig{Dests: []string{h.at("disk")}})
	if err != nil {
		t.Fatal(err)
	}
	h.k = k
	h.begin(0)
	const n = 60
	for i := range n {
		h.mkdir(fmt.Sprintf("disk/d%d", i))
		h.write(fmt.Sprintf("disk/f%d", i), "old", oldStamp)
	}
	stop, gaps := make(chan struct{}), make(chan int)
	go func() {
		missing := 0
		for i := 0; ; i = (i + 1) % n {
			select {
			case <-stop:
				gaps <- missing
				return
			default:
			}
			for _, kind := range "df" {
				if _, err := os.Lstat(h.at(fmt.Sprintf("disk/%c%d", kind, i))); err != nil {
					missing++
				}
			}
		}
	}()
	var want []string
	for i := range n {
		d, f := fmt.Sprintf("d%d", i), fmt.Sprintf("f%d", i)
		switch i % 3 {
		case 0:
			h.receive(h.file(d, "new"), "new")
			want = append(want, d+" = new")
		case 1:
			link := h.request(wire.TypeLink, d, 0)
			link.Link = f
			h.wantStatus(h.complete(link), wire.StatusNormal, "link")
			want = append(want, d+" -> "+f)
		case 2:
			h.receive(h.file(d+"/in/x/y", "new"), "new")
			want = append(want, d+"/", d+"/in/", d+"/in/x/", d+"/in/x/y = new")
		}
		h.receive(h.file(f+"/y", "new"), "new")
		want = append(want, f+"/", f+"/y = new")
	}
	close(stop)
	if missing := <-gaps; missing > 0 {
		t.Errorf("%d times nothing had a name", missing)
	}
	slices.Sort(want)
	got := h.tree("disk")
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("disk holds %q, want %q", got, want)
	}
}

// TestDeepTrees: a deep tree needs no more descriptors than a flat one.
func TestDeepTrees(t *testing.T) {
	open := func() int {
		e, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(e)
	}
	for _, depth := range []int{2, 60} {
		h := newHall(t, withMerge)
		name := strings.Repeat("d/", depth) + "f"
		h.write("dest/"+name, "old", oldStamp)
		before, most := open(), 0
		spy = func(_ *call, do func() error) error {
			most = max(most, open()-before)
			return do()
		}
		h.receive(h.file(name, "new"), "new")
		h.end(true)
		h.begin(0)
		h.receive(h.file(name, "newer"), "newer")
		f, _ := h.cut(h.file("cut", "text"), "text")
		f.Abandon(missing(1, 0))
		h.end(false)
		h.begin(1)
		h.complete(h.resume(Request{FileID: 1, Type: wire.TypeDir, Name: "new"}))
		h.end(true)
		spy = nil
		if most > 16 {
			t.Errorf("%d descriptors at a depth of %d", most, depth)
		}
	}
}

// TestDirectoryGoneWithItsDisk: a directory on a disk that was unmounted is not created again below
// the mount point.
func TestDirectoryGoneWithItsDisk(t *testing.T) {
	h := newHall(t, nil)
	h.mount("disk", 0, "size=1m")
	h.mkdir("disk/dest")
	h.configure(SinkConfig{Dests: []string{h.at("disk/dest")}})
	if err := unix.Unmount(h.at("disk"), 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Mount("tmpfs", h.at("disk"), "tmpfs", 0, "size=1m") // for the cleanup, which unmounts it
	a := h.complete(h.file("f", "x"))
	h.wantStatus(a, wire.StatusRejected, "the disk is gone")
	if !strings.Contains(a.Text, "not on the file system") {
		t.Errorf("text %q", a.Text)
	}
	h.wantTree("disk", "the disk below is left alone")
}
