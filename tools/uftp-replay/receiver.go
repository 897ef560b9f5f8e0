package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"uftp/cmd/cli"
	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// answersMax is how many answers of receivers one replay can compare.
const answersMax = 2_000_000

// sentMax is how many files of the capture are remembered, and sentBlocksMax how many
// blocks they may have together. The content of later files is not compared.
const (
	sentMax       = 10_000
	sentBlocksMax = 1 << 28
)

// stage is one run of receiver. It reads the capture twice: first for the answers, then
// for the messages of the sender.
type stage struct {
	t       *tool
	o       liveOptions
	byUID   map[wire.UID]*played
	order   []*played
	answers int
	only    wire.UID
	hasOnly bool
	sealed  int // messages that no key opened
	ring    keyRing
	offers  map[session.ID]*offer
	rows    map[session.ID]*row
	live    bool // a real receiver, which draws its own random numbers: no proof can be whole
	start   clock.Time
	last    clock.Time
	sent    map[fileOf]*sentFile
	blocks  int // of those
}

// sentFile is the part of a file that the capture holds.
type sentFile struct {
	name string
	have block.Set
	sum  uint64
}

func replayReceiver(t *tool) job {
	x := &stage{
		t: t, byUID: map[wire.UID]*played{}, sent: map[fileOf]*sentFile{},
		offers: map[session.ID]*offer{}, rows: map[session.ID]*row{}, o: liveDefaults,
	}
	options := []cli.Option{{Name: "uid", Arg: "UID", Set: x.setUID, Help: "replace this receiver only, such as 0x0A50000B"}}
	return job{options: append(options, x.o.options()...), run: x.run}
}

func (x *stage) setUID(v string) (err error) {
	x.only, err = parseUID(v)
	x.hasOnly = true
	return err
}

func (x *stage) run(names []string) error {
	t := x.t
	if err := x.o.check(); err != nil {
		return err
	}
	x.ring.known = t.keys.Private
	if info, err := os.Stat(names[0]); err == nil && !info.Mode().IsRegular() || names[0] == "-" {
		return fmt.Errorf("%w: the capture is read twice, so it has to be a regular file", errUsage)
	}
	x.live = x.o.ifName != ""
	// The second reading reports damage, at the end.
	if err := t.read(names[0], nil, x.collect, nil); err != nil && len(x.order) == 0 {
		return err
	}
	x.settle()
	if x.live {
		return x.playLive(names[0])
	}
	rerr := t.read(names[0], nil, x.play, nil)
	if errors.Is(rerr, errUsage) {
		return rerr
	}
	for _, p := range x.order {
		if p.r != nil {
			p.advance(x.last, math.MaxInt, x)
		}
	}
	same := x.report()
	if rerr != nil {
		return rerr
	}
	if !same {
		return errNo
	}
	return nil
}

// collect notes an answer of a receiver, or the sender's part of the handshake.
func (x *stage) collect(m *session.Message) error {
	s := m.Session
	if s == nil || !x.t.wanted(s) || !s.Announced {
		return nil
	}
	if m.Head.Src == s.Sender {
		x.number(m)
		x.handshake(m)
		return nil
	}
	if x.hasOnly && m.Head.Src != x.only {
		return nil
	}
	if m.Msg == nil {
		if m.Sealed {
			x.sealed++
		}
		return nil
	}
	switch m.Head.Func {
	case wire.FuncCCAck, wire.FuncProxyKey, wire.FuncKeyReq, wire.FuncHBReq, wire.FuncKeyInfo:
		return nil // sent by the clock, or not by a receiver
	}
	p := x.byUID[m.Head.Src]
	if p == nil {
		p = newPlayed(m.Head.Src)
		x.byUID[p.uid] = p
		x.order = append(x.order, p)
	}
	if x.answers++; x.answers > answersMax {
		return fmt.Errorf("%s: more than %d answers in the capture: choose with --session or --uid", placeOf(m), answersMax)
	}
	p.addr = m.Src.Addr()
	if r, err := wire.ParseRegister(m.Head.Version, m.Msg); err == nil && m.Head.Func == wire.FuncRegister && r.Clients.Len() > 0 {
		p.proxy = true
	}
	a := answer{
		frame: m.Frame, at: clock.Time(m.Time.UnixNano()), id: s.ID, fn: m.Head.Func, sealed: m.Sealed,
		msg: append([]byte(nil), m.Msg...),
	}
	if a.agreement = s.Encrypted && inHandshake(m.Head.Func); a.agreement {
		p.proofOf(s.ID).heard(m.Msg) // settle makes its text, when the proof is known
	} else {
		a.text = answerText(m, x.live)
	}
	p.want = append(p.want, a)
	return nil
}

