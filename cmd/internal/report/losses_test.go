package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/netio"
)

// TestLossLines: losses of a host itself are a warning with advice, and an event.
func TestLossLines(t *testing.T) {
	events := []machine.Event{
		engine.Losses{KernelDrops: 12, RcvBuf: 212992, WantRcvBuf: 16 << 20},
		engine.Losses{KernelDrops: 1, RcvBuf: 16 << 20, WantRcvBuf: 16 << 20},
		engine.Losses{Truncated: 2, GSOFallbacks: 1},
		engine.ReceiveStopped{Stats: engine.ReceiveStats{RunStats: engine.RunStats{Net: netio.Stats{RxDatagrams: 1000, KernelDrops: 13}, Elapsed: 90 * time.Second}}},
	}
	const warnings = "Warning: the receive buffer of 212992 bytes was full for 12 datagrams: use sysctl -w net.core.rmem_max=16777216 or a lower rate\n" +
		"Warning: the receive buffer of 16777216 bytes was full for 1 datagram: use a larger one (-B) or a lower rate\n" +
		"Warning: 2 datagrams longer than UFTP sends\n" +
		"Warning: the kernel refused segmentation offload: datagrams are sent one by one now\n"
	const totals = "Got 1000 datagrams in 90 seconds, 13 more were dropped because the receive buffer was full\n"
	for level, want := range []string{"", warnings, warnings, warnings + totals} {
		var text, lines bytes.Buffer
		r := &Receiver{Log: NewLog(&text, level, false), JSON: NewJSON(&lines)}
		for _, ev := range events {
			r.Report(began, ev)
		}
		r.Close()
		if text.String() != want {
			t.Errorf("level %d: %q, want %q", level, text.String(), want)
		}
		checkJSON(t, lines.String())
		if n := strings.Count(lines.String(), `"event":"losses"`); n != 3 || !strings.Contains(lines.String(), `"event":"stopped"`) {
			t.Errorf("%s: want 3 losses and the totals", lines.String())
		}
		s := &Sender{Log: NewLog(&text, level, false), JSON: NewJSON(&lines)}
		text.Reset()
		for _, ev := range events[:3] {
			s.Report(began, ev)
		}
		if want := strings.TrimSuffix(want, totals); text.String() != want {
			t.Errorf("sender, level %d: %q, want %q", level, text.String(), want)
		}
	}
}
