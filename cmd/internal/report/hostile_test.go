package report

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/store"
	"uftp/engine/tap"
	"uftp/wire"
)

// hostileNames speak to terminals, break lines or are no UTF-8.
var hostileNames = []string{"\x1b]0;pwn\x07", "a\nb\r\tc", "8\x9b2J", "\u0085\u009bx", "\u202e\u2066abc", "\u2028\u2029", "\x7f", "\xff\xfe"}

// speaks reports whether a text has characters that control a terminal or break a line.
func speaks(text string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		for len(line) > 0 {
			r, n := utf8.DecodeRuneInString(line)
			if r == utf8.RuneError && n == 1 || unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || unicode.Is(unicode.Bidi_Control, r) {
				return true
			}
			line = line[n:]
		}
	}
	return false
}

// Names, texts and errors of others reach no output as they are, and JSON has the bytes
// of those that it cannot show.
func TestHostileTexts(t *testing.T) {
	for _, x := range hostileNames {
		c := sender.Client{Name: x, UID: 7}
		in := receiver.Session{From: netip.MustParseAddrPort("10.0.0.1:5")}
		err := &fs.PathError{Op: x, Path: x, Err: errors.New(x)}
		q := receiver.Request{Type: wire.TypeFile, Name: x, Link: x}
		events := []machine.Event{
			tap.Failed{Path: x, Err: err}, engine.Expired{Expired: store.Expired{Path: x}}, engine.Expired{Expired: store.Expired{Path: x, Err: err}}, engine.Traced{Text: x, In: true},
			engine.Skipped{Skip: store.Skip{Path: x, Reason: x}}, engine.SourceFailed{Path: x, Err: err}, engine.Offered{}, engine.Entered{Path: x},
			sender.Connected{Clients: []sender.Client{c}, OK: []bool{true}},
			sender.FileStarted{FileID: 1, File: sender.File{Name: x, Link: x, Type: wire.TypeLink}},
			sender.GotAbort{Client: c, Known: true, Text: x}, sender.Refused{Client: c, Known: true, Reason: x},
			sender.Refused{Client: c, Known: true, Func: wire.FuncRegister, Reason: x}, sender.KeyWarning{Client: c, Text: x},
			sender.SharedUID{Client: c, First: netip.MustParseAddrPort("10.0.0.1:5"), Second: netip.MustParseAddrPort("10.0.0.2:5")},
			sender.FileEnded{File: sender.File{Name: x}, Err: x, Results: []sender.Result{{Client: c, State: sender.Lost}}},
			receiver.FileStarted{Session: in, Request: q}, receiver.GotAbort{Session: in, Text: x}, receiver.SentAbort{Session: in, Text: x},
			receiver.Refused{Session: in, Text: x}, receiver.FileEnded{Session: in, Request: q, Text: x}, engine.Note{Session: in, Text: x},
			engine.Stored{Session: in, Request: q, Path: x}, engine.Moved{Session: in, Paths: []string{"a", x}},
			ScriptEnded{Session: in, Script: x, Args: []string{"-I", "0", x}, Exit: 1}, ScriptEnded{Session: in, Script: x, Err: err},
		}
		var log, lines, screen, table bytes.Buffer
		path := filepath.Join(t.TempDir(), "status")
		st, oerr := OpenStatus(path, nil)
		if oerr != nil {
			t.Fatal(oerr)
		}
		scr := NewScreen(&screen, func() int { return 80 })
		s := &Sender{Name: "uftp", Log: NewLog(&log, Packets, true), JSON: NewJSON(&lines), Status: st, Session: sendConfig()}
		r := &Receiver{Log: NewLog(&log, Packets, false), JSON: NewJSON(&lines), Status: st}
		shown := &Sender{Name: "uftp", Log: NewLog(scr, Packets, false), Screen: scr, Session: sendConfig()}
		for _, ev := range events {
			s.Report(time.Now(), ev)
			shown.Report(time.Now(), ev)
			r.Report(time.Now(), ev)
		}
		s.Table(&table)
		st.Close()
		status, oerr := os.ReadFile(path)
		if oerr != nil {
			t.Fatal(oerr)
		}
		onScreen := strings.NewReplacer("\r", "").Replace(screen.String())
		for what, text := range map[string]string{"log": log.String(), "JSON": lines.String(), "status": string(status), "screen": onScreen, "table": table.String()} {
			if speaks(text) {
				t.Errorf("%s with the name %q: %q", what, x, text)
			}
		}
		if strings.Count(string(status), "\n") != 3 {
			t.Errorf("status lines %q, want three", status)
		}
		checkNames(t, x, lines.String())
	}
}

// checkNames checks that each event with a name has that name, or its bytes.
func checkNames(t *testing.T, name, lines string) {
	t.Helper()
	found := 0
	for line := range strings.Lines(lines) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for field, bytesField := range map[string]string{"file": "name_bytes", "path": "path_bytes", "link": "link_bytes"} {
			got, ok := v[field].(string)
			if !ok || got == "" {
				continue
			}
			found++
			if b, has := v[bytesField].(string); has {
				raw, err := base64.StdEncoding.DecodeString(b)
				if err != nil {
					t.Fatal(err)
				}
				got = string(raw)
			}
			if got != name {
				t.Errorf("%s of %v is %q, want %q", field, v["event"], got, name)
			}
		}
		if all, ok := v["paths"].([]any); ok && len(all) > 0 {
			found++
			got, _ := all[len(all)-1].(string)
			if list, has := v["paths_bytes"].([]any); has {
				raw, _ := base64.StdEncoding.DecodeString(list[len(all)-1].(string))
				got = string(raw)
			}
			if got != name {
				t.Errorf("paths of %v end with %q, want %q", v["event"], got, name)
			}
		}
	}
	if found < 12 {
		t.Errorf("%d names in JSON, want all", found)
	}
}
