package main

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	tapQueue = 10000 // frames that wait in a device until they are read

	// Work that the kernel may leave to the card, that is, to this command: checksums
	// and cutting. It leaves UDP since Linux 6.2.
	tapOffload    = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	tapOffloadUDP = unix.TUN_F_USO4 | unix.TUN_F_USO6
)

// openTap makes a TAP device in the network namespace of the calling thread. It
// lasts as long as the port is open.
func openTap(name string, mtu int) (*port, error) {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tunDevice, err)
	}
	p := &port{fd: fd, name: name, mtu: mtu, tap: true}
	if err := p.setupTap(); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("TAP device %s: %w", name, err)
	}
	p.rx.link()
	return p, nil
}

func (p *port) setupTap() error {
	req, err := unix.NewIfreq(p.name)
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(p.fd, unix.TUNSETIFF, req); err != nil {
		return fmt.Errorf("TUNSETIFF: %w", err)
	}
	if unix.IoctlSetInt(p.fd, unix.TUNSETOFFLOAD, tapOffload|tapOffloadUDP) != nil {
		if err := unix.IoctlSetInt(p.fd, unix.TUNSETOFFLOAD, tapOffload); err != nil {
			return fmt.Errorf("TUNSETOFFLOAD: %w", err)
		}
	}
	return p.drops.open(p.name)
}

// receiveTap is receive for a TAP device, which returns one frame a call.
func (p *port) receiveTap() (n int, err error) {
	r := &p.rx
	for n < rxBatch {
		got, err := unix.Read(p.fd, r.bufs[n][headroom:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return n, nil
		case err != nil && n > 0:
			return n, nil // the next call returns the error again
		case err != nil:
			return 0, err
		}
		r.heads[n].Len = uint32(got)
		n++
	}
	return n, nil
}

// sendTap is send for a TAP device. The device itself takes frames of any length.
func (p *port) sendTap(x *txSide, from, to int) (n int, err error) {
	for i := from; i < to; {
		b := x.frame(i)
		if len(b) > vnetLen+14+tagRoom+p.mtu {
			return i - from, unix.EMSGSIZE
		}
		if _, err := unix.Write(p.fd, b); err == unix.EINTR {
			continue
		} else if err != nil {
			return i - from, err
		}
		i++
	}
	return to - from, nil
}

// dropCounter reads how many frames a device dropped on their way out, from the
// table of the namespace in which it was opened.
type dropCounter struct {
	fd    int
	name  [unix.IFNAMSIZ + 1]byte // with the colon behind it
	size  int
	last  uint64
	table [8192]byte
}

func (d *dropCounter) open(device string) (err error) {
	d.size = copy(d.name[:], device+":")
	d.fd, err = unix.Open("/proc/thread-self/net/dev", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("counters of interfaces: %w", err)
	}
	return nil
}

func (d *dropCounter) close() { unix.Close(d.fd) }

// more returns how many frames were dropped since the last call.
func (d *dropCounter) more() uint64 {
	n, err := unix.Pread(d.fd, d.table[:], 0)
	if err != nil {
		return 0
	}
	total, ok := txDropped(d.table[:n], d.name[:d.size])
	if !ok || total < d.last {
		return 0
	}
	n64 := total - d.last
	d.last = total
	return n64
}

// txDropped finds the frames dropped on their way out in the kernel's table of
// interfaces: behind the name come eight columns of receiving, then bytes, packets,
// errors, drops of sending.
func txDropped(table, nameColon []byte) (n uint64, ok bool) {
	for len(table) > 0 {
		line := table
		if end := bytes.IndexByte(table, '\n'); end >= 0 {
			line, table = table[:end], table[end+1:]
		} else {
			table = nil
		}
		line = bytes.TrimLeft(line, " ")
		if !bytes.HasPrefix(line, nameColon) {
			continue
		}
		line = line[len(nameColon):]
		for column := 0; column < 12; column++ {
			line = bytes.TrimLeft(line, " ")
			digits := 0
			n = 0
			for digits < len(line) && line[digits] >= '0' && line[digits] <= '9' {
				n = n*10 + uint64(line[digits]-'0')
				digits++
			}
			if digits == 0 {
				return 0, false
			}
			line = line[digits:]
		}
		return n, true
	}
	return 0, false
}
