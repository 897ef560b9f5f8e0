package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"uftp/cmd/cli"
	"uftp/crypto/aead"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/sender"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// reply is a captured answer and when it came after its trigger.
type reply struct {
	delay  time.Duration
	held   time.Duration // by how much the echoed stamp is older than that of the trigger
	from   netip.AddrPort
	head   wire.Header
	msg    []byte
	sealed bool
}

func stampOf(s wire.Stamp) time.Duration {
	return time.Duration(s) * time.Microsecond
}

// Bounds of a replay: answers played, files sent, steps compared, and ranges of
// blocks within a step.
const (
	repliesMax = 1_000_000
	filesSent  = 10_000
	stepsMax   = 100_000
	rangesMax  = 2_000
)

// role is one run of sender: our sender announces the files of one session of the capture.
type role struct {
	t       *tool
	s       *session.Session
	cfg     sender.Config
	files   []sender.File
	want    skeleton
	got     skeleton
	replies map[trigger][]reply
	count   int
	last    trigger
	hasLast bool
	lastAt  clock.Time
	stamp   time.Duration
	closed  int
	row     row

	// Of an encrypted session.
	ring   keyRing
	offer  *offer
	proofs map[wire.UID]*proof
	acks   map[wire.UID]reply // to KEYINFO
	agents map[wire.UID]*agent
	opener *aead.Opener
	fault  error // why our sender cannot take part

	m     *sender.Sender
	now   clock.Time
	next  int
	queue []due
	ended bool
}

// due is an answer on its way.
type due struct {
	at   clock.Time
	from netip.AddrPort
	pkt  []byte
}

func replaySender(t *tool) job {
	return job{
		options: []cli.Option{{Name: "interface", Arg: "NAME", Set: func(string) error {
			return errors.New("sender cannot play to a real sender, only to ours in virtual time")
		}}},
		run: func(names []string) error { return runSender(t, names) },
	}
}

func runSender(t *tool, names []string) error {
	x := &role{t: t, want: newSkeleton(), got: newSkeleton(), replies: map[trigger][]reply{}}
	x.ring.known = t.keys.Private
	x.proofs, x.acks, x.agents = map[wire.UID]*proof{}, map[wire.UID]reply{}, map[wire.UID]*agent{}
	rerr := t.read(names[0], nil, x.collect, nil)
	if x.s == nil {
		if rerr != nil {
			return rerr
		}
		fmt.Fprintln(t.out, "no session in the capture is announced")
		return errNo
	}
	if errors.Is(rerr, errUsage) {
		return rerr
	}
	x.want.finish()
	if x.fault = x.secure(); x.fault == nil {
		x.play()
	}
	x.got.finish()
	same := x.report()
	switch {
	case rerr != nil:
		return rerr
	case !same:
		return errNo
	}
	return nil
}

// collect notes the messages of the captured sender and the answers to them.
func (x *role) collect(m *session.Message) error {
	s := m.Session
	if s == nil || !x.t.wanted(s) || !s.Announced {
		return nil
	}
	if x.s == nil {
		x.s = s
		x.configure(m)
	}
	if s.ID != x.s.ID {
		return fmt.Errorf("%w: several sessions in the capture: choose one with --session, such as %v", errUsage, x.s.ID)
	}
	if m.Msg == nil {
		x.closed++
		return nil
	}
	at := clock.Time(m.Time.UnixNano())
	if m.Head.Src == s.Sender {
		x.row.take(m.Head)
	} else {
		return x.collectReply(m, at)
	}
	switch m.Head.Func {
	case wire.FuncFileSeg:
		seg, err := wire.ParseFileSeg(m.Msg)
		l := s.Layout(seg.FileID)
		if err != nil || l == nil || l.Blocks > replayBlocksMax {
			return nil
		}
		if i, ok := l.Index(int(seg.Section), int(seg.Block)); ok {
			if t, ok := x.want.data(at, seg.FileID, l, i); ok {
				x.last, x.hasLast, x.lastAt, x.stamp = t, true, at, 0
			}
		}
		return nil
	case wire.FuncFileInfo:
		if f, err := wire.ParseFileInfo(m.Head.Version, m.Msg); err == nil && int(f.FileID) > len(x.files) && len(x.files) < filesSent {
			if l := s.Layout(f.FileID); f.Type == wire.TypeFile && (l == nil || l.Blocks > replayBlocksMax) {
				return fmt.Errorf("%s: file of %d bytes is too large for a replay", placeOf(m), f.Size)
			}
			x.files = append(x.files, sender.File{Type: f.Type, Name: string(f.Name), Link: string(f.Link), Size: f.Size, MTime: f.MTime})
		}
	}
	x.agreed(m)
	if t, stamp, ok := x.want.sent(at, m.Head, m.Msg, m.Sealed); ok {
		x.last, x.hasLast, x.lastAt, x.stamp = t, true, at, stamp
	}
	return nil
}

