//go:build linux || darwin || freebsd

package store

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/wire"
)

// helperDir makes the test binary a receiver that opens a file and waits to be killed.
const helperDir = "STORE_TEST_RECEIVE_INTO"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		if err := receiveUntilKilled(dir); err != nil {
			fmt.Println(err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func receiveUntilKilled(dir string) error {
	k, err := NewSink(SinkConfig{Dests: []string{dir}})
	if err != nil {
		return err
	}
	layout, err := block.NewLayout(3*testBlock, testBlock)
	if err != nil {
		return err
	}
	k.Clean(context.Background())
	s := k.Begin(SessionKey{Group: testGroup, Started: time.Unix(newStamp, 0)})
	a, f := s.Open(Request{FileID: 1, Type: wire.TypeFile, Name: "sub/f", Size: layout.Size, Layout: layout})
	if f == nil {
		return fmt.Errorf("the file is not wanted: %s", a.Text)
	}
	if err := f.WriteAt([][]byte{make([]byte, testBlock)}, 0); err != nil {
		return err
	}
	fmt.Println("receiving")
	time.Sleep(time.Hour)
	return nil
}

// receiveElsewhere lets another process receive sub/f into dest; kill kills it.
func (h *hall) receiveElsewhere() (kill func()) {
	h.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperDir+"="+h.at("dest"))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	kill = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	h.t.Cleanup(kill)
	for s := bufio.NewScanner(out); s.Scan(); {
		if s.Text() == "receiving" {
			return kill
		}
	}
	h.t.Fatal("the other receiver does not come to it")
	return nil
}

// restart replaces the sink by that of a receiver that has just started.
func (h *hall) restart() {
	h.t.Helper()
	k, err := NewSink(h.cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	k.Clean(context.Background())
	h.k = k
	h.begin(0)
}

// inSub returns the entries of dest/sub.
func (h *hall) inSub() (names []string) {
	h.t.Helper()
	entries, err := os.ReadDir(h.at("dest/sub"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// leave makes the leftover of a killed receiver.
func (h *hall) leave(name string) {
	h.t.Helper()
	h.write(name, "x", oldStamp)
	if err := os.Chmod(h.at(name), receivedMode); err != nil {
		h.t.Fatal(err)
	}
}

func TestLeftoverOfKilled(t *testing.T) {
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted %v", again), func(t *testing.T) {
			h := newHall(t, nil)
			h.mkdir("dest/sub")
			temp := tempName("f", testGroup, 1)
			h.k.leftovers.seen = nil // its receiver looks when it has the first file
			kill := h.receiveElsewhere()
			h.fileID = 7
			h.receive(h.file("sub/g", "g"), "g")
			if got := h.inSub(); !slices.Equal(got, []string{temp, "g"}) {
				t.Fatalf("while its receiver lives its file stays; there is %q", got)
			}
			h.restart()
			if got := h.inSub(); !slices.Equal(got, []string{temp, "g"}) {
				t.Fatalf("a receiver that is started leaves it alone, too; there is %q", got)
			}
			kill()
			if again {
				h.restart()
			} else {
				h.k.leftovers.seen = nil
			}
			h.fileID = 8
			a, f := h.s.Open(h.file("sub/h", "h"))
			if _, err := os.Lstat(h.at("dest/sub/" + temp)); !os.IsNotExist(err) {
				t.Errorf("what a killed receiver left is still there (%v)", err)
			}
			want := "Removed " + h.at("dest/sub/"+temp) + ", left by a receiver that was killed"
			if !slices.Contains(a.Log, want) {
				t.Errorf("the steps are %q, want %q among them", a.Log, want)
			}
			f.Abandon(missing(1, 0))
		})
	}
}

// TestNoLeftover: files that only look like leftovers stay.
func TestNoLeftover(t *testing.T) {
	h := newHall(t, nil)
	for name, mode := range map[string]fs.FileMode{
		tempName("stock", testGroup, 1):                  0o644,
		"marked":                                         receivedMode,
		"marked.~uftp-0BADCAFE-00":                       receivedMode,
		"marked.~uftp-0badcafe-0001":                     receivedMode,
		"marked.~uftp-0BADCAFE-0001.":                    receivedMode,
		"marked.~uftp-0BADCAFE-0001.10":                  receivedMode,
		"marked.~uftp-0BADCAFE-old":                      receivedMode,
		"marked.~uftp-0BADCAFE-link":                     receivedMode,
		"marked.~uftp-0BADCAFE-link.1":                   receivedMode,
		tempName("marked", testGroup, 1) + "~":           receivedMode,
		"outside/" + tempName("elsewhere", testGroup, 1): receivedMode,
	} {
		path := h.at("dest/" + name)
		if rest, ok := strings.CutPrefix(name, "outside/"); ok {
			path = h.at("outside/" + rest)
			h.link(path, "dest/"+rest)
		}
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	h.mkdir("dest/" + tempName("dir", testGroup, 1))
	before := append(h.tree("dest"), h.tree("outside")...)
	h.restart()
	h.k.leftovers.seen = nil
	h.fileID = 9
	_, f := h.s.Open(h.file("next", "x"))
	f.Abandon(missing(1, 0))
	if after := append(h.tree("dest"), h.tree("outside")...); !slices.Equal(before, after) {
		t.Errorf("there was %q, now there is %q", before, after)
	}
}

// TestLeftoverLimits: a start checks a limited number of entries, the nearest first, and remembers
// a limited number of directories.
func TestLeftoverLimits(t *testing.T) {
	h := newHall(t, nil)
	near, far := tempName("a", 1, 1), "d/e/"+tempName("b", 2, 2)
	h.leave("dest/" + near)
	h.leave("dest/" + far)
	root, err := os.OpenRoot(h.at("dest"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	d := dir{Root: root, path: h.at("dest")}
	for _, c := range []struct {
		why    string
		budget int
		left   []string
	}{
		{"nothing may be looked at", 0, []string{filepath.Base(near), "d"}},
		{"two entries are in the directory itself", 2, []string{"d"}},
	} {
		var l leftovers
		l.scan(d, &c.budget)
		entries, err := os.ReadDir(h.at("dest"))
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if err != nil || !slices.Equal(names, c.left) {
			t.Errorf("%s: there is %q (%v), want %q", c.why, names, err, c.left)
		}
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	(&Sink{cfg: h.cfg}).Clean(stopped)
	h.wantTree("dest", "a receiver that ends looks no further", "d/", "d/e/", "d/e/"+filepath.Base(far)+" = x")
	h.restart()
	h.wantTree("dest", "the start looks below", "d/", "d/e/")
	var l leftovers
	for range leftoverDirs {
		l.seen = append(l.seen, nil)
	}
	l.clear(d)
	if len(l.seen) != leftoverDirs || l.seen[leftoverDirs-1] == nil {
		t.Errorf("%d directories are remembered, want %d with the latest at the end", len(l.seen), leftoverDirs)
	}
}

// TestLeftoverHalfRead: a directory that a start has checked in part is checked completely when a
// file arrives in it, and then not again.
func TestLeftoverHalfRead(t *testing.T) {
	h := newHall(t, nil)
	for i := range uint16(3) {
		h.leave("dest/" + tempName("x", testGroup, i))
	}
	root, err := h.s.root(h.at("dest"))
	if err != nil {
		t.Fatal(err)
	}
	var l leftovers
	l.start(context.Background(), root, 2)
	if got := h.tree("dest"); len(got) != 1 {
		t.Fatalf("a start that may look at two of three entries leaves %q", got)
	}
	if log := l.clear(root); len(log) != 3 {
		t.Errorf("the steps are %q, want three removals", log)
	}
	h.wantTree("dest", "the rest goes with the first file")
	h.leave("dest/" + tempName("x", testGroup, 9))
	if log := l.clear(root); len(log) != 0 {
		t.Errorf("the steps are %q: once is enough", log)
	}
}
