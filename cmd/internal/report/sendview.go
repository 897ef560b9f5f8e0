package report

import (
	"fmt"
	"time"

	"uftp/cmd/cli"
	"uftp/engine/clock"
	"uftp/engine/sender"
	"uftp/wire"
)

// finishedLines is how many finished files get a line each; after that only those that took long or
// did not reach every receiver.
const finishedLines = 20

// sendView is the state of the sender's live display.
type sendView struct {
	file    sender.File
	started time.Time
	meter   meter
	lines   int // finished files shown
	done    int // finished files
}

func (v *sendView) fileStarted(at time.Time, e sender.FileStarted) {
	v.file, v.started = e.File, at
	v.meter.reset()
}

// tick redraws the foot.
func (s *Sender) tick(at time.Time, st sender.Stats) {
	if !s.Screen.Due(at) {
		return
	}
	s.Screen.Draw(at, s.view.fileLine(at, st), s.view.peopleLine(st))
}

func (v *sendView) fileLine(at time.Time, st sender.Stats) string {
	speed := v.meter.update(at, st.Counters.DataBytes)
	switch st.Phase {
	case sender.Announcing:
		return "waiting for receivers"
	case sender.Finishing:
		return "finishing"
	case sender.FileInfo:
		return tail(v.file.Name) + "  announcing"
	case sender.Data:
	default:
		return "looking for the next file"
	}
	if v.file.Type != wire.TypeFile || st.Blocks == 0 {
		return tail(v.file.Name)
	}
	share := 1 - float64(st.Left)/float64(st.Blocks)
	blockSize := float64(v.file.Size) / float64(st.Blocks)
	left := ""
	if speed > 0 && st.Left > 0 {
		left = "  " + rate(speed) + "  " + span(clock.Seconds(float64(st.Left)*blockSize/speed)) + " left"
	}
	if st.Pass > 1 {
		return fmt.Sprintf("%s  %s  %s to repair%s  pass %d", tail(v.file.Name), bar(share, 16), size(int64(float64(st.Left)*blockSize)), left, st.Pass)
	}
	return fmt.Sprintf("%s  %s %3.0f%%  of %s%s  pass 1", tail(v.file.Name), bar(share, 16), share*100, size(v.file.Size), left)
}

func (v *sendView) peopleLine(st sender.Stats) string {
	n := func(states ...sender.State) (sum int) {
		for _, s := range states {
			sum += st.States[s]
		}
		return sum
	}
	in := n(sender.Registered, sender.Active, sender.ActiveNAK, sender.Done)
	mute := ""
	if m := n(sender.Mute); m > 0 && st.Phase != sender.Announcing {
		mute = fmt.Sprintf(", %d mute", m) // the table's word for receivers that never registered
	}
	return fmt.Sprintf("receivers: %d registered, %d done, %d behind, %d lost%s   NAKs: %d   files finished: %d",
		in, n(sender.Done), n(sender.ActiveNAK), n(sender.Lost, sender.Aborted), mute, st.Counters.NAKs, v.done)
}

// fileEnded writes a line for a finished file.
func (v *sendView) fileEnded(at time.Time, e sender.FileEnded, scr *Screen) {
	v.done++
	if scr == nil {
		return
	}
	ok := 0
	for i := range e.Results {
		if word, done := outcome(&e.Results[i]); done || word == "skipped" {
			ok++
		}
	}
	if v.lines >= finishedLines && ok == len(e.Results) && at.Sub(v.started) < 2*time.Second {
		return
	}
	v.lines++
	passes := ""
	if e.Passes > 1 {
		passes = fmt.Sprintf("  %d passes", e.Passes)
	}
	speed := ""
	if e.Elapsed > 0 {
		speed = fmt.Sprintf("  %.3f s  %s", e.Elapsed.Seconds(), rate(perSecond(e.File.Size, e.Elapsed)))
	}
	scr.Line("%s  %s  %d of %s%s%s", e.File.Name, size(e.File.Size), ok, cli.Count(len(e.Results), "receiver"), speed, passes)
}
