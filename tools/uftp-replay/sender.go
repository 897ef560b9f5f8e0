package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/sender"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// trigger is a message of the sender that receivers answer: its kind, file and
// section, how many runs of data of the file there were so far, and the how manieth
// of its like it is. Of data it is the first block of a section in a run.
type trigger struct {
	fn            wire.Func
	file, section uint16
	run, n        int
}

// reply is a captured answer and when it came after its trigger.
type reply struct {
	delay time.Duration
	held  time.Duration // what the echoed stamp is behind that of the trigger
	from  netip.AddrPort
	pkt   []byte
}

// skeleton is the structure of what a sender sends: FILEINFO, runs of data with
// their blocks, the end of the session; repeats do not count.
type skeleton struct {
	steps []string
	funcs [32]int
	first clock.Time
	last  clock.Time

	seen    map[trigger]int
	runs    map[uint16]int
	file    uint16
	running bool // the last step is an unfinished run of data
	section int  // of its last block
	blocks  block.Set
	begun   clock.Time // moment of its first block
	count   int        // blocks in it
	rate    float64    // highest of all runs, bytes of the file a second

	quit     bool // the user has stopped the sender
	quitAt   int  // after so many blocks
	dropQuit bool // a lost client has stopped it
	passes   int  // runs until a client had too many, 0 if none had
}

func newSkeleton() skeleton {
	return skeleton{seen: map[trigger]int{}, runs: map[uint16]int{}}
}

// sent takes in a message and returns the trigger it is; ok is false for one that
// nobody answers.
func (k *skeleton) sent(at clock.Time, h wire.Header, msg []byte) (t trigger, stamp time.Duration, ok bool) {
	if k.first == 0 {
		k.first = at
	}
	k.last = at
	k.funcs[h.Func&31]++
	t.fn = h.Func
	switch h.Func {
	case wire.FuncAnnounce:
		x, _ := wire.ParseAnnounce(msg)
		stamp = stampOf(x.Time)
	case wire.FuncKeyInfo:
	case wire.FuncFileInfo:
		x, _ := wire.ParseFileInfo(msg)
		k.step(fmt.Sprintf("FILEINFO %d %s %q of %d bytes", x.FileID, session.FileType(x.Type), x.Name, x.Size))
		t.file, stamp = x.FileID, stampOf(x.Time)
	case wire.FuncDone:
		x, _ := wire.ParseDone(msg)
		k.endRun()
		if x.FileID == 0 {
			k.step("DONE of the session")
		}
		t.file, t.section = x.FileID, x.Section
	case wire.FuncDoneConf:
		k.step("DONE_CONF")
		return t, 0, false
	case wire.FuncAbort:
		x, _ := wire.ParseAbort(msg)
		k.step(fmt.Sprintf("ABORT %v %q", x.Host, x.Text))
		switch text := string(x.Text); {
		case text == "Server quit, aborting all":
			k.quit, k.quitAt = true, k.funcs[wire.FuncFileSeg]
		case strings.HasPrefix(text, "A client "):
			k.dropQuit = true
		case text == "Max passes exceeded" && k.passes == 0:
			k.passes = k.runs[k.file]
		}
		return t, 0, false
	default:
		return t, 0, false
	}
	t.run = k.runs[t.file]
	k.seen[t]++ // without its number
	t.n = k.seen[t]
	return t, stamp, true
}

// data takes in a block, and returns the trigger it is if it begins a section.
func (k *skeleton) data(at clock.Time, file uint16, l *block.Layout, i int) (t trigger, ok bool) {
	k.last = at
	k.funcs[wire.FuncFileSeg]++
	if !k.running || k.file != file {
		k.endRun()
		k.running, k.file = true, file
		k.runs[file]++
		k.blocks.Reset(l.Blocks, false)
		k.section, k.begun, k.count = -1, at, 0
	}
	k.count++
	if d := at.Sub(k.begun).Seconds(); k.count >= 10 && d > 0 {
		k.rate = max(k.rate, float64((k.count-1)*l.BlockSize)/d)
	}
	if i < k.blocks.Len() {
		k.blocks.Add(i)
	}
	s, _ := l.Section(i)
	if s == k.section {
		return t, false
	}
	k.section = s
	return trigger{fn: wire.FuncFileSeg, file: file, section: uint16(s), run: k.runs[file]}, true
}

