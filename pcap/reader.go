package pcap

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"time"
)

// What can be wrong with a capture.
var (
	ErrFormat   = errors.New("pcap: not a capture or a damaged one")
	ErrLinkType = errors.New("pcap: link type not supported")
)

// frameLenMax is the longest frame read, bytes; tcpdump has the same limit.
const frameLenMax = 256 << 10

// Datagram is one UDP datagram of a capture.
type Datagram struct {
	Time     time.Time // of its last frame; zero when the capture does not say
	Frame    int       // number of its last frame in the capture, from 1
	Offset   int64     // of that frame's record in the capture (unpacked if that was packed), bytes
	Src, Dst netip.AddrPort
	Payload  []byte // never shared, the caller may keep and change it
}

// Stats counts what was found so far.
type Stats struct {
	Frames    int // read
	Datagrams int // returned
	Fragments int // frames that held a part of a datagram only
	Other     int // frames skipped: not UDP over IP
	Broken    int // frames skipped: lengths contradict each other, or cut by the capture
	Unmade    int // fragmented datagrams given up: parts missing or contradicting
	Super     int // super-packets that were split
}

// frame is one captured packet of a file. Data is valid until the next one is read.
type frame struct {
	time time.Time
	link uint16 // a known one
	data []byte
}

// Reader takes datagrams out of one capture. Not for concurrent use.
type Reader struct {
	src   *source
	next  func() (frame, error) // io.EOF at a clean end
	parts fragments
	stats Stats

	// What is left of a super-packet: its first datagram, and the rest of the
	// payload, cut every size bytes.
	first Datagram
	rest  []byte
	size  int
}

// source counts the bytes that are taken of a stream.
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

// Next returns the next datagram, or [io.EOF] when the capture ends after a
// whole frame, [io.ErrUnexpectedEOF] when it ends within one, [ErrFormat]
// when it is damaged. All but io.EOF come wrapped with the number of the packet
// and where it begins. After [ErrSuper], and no other error, reading can go on.
//
// A super-packet is split: its datagrams come one by one, with the time and the
// number of the one frame they were in.
func (r *Reader) Next() (Datagram, error) {
	for {
		if len(r.rest) > 0 {
			return r.cut(), nil
		}
		f, err := r.next()
		if err != nil {
			r.stats.Unmade += r.parts.drop()
			return Datagram{}, r.located(r.stats.Frames+1, err)
		}
		r.stats.Frames++
		p, err := parseFrame(f.link, f.data)
		switch err {
		case nil:
		case errOther:
			r.stats.Other++
			continue
		default:
			r.stats.Broken++
			continue
		}
		if p.fragment {
			r.stats.Fragments++
			whole, lost := r.parts.add(f.time, p)
			r.stats.Unmade += lost
			if whole == nil {
				continue
			}
			p.payload = whole
		}
		src, dst, payload, ok := parseUDP(p.payload)
		if !ok {
			r.stats.Broken++
			continue
		}
		d := Datagram{
			Time:    f.time,
			Frame:   r.stats.Frames,
			Offset:  r.src.start,
			Src:     netip.AddrPortFrom(p.src, src),
			Dst:     netip.AddrPortFrom(p.dst, dst),
			Payload: append([]byte(nil), payload...),
		}
		if r.size, err = super(d.Payload); err != nil {
			return Datagram{}, r.located(d.Frame, fmt.Errorf("%w: %d bytes from %v", err, len(d.Payload), d.Src))
		}
		if r.size > 0 {
			r.stats.Super++
			r.first, r.rest = d, d.Payload
			continue
		}
		r.stats.Datagrams++
		return d, nil
	}
}

// cut takes the next datagram of a super-packet.
func (r *Reader) cut() Datagram {
	d, n := r.first, min(r.size, len(r.rest))
	d.Payload, r.rest = r.rest[:n:n], r.rest[n:]
	r.stats.Datagrams++
	return d
}

// located adds to an error where in the capture it is.
func (r *Reader) located(frame int, err error) error {
	if err == io.EOF {
		return err
	}
	return fmt.Errorf("packet %d at offset %d: %w", frame, r.src.start, err)
}

// All iterates over the datagrams that are left. An error other than the end of
// the capture comes once, last, with a zero Datagram.
func (r *Reader) All() iter.Seq2[Datagram, error] {
	return func(yield func(Datagram, error) bool) {
		for {
			d, err := r.Next()
			if err == io.EOF || !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// Stats returns what was found so far; final after Next has failed.
func (r *Reader) Stats() Stats { return r.stats }
