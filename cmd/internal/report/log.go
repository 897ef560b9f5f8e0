package report

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/outfile"
	"uftp/cmd/version"
)

// Levels of log lines, with the numbers of the stock programs (-x).
const (
	Errors   = 0
	Warnings = 1
	Normal   = 2
	Detail   = 3
	Peers    = 4 // addresses and dropped datagrams
	Packets  = 5
)

// banner is the first line of a log, in the form of stock logs.
func banner() string { return "UFTP version " + version.Version + "  (protocol version 4)" }

// Where is the session and file that a log line is about. The zero Where means no session.
type Where struct {
	Session  bool
	Group    uint32
	Instance uint8
	FileID   uint16 // 0: before or between files
}

// Log writes log lines. Its methods may be called from several goroutines. It counts lines that
// cannot be written, and logs their number before the next line that can.
type Log struct {
	Level  int  // highest level that is written
	Stamps bool // time and session before each line
	mu     sync.Mutex
	w      io.Writer
	buf    []byte
	last   time.Time // of the last stamp
	lost   int64     // lines that could not be written since the last one
	err    error     // error of the first of them
}

// lateMax bounds the delay of a line behind the line before it. Within it, a line gets the stamp of
// the line before, so that stamps do not run backwards.
const lateMax = time.Second

// NewLog returns a log that writes each line to w with one Write.
func NewLog(w io.Writer, level int, stamps bool) *Log {
	return &Log{Level: level, Stamps: stamps, w: w}
}

// Printf writes a line of the level, about something that happened at the time at.
func (l *Log) Printf(level int, at time.Time, in Where, format string, args ...any) {
	if level > l.Level {
		return
	}
	text := cli.Clean(fmt.Sprintf(format, args...))
	l.mu.Lock()
	defer l.mu.Unlock()
	if behind := l.last.Sub(at); behind > 0 && behind < lateMax {
		at = l.last
	}
	l.last = at
	b := l.begin()
	if l.Stamps {
		b = appendStamp(b, at)
		b = in.append(b)
	}
	l.write(append(append(b, text...), '\n'))
}

func appendStamp(b []byte, at time.Time) []byte {
	return at.AppendFormat(b, "2006/01/02 15:04:05.000000: ")
}

// begin returns an empty buffer, or one with a line about lost lines.
func (l *Log) begin() []byte {
	b := l.buf[:0]
	if l.lost == 0 {
		return b
	}
	if l.Stamps {
		b = appendStamp(b, l.last)
	}
	return fmt.Appendf(b, "Warning: %s could not be written here: %s\n", cli.Count(l.lost, "log line"), cli.Clean(cli.ErrText(l.err)))
}

// write writes b, whose last line is a new one.
func (l *Log) write(b []byte) {
	l.buf = b
	_, err := l.w.Write(b)
	if err == nil {
		l.lost = 0
		return
	}
	if l.lost == 0 {
		l.err = err
	}
	l.lost++
}

// Raw writes a line without a stamp at any level: a status line in the log.
func (l *Log) Raw(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(append(append(l.begin(), line...), '\n'))
}

func (w Where) append(b []byte) []byte {
	if !w.Session {
		return b
	}
	b = fmt.Appendf(b, "[%08X/%02X:", w.Group, w.Instance)
	if w.FileID == 0 {
		b = append(b, '0')
	} else {
		b = fmt.Appendf(b, "%04X", w.FileID)
	}
	return append(b, "]: "...)
}

// RollingFile is a log file that starts again when it gets too long; the old file becomes log.1. It
// may be used by several goroutines.
type RollingFile struct {
	mu     sync.Mutex
	path   string
	max    int64 // bytes; a longer file rolls; 0 = never
	keep   int   // number of old files
	lines  *outfile.Lines
	size   int64
	opened func(*os.File)
}

