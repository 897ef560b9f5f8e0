package sender

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/dialect"
	"uftp/engine/machine"
	"uftp/wire"
)

const (
	ms = time.Millisecond

	testGroup = 0x1234
	testUID   = 0x99
)

var (
	public  = netip.MustParseAddrPort("230.4.4.1:1044")
	private = netip.MustParseAddrPort("230.5.5.7:1044")
)

// rig drives a sender in invented time and writes down what it does.
type rig struct {
	t     *testing.T
	start clock.Time
	now   clock.Time
	cfg   Config
	s     *Sender
	out   machine.Out
	sec   *secrets // of an encrypted session

	from    netip.AddrPort // of the last datagram delivered
	seq     uint16         // that the next datagram must have
	hold    bool           // trains stay in the machine
	depart  []clock.Time   // of trains under way
	wire    []string       // "MS WHAT" of each datagram or train
	events  []machine.Event
	planned []machine.Train
	headers []wire.Header

	// Of an adaptive sender.
	place     int   // behind the last block planned
	questions []int // place of each question in mid-pass
}

// newRig starts a session: one packet interval is 1 ms.
func newRig(t *testing.T, set func(*Config)) *rig {
	t.Helper()
	cfg := Config{
		UID: testUID, Group: testGroup,
		Public: public, Private: private,
		BlockSize: 1000, Robust: 10, Rate: 1_052_000, LowerLayers: 28,
		GRTT: 500 * ms, MinGRTT: 10 * ms, MaxGRTT: 15 * time.Second,
		MaxNAKPct: 100, MaxNAKCount: 1, MaxPasses: 65535,
		TrainBlocks: 16, Lookahead: 5 * ms,
	}
	if set != nil {
		set(&cfg)
	}
	if n := cfg.Dialect.Overhead() - (*dialect.Server)(nil).Overhead(); n > 0 {
		cfg.Rate += cfg.Rate / 1_052_000 * 1000 * int64(n)
	}
	r := &rig{t: t, start: clock.Time(1_700_000_000_123_456_000), cfg: cfg}
	r.now = r.start
	r.sec = newSecrets(cfg.Dialect)
	r.s = New(cfg, r.now)
	r.drain()
	return r
}

// hosts makes a closed group.
func hosts(uids ...wire.UID) func(*Config) {
	return func(c *Config) {
		for _, u := range uids {
			c.Hosts = append(c.Hosts, Host{UID: u, Name: fmt.Sprint("h", uint32(u))})
		}
	}
}

// with joins settings.
func with(set ...func(*Config)) func(*Config) {
	return func(c *Config) {
		for _, f := range set {
			f(c)
		}
	}
}

// drain takes all that Poll gives now.
func (r *rig) drain() {
	r.t.Helper()
	for n := 0; ; n++ {
		if n > 200_000 {
			r.t.Fatal("Poll never says Idle")
		}
		switch r.s.Poll(r.now, &r.out) {
		case machine.Idle:
			checkSane(r.t, r.s)
			if d := r.s.Deadline(); d <= r.now {
				r.t.Fatalf("Idle at %v, but the deadline is %v ago: the host would spin", r.now, r.now.Sub(d))
			}
			return
		case machine.PacketKind:
			r.packet(&r.out.Packet)
		case machine.TrainKind:
			r.train(&r.out.Train)
		case machine.EventKind:
			r.events = append(r.events, r.out.Event)
		}
	}
}

// checkSane compares the counts that the sender keeps with what they count.
func checkSane(t *testing.T, s *Sender) {
	t.Helper()
	var count [2][numStates]int
	unconfirmed := 0
	for i := range s.roster.Len() {
		c := s.roster.At(i)
		count[kind(c)][c.state]++
		if !c.confirmed {
			unconfirmed++
		}
	}
	if count != s.count || unconfirmed != s.unconfirmed {
		t.Fatalf("the roster has %v, %d unconfirmed; the sender counts %v, %d", count, unconfirmed, s.count, s.unconfirmed)
	}
	bits := 0
	for i := s.pass.need.Next(0); i < s.pass.need.Len(); i = s.pass.need.Next(i + 1) {
		bits++
	}
	if bits != s.pass.need.Count() {
		t.Fatalf("%d blocks are needed, the set counts %d", bits, s.pass.need.Count())
	}
	if s.rounds.n > len(s.rounds.list) || s.pass.inFlight > maxFlight {
		t.Fatalf("%d rounds, %d trains under way", s.rounds.n, s.pass.inFlight)
	}
}

