package receiver

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

const (
	us       = wire.UID(0x0A580001)
	them     = wire.UID(0x0A580064)
	other    = wire.UID(0x0A580002)
	theGroup = 0x3D29F076

	code10ms  = 106 // decodes to 10.5 ms
	code100ms = 136 // decodes to 105.8 ms
	code500ms = 157 // decodes to 532 ms
)

var (
	senderAddr  = netip.MustParseAddrPort("10.88.0.100:40000")
	privateAddr = netip.MustParseAddr("230.5.5.9")
	publicAddr  = netip.MustParseAddr("230.4.4.1")
)

// world drives a Receiver by hand: it plays the sender and the host, and speaks in verbs.
type world struct {
	t   *testing.T
	r   *Receiver
	now clock.Time
	out machine.Out

	from     netip.AddrPort
	src      wire.UID
	group    uint32
	instance uint8
	seq      uint16
	grtt     uint8
	robust   uint8

	// what Poll gave and nobody has looked at yet, in order
	packets []sentPacket
	events  []machine.Event

	disk map[machine.FileRef][]byte // what Verdict.Store said
	last machine.Verdict

	far *far // of an encrypted session; nil in clear
}

type sentPacket struct {
	to   netip.AddrPort
	head wire.Header
	msg  []byte
	at   clock.Time
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	cfg := Config{UID: us, MaxSessions: DefaultMaxSessions, Public: []netip.Addr{publicAddr}}
	for _, c := range change {
		c(&cfg)
	}
	w := &world{
		t: t, now: 1_800_000_000_123_456_789,
		from: senderAddr, src: them, group: theGroup, grtt: code10ms, robust: 20,
		disk: map[machine.FileRef][]byte{},
	}
	w.r = New(cfg, w.now)
	return w
}

// poll empties the machine.
func (w *world) poll() {
	w.t.Helper()
	for n := 0; ; n++ {
		if n > 200000 {
			w.t.Fatal("Poll never says Idle")
		}
		switch w.r.Poll(w.now, &w.out) {
		case machine.Idle:
			if d := w.r.Deadline(); d <= w.now {
				w.t.Fatalf("Deadline is %v in the past after Idle", w.now.Sub(d))
			}
			return
		case machine.PacketKind:
			p := w.out.Packet
			h, msg, err := wire.ParseHeader(p.Data)
			if err != nil {
				w.t.Fatalf("sent a packet that cannot be parsed: %v", err)
			}
			if w.far != nil {
				h.Func, msg = w.far.open(w, h.Func, p.Data, msg)
			}
			if h.Func != wire.Func(msg[0]) || h.Src != w.r.cfg.UID || h.GRTT != 0 || h.GroupSize != 0 {
				w.t.Fatalf("bad header of a packet of ours: %s", wire.Describe(p.Data))
			}
			w.packets = append(w.packets, sentPacket{p.To, h, bytes.Clone(msg), w.now})
		case machine.EventKind:
			w.events = append(w.events, w.out.Event)
		default:
			w.t.Fatal("Poll gave something a receiver has no use for")
		}
	}
}

// send lets the sender say a message.
func (w *world) send(f wire.Func, msg []byte) machine.Verdict {
	w.t.Helper()
	h := wire.Header{Version: wire.Version4, Func: f, Seq: w.seq, Src: w.src, Group: w.group, Instance: w.instance, GRTT: w.grtt}
	w.seq++
	return w.raw(w.packet(h, msg))
}

// packet makes the datagram of a message: sealed, if the session is and has its keys.
func (w *world) packet(h wire.Header, msg []byte) []byte {
	w.t.Helper()
	if w.far != nil && w.far.sealer != nil && h.Func != wire.FuncAnnounce && h.Func != wire.FuncKeyInfo {
		return w.far.seal(w, h, msg)
	}
	return append(h.Append(nil), msg...)
}

// arrived is a datagram as a host hands it in.
func arrived(from netip.AddrPort, pkt []byte) *machine.Datagram {
	return &machine.Datagram{From: from, Data: pkt}
}

// raw hands in a datagram and stores what the verdict asks for.
func (w *world) raw(pkt []byte) machine.Verdict {
	w.t.Helper()
	w.last = w.r.Handle(w.now, arrived(w.from, pkt))
	if s := w.last.Store; s.Data != nil {
		d := w.disk[s.Ref]
		for int64(len(d)) < s.Offset+int64(len(s.Data)) {
			d = append(d, 0)
		}
		copy(d[s.Offset:], s.Data)
		w.disk[s.Ref] = d
	}
	w.poll()
	return w.last
}

func (w *world) wantDrop(d machine.Drop, why string) {
	w.t.Helper()
	if w.last.Drop != d {
		w.t.Fatalf("%s: verdict %q, want %q", why, w.last.Drop, d)
	}
}

// advance lets time pass, waking the machine whenever it asked for it.
func (w *world) advance(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for w.r.Deadline() <= end {
		w.now = max(w.now, w.r.Deadline())
		w.poll()
	}
	w.now = end
}

