package report

import (
	"bytes"
	"strings"
	"syscall"
	"testing"

	"uftp/engine/machine"
	"uftp/engine/tap"
)

// TestCaptureLines: both commands report errors of a capture, at the right level and in JSON.
func TestCaptureLines(t *testing.T) {
	events := []machine.Event{
		tap.Failed{Path: "/var/cap\n", Err: syscall.ENOSPC},
		tap.Lost{Count: 77},
	}
	failed := "Can't write capture, trying again: No space left on device (/var/cap?)\n"
	lost := "Warning: the capture lacks 77 datagrams\n"
	for level, want := range []string{failed, failed + lost} {
		var tx, rx, jtx, jrx bytes.Buffer
		s := &Sender{Name: "uftp", Log: NewLog(&tx, level, false), JSON: NewJSON(&jtx), Session: sendConfig()}
		r := &Receiver{Log: NewLog(&rx, level, false), JSON: NewJSON(&jrx)}
		for _, ev := range events {
			s.Report(began, ev)
			r.Report(began, ev)
		}
		r.Close()
		for who, got := range map[string]string{"uftp": tx.String(), "uftpd": rx.String()} {
			if got != want {
				t.Errorf("%s, level %d: %q, want %q", who, level, got, want)
			}
		}
		for who, got := range map[string]string{"uftp": jtx.String(), "uftpd": jrx.String()} {
			checkJSON(t, got)
			lines := strings.Split(got, "\n")
			if len(lines) != 3 || !strings.Contains(lines[0], `"event":"capture_failed"`) || !strings.Contains(lines[0], `"text":"No space left on device"`) ||
				!strings.Contains(lines[1], `"event":"capture_lost"`) || !strings.Contains(lines[1], `"count":77`) {
				t.Errorf("%s: %s, want both events", who, got)
			}
		}
	}
}
