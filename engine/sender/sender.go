package sender

import (
	"net/netip"
	"time"

	"uftp/engine/block"
	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/engine/dialect"
	"uftp/engine/group"
	"uftp/engine/machine"
	"uftp/wire"
)

// The timers of a session. Each phase stops those of the one before.
const (
	timerCycle  = iota // the next round of the phase's messages
	timerLate          // the wait for late registrations is over
	timerQuiet         // no new client came for RegisterQuiet
	timerRewind        // the next pass
	timerLimit         // TxWeight is used up
	timerAgain         // the second DONE_CONF
	timerGap           // the next confirmation of late clients may leave
	timerLinger        // the end of the session
	timerRepeat        // a GRTT that has grown is repeated
	timerWait          // the time for registration is over
	timerKeys          // KEYINFO again, before the next round
	timerAlive         // clients would hear nothing for too long (Announcing)
)

// Sender is the machine of one session. Its methods may be called from one
// goroutine at a time; New makes a usable one.
type Sender struct {
	cfg         Config
	closed      bool // group: only listed hosts may register
	packetBytes int  // of the IP packet that carries a whole block
	start       clock.Time

	phase Phase
	cycle cycle

	// When to Poll: at last, if pollNow is set, else at wakeAt.
	last    clock.Time // the latest now that a method was given
	pollNow bool       // something may be ready
	wakeAt  clock.Time

	// The clients. count and unconfirmed are kept by setState, confirm and unconfirm.
	roster      *group.Roster[client]
	count       [2][numStates]int    // clients by kind (0 client, 1 proxy) and state
	unconfirmed int                  // clients whose REGISTER or COMPLETE still wants its confirmation
	perAddress  map[netip.Prefix]int // clients of an open group by where they came from
	grtt        grtt

	// What is sent besides data. Aborts leave before rounds; while rounds wait, nothing is
	// decided and no data is planned.
	seq    uint16 // of the next datagram, whatever it is
	aborts aborts
	rounds rounds
	timers group.Timers // StopAll when a phase begins

	reg     registration
	dialect *dialect.Server
	budgets budgets

	file file
	pass passState
	law  cc.Controller

	quit        quit
	exit        Exit
	complete    bool       // the completion phase has begun
	finishFrom  clock.Time // when the completion phase began
	givingUp    bool       // endFile reports a file that is given up
	undelivered bool       // a file was given up that nobody had
	ended       bool       // SessionEnded was reported

	reports  reportQueue
	counters Counters
}

// cycle is what the present phase has sent to clients that it waits for.
type cycle struct {
	attempt      int  // rounds
	late         bool // everybody is in (Announcing) or done (Finishing)
	lateConfirms int  // confirmations sent since then
}

// grtt is the group round trip time and what follows from it.
type grtt struct {
	group.GRTT
	recount  bool          // a client of which GRTT has a sample has failed
	interval time.Duration // of one full data packet at the rate in force; 0 = no limit
	code     uint8         // of the advertised value, the larger one of both
	repeats  repeats
}

// registration is what only the announce phase needs.
type registration struct {
	over          bool // its time is over
	begun         bool // Begin has ended it
	extraKeyInfos int  // rounds of KEYINFO since it is over
	keysSoon      bool // a client has become ready for KEYINFO
}

// budgets limit public-key operations, in µs of work.
type budgets struct {
	keys      cc.Bucket // of hosts that register
	failed    cc.Bucket // verifications that failed
	failedFar cc.Bucket // those of packets that did not come from the address of their client
}

// file is the present file.
type file struct {
	File
	asked    bool // NeedFile was given and not answered
	id       uint16
	layout   *block.Layout // never changed: trains under way hold it
	fresh    bool          // some FILEINFO_ACK of it was without PARTIAL
	acked    bool          // there was a FILEINFO_ACK
	began    clock.Time    // of the data phase
	lastDone clock.Time    // latest COMPLETE that says the file was received
}

var _ machine.Machine = (*Sender)(nil)

// New returns the machine of a session that starts at now.
func New(cfg Config, now clock.Time) *Sender {
	s := &Sender{
		cfg:         cfg,
		closed:      cfg.Closed || len(cfg.Hosts) > 0,
		packetBytes: cfg.PacketBytes(),
		start:       now,
		roster:      group.NewRoster[client](MaxClients),
		grtt:        grtt{GRTT: group.NewGRTT(cfg.GRTT, cfg.MinGRTT, cfg.MaxGRTT), interval: packetInterval(cfg.PacketBytes(), cfg.Rate)},
		aborts:      aborts{replyRate: cc.NewBucket(repliesPerSecond, replyBurst)},
		dialect:     cfg.Dialect,
		budgets: budgets{
			keys:      cc.NewBucket(keyWork, keyWorkBurst),
			failed:    cc.NewBucket(failWork, failWorkBurst),
			failedFar: cc.NewBucket(farFailWork, failWorkBurst),
		},
		file:    file{layout: new(block.Layout)},
		law:     newLaw(&cfg),
		reports: reportQueue{refusals: cc.NewBucket(refusalsPerSecond, refusalBurst)},
	}
	s.pass.section = -1
	s.setRate(s.law.Rate())
	for i := range cfg.Hosts {
		s.list(&cfg.Hosts[i])
	}
	s.setCode()
	s.enter(now, Announcing)
	s.input(now)
	return s
}