// endRun writes down the blocks of a run of data.
func (k *skeleton) endRun() {
	if !k.running {
		return
	}
	k.running = false
	var list []string
	shown := 0
	for i := k.blocks.Next(0); i < k.blocks.Len(); {
		if len(list) == rangesMax {
			list = append(list, fmt.Sprintf("and %d more", k.blocks.Count()-shown))
			break
		}
		j := i
		for j+1 < k.blocks.Len() && k.blocks.Has(j+1) {
			j++
		}
		shown += j - i + 1
		if i == j {
			list = append(list, strconv.Itoa(i))
		} else {
			list = append(list, fmt.Sprintf("%d-%d", i, j))
		}
		if j+1 >= k.blocks.Len() {
			break
		}
		i = k.blocks.Next(j + 1)
	}
	k.add(fmt.Sprintf("file %d, run %d: blocks %s", k.file, k.runs[k.file], strings.Join(list, " ")))
}

func (k *skeleton) step(text string) {
	k.endRun()
	if len(k.steps) == 0 || k.steps[len(k.steps)-1] != text {
		k.add(text)
	}
}

// add notes a step; more than stepsMax are counted in messages only.
func (k *skeleton) add(text string) {
	if len(k.steps) < stepsMax {
		k.steps = append(k.steps, text)
	}
}

func stampOf(s wire.Stamp) time.Duration {
	return time.Duration(s.Sec)*time.Second + time.Duration(s.Usec)*time.Microsecond
}

// Bounds of a replay: answers played, files sent, steps compared, and ranges of
// blocks within a step.
const (
	repliesMax = 1_000_000
	filesSent  = 10_000
	stepsMax   = 100_000
	rangesMax  = 2_000
)

// role is one run of sender: one session of the capture, in whose place our sender
// announces the same files.
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

	m      *sender.Sender
	now    clock.Time
	next   int
	queue  []due
	layout map[uint16]*block.Layout
	ended  bool
}

// due is an answer on its way.
type due struct {
	at   clock.Time
	from netip.AddrPort
	pkt  []byte
}

func replaySender(t *tool, args []string) error {
	f := t.flags("sender")
	names, err := t.parse(f, args, 1)
	if err != nil {
		return err
	}
	x := &role{t: t, want: newSkeleton(), got: newSkeleton(), replies: map[trigger][]reply{}, layout: map[uint16]*block.Layout{}}
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
	x.want.endRun()
	x.play()
	x.got.endRun()
	same := x.report()
	switch {
	case rerr != nil:
		return rerr
	case !same:
		return errNo
	}
	return nil
}

// collect learns from the capture what the sender said and what was answered.
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
	if m.Head.Src != s.Sender {
		return x.reply(m, at)
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
		if f, err := wire.ParseFileInfo(m.Msg); err == nil && int(f.FileID) > len(x.files) && len(x.files) < filesSent {
			if l := s.Layout(f.FileID); f.Type == wire.TypeFile && (l == nil || l.Blocks > replayBlocksMax) {
				return fmt.Errorf("packet %d: file of %d bytes is too large for a replay", m.Frame, f.Size)
			}
			x.files = append(x.files, sender.File{Type: f.Type, Name: string(f.Name), Link: string(f.Link), Size: f.Size, MTime: f.MTime})
		}
	}
	if t, stamp, ok := x.want.sent(at, m.Head, m.Msg); ok {
		x.last, x.hasLast, x.lastAt, x.stamp = t, true, at, stamp
	}
	return nil
}

