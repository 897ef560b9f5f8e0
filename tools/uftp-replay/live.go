package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"uftp/cmd/cli"
	"uftp/engine/clock"
	"uftp/engine/netio"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// liveOptions are those of receiver on an interface.
type liveOptions struct {
	ifName string
	speed  float64
	wait   time.Duration
	ttl    int
	to     netip.Addr
	dest   string

	without string // the first option that --interface must go with
}

const liveHelp = `Playing the sender's side of the capture to a real receiver, which has to run already and
must have the UID of the captured one: uftpd -U UID. One receiver is tested at a time; --uid
chooses it if the capture has several`

// Defaults and bounds of a replay on an interface.
const (
	waitDefault  = 10 * time.Second
	speedMin     = 0.001
	speedMax     = 1_000_000
	linger       = 500 * time.Millisecond // for answers that were not captured, after the last one
	catchUp      = 5 * time.Millisecond   // lateness up to this is made up by sending faster
	nearEnough   = 200 * time.Microsecond
	strangersMax = 10
)

var liveDefaults = liveOptions{speed: 1, wait: waitDefault, ttl: 1}

func (o *liveOptions) options() []cli.Option {
	rows := []cli.Option{
		{Name: "interface", Arg: "NAME", Set: cli.String(&o.ifName), Help: "play on this interface, a name or an address of it"},
		{Name: "speed", Arg: "N", Set: o.setSpeed, Help: "play N times as fast as captured (0.001 to 1000000;\ndefault: 1)"},
		{Name: "wait", Arg: "TIME", Set: o.setWait, Help: "how long the sender waits for a captured answer to come\n(300ms, 1m; default: 10s)"},
		{Name: "ttl", Arg: "N", Set: cli.AnyBase(&o.ttl, 1, 255, "Invalid TTL", ""), Help: "hops of multicast (1 to 255; default: 1)"},
		{Name: "to", Arg: "ADDRESS", Set: o.setTo, Help: "send here what the captured sender sent to the receiver\nalone"},
		{Name: "dest", Arg: "DIRECTORY", Set: cli.String(&o.dest), Help: "compare files with those in the receiver's destination"},
	}
	for i := range rows {
		r := &rows[i]
		r.Group = liveHelp
		if r.Name == "interface" {
			continue
		}
		set := r.Set
		r.Set = func(v string) error {
			o.without = cmp.Or(o.without, r.Name)
			return set(v)
		}
	}
	return rows
}

func (o *liveOptions) setSpeed(v string) error {
	f, ok := cli.Decimal(v)
	if !ok || !(f >= speedMin && f <= speedMax) {
		return &cli.Error{Text: "Invalid speed", Allowed: "0.001 to 1000000"}
	}
	o.speed = f
	return nil
}

func (o *liveOptions) setWait(v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return &cli.Error{Text: "Invalid time to wait", Allowed: "0 or more, with a unit: 300ms, 10s"}
	}
	o.wait = d
	return nil
}

func (o *liveOptions) setTo(v string) (err error) {
	o.to, err = netip.ParseAddr(v)
	return err
}

// check does the checks that need all options.
func (o *liveOptions) check() error {
	if o.ifName == "" {
		if o.without != "" {
			return fmt.Errorf("%w: --%s is for replays on an interface: --interface is missing", errUsage, o.without)
		}
		return nil
	}
	if o.dest != "" {
		if info, err := os.Stat(o.dest); err != nil {
			return err
		} else if !info.IsDir() {
			return fmt.Errorf("%w: --dest %s is not a directory", errUsage, o.dest)
		}
	}
	return nil
}

// live plays the captured sender to a real receiver. It is a closed loop: a message is
// sent only after all answers that were captured before it have come, so the sender is
// never further ahead of the receiver than in the capture. An answer that does not come
// within the patience is a difference; from then on the clock alone decides.
type live struct {
	x    *stage
	p    *played
	o    *liveOptions // of x
	conn netio.Conn

	heard    chan datagram
	counts   map[gate]int // distinct answers so far, by what they are about
	latest   map[gate]string
	needs    []need // of p.want
	gaveUp   int    // packet before which the patience ended, 0 if it did not
	missed   string // for which answer
	others   []wire.UID
	begun    time.Time
	first    time.Time     // of the capture
	shift    time.Duration // of all that follows, since answers came later
	held     int
	sent     int
	withheld int // blocks that the captured receiver lost too
}

// datagram is one that arrived.
type datagram struct {
	at  time.Time
	pkt []byte
}

// gate is the subject of an answer. Answers about one subject may be repeated, and change
// from one to the next. We wait until as many changes have come as were captured.
type gate struct {
	id            session.ID
	fn            wire.Func
	file, section uint16
}

type need struct {
	gate
	n int
}

