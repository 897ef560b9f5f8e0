package main

import (
	"fmt"
	"hash/maphash"
	"time"

	"uftp/tools/internal/session"
	"uftp/wire"
)

// look reads a message that could be parsed.
func (x *summary) look(m *session.Message) {
	switch m.Head.Func {
	case wire.FuncAnnounce:
		a, _ := wire.ParseAnnounce(m.Head.Version, m.Msg)
		x.stamped(m, a.Time)
		x.listed(a.Hosts, false)
		x.step(m, "ANNOUNCE")
	case wire.FuncRegister:
		r, _ := wire.ParseRegister(m.Head.Version, m.Msg)
		x.step(m, "REGISTER")
		x.each(m.Head.Src, r.Clients, func(h *member) { h.registered = true })
		if h := x.host(m.Head.Src); h != nil {
			x.echoed(m, r.Time, h)
		}
	case wire.FuncRegConf:
		l, _ := wire.ParseHostList(m.Msg)
		x.listed(l.Hosts, false)
		x.step(m, "REG_CONF")
	case wire.FuncKeyInfo:
		x.step(m, "KEYINFO")
	case wire.FuncClientKey, wire.FuncKeyInfoAck:
		x.each(m.Head.Src, nil, func(*member) {})
	case wire.FuncFileInfo:
		x.fileInfo(m)
	case wire.FuncFileInfoAck:
		a, _ := wire.ParseFileInfoAck(m.Head.Version, m.Msg)
		x.each(m.Head.Src, a.Clients, func(h *member) { h.acks++ })
		if h := x.host(m.Head.Src); h != nil {
			x.echoed(m, a.Time, h)
		}
	case wire.FuncFileSeg:
		x.fileSeg(m)
	case wire.FuncDone:
		d, _ := wire.ParseDone(m.Msg)
		if d.FileID == 0 {
			x.step(m, "DONE of the session")
			return
		}
		if f := x.fileOf(d.FileID); f != nil {
			f.done = true
		}
		if l := x.s.Layout(d.FileID); l != nil && int(d.Section) >= max(1, l.Sections) {
			x.anomaly(m, "DONE for section %d of file %d, which has %d", d.Section, d.FileID, l.Sections)
		}
	case wire.FuncStatus:
		x.status(m)
	case wire.FuncComplete:
		x.complete(m)
	case wire.FuncDoneConf:
		x.ended = true
		x.step(m, "DONE_CONF")
	case wire.FuncAbort:
		x.abort(m)
	case wire.FuncCongCtrl:
		c, _ := wire.ParseCongCtrl(m.Head.Version, m.Msg)
		x.stamped(m, c.Time)
	case wire.FuncCCAck:
		a, _ := wire.ParseCCAck(m.Head.Version, m.Msg)
		if h := x.host(m.Head.Src); h != nil {
			h.heard = true
			x.echoed(m, a.CC.Time, h)
		}
	}
}

// fileOf returns the present file if it has that ID.
func (x *summary) fileOf(id uint16) *fileStat {
	if x.file < 0 || x.files[x.file].id != id {
		return nil
	}
	return &x.files[x.file]
}

func (x *summary) fileInfo(m *session.Message) {
	f, _ := wire.ParseFileInfo(m.Head.Version, m.Msg)
	x.stamped(m, f.Time)
	x.listed(f.Hosts, true)
	if x.fileOf(f.FileID) != nil {
		return
	}
	x.file = -1
	if len(x.files) == filesMax {
		x.dropped++
		return
	}
	st := fileStat{id: f.FileID, typ: f.Type, name: string(f.Name), size: f.Size, index: -1}
	if l := x.s.Layout(f.FileID); l != nil && f.Type == wire.TypeFile {
		st.blocks = l.Blocks
	}
	x.file = len(x.files)
	x.files = append(x.files, st)
	x.step(m, fmt.Sprintf("FILEINFO %d %q", f.FileID, f.Name))
}

func (x *summary) fileSeg(m *session.Message) {
	s, _ := wire.ParseFileSeg(m.Msg)
	f := x.fileOf(s.FileID)
	if f == nil {
		x.anomaly(m, "FILESEG of file %d without its FILEINFO", s.FileID)
		return
	}
	if f.packets == 0 {
		f.first = m.Time
	}
	f.last = m.Time
	f.packets++
	f.bytes += int64(len(s.Data))
	l := x.s.Layout(s.FileID)
	if l == nil {
		return
	}
	i, ok := l.Index(int(s.Section), int(s.Block))
	switch {
	case !ok:
		x.anomaly(m, "FILESEG of block %d of section %d, which file %d has not", s.Block, s.Section, s.FileID)
		return
	case l.Len(i) != len(s.Data):
		x.anomaly(m, "FILESEG with %d bytes of block %d of file %d, which has %d", len(s.Data), i, s.FileID, l.Len(i))
	}
	// Passes go forward; a new one begins after a DONE.
	if f.passes == 0 || f.done && i <= f.index {
		f.passes++
		x.step(m, fmt.Sprintf("file %d, pass %d", f.id, f.passes))
		x.series.pass(m.Time)
	}
	f.index, f.done = i, false
}

