package store

import (
	"io"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A vector moves bytes between one run of a file and many buffers with few system calls. It owns
// the array that the kernel reads, so moving allocates nothing. One goroutine at a time may use a
// vector. The zero value is ready.
type (
	// ReadVec is the vector of one [Source.ReadBlocks] at a time.
	ReadVec struct {
		iov [ReadVecLen]unix.Iovec
	}
	writeVec struct {
		iov [1024]unix.Iovec // as many as one call takes (UIO_MAXIOV)
	}
)

// preadv fills bufs, in order, from offset off of f, and returns the number of bytes read. If it is
// less than bufs hold, there is an error: [io.EOF] at the end of the file.
func (v *ReadVec) preadv(f *os.File, bufs [][]byte, off int64) (int, error) {
	return move(v.iov[:], unix.SYS_PREADV, f, bufs, off, io.EOF)
}

// pwritev writes bufs, in order, at offset off of f, and returns the number of bytes written. If it
// is less than bufs hold, there is an error.
func (v *writeVec) pwritev(f *os.File, bufs [][]byte, off int64) (int, error) {
	return move(v.iov[:], unix.SYS_PWRITEV, f, bufs, off, io.ErrShortWrite)
}

// move makes the system call trap until bufs are done. It returns the error nothing if a call moves
// no bytes.
func move(iov []unix.Iovec, trap uintptr, f *os.File, bufs [][]byte, off int64, nothing error) (total int, err error) {
	defer runtime.KeepAlive(f)
	fd := f.Fd()
	skip := 0 // bytes of bufs[0] that are done
	for {
		n := 0
		for i, b := range bufs {
			if i == 0 {
				b = b[skip:]
			}
			if len(b) == 0 {
				continue
			}
			iov[n].Base = unsafe.SliceData(b)
			iov[n].SetLen(len(b))
			if n++; n == len(iov) {
				break
			}
		}
		if n == 0 {
			return total, nil
		}
		// A 32-bit kernel takes the offset in two halves; a 64-bit one ignores the second.
		low, high := uintptr(off), uintptr(uint64(off)>>32)
		got, _, errno := unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(&iov[0])), uintptr(n), low, high, 0)
		clear(iov[:n]) // keep no buffer alive after the call
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return total, errno
		case got == 0:
			return total, nothing
		}
		total += int(got)
		off += int64(got)
		done := int(got)
		for len(bufs) > 0 && done >= len(bufs[0])-skip {
			done -= len(bufs[0]) - skip
			bufs, skip = bufs[1:], 0
		}
		skip += done
	}
}
