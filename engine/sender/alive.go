package sender

import (
	"time"

	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// Receivers that hear nothing give up after max(1 s, R·G). Between files a DONE keeps them
// (see keepAlive). While data is sent its trains do, unless the disk that they are read from
// stalls: no packet can leave behind a train that waits for its blocks, so a sign of life has
// to overtake it.

// Receivers of this project wait at most a minute for the first block of a file, whatever R
// and G are, because they reserve space for it. silenceMax leaves room for three lost packets.
const silenceMax = 15 * time.Second

// silence is how long the sender may say nothing: one part in share of what receivers wait.
func (s *Sender) silence(share int) time.Duration {
	return min(s.patience()/time.Duration(share), silenceMax)
}

// KeepAlive builds a packet that should leave at once, before all that Poll gave, when the
// oldest train that has not left is overdue by a quarter of what receivers wait. It is
// a FILEINFO without a list, which receivers take for a sign of life and nothing else. It
// has the sequence number of the packet before the train: with a new one, the trains behind it
// would be too old for receivers.
func (s *Sender) KeepAlive(now clock.Time, p *machine.Packet) bool {
	if now < s.KeepAliveAt() {
		return false
	}
	s.pass.aliveAt = now.Add(s.silence(4))
	sealed := s.dialect.Seals(wire.FuncFileInfo)
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
