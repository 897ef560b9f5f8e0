package cli

import (
	"errors"
	"path/filepath"

	"uftp/engine/store"
	"uftp/engine/tap"
)

// CaptureOptions are --pcap, --pcap-size and --pcap-files.
type CaptureOptions struct {
	Path   string // absolute after Check; empty: no capture
	SizeMB int    // size of a file, millions of bytes; 0: the default
	Files  int    // number of files that are kept; 0: the default
}

// Ranges and defaults.
const (
	captureSizeMB    = 100
	captureSizeMBMax = 100_000
	captureFiles     = 10
	captureFilesMin  = 2
	captureFilesMax  = 1000
)

// Rows returns the rows of a command's table.
func (o *CaptureOptions) Rows(group string) []Option {
	return []Option{
		{Name: "pcap", Arg: "FILE", Group: group, Set: o.setPath,
			Help: "write all sent and received packets to FILE, for uftp-replay and\nWireshark; older packets are in FILE.1, FILE.2, ..."},
		{Name: "pcap-size", Arg: "MB", Group: group, Set: Int(&o.SizeMB, 1, captureSizeMBMax, "Invalid capture size", "MB"),
			Help: "start a new capture file after MB million bytes (1 to 100000,\ndefault: 100)"},
		{Name: "pcap-files", Arg: "N", Group: group,
			Set:  Int(&o.Files, captureFilesMin, captureFilesMax, "Invalid number of capture files", "files"),
			Help: "how many capture files to keep, FILE included (2 to 1000,\ndefault: 10)"},
	}
}

func (o *CaptureOptions) setPath(v string) error {
	if v == "" {
		return &Error{Text: "Invalid capture file", Allowed: "the name of a file"}
	}
	o.Path = v
	return nil
}

// Check checks the options against each other and against the files of other options; "" in others
// means none.
func (o *CaptureOptions) Check(others ...string) error {
	if o.Path == "" {
		switch {
		case o.SizeMB > 0:
			return Fail("--pcap-size needs --pcap")
		case o.Files > 0:
			return Fail("--pcap-files needs --pcap")
		}
		return nil
	}
	path, err := filepath.Abs(o.Path) // a daemon changes its directory
	if err != nil {
		return Fail("Invalid capture file: --pcap %s: %s", o.Path, ErrText(err))
	}
	o.Path = path
	for _, other := range others {
		if abs, err := filepath.Abs(other); other != "" && err == nil && abs == path {
			return Fail("--pcap %s is also named by another option or as an operand", o.Path)
		}
	}
	return nil
}

// Within reports whether the capture is in a directory or below it. Check must have been called.
func (o *CaptureOptions) Within(dir string) bool {
	abs, err := filepath.Abs(dir)
	if err != nil || o.Path == "" {
		return false
	}
	rel, err := filepath.Rel(abs, o.Path)
	return err == nil && filepath.IsLocal(rel)
}

// Config returns the engine's configuration; the files name application as their writer.
func (o *CaptureOptions) Config(application string) tap.Config {
	if o.Path == "" {
		return tap.Config{}
	}
	size, files := o.SizeMB, o.Files
	if size == 0 {
		size = captureSizeMB
	}
	if files == 0 {
		files = captureFiles
	}
	return tap.Config{
		Files:       store.CaptureConfig{Path: o.Path, FileBytes: int64(size) * 1_000_000, Files: files},
		Application: application,
	}
}

// CaptureError turns an error of the engine into one for the user if it is about opening the
// capture; otherwise it returns nil.
func (o *CaptureOptions) CaptureError(err error) *Error {
	var e *tap.OpenError
	if !errors.As(err, &e) {
		return nil
	}
	return &Error{Code: ExitLog, Text: "Can't open capture: " + ErrText(e.Err) + " (--pcap " + o.Path + ")"}
}