// newLaw returns the law of congestion that cfg asks for.
func newLaw(cfg *Config) cc.Controller {
	if !cfg.Adapt.On {
		return cc.Fixed(cfg.Rate)
	}
	return cc.NewAdaptive(cc.AdaptiveConfig{
		Start: cfg.Rate, Most: cfg.Adapt.Most, MaxLoss: cfg.Adapt.MaxLoss,
		Packet: cfg.PacketBytes(), Lookahead: cfg.Lookahead,
	})
}

// list puts a host on the list of a closed group. One listed twice is one host. If only one of
// its entries has a fingerprint, that counts; of two that differ the first counts, so that no
// more hosts fit than the user meant. A list beyond MaxClients is cut.
func (s *Sender) list(h *Host) {
	i, err := s.roster.Add(h.UID, client{name: h.Name, proxy: h.IsProxy, confirmed: true, want: h.Fingerprint})
	switch {
	case err == nil:
		s.count[kind(s.roster.At(i))][Mute]++
	case err == group.ErrListed && h.Fingerprint != nil:
		c := s.roster.At(i)
		switch {
		case c.want == nil:
			c.want = h.Fingerprint
		case *c.want != *h.Fingerprint:
			s.reports.must(KeyWarning{Client: s.client(i), Text: "listed with different fingerprints, the first one counts"})
		}
	}
}

// enter starts a phase.
func (s *Sender) enter(now clock.Time, p Phase) {
	if s.phase == Announcing && p != Announcing {
		s.forgetPeers()
	}
	s.phase = p
	s.timers.StopAll()
	s.cycle = cycle{}
	s.armRepeat()
	s.reports.must(PhaseStarted{p})
	switch p {
	case Announcing:
		if s.cfg.RegisterWait > 0 {
			s.timers.Set(timerWait, now.Add(s.cfg.RegisterWait))
		}
		s.announceRound()
	case BetweenFiles:
		s.file.asked = true
		s.reports.must(NeedFile{})
		s.timers.Set(timerCycle, now.Add(s.silence(aliveShare)))
	case FileInfo:
		s.fileInfoRound()
	case Data:
		s.startData(now)
	case Finishing:
		s.startFinishing(now)
	case Ended:
		s.rounds.n = 0
	}
}

// end begins the last phase; messages that wait still leave.
func (s *Sender) end(now clock.Time, exit Exit) {
	s.exit = exit
	s.enter(now, Ended)
}

// input notes that something has come in at now, for Poll to look at.
func (s *Sender) input(now clock.Time) { s.last, s.pollNow = now, true }

// Poll implements [machine.Machine].
func (s *Sender) Poll(now clock.Time, out *machine.Out) machine.Kind {
	s.last = now
	for {
		if s.reports.pop(s, &out.Event) {
			return machine.EventKind
		}
		if s.sendAbort(now, &out.Packet) || s.sendRound(now, &out.Packet) {
			return machine.PacketKind
		}
		switch s.step(now, &out.Train) {
		case planned:
			return machine.TrainKind
		case waiting:
			s.pollNow = false
			s.wakeAt = s.nextWake()
			return machine.Idle
		}
	}
}

// progress is the outcome of a step of the machine.
type progress uint8

const (
	waiting progress = iota // nothing to do before nextWake or input
	moved                   // something changed: look again
	planned                 // a train was planned
)

// step takes one decision of the present phase.
func (s *Sender) step(now clock.Time, t *machine.Train) progress {
	if s.quit.wanted && s.phase != Ended {
		return s.stepQuit(now)
	}
	if s.rounds.n > 0 {
		return waiting // decisions count from the moment a round has left
	}
	s.timers.Sent(now, s.timerLength)
	if s.timers.Due(timerRepeat, now) {
		s.repeatGRTT()
		return moved
	}
	switch s.phase {
	case Announcing:
		return s.stepAnnounce(now)
	case BetweenFiles:
		return s.stepBetweenFiles(now)
	case FileInfo:
		return s.stepFileInfo(now)
	case Data:
		return s.stepData(now, t)
	case Finishing:
		return s.stepFinishing(now)
	case Ended:
		return s.stepEnded()
	}
	return waiting
}

// timerLength returns how long timer t runs in this session (docs/protocol.md, "Sender").
func (s *Sender) timerLength(t int) time.Duration {
	g := s.advertised()
	switch t {
	case timerLate, timerGap:
		return g
	case timerAgain:
		return 2 * g
	case timerLinger:
		return 5 * g
	case timerRepeat:
		return s.grtt.repeats.gap
	case timerCycle:
		if s.phase == Announcing && s.cycle.attempt > s.cfg.Robust && !s.reg.over {
			return max(3*g, longRound, time.Duration(s.in(Mute))*longRoundEach)
		}
		if s.phase == Finishing && s.cycle.attempt >= s.cfg.Robust {
			return max(3*g, finishGap)
		}
	}
	return 3 * g
}

