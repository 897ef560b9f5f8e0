package pcap

import "io"

// Writer writes datagrams as an [Encoder] makes them, as Ethernet frames. Not for
// concurrent use.
type Writer struct {
	w   io.Writer
	enc Encoder
	buf []byte // of one frame, reused
}

// NewWriter writes the head of a capture.
func NewWriter(w io.Writer, f Format) (*Writer, error) {
	enc := Encoder{Format: f}
	if _, err := w.Write(enc.AppendHead(nil)); err != nil {
		return nil, err
	}
	return &Writer{w: w, enc: enc}, nil
}

// Write writes one datagram with a single call of the io.Writer. It fails with
// [ErrDatagram], wrapped, and writes nothing then, or with an error of the
// io.Writer. Of d it uses Time, Src, Dst and Payload.
func (w *Writer) Write(d Datagram) error {
	b, err := w.enc.AppendDatagram(w.buf[:0], &d, &Meta{})
	if err != nil {
		return err
	}
	w.buf = b
	_, err = w.w.Write(b)
	return err
}
