package report

import (
	"fmt"
	"time"

	"uftp/cmd/cli"
	"uftp/engine"
	"uftp/engine/disk"
	"uftp/engine/machine"
	"uftp/engine/tap"
)

// hostEvent handles events that both roles have: about the socket, the capture, the disk and the
// log. It reports whether ev is one of them.
func hostEvent(l *Log, j *JSON, at time.Time, in Where, ev machine.Event) bool {
	switch e := ev.(type) {
	case engine.ReadFailed:
		l.Printf(Errors, at, in, "Error receiving: %s", cli.ErrText(e.Err))
		j.write(jsonText{head: newHead(at, "read_failed", in), Text: cli.ErrText(e.Err)})
	case tap.Failed:
		l.Printf(Errors, at, in, "Can't write capture, trying again: %s (%s)", cli.ErrText(e.Err), e.Path)
		j.write(jsonText{head: newHead(at, "capture_failed", in), Path: e.Path, PathBytes: raw(e.Path), Text: cli.ErrText(e.Err)})
	case tap.Lost:
		l.Printf(Warnings, at, in, "Warning: the capture lacks %s", cli.Count(e.Count, "datagram"))
		j.write(jsonCount{newHead(at, "capture_lost", in), e.Count})
	case engine.Expired:
		if e.Err != nil {
			l.Printf(Errors, at, in, "Can't remove %s of an interrupted session that no sender has resumed: %s", e.Path, cli.ErrText(e.Err))
			break
		}
		l.Printf(Detail, at, in, "Removed %s of an interrupted session that no sender has resumed", e.Path)
		j.write(jsonText{head: newHead(at, "expired", in), Path: e.Path, PathBytes: raw(e.Path)})
	case disk.Lag:
		text, name := diskText(e)
		l.Printf(Warnings, at, in, "%s", text)
		j.write(jsonFor{newHead(at, name, in), seconds(e.For)})
	case engine.Losses:
		logLosses(l, at, in, e)
		j.write(jsonLosses{newHead(at, "losses", in), e.KernelDrops, e.Truncated, e.GSOFallbacks, e.RcvBuf})
	case engine.LeftBehind:
		l.Printf(Warnings, at, in, "Warning: %s hangs: ending without it", e.What)
		j.write(jsonText{head: newHead(at, "left_behind", in), Text: e.What})
	case engine.Traced:
		l.Printf(Packets, at, in, "%s", traceText(e))
	case engine.Dropped:
		l.Printf(dropLevel(e.Reason), at, in, "Dropped %s: %v", cli.Count(e.Count, "datagram"), e.Reason)
	case engine.Lost:
		l.Printf(Warnings, at, in, "Warning: %s lost: the output is too slow", cli.Count(e.Count, "log event"))
	default:
		return false
	}
	return true
}

// logLosses logs each kind of loss, with advice.
func logLosses(l *Log, at time.Time, in Where, e engine.Losses) {
	if e.KernelDrops > 0 {
		help := "use a larger one (-B) or a lower rate"
		if e.RcvBuf < e.WantRcvBuf {
			help = fmt.Sprintf("use sysctl -w net.core.rmem_max=%d or a lower rate", e.WantRcvBuf)
		}
		l.Printf(Warnings, at, in, "Warning: the receive buffer of %d bytes was full for %s: %s",
			e.RcvBuf, cli.Count(e.KernelDrops, "datagram"), help)
	}
	if e.Truncated > 0 {
		l.Printf(Warnings, at, in, "Warning: %s longer than UFTP sends", cli.Count(e.Truncated, "datagram"))
	}
	if e.GSOFallbacks > 0 {
		l.Printf(Warnings, at, in, "Warning: the kernel refused segmentation offload: datagrams are sent one by one now")
	}
}

// diskText returns the line for a log and the name of the event.
func diskText(e disk.Lag) (text, event string) {
	switch e.State {
	case disk.Behind:
		return "Warning: the disk is too slow: blocks that it cannot take are dropped and requested again", "disk_behind"
	case disk.Stuck:
		return "Warning: the disk has stopped accepting writes: receiving is paused", "disk_stuck"
	}
	return fmt.Sprintf("The disk has caught up after %.1f seconds", e.For.Seconds()), "disk_back"
}

func traceText(e engine.Traced) string {
	if e.In {
		return fmt.Sprintf("Got from %s: %s", e.Peer, e.Text)
	}
	return fmt.Sprintf("Sent to %s: %s", e.Peer, e.Text)
}

// dropLevel is the level of the line about dropped datagrams.
func dropLevel(why machine.Drop) int {
	switch why {
	case machine.DropClear, machine.DropSealed:
		return Warnings // possibly an attack
	case machine.DropReplay, machine.DropNoRoom:
		return Detail // possibly duplicated by the network; a slow disk has a warning of its own
	}
	return Peers
}