func (r *rig) header(h wire.Header, datagrams int) {
	r.t.Helper()
	if h.Seq != r.seq {
		r.t.Fatalf("%v has sequence number %d, want %d: one counter for every datagram, from 0", h.Func, h.Seq, r.seq)
	}
	r.seq += uint16(datagrams)
	if h.Src != r.cfg.UID || h.Group != r.cfg.Group || h.Instance != r.cfg.Instance || h.Version != wire.Version4 {
		r.t.Fatalf("header %+v is not of this session", h)
	}
	r.headers = append(r.headers, h)
}

func (r *rig) packet(p *machine.Packet) {
	r.t.Helper()
	h, msg, err := wire.ParseHeader(p.Data)
	if err != nil {
		r.t.Fatalf("sent what cannot be read: %v", err)
	}
	if len(p.Data) > wire.MaxDatagram {
		r.t.Fatalf("sent %d bytes, more than receivers read", len(p.Data))
	}
	r.header(h, 1)
	if r.sec != nil {
		h.Func, msg = r.unseal(h.Func, p.Data, msg)
	}
	to := private
	var line string
	switch h.Func {
	case wire.FuncAnnounce:
		m, err := wire.ParseAnnounce(wire.Version4, msg)
		r.check(err)
		to = r.cfg.Public
		line = "ANNOUNCE " + list(m.Hosts)
	case wire.FuncKeyInfo:
		line = "KEYINFO " + r.keyInfo(msg)
	case wire.FuncRegConf, wire.FuncDoneConf:
		m, err := wire.ParseHostList(msg)
		r.check(err)
		line = h.Func.String() + " " + list(m.Hosts)
	case wire.FuncFileInfo:
		m, err := wire.ParseFileInfo(wire.Version4, msg)
		r.check(err)
		line = fmt.Sprintf("FILEINFO f%d %s %s", m.FileID, m.Name, list(m.Hosts))
	case wire.FuncDone:
		m, err := wire.ParseDone(msg)
		r.check(err)
		line = fmt.Sprintf("DONE f%d s%d %s", m.FileID, m.Section, list(m.Hosts))
		if r.walking() && m.Hosts.Len() == 0 {
			r.questions = append(r.questions, r.place)
		}
	case wire.FuncAbort:
		m, err := wire.ParseAbort(msg)
		r.check(err)
		file := ""
		if m.Flags == wire.AbortCurrentFile {
			file = "file "
		}
		line = fmt.Sprintf("ABORT %d %s%s", m.Host, file, m.Text)
		if p.To != private {
			if to = r.from; p.To == addr(m.Host) {
				to = p.To
			}
			line += " @" + p.To.Addr().String()
		}
	default:
		r.t.Fatalf("sent %v", h.Func)
	}
	if r.cfg.Unicast {
		to = r.cfg.Public
	}
	if p.To != to {
		r.t.Fatalf("%s went to %v, want %v", line, p.To, to)
	}
	r.wire = append(r.wire, r.at(r.now)+line)
}

func (r *rig) train(t *machine.Train) {
	r.t.Helper()
	if t.N < 1 || t.N > r.cfg.TrainBlocks || t.To != r.cfg.Private || t.Head.Func != wire.FuncFileSeg {
		r.t.Fatalf("train of %d blocks to %v with header %+v", t.N, t.To, t.Head)
	}
	if t.Depart < r.now || t.Depart > r.now.Add(r.cfg.Lookahead) {
		r.t.Fatalf("train leaves %v after it was planned, want 0..%v", t.Depart.Sub(r.now), r.cfg.Lookahead)
	}
	for i, b := range t.Block[:t.N] {
		if t.Layout.Len(int(b)) < t.Layout.BlockSize && i != t.N-1 {
			r.t.Fatalf("the short block %d is not the last of %v", b, t.Block[:t.N])
		}
	}
	r.header(t.Head, t.N)
	r.counters(t.Counter, t.N)
	r.planned = append(r.planned, *t)
	r.place = int(t.Block[t.N-1]) + 1
	r.wire = append(r.wire, fmt.Sprintf("%sTRAIN f%d %s", r.at(t.Depart), t.FileID, ranges(t.Block[:t.N])))
	r.depart = append(r.depart, t.Depart)
	r.leave()
}

