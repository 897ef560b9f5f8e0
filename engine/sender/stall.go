package sender

import (
	"time"

	"uftp/engine/clock"
)

// Receivers without progress. The sender walks a file again as long as any client lacks blocks,
// so a receiver that gets nothing, or not enough, would keep the session for ever.
// Config.StallPasses bounds that: in so many passes that a client answers, the number of blocks
// that it lacks must shrink by a quarter, or by one if it is small. Less would take for ever.
// At 30 % loss a single pass shrinks it to a third.

const (
	// progressShare: what a client lacks must shrink by one part in so many.
	progressShare = 4
	// StallLeast is how long the lack of progress must last besides. On a fast network twenty
	// passes over a few blocks take less time than a slow disk, which makes its receiver refuse
	// them: receivers of this project wait 30 s for a disk that takes nothing, and then need
	// some time to catch up.
	StallLeast = 40 * time.Second
	// closingWait is how long a client may lack only the last block of a file, late in the
	// rounds of DONE. Receivers of this project ask for it while the disk still takes a file
	// that has arrived as a whole.
	closingWait = 3 * time.Minute
	// A client that lacks every block is reported after barePasses passes, if bareBlocks were
	// sent in them: a few can be lost by chance.
	barePasses = 3
	bareBlocks = 12
)

// stall is what is known of a client's progress with the present file.
type stall struct {
	pass    int        // of its latest answer
	section int        // the last one of that answer
	lacks   int        // blocks, by that answer
	closing bool       // it was the last block of the file
	best    int        // what it lacked when it made progress; 0 = it has not answered
	since   int        // passes that it has answered since that progress
	at      clock.Time // when it was
	bare    int        // passes after which it lacked every block
}

// lacks adds a STATUS of client c, which lacks naks blocks of a section; last: the last
// one of the section is among them.
func (s *Sender) lacks(c *client, section, naks int, last bool) {
	x := &c.stall
	if x.pass != s.pass.number || section <= x.section {
		x.lacks, x.pass = 0, s.pass.number // a new answer
	}
	x.section = section
	x.lacks += naks
	x.closing = last && x.lacks == 1 && section == s.file.layout.Sections-1 && s.cycle.attempt >= max(1, s.cfg.Robust/4)
}

// dropStalled looks at the answers of a pass: it reports the clients that lack all of the file
// and aborts those without progress. It returns how many it has aborted.
func (s *Sender) dropStalled(now clock.Time) (dropped int) {
	for i := range s.roster.Len() {
		c := s.roster.At(i)
		x := &c.stall
		if c.state != ActiveNAK || x.pass != s.pass.number {
			continue
		}
		if x.lacks < s.file.layout.Blocks {
			x.bare = 0
		} else if x.bare++; x.bare >= barePasses && x.bare*s.file.layout.Blocks >= bareBlocks && !c.noDataReported {
			c.noDataReported = true
			s.reports.must(NoData{Client: s.client(i), Passes: x.bare, PacketBytes: s.packetBytes})
		}
		if x.best == 0 || x.lacks <= x.best-max(1, x.best/progressShare) {
			x.best, x.since, x.at = x.lacks, 0, now
			continue
		}
		x.since++
		least := StallLeast
		if x.closing {
			least = closingWait
		}
		if s.cfg.StallPasses == 0 || x.since < s.cfg.StallPasses || now < x.at.Add(least) {
			continue
		}
		dropped++
		s.setState(c, Aborted)
		s.reports.must(Stalled{Client: s.client(i), Passes: x.since, Lacks: x.lacks})
		s.abortClient(i, "No progress in too many passes")
	}
	return dropped
}
