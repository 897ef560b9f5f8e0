//go:build !linux

package store

import "os"

// A vector moves bytes between one run of a file and many buffers, here one buffer at a time. The
// zero value is ready.
type (
	// ReadVec is the vector of one [Source.ReadBlocks] at a time.
	ReadVec  struct{}
	writeVec struct{}
)

// preadv fills bufs, in order, from offset off of f, and returns the number of bytes read. If it is
// less than bufs hold, there is an error: [io.EOF] at the end of the file.
func (*ReadVec) preadv(f *os.File, bufs [][]byte, off int64) (total int, err error) {
	for _, b := range bufs {
		if len(b) == 0 {
			continue
		}
		n, err := f.ReadAt(b, off)
		total += n
		off += int64(n)
		if n < len(b) {
			return total, err
		}
	}
	return total, nil
}

// pwritev writes bufs, in order, at offset off of f, and returns the number of bytes written. If it
// is less than bufs hold, there is an error.
func (*writeVec) pwritev(f *os.File, bufs [][]byte, off int64) (total int, err error) {
	for _, b := range bufs {
		n, err := f.WriteAt(b, off)
		total += n
		off += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
