package frames

import (
	"fmt"
	"io"
	"iter"
	"net/netip"

	"uftp/pcap"
)

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

// Reader takes datagrams out of one capture. Not for concurrent use.
type Reader struct {
	in    *pcap.Reader
	dec   decoder
	parts fragments
	stats Stats

	// What is left of a super-packet: its first datagram, and the rest of the
	// payload, cut every size bytes.
	first pcap.Datagram
	rest  []byte
	size  int
}

// NewReader reads the head of a capture. It fails as [pcap.NewReader] does.
func NewReader(r io.Reader) (*Reader, error) {
	in, err := pcap.NewReader(r)
	if err != nil {
		return nil, err
	}
	return &Reader{in: in}, nil
}

// Next returns the next datagram, or [io.EOF] when the capture ends after a
// whole frame, [io.ErrUnexpectedEOF] when it ends within one, [pcap.ErrFormat]
// when it is damaged. All but io.EOF come wrapped with the number of the packet
// and where it begins. After [ErrSuper], and no other error, reading can go on.
//
// A super-packet is split: its datagrams come one by one, with the time and the
// number of the one frame they were in.
func (r *Reader) Next() (pcap.Datagram, error) {
	for {
		if len(r.rest) > 0 {
			return r.cut(), nil
		}
		f, err := r.in.Next()
		if err != nil {
			r.stats.Unmade += r.parts.drop()
			return pcap.Datagram{}, err
		}
		r.stats.Frames++
		p, err := r.dec.frame(f.Link, f.Data)
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
			whole, lost := r.parts.add(f.Time, p)
			r.stats.Unmade += lost
			if whole == nil {
				continue
			}
			p.payload = whole
		}
		src, dst, payload, ok := r.dec.ports(p.payload)
		if !ok {
			r.stats.Broken++
			continue
		}
		d := pcap.Datagram{
			Time:    f.Time,
			Frame:   f.Number,
			Offset:  f.Offset,
			Src:     netip.AddrPortFrom(p.src, src),
			Dst:     netip.AddrPortFrom(p.dst, dst),
			Payload: append([]byte(nil), payload...),
		}
		if r.size, err = super(d.Payload); err != nil {
			return pcap.Datagram{}, f.Located(fmt.Errorf("%w: %d bytes from %v", err, len(d.Payload), d.Src))
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
func (r *Reader) cut() pcap.Datagram {
	d, n := r.first, min(r.size, len(r.rest))
	d.Payload, r.rest = r.rest[:n:n], r.rest[n:]
	r.stats.Datagrams++
	return d
}

// All iterates over the datagrams that are left. An error other than the end of
// the capture comes once, last, with a zero Datagram.
func (r *Reader) All() iter.Seq2[pcap.Datagram, error] {
	return func(yield func(pcap.Datagram, error) bool) {
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
