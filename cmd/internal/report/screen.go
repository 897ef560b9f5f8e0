package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"uftp/cmd/cli"
)

// redrawEvery is the shortest time between two pictures.
const redrawEvery = 200 * time.Millisecond

// Screen updates a few lines at the foot of a terminal while other lines scroll above them. All
// methods of a nil Screen do nothing. It may be used by several goroutines.
//
// It never hides the cursor and sets no mode, so a program that crashes leaves nothing to restore.
type Screen struct {
	mu     sync.Mutex
	w      io.Writer
	width  func() int // columns of the terminal
	shown  []string   // current lines at the foot
	drawn  time.Time
	closed bool
	buf    bytes.Buffer
}

// NewScreen returns a screen on a terminal whose width may change.
func NewScreen(w io.Writer, width func() int) *Screen { return &Screen{w: w, width: width} }

// Write prints whole lines above the foot.
func (s *Screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf.Reset()
	s.home()
	if len(s.shown) > 0 {
		for line := range bytes.Lines(b) {
			text, whole := bytes.CutSuffix(line, []byte("\n"))
			s.line(string(text), whole)
		}
	} else {
		s.buf.Write(b)
	}
	s.redraw(s.shown)
	if _, err := s.w.Write(s.buf.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Due reports whether Draw at the time now would draw.
func (s *Screen) Due(now time.Time) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && now.Sub(s.drawn) >= redrawEvery
}

// Draw replaces the foot by lines, cut to the width of the terminal.
func (s *Screen) Draw(now time.Time, lines ...string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.drawn = now
	width := s.width()
	for i, l := range lines {
		lines[i] = fit(l, width-1)
	}
	s.buf.Reset()
	s.home()
	s.redraw(lines)
	s.w.Write(s.buf.Bytes())
}

// Line prints one line above the foot.
func (s *Screen) Line(format string, args ...any) {
	if s != nil {
		s.Write([]byte(cli.Clean(fmt.Sprintf(format, args...)) + "\n"))
	}
}

// Close removes the foot.
func (s *Screen) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf.Reset()
	s.home()
	s.redraw(nil)
	s.closed = true
	s.w.Write(s.buf.Bytes())
}

// home moves to the first line of the foot. New lines overwrite the old ones without erasing first,
// because tmux and screen put erased lines into their history, five times a second.
func (s *Screen) home() {
	if n := len(s.shown); n > 0 {
		fmt.Fprintf(&s.buf, "\x1b[%dA\r", n)
	}
}

// line writes one line and clears the rest of the row.
func (s *Screen) line(text string, whole bool) {
	s.buf.WriteString(text)
	s.buf.WriteString("\x1b[K")
	if whole {
		s.buf.WriteByte('\n')
	}
}

// redraw writes the foot, and clears the lines of a longer one before it.
func (s *Screen) redraw(lines []string) {
	for _, l := range lines {
		s.line(l, true)
	}
	if extra := len(s.shown) - len(lines); extra > 0 {
		for range extra {
			s.line("", true)
		}
		fmt.Fprintf(&s.buf, "\x1b[%dA", extra)
	}
	s.shown = lines
}

// fit makes a text printable and cuts it to width characters.
func fit(s string, width int) string {
	s = cli.Clean(s)
	width = max(width, 1)
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	r := []rune(s)
	return string(r[:width-1]) + "…"
}

// size formats a number of bytes.
func size(n int64) string {
	f, unit := float64(n), "B"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f /= 1024; f < 1024 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

// rate formats a speed in bytes/s.
func rate(f float64) string { return size(int64(f)) + "/s" }

// span formats a time as m:ss or h:mm:ss.
func span(d time.Duration) string {
	s := int64((d + time.Second - 1) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// bar draws a share from 0 to 1, width characters wide.
func bar(share float64, width int) string {
	full := min(max(int(share*float64(width)+0.5), 0), width)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "]"
}

// meter smooths a growing number into a speed.
type meter struct {
	at    time.Time
	count int64
	speed float64 // per second
}

func (m *meter) reset() { *m = meter{} }

// update returns the speed after a new count at a time.
func (m *meter) update(at time.Time, count int64) float64 {
	dt := at.Sub(m.at).Seconds()
	switch {
	case m.at.IsZero() || count < m.count:
		m.at, m.count, m.speed = at, count, 0
	case dt >= 0.1:
		now := float64(count-m.count) / dt
		if m.speed == 0 {
			m.speed = now
		} else {
			m.speed += (now - m.speed) * min(1, dt) // follows within about a second
		}
		m.at, m.count = at, count
	}
	return m.speed
}
