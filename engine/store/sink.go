package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode"

	"uftp/engine/block"
	"uftp/wire"
)

// SinkConfig says where a receiver keeps files.
type SinkConfig struct {
	Dests   []string // destination directories, absolute, at least one; names that are not absolute go to the first
	Backups []string // none, or one for each destination: what is replaced or deleted goes there
	Temp    string   // not empty: files are collected there and moved to the only destination when the session ends well
	Merge   bool     // the move merges directories instead of replacing them
	// Durable makes every file, link, directory, deletion and backup reach the disk
	// before it is confirmed. It is off by default: a sender gives up a receiver whose COMPLETE does not
	// come within robustness · 3 · GRTT, often less than a disk needs, and only a
	// crash of the machine within seconds can hurt what is left out. With Temp
	// it is always on, because a resumed session trusts the files it finds.
	Durable bool
	// AllowOutsideLinks accepts symbolic links that point out of the destination.
	// Nothing here ever follows them, but others may.
	AllowOutsideLinks bool
}

// Sink is where a receiver keeps files. Its methods may be called from several
// goroutines at once.
type Sink struct {
	cfg     SinkConfig
	durable bool
	left    leftovers
	late    late
	homes   []home
	trust   *trust // of what is in Temp; nil without

	swapping sync.Mutex // held while something takes the place of something else
}

// SessionKey says which session it is.
type SessionKey struct {
	Group    uint32
	Instance uint8
	Owner    Owner     // with a temporary directory, only the same one gets what an earlier instance left
	Started  time.Time // backups are named after it, in its time zone; stamps of files are read about it
}

// Request is what a FILEINFO asks for.
type Request struct {
	FileID  uint16
	Type    wire.FileType
	Name    string // as sent
	Link    string // as sent, for a symbolic link
	Size    int64
	MTime   uint32 // as sent, see stamp.go; 0 = not given
	Layout  block.Layout
	Sync    bool
	Preview bool
	Resume  bool // what earlier instances of the session left in Temp may be used
}

// Answer is what becomes of a [Request].
type Answer struct {
	Complete  bool                // answer COMPLETE with Status now; else receive
	Status    wire.CompleteStatus // when receiving: what to answer when the file is whole
	Partial   bool                // part of the file was here before
	Missing   *block.Set          // blocks to receive, nil = all; the caller owns it
	FreeSpace uint64              // bytes, when HasSpace
	HasSpace  bool
	Text      string   // why Status is rejected
	Log       []string // steps, to be logged in this order
}

// Finished is a file that has its final name.
type Finished struct {
	Path string   // absolute; below Temp if there is one
	Log  []string // steps, to be logged in this order
}

// ErrNoSpace is the reason when a file does not fit on its disk.
var ErrNoSpace error = stockError("Not enough disk space")

// stockError is a text that users of the stock programs know.
type stockError string

func (e stockError) Error() string { return string(e) }

// Texts of section 2 of v4-cli.md.
const (
	errDestAbs   stockError = "ERROR: must specify absolute pathname for dest directory"
	errBackupAbs stockError = "ERROR: must specify absolute pathname for backup directory"
	errTempAbs   stockError = "ERROR: must specify absolute pathname for temp directory"
	errBackupNum stockError = "Must specify same number of backup directories as destination directories"
	errBackupIs  stockError = "ERROR: corresponding backup dir and dest dir must be different"
	errTempIs    stockError = "ERROR: temp dir and dest dir must be different"
	errTempDests stockError = "ERROR: Cannot use a temp directory with multiple dest directories"
	errTempBack  stockError = "ERROR: Cannot use a temp directory with a backup directory"
)

// reason returns the innermost cause of err, written as the C library does.
func reason(err error) string {
	var p *fs.PathError
	var l *os.LinkError
	var s *os.SyscallError
	for {
		switch {
		case errors.As(err, &p):
			err = p.Err
		case errors.As(err, &l):
			err = l.Err
		case errors.As(err, &s):
			err = s.Err
		default:
			text := []rune(err.Error())
			if len(text) > 0 {
				text[0] = unicode.ToUpper(text[0])
			}
			return string(text)
		}
	}
}

// NewSink checks the directories of cfg (v4-receiver.md section 1): all are
// absolute and exist, files can be made in each, and can be moved where the
// configuration will need it. Errors carry the text of the stock program and,
// in brackets, the directory meant.
func NewSink(cfg SinkConfig) (*Sink, error) {
	if len(cfg.Dests) == 0 {
		return nil, errors.New("no destination directory")
	}
	k := &Sink{cfg: cfg, durable: cfg.Durable || cfg.Temp != ""}
	k.cfg.Dests = make([]string, len(cfg.Dests))
	k.cfg.Backups = make([]string, len(cfg.Backups))
	for i, d := range cfg.Dests {
		if !filepath.IsAbs(d) {
			return nil, fmt.Errorf("%w (%s)", errDestAbs, d)
		}
		d = filepath.Clean(d)
		if err := probe(d); err != nil {
			return nil, fmt.Errorf("couldn't write to dest directory: %s (%s)", reason(err), d)
		}
		k.cfg.Dests[i] = d
	}
	if n := len(cfg.Backups); n > 0 && cfg.Temp != "" {
		return nil, errTempBack
	} else if n > 0 && n != len(cfg.Dests) {
		return nil, errBackupNum
	}
	for i, b := range cfg.Backups {
		d := k.cfg.Dests[i]
		if !filepath.IsAbs(b) {
			return nil, fmt.Errorf("%w (%s)", errBackupAbs, b)
		}
		b = filepath.Clean(b)
		if err := probePair(d, b, errBackupIs); err != nil {
			return nil, err
		}
		k.cfg.Backups[i] = b
	}
	if cfg.Temp != "" {
		if len(cfg.Dests) > 1 {
			return nil, errTempDests
		}
		if !filepath.IsAbs(cfg.Temp) {
			return nil, fmt.Errorf("%w (%s)", errTempAbs, cfg.Temp)
		}
		k.cfg.Temp = filepath.Clean(cfg.Temp)
		if err := probePair(k.cfg.Temp, k.cfg.Dests[0], errTempIs); err != nil {
			return nil, err
		}
		var err error
		if k.trust, err = learnTrust(k.cfg.Temp); err != nil {
			return nil, fmt.Errorf("couldn't write to directory %s: %s", k.cfg.Temp, reason(err))
		}
	}
	k.learnHomes()
	return k, nil
}

