package sim

import (
	"fmt"
	"net/netip"
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/seal"
	"uftp/engine/sender"
	"uftp/wire"
)

// txSlots is the most trains and packets that wait for their departure.
const txSlots = 64

// udpHeaders are the bytes of UDP and IP headers on the line.
const udpHeaders = 8 + 20

// Sender is the host of a sender machine.
type Sender struct {
	host
	Config sender.Config
	// Files are sent in order. OfferDelay is the time to find one.
	Files      []*File
	OfferDelay time.Duration
	// Hook sees every event after the sender has dealt with it.
	Hook func(machine.Event)

	// Results.
	Results []sender.FileEnded
	Ended   sender.SessionEnded // valid when Done returns true

	index int
	addr  netip.AddrPort
	m     *sender.Sender
	ended bool
	next  int              // of Files
	byID  map[uint16]*File // announced
	open  uint16           // file ID that may be planned, 0 = none
	offer *File

	queue   []txItem
	head    int
	leaving bool       // an event for the head of the queue is under way
	line    clock.Time // when the line is free

	packer  *seal.Packer
	packed  []byte // a train, of which each datagram becomes a packet
	counter uint64 // the last one on the line
	seq     uint16 // next
	started bool   // seq is valid
	pace    pace
}

// txItem waits for its departure: a train, or a packet when N is 0.
type txItem struct {
	train machine.Train
	pkt   *packet
}

// AddSender adds a sender that starts with the world. [Defaults] fills in
// what cfg leaves open; group and UID get values of their own.
func (w *World) AddSender(cfg sender.Config, files ...*File) *Sender {
	s := w.NewSender(cfg, files...)
	s.StartNow()
	return s
}

// NewSender adds a sender that is off until StartNow.
func (w *World) NewSender(cfg sender.Config, files ...*File) *Sender {
	n := len(w.senders)
	s := &Sender{Config: Defaults(cfg), Files: files, index: n}
	if s.Config.Group == 0 {
		s.Config.Group = 0xD0000000 + uint32(n)
	}
	if s.Config.UID == 0 {
		s.Config.UID = wire.UID(0x0A000001 + n)
	}
	s.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + n)}), uint16(40000+n))
	s.w, s.name = w, fmt.Sprintf("sender %d", n)
	s.room = func() bool { return len(s.queue)-s.head < txSlots && !s.ended }
	s.do = s.carryOut
	for _, f := range files {
		w.files[fileKey{f.Name, f.MTime, f.Size}] = f
	}
	w.senders = append(w.senders, s)
	return s
}

// NewInstance adds a sender that is off until StartNow and goes on with the session of
// first: on the same host, under the same UID, from another port.
func (w *World) NewInstance(first *Sender, cfg sender.Config, files ...*File) *Sender {
	cfg.Group, cfg.Instance, cfg.UID = first.Config.Group, first.Config.Instance+1, first.Config.UID
	s := w.NewSender(cfg, files...)
	s.addr = netip.AddrPortFrom(first.addr.Addr(), s.addr.Port())
	return s
}

// Defaults fills in the defaults of the command.
func Defaults(cfg sender.Config) sender.Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&cfg.GRTT, 500*time.Millisecond)
	set(&cfg.MinGRTT, 10*time.Millisecond)
	set(&cfg.MaxGRTT, 15*time.Second)
	set(&cfg.Lookahead, 5*time.Millisecond)
	num := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	num(&cfg.BlockSize, wire.DefaultBlockSize)
	num(&cfg.Robust, 20)
	num(&cfg.MaxNAKPct, 100)
	num(&cfg.MaxNAKCount, 1)
	num(&cfg.MaxPasses, 65535)
	num(&cfg.StallPasses, 20)
	num(&cfg.TrainBlocks, machine.MaxTrainBlocks)
	num(&cfg.LowerLayers, udpHeaders)
	if !cfg.Public.IsValid() {
		cfg.Public = Public
	}
	if !cfg.Private.IsValid() {
		cfg.Private = Private
		if cfg.Unicast {
			cfg.Private = cfg.Public
		}
	}
	return cfg
}

// StartNow switches the sender on.
func (s *Sender) StartNow() {
	var err error
	if s.packer, err = s.Config.Dialect.NewPacker(s.Config.BlockSize); err != nil {
		s.w.Fail("%s cannot be set up: %v", s, err)
	}
	s.packed = make([]byte, s.Config.TrainBlocks*s.packer.Stride())
	s.m = sender.New(s.Config, s.w.now)
	s.begin(s.m)
	s.byID = map[uint16]*File{}
	s.pace = newPace(&s.Config)
	if s.w.running {
		s.settle()
	}
}

// Kill switches the sender off as a power cut does: packets that have not left are lost.
func (s *Sender) Kill() {
	s.up = false
	for _, it := range s.queue[s.head:] {
		if it.pkt != nil {
			it.pkt.release()
		}
	}
	s.queue, s.head = nil, 0
}

// Stop stops the sender as a signal does.
func (s *Sender) Stop() {
	if s.up {
		s.m.Stop(s.w.now)
		s.settle()
	}
}

// Done reports whether the session has ended.
func (s *Sender) Done() bool { return s.ended }

// Stats returns the stats of the machine.
func (s *Sender) Stats() sender.Stats { return s.m.Stats() }

// Result returns the outcome of a file at a client, "" before there is one.
func (s *Sender) Result(file string, uid wire.UID) (r sender.Result, ok bool) {
	for i := range s.Results {
		if s.Results[i].File.Name != file {
			continue
		}
		for _, r := range s.Results[i].Results {
			if r.Client.UID == uid {
				return r, true
			}
		}
	}
	return r, false
}