// OpenRolling opens a log file for appending, mode 0644 less the umask. It continues an existing
// file, whose length counts. It calls opened, if not nil, with every file that it opens, now and
// later.
func OpenRolling(path string, max int64, keep int, opened func(*os.File)) (*RollingFile, error) {
	r := &RollingFile{path: path, max: max, keep: keep, opened: opened}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// fileMode is the mode of log and status files, less the umask.
const fileMode = 0o644

func (r *RollingFile) open() error {
	lines, err := outfile.AppendLines(r.path, fileMode, r.lines != nil)
	if err != nil {
		return err
	}
	f := lines.File()
	r.size = 0
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		r.size = st.Size()
	}
	if r.lines != nil {
		r.lines.Close()
	}
	r.lines = lines
	if r.opened != nil {
		r.opened(f)
	}
	return nil
}

// Write appends b, and rolls if the file is too long then. If a new file cannot be opened, it
// continues the old one.
func (r *RollingFile) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.lines.Write(b)
	r.size += int64(n)
	if r.max > 0 && r.size > r.max {
		r.roll()
	}
	return n, err
}

func (r *RollingFile) roll() {
	st, err := r.lines.File().Stat()
	switch {
	case err != nil || !st.Mode().IsRegular() || outfile.Given(r.path):
		r.size = 0 // a pipe or /dev/stderr, for example: it must not be moved
		return
	case st.Size() <= r.max:
		r.size = st.Size() // another program has truncated it
		return
	}
	name := func(i int) string { return r.path + "." + strconv.Itoa(i) }
	os.Remove(name(r.keep))
	for i := r.keep; i > 1; i-- {
		os.Rename(name(i-1), name(i))
	}
	os.Rename(r.path, name(1))
	if r.open() != nil || r.size > r.max {
		r.size = 0 // try again after another max bytes, not at every line
	}
}

// Reopen opens the file again by its name, for users who have moved it.
func (r *RollingFile) Reopen() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open()
}

// Close closes the file.
func (r *RollingFile) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.Close()
}

// Status writes status lines to a file or into the log. It may be used by several goroutines.
type Status struct {
	mu    sync.Mutex
	path  string
	lines *outfile.Lines // nil: into the log
	w     io.Writer      // to lines
	log   *Log
}

// StatusInLog is the name that sends status lines to the log.
const StatusInLog = "@LOG"

// OpenStatus opens a status file for appending; for StatusInLog it uses log.
func OpenStatus(path string, log *Log) (*Status, error) {
	if path == StatusInLog {
		return &Status{log: log}, nil
	}
	s := &Status{path: path}
	s.w = (*statusLines)(s)
	if err := s.Reopen(); err != nil {
		return nil, err
	}
	return s, nil
}

// statusLines writes to the current file of a Status.
type statusLines Status

func (s *statusLines) Write(b []byte) (int, error) { return s.lines.Write(b) }

// Watch makes failures known to a set of outputs.
func (s *Status) Watch(set *outfile.Outputs, notify outfile.Notify) {
	if s.log == nil {
		s.w = set.Watch("status file "+s.path, cli.ExitUsage, s.w, notify)
	}
}

// Reopen opens the file again by its name, for users who have moved it. If that fails, it continues
// the old file.
func (s *Status) Reopen() error {
	if s == nil || s.log != nil {
		return nil
	}
	lines, err := outfile.AppendLines(s.path, fileMode, s.lines != nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines != nil {
		s.lines.Close()
	}
	s.lines = lines
	return nil
}

// Printf writes a line immediately. A nil Status writes nothing.
func (s *Status) Printf(format string, args ...any) {
	if s == nil {
		return
	}
	line := cli.Clean(fmt.Sprintf(format, args...))
	if s.log != nil {
		s.log.Raw(line)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w.Write(append([]byte(line), '\n'))
}

// Close closes the file, if there is one.
func (s *Status) Close() error {
	if s == nil || s.log != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines.Close()
}

// Notify returns a function that logs that another output fails, or works again.
func (l *Log) Notify() outfile.Notify {
	return func(name string, err error, lost int64) {
		if err != nil {
			l.Printf(Errors, time.Now(), Where{}, "Can't write %s: %s", name, cli.ErrText(err))
			return
		}
		l.Printf(Warnings, time.Now(), Where{}, "Warning: %s can be written again; %s missing", name, cli.Count(lost, "line"))
	}
}
