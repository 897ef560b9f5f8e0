package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"uftp/engine/receiver"
)

// TestNotReceived: that a session is held for complete though files of it did not arrive is a
// warning and an event, and its end is not called good; one that only waits for its
// confirmation is.
func TestNotReceived(t *testing.T) {
	for _, c := range []struct {
		step  receiver.Step
		end   receiver.SessionEnded
		log   string
		lines []string
	}{
		{receiver.NothingCame, receiver.SessionEnded{OK: true, Lacks: true}, "no file of it arrived here: its sender had none to send, or another receiver has the same UID",
			[]string{`"event":"not_received"`, `"ok":false,"reason":"confirmed"`}},
		{receiver.NotAllCame, receiver.SessionEnded{OK: true, Lacks: true, Reason: receiver.EndUnconfirmed}, "not all of it arrived here: does another receiver have the same UID?",
			[]string{`"event":"not_received"`, `"ok":false,"reason":"completion unconfirmed"`}},
		{receiver.Unfinished, receiver.SessionEnded{OK: true, Reason: receiver.EndUnconfirmed}, "Completion unconfirmed by server",
			[]string{`"ok":true,"reason":"completion unconfirmed"`}},
		{receiver.TimedOut, receiver.SessionEnded{Reason: receiver.EndTimeout}, "Transfer timed out",
			[]string{`"ok":false,"reason":"timed out"`}},
		{receiver.TooMany, receiver.SessionEnded{Reason: receiver.EndEvicted}, "maximum number of incoming files exceeded: 100",
			[]string{`"ok":false,"reason":"gave way to other senders"`}},
	} {
		var log, lines bytes.Buffer
		r := &Receiver{Log: NewLog(&log, Warnings, true), JSON: NewJSON(&lines), MaxSessions: 100}
		c.end.Session = session1
		r.Report(time.Unix(1, 0), receiver.Stepped{Session: session1, Step: c.step})
		r.Report(time.Unix(2, 0), c.end)
		r.Close()
		if !strings.Contains(log.String(), c.log) {
			t.Errorf("%v: the log is %q, want %q", c.step, log.String(), c.log)
		}
		checkJSON(t, lines.String())
		for _, want := range c.lines {
			if !strings.Contains(lines.String(), want) {
				t.Errorf("%v: JSON\n%s\nwant %s", c.step, lines.String(), want)
			}
		}
	}
}
