package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// answer is one message of a receiver, captured or ours.
type answer struct {
	frame int // 0 for ours
	at    clock.Time
	id    session.ID
	fn    wire.Func
	msg   []byte
	text  string // what has to be equal
}

// answerText returns a message without what chance and the time of day decide.
func answerText(m *session.Message) string {
	all, _, err := m.BodyFields()
	if err != nil {
		return fmt.Sprintf("%v: %v", m.Head.Func, err)
	}
	f := session.Fields{}
	for _, x := range all {
		switch x.Name {
		case "stamp", "random", "key_info", "clients", "bitmap_bytes", "flags", "cc_flags", "cc_seq", "cc_rate", "cc_client", "cc_stamp":
		default:
			f = append(f, x)
		}
	}
	if len(f) == 0 {
		return m.Head.Func.String()
	}
	return m.Head.Func.String() + " " + f.Text()
}

// played is one receiver of the capture whose place our machine takes: it hears
// what that one heard, and its host decides what that one's disk decided.
type played struct {
	uid   wire.UID
	addr  netip.Addr
	proxy bool
	want  []answer
	got   []answer

	r       *receiver.Receiver
	now     clock.Time
	out     machine.Out
	next    int              // the first of want that is still to come
	status  map[statusOf]int // index of the next STATUS about a section
	open    map[machine.FileRef]*copied
	session *session.Session // that of the datagram being handled
	closed  []copied
	bad     int // blocks stored that differ from those sent
}

type statusOf struct {
	id            session.ID
	file, section uint16
}

type fileOf struct {
	id   session.ID
	file uint16
}

// copied is a file that the machine receives.
type copied struct {
	of     fileOf
	layout block.Layout
	sum    uint64
}

func newPlayed(uid wire.UID) *played {
	return &played{uid: uid, status: map[statusOf]int{}, open: map[machine.FileRef]*copied{}}
}

// begin makes the machine.
func (p *played) begin(now clock.Time) {
	p.now = now
	// Restart: what earlier instances left may be used, as the captured answers say.
	p.r = receiver.New(receiver.Config{UID: p.uid, MaxSessions: 8, Restart: true}, now)
}

// advance lets time pass up to a message.
func (p *played) advance(at clock.Time, frame int) {
	for ; p.next < len(p.want) && p.want[p.next].frame < frame; p.next++ {
		if a := &p.want[p.next]; a.stopped() {
			p.run(a.at)
			p.r.Stop(p.now)
			p.poll()
		}
	}
	p.run(at)
}

// run lets time pass.
func (p *played) run(at clock.Time) {
	for p.r.Deadline() <= at {
		p.now = max(p.now, p.r.Deadline())
		p.poll()
	}
	p.now = max(p.now, at)
}

// stopped reports whether an answer says that the receiver was stopped by its user.
func (a *answer) stopped() bool {
	if a.fn != wire.FuncAbort {
		return false
	}
	x, err := wire.ParseAbort(a.msg)
	return err == nil && string(x.Text) == "Client shutting down"
}

// hear plays one message of the sender. pkt is the datagram in clear.
func (p *played) hear(m *session.Message, pkt []byte) {
	if m.Dst.Addr() != p.addr && !m.Dst.Addr().IsMulticast() {
		return // to somebody else
	}
	if m.Head.Func == wire.FuncFileSeg {
		x, err := wire.ParseFileSeg(m.Msg)
		if err != nil || p.lost(m.Session.ID, &x) {
			return
		}
	}
	p.session = m.Session
	v := p.r.Handle(p.now, m.Src, pkt)
	if v.Store.Data != nil {
		p.store(&v.Store)
	}
	p.poll()
}

// lost tells whether the captured receiver did not get a block: its next STATUS
// about it says so.
func (p *played) lost(id session.ID, x *wire.FileSeg) bool {
	key := statusOf{id, x.FileID, x.Section}
	i, ok := p.status[key]
	if !ok || i < p.next {
		i = max(i, p.next)
		for ; i < len(p.want); i++ {
			a := &p.want[i]
			if a.fn != wire.FuncStatus || a.id != id {
				continue
			}
			if s, err := wire.ParseStatus(a.msg); err == nil && s.FileID == x.FileID && s.Section == x.Section {
				break
			}
		}
		p.status[key] = i
	}
	if i == len(p.want) {
		return false
	}
	s, _ := wire.ParseStatus(p.want[i].msg)
	return int(x.Block/8) < len(s.NAKs) && s.NAKs[x.Block/8]>>(x.Block%8)&1 != 0
}

