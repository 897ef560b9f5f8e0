package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"

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
	text  string // must be equal

	sealed    bool
	agreement bool // part of a handshake
}

// equals reports whether two answers say the same, both sealed or both in clear.
func (a *answer) equals(b *answer) bool {
	return a.text == b.text && a.id == b.id && a.sealed == b.sealed
}

// String shows an answer; a * says that it was sealed.
func (a *answer) String() string {
	if kind := a.fn.String(); a.sealed && strings.HasPrefix(a.text, kind) {
		return kind + "*" + a.text[len(kind):]
	}
	return a.text
}

// inHandshake reports whether a message of a receiver belongs to the key agreement.
func inHandshake(f wire.Func) bool {
	return f == wire.FuncRegister || f == wire.FuncClientKey || f == wire.FuncKeyInfoAck
}

// answerText returns a message without the fields that chance or the time of day decide.
// For a live receiver it leaves out the free space on the disk, too.
func answerText(m *session.Message, live bool) string {
	all, _, err := m.BodyFields()
	if err != nil {
		return fmt.Sprintf("%v: %v", m.Head.Func, err)
	}
	f := session.Fields{}
	for _, x := range all {
		switch x.Name {
		case "stamp", "random", "key_info", "clients", "bitmap_bytes", "flags", "cc_flags", "cc_seq", "cc_rate", "cc_client", "cc_stamp":
		case "free_bytes":
			if !live {
				f = append(f, x)
			}
		default:
			f = append(f, x)
		}
	}
	if len(f) == 0 {
		return m.Head.Func.String()
	}
	return m.Head.Func.String() + " " + f.Text()
}

// played is one receiver of the capture whose place our machine takes. It gets the
// messages that the captured one got, and its host decides as that one's disk did.
type played struct {
	uid   wire.UID
	addr  netip.Addr
	proxy bool
	want  []answer
	got   []answer

	r      *receiver.Receiver
	now    clock.Time
	out    machine.Out
	next   int              // the first of want that is still to come
	status map[statusOf]int // index of the next STATUS about a section
	open   map[machine.FileRef]*copied
	closed []copied
	rand   script
	proofs map[session.ID]*proof
	links  map[session.ID]*link
	bad    int // blocks stored that differ from those sent
}

// link is a session as one of our receivers gets it. In an encrypted one these are the
// captured datagrams if the proof is whole, else those of a voice.
type link struct {
	s     *session.Session
	o     *offer
	proof *proof
	voice *voice
	live  bool
}

// depth says how the handshakes were compared.
func (p *played) depth() string {
	whole, other := 0, 0
	for _, l := range p.links {
		switch {
		case l.o == nil:
		case l.voice == nil:
			whole++
		default:
			other++
		}
	}
	switch {
	case whole == 0 && other == 0:
		return ""
	case other == 0:
		return "; handshake equal byte for byte"
	case whole == 0:
		return "; handshake equal in structure"
	}
	return "; handshakes equal, some byte for byte, some in structure"
}

// proofOf returns the proof for a session.
func (p *played) proofOf(id session.ID) *proof {
	if p.proofs[id] == nil {
		p.proofs[id] = new(proof)
	}
	return p.proofs[id]
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
	return &played{
		uid: uid, status: map[statusOf]int{}, open: map[machine.FileRef]*copied{},
		proofs: map[session.ID]*proof{}, links: map[session.ID]*link{},
		rand: script{rest: rand.NewChaCha8([32]byte{})},
	}
}

// begin makes the machine. It may show the keys that the captured receiver has shown, or
// others of the same kind. If that receiver refused sessions in clear or the sender's key
// by an ABORT, the machine is configured to refuse them.
func (p *played) begin(now clock.Time, x *stage) {
	p.now = now
	// Restart: files of earlier instances may be used, as the captured answers say.
	c := receiver.Config{UID: p.uid, MaxSessions: 8, Restart: true, Rand: &p.rand}
	for i := range p.want {
		a := &p.want[i]
		switch a.fn {
		case wire.FuncClientKey:
			k, err := x.ring.like(p.proofOf(a.id).clientKey)
			if err == nil && !slices.Contains(c.Keys, k) {
				c.Keys = append(c.Keys, k)
			}
		case wire.FuncAbort:
			f, _ := wire.ParseAbort(a.msg)
			switch o := x.offers[a.id]; {
			case string(f.Text) == "No unencrypted transfers allowed":
				c.MinSecurity = identity.Legacy
			case string(f.Text) == handshake.ErrFingerprint.Error() && o != nil:
				c.Servers = []receiver.Server{{UID: o.sender, Addr: o.from, Fingerprint: new(identity.Fingerprint)}}
			}
		}
	}
	p.r = receiver.New(c, now)
}

// linkTo returns the link of a receiver to a session, nil if there is none.
func (p *played) linkTo(s *session.Session, x *stage) *link {
	l, ok := p.links[s.ID]
	if ok {
		return l
	}
	l = &link{s: s, o: x.offers[s.ID], proof: p.proofOf(s.ID), live: x.live}
	if s.Encrypted {
		switch {
		case l.o == nil:
			l = nil
		case !l.proof.whole && !p.refused(s.ID):
			// With a sender whose keys we cannot use, the captured datagrams are played:
			// the receiver's ABORT says why.
			l.voice, _ = newVoice(l.o, &x.ring)
		}
	}
	p.links[s.ID] = l
	return l
}

