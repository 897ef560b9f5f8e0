package sender

import (
	"net/netip"
	"time"

	"uftp/crypto/identity"
	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/engine/group"
	"uftp/wire"
)

const numStates = int(Aborted) + 1

// client is one host of the session. Lost, Aborted and, once registration is
// over, Mute are final.
type client struct {
	name      string
	proxy     bool
	state     State
	confirmed bool // its last REGISTER or COMPLETE(0) was answered, or there is none
	sample    group.Sample
	cc        cc.Receiver

	// Keys, in an encrypted session.
	want *identity.Fingerprint // that its key must have; nil = any
	keys *member               // nil before its first REGISTER

	// Its address, and what shows that another host uses its UID.
	addr           netip.AddrPort // its first REGISTER came from there or, later, a proof
	otherPort      uint16         // the latest other port at addr that it used; 0 = none
	sharesAddr     bool           // two hosts with its UID use different ports of addr
	sharedReported bool           // SharedUID was reported
	heardSeq       uint16         // number of its latest message in clear
	heardSum       uint32         // a checksum of that

	// Registration.
	left    bool   // it was in and has aborted, and may come back before registration is over
	returns int    // how often it came back
	refused string // the latest reason for a refusal that was reported

	// All files.
	took           bool // it has accepted a file
	givenUp        bool // a file was given up while it received that, and it was not heard since
	lacks          bool // a file that was given up
	abortedAgain   int  // round of FILEINFO in which it was sent that ABORT again
	excess         int  // STATUS messages above MaxNAKPct in this session
	noDataReported bool

	// The present file.
	stall    stall
	naks     int64
	status   wire.CompleteStatus
	done     clock.Time // of its last COMPLETE in the data phase, 0 before that
	space    uint64
	hasSpace bool
}

// hasKeys reports whether c has the keys of the group, as it has proved with KEYINFO_ACK.
func (c *client) hasKeys() bool { return c.keys != nil && c.keys.acked }

// kind returns the row of Sender.count that counts c.
func kind(c *client) int {
	if c.proxy {
		return 1
	}
	return 0
}

// setState moves c and keeps the counts. A client that fails wants no confirmation.
func (s *Sender) setState(c *client, st State) {
	s.count[kind(c)][c.state]--
	s.count[kind(c)][st]++
	c.state = st
	if st.Failed() {
		s.confirm(c)
		s.grtt.recount = true
	}
}

// leave forgets address and keys of c, which has aborted during registration: a host that
// comes again with its UID has to register, from wherever it is.
func (s *Sender) leave(c *client) {
	c.settleAt(netip.AddrPort{})
	if k := c.keys; k != nil {
		k.peer.Wipe()
		if k.next != nil {
			k.next.Wipe()
		}
		c.keys = nil
	}
}

func (s *Sender) unconfirm(c *client) {
	if c.confirmed {
		c.confirmed = false
		s.unconfirmed++
	}
}

func (s *Sender) confirm(c *client) {
	if !c.confirmed {
		c.confirmed = true
		s.unconfirmed--
	}
}

// in returns how many clients and proxies are in state st.
func (s *Sender) in(st State) int { return s.count[0][st] + s.count[1][st] }

// unfinished returns how many clients still have to answer for the file or the group.
func (s *Sender) unfinished() int { return s.in(Registered) + s.in(Active) + s.in(ActiveNAK) }

// failed returns how many clients are out of the session.
func (s *Sender) failed() int { return s.in(Mute) + s.in(Lost) + s.in(Aborted) }

// failUnfinished moves every client that has not finished to st, Lost or Aborted.
func (s *Sender) failUnfinished(st State) {
	for i := range s.roster.Len() {
		if c := s.roster.At(i); !c.state.Failed() && c.state != Done {
			s.setState(c, st)
		}
	}
}

// lose moves every client in state st to Lost and reports it. Each is sent an ABORT, so that it
// need not wait out its time, except at the completion: it may hold all files then.
func (s *Sender) lose(st State, in LostIn) {
	for i := range s.roster.Len() {
		c := s.roster.At(i)
		if c.state != st {
			continue
		}
		s.setState(c, Lost)
		s.reports.must(ClientLost{Client: s.client(i), In: in})
		if in != LostComplete {
			s.abortClient(i, "Lost connection")
		}
	}
}

// client names client i in events.
func (s *Sender) client(i int) Client {
	c := s.roster.At(i)
	return Client{Index: i, UID: s.roster.UID(i), Name: c.name, Proxy: c.proxy}
}

// advertised returns the round trip time that headers carry and that the timers of both sides
// run by. It is never below one packet interval: receivers would give up while a low rate
// holds messages back.
func (s *Sender) advertised() time.Duration { return max(s.grtt.Value(), s.grtt.interval) }

func (s *Sender) setCode() { s.grtt.code = wire.EncodeGRTT(s.advertised().Seconds()) }

// roundTrip returns how long the echo of a stamp took, [group.RTTFloor] at least; 0 for a stamp
// that this session cannot have sent.
func (s *Sender) roundTrip(now clock.Time, echo wire.Stamp) time.Duration {
	sent := clock.FromMicros(uint64(s.dialect.Version().Nearest(echo, wire.Stamp(now.Micros()))))
	if sent.Add(time.Microsecond) < s.start || sent > now.Add(time.Second) {
		return 0
	}
	return max(now.Sub(sent), group.RTTFloor)
}

// measure is roundTrip, and counts the time for c.
func (s *Sender) measure(now clock.Time, c *client, echo wire.Stamp) time.Duration {
	rtt := s.roundTrip(now, echo)
	if rtt > 0 {
		c.sample = s.grtt.Measure(rtt)
	}
	return rtt
}

// updateGRTT updates the GRTT from the measurements of this phase.
func (s *Sender) updateGRTT() {
	if s.grtt.recount {
		s.grtt.recount = false
		s.grtt.Recount()
		for i := range s.roster.Len() {
			if c := s.roster.At(i); !c.state.Failed() {
				s.grtt.Count(c.sample)
			}
		}
	}
	patience := s.patience()
	if s.grtt.Update() {
		s.setCode()
		s.reports.must(GRTTChanged{s.grtt.Value()})
	}
	s.repeatLonger(patience)
}

// repeatLonger has the advertised time repeated if receivers wait much longer with it than
// patience, as long as they waited before.
func (s *Sender) repeatLonger(patience time.Duration) {
	if s.patience() > patience+patience/repeatFrom {
		s.grtt.repeats.begin(patience)
		s.armRepeat()
	}
}
