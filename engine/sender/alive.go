package sender

import (
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// Receivers that hear nothing give up after R·G, which on a local network is a second.
// Between files a DONE keeps them (see keepAlive); while data is sent its trains do,
// unless the disk they are read from stalls. Nothing can leave behind a train that
// waits for its blocks, so what is said then has to overtake it.

// Receivers of ours wait at most a minute for the first block of a file, whatever R and G
// are: nobody holds what it reserves for longer by promises. lifeGapMax leaves room for
// three lost words.
const lifeGapMax = 15 * time.Second

// lifeGap is for how long s may be silent: one part in share of what receivers wait.
func (s *Sender) lifeGap(share int) time.Duration {
	return min(s.patience()/time.Duration(share), lifeGapMax)
}

// KeepAlive gives a packet that is to leave at once, past all that Poll gave, when the
// oldest train that has not left is overdue by a quarter of what receivers wait. It is
// FILEINFO without a list, which they take for a sign of life and nothing else. Its
// number is that of the packet before the train: with one of its own, the trains would
// come too late behind it.
func (s *Sender) KeepAlive(now clock.Time, p *machine.Packet) bool {
	if now < s.KeepAliveAt() {
		return false
	}
	s.pass.aliveAt = now.Add(s.lifeGap(4))
	sealed := s.sealed(wire.FuncFileInfo)
	b := s.begin(p, wire.FuncFileInfo, s.pass.flight[s.pass.flightHead].seq-1, sealed)
	s.finish(p, s.cfg.Private, s.appendFileInfo(now, b), sealed)
	return true
}

// KeepAliveAt is when KeepAlive will have something, [clock.Never] while nothing waits
// to leave.
func (s *Sender) KeepAliveAt() clock.Time {
	if s.phase != Data || s.pass.inFlight == 0 {
		return clock.Never
	}
	return s.pass.aliveAt
}