func uids(l ...wire.UID) wire.UIDList {
	var b []byte
	for _, u := range l {
		b = wire.AppendUID(b, u)
	}
	return b
}

func (w *world) announce(change ...func(*wire.Announce)) {
	w.t.Helper()
	a := wire.Announce{Robust: w.robust, BlockSize: 1000, Time: 77_999_000, Public: publicAddr, Private: privateAddr}
	for _, c := range change {
		c(&a)
	}
	w.send(wire.FuncAnnounce, a.Append(wire.Version4, nil))
}

func (w *world) regConf(who ...wire.UID) {
	w.t.Helper()
	x := wire.HostList{Func: wire.FuncRegConf, Hosts: uids(who...)}
	w.send(wire.FuncRegConf, x.Append(nil))
}

func (w *world) doneConf(who ...wire.UID) {
	w.t.Helper()
	x := wire.HostList{Func: wire.FuncDoneConf, Hosts: uids(who...)}
	w.send(wire.FuncDoneConf, x.Append(nil))
}

func (w *world) fileInfo(id uint16, size int64, change ...func(*wire.FileInfo)) {
	w.t.Helper()
	x := wire.FileInfo{FileID: id, Size: size, Name: []byte(fmt.Sprintf("f%d", id)), MTime: 1234, Time: 80e6, Hosts: uids(us)}
	for _, c := range change {
		c(&x)
	}
	w.send(wire.FuncFileInfo, x.Append(wire.Version4, nil))
}

// data sends block b of section s, filled with a pattern that depends on its place.
func (w *world) data(id uint16, l *block.Layout, s, b int) machine.Verdict {
	w.t.Helper()
	i, ok := l.Index(s, b)
	if !ok {
		w.t.Fatalf("no block %d in section %d", b, s)
	}
	x := wire.FileSeg{FileID: id, Section: uint16(s), Block: uint16(b), Data: bytes.Repeat([]byte{byte(i*7 + 1)}, l.Len(i))}
	return w.send(wire.FuncFileSeg, x.Append(nil))
}

func pattern(l *block.Layout) []byte {
	var b []byte
	for i := range l.Blocks {
		b = append(b, bytes.Repeat([]byte{byte(i*7 + 1)}, l.Len(i))...)
	}
	return b
}

func (w *world) done(id uint16, section int, who ...wire.UID) {
	w.t.Helper()
	x := wire.Done{FileID: id, Section: uint16(section), Hosts: uids(who...)}
	w.send(wire.FuncDone, x.Append(nil))
}

func (w *world) abort(x wire.Abort) {
	w.t.Helper()
	w.send(wire.FuncAbort, x.Append(nil))
}

// next takes the oldest packet nobody has looked at.
func (w *world) next(f wire.Func) sentPacket {
	w.t.Helper()
	if len(w.packets) == 0 {
		w.t.Fatalf("nothing was sent, want %v", f)
	}
	p := w.packets[0]
	w.packets = w.packets[1:]
	if p.head.Func != f {
		w.t.Fatalf("sent %v, want %v", p.head.Func, f)
	}
	return p
}

func (w *world) wantRegister(why string) wire.Register {
	w.t.Helper()
	p := w.next(wire.FuncRegister)
	x, err := wire.ParseRegister(wire.Version4, p.msg)
	if err != nil || len(p.msg) != 44 {
		w.t.Fatalf("%s: bad REGISTER of %d bytes: %v", why, len(p.msg), err)
	}
	if p.to != w.from || p.head.Group != w.group || p.head.Instance != w.instance {
		w.t.Fatalf("%s: REGISTER went astray", why)
	}
	return x
}

func (w *world) wantAck(id uint16, partial bool, why string) wire.FileInfoAck {
	w.t.Helper()
	x, err := wire.ParseFileInfoAck(wire.Version4, w.next(wire.FuncFileInfoAck).msg)
	if err != nil || x.FileID != id || x.Partial != partial {
		w.t.Fatalf("%s: FILEINFO_ACK %+v %v, want file %d partial %v", why, x, err, id, partial)
	}
	return x
}

func (w *world) wantComplete(id uint16, st wire.CompleteStatus, why string) wire.Complete {
	w.t.Helper()
	x, err := wire.ParseComplete(w.next(wire.FuncComplete).msg)
	if err != nil || x.FileID != id || x.Status != st {
		w.t.Fatalf("%s: COMPLETE %+v %v, want file %d status %d", why, x, err, id, st)
	}
	return x
}

// wantStatus wants one STATUS of a section; bitmap is hex, "" for any.
func (w *world) wantStatus(section int, bitmap, why string) {
	w.t.Helper()
	x, err := wire.ParseStatus(wire.Version4, w.next(wire.FuncStatus).msg)
	if err != nil || int(x.Section) != section {
		w.t.Fatalf("%s: STATUS for section %d (%v), want %d", why, x.Section, err, section)
	}
	if got := fmt.Sprintf("%x", x.NAKs); bitmap != "" && got != bitmap {
		w.t.Fatalf("%s: bitmap %s, want %s", why, got, bitmap)
	}
}

