package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"

	"uftp/engine/clock"
	"uftp/tools/internal/link"
)

const logBuffer = 1 << 18 // bytes a direction

// logFile is the file that both directions write whole lines to.
type logFile struct {
	mu sync.Mutex
	f  *os.File
}

// frameLog collects the lines of one direction of one link. A nil one drops them.
type frameLog struct {
	to   *logFile
	head string // of a line, behind the time
	buf  []byte
	err  error // the first
}

// newFrameLog returns the log of a link; links are counted from 1.
func newFrameLog(to *logFile, number int, dir string) *frameLog {
	if to == nil {
		return nil
	}
	head := fmt.Sprintf(`,"link":%d,"dir":"%s","n":`, number, dir)
	return &frameLog{to: to, head: head, buf: make([]byte, 0, logBuffer)}
}

// frame adds a line; now and start are times of the clock that the fate uses.
func (l *frameLog) frame(start, now clock.Time, size int, f *link.Fate) {
	if l == nil {
		return
	}
	if len(l.buf) > logBuffer-512 {
		l.flush()
	}
	b := append(l.buf, `{"t":`...)
	b = appendSeconds(b, now, start)
	b = append(b, l.head...)
	b = strconv.AppendUint(b, f.Number, 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, int64(size), 10)
	b = append(b, `,"fate":"`...)
	b = append(b, f.Cause.String()...)
	b = append(b, `","queued":`...)
	b = strconv.AppendInt(b, int64(f.Queued), 10)
	if f.Sent > 0 {
		b = append(b, `,"sent":`...)
		b = appendSeconds(b, f.Sent, start)
	}
	if f.At > 0 {
		b = append(b, `,"at":`...)
		b = appendSeconds(b, f.At, start)
	}
	if f.Copy > 0 {
		b = append(b, `,"copy":`...)
		b = appendSeconds(b, f.Copy, start)
	}
	if f.Held {
		b = append(b, `,"held":true`...)
	}
	if f.Damage != 0 {
		b = append(b, `,"damaged":true`...)
	}
	l.buf = append(b, "}\n"...)
}

func appendSeconds(b []byte, t, start clock.Time) []byte {
	return strconv.AppendFloat(b, t.Sub(start).Seconds(), 'f', 9, 64)
}

// flush writes the collected lines.
func (l *frameLog) flush() error {
	if l == nil {
		return nil
	}
	if len(l.buf) == 0 {
		return l.err
	}
	l.to.mu.Lock()
	_, err := l.to.f.Write(l.buf)
	l.to.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	l.buf = l.buf[:0]
	return l.err
}