// leave reports the trains that have departed by now.
func (r *rig) leave() {
	if r.hold {
		return
	}
	n := 0
	for n < len(r.depart) && r.depart[n] <= r.now {
		n++
	}
	if n > 0 {
		r.depart = r.depart[n:]
		r.s.Departed(r.now, n)
	}
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("sent what cannot be read: %v", err)
	}
}

// at returns a moment in milliseconds since the start, as few digits as it needs.
func (r *rig) at(t clock.Time) string {
	return strconv.FormatFloat(float64(t.Sub(r.start).Round(10*time.Microsecond))/1e6, 'f', -1, 64) + " "
}

func list(l wire.UIDList) string {
	var b []string
	for i := range l.Len() {
		b = append(b, strconv.Itoa(int(l.At(i))))
	}
	return "[" + strings.Join(b, " ") + "]"
}

// ranges writes 0 1 2 5 as 0-2,5.
func ranges(b []uint32) string {
	var s []string
	for i := 0; i < len(b); {
		j := i
		for j+1 < len(b) && b[j+1] == b[j]+1 {
			j++
		}
		if i == j {
			s = append(s, fmt.Sprint(b[i]))
		} else {
			s = append(s, fmt.Sprintf("%d-%d", b[i], b[j]))
		}
		i = j + 1
	}
	return strings.Join(s, ",")
}

// advance lets d pass, waking the sender at its deadlines.
func (r *rig) advance(d time.Duration) {
	r.t.Helper()
	end := r.now.Add(d)
	r.leave()
	r.drain()
	for n := 0; ; n++ {
		next := r.s.Deadline()
		if len(r.depart) > 0 && !r.hold {
			next = clock.Min(next, r.depart[0])
		}
		if next > end {
			break
		}
		if n > 1_000_000 {
			r.t.Fatal("the deadlines lead nowhere")
		}
		r.now = max(r.now, next)
		r.leave()
		r.drain()
	}
	r.now = end
	r.leave()
	r.drain()
}

func addr(u wire.UID) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(u >> 16), byte(u >> 8), byte(u)}), 1044)
}

func message(u wire.UID, fn wire.Func) []byte {
	return wire.Header{Version: wire.Version4, Func: fn, Src: u, Group: testGroup}.Append(nil)
}

// appendTo appends message m of wire, whether its layout depends on the version or not.
func appendTo(b []byte, m any) []byte {
	if m, ok := m.(interface {
		Append(wire.Version, []byte) []byte
	}); ok {
		return m.Append(wire.Version4, b)
	}
	return m.(interface{ Append([]byte) []byte }).Append(b)
}

// deliver hands one datagram in and returns what became of it.
func (r *rig) deliver(u wire.UID, pkt []byte) machine.Drop {
	r.t.Helper()
	return r.deliverFrom(addr(u), pkt)
}

func (r *rig) deliverFrom(from netip.AddrPort, pkt []byte) machine.Drop {
	r.t.Helper()
	r.from = from
	v := r.s.Handle(r.now, arrived(from, slices.Clone(pkt)))
	if v.Store.Data != nil {
		r.t.Fatal("a sender asked to store something")
	}
	r.drain()
	return v.Drop
}

// arrived is a datagram as a host hands it in.
func arrived(from netip.AddrPort, pkt []byte) *machine.Datagram {
	return &machine.Datagram{From: from, Data: pkt}
}

