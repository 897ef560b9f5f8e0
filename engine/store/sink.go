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

// SinkConfig is where and how a receiver keeps files.
type SinkConfig struct {
	// Dests are the destination directories, absolute, at least one. Names that are not
	// absolute go to the first.
	Dests []string
	// Backups are empty, or one directory for each destination, to which the session moves
	// everything that it replaces or deletes.
	Backups []string
	// Temp, if not empty, is the temporary directory: files are collected there and moved to
	// the only destination when the session ends well.
	Temp  string
	Merge bool // that move merges directories instead of replacing them
	// Durable makes every file, link, directory, deletion and backup reach the disk before it
	// is confirmed. The default is off: a sender gives a receiver up if its COMPLETE takes
	// longer than robustness · 3 · GRTT, which is often less than a disk needs, and without
	// Durable only a crash of the machine within seconds does harm. With Temp it is always on,
	// because a resumed session trusts the files it finds.
	Durable bool
	// AllowOutsideLinks accepts symbolic links that point out of the destination.
	// This package never follows them, but other programs may.
	AllowOutsideLinks bool
}

// Sink is the storage of a receiver. Its methods may be called from several goroutines at
// once.
type Sink struct {
	cfg        SinkConfig
	durable    bool
	leftovers  leftovers
	retries    retries
	configDirs []configDir
	trust      *trust // for what is in Temp; nil without Temp

	swapping sync.Mutex // held while one entry takes the place of another
}

// SessionKey identifies a session.
type SessionKey struct {
	Group    uint32
	Instance uint8
	Owner    Owner     // with Temp, the data of an earlier instance go to the same owner only
	Started  time.Time // names backups, in its time zone; times of files are decoded relative to it
}

// Request is one FILEINFO.
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
	Resume  bool // data of earlier instances of the session in Temp may be used
}

// Answer is the outcome of a [Request].
type Answer struct {
	Complete  bool                // answer COMPLETE with Status now; otherwise receive the file
	Status    wire.CompleteStatus // when receiving: what to answer at the end
	Partial   bool                // part of the file is on disk already
	Missing   *block.Set          // blocks to receive, nil = all; the caller owns it
	FreeSpace uint64              // bytes, when HasSpace
	HasSpace  bool
	Text      string   // why Status is rejected
	Log       []string // steps, to be logged in this order
}

// Finished is a file that has got its final name.
type Finished struct {
	Path string   // absolute; below Temp if there is one
	Log  []string // steps, to be logged in this order
}

// ErrNoSpace means that a file does not fit on its disk.
var ErrNoSpace error = stockError("Not enough disk space")

// stockError is a text that the stock programs print.
type stockError string

func (e stockError) Error() string { return string(e) }

// Errors of the configuration, with the texts of the stock daemon.
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

// reason returns the innermost cause of err, capitalised as the C library does.
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

// NewSink checks the directories of cfg: all are absolute and exist, files can be created in
// each, and can be moved wherever the configuration needs it. Errors carry the text of the
// stock program and, in brackets, the directory.
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
	k.learnConfigDirs()
	return k, nil
}

// Clean removes temporary files of killed receivers from the destinations, within its limits
// or until ctx is done. Call it at the start; sessions may run beside it. Later, each directory
// is checked when the first file is received into it. The log of the next session that
// receives a file names what was removed.
func (k *Sink) Clean(ctx context.Context) {
	if k.cfg.Temp != "" {
		return
	}
	g := newGuard(&k.cfg)
	for _, name := range k.cfg.Dests {
		if r, err := os.OpenRoot(name); err == nil {
			k.leftovers.start(ctx, dir{Root: r, path: name, forbidden: g.forbidden(&k.cfg, name)}, leftoverEntries)
			r.Close()
		}
	}
}

// probe creates a file in dir and removes it.
func probe(dir string) error {
	name, err := probeFile(dir)
	if err != nil {
		return err
	}
	return os.Remove(filepath.Join(dir, name))
}

// probeFile creates an empty file in dir, under a name that is free.
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

// probePair checks that two directories differ (if not, it returns same) and that a file can
// be moved from one to the other.
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

// Session is the storage of one session. One goroutine at a time may use it and its files, with
// one exception: while that goroutine is in Checkpoint of a file, which syncs for long, another
// one may be in WriteAt of the same file. So the fields have two owners: vec, File.received and
// File.reserved belong to the goroutine in WriteAt, and Checkpoint touches none of them.
type Session struct {
	k         *Sink
	key       SessionKey
	roots     map[string]*os.Root // directories of the configuration, opened on first use
	guard     *guard              // made together with the first of roots
	open      *File               // the file being received; nil if none
	vec       writeVec
	name      string      // of the session's directory in Temp; "" until it is claimed
	claimed   *claimedDir // that directory, from claiming until markDone or the end
	preview   bool        // the current request changes nothing on disk
	leftAlone []string    // log lines about directories left alone, to log each once
	previous  previous    // data of an earlier instance
	done      *doneDir    // set when all files are there
	buf       []byte
}

// Begin starts a session. It touches no disk; [Session.End] must follow.
func (k *Sink) Begin(key SessionKey) *Session {
	return &Session{k: k, key: key, roots: make(map[string]*os.Root)}
}

// root opens directory name of the configuration. Each session opens its own, so that it sees
// a directory that was made anew or mounted since.
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
				s.guard = newGuard(&s.k.cfg) // the directory is another one now
				r, err = value(call{op: "open", name: name}, open)
			}
		}
		if err != nil {
			return dir{}, err
		}
		s.roots[name] = r
	}
	d := dir{Root: r, path: name, forbidden: s.guard.forbidden(&s.k.cfg, name)}
	if name == s.k.cfg.Temp {
		d.trust = s.k.trust
	}
	return d, nil
}

// closeRoots closes what root and claim have opened.
func (s *Session) closeRoots() {
	if s.claimed != nil {
		s.claimed.release()
		s.claimed = nil
	}
	for name, r := range s.roots {
		r.Close()
		delete(s.roots, name)
	}
}
