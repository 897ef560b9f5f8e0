package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"uftp/tools/internal/session"
	"uftp/wire"
)

// Bounds of one summary.
const (
	membersMax  = 100_000
	filesMax    = 10_000
	momentsMax  = 500
	anomalyMax  = 50
	membersText = 100 // listed in the text form
)

// member is a host that takes part or was asked to.
type member struct {
	uid        wire.UID
	listed     bool // in ANNOUNCE, REG_CONF or FILEINFO
	heard      bool // it sent something, or a proxy did for it
	registered bool
	behind     wire.UID // the proxy that spoke for it, 0 if none
	asked      bool     // to take a file
	acks       int      // FILEINFO_ACKs
	statuses   int
	naks       int64
	completes  int
	abort      string

	rtts           int
	rttMin, rttMax time.Duration
	rttSum         time.Duration
}

// fileStat is one file as the capture shows it.
type fileStat struct {
	id          uint16
	typ         wire.FileType
	name        string
	size        int64
	blocks      int // 0 if not known
	packets     int64
	bytes       int64
	passes      int
	naks        int64
	completes   int
	first, last time.Time // of its data

	index int  // of the last block
	done  bool // a DONE came since
}

// moment is a step of the session.
type moment struct {
	at   time.Time
	what string
}

// summary is what inspect prints about one session.
type summary struct {
	s         *session.Session
	funcs     [32]int
	sealed    int
	closed    int // sealed and not opened
	bytes     int64
	row       row
	doubles   int // datagrams that came twice
	unknown   int // bytes not accounted for
	uids      map[wire.UID]int
	members   []member
	files     []fileStat
	moments   []moment
	dropped   int // moments, files or members that did not fit
	anomalies []string
	more      int // anomalies that did not fit
	series    series
	guard     *ivGuard

	file     int           // index of the present one, -1
	clock    time.Duration // by which the sender's stamps are behind the capture
	hasClock bool
	phase    string
	ended    bool
}

func newSummary(s *session.Session, g *ivGuard) *summary {
	return &summary{s: s, guard: g, uids: map[wire.UID]int{}, file: -1}
}

func (x *summary) anomaly(m *session.Message, format string, args ...any) {
	if len(x.anomalies) == anomalyMax {
		x.more++
		return
	}
	at := ""
	if m != nil {
		at = placeOf(m) + ": "
	}
	x.anomalies = append(x.anomalies, at+fmt.Sprintf(format, args...))
}

// step notes a moment of the timeline once.
func (x *summary) step(m *session.Message, what string) {
	if x.phase == what {
		return
	}
	x.phase = what
	if len(x.moments) == momentsMax {
		x.dropped++
		return
	}
	x.moments = append(x.moments, moment{m.Time, what})
}

// host returns the member with a UID, nil if there are too many.
func (x *summary) host(u wire.UID) *member {
	i, ok := x.uids[u]
	if !ok {
		if len(x.members) == membersMax {
			x.dropped++
			return nil
		}
		i = len(x.members)
		x.uids[u] = i
		x.members = append(x.members, member{uid: u})
	}
	return &x.members[i]
}

// each calls f for the source of a message and all clients it speaks for.
func (x *summary) each(src wire.UID, clients wire.UIDList, f func(*member)) {
	if h := x.host(src); h != nil {
		h.heard = true
		if clients.Len() == 0 {
			f(h)
		}
	}
	for i := range clients.Len() {
		if h := x.host(clients.At(i)); h != nil {
			h.heard, h.behind = true, src
			f(h)
		}
	}
}

// listed notes the hosts of a list; file says that they are asked to take one.
func (x *summary) listed(l wire.UIDList, file bool) {
	for i := range l.Len() {
		if h := x.host(l.At(i)); h != nil {
			h.listed = true
			h.asked = h.asked || file
		}
	}
}

// message counts one message. unknown and err are what BodyFields said of it.
func (x *summary) message(m *session.Message, unknown int, err error) {
	x.funcs[m.Head.Func&31]++
	x.bytes += int64(len(m.Payload))
	x.unknown += unknown
	x.series.add(m.Time, int64(len(m.Payload)), 0)
	if unknown > 0 {
		x.anomaly(m, "%d bytes of %v that are not part of it", unknown, m.Head.Func)
	}
	if m.Sealed {
		x.sealed++
		switch x.guard.check(x.s, m) {
		case ivRepeated:
			x.anomaly(m, "IV counter %d of %v was used before, for another datagram", m.Counter, m.Head.Src)
		case ivDouble:
			x.doubles++
		}
	}
	if x.s.Announced && m.Head.Src == x.s.Sender {
		x.row.take(m.Head)
	}
	switch {
	case m.Err == session.ErrNoKeys || m.Err == session.ErrNotOpen:
		x.closed++
		if m.Err == session.ErrNotOpen {
			x.anomaly(m, "%v", m.Err)
		}
	case err != nil:
		x.anomaly(m, "%v of %d bytes: %v", m.Head.Func, len(m.Payload), err)
	default:
		x.look(m)
	}
}