// echo is the last stamp as a receiver that has held it sends it back now when
// the round trip takes rtt.
func (r *rig) echo(rtt time.Duration) wire.Stamp { return wire.Stamp(r.now.Add(-rtt).Micros()) }

func (r *rig) register(u wire.UID, rtt time.Duration) machine.Drop {
	r.t.Helper()
	m := wire.Register{Time: r.echo(rtt)}
	return r.deliver(u, m.Append(wire.Version4, message(u, wire.FuncRegister)))
}

func (r *rig) ack(u wire.UID, file uint16, rtt time.Duration, partial bool) machine.Drop {
	r.t.Helper()
	m := wire.FileInfoAck{FileID: file, Partial: partial, Time: r.echo(rtt)}
	return r.deliver(u, m.Append(wire.Version4, message(u, wire.FuncFileInfoAck)))
}

// statusOf builds a STATUS that misses blocks of a section of the present file.
func (r *rig) statusOf(u wire.UID, file uint16, section int, missing ...int) []byte {
	l := r.s.file.layout
	var set block.Set
	set.Reset(max(l.Blocks, 8), false)
	first, n := 0, 8
	if section < l.Sections {
		first, n = l.First(section), l.SectionBlocks(section)
	}
	for _, b := range missing {
		set.Add(first + b)
	}
	m := wire.Status{FileID: file, Section: uint16(section), NAKs: set.AppendBitmap(nil, first, n)}
	return m.Append(wire.Version4, message(u, wire.FuncStatus))
}

func (r *rig) status(u wire.UID, file uint16, section int, missing ...int) machine.Drop {
	r.t.Helper()
	return r.deliver(u, r.statusOf(u, file, section, missing...))
}

func (r *rig) complete(u wire.UID, file uint16, st wire.CompleteStatus) machine.Drop {
	r.t.Helper()
	m := wire.Complete{FileID: file, Status: st}
	return r.deliver(u, m.Append(message(u, wire.FuncComplete)))
}

func (r *rig) abort(u wire.UID, text string) machine.Drop {
	r.t.Helper()
	m := wire.Abort{Text: []byte(text)}
	return r.deliver(u, m.Append(message(u, wire.FuncAbort)))
}

// refuse has a listed host refuse before it registers, from the address that is its UID.
func (r *rig) refuse(u wire.UID, text string) machine.Drop {
	r.t.Helper()
	m := wire.Abort{Text: []byte(text)}
	home := netip.AddrFrom4([4]byte{byte(u >> 24), byte(u >> 16), byte(u >> 8), byte(u)})
	return r.deliverFrom(netip.AddrPortFrom(home, 1044), m.Append(message(u, wire.FuncAbort)))
}

func (r *rig) offer(name string, size int64) {
	r.t.Helper()
	if err := r.s.Offer(r.now, File{Name: name, Size: size, MTime: 1}); err != nil {
		r.t.Fatalf("a file of %d bytes was refused: %v", size, err)
	}
	r.drain()
}

func (r *rig) endOfFiles() {
	r.t.Helper()
	r.s.EndOfFiles(r.now)
	r.drain()
}

// wantWire compares what was sent since the last call.
func (r *rig) wantWire(why string, lines ...string) {
	r.t.Helper()
	got := r.wire
	r.wire = nil
	if !slices.Equal(got, lines) {
		r.t.Fatalf("%s\n got %q\nwant %q", why, got, lines)
	}
}

// forget drops what was written down so far.
func (r *rig) forget() { r.wire, r.events, r.planned, r.headers = nil, nil, nil, nil }

// got returns the first event of type T since the last forget.
func got[T machine.Event](r *rig) (T, bool) {
	for _, e := range r.events {
		if x, ok := e.(T); ok {
			return x, true
		}
	}
	var none T
	return none, false
}

func want[T machine.Event](r *rig, why string) T {
	r.t.Helper()
	x, ok := got[T](r)
	if !ok {
		r.t.Fatalf("%s: no %T in %+v", why, x, r.events)
	}
	return x
}

func wantNone[T machine.Event](r *rig, why string) {
	r.t.Helper()
	if x, ok := got[T](r); ok {
		r.t.Fatalf("%s: got %+v", why, x)
	}
}

