package sender

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"uftp/engine/block"
	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// The data phase (docs/protocol.md, "Data phase"): passes over the needed blocks, each
// followed by DONE and, after NAKs, by a rewind.

// burst is how much of a stall the sender catches up.
const burst = time.Millisecond

// maxPassesAny is Config.MaxPasses when nobody has set a limit.
const maxPassesAny = 65535

// maxFlight bounds the trains on their way out, whatever room the host has for them.
const maxFlight = 1024

// flight is a train on its way out: its section and the number of its first datagram.
type flight struct{ section, seq uint16 }

// passState is the walk over the blocks of the file.
type passState struct {
	rate   int64 // in force, bytes/s; 0 = no limit
	bucket cc.Bucket
	train  int // most blocks of one train

	number  int
	walking bool       // else waiting for answers
	next    int        // block to go on from
	section int        // of the last train planned in this pass; -1 before it
	wakeAt  clock.Time // when the walk goes on; Never = after other input
	naks    bool       // some were taken since the last rewind
	early   bool       // the next pass comes early

	need block.Set // blocks to send: not sent yet, or a client lacks them
	sent block.Set // blocks that were sent before

	// Trains that were planned and have not left, oldest first.
	flight     [maxFlight]flight
	flightHead int
	inFlight   int
	aliveAt    clock.Time // when one of them is overdue and KeepAlive sends a sign of life

	// Of this pass.
	began          clock.Time
	packets, bytes int64
}

// setRate makes trains leave at rate bytes/s, 0 = as fast as the host can send them. A train
// takes at most 1 ms, or is one packet.
func (s *Sender) setRate(rate int64) {
	p := &s.pass
	p.rate = rate
	p.train = min(s.cfg.TrainBlocks, machine.MaxTrainBlocks)
	interval := packetInterval(s.packetBytes, rate)
	if interval > 0 {
		p.train = min(p.train, int(time.Millisecond/interval))
	}
	p.train = max(p.train, 1)
	p.bucket.SetRate(rate, max(burst, time.Duration(p.train)*interval))
}

// packetInterval is the time of one packet at rate, 0 for no limit.
func packetInterval(bytes int, rate int64) time.Duration {
	if rate == 0 {
		return 0
	}
	return time.Duration(int64(bytes) * 1e9 / rate)
}

func (s *Sender) startData(now clock.Time) {
	// If every client resumes (all FILEINFO_ACKs say PARTIAL), ask what is missing before
	// anything is sent.
	s.pass.need.Reset(s.file.layout.Blocks, s.file.fresh || !s.file.acked)
	s.pass.sent.Reset(s.file.layout.Blocks, false)
	s.file.began = now
	if s.cfg.TxWeight > 0 && s.cfg.Rate > 0 && !s.cfg.Adapt.On {
		ideal := float64(s.file.Size) / float64(s.cfg.Rate)
		if limit := math.Floor(float64(s.cfg.TxWeight) / 100 * ideal); limit > 0 {
			s.timers.Set(timerLimit, now.Add(clock.Seconds(limit)))
		}
	}
	s.startPass(now)
}

func (s *Sender) startPass(now clock.Time) {
	p := &s.pass
	p.number++
	p.walking, p.naks, p.early = true, false, false
	p.next, p.section = 0, -1
	p.wakeAt = clock.Never
	p.began, p.packets, p.bytes = now, 0, 0
	p.bucket.Reset(now)
	s.law.Start(now, s.ccGroup(), s.file.layout, &p.need)
	s.followRate()
	s.timers.Stop(timerCycle)
	s.reports.must(PassStarted{p.number})
}

func (s *Sender) stepData(now clock.Time, t *machine.Train) progress {
	switch {
	case s.unfinished() == 0:
		s.endData(now, "")
	case s.timers.Due(timerLimit, now):
		s.reports.must(Notice{TimeExceeded})
		s.giveUpFile(now, "Max file transfer time exceeded")
	case s.pass.walking:
		return s.walk(now, t)
	case s.timers.Due(timerRewind, now):
		s.rewind(now)
	case s.pass.naks && s.in(Active) == 0 && !s.pass.early && s.cfg.MaxPasses >= maxPassesAny:
		s.pass.early = true
		s.armRewind(now)
	case s.pass.naks && !s.timers.Armed(timerRewind):
		s.armRewind(now)
	case s.timers.Due(timerCycle, now):
		switch {
		case s.cycle.attempt < s.cfg.Robust:
			s.doneRound()
		case !s.timers.Armed(timerRewind):
			s.timeOutData(now)
		}
	default:
		return waiting
	}
	return moved
}