// row follows a sender's sequence numbers.
type row struct {
	gaps int // numbers that are missing
	last uint16
	some bool
}

// take notes a message of the sender.
func (r *row) take(h wire.Header) {
	if d := int16(h.Seq - r.last); r.some && d > 1 && h.Func != wire.FuncKeyInfo {
		r.gaps += int(d) - 1
	} else if r.some && d < 0 {
		return // out of order
	}
	r.last, r.some = h.Seq, true
}

// stamped notes the sender's clock.
func (x *summary) stamped(m *session.Message, s wire.Stamp) {
	if d := m.Time.Sub(stampTime(s)); !x.hasClock || d < x.clock || d > x.clock+time.Minute {
		x.clock, x.hasClock = d, true
	}
}

// echoed notes the round trip time of an answer: from the place of the capture to the host
// and back.
func (x *summary) echoed(m *session.Message, s wire.Stamp, h *member) {
	if !x.hasClock || s == 0 {
		return
	}
	rtt := max(0, m.Time.Sub(stampTime(s))-x.clock)
	if rtt > 1000*time.Second {
		return
	}
	if h.rtts == 0 || rtt < h.rttMin {
		h.rttMin = rtt
	}
	h.rttMax = max(h.rttMax, rtt)
	h.rttSum += rtt
	h.rtts++
}

func stampTime(s wire.Stamp) time.Time { return time.UnixMicro(int64(s)) }

// ms writes a time in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.3f ms", float64(d)/1e6) }

// finish looks for messages that never came.
func (x *summary) finish() {
	for i := range x.members {
		h := &x.members[i]
		switch {
		case h.listed && !h.heard:
			x.anomaly(nil, "receiver %v never answers", h.uid)
		case h.asked && h.acks+h.completes == 0 && h.abort == "":
			x.anomaly(nil, "receiver %v is asked to take files and does not answer", h.uid)
		case h.heard && h.listed && h.acks > h.completes && h.abort == "" && x.closed == 0:
			x.anomaly(nil, "receiver %v takes %d files and completes %d", h.uid, h.acks, h.completes)
		}
	}
	if x.s.Announced && !x.ended && x.closed == 0 {
		x.anomaly(nil, "the session does not end within the capture")
	}
	if !x.s.Announced {
		x.anomaly(nil, "no ANNOUNCE within the capture")
	}
}

// overhead is the share of the blocks that were sent again.
func (f *fileStat) overhead() float64 {
	if f.blocks == 0 || f.packets <= int64(f.blocks) {
		return 0
	}
	return float64(f.packets-int64(f.blocks)) / float64(f.blocks)
}

func (x *summary) counts() (list []string) {
	for f, n := range x.funcs {
		if n > 0 {
			list = append(list, fmt.Sprintf("%v %d", wire.Func(f), n))
		}
	}
	return list
}

func (x *summary) cover() string {
	switch {
	case !x.s.Announced:
		return "not announced"
	case !x.s.Encrypted:
		return "in clear"
	case x.closed > 0:
		return fmt.Sprintf("%v, %d of %d sealed messages closed", x.s.Suite, x.closed, x.sealed)
	}
	return fmt.Sprintf("%v, opened", x.s.Suite)
}