// confirmsLate reports whether clients that have repeated REGISTER or COMPLETE although all are
// in or done should be confirmed now: the first one at once, then once in 1·G, Robust times in
// all, so that no client can keep the session open for ever.
func (s *Sender) confirmsLate(now clock.Time) bool {
	s.timers.Due(timerGap, now)
	if s.unconfirmed == 0 || s.cycle.lateConfirms >= s.cfg.Robust || s.timers.Armed(timerGap) {
		return false
	}
	s.cycle.lateConfirms++
	s.timers.SetWhenSent(timerGap)
	return true
}

// Deadline implements [machine.Machine].
func (s *Sender) Deadline() clock.Time {
	if s.pollNow {
		return s.last
	}
	return s.wakeAt
}

// nextWake returns when something happens without input.
func (s *Sender) nextWake() clock.Time {
	next := clock.Never
	if s.aborts.toClients.n > 0 {
		next = s.aborts.nextAt
	}
	if s.rounds.n > 0 { // no decision is taken before they have left
		return clock.Min(next, s.rounds.partAt)
	}
	next = clock.Min(next, s.timers.Next())
	if s.phase == Data {
		next = clock.Min(next, s.pass.wakeAt)
	}
	return next
}

// quit is a request to end the session before its time.
type quit struct {
	wanted bool
	signal bool
	text   string
}

// Stop ends the session: an ABORT goes to all clients, and nothing more is planned.
func (s *Sender) Stop(now clock.Time) {
	if s.phase == Ended {
		return
	}
	s.last = now
	s.quit = quit{wanted: true, signal: true, text: "Server quit, aborting all"}
	s.rounds.n = 0
	s.pollNow = true
}

// stepQuit carries out a quit. Clients that have completed the whole session are confirmed
// first: an ABORT would make them throw away their files.
func (s *Sender) stepQuit(now clock.Time) progress {
	finishing := s.phase == Finishing
	if finishing && s.rounds.n > 0 {
		return waiting
	}
	if finishing && s.unconfirmed > 0 {
		s.queue(round{fn: wire.FuncDoneConf, number: s.cycle.attempt + 1})
		return moved
	}
	if !finishing || s.unfinished() > 0 {
		s.abortAll(0, s.quit.text)
	}

	if s.phase == FileInfo || s.phase == Data {
		s.failUnfinished(Aborted)
		s.endFile(now, s.quit.text)
	}
	for i := range s.roster.Len() {
		c := s.roster.At(i)
		if !c.state.Failed() && !(finishing && c.state == Done) {
			s.setState(c, Aborted)
		}
	}
	exit := s.failExit() // by the states that the clients have now
	if s.quit.signal {
		exit = ExitSignal
	}
	s.end(now, exit)
	return moved
}

// failExit returns the exit of a session that is given up in the present phase.
func (s *Sender) failExit() Exit {
	switch s.phase {
	case Announcing:
		return ExitNobody
	case Data:
		return ExitNoFile
	case Finishing:
		return s.doneExit()
	}
	return ExitNoFileInfo
}

// doneExit returns the exit of a session that came to its end. A file counts only for receivers
// that have confirmed the whole session: one that failed after its COMPLETE may have thrown
// its files away, or never moved them to their place.
func (s *Sender) doneExit() Exit {
	if s.cfg.QuitOnError && s.failed() > 0 {
		return ExitNoneSent
	}
	if s.undelivered {
		return ExitNoFile
	}
	for i := range s.roster.Len() {
		if c := s.roster.At(i); c.state == Done && c.took {
			return ExitOK
		}
	}
	return ExitNoneSent
}

// stepEnded reports the end when the last ABORT has left.
func (s *Sender) stepEnded() progress {
	if s.ended || s.aborts.toAll.text != "" || s.aborts.replies.n > 0 || s.aborts.toClients.n > 0 {
		return waiting
	}
	s.ended = true
	e := SessionEnded{Exit: s.exit, Complete: s.complete, Counters: s.counters}
	for i := range s.roster.Len() {
		e.Clients = append(e.Clients, s.client(i))
		c := s.roster.At(i)
		e.States = append(e.States, c.state)
		if c.lacks {
			e.Lacking = append(e.Lacking, i)
		}
		if c.givenUp && c.state.Failed() {
			e.Left = append(e.Left, i)
		}
	}
	s.reports.must(e)
	return moved
}

// Stats returns a picture of the session.
func (s *Sender) Stats() Stats {
	st := Stats{
		Phase:     s.phase,
		FileID:    s.file.id,
		Pass:      s.pass.number,
		Blocks:    s.file.layout.Blocks,
		Left:      s.pass.need.Count(),
		GRTT:      s.grtt.Value(),
		Rate:      s.pass.rate,
		Counters:  s.counters,
		FileStart: s.file.began,
	}
	copy(st.States[:], s.count[0][:])
	return st
}