func (r *rig) wantNotice(why string, k NoticeKind) {
	r.t.Helper()
	if !slices.ContainsFunc(r.events, func(e machine.Event) bool { return e == machine.Event(Notice{k}) }) {
		r.t.Fatalf("%s: no notice %v in %+v", why, k, r.events)
	}
}

func (r *rig) wantState(why string, u wire.UID, st State) {
	r.t.Helper()
	i, ok := r.s.roster.Find(u)
	if !ok || r.s.roster.At(i).state != st {
		r.t.Fatalf("%s: client %d is in the roster: %v, want it %v", why, u, ok, st)
	}
}

func (r *rig) wantPhase(why string, p Phase) {
	r.t.Helper()
	if r.s.phase != p {
		r.t.Fatalf("%s: phase %q, want %q", why, r.s.phase, p)
	}
}

func (r *rig) wantExit(why string, exit Exit) {
	r.t.Helper()
	e := want[SessionEnded](r, why)
	if e.Exit != exit {
		r.t.Fatalf("%s: exit %v, want %v", why, e.Exit, exit)
	}
	if r.s.Deadline() != clock.Never {
		r.t.Fatalf("%s: an ended session still wants to be polled", why)
	}
}

func (r *rig) wantDrop(why string, got, want machine.Drop) {
	r.t.Helper()
	if got != want {
		r.t.Fatalf("%s: the message was %q, want %q", why, got, want)
	}
}

// join brings a group together: closed, so that it is ready 1·G after the last one.
func join(t *testing.T, set func(*Config), uids ...wire.UID) *rig {
	t.Helper()
	r := newRig(t, with(hosts(uids...), set))
	for _, u := range uids {
		r.advance(ms)
		r.register(u, 0)
	}
	r.advance(40 * ms)
	r.wantPhase("a complete group goes on to the files", BetweenFiles)
	r.forget()
	return r
}

func nothing(*Config) {}

// begin joins uids and takes them into the data phase of a file of so many bytes.
func begin(t *testing.T, set func(*Config), size int64, uids ...wire.UID) *rig {
	t.Helper()
	r := join(t, set, uids...)
	r.offer("f", size)
	r.forget()
	r.hold = true
	for _, u := range uids {
		r.ack(u, 1, 0, false)
	}
	r.wantPhase("when all have answered FILEINFO the data starts", Data)
	r.hold = false
	return r
}

// walking reports whether a pass is under way.
func (r *rig) walking() bool { return r.s.pass.walking }

// needed returns how many blocks are still to be sent.
func (r *rig) needed() int { return r.s.pass.need.Count() }

// until lets time pass until cond holds, 100 s at most.
func (r *rig) until(what string, cond func() bool) {
	r.t.Helper()
	for range 100_000 {
		if cond() {
			return
		}
		r.advance(ms)
	}
	r.t.Fatalf("in 100 s it does not come to this: %s (phase %q, pass %d, round %d)", what, r.s.phase, r.s.pass.number, r.s.cycle.attempt)
}

// pollTo polls s until it gives something of a kind.
func pollTo(t testing.TB, s *Sender, now clock.Time, out *machine.Out, kind machine.Kind) {
	t.Helper()
	for range 10_000 {
		if s.Poll(now, out) == kind {
			return
		}
	}
	t.Fatalf("Poll gives no %v", kind)
}

// untilPassEnds advances until all of the present pass has left and DONE is out.
func (r *rig) untilPassEnds() {
	r.t.Helper()
	for range 100_000 {
		if !r.walking() {
			return
		}
		r.advance(ms)
	}
	r.t.Fatal("a pass does not end in 100 s")
}

// untilNextPass advances until another pass begins, which may be over by then, or the file is.
func (r *rig) untilNextPass() {
	r.t.Helper()
	pass := r.s.pass.number
	for range 10_000 {
		if r.s.phase != Data || r.s.pass.number != pass {
			return
		}
		r.advance(ms)
	}
	r.t.Fatal("no pass begins in 10 s")
}
