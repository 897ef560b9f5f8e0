package pcap

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// What can be wrong with a capture.
var (
	ErrFormat   = errors.New("pcap: not a capture or a damaged one")
	ErrLinkType = errors.New("pcap: link type not supported")
)

// frameLenMax is the longest frame read, bytes; tcpdump has the same limit.
const frameLenMax = 256 << 10

// Frame is one captured packet of a file.
type Frame struct {
	Time   time.Time // zero when the capture does not say
	Number int       // in the capture, from 1
	Offset int64     // of its record in the capture (unpacked if that was packed), bytes
	Link   uint16    // one of those above
	Data   []byte    // valid until the next frame is read
}

// Located adds to an error which frame it is about.
func (f *Frame) Located(err error) error {
	return fmt.Errorf("packet %d at offset %d: %w", f.Number, f.Offset, err)
}

// Reader reads the frames of one capture. Not for concurrent use.
type Reader struct {
	src  *source
	next func() (Frame, error) // sets Time, Link and Data; io.EOF at a clean end
	n    int                   // frames read
}

// source counts the bytes that are read from a stream.
type source struct {
	r     *bufio.Reader
	n     int64
	start int64 // of the present record
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.n += int64(n)
	return n, err
}

// mark says that a record begins.
func (s *source) mark() { s.start = s.n }

// NewReader reads the head of a capture. It fails with [ErrFormat] or
// [ErrLinkType], wrapped, or with an error of r.
func NewReader(r io.Reader) (*Reader, error) {
	br := bufio.NewReader(r)
	if magic, err := br.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrFormat, err)
		}
		br = bufio.NewReader(z)
	}
	magic, err := br.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(magic) == 4 && binary.LittleEndian.Uint32(magic) == ngSection {
		src := &source{r: br}
		ng := &ngReader{r: src}
		return &Reader{src: src, next: ng.next}, nil
	}

	src := &source{r: br}
	classic, err := newClassic(src)
	if err != nil {
		return nil, err
	}
	return &Reader{src: src, next: classic.next}, nil
}

// Next returns the next frame, or [io.EOF] when the capture ends after a whole frame,
// [io.ErrUnexpectedEOF] when it ends within one, [ErrFormat] when it is damaged. All but
// io.EOF come wrapped with the number of the frame and where it begins.
func (r *Reader) Next() (Frame, error) {
	f, err := r.next()
	f.Number, f.Offset = r.n+1, r.src.start
	switch err {
	case nil:
		r.n++
		return f, nil
	case io.EOF:
		return Frame{}, err
	}
	return Frame{}, f.Located(err)
}
