package sim

import (
	"time"

	"uftp/engine/clock"
	"uftp/engine/sender"
	"uftp/wire"
)

// pace checks the departures of data against the rate: with r the rate and b the
// allowance, no span of t ever carries more than r*t+b. It is a leaky bucket: the
// level rises with every packet, falls with r, and must not exceed b.
type pace struct {
	rate  float64 // bytes/s, 0 = no check
	allow float64 // bytes
	level float64
	last  clock.Time
}

// catchUp is the longest stall that a sender may make up for.
const catchUp = time.Millisecond

func newPace(cfg *sender.Config) pace {
	full := float64(cfg.PacketBytes())
	p := pace{rate: float64(cfg.Rate)}
	if cfg.Adapt.On {
		p.rate = float64(cfg.Adapt.Most)
	}
	perMs := p.rate * catchUp.Seconds()
	train := max(full, min(perMs, full*float64(cfg.TrainBlocks)))
	// A train leaves at once, a sender may make up for one more, and a packet may wait
	// behind a control packet for the line.
	p.allow = 2*train + perMs + 2*full
	return p
}

// took counts a block of n bytes that leaves at a moment.
func (p *pace) took(s *Sender, at clock.Time, n int) {
	if p.rate == 0 {
		return
	}
	p.level = max(0, p.level-p.rate*at.Sub(p.last).Seconds()) + float64(n+s.Config.PacketBytes()-s.Config.BlockSize)
	p.last = at
	if p.level > p.allow {
		s.w.Fail("%s is %.0f bytes ahead of its rate of %.0f bytes/s, allowed are %.0f", s, p.level, p.rate, p.allow)
		p.level = 0
	}
}

// checkSent checks a packet of a sender.
func (s *Sender) checkSent(p *packet, at clock.Time) {
	h := s.w.checkPacket(p, s.name)
	if h.Src != s.Config.UID || h.Group != s.Config.Group || h.Instance != s.Config.Instance {
		s.w.Fail("%s sends as %v of group %08X/%d: %s", s, h.Src, h.Group, h.Instance, wire.Describe(p.data))
	}
	if s.started && h.Seq != s.seq {
		s.w.Fail("%s sends number %d after %d: %s", s, h.Seq, s.seq-1, wire.Describe(p.data))
	}
	if !s.started && h.Seq != 0 {
		s.w.Fail("%s starts with number %d, stock receivers want 0", s, h.Seq)
	}
	s.seq, s.started = h.Seq+1, true
	s.checkCounter(&h, p.data[wire.HeaderLen:])
	if (h.Func == wire.FuncAnnounce) != (p.to == s.Config.Public) && s.Config.Public != s.Config.Private && p.to.Addr().IsMulticast() {
		s.w.Fail("%s sends %v to %v", s, h.Func, p.to)
	}
}

// checkCounter checks that no counter of a key comes twice, and that counters are in the order
// of the line. A killed sender may have taken some that never left.
func (s *Sender) checkCounter(h *wire.Header, msg []byte) {
	if !s.Config.Dialect.Encrypted() {
		return
	}
	var counter uint64
	switch h.Func {
	case wire.FuncEncrypted:
		m, _ := wire.ParseEncrypted(msg)
		counter = m.Counter
	case wire.FuncKeyInfo:
		m, _ := wire.ParseKeyInfo(h.Version, msg)
		counter = m.Counter
	case wire.FuncAnnounce, wire.FuncAbort:
		return
	default:
		s.w.Fail("%s says %v in clear", s, h.Func)
	}
	if counter <= s.counter {
		s.w.Fail("%s uses counter %d after %d", s, counter, s.counter)
	}
	s.counter = counter
}

// checkSent checks a packet of a receiver: its form, its number and its share.
func (r *Receiver) checkSent(p *packet) {
	h := r.w.checkPacket(p, r.name)
	if h.Src != r.Config.UID {
		r.w.Fail("%s sends as %v", r, h.Src)
	}
	r.said++
	if h.Group != 0 {
		key := uint64(h.Group)<<8 | uint64(h.Instance)
		next, ok := r.seqs[key]
		if ok && h.Seq != next && h.Seq != 0 {
			r.w.Fail("%s sends number %d, want %d: %s", r, h.Seq, next, wire.Describe(p.data))
		}
		r.seqs[key] = h.Seq + 1
		r.checkCounter(key, h.Func, p.data[wire.HeaderLen:])
	}
	// A receiver may answer each control packet at once and once more later, for each
	// section. Timers of 4 GRTT limit what it sends unasked; GRTT is at least 10 ms unless
	// a packet was mangled.
	timer := 20 * time.Millisecond
	if r.w.mangled {
		timer = 4 * time.Millisecond
	}
	limit := 8 + 2*(r.heard+1)*int64(r.sections()) + int64(r.w.now.Sub(r.since)/timer)
	if r.said > limit {
		r.w.Fail("%s has sent %d packets after hearing %d: %s", r, r.said, r.heard, wire.Describe(p.data))
		r.said = -1 << 40 // report it once
	}
}

