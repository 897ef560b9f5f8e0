package outfile

import (
	"io"
	"sync"
)

// Outputs notes which of a program's outputs could not be written: that changes its
// exit code. It may be used by several goroutines; a nil one notes nothing.
type Outputs struct {
	mu   sync.Mutex
	code int
	name string // of the output that gives the code
	err  error
}

// Fail notes that an output was not written, and the exit code that this means. The
// lowest code counts.
func (s *Outputs) Fail(code int, name string, err error) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.code == 0 || code < s.code {
		s.code, s.name, s.err = code, name, err
	}
}

// Failed returns the exit code for what was not written, 0 if all was, and which
// output it was.
func (s *Outputs) Failed() (code int, name string, err error) {
	if s == nil {
		return 0, "", nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code, s.name, s.err
}

// Exit returns the exit code of a program that would end with code: what went wrong
// otherwise weighs more than an output, an end that was asked for (normal) does not.
func (s *Outputs) Exit(code int, normal bool) int {
	if failed, _, _ := s.Failed(); failed != 0 && normal {
		return failed
	}
	return code
}

// Tell is told once when an output cannot be written any more, and once, with no
// error, when it can again: how many writes were lost until then.
type Notify func(name string, err error, lost int64)

// Output is a writer of whole lines that may fail and recover. It may be used by
// several goroutines.
type Output struct {
	set  *Outputs
	name string
	code int
	tell Notify
	mu   sync.Mutex
	w    io.Writer
	err  error // of the last write
	lost int64 // writes since it fails
}

// Watch returns a writer to w that notes failures under a name and an exit code; tell
// may be nil.
func (s *Outputs) Watch(name string, code int, w io.Writer, tell Notify) *Output {
	return &Output{set: s, name: name, code: code, w: w, tell: tell}
}

// Write writes b to the output.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.w.Write(b)
	if err == nil {
		if o.err != nil && o.tell != nil {
			o.tell(o.name, nil, o.lost)
		}
		o.err, o.lost = nil, 0
		return n, nil
	}
	o.lost++
	if o.err == nil {
		o.err = err
		o.set.Fail(o.code, o.name, err)
		if o.tell != nil {
			o.tell(o.name, err, 0)
		}
	}
	return n, err
}