func (x *summary) status(m *session.Message) {
	s, _ := wire.ParseStatus(m.Head.Version, m.Msg)
	n := session.NAKs(x.s, &s)
	if h := x.host(m.Head.Src); h != nil {
		h.heard = true
		h.statuses++
		h.naks += int64(n)
	}
	if f := x.fileOf(s.FileID); f != nil {
		f.naks += int64(n)
	}
	x.series.add(m.Time, 0, n)
	if l := x.s.Layout(s.FileID); l != nil && int(s.Section) >= l.Sections {
		x.anomaly(m, "STATUS of %v for section %d of file %d, which has %d", m.Head.Src, s.Section, s.FileID, l.Sections)
	}
}

func (x *summary) complete(m *session.Message) {
	c, _ := wire.ParseComplete(m.Msg)
	x.each(m.Head.Src, c.Clients, func(h *member) {
		if c.FileID != 0 {
			h.completes++
		}
	})
	if f := x.fileOf(c.FileID); f != nil {
		f.completes += max(1, c.Clients.Len())
		x.step(m, fmt.Sprintf("COMPLETE of file %d", f.id))
	}
}

func (x *summary) abort(m *session.Message) {
	a, _ := wire.ParseAbort(m.Msg)
	x.step(m, fmt.Sprintf("ABORT of %v: %q", m.Head.Src, a.Text))
	if x.s.Announced && m.Head.Src == x.s.Sender {
		x.ended = x.ended || a.Host == 0
		if a.Host != 0 {
			if h := x.host(a.Host); h != nil {
				h.abort = "sent by the sender: " + string(a.Text)
			}
		}
		return
	}
	if h := x.host(m.Head.Src); h != nil {
		h.heard, h.abort = true, string(a.Text)
	}
}

// ivGuard looks for counters that come twice under one key.
type ivGuard struct {
	seed  maphash.Seed
	rings map[ivSource]*[ivRing]ivEntry
}

// Sources watched, and datagrams remembered of each: 64 MiB in all.
const (
	ivSources = 1024
	ivRing    = 4096
)

type ivSource struct {
	s   *session.Session
	uid wire.UID
}

type ivEntry struct{ counter, hash uint64 }

type ivResult uint8

const (
	ivNew      ivResult = iota
	ivDouble            // the same datagram again
	ivRepeated          // another datagram with the same counter
)

func (g *ivGuard) check(s *session.Session, m *session.Message) ivResult {
	if g.rings == nil {
		g.seed, g.rings = maphash.MakeSeed(), map[ivSource]*[ivRing]ivEntry{}
	}
	key := ivSource{s, m.Head.Src}
	ring := g.rings[key]
	if ring == nil {
		if len(g.rings) >= ivSources {
			clear(g.rings) // memory must not grow
		}
		ring = new([ivRing]ivEntry)
		g.rings[key] = ring
	}
	e := &ring[m.Counter%ivRing]
	now := ivEntry{m.Counter, maphash.Bytes(g.seed, m.Payload)}
	switch {
	case m.Counter == 0 || e.counter < m.Counter:
		*e = now
		return ivNew
	case *e == now:
		return ivDouble
	case e.counter == m.Counter:
		return ivRepeated
	}
	return ivNew // too old to know
}

// series is the rate and the NAKs over time, in a fixed number of bins. The bins become
// wider as the session goes on.
type series struct {
	start  time.Time
	width  time.Duration
	n      int // bins in use
	bins   [seriesBins]bin
	passes []time.Time
}

const (
	seriesBins = 512
	passesMax  = 1000
)

type bin struct {
	bytes int64
	naks  int64
}

func (s *series) add(at time.Time, bytes int64, naks int) {
	if s.width == 0 {
		s.start, s.width = at, time.Millisecond
	}
	i := max(0, at.Sub(s.start)/s.width)
	for i >= seriesBins {
		for k := range s.bins {
			if k < seriesBins/2 {
				a, b := s.bins[2*k], s.bins[2*k+1]
				s.bins[k] = bin{a.bytes + b.bytes, a.naks + b.naks}
			} else {
				s.bins[k] = bin{}
			}
		}
		s.width *= 2
		s.n = (s.n + 1) / 2
		i = at.Sub(s.start) / s.width
	}
	s.bins[i].bytes += bytes
	s.bins[i].naks += int64(naks)
	s.n = max(s.n, int(i)+1)
}

func (s *series) pass(at time.Time) {
	if len(s.passes) < passesMax {
		s.passes = append(s.passes, at)
	}
}