// checkCounter checks that counters rise, also when the receiver was off between, and that
// nothing is in clear once something of this life was sealed. A registration whose keys nothing
// has proved yet may be.
func (r *Receiver) checkCounter(key uint64, fn wire.Func, msg []byte) {
	if fn != wire.FuncEncrypted {
		again := (fn == wire.FuncRegister || fn == wire.FuncClientKey) && !r.proved[key]
		if r.sealed[key] && !again {
			r.w.Fail("%s says %v in clear", r, fn)
		}
		return
	}
	m, _ := wire.ParseEncrypted(msg)
	if m.Counter <= r.keyed[key] {
		r.w.Fail("%s uses counter %d after %d", r, m.Counter, r.keyed[key])
	}
	r.keyed[key], r.sealed[key] = m.Counter, true
}

// sections returns the most sections of an open file, at least 1.
func (r *Receiver) sections() int {
	n := 1
	if o := r.Disk.current; o != nil {
		n = max(n, o.layout.Sections)
	}
	return n
}

// checkPacket parses a packet and returns its header.
func (w *World) checkPacket(p *packet, who string) wire.Header {
	h, msg, err := wire.ParseHeader(p.data)
	if err == nil {
		err = parse(&h, msg)
	}
	if err != nil {
		w.Fail("%s sends what does not parse: %v: %s", who, err, wire.Describe(p.data))
	}
	return h
}

func parse(h *wire.Header, msg []byte) (err error) {
	switch h.Func {
	case wire.FuncAnnounce:
		_, err = wire.ParseAnnounce(h.Version, msg)
	case wire.FuncRegister:
		_, err = wire.ParseRegister(h.Version, msg)
	case wire.FuncRegConf, wire.FuncDoneConf:
		_, err = wire.ParseHostList(msg)
	case wire.FuncFileInfo:
		_, err = wire.ParseFileInfo(h.Version, msg)
	case wire.FuncFileInfoAck:
		_, err = wire.ParseFileInfoAck(h.Version, msg)
	case wire.FuncFileSeg:
		_, err = wire.ParseFileSeg(msg)
	case wire.FuncDone:
		_, err = wire.ParseDone(msg)
	case wire.FuncStatus:
		_, err = wire.ParseStatus(h.Version, msg)
	case wire.FuncComplete:
		_, err = wire.ParseComplete(msg)
	case wire.FuncAbort:
		_, err = wire.ParseAbort(msg)
	case wire.FuncClientKey:
		_, err = wire.ParseClientKey(msg)
	case wire.FuncKeyInfo:
		_, err = wire.ParseKeyInfo(h.Version, msg)
	case wire.FuncEncrypted:
		_, err = wire.ParseEncrypted(msg)
	case wire.FuncHBReq:
		_, err = wire.ParseHBReq(msg)
	default:
		err = wire.ErrFunc
	}
	return err
}

// checkResults checks that no receiver is reported done without the file.
func (w *World) checkResults(s *Sender, ev *sender.FileEnded) {
	if w.mangled {
		return
	}
	var f *File
	for _, o := range s.byID {
		if o.Name == ev.File.Name && o.MTime == ev.File.MTime && o.Size == ev.File.Size {
			f = o
		}
	}
	if f == nil {
		w.Fail("%s ends file %d, %s, which it never started", s, ev.FileID, ev.File.Name)
		return
	}
	if f.Type != wire.TypeFile {
		return
	}
	for _, res := range ev.Results {
		if res.State != sender.Done || res.Status == wire.StatusRejected {
			continue
		}
		for _, r := range w.receivers {
			if r.Config.UID == res.Client.UID && r.Disk.Answer == nil && !r.Disk.Has(f) {
				w.Fail("%s reports %s done with %s (status %d), but the disk does not have it", s, r, f.Name, res.Status)
			}
		}
	}
}

// final checks what must hold at the end of a run.
func (w *World) final() {
	for _, s := range w.senders {
		if !s.ended {
			continue
		}
		for i, c := range s.Ended.Clients {
			if st := s.Ended.States[i]; st != sender.Done && !st.Failed() && s.Ended.Exit == sender.ExitOK {
				w.Fail("%s ends with %v in state %v", s, c.UID, st)
			}
		}
	}
}
