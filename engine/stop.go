package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"uftp/engine/machine"
)

// How a run ends. The order of the steps is in host.finish.
//
// At the end a run tells its peers that it is over, closes files, and writes the rest of the
// capture and of the reports. Each of these steps may hang for ever: in a disk, a dead file
// server, a pipe that nobody reads. So all steps share one deadline. The run leaves behind
// what has not ended by then:
//
//   - goroutines in a system call that nobody can end. When it returns after all,
//     they see that the run is over, touch their own slot and nothing else, and end. They
//     send, seal and report nothing.
//   - the buffers and open files that these goroutines use. Both belong to the garbage
//     collector, so no buffer is used for something else, and no file number is used again,
//     while a call still uses it.
//   - the keys of a goroutine that seals. It wipes them itself when it ends. All other
//     secrets are wiped before the run returns.
//
// Once a session can run, the core itself waits for no disk, so peers always hear of the
// end. Before that it waits for directories and files of a capture; there supervise keeps
// the deadline.

const (
	// StopLimit is the longest that Send and Receive take to return after ctx was cancelled.
	StopLimit = 10 * time.Second

	// For stopWait a sender repeats to its receivers that it stops. The last packets may
	// take flushWait to leave. Then the run closes the socket.
	stopWait  = 5 * time.Second
	flushWait = 2 * time.Second
	// endWait is how long the whole end of a run may take. Each part of it has at least
	// endLeast, even after that. There are endParts of them: goroutines, capture, reports.
	endWait  = 8 * time.Second
	endLeast = 250 * time.Millisecond
	endParts = 3
)

// The parts of the end fit into what is promised.
const (
	_ = uint64(StopLimit - endWait - (endParts+1)*endLeast)
	_ = uint64(endWait - stopWait - flushWait)
)

// LeftBehind reports that a run has ended and something still hangs.
type LeftBehind struct{ What string }

func (LeftBehind) MachineEvent() {}

// errOver says that a goroutine found its run over.
var errOver = errors.New("the run is over")

// over reports whether quit is closed.
func over(quit <-chan struct{}) bool {
	select {
	case <-quit:
		return true
	default:
		return false
	}
}

// ending is the one deadline for everything that a run waits for at its end. Call begin
// before anything else. A second begin does not move the deadline.
type ending struct{ at time.Time }

func (e *ending) begin() {
	if e.at.IsZero() {
		e.at = time.Now().Add(endWait)
	}
}

// begun reports whether there is a deadline.
func (e *ending) begun() bool { return !e.at.IsZero() }

// passed reports whether the deadline has passed.
func (e *ending) passed() bool { return e.begun() && !time.Now().Before(e.at) }

// left is the time until the deadline, and never less than endLeast.
func (e *ending) left() time.Duration { return max(time.Until(e.at), endLeast) }

// await waits until done is closed, or the deadline passes; then it returns false.
func (e *ending) await(done <-chan struct{}) bool {
	timer := time.NewTimer(e.left())
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// ended returns a channel that is closed when all of wg have ended and last, which may be
// nil, has returned.
func ended(last func(), wg *sync.WaitGroup) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wg.Wait()
		if last != nil {
			last()
		}
	}()
	return done
}

// supervise calls run on a goroutine and returns when run has returned. It also returns,
// with false, when ctx was cancelled StopLimit ago: then run hangs where it does not look
// at ctx, and is left behind. run gets a Reporter that calls report. No call begins after
// supervise has returned, though run may have left behind a goroutine that reports.
func supervise(ctx context.Context, report Reporter, run func(Reporter)) bool {
	turn := make(chan struct{}, 1) // holds a token during a report
	gone := make(chan struct{})    // closed when supervise has returned
	guarded := func(at time.Time, ev machine.Event) {
		select {
		case turn <- struct{}{}:
		case <-gone:
			return
		}
		if report != nil && !over(gone) {
			report(at, ev)
		}
		<-turn
	}
	defer func() {
		select {
		case turn <- struct{}{}: // and no other report begins
		default: // report itself hangs
		}
		close(gone)
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(guarded)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	timer := time.NewTimer(StopLimit - endLeast)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
