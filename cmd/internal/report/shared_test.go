package report

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"uftp/engine/sender"
)

// Two hosts with one UID are reported in the log, as an event, and below the table.
func TestSharedUID(t *testing.T) {
	for _, c := range []struct{ first, second, text string }{
		{"10.99.0.3:1044", "10.99.0.4:1044", "0xAC110002 answers from 10.99.0.3 and 10.99.0.4: give each receiver its own -U"},
		{"10.99.0.3:1044", "10.99.0.3:2000", "0xAC110002 answers from 10.99.0.3:1044 and 10.99.0.3:2000: give each receiver its own -U"},
		{"10.99.0.3:1044", "10.99.0.3:1044", "0xAC110002 answers twice from 10.99.0.3:1044: give each receiver its own -U"},
	} {
		var log, lines, table bytes.Buffer
		s := &Sender{Name: "uftp", Log: NewLog(&log, Warnings, false), JSON: NewJSON(&lines), Session: sendConfig()}
		who := sender.Client{Name: "0xAC110002", UID: 0xAC110002}
		s.Report(time.Now(), sender.Connected{Clients: []sender.Client{who}, OK: []bool{true}})
		s.Report(time.Now(), sender.SharedUID{Client: who, First: netip.MustParseAddrPort(c.first), Second: netip.MustParseAddrPort(c.second)})
		s.Report(time.Now(), sender.FileEnded{FileID: 1, File: sender.File{Name: "f", Size: 1}, Results: []sender.Result{{Client: who, State: sender.Done}}})
		s.Table(&table)
		event := `"addresses":["` + c.first + `","` + c.second + `"]`
		for what, got := range map[string][2]string{
			"log": {log.String(), "Warning: " + c.text}, "table": {table.String(), c.text}, "event": {lines.String(), event},
		} {
			if !strings.Contains(got[0], got[1]) {
				t.Errorf("%s: %q, want %q in it", what, got[0], got[1])
			}
		}
	}
}