// armRewind starts the wait for the next pass: 3·G, time for the answers of all clients. When
// all have answered already, more STATUS messages of them may still be under way. Then the wait
// is a quarter of a GRTT after each; a later one is served when the walk gets to its section.
// Over a satellite this halves the time of repair. If passes are limited, each waits for all
// answers.
func (s *Sender) armRewind(now clock.Time) {
	if !s.timers.Armed(timerRewind) {
		s.report(Notice{RewindStarted})
	}
	wait := s.timerLength(timerRewind)
	if s.pass.early {
		wait = s.advertised() / 4
	}
	s.timers.Set(timerRewind, now.Add(wait))
}

// walk plans the next train, or ends the pass when the last one has left.
func (s *Sender) walk(now clock.Time, t *machine.Train) progress {
	p := &s.pass
	p.wakeAt = clock.Never
	first := p.need.Next(p.next)
	if first == s.file.layout.Blocks {
		p.next = first
		if p.inFlight > 0 {
			return waiting // the timers of DONE run from the moment at which the data has left
		}
		if free := p.bucket.Next(now); free > now {
			p.wakeAt = free
			return waiting
		}
		s.endPass(now)
		return moved
	}
	if p.inFlight == maxFlight {
		return waiting
	}
	if s.law.Ask(now, s.ccGroup(), first, p.section) {
		s.queue(round{fn: wire.FuncDone, bare: true, probe: true, section: p.section})
		return moved
	}
	s.followRate()
	depart := p.bucket.Next(now)
	if depart > now.Add(s.cfg.Lookahead) {
		p.wakeAt = depart.Add(-s.cfg.Lookahead)
		return waiting
	}
	section, _ := s.file.layout.Section(first)
	if section != p.section {
		p.section = section
		s.mayReport(report{client: -1, place: section})
		return moved
	}
	s.plan(now, t, first, section)
	return planned
}

// plan fills t with the needed blocks of a section, from first on.
func (s *Sender) plan(now clock.Time, t *machine.Train, first, section int) {
	p := &s.pass
	end := s.file.layout.First(section + 1)
	n, last := 0, first
	var bytes int64
	for i := first; i < end && n < p.train; i = p.need.Next(i + 1) {
		p.need.Remove(i)
		size := int64(s.file.layout.Len(i))
		bytes += size
		if !p.sent.Add(i) {
			s.counters.RepairPackets++
			s.counters.RepairBytes += size
		}
		t.Block[n] = uint32(i)
		last = i
		n++
	}
	s.law.Planned(t.Block[:n])
	p.next = last + 1
	p.packets += int64(n)
	p.bytes += bytes
	s.counters.DataPackets += int64(n)
	s.counters.DataBytes += bytes

	t.Depart = max(p.bucket.Take(now, n*s.packetBytes), now)
	t.To = s.cfg.Private
	t.Head = s.header(wire.FuncFileSeg, s.seq)
	if p.inFlight == 0 {
		p.aliveAt = t.Depart.Add(s.silence(4))
	}
	p.flight[(p.flightHead+p.inFlight)%maxFlight] = flight{uint16(section), s.seq}
	p.inFlight++
	t.FileID = s.file.id
	t.Layout = s.file.layout
	t.N = n
	t.Rate = p.rate
	s.seq += uint16(n)
	t.Counter = s.dialect.Counters(n)

	s.cycle.attempt = 0 // DONE has its full number of rounds after new data
}

// Departed reports that the oldest trains that Poll gave have left the machine.
func (s *Sender) Departed(now clock.Time, trains int) {
	p := &s.pass
	n := min(max(trains, 0), p.inFlight)
	p.flightHead = (p.flightHead + n) % maxFlight
	p.inFlight -= n
	p.aliveAt = now.Add(s.silence(4))
	s.law.Departed(now, s.ccGroup(), n)
	s.input(now)
}

// sending reports whether section is between the oldest train that has not left and the newest
// one. What a receiver lacks there may be on its way.
func (s *Sender) sending(section int) bool {
	p := &s.pass
	if !p.walking || p.section < 0 {
		return false
	}
	low := p.section
	if p.inFlight > 0 {
		low = int(p.flight[p.flightHead].section)
	}
	return low <= section && section <= p.section
}

func (s *Sender) endPass(now clock.Time) {
	p := &s.pass
	p.walking = false
	s.law.Stop(now)
	s.reports.must(PassEnded{
		FileID: s.file.id, Pass: p.number, Packets: p.packets, Bytes: p.bytes, Elapsed: now.Sub(p.began),
	})
	if p.naks && p.need.Count() == 0 {
		s.forgetNAKs() // all of them were ahead of the walk, which has served them
	}
	s.doneRound()
}

// doneRound asks those that have not answered since the last rewind.
func (s *Sender) doneRound() {
	s.cycle.attempt++
	s.queue(round{fn: wire.FuncDone, number: s.cycle.attempt, bare: true})
	s.timers.SetWhenSent(timerCycle)
}