// refused reports whether the captured receiver did not register.
func (p *played) refused(id session.ID) bool {
	return !slices.ContainsFunc(p.want, func(a answer) bool { return a.id == id && a.fn == wire.FuncRegister })
}

// advance lets time pass up to a message.
func (p *played) advance(at clock.Time, frame int, x *stage) {
	for ; p.next < len(p.want) && p.want[p.next].frame < frame; p.next++ {
		if a := &p.want[p.next]; a.stopped() {
			p.run(a.at, x)
			p.r.Stop(p.now)
			p.poll(x)
		}
	}
	p.run(at, x)
}

// run lets time pass.
func (p *played) run(at clock.Time, x *stage) {
	for p.r.Deadline() <= at {
		p.now = max(p.now, p.r.Deadline())
		p.poll(x)
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

// hear passes one message of the sender to the machine.
func (p *played) hear(m *session.Message, x *stage) {
	if m.Dst.Addr() != p.addr && !m.Dst.Addr().IsMulticast() {
		return // to another receiver
	}
	l := p.linkTo(m.Session, x)
	if l == nil {
		return
	}
	if m.Head.Func == wire.FuncFileSeg {
		f, err := wire.ParseFileSeg(m.Msg)
		if err != nil || p.lost(m.Session.ID, &f) {
			return
		}
	}
	pkt := bytes.Clone(m.Payload)
	if l.voice != nil {
		if pkt = l.voice.say(m); pkt == nil {
			return
		}
	}
	if m.Head.Func == wire.FuncAnnounce && l.proof.whole {
		p.rand.next = slices.Concat(l.proof.random, l.proof.secret)
	}
	from := m.Src
	if m.Head.Func == wire.FuncKeyInfo {
		from = m.Session.From // a response proxy sends in the sender's name, and our receiver knows no proxies
	}
	v := p.r.Handle(p.now, &machine.Datagram{From: from, To: m.Dst.Addr(), At: p.now, Data: pkt})
	p.rand.next = nil
	if v.Store.Data != nil {
		p.store(&v.Store)
	}
	p.poll(x)
}

// lost reports whether the captured receiver did not get a block: its next STATUS about
// the section asks for it.
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
			if s, err := wire.ParseStatus(wire.Version4, a.msg); err == nil && s.FileID == x.FileID && s.Section == x.Section {
				break
			}
		}
		p.status[key] = i
	}
	if i == len(p.want) {
		return false
	}
	s, _ := wire.ParseStatus(wire.Version4, p.want[i].msg)
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

// poll carries out the requests of the machine.
func (p *played) poll(x *stage) {
	for {
		switch p.r.Poll(p.now, &p.out) {
		case machine.Idle:
			return
		case machine.PacketKind:
			h, msg, err := wire.ParseHeader(p.out.Packet.Data)
			if err != nil {
				continue
			}
			id := session.ID{Group: h.Group, Instance: h.Instance}
			if l := p.links[id]; l != nil {
				p.got = append(p.got, l.heard(p.now, h, msg, p.out.Packet.Data, &x.ring))
			}
		case machine.EventKind:
			p.event(p.out.Event)
		}
	}
}

// heard turns a datagram of the receiver into an answer.
func (l *link) heard(now clock.Time, h wire.Header, msg, pkt []byte, keys *keyRing) answer {
	a := answer{at: now, id: l.s.ID, fn: h.Func, sealed: h.Func == wire.FuncEncrypted}
	if a.sealed {
		open := l.s.Open
		if l.voice != nil {
			open = l.voice.open
		}
		var err error
		if msg, err = open(pkt); err != nil {
			a.text = fmt.Sprintf("%v: %v", h.Func, err)
			return a
		}
		a.fn = wire.Func(msg[0])
	}
	a.msg = bytes.Clone(msg)
	if l.o == nil || !inHandshake(a.fn) {
		h.Func = a.fn
		a.text = answerText(&session.Message{Head: h, Msg: a.msg, Session: l.s}, l.live)
		return a
	}
	a.agreement = true
	var wrong error
	if l.voice != nil {
		wrong = l.voice.hear(h.Src, msg)
	}
	a.text = handshakeText(msg, l.o, l.proof, keys, wrong)
	return a
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
	case receiver.Settle:
		p.r.Settled(p.now, e.Session.SessionID, e.Number, "")
	case receiver.Abandon:
		delete(p.open, e.Ref)
	}
}

// replayBlocksMax is the largest number of blocks in a file that is replayed: every
// receiver has bitmaps of its own.
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
			x, _ := wire.ParseFileInfoAck(wire.Version4, a.msg)
			if x.FileID == of.file && x.Partial {
				o.Partial = true
				missing.Reset(l.Blocks, false)
				o.Missing = &missing
			}
		case wire.FuncStatus: // the first one of each section of a resumed file shows which blocks it had
			x, _ := wire.ParseStatus(wire.Version4, a.msg)
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
		x, _ := wire.ParseFileInfoAck(wire.Version4, a.msg)
		return x.FileID == of.file
	})
}

// spread returns how far our answers came before and after the captured ones.
func spread(want, got []answer) (early, late time.Duration) {
	for i := range min(len(want), len(got)) {
		d := got[i].at.Sub(want[i].at)
		early, late = min(early, d), max(late, d)
	}
	return -early, late
}