// configure takes the settings of the sender from its first ANNOUNCE.
func (x *role) configure(m *session.Message) {
	s := m.Session
	a, _ := wire.ParseAnnounce(m.Msg)
	x.cfg = sender.Config{
		UID: s.Sender, Group: s.Group, Instance: s.Instance,
		Public: s.Public, Private: netip.AddrPortFrom(s.Private, s.Public.Port()),
		BlockSize: s.BlockSize, Robust: s.Robust, Overhead: 52,
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

// reply notes an answer with the message it answers.
func (x *role) reply(m *session.Message, at clock.Time) error {
	if !x.hasLast || m.Dst.Addr() != x.s.From.Addr() {
		return nil
	}
	switch m.Head.Func {
	case wire.FuncRegister, wire.FuncFileInfoAck, wire.FuncStatus, wire.FuncComplete, wire.FuncAbort:
	default:
		return nil
	}
	if x.count++; x.count > repliesMax {
		return fmt.Errorf("more than %d answers in the capture", repliesMax)
	}
	r := reply{delay: at.Sub(x.lastAt), from: m.Src, pkt: append(m.Head.Append(nil), m.Msg...)}
	if i, ok := stampAt(m.Head.Func); ok && x.stamp != 0 && len(m.Msg) >= i+8 {
		b := m.Msg[i:]
		r.held = stampOf(wire.Stamp{Sec: binary.BigEndian.Uint32(b), Usec: binary.BigEndian.Uint32(b[4:])}) - x.stamp
	}
	x.replies[x.last] = append(x.replies[x.last], r)
	return nil
}

// stampAt tells where in a message the echoed stamp stands.
func stampAt(f wire.Func) (int, bool) {
	switch f {
	case wire.FuncRegister:
		return 4, true
	case wire.FuncFileInfoAck:
		return 8, true
	}
	return 0, false
}

// playMax is how long a session may take, in virtual time, beyond the captured one.
const playMax = time.Hour

// play runs our sender until its session ends.
func (x *role) play() {
	x.cfg.Rate = int64(x.want.rate * float64(x.cfg.BlockSize+x.cfg.Overhead) / float64(x.cfg.BlockSize))
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
			x.m.Handle(x.now, d.from, d.pkt)
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
			if t, stamp, ok := x.got.sent(x.now, h, msg); ok {
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
				x.offer()
			case sender.SessionEnded:
				x.ended = true
			}
		}
	}
}

// offer hands the next file to the machine.
func (x *role) offer() {
	for x.next < len(x.files) {
		f := x.files[x.next]
		x.next++
		if err := x.m.Offer(x.now, f); err == nil {
			return
		}
	}
	x.m.EndOfFiles(x.now)
}

// answer sends the captured answers to a message on their way.
func (x *role) answer(t trigger, stamp time.Duration) {
	list := x.replies[t]
	if t.fn == wire.FuncAnnounce && x.s.Encrypted {
		// Who answered KEYINFO is confirmed in clear when it registers.
		list = slices.Concat(list, x.replies[trigger{fn: wire.FuncKeyInfo, n: t.n}])
	}
	for _, r := range list {
		if i, ok := stampAt(wire.Func(r.pkt[1])); ok && stamp != 0 {
			at := stamp + r.held
			b := r.pkt[wire.HeaderLen+i:]
			binary.BigEndian.PutUint32(b, uint32(at/time.Second))
			binary.BigEndian.PutUint32(b[4:], uint32(at%time.Second/time.Microsecond))
		}
		d := due{x.now.Add(r.delay), r.from, slices.Clone(r.pkt)}
		i, _ := slices.BinarySearchFunc(x.queue, d.at, func(q due, at clock.Time) int {
			if q.at <= at {
				return -1
			}
			return 1
		})
		x.queue = slices.Insert(x.queue, i, d)
	}
}

// report compares and tells whether the structure is equal.
func (x *role) report() bool {
	if x.closed > 0 {
		fmt.Fprintf(x.t.out, "%d sealed messages stay closed: --keylog or --key is needed\n", x.closed)
		return false
	}
	a, b := x.want.steps, x.got.steps
	first := -1
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			first = i
			break
		}
	}
	if first < 0 {
		fmt.Fprintf(x.t.out, "%v: %d steps equal\n", x.s.ID, len(a))
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
	}
	for f := range x.want.funcs {
		if n, k := x.want.funcs[f], x.got.funcs[f]; n != k {
			fmt.Fprintf(x.t.out, "  %-13s %d captured, %d of ours\n", wire.Func(f), n, k)
		}
	}
	fmt.Fprintf(x.t.out, "  %s s captured, %s s of ours\n", seconds(x.want.last.Sub(x.want.first)), seconds(x.got.last.Sub(x.got.first)))
	return first < 0
}