// wantStatuses wants STATUS of exactly these sections and nothing else.
func (w *world) wantStatuses(why string, sections ...int) {
	w.t.Helper()
	for _, s := range sections {
		w.wantStatus(s, "", why)
	}
	w.wantSilence(why)
}

func (w *world) wantAbort(text, why string) {
	w.t.Helper()
	x, err := wire.ParseAbort(w.next(wire.FuncAbort).msg)
	if err != nil || string(x.Text) != text || x.Host != 0 || x.Flags != 0 {
		w.t.Fatalf("%s: ABORT %q host %v flags %d %v, want %q", why, x.Text, x.Host, x.Flags, err, text)
	}
}

func (w *world) wantSilence(why string) {
	w.t.Helper()
	if len(w.packets) > 0 {
		w.t.Fatalf("%s: %d packets were sent, the first is %v, want none", why, len(w.packets), w.packets[0].head.Func)
	}
}

// event takes the first event of type E, leaving the others.
func event[E machine.Event](w *world, why string) E {
	w.t.Helper()
	for i, e := range w.events {
		if x, ok := e.(E); ok {
			w.events = append(w.events[:i:i], w.events[i+1:]...)
			return x
		}
	}
	var x E
	w.t.Fatalf("%s: no event %T among %s", why, x, w.eventNames())
	return x
}

func noEvent[E machine.Event](w *world, why string) {
	w.t.Helper()
	for _, e := range w.events {
		if x, ok := e.(E); ok {
			w.t.Fatalf("%s: there is an event %T: %+v", why, x, x)
		}
	}
}

func (w *world) eventNames() string {
	var s []string
	for _, e := range w.events {
		s = append(s, strings.TrimPrefix(fmt.Sprintf("%T", e), "receiver."))
	}
	return "[" + strings.Join(s, " ") + "]"
}

// forget throws away what was sent and reported so far.
func (w *world) forget() { w.packets, w.events = nil, nil }

func (w *world) forgetPackets() { w.packets = nil }

func (w *world) joined(errText string) {
	w.t.Helper()
	j := event[Join](w, "a private address must be joined")
	w.r.Joined(w.now, j.Session.SessionID, errText)
	w.poll()
}

// toMidGroup registers.
func (w *world) toMidGroup(change ...func(*wire.Announce)) {
	w.t.Helper()
	if w.far != nil {
		w.announceSealed(change...)
		w.joined("")
		w.wantRegisterSealed("after the join")
		w.keyInfo()
		w.wantKeyInfoAck("the keys are there")
	} else {
		w.announce(change...)
		w.joined("")
		w.wantRegister("after the join")
		w.regConf(us)
	}
	w.wantPhase(MidGroup)
}

// opened answers the pending Open.
func (w *world) opened(o Opened) Request {
	w.t.Helper()
	q := event[Open](w, "the host has to open the file").Request
	w.r.Opened(w.now, q.Ref, o)
	w.poll()
	return q
}

// toReceiving announces a file and lets the host open it.
func (w *world) toReceiving(id uint16, size int64) Request {
	w.t.Helper()
	w.fileInfo(id, size)
	q := w.opened(Opened{Action: Receive})
	w.wantAck(id, false, "the file is open")
	return q
}

func (w *world) closed(errText string) {
	w.t.Helper()
	c := event[Close](w, "the host has to finish the file")
	w.r.Closed(w.now, c.Ref, errText)
	w.poll()
}

func (w *world) session() *session { return w.r.find(w.group, w.instance) }

// Tests ask these about the inside: sessions that are live, whether one of the group is (its
// first instance), blocks that are reserved; of the current session the layout of the file, its
// missing blocks and the GRTT in use.
func (w *world) live() int                { return w.r.sessions }
func (w *world) has(group uint32) bool    { return w.r.find(group, 0) != nil }
func (w *world) reserved() int64          { return w.r.blocks }
func (w *world) layout() *block.Layout    { return &w.session().file.req.Layout }
func (w *world) missing() int             { return w.session().file.missing.Count() }
func (w *world) roundTrip() time.Duration { return w.session().grtt }

func (w *world) wantPhase(p Phase) {
	w.t.Helper()
	got := Free
	if s := w.session(); s != nil {
		got = s.phase
	}
	if got != p {
		w.t.Fatalf("phase %q, want %q", got, p)
	}
}

func (w *world) wantEnded(ok bool, why EndReason) SessionEnded {
	w.t.Helper()
	e := event[SessionEnded](w, "the session has to end")
	if e.OK != ok || e.Reason != why {
		w.t.Fatalf("session ended with OK %v, %q; want %v, %q", e.OK, e.Reason, ok, why)
	}
	w.wantPhase(Free)
	return e
}
