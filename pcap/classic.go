package pcap

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// First number of a classic capture, in the byte order of the rest. It also gives the unit
// of the time stamps.
const (
	classicMicros = 0xa1b2c3d4
	classicNanos  = 0xa1b23c4d
)

// classicReader reads the frames of a classic capture: a head of 24 bytes, then
// per frame 16 bytes (seconds, fraction, length here, length on the link) and
// the frame.
type classicReader struct {
	r     *source
	order binary.ByteOrder
	unit  time.Duration // of the fraction
	link  uint16
	buf   []byte // of the present frame, reused
}

func newClassic(r *source) (*classicReader, error) {
	var head [24]byte
	if _, err := io.ReadFull(r, head[:]); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("%w: shorter than a head", ErrFormat)
	} else if err != nil {
		return nil, err
	}
	c := &classicReader{r: r}
	for _, c.order = range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch c.order.Uint32(head[:]) {
		case classicMicros:
			c.unit = time.Microsecond
		case classicNanos:
			c.unit = time.Nanosecond
		}
		if c.unit != 0 {
			break
		}
	}
	if c.unit == 0 {
		return nil, fmt.Errorf("%w: it starts with %x", ErrFormat, head[:4])
	}
	if v := c.order.Uint16(head[4:]); v != 2 {
		return nil, fmt.Errorf("%w: version %d", ErrFormat, v)
	}
	// The snapshot length at 16 is often wrong, so it must not set our limit. The upper
	// half of the link type is about checksums behind the frames.
	c.link = uint16(c.order.Uint32(head[20:]))
	if !knownLink(c.link) {
		return nil, fmt.Errorf("%w: %d", ErrLinkType, c.link)
	}
	return c, nil
}

func (c *classicReader) next() (Frame, error) {
	c.r.mark()
	var head [16]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return Frame{}, err // io.EOF only at a frame boundary
	}
	size := c.order.Uint32(head[8:])
	if size > frameLenMax {
		return Frame{}, fmt.Errorf("%w: frame of %d bytes", ErrFormat, size)
	}
	if cap(c.buf) < int(size) {
		c.buf = make([]byte, size)
	}
	c.buf = c.buf[:size]
	if _, err := io.ReadFull(c.r, c.buf); err != nil {
		return Frame{}, cut(err)
	}
	fraction := time.Duration(c.order.Uint32(head[4:])) * c.unit
	return Frame{Time: time.Unix(int64(c.order.Uint32(head[:])), int64(fraction)).UTC(), Link: c.link, Data: c.buf}, nil
}

// cut turns io.EOF within a frame into io.ErrUnexpectedEOF.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
