package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/outfile"
)

func TestRolling(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	if err := os.WriteFile(path, append(bytes.Repeat([]byte("x"), 89), '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	var opened []string
	r, err := OpenRolling(path, 100, 2, func(f *os.File) { opened = append(opened, filepath.Base(f.Name())) })
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	size := func(name string) int {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return -1
		}
		return len(b)
	}
	for i, want := range []struct {
		what           string
		log, one, two  int
		three          int
		sizeOfTheWrite int
	}{
		{"what is there counts", 0, 120, -1, -1, 30},
		{"short lines gather", 60, 120, -1, -1, 60},
		{"exactly the limit is not too long", 100, 120, -1, -1, 40},
		{"the next byte rolls", 0, 101, 120, -1, 1},
		{"the oldest goes", 0, 200, 101, -1, 200},
	} {
		if _, err := r.Write(bytes.Repeat([]byte("y"), want.sizeOfTheWrite)); err != nil {
			t.Fatal(err)
		}
		if got := [4]int{size("log"), size("log.1"), size("log.2"), size("log.3")}; got != [4]int{want.log, want.one, want.two, want.three} {
			t.Errorf("write %d: sizes %v, want %v: %s", i, got, want, want.what)
		}
	}
	if got := strings.Join(opened, " "); got != "log log log log" {
		t.Errorf("opened %s, want the log at first and after each of three rolls", got)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	r, err := OpenRolling(path, 0, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fmt.Fprint(r, "before")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := r.Reopen(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(r, "after")
	for name, want := range map[string]string{"log.away": "before", "log": "after"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s holds %q, %v, want %q", name, b, err, want)
		}
	}
}

// A directory that goes away must not end the log.
func TestReopenFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := OpenRolling(filepath.Join(dir, "log"), 10, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if r.Reopen() == nil {
		t.Error("Reopen in a directory that is gone succeeds")
	}
	for range 3 {
		if _, err := r.Write([]byte("more than ten bytes\n")); err != nil {
			t.Errorf("the old file does not go on: %v", err)
		}
	}
}

func TestStampAndSession(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC)
	for _, tt := range []struct {
		in   Where
		want string
	}{
		{Where{}, "2026/01/02 03:04:05.000006: x\n"},
		{Where{Session: true, Group: 0xab, Instance: 0x1f}, "2026/01/02 03:04:05.000006: [000000AB/1F:0]: x\n"},
		{Where{Session: true, Group: 0xab, FileID: 0xbeef}, "2026/01/02 03:04:05.000006: [000000AB/00:BEEF]: x\n"},
	} {
		var b bytes.Buffer
		NewLog(&b, 2, true).Printf(2, at, tt.in, "x")
		if b.String() != tt.want {
			t.Errorf("%+v gives %q, want %q", tt.in, b.String(), tt.want)
		}
	}
	var b bytes.Buffer
	l := NewLog(&b, 2, false)
	l.Printf(3, at, Where{}, "too much detail")
	l.Printf(2, at, Where{Session: true}, "%s", "a\nb")
	if b.String() != "a?b\n" {
		t.Errorf("level 2 without stamps gives %q, want one clean line", b.String())
	}
}

// TestReopenStatus moves a status file away, as programs that rotate logs do.
func TestReopenStatus(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "status")
	st, err := OpenStatus(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	move := func(to string) {
		if err := os.Rename(path, filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	st.Printf("first")
	move("old")
	if err := st.Reopen(); err != nil {
		t.Fatal(err)
	}
	st.Printf("second")
	move("older")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := st.Reopen(); err == nil {
		t.Error("no error although a directory has the name now")
	}
	st.Printf("third")
	for name, want := range map[string]string{"old": "first\n", "older": "second\nthird\n"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s holds %q, want %q", name, b, want)
		}
	}
	var none *Status
	if err := none.Reopen(); err != nil {
		t.Errorf("no status file: %v", err)
	}
	if err := (&Status{log: NewLog(new(bytes.Buffer), Normal, false)}).Reopen(); err != nil {
		t.Errorf("status lines in the log: %v", err)
	}
}

// A line that waited somewhere does not stand before its time; a clock that was set
// back shows.
func TestStampsInOrder(t *testing.T) {
	var b bytes.Buffer
	l := NewLog(&b, Normal, true)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, d := range []time.Duration{0, 20 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond, -time.Hour} {
		l.Printf(Normal, at.Add(d), Where{}, "x")
	}
	var got []string
	for line := range strings.Lines(b.String()) {
		got = append(got, line[11:23])
	}
	if want := "03:04:05.000 03:04:05.020 03:04:05.020 03:04:05.030 02:04:05.000"; strings.Join(got, " ") != want {
		t.Errorf("stamps %v, want %s", got, want)
	}
}

// The log says how many of its lines are missing where they are missing.
func TestLostLines(t *testing.T) {
	w := &failing{}
	l := NewLog(w, Normal, false)
	for _, fails := range []bool{false, true, true, false, false, true} {
		w.fails = fails
		l.Printf(Normal, time.Time{}, Where{}, "line")
	}
	w.fails = false
	l.Raw("STATUS")
	want := "line\nWarning: 2 log lines could not be written here: No space left on device\nline\nline\n" +
		"Warning: 1 log line could not be written here: No space left on device\nSTATUS\n"
	if w.text != want {
		t.Errorf("log\n%swant\n%s", w.text, want)
	}
}

// A failing output is reported once, and once when it works again.
func TestOutputFails(t *testing.T) {
	w := &failing{}
	var set outfile.Outputs
	var failures []string
	o := set.Watch("status file s", cli.ExitUsage, w, func(name string, err error, lost int64) {
		failures = append(failures, fmt.Sprint(name, " ", err != nil, " ", lost))
	})
	for _, fails := range []bool{false, true, true, true, false, false, true} {
		w.fails = fails
		o.Write([]byte("x\n"))
	}
	if got, want := strings.Join(failures, "; "), "status file s true 0; status file s false 3; status file s true 0"; got != want {
		t.Errorf("reported %q, want %q", got, want)
	}
	set.Fail(cli.ExitLog, "log", syscall.EIO)
	for _, tt := range []struct {
		code   int
		normal bool
		want   int
	}{{0, true, cli.ExitUsage}, {7, false, 7}, {cli.ExitSignal, true, cli.ExitUsage}} {
		if got := set.Exit(tt.code, tt.normal); got != tt.want {
			t.Errorf("exit code %d becomes %d, want %d", tt.code, got, tt.want)
		}
	}
}

type failing struct {
	fails bool
	text  string
}

func (w *failing) Write(b []byte) (int, error) {
	if w.fails {
		return 0, syscall.ENOSPC
	}
	w.text += string(b)
	return len(b), nil
}
