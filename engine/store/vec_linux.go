package store

import (
	"io"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxVec is the number of buffers that one system call takes (UIO_MAXIOV).
const maxVec = 1024

// vec moves bytes between one run of a file and many buffers with one system call. It owns the array
// that the kernel reads, so moving allocates nothing. One goroutine at a time may use a vec. The zero
// vec is ready.
type vec struct {
	iov [maxVec]unix.Iovec
}

// preadv fills bufs, in order, from offset off of f, and returns the number of bytes read. If it is
// less than bufs hold, there is an error: [io.EOF] at the end of the file.
func (v *vec) preadv(f *os.File, bufs [][]byte, off int64) (int, error) {
	return v.move(unix.SYS_PREADV, f, bufs, off, io.EOF)
}

// pwritev writes bufs, in order, at offset off of f, and returns the number of bytes written. If it
// is less than bufs hold, there is an error.
func (v *vec) pwritev(f *os.File, bufs [][]byte, off int64) (int, error) {
	return v.move(unix.SYS_PWRITEV, f, bufs, off, io.ErrShortWrite)
}

// move makes the system call trap until bufs are done. It returns the error nothing if a call moves
// no bytes.
func (v *vec) move(trap uintptr, f *os.File, bufs [][]byte, off int64, nothing error) (total int, err error) {
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
			v.iov[n].Base = unsafe.SliceData(b)
			v.iov[n].SetLen(len(b))
			if n++; n == maxVec {
				break
			}
		}
		if n == 0 {
			return total, nil
		}
		// A 32-bit kernel takes the offset in two halves; a 64-bit one ignores the second.
		low, high := uintptr(off), uintptr(uint64(off)>>32)
		got, _, errno := unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(&v.iov[0])), uintptr(n), low, high, 0)
		clear(v.iov[:n]) // keep no buffer alive after the call
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