// carryOut carries out a request of the machine.
func (s *Sender) carryOut(k machine.Kind, out *machine.Out) {
	switch k {
	case machine.PacketKind:
		s.enqueue(txItem{pkt: s.w.packet(s.addr, out.Packet.To, out.Packet.Data)})
	case machine.TrainKind:
		if out.Train.FileID != s.open {
			s.w.Fail("%s plans a train of file %d, open is %d", s, out.Train.FileID, s.open)
		}
		if n := out.Train.N; n < 1 || n > s.Config.TrainBlocks {
			s.w.Fail("%s plans a train of %d blocks, at most %d are allowed", s, n, s.Config.TrainBlocks)
			return
		}
		s.enqueue(txItem{train: out.Train})
	case machine.EventKind:
		s.event(out.Event)
	}
}

func (s *Sender) event(ev machine.Event) {
	s.trace(ev)
	if s.ended {
		s.w.Fail("%s: %T after the end of the session", s, ev)
	}
	switch ev := ev.(type) {
	case sender.SharedUID:
		s.w.Fail("%s takes one receiver for two: %+v", s, ev)
	case sender.NeedFile:
		if s.OfferDelay > 0 {
			m := s.m
			s.w.events.Push(s.w.now.Add(s.OfferDelay), event{call: func() {
				if s.up && s.m == m {
					s.onTime()
					s.offerNext()
					s.settle()
				}
			}})
		} else {
			s.offerNext()
		}
	case sender.FileStarted:
		s.byID[ev.FileID] = s.offer
		s.open = ev.FileID
	case sender.CloseFile:
		s.open = 0
	case sender.FileEnded:
		s.Results = append(s.Results, ev)
		s.w.checkResults(s, &ev)
	case sender.SessionEnded:
		s.ended = true
		s.Ended = ev
	}
	if s.Hook != nil {
		s.Hook(ev)
	}
}

// offerNext gives the next file that the machine takes.
func (s *Sender) offerNext() {
	for s.next < len(s.Files) {
		f := s.Files[s.next]
		s.next++
		s.offer = f
		err := s.m.Offer(s.w.now, sender.File{Type: f.Type, Name: f.Name, Link: f.Link, Size: f.Size, MTime: f.MTime})
		if err == nil {
			return
		}
		if s.w.Trace != nil {
			fmt.Fprintf(s.w.Trace, "%v %s cannot send %s: %v\n", s.w.Now(), s, f.Name, err)
		}
	}
	s.m.EndOfFiles(s.w.now)
}

func (s *Sender) enqueue(it txItem) {
	if s.head > 0 && len(s.queue) == cap(s.queue) {
		n := copy(s.queue, s.queue[s.head:])
		clear(s.queue[n:])
		s.queue, s.head = s.queue[:n], 0
	}
	s.queue = append(s.queue, it)
	s.depart()
}

// depart makes the event for the head of the queue.
func (s *Sender) depart() {
	if s.leaving || s.head == len(s.queue) {
		return
	}
	s.leaving = true
	at := max(s.line, s.w.now)
	if it := &s.queue[s.head]; it.pkt == nil {
		at = max(at, it.train.Depart)
	}
	m := s.m
	s.w.events.Push(at, event{call: func() {
		if s.m == m {
			s.leaving = false
			if s.up {
				s.leave()
			}
		}
	}})
}

// leave puts the head of the queue on the line.
func (s *Sender) leave() {
	it := &s.queue[s.head]
	trains := 0
	if it.pkt != nil {
		s.checkSent(it.pkt, s.w.now)
		s.w.send(it.pkt, s.w.now, nil)
		s.line = s.w.now.Add(s.onLine(len(it.pkt.data)))
	} else {
		s.line = s.w.now
		s.sendTrain(&it.train)
		trains = 1
	}
	*it = txItem{}
	s.head++
	if s.head == len(s.queue) {
		s.queue, s.head = s.queue[:0], 0
	}
	s.depart()
	if s.ended {
		s.up = s.head < len(s.queue)
		return
	}
	s.onTime()
	if trains > 0 {
		s.m.Departed(s.w.now, trains)
	}
	s.settle()
}

func (s *Sender) onLine(n int) time.Duration {
	return time.Duration(int64(n+udpHeaders) * 1e9 / s.w.LineRate)
}

// sendTrain builds the packets of a train and puts them on the line one after the other.
func (s *Sender) sendTrain(t *machine.Train) {
	f := s.byID[t.FileID]
	for _, i := range t.Block[:t.N] {
		if f.FailAt > 0 && t.Layout.Offset(int(i))+int64(t.Layout.Len(int(i))) > f.FailAt {
			s.seq += uint16(t.N)
			s.counter += uint64(t.N)
			s.m.FileFailed(s.w.now, t.FileID, "the file became shorter while it was sent")
			return
		}
	}
	stride := s.packer.Stride()
	for k, i := range t.Block[:t.N] {
		f.read(s.packer.Put(s.packed, t, k), t.Layout.Offset(int(i)))
	}
	n, err := s.packer.Seal(s.packed, t)
	if err != nil {
		s.w.Fail("%s cannot seal: %v", s, err)
		return
	}
	for k, i := range t.Block[:t.N] {
		p := s.w.packet(s.addr, t.To, s.packed[k*stride:min((k+1)*stride, n)])
		p.file, p.off = f, t.Layout.Offset(int(i))
		s.checkSent(p, s.line)
		s.pace.took(s, s.line, t.Len(k))
		at := s.line
		s.line = s.line.Add(s.onLine(len(p.data)))
		s.w.send(p, at, nil)
	}
}