// store adds a block to the checksum of its file.
func (p *played) store(s *machine.Store) {
	f := p.open[s.Ref]
	if f == nil || s.Offset%int64(f.layout.BlockSize) != 0 {
		p.bad++
		return
	}
	f.sum += blockSum(s.Offset, s.Data)
}

// blockSum is a checksum of a block and its place; sums of blocks can be added in
// any order (FNV-1a).
func blockSum(offset int64, data []byte) uint64 {
	h := uint64(14695981039346656037)
	for i := range 8 {
		h = (h ^ uint64(byte(offset>>(8*i)))) * 1099511628211
	}
	for _, c := range data {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// poll carries out what the machine asks for.
func (p *played) poll() {
	for {
		switch p.r.Poll(p.now, &p.out) {
		case machine.Idle:
			return
		case machine.PacketKind:
			h, msg, err := wire.ParseHeader(p.out.Packet.Data)
			if err != nil {
				continue
			}
			m := session.Message{Head: h, Msg: bytes.Clone(msg), Session: p.session}
			p.got = append(p.got, answer{at: p.now, id: session.ID{Group: h.Group, Instance: h.Instance}, fn: h.Func, text: answerText(&m)})
		case machine.EventKind:
			p.event(p.out.Event)
		}
	}
}

func (p *played) event(e machine.Event) {
	switch e := e.(type) {
	case receiver.Join:
		p.r.Joined(p.now, e.Session.SessionID, "")
	case receiver.Open:
		of := fileOf{session.ID{Group: e.Session.Group, Instance: e.Session.Instance}, e.Session.FileID}
		o := p.decide(of, &e.Request.Layout)
		p.open[e.Request.Ref] = &copied{of: of, layout: e.Request.Layout}
		p.r.Opened(p.now, e.Request.Ref, o)
	case receiver.Close:
		if f := p.open[e.Ref]; f != nil {
			p.closed = append(p.closed, *f)
			delete(p.open, e.Ref)
		}
		p.r.Closed(p.now, e.Ref, "")
	case receiver.Abandon:
		delete(p.open, e.Ref)
	}
}

// replayBlocksMax is the most blocks of a file that is replayed: every receiver has
// bitmaps of its own.
const replayBlocksMax = 1 << 26

// decide answers a request as the captured receiver's disk did.
func (p *played) decide(of fileOf, l *block.Layout) receiver.Opened {
	if l.Blocks > replayBlocksMax {
		return receiver.Opened{Action: receiver.Abort, Text: "file too large for a replay"}
	}
	o := receiver.Opened{Action: receiver.Receive}
	var missing block.Set
	for i := p.next; i < len(p.want); i++ {
		a := &p.want[i]
		if a.id != of.id {
			continue
		}
		switch a.fn {
		case wire.FuncAbort:
			x, _ := wire.ParseAbort(a.msg)
			if a.stopped() || p.took(of) {
				return o
			}
			return receiver.Opened{Action: receiver.Abort, Text: string(x.Text)}
		case wire.FuncFileInfoAck:
			x, _ := wire.ParseFileInfoAck(a.msg)
			if x.FileID == of.file && x.Partial {
				o.Partial = true
				missing.Reset(l.Blocks, false)
				o.Missing = &missing
			}
		case wire.FuncStatus: // of a resumed file: the first of each section tells what was there
			x, _ := wire.ParseStatus(a.msg)
			if o.Partial && x.FileID == of.file && int(x.Section) < l.Sections && len(x.NAKs)*8 >= l.SectionBlocks(int(x.Section)) {
				missing.Merge(x.NAKs, l.First(int(x.Section)), l.SectionBlocks(int(x.Section)))
				return o
			}
		case wire.FuncComplete:
			x, _ := wire.ParseComplete(a.msg)
			if x.FileID != of.file {
				continue
			}
			if p.took(of) {
				o.Status = x.Status
				return o
			}
			return receiver.Opened{Action: receiver.Complete, Status: x.Status, HasSpace: x.HasSpace, FreeSpace: x.FreeSpace}
		}
	}
	return o
}

// took reports whether the captured receiver is going to take a file.
func (p *played) took(of fileOf) bool {
	return slices.ContainsFunc(p.want[p.next:], func(a answer) bool {
		if a.fn != wire.FuncFileInfoAck || a.id != of.id {
			return false
		}
		x, _ := wire.ParseFileInfoAck(a.msg)
		return x.FileID == of.file
	})
}

// spread returns how far our answers came before and after the captured ones.
func (p *played) spread() (early, late time.Duration) {
	for i := range min(len(p.want), len(p.got)) {
		d := p.got[i].at.Sub(p.want[i].at)
		early, late = min(early, d), max(late, d)
	}
	return -early, late
}