func (s *Sender) forgetNAKs() {
	s.pass.naks = false
	for i := 0; i < s.roster.Len() && s.in(ActiveNAK) > 0; i++ {
		if c := s.roster.At(i); c.state == ActiveNAK {
			s.setState(c, Active)
		}
	}
}

func (s *Sender) rewind(now clock.Time) {
	s.report(Notice{RewindTripped})
	if s.pass.number >= s.cfg.MaxPasses {
		s.reports.must(Notice{PassesExceeded})
		for i := range s.roster.Len() {
			if c := s.roster.At(i); c.state == Active || c.state == ActiveNAK {
				s.setState(c, Aborted)
				s.abortClient(i, "Max passes exceeded")
			}
		}
		return // nobody is unfinished now
	}
	if s.dropStalled(now) > 0 {
		if s.unfinished() == 0 {
			return
		}
		// The set does not know which blocks only they lacked: the others are asked again.
		s.pass.need.Reset(s.file.layout.Blocks, false)
	}
	s.forgetNAKs()
	s.startPass(now)
}

func (s *Sender) timeOutData(now clock.Time) {
	s.reports.must(Notice{DataTimedOut})
	s.lose(ActiveNAK, LostData)
	s.lose(Active, LostData)
}

// giveUpFile ends the file for all clients that do not have it yet. The ABORT says CURRENT_FILE:
// clients that have the file stay in the session, and so do receivers of this project that do
// not. Stock ones leave; the sender notices when they do not answer for the next file.
func (s *Sender) giveUpFile(now clock.Time, text string) {
	s.abortAll(wire.AbortCurrentFile, text)
	s.undelivered = s.undelivered || s.in(Done) == 0
	var stay []int
	for i := range s.roster.Len() {
		if c := s.roster.At(i); !c.proxy && !c.state.Failed() && c.state != Done {
			stay = append(stay, i)
		}
	}
	s.failUnfinished(Aborted)
	s.givingUp = true
	defer func() { s.givingUp = false }()
	if s.cfg.QuitOnError || s.in(Done)+len(stay) == 0 {
		s.endData(now, text)
		return
	}
	s.endFile(now, text)
	for _, i := range stay {
		c := s.roster.At(i)
		s.setState(c, Active)
		c.givenUp, c.lacks, c.abortedAgain = true, true, 0
	}
	s.enter(now, BetweenFiles)
}

// FileFailed reports that a file cannot be read to its end, and why. It matters only while that
// file is the present one.
func (s *Sender) FileFailed(now clock.Time, fileID uint16, reason string) {
	if s.phase != FileInfo && s.phase != Data || fileID != s.file.id || s.quit.wanted {
		return
	}
	s.input(now)
	s.rounds.n = 0
	s.giveUpFile(now, "Cannot read file: "+reason)
}

// endData leaves the file.
func (s *Sender) endData(now clock.Time, err string) {
	switch {
	case s.cfg.QuitOnError && s.failed() > 0:
		s.dropAll(now, ExitNoFile)
	case s.in(Done) == 0:
		s.endFile(now, err)
		s.end(now, ExitNoFile)
	default:
		s.endFile(now, err)
		s.enter(now, BetweenFiles)
	}
}

// endFile reports what became of the file.
func (s *Sender) endFile(now clock.Time, err string) {
	e := FileEnded{FileID: s.file.id, File: s.file.File, Passes: s.pass.number, Err: err, GivenUp: s.givingUp}
	for i := range s.roster.Len() {
		c := s.roster.At(i)
		if c.proxy {
			continue
		}
		r := Result{Client: s.client(i), State: c.state, NAKs: c.naks, FreeSpace: c.space, HasSpace: c.hasSpace}
		if c.state == Done {
			r.Status = c.status
			if c.done != 0 {
				r.Elapsed = c.done.Sub(s.file.began)
			}
		}
		e.Results = append(e.Results, r)
	}
	if s.file.lastDone != 0 {
		e.Elapsed = s.file.lastDone.Sub(s.file.began)
	}
	s.reports.must(CloseFile{s.file.id})
	s.reports.must(e)
}

