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
	ErrLinkType = errors.New("pcap: link type is not Ethernet")
)

// frameLenMax is the longest frame read, bytes; tcpdump has the same limit.
const frameLenMax = 256 << 10

// linkEthernet is the one link type understood, in both formats.
const linkEthernet = 1

// Datagram is one UDP datagram of a capture.
type Datagram struct {
	Time     time.Time // of its last frame; zero when the capture does not say
	Frame    int       // number of its last frame in the capture, from 1
	Src, Dst netip.AddrPort
	Payload  []byte // never shared, the caller may keep and change it
}

// Stats counts what was found so far.
type Stats struct {
	Frames    int // read
	Datagrams int // returned
	Fragments int // frames that held a part of a datagram only
	Other     int // frames skipped: not UDP over IP over Ethernet
	Broken    int // frames skipped: lengths contradict each other, or cut by the capture
	Unmade    int // fragmented datagrams given up: parts missing or contradicting
}

// frame is one captured packet of a file. Data is valid until the next one is read.
type frame struct {
	time time.Time
	data []byte
}

// Reader takes datagrams out of one capture. Not for concurrent use.
type Reader struct {
	next  func() (frame, error) // io.EOF at a clean end
	parts fragments
	stats Stats
}

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
		ng := &ngReader{r: br}
		return &Reader{next: ng.next}, nil
	}

	classic, err := newClassic(br)
	if err != nil {
		return nil, err
	}
	return &Reader{next: classic.next}, nil
}

// Next returns the next datagram, or [io.EOF] when the capture ends after a
// whole frame, [io.ErrUnexpectedEOF] when it ends within one, [ErrFormat]
// (wrapped) when it is damaged.
func (r *Reader) Next() (Datagram, error) {
	for {
		f, err := r.next()
		if err != nil {
			r.stats.Unmade += r.parts.drop()
			return Datagram{}, err
		}
		r.stats.Frames++
		p, err := parseFrame(f.data)
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
		r.stats.Datagrams++
		return Datagram{
			Time:    f.time,
			Frame:   r.stats.Frames,
			Src:     netip.AddrPortFrom(p.src, src),
			Dst:     netip.AddrPortFrom(p.dst, dst),
			Payload: append([]byte(nil), payload...),
		}, nil
	}
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