// configure takes the settings of the sender from its first ANNOUNCE.
func (x *role) configure(m *session.Message) {
	s := m.Session
	a, _ := wire.ParseAnnounce(m.Head.Version, m.Msg)
	x.cfg = sender.Config{
		UID: s.Sender, Group: s.Group, Instance: s.Instance,
		Public: s.Public, Private: netip.AddrPortFrom(s.Private, s.Public.Port()),
		BlockSize: s.BlockSize, Robust: s.Robust, LowerLayers: 28,
		GRTT: clock.Seconds(wire.DecodeGRTT(m.Head.GRTT)), MinGRTT: 10 * time.Millisecond, MaxGRTT: 15 * time.Second,
		MaxNAKPct: 100, MaxNAKCount: 1, MaxPasses: 65535, TrainBlocks: machine.MaxTrainBlocks,
		Sync: a.Flags&wire.AnnounceSync != 0, Preview: a.Flags&wire.AnnouncePreview != 0,
	}
	if s.Private.IsUnspecified() {
		x.cfg.Unicast, x.cfg.Private = true, s.Public
	}
	for i := range a.Hosts.Len() {
		x.cfg.Hosts = append(x.cfg.Hosts, sender.Host{UID: a.Hosts.At(i), Name: a.Hosts.At(i).String()})
	}
	x.now = clock.Time(m.Time.UnixNano())
}

// collectReply notes an answer with the message it answers.
func (x *role) collectReply(m *session.Message, at clock.Time) error {
	if !x.hasLast || m.Dst.Addr() != x.s.From.Addr() {
		return nil
	}
	switch m.Head.Func {
	case wire.FuncRegister, wire.FuncFileInfoAck, wire.FuncStatus, wire.FuncComplete, wire.FuncAbort:
	case wire.FuncClientKey, wire.FuncKeyInfoAck:
		if !x.s.Encrypted {
			return nil
		}
	default:
		return nil
	}
	x.proofOf(m.Head.Src).heard(m.Msg)
	if x.count++; x.count > repliesMax {
		return fmt.Errorf("%s: more than %d answers in the capture", placeOf(m), repliesMax)
	}
	r := reply{delay: at.Sub(x.lastAt), from: m.Src, head: m.Head, msg: slices.Clone(m.Msg), sealed: m.Sealed}
	if i, ok := stampAt(m.Head.Func); ok && x.stamp != 0 && len(m.Msg) >= i+8 {
		b := m.Msg[i:]
		sec, usec := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		r.held = time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond - x.stamp
	}
	if m.Head.Func == wire.FuncKeyInfoAck {
		if _, ok := x.acks[m.Head.Src]; !ok {
			x.acks[m.Head.Src] = r
		}
		return nil
	}
	x.replies[x.last] = append(x.replies[x.last], r)
	return nil
}

// stampAt returns the offset of the echoed stamp in a message.
func stampAt(f wire.Func) (int, bool) {
	switch f {
	case wire.FuncRegister:
		return 4, true
	case wire.FuncFileInfoAck:
		return 8, true
	}
	return 0, false
}

// playMax is how much longer than the captured session ours may take, in virtual time.
const playMax = time.Hour

// play runs our sender until its session ends.
func (x *role) play() {
	x.cfg.Rate = int64(x.want.rate * float64(x.cfg.PacketBytes()) / float64(x.cfg.BlockSize))
	x.cfg.QuitOnError = x.want.dropQuit
	if x.want.passes > 0 {
		x.cfg.MaxPasses = x.want.passes
	}
	x.m = sender.New(x.cfg, x.now)
	end := x.now.Add(x.want.last.Sub(x.want.first) + playMax)
	x.poll()
	for !x.ended && x.now < end {
		at := x.m.Deadline()
		if len(x.queue) > 0 && x.queue[0].at <= at {
			d := x.queue[0]
			x.queue = x.queue[1:]
			x.now = max(x.now, d.at)
			x.m.Handle(x.now, &machine.Datagram{From: d.from, At: d.at, Data: d.pkt})
		} else {
			x.now = max(x.now, at)
		}
		x.poll()
	}
}

func (x *role) poll() {
	var out machine.Out
	for !x.ended {
		switch x.m.Poll(x.now, &out) {
		case machine.Idle:
			return
		case machine.PacketKind:
			h, msg, err := wire.ParseHeader(out.Packet.Data)
			if err != nil {
				continue
			}
			sealed := h.Func == wire.FuncEncrypted
			if sealed {
				if msg, _, err = x.opener.Open(slices.Clone(out.Packet.Data)); err != nil {
					x.got.step(fmt.Sprintf("%v: %v", h.Func, err))
					continue
				}
				h.Func = wire.Func(msg[0])
			}
			x.heardByAgents(h, msg, out.Packet.Data)
			if t, stamp, ok := x.got.sent(x.now, h, msg, sealed); ok {
				x.answer(t, stamp)
			}
		case machine.TrainKind:
			t := &out.Train
			for _, b := range t.Block[:t.N] {
				if t, ok := x.got.data(max(x.now, t.Depart), t.FileID, t.Layout, int(b)); ok {
					x.answer(t, 0)
				}
			}
			x.m.Departed(x.now, 1)
			if x.want.quit && x.got.funcs[wire.FuncFileSeg] >= x.want.quitAt {
				x.m.Stop(x.now) // as the user did then
			}
		case machine.EventKind:
			switch out.Event.(type) {
			case sender.NeedFile:
				x.nextFile()
			case sender.SessionEnded:
				x.ended = true
			}
		}
	}
}