// number counts the sender's messages that the capture lacks.
func (x *stage) number(m *session.Message) {
	r := x.rows[m.Session.ID]
	if r == nil {
		if len(x.rows) >= sentMax {
			return
		}
		r = new(row)
		x.rows[m.Session.ID] = r
	}
	r.take(m.Head)
}

// tellGaps prints how many messages the capture lacks: a receiver cannot get them. Behind
// a proxy some numbers are always missing, so they are printed only after a difference.
func (x *stage) tellGaps() {
	n := 0
	for _, r := range x.rows {
		n += r.gaps
	}
	if n > 0 {
		fmt.Fprintf(x.t.out, "%d messages of the sender are not in the capture, and so were not played: that may be why\n", n)
	}
}

// handshake reads ANNOUNCE and KEYINFO of an encrypted session.
func (x *stage) handshake(m *session.Message) {
	id := m.Session.ID
	if !m.Session.Encrypted || m.Msg == nil {
		return
	}
	o := x.offers[id]
	switch m.Head.Func {
	case wire.FuncAnnounce:
		if a, err := wire.ParseAnnounce(m.Head.Version, m.Msg); err == nil && a.HasEnc && o == nil && len(x.offers) < sentMax {
			o = newOffer(m.Session, &a)
			x.offers[id] = o
		}
	case wire.FuncKeyInfo:
		k, err := wire.ParseKeyInfo(m.Head.Version, m.Msg)
		if err != nil || o == nil {
			return
		}
		o.master, o.hasMaster = m.Session.GroupMaster()
		for i := range k.Len() {
			u, entry := k.At(i)
			if p := x.byUID[u]; p != nil && !x.live {
				p.proofOf(id).prove(o, &x.ring, m.Head.Src, k.Counter, entry)
			}
		}
	}
	if o != nil && !o.hasMaster {
		o.master, o.hasMaster = m.Session.GroupMaster()
	}
}

// settle makes the texts of the captured handshakes, now that all proofs are known.
func (x *stage) settle() {
	for _, p := range x.order {
		for i := range p.want {
			a := &p.want[i]
			if o := x.offers[a.id]; a.agreement && o != nil {
				a.text = handshakeText(a.msg, o, p.proofOf(a.id), &x.ring, nil)
			}
		}
	}
}

// play passes a message of the sender to all receivers.
func (x *stage) play(m *session.Message) error {
	at := clock.Time(m.Time.UnixNano())
	if x.start == 0 {
		x.start = at
	}
	x.last = at
	for _, p := range x.order {
		if p.proxy {
			continue
		}
		if p.r == nil {
			p.begin(at, x)
		}
		p.advance(at, m.Frame, x)
	}
	if !x.speaks(m) {
		return nil
	}
	x.remember(m)
	for _, p := range x.order {
		if !p.proxy {
			p.hear(m, x)
		}
	}
	return nil
}

// speaks reports whether a message is one of a sender that is replayed.
func (x *stage) speaks(m *session.Message) bool {
	s := m.Session
	return s != nil && x.t.wanted(s) && s.Announced && m.Head.Src == s.Sender && m.Msg != nil
}

// remember adds a block to the sender's file.
func (x *stage) remember(m *session.Message) {
	if m.Head.Func != wire.FuncFileSeg && m.Head.Func != wire.FuncFileInfo {
		return
	}
	if m.Head.Func == wire.FuncFileInfo {
		f, err := wire.ParseFileInfo(m.Head.Version, m.Msg)
		l := m.Session.Layout(f.FileID)
		key := fileOf{m.Session.ID, f.FileID}
		if err != nil || l == nil || x.sent[key] != nil || len(x.sent) >= sentMax || x.blocks+l.Blocks > sentBlocksMax {
			return
		}
		s := &sentFile{name: string(f.Name)}
		s.have.Reset(l.Blocks, false)
		x.sent[key] = s
		x.blocks += l.Blocks
		return
	}
	f, err := wire.ParseFileSeg(m.Msg)
	s, l := x.sent[fileOf{m.Session.ID, f.FileID}], m.Session.Layout(f.FileID)
	if err != nil || s == nil || l == nil {
		return
	}
	if i, ok := l.Index(int(f.Section), int(f.Block)); ok && i < s.have.Len() && s.have.Add(i) {
		s.sum += blockSum(l.Offset(i), f.Data)
	}
}

// report prints the comparison and returns whether all is equal.
func (x *stage) report() bool {
	same, replayed := true, 0
	for _, p := range x.order {
		if p.proxy {
			fmt.Fprintf(x.t.out, "%v speaks for others, a proxy: not replayed\n", p.uid)
			continue
		}
		replayed++
		if !x.reportOne(p) {
			same = false
		}
	}
	if x.sealed > 0 {
		fmt.Fprintf(x.t.out, "%d sealed messages stay closed: --keylog or --key is needed\n", x.sealed)
		same = false
	}
	if replayed == 0 {
		fmt.Fprintln(x.t.out, "no receiver in the capture answers an ANNOUNCE")
		same = false
	}
	if !same {
		x.tellGaps()
	}
	return same
}

