//go:build linux

package interop

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"uftp/wire"
)

// uid is A's UID in messages.
const uidOfA = wire.UID(0x0A580001)

// fakeSender plays the sender on S, one packet at a time. The public address
// serves as the private one, too.
type fakeSender struct {
	e    *env
	conn *net.UDPConn
	to   *net.UDPAddr
	seq  uint16
	bs   uint16

	robust uint8
}

func (e *env) fakeSender() *fakeSender {
	e.t.Helper()
	return &fakeSender{e: e, conn: e.udp(e.S, 0), to: &net.UDPAddr{IP: net.IPv4(230, 4, 4, 1), Port: wire.DefaultPort}, bs: 512, robust: 20}
}

// send sends one message; body appends it.
func (f *fakeSender) send(fn wire.Func, body func([]byte) []byte) {
	f.e.t.Helper()
	h := wire.Header{
		Version: wire.Version4, Func: fn, Seq: f.seq, Src: 0x0A580064, Group: 0x12345678,
		GRTT: wire.EncodeGRTT(0.02), GroupSize: wire.EncodeGroupSize(1),
	}
	f.seq++
	_, err := f.conn.WriteToUDP(body(h.Append(nil)), f.to)
	f.e.ok(err)
}

func stamp() wire.Stamp {
	return wire.Stamp(time.Now().UnixMicro())
}

// next returns the next message of type fn, without its header; ok is false if
// none comes in time. Other messages are passed over.
func (f *fakeSender) next(fn wire.Func, within time.Duration) (msg []byte, ok bool) {
	f.e.t.Helper()
	f.e.ok(f.conn.SetReadDeadline(time.Now().Add(within)))
	b := make([]byte, wire.MaxDatagram)
	for {
		n, err := f.conn.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, false
		}
		f.e.ok(err)
		h, msg, err := wire.ParseHeader(b[:n])
		f.e.ok(err)
		f.e.want(h.Group == 0x12345678 && h.Src == uidOfA, "answers carry the group and A's UID, got %08X and %v", h.Group, h.Src)
		if h.Func == fn {
			return bytes.Clone(msg), true
		}
	}
}

// must is next for a message that has to come.
func (f *fakeSender) must(fn wire.Func) []byte {
	f.e.t.Helper()
	msg, ok := f.next(fn, soon)
	if !ok {
		f.e.t.Fatalf("want: %v from the receiver", fn)
	}
	return msg
}

// none wants no message of type fn for a while.
func (f *fakeSender) none(fn wire.Func, within time.Duration) {
	f.e.t.Helper()
	_, came := f.next(fn, within)
	f.e.want(!came, "no %v", fn)
}

// announce opens the session with A and confirms its registration.
func (f *fakeSender) announce() {
	f.e.t.Helper()
	public := netip.AddrFrom4([4]byte{230, 4, 4, 1})
	a := wire.Announce{Robust: f.robust, BlockSize: f.bs, Time: stamp(), Public: public, Private: public}
	f.send(wire.FuncAnnounce, func(b []byte) []byte { return a.Append(wire.Version4, b) })
	f.must(wire.FuncRegister)
	c := wire.HostList{Func: wire.FuncRegConf, Hosts: wire.AppendUID(nil, uidOfA)}
	f.send(wire.FuncRegConf, c.Append)
}

// offer sends FILEINFO.
func (f *fakeSender) offer(id uint16, typ wire.FileType, name string, size int64) {
	f.e.t.Helper()
	x := wire.FileInfo{FileID: id, Type: typ, Size: size, MTime: 1_600_000_000, Time: stamp(), Name: []byte(name), Hosts: wire.AppendUID(nil, uidOfA)}
	f.send(wire.FuncFileInfo, func(b []byte) []byte { return x.Append(wire.Version4, b) })
}

func (f *fakeSender) seg(id, section, block uint16, data []byte) {
	f.e.t.Helper()
	x := wire.FileSeg{FileID: id, Section: section, Block: block, Data: data}
	f.send(wire.FuncFileSeg, x.Append)
}

func (f *fakeSender) done(id, section uint16) {
	f.e.t.Helper()
	x := wire.Done{FileID: id, Section: section, Hosts: wire.AppendUID(nil, uidOfA)}
	f.send(wire.FuncDone, x.Append)
}

func (f *fakeSender) abort(host wire.UID, flags uint8) {
	f.e.t.Helper()
	x := wire.Abort{Flags: flags, Host: host, Text: []byte("so says the test")}
	f.send(wire.FuncAbort, x.Append)
}

// deliver sends a file of one block whole.
func (f *fakeSender) deliver(id uint16, name string, data []byte) {
	f.e.t.Helper()
	f.offer(id, wire.TypeFile, name, int64(len(data)))
	f.must(wire.FuncFileInfoAck)
	f.seg(id, 0, 0, data)
	f.done(id, 0)
	msg := f.must(wire.FuncComplete)
	c, err := wire.ParseComplete(msg)
	f.e.ok(err)
	f.e.want(c.FileID == id && c.Status == wire.StatusNormal, "COMPLETE for file %d, got %+v", id, c)
}

// sections collects the sections that STATUS messages ask for until none has
// come for a while.
func (f *fakeSender) sections(quiet time.Duration) []int {
	f.e.t.Helper()
	var list []int
	for {
		msg, ok := f.next(wire.FuncStatus, quiet)
		if !ok {
			return list
		}
		s, err := wire.ParseStatus(wire.Version4, msg)
		f.e.ok(err)
		list = append(list, int(s.Section))
	}
}