// handleStatus takes a STATUS of client i.
func (s *Sender) handleStatus(now clock.Time, from netip.AddrPort, i int, msg []byte) machine.Drop {
	m, err := wire.ParseStatus(s.dialect.Version(), msg)
	if err != nil {
		return machine.DropMalformed
	}
	c := s.roster.At(i)
	if s.phase != Data || c.state != Active && c.state != ActiveNAK {
		return machine.DropPhase
	}
	if m.FileID != s.file.id {
		s.refuse(now, wire.FuncStatus, i, fmt.Sprintf("invalid file ID %04X, expected %04X", m.FileID, s.file.id))
		return machine.DropFile
	}
	section := int(m.Section)
	if section >= s.file.layout.Sections {
		s.refuse(now, wire.FuncStatus, i, "no such section")
		return machine.DropRange
	}
	blocks := s.file.layout.SectionBlocks(section)
	if len(m.NAKs) < block.NAKBytes(blocks) {
		s.refuse(now, wire.FuncStatus, i, "bitmap too short")
		return machine.DropMalformed
	}
	st := cc.Status{Section: section, NAKs: m.NAKs, Sending: s.sending(section)}
	own := s.fromClient(from, c)
	if own && s.answersLaw(now, c, st) {
		return machine.DropNone
	}
	if st.Sending {
		return machine.DropPhase // nothing is lost: DONE will ask its client
	}

	naks := block.CountNAKs(m.NAKs, blocks)
	if naks == 0 {
		return machine.DropNone // and DONE still asks its client
	}
	c.naks += int64(naks)
	s.counters.NAKs += int64(naks)
	excess := false
	// As stock counts: whole bytes only, so a section of fewer than 8 blocks never exceeds
	// the limit. One lost block of a tiny file proves nothing about a receiver.
	if 100*block.CountNAKs(m.NAKs, blocks&^7)/blocks > s.cfg.MaxNAKPct {
		c.excess++
		excess = c.excess >= s.cfg.MaxNAKCount
	}
	s.mayReport(report{client: int32(i), place: section, count: naks, excess: excess})
	if excess {
		s.setState(c, Aborted)
		s.abortClient(i, "Excessive NAKs received")
		return machine.DropNone
	}
	s.lacks(c, section, naks, m.NAKs[(blocks-1)/8]>>((blocks-1)%8)&1 != 0)
	if own {
		s.law.Lacks(&c.cc, st)
	}
	s.pass.need.Merge(m.NAKs, s.file.layout.First(section), blocks)
	s.pass.naks = true
	if s.pass.early && !s.pass.walking {
		s.armRewind(now)
	}
	if c.state == Active {
		s.setState(c, ActiveNAK)
	}
	return machine.DropNone
}

// answersLaw hands a STATUS of client c to the law of congestion. It reports whether the
// STATUS answers a question of the law. Such an answer is not that of the client for this pass:
// DONE asks it again at the end.
func (s *Sender) answersLaw(now clock.Time, c *client, st cc.Status) bool {
	v := s.law.Answer(now, s.ccGroup(), &c.cc, st)
	s.pass.need.Merge(st.NAKs, s.file.layout.First(st.Section), v.Blocks)
	if v.RTT > 0 { // the patience of all clients depends on it
		c.sample = s.grtt.Measure(v.RTT)
		s.updateGRTT()
	}
	return v.Taken
}

// ccGroup returns what the law of congestion may know of the clients.
func (s *Sender) ccGroup() cc.Group { return cc.Group{GRTT: s.advertised(), Open: s.unfinished()} }

// followRate puts the rate of the law in force, if it has changed.
func (s *Sender) followRate() {
	rate := s.law.Rate()
	if rate == s.pass.rate {
		return
	}
	patience := s.patience()
	s.grtt.interval = packetInterval(s.packetBytes, rate)
	s.setCode()
	s.repeatLonger(patience)
	s.setRate(rate)
	s.report(RateChanged{Rate: rate, Loss: s.law.Loss()})
}

// handleComplete takes a COMPLETE of client i, for a file or for the group.
func (s *Sender) handleComplete(now clock.Time, i int, msg []byte) machine.Drop {
	m, err := wire.ParseComplete(msg)
	if err != nil {
		return machine.DropMalformed
	}
	c := s.roster.At(i)
	if len(m.Clients) > 0 {
		s.refuse(now, wire.FuncComplete, i, noProxies)
		return machine.DropFunction
	}
	if c.state.Failed() {
		return machine.DropPhase
	}
	if s.phase == Finishing {
		return s.handleGroupComplete(i, &m)
	}
	if s.phase != FileInfo && s.phase != Data {
		return machine.DropPhase
	}
	if m.FileID != s.file.id {
		s.refuse(now, wire.FuncComplete, i, fmt.Sprintf("invalid file ID %04X, expected %04X", m.FileID, s.file.id))
		return machine.DropFile
	}
	repeat := c.state == Done
	c.givenUp = false
	if !repeat {
		s.setState(c, Done)
		c.status = m.Status
	}
	c.space, c.hasSpace = m.FreeSpace, m.HasSpace
	c.took = c.took || c.status != wire.StatusRejected
	if s.phase == Data {
		c.done = now
		if c.status == wire.StatusNormal || c.status == wire.StatusOverwrite {
			s.file.lastDone = now
		}
	}
	s.reportHeard(Heard{
		Func: wire.FuncComplete, Client: s.client(i), Repeat: repeat, Status: m.Status, FileID: m.FileID,
	})
	return machine.DropNone
}
