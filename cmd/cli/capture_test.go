package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"uftp/engine/tap"
)

func TestCaptureDefaults(t *testing.T) {
	for _, x := range []struct {
		why   string
		args  []string
		bytes int64
		files int
	}{
		{"no capture", nil, 0, 0},
		{"defaults", []string{"--pcap", "x"}, 100_000_000, 10},
		{"as asked for", []string{"--pcap", "x", "--pcap-size", "3", "--pcap-files", "7"}, 3_000_000, 7},
		{"the last one counts", []string{"--pcap", "y", "--pcap", "x"}, 100_000_000, 10},
	} {
		var o CaptureOptions
		cmd := Command{Options: o.Rows("")}
		if _, err := cmd.Parse(x.args); err != nil {
			t.Fatal(err)
		}
		if err := o.Check("", "log"); err != nil {
			t.Errorf("%s: %v", x.why, err)
		}
		cfg := o.Config("test 1")
		if cfg.Files.FileBytes != x.bytes || cfg.Files.Files != x.files {
			t.Errorf("%s: %+v, want %d files of %d bytes", x.why, cfg, x.files, x.bytes)
		}
		if want, _ := filepath.Abs("x"); x.files > 0 && (cfg.Files.Path != want || cfg.Application != "test 1") {
			t.Errorf("%s: %+v, want the absolute path %s", x.why, cfg, want)
		}
	}
}

func TestCaptureWithin(t *testing.T) {
	root := t.TempDir()
	for path, want := range map[string]bool{"in/x": true, "in/deep/er/x": true, "inside": false, "x": false, "in/../x": false} {
		o := CaptureOptions{Path: filepath.Join(root, filepath.FromSlash(path))}
		if got := o.Within(filepath.Join(root, "in")); got != want {
			t.Errorf("%s in the directory: %v, want %v", path, got, want)
		}
	}
	o := CaptureOptions{Path: filepath.Join("in", "x")}
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]bool{"in": true, ".": true, "./in/": true, "..": true, "in/x/y": false, "i": false} {
		if got := o.Within(dir); got != want {
			t.Errorf("in %s: %v, want %v", dir, got, want)
		}
	}
	if (&CaptureOptions{}).Within(root) {
		t.Error("no capture is in a directory")
	}
}

func TestCaptureError(t *testing.T) {
	o := CaptureOptions{Path: "/x"}
	err := fmt.Errorf("setting up: %w", &tap.OpenError{Err: syscall.EACCES})
	if e := o.CaptureError(err); e == nil || e.Code != ExitLog || e.Error() != "Can't open capture: Permission denied (--pcap /x)" {
		t.Errorf("%v, want the system's text and the code of log files", e)
	}
	if e := o.CaptureError(errors.New("else")); e != nil {
		t.Errorf("%v for another error, want nil", e)
	}
}