// nextFile hands the next file to the machine.
func (x *role) nextFile() {
	for x.next < len(x.files) {
		f := x.files[x.next]
		x.next++
		if err := x.m.Offer(x.now, f); err == nil {
			return
		}
	}
	x.m.EndOfFiles(x.now)
}

// answer queues the captured answers to a message.
func (x *role) answer(t trigger, stamp time.Duration) {
	for _, r := range x.replies[t] {
		x.reply(r, stamp)
	}
}

// reply queues one answer, sealed with the keys of this session if it was sealed.
func (x *role) reply(r reply, stamp time.Duration) {
	msg := slices.Clone(r.msg)
	if i, ok := stampAt(r.head.Func); ok && stamp != 0 {
		at := stamp + r.held
		binary.BigEndian.PutUint32(msg[i:], uint32(at/time.Second))
		binary.BigEndian.PutUint32(msg[i+4:], uint32(at%time.Second/time.Microsecond))
	}
	pkt := append(r.head.Append(nil), msg...)
	if x.cfg.Dialect.Encrypted() {
		if pkt = x.agents[r.head.Src].say(r.head, msg, r.sealed); pkt == nil {
			return
		}
	}
	d := due{x.now.Add(r.delay), r.from, pkt}
	i, _ := slices.BinarySearchFunc(x.queue, d.at, func(q due, at clock.Time) int {
		if q.at <= at {
			return -1
		}
		return 1
	})
	x.queue = slices.Insert(x.queue, i, d)
}

// report prints the comparison and returns whether the structure is equal.
func (x *role) report() bool {
	if x.closed > 0 {
		fmt.Fprintf(x.t.out, "%d sealed messages stay closed: --keylog or --key is needed\n", x.closed)
		return false
	}
	if x.fault != nil {
		fmt.Fprintf(x.t.out, "%v: our sender cannot take part: %v\n", x.s.ID, x.fault)
		return false
	}
	same := false
	a, b := x.want.steps, x.got.steps
	first := -1
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			first = i
			break
		}
	}
	if first < 0 {
		fmt.Fprintf(x.t.out, "%v: %d steps equal%s\n", x.s.ID, len(a), x.depth())
		same = x.reportTimes()
	} else {
		fmt.Fprintf(x.t.out, "%v: %d steps captured, %d of ours; first difference at step %d\n", x.s.ID, len(a), len(b), first+1)
		for _, side := range []struct {
			name  string
			steps []string
		}{{"captured", a}, {"ours", b}} {
			text := "nothing more"
			if first < len(side.steps) {
				text = side.steps[first]
			}
			fmt.Fprintf(x.t.out, "  %-8s %.200s\n", side.name, text)
		}
		if x.row.gaps > 0 {
			fmt.Fprintf(x.t.out, "  %d messages of the sender are not in the capture: that may be why\n", x.row.gaps)
		}
	}
	for f := range x.want.funcs {
		if n, k := x.want.funcs[f], x.got.funcs[f]; n != k {
			fmt.Fprintf(x.t.out, "  %-13s %d captured, %d of ours\n", wire.Func(f), n, k)
		}
	}
	fmt.Fprintf(x.t.out, "  %s s captured, %s s of ours\n", seconds(x.want.last.Sub(x.want.first)), seconds(x.got.last.Sub(x.got.first)))
	return same
}

// window is how far from its captured time a step may be: three round trips, since a
// sender repeats itself at that pace, and a quarter of the time that has passed.
func (x *role) window(at time.Duration) time.Duration { return 3*x.cfg.GRTT + at/4 }

// reportTimes compares when steps were taken.
func (x *role) reportTimes() bool {
	var early, late time.Duration
	for i, at := range x.want.times {
		d := x.got.times[i] - at
		early, late = max(early, -d), max(late, d)
		if w := x.window(at); d > w || -d > w {
			fmt.Fprintf(x.t.out, "  step %d at +%s s instead of +%s, more than %s s away: %.200s\n", i+1, seconds(x.got.times[i]), seconds(at), seconds(w), x.want.steps[i])
			return false
		}
	}
	fmt.Fprintf(x.t.out, "  %s s early to %s s late\n", seconds(early), seconds(late))
	return true
}