// write writes the text form.
func (x *summary) write(w io.Writer) error {
	s := x.s
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("session %v, %s s, %d bytes, %s", s.ID, seconds(s.Last.Sub(s.First)), x.bytes, x.cover())
	if s.Announced {
		p("  sender     %v at %v, announces to %v, data to %v, block size %d, robust %d", s.Sender, s.From, s.Public, s.Private, s.BlockSize, s.Robust)
	}
	p("  messages   %s", strings.Join(x.counts(), ", "))
	p("  numbers    %d gaps, %d datagrams twice", x.row.gaps, x.doubles)
	for _, m := range x.moments {
		p("  +%-12s %s", seconds(m.at.Sub(s.First)), m.what)
	}
	for i := range x.members {
		if i == membersText {
			p("  ... and %d members more", len(x.members)-i)
			break
		}
		x.members[i].write(p)
	}
	for i := range x.files {
		f := &x.files[i]
		p("  file %-5d %s %q, %d bytes, %d complete", f.id, session.FileType(f.typ), f.name, f.size, f.completes)
		if f.packets > 0 {
			rate := 0.0
			if d := f.last.Sub(f.first).Seconds(); d > 0 {
				rate = float64(f.bytes) / d
			}
			p("             %d packets for %d blocks in %d passes, %d NAKs, %.1f %% sent again, %s s, %.0f bytes/s",
				f.packets, f.blocks, f.passes, f.naks, 100*f.overhead(), seconds(f.last.Sub(f.first)), rate)
		}
	}
	for _, a := range x.anomalies {
		p("  anomaly    %s", a)
	}
	if x.more > 0 {
		p("  ... and %d anomalies more", x.more)
	}
	if x.dropped > 0 {
		p("  ... and %d files, members or steps more than are listed", x.dropped)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (h *member) write(p func(string, ...any)) {
	var l []string
	if h.behind != 0 {
		l = append(l, fmt.Sprintf("behind %v", h.behind))
	}
	if !h.heard {
		l = append(l, "silent")
	}
	if h.registered {
		l = append(l, "registered")
	}
	l = append(l, fmt.Sprintf("%d files taken, %d complete, %d NAKs in %d STATUS", h.acks, h.completes, h.naks, h.statuses))
	if h.rtts > 0 {
		l = append(l, fmt.Sprintf("RTT %s to %s, mean %s of %d", ms(h.rttMin), ms(h.rttMax), ms(h.rttSum/time.Duration(h.rtts)), h.rtts))
	}
	if h.abort != "" {
		l = append(l, fmt.Sprintf("aborts: %q", h.abort))
	}
	p("  %v %s", h.uid, strings.Join(l, ", "))
}

// picture returns the JSON form.
func (x *summary) picture() session.Fields {
	s := x.s
	msgs := session.Fields{}
	for f, n := range x.funcs {
		if n > 0 {
			msgs = append(msgs, session.Field{Name: wire.Func(f).String(), Value: n})
		}
	}
	members, files, moments := []session.Fields{}, []session.Fields{}, []session.Fields{}
	for i := range x.members {
		h := &x.members[i]
		f := session.Fields{
			{Name: "uid", Value: h.uid.String()}, {Name: "answers", Value: h.heard}, {Name: "registered", Value: h.registered},
			{Name: "files_taken", Value: h.acks}, {Name: "files_complete", Value: h.completes}, {Name: "naks", Value: h.naks}, {Name: "statuses", Value: h.statuses},
		}
		if h.behind != 0 {
			f = append(f, session.Field{Name: "proxy", Value: h.behind.String()})
		}
		if h.rtts > 0 {
			f = append(f, session.Field{Name: "rtt_ms", Value: []float64{micro(h.rttMin), micro(h.rttSum / time.Duration(h.rtts)), micro(h.rttMax)}})
		}
		if h.abort != "" {
			f = append(f, session.Field{Name: "abort", Value: h.abort})
		}
		members = append(members, f)
	}
	for i := range x.files {
		f := &x.files[i]
		files = append(files, session.Fields{
			{Name: "file", Value: f.id}, {Name: "type", Value: session.FileType(f.typ)}, {Name: "name", Value: f.name}, {Name: "size", Value: f.size},
			{Name: "blocks", Value: f.blocks}, {Name: "packets", Value: f.packets}, {Name: "data_bytes", Value: f.bytes}, {Name: "passes", Value: f.passes},
			{Name: "naks", Value: f.naks}, {Name: "sent_again", Value: math.Round(f.overhead()*1e4) / 1e4}, {Name: "complete", Value: f.completes},
			{Name: "data_s", Value: micro(f.last.Sub(f.first)) / 1000},
		})
	}
	for _, m := range x.moments {
		moments = append(moments, session.Fields{{Name: "at_s", Value: micro(m.at.Sub(s.First)) / 1000}, {Name: "what", Value: m.what}})
	}
	return session.Fields{
		{Name: "kind", Value: "session"}, {Name: "session", Value: s.ID.String()}, {Name: "announced", Value: s.Announced},
		{Name: "first", Value: s.First.Format(time.RFC3339Nano)}, {Name: "duration_s", Value: micro(s.Last.Sub(s.First)) / 1000},
		{Name: "sender", Value: s.Sender.String()}, {Name: "from", Value: s.From.String()}, {Name: "public", Value: s.Public.String()},
		{Name: "private", Value: s.Private.String()}, {Name: "block_size", Value: s.BlockSize}, {Name: "robust", Value: s.Robust},
		{Name: "encrypted", Value: s.Encrypted}, {Name: "sealed", Value: x.sealed}, {Name: "closed", Value: x.closed},
		{Name: "bytes", Value: x.bytes}, {Name: "unknown_bytes", Value: x.unknown}, {Name: "gaps", Value: x.row.gaps}, {Name: "doubles", Value: x.doubles},
		{Name: "messages", Value: msgs}, {Name: "timeline", Value: moments}, {Name: "members", Value: members}, {Name: "files", Value: files},
		{Name: "anomalies", Value: slices.Concat([]string{}, x.anomalies)}, {Name: "anomalies_more", Value: x.more}, {Name: "not_listed", Value: x.dropped},
	}
}

// micro returns milliseconds, to the microsecond.
func micro(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }
