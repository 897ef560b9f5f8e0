package outfile

import (
	"io"
	"sync"
)

// Outputs remembers which outputs of a program could not be written; that changes its exit code. It
// may be used by several goroutines; a nil one remembers nothing.
type Outputs struct {
	mu   sync.Mutex
	code int
	name string // of the output that determines the code
	err  error
}

// Fail remembers that an output could not be written, and its exit code. The lowest code counts.
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

// Failed returns the exit code, name and error of an output that could not be written; 0 if there
// is none.
func (s *Outputs) Failed() (code int, name string, err error) {
	if s == nil {
		return 0, "", nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code, s.name, s.err
}

// Exit returns the exit code of a program that would end with code. A failed output replaces the
// code of a normal end, but not that of another error.
func (s *Outputs) Exit(code int, normal bool) int {
	if failed, _, _ := s.Failed(); failed != 0 && normal {
		return failed
	}
	return code
}

// Notify is called once when an output fails, and once, without an error, when it works again, with
// the number of lost writes.
type Notify func(name string, err error, lost int64)

// Output is a writer of whole lines that may fail and recover. It may be used by
// several goroutines.
type Output struct {
	set    *Outputs
	name   string
	code   int
	notify Notify
	mu     sync.Mutex
	w      io.Writer
	err    error // of the last write
	lost   int64 // lost writes
}

// Watch returns a writer to w that remembers failures under a name and an exit code; notify may be
// nil.
func (s *Outputs) Watch(name string, code int, w io.Writer, notify Notify) *Output {
	return &Output{set: s, name: name, code: code, w: w, notify: notify}
}

// Write writes b to the output.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.w.Write(b)
	if err == nil {
		if o.err != nil && o.notify != nil {
			o.notify(o.name, nil, o.lost)
		}
		o.err, o.lost = nil, 0
		return n, nil
	}
	o.lost++
	if o.err == nil {
		o.err = err
		o.set.Fail(o.code, o.name, err)
		if o.notify != nil {
			o.notify(o.name, err, 0)
		}
	}
	return n, err
}