// reportOne compares the answers and the files of one receiver.
func (x *stage) reportOne(p *played) bool {
	same := true
	files := 0
	for _, c := range p.closed {
		of, sum := c.of, c.sum
		s := x.sent[of]
		if s == nil {
			continue
		}
		files++
		// The capture does not hold the blocks that the receiver had before the session.
		if s.have.Count() == s.have.Len() && sum != s.sum && !p.resumed(of) {
			fmt.Fprintf(x.t.out, "%v file %d %q of %v: other bytes than were sent\n", p.uid, of.file, s.name, of.id)
			same = false
		}
	}
	if p.bad > 0 {
		fmt.Fprintf(x.t.out, "%v: %d blocks went to no file\n", p.uid, p.bad)
		same = false
	}
	want, got := once(p.want), once(p.got)
	early, late := spread(want, got)
	note := fmt.Sprintf("%d files; %v early to %v late%s", files, early.Round(time.Millisecond), late.Round(time.Millisecond), p.depth())
	return x.reportAnswers(p.uid, want, got, note) && same
}

// reportAnswers compares the answers of one receiver; it prints note if they are equal.
func (x *stage) reportAnswers(uid wire.UID, want, got []answer, note string) bool {
	d := compare(want, got)
	if d.first < 0 {
		fmt.Fprintf(x.t.out, "%v: %d answers equal, %s\n", uid, len(want), note)
		return true
	}
	fmt.Fprintf(x.t.out, "%v: %d answers captured, %d of ours; first difference at answer %d\n", uid, len(want), len(got), d.first+1)
	for _, side := range []struct {
		name string
		list []answer
	}{{"captured", want}, {"ours", got}} {
		if d.first < len(side.list) {
			a := &side.list[d.first]
			frame := ""
			if a.frame > 0 {
				frame = fmt.Sprintf(" (packet %d)", a.frame)
			}
			fmt.Fprintf(x.t.out, "  %-8s +%s %s%s\n", side.name, seconds(a.at.Sub(x.start)), a.String(), frame)
		} else {
			fmt.Fprintf(x.t.out, "  %-8s nothing more\n", side.name)
		}
	}
	for _, k := range d.kinds {
		fmt.Fprintf(x.t.out, "  %-13s %d equal, %d with other contents, %d missing, %d too many\n", k.fn, k.equal, k.other, k.missing, k.extra)
	}
	return false
}

// resumed reports whether the captured receiver had a part of a file before.
func (p *played) resumed(of fileOf) bool {
	for i := range p.want {
		if a := &p.want[i]; a.fn == wire.FuncFileInfoAck && a.id == of.id {
			if f, err := wire.ParseFileInfoAck(wire.Version4, a.msg); err == nil && f.FileID == of.file && f.Partial {
				return true
			}
		}
	}
	return false
}

// once leaves out repetitions within the handshake of an encrypted session. Timers decide
// about them, and the message by which the keys count as proved; there our receiver and
// stock's differ.
func once(list []answer) []answer {
	type said struct {
		id   session.ID
		text string
	}
	before := map[said]bool{}
	return slices.DeleteFunc(slices.Clone(list), func(a answer) bool {
		k := said{a.id, a.text}
		again := a.agreement && before[k]
		before[k] = before[k] || a.agreement
		return again
	})
}

// differences between two rows of answers.
type differences struct {
	first int // index of the first one, -1 if there is none
	kinds []kindCount
}

// kindCount compares the nth message of a kind with the nth of the other row.
type kindCount struct {
	fn                           wire.Func
	equal, other, missing, extra int
}

func compare(want, got []answer) (d differences) {
	d.first = -1
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || !want[i].equals(&got[i]) {
			d.first = i
			break
		}
	}
	if d.first < 0 {
		return d
	}
	for fn := wire.FuncAnnounce; fn <= wire.FuncCCAck; fn++ {
		a, b := ofKind(want, fn), ofKind(got, fn)
		k := kindCount{fn: fn, missing: max(0, len(a)-len(b)), extra: max(0, len(b)-len(a))}
		for i := range min(len(a), len(b)) {
			if a[i].equals(b[i]) {
				k.equal++
			} else {
				k.other++
			}
		}
		if len(a)+len(b) > 0 {
			d.kinds = append(d.kinds, k)
		}
	}
	return d
}

func ofKind(list []answer, fn wire.Func) (of []*answer) {
	for i := range list {
		if list[i].fn == fn {
			of = append(of, &list[i])
		}
	}
	return of
}