func gateOf(id session.ID, msg []byte) gate {
	g := gate{id: id, fn: wire.Func(msg[0])}
	switch g.fn {
	case wire.FuncFileInfoAck:
		x, _ := wire.ParseFileInfoAck(wire.Version4, msg)
		g.file = x.FileID
	case wire.FuncStatus:
		x, _ := wire.ParseStatus(wire.Version4, msg)
		g.file, g.section = x.FileID, x.Section
	case wire.FuncComplete:
		x, _ := wire.ParseComplete(msg)
		g.file = x.FileID
	}
	return g
}

// playLive plays a capture to a real receiver and compares.
func (x *stage) playLive(name string) error {
	var p *played
	var uids []string
	for _, q := range x.order {
		if q.proxy {
			fmt.Fprintf(x.t.out, "%v speaks for others, a proxy: not replayed\n", q.uid)
			continue
		}
		p = q
		uids = append(uids, q.uid.String())
	}
	switch {
	case len(uids) > 1:
		return fmt.Errorf("%w: several receivers in the capture, but one can be tested at a time: choose with --uid one of %s", errUsage, strings.Join(uids, ", "))
	case p == nil:
		fmt.Fprintln(x.t.out, "no receiver in the capture answers an ANNOUNCE")
		return errNo
	}
	l := &live{x: x, p: p, o: &x.o, heard: make(chan datagram, 1024), counts: map[gate]int{}, latest: map[gate]string{}}
	if err := l.listen(); err != nil {
		return err
	}
	l.plan()
	quit := make(chan struct{})
	go l.receive(quit)
	err := x.t.read(name, nil, l.message, nil)
	if err == nil || !errors.Is(err, errSend) {
		l.await(math.MaxInt)
		l.until(time.Now().Add(linger))
	}
	close(quit)
	if cerr := l.conn.Close(); err == nil {
		err = cerr
	}
	same := l.report()
	if same && x.o.dest != "" && err == nil {
		same, err = x.checkDest(name, x.o.dest, p)
	}
	if err == nil && !same {
		err = errNo
	}
	return err
}

// listen opens the socket that takes the sender's place.
func (l *live) listen() error {
	list, err := netio.Interfaces()
	if err != nil {
		return err
	}
	v6 := l.p.addr.Is6()
	i := slices.IndexFunc(list, func(n netio.Interface) bool {
		return (n.Name == l.o.ifName || n.Addr.String() == l.o.ifName) && n.Addr.Is6() == v6
	})
	if i < 0 {
		family := "IPv4"
		if v6 {
			family = "IPv6"
		}
		return fmt.Errorf("%w: no interface %s that is up and has an %s address, as the capture needs", errUsage, l.o.ifName, family)
	}
	l.conn, err = netio.Listen(netio.Config{IPv6: v6, TTL: l.o.ttl, MulticastIf: &list[i]})
	return err
}

// plan counts the changes to wait for.
func (l *live) plan() {
	counts, latest := map[gate]int{}, map[gate]string{}
	for i := range l.p.want {
		a := &l.p.want[i]
		g := gateOf(a.id, a.msg)
		if counts[g] == 0 || latest[g] != a.text {
			counts[g]++
			latest[g] = a.text
		}
		l.needs = append(l.needs, need{g, counts[g]})
	}
}

// receive passes on all datagrams until the socket is closed.
func (l *live) receive(quit <-chan struct{}) {
	slots := make([]netio.RxSlot, 16)
	for i := range slots {
		slots[i].Buf = make([]byte, netio.SlotBytes)
	}
	for {
		n, err := l.conn.ReadBatch(slots)
		if err != nil {
			return // closed, or broken: then answers are missing, which is reported
		}
		now := time.Now()
		for _, s := range slots[:n] {
			size := s.Seg
			if size == 0 {
				size = max(1, s.N)
			}
			for b := s.Buf[:s.N]; len(b) > 0; b = b[min(size, len(b)):] {
				select {
				case l.heard <- datagram{now, slices.Clone(b[:min(size, len(b))])}:
				case <-quit:
					return
				}
			}
		}
	}
}

// message plays one message of the capture at its time.
func (l *live) message(m *session.Message) error {
	if !l.x.speaks(m) || m.Dst.Addr() != l.p.addr && !m.Dst.Addr().IsMulticast() {
		return nil
	}
	if l.begun.IsZero() {
		l.begun, l.first = time.Now(), m.Time
		l.x.start = clock.Time(m.Time.UnixNano())
	}
	l.await(m.Frame)
	due := l.begun.Add(time.Duration(float64(m.Time.Sub(l.first))/l.o.speed) + l.shift)
	l.until(due)
	if late := time.Since(due); late > catchUp {
		l.shift += late - catchUp
	}
	link := l.p.linkTo(m.Session, l.x)
	if link == nil {
		return nil
	}
	if m.Head.Func == wire.FuncFileSeg {
		f, err := wire.ParseFileSeg(m.Msg)
		if err != nil {
			return nil
		}
		if l.p.lost(m.Session.ID, &f) {
			l.withheld++
			return nil
		}
	}
	pkt := m.Payload
	if link.voice != nil {
		if pkt = link.voice.say(m); pkt == nil {
			return nil
		}
	}
	to := m.Dst
	if l.o.to.IsValid() && !to.Addr().IsMulticast() {
		to = netip.AddrPortFrom(l.o.to, to.Port())
	}
	if _, err := l.conn.WriteBatch([]netio.TxTrain{{Buf: pkt, To: to}}); err != nil {
		return fmt.Errorf("%s: %w: %w", placeOf(m), errSend, err)
	}
	l.sent++
	return nil
}