// Clean removes what receivers that were killed have left in the destinations, as
// far as its limits go, or until ctx is done. It is for the start, beside sessions
// that begin meanwhile: later, each directory is looked at when the first file is
// received into it. The first session that receives a file after that tells what was
// removed.
func (k *Sink) Clean(ctx context.Context) {
	if k.cfg.Temp != "" {
		return
	}
	g := newGuard(&k.cfg)
	for _, name := range k.cfg.Dests {
		if r, err := os.OpenRoot(name); err == nil {
			k.left.start(ctx, dir{Root: r, path: name, shut: g.shut(&k.cfg, name)}, leftoverEntries)
			r.Close()
		}
	}
}

// probe makes a file in dir and removes it.
func probe(dir string) error {
	name, err := probeFile(dir)
	if err != nil {
		return err
	}
	return os.Remove(filepath.Join(dir, name))
}

// probeFile makes an empty file in dir; a file that is there already is left alone.
func probeFile(dir string) (name string, err error) {
	for i := 1; i < 100; i++ {
		name = fmt.Sprintf("_uftptmp%d", i)
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		return name, f.Close()
	}
	return "", fs.ErrExist
}

// probePair finds out whether two directories differ (else same is returned)
// and whether a file of one can be moved to the other.
func probePair(from, to string, same error) error {
	a, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("couldn't write to directory %s: %s", from, reason(err))
	}
	if b, err := os.Stat(to); err == nil && os.SameFile(a, b) {
		return fmt.Errorf("%w (%s)", same, to)
	}
	for _, d := range []string{to, from} {
		if err := probe(d); err != nil {
			return fmt.Errorf("couldn't write to directory %s: %s", d, reason(err))
		}
	}
	source, err := probeFile(from)
	if err != nil {
		return fmt.Errorf("couldn't write to directory %s: %s", from, reason(err))
	}
	target, err := probeFile(to)
	if err == nil {
		err = os.Rename(filepath.Join(from, source), filepath.Join(to, target))
		os.Remove(filepath.Join(to, target))
	}
	if err != nil {
		os.Remove(filepath.Join(from, source))
		return fmt.Errorf("couldn't move between directories %s and %s: %s", from, to, reason(err))
	}
	return nil
}

// Session is the files of one session. Its methods, and those of its files, must
// not be called from two goroutines at once, with one exception: WriteAt of a file
// may run beside its Checkpoint, which syncs for long. To that end WriteAt uses
// nothing of the session but vec, and of the file changes only what counts its bytes.
type Session struct {
	k       *Sink
	key     SessionKey
	roots   map[string]*os.Root // directories of the configuration, opened when first needed
	guard   *guard              // set with the first of roots
	open    *File               // the file being received
	vec     vec
	name    string   // of its directory in Temp, once that is claimed
	held    *held    // that directory, while it is in use
	preview bool     // what is asked for now changes nothing
	left    []string // steps that told what was left alone
	past    past     // what an earlier instance left
	whole   *whole   // set when all files are there
	buf     []byte
}

// Begin starts a session. It touches no disk; [Session.End] must follow.
func (k *Sink) Begin(key SessionKey) *Session {
	return &Session{k: k, key: key, roots: make(map[string]*os.Root)}
}

// root returns directory name of the configuration, opened. Directories are
// opened per session, so that one that was made anew or mounted meanwhile is seen.
func (s *Session) root(name string) (dir, error) {
	if s.guard == nil {
		s.guard = newGuard(&s.k.cfg)
	}
	r := s.roots[name]
	if r == nil {
		open := func() (*os.Root, error) { return os.OpenRoot(name) }
		var err error
		r, err = value(call{op: "open", name: name}, open)
		if errors.Is(err, fs.ErrNotExist) && !s.preview {
			if err = s.k.remake(name); err == nil {
				s.guard = newGuard(&s.k.cfg) // it is another directory now
				r, err = value(call{op: "open", name: name}, open)
			}
		}
		if err != nil {
			return dir{}, err
		}
		s.roots[name] = r
	}
	d := dir{Root: r, path: name, shut: s.guard.shut(&s.k.cfg, name)}
	if name == s.k.cfg.Temp {
		d.trust = s.k.trust
	}
	return d, nil
}

// closeRoots closes what root and claim opened.
func (s *Session) closeRoots() {
	if s.held != nil {
		s.held.release()
		s.held = nil
	}
	for name, r := range s.roots {
		r.Close()
		delete(s.roots, name)
	}
}