// errSend says that a datagram could not be sent.
var errSend = errors.New("cannot be sent")

// await waits for the answers that were captured before a packet.
func (l *live) await(frame int) {
	p := l.p
	var end time.Time
	for ; p.next < len(p.want) && p.want[p.next].frame < frame; p.next++ {
		a, n := &p.want[p.next], l.needs[p.next]
		if l.gaveUp != 0 || a.stopped() {
			continue
		}
		if end.IsZero() {
			l.drain()
		}
		for l.counts[n.gate] < n.n {
			if end.IsZero() {
				end = time.Now().Add(l.o.wait)
				l.held++
			}
			left := time.Until(end)
			if left <= 0 {
				l.gaveUp, l.missed = a.frame, a.String()
				break
			}
			select {
			case d := <-l.heard:
				l.take(d)
			case <-time.After(left):
			}
		}
	}
}

// drain reads the datagrams that have come.
func (l *live) drain() {
	for {
		select {
		case d := <-l.heard:
			l.take(d)
		default:
			return
		}
	}
}

// until reads datagrams until a moment.
func (l *live) until(at time.Time) {
	for {
		left := time.Until(at)
		if left < nearEnough {
			l.drain()
			return
		}
		select {
		case d := <-l.heard:
			l.take(d)
		case <-time.After(left):
		}
	}
}

// take reads one datagram.
func (l *live) take(d datagram) {
	h, msg, err := wire.ParseHeader(d.pkt)
	link := l.p.links[session.ID{Group: h.Group, Instance: h.Instance}]
	if err != nil || link == nil {
		return
	}
	if h.Src != l.p.uid {
		if !slices.Contains(l.others, h.Src) && len(l.others) < strangersMax {
			l.others = append(l.others, h.Src)
		}
		return
	}
	// Times count from the first message on, as those of the capture do.
	now := l.x.start.Add(d.at.Sub(l.begun))
	a := link.heard(now, h, msg, d.pkt, &l.x.ring)
	if a.fn == wire.FuncCCAck {
		return // its sender's clock decides when it comes
	}
	g := gate{id: a.id, fn: a.fn}
	if a.msg != nil {
		g = gateOf(a.id, a.msg)
	}
	if l.counts[g] == 0 || l.latest[g] != a.text {
		l.counts[g]++
		l.latest[g] = a.text
	}
	if len(l.p.got) < answersMax {
		l.p.got = append(l.p.got, a)
	}
}

// report prints the comparison and returns whether all is equal.
func (l *live) report() bool {
	x, p := l.x, l.p
	if x.sealed > 0 {
		fmt.Fprintf(x.t.out, "%d sealed messages stay closed: --keylog or --key is needed\n", x.sealed)
	}
	fmt.Fprintf(x.t.out, "%d datagrams sent, %d blocks withheld that the captured receiver lost; waited %d times for answers\n", l.sent, l.withheld, l.held)
	for _, u := range l.others {
		fmt.Fprintf(x.t.out, "a receiver with UID %v answers too and is not compared\n", u)
	}
	if len(p.got) == 0 {
		fmt.Fprintf(x.t.out, "nobody with UID %v answers: does the receiver run, and with this UID (uftpd -U %v)?\n", p.uid, p.uid)
	}
	if l.gaveUp != 0 {
		fmt.Fprintf(x.t.out, "no answer like packet %d within %v: %s; played on by the clock\n", l.gaveUp, l.o.wait, l.missed)
	}
	same := x.reportAnswers(p.uid, changes(p.want), changes(p.got), "repetitions aside"+p.depth()) && x.sealed == 0
	if !same {
		x.tellGaps()
	}
	return same
}

// changes leaves out answers that repeat the one before about the same subject. How often
// they are repeated depends on the load of two machines.
func changes(list []answer) []answer {
	latest := map[gate]string{}
	return slices.DeleteFunc(slices.Clone(list), func(a answer) bool {
		g := gate{id: a.id, fn: a.fn}
		if a.msg != nil {
			g = gateOf(a.id, a.msg)
		}
		again := latest[g] == a.text
		latest[g] = a.text
		return again
	})
}
