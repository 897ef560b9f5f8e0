package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/store"
	"uftp/wire"
)

// terminal imitates a terminal that knows only the sequences that Screen writes. If it has no room
// for more rows it scrolls.
type terminal struct {
	t     *testing.T
	rows  int // 0: as many as are needed
	above []string
	lines []string
	row   int
}

func (x *terminal) Write(b []byte) (int, error) {
	s := string(b)
	for s != "" {
		var up int
		if n, _ := fmt.Sscanf(s, "\x1b[%dA", &up); n == 1 {
			_, s, _ = strings.Cut(s, "A")
			s = strings.TrimPrefix(s, "\r")
			if x.row -= up; x.row < 0 {
				x.t.Fatalf("moved %d lines above the top", -x.row)
			}
			continue
		}
		line, rest, whole := strings.Cut(s, "\n")
		text, cleared := strings.CutSuffix(line, "\x1b[K")
		if !whole || strings.Contains(text, "\x1b") {
			x.t.Fatalf("unfinished line %q", line)
		}
		for len(x.lines) <= x.row {
			x.lines = append(x.lines, "")
		}
		// What is not cleared stays behind the new text.
		if old := []rune(x.lines[x.row]); !cleared && len(old) > len([]rune(text)) {
			text += string(old[len([]rune(text)):])
		}
		x.lines[x.row] = text
		s = rest
		if x.row++; x.rows > 0 && x.row == x.rows {
			x.above = append(x.above, x.lines[0])
			x.lines = append(x.lines[1:], "")
			x.row--
		}
	}
	return len(b), nil
}

func (x *terminal) String() string {
	shown := append(slices.Clone(x.above), x.lines...)
	for len(shown) > 0 && shown[len(shown)-1] == "" {
		shown = shown[:len(shown)-1]
	}
	return strings.Join(shown, "\n") + "\n"
}

// Pictures and lines of all lengths, on terminals that scroll and that do not: at the end the
// terminal shows each line once, in order, and the last picture below. Nothing from the foot's
// first row on is erased, because tmux would keep it as history.
func TestScreenLeavesNothingBehind(t *testing.T) {
	for _, rows := range []int{0, 4, 7} {
		term := &terminal{t: t, rows: rows}
		var raw bytes.Buffer
		s := NewScreen(io.MultiWriter(term, &raw), func() int { return 40 })
		var want strings.Builder
		for i := range 30 {
			var foot []string
			for j := range i % 4 {
				foot = append(foot, strings.Repeat("f", 1+(7*i+13*j)%37))
			}
			s.Draw(began, foot...)
			for j := range (i / 3) % 3 {
				line := fmt.Sprintf("%d.%d %s", i, j, strings.Repeat("x", (11*i)%30))
				fmt.Fprintln(s, line)
				want.WriteString(line + "\n")
			}
		}
		s.Draw(began, "one", "two")
		if got := term.String(); got != want.String()+"one\ntwo\n" {
			t.Errorf("%d rows: the terminal shows\n%swant\n%sone\ntwo", rows, got, want.String())
		}
		s.Close()
		if got := term.String(); got != want.String() {
			t.Errorf("%d rows: after Close the terminal shows\n%swant\n%s", rows, got, want.String())
		}
		if strings.Contains(raw.String(), "\x1b[J") || strings.Contains(raw.String(), "\x1b[2J") {
			t.Error("the screen is erased, want only ends of lines to be cleared")
		}
	}
}

func TestScreen(t *testing.T) {
	term := &terminal{t: t}
	s := NewScreen(term, func() int { return 11 })
	at := began
	s.Draw(at, "first", "a second line that is too long")
	fmt.Fprintf(s, "log line\n")
	s.Line("bad \x1b[2J \xff")
	if want := "log line\nbad ?[2J ?\nfirst\na second …\n"; term.String() != want {
		t.Errorf("the terminal shows\n%swant\n%s", term, want)
	}
	if s.Due(at.Add(100 * time.Millisecond)) {
		t.Error("a new picture is due after 0.1 s, want at most five a second")
	}
	if !s.Due(at.Add(200 * time.Millisecond)) {
		t.Error("no new picture is due after 0.2 s")
	}
	s.Draw(at, "only one")
	s.Close()
	s.Draw(at, "too late")
	fmt.Fprintf(s, "last\n")
	if want := "log line\nbad ?[2J ?\nlast\n"; term.String() != want {
		t.Errorf("after Close the terminal shows\n%swant\n%s", term, want)
	}
	if s.Due(at.Add(time.Hour)) {
		t.Error("a closed screen is due")
	}
	var none *Screen
	none.Draw(at, "x")
	none.Line("x")
	none.Close()
}

// A session on a terminal 100 columns wide, a picture after each step.
func TestSenderDisplay(t *testing.T) {
	term := &terminal{t: t}
	scr := NewScreen(term, func() int { return 100 })
	s := &Sender{Name: "uftp", Log: NewLog(scr, Warnings, false), Screen: scr, Session: sendConfig()}
	at := began
	var shown strings.Builder
	step := func(evs ...machine.Event) {
		for _, ev := range evs {
			s.Report(at, ev)
		}
		fmt.Fprintf(&shown, "%s\n", term)
		at = at.Add(time.Second)
	}
	tick := func(p sender.Phase, pass, left int, bytes int64, states ...int) engine.SendTick {
		st := sender.Stats{Phase: p, Pass: pass, Blocks: 231, Left: left, Counters: sender.Counters{DataBytes: bytes, NAKs: 12}}
		copy(st.States[:], states)
		return engine.SendTick{Stats: engine.SendStats{Session: st}}
	}
	file := sender.File{Type: wire.TypeFile, Name: "f1", Size: 300000}
	results := []sender.Result{{Client: clientA, State: sender.Done, Elapsed: 2 * time.Second}, {Client: clientB, State: sender.Lost}}
	step(opened(), tick(sender.Announcing, 0, 0, 0, 1, 1))
	step(sender.Connected{Clients: []sender.Client{clientA, clientB}, OK: []bool{true, true}},
		engine.Offered{Entry: store.Entry{Path: "f1"}}, sender.FileStarted{FileID: 1, File: file, Layout: layout(t, 300000)},
		tick(sender.FileInfo, 0, 231, 0, 0, 2))
	step(tick(sender.Data, 1, 231, 0, 0, 0, 2))
	step(tick(sender.Data, 1, 116, 150000, 0, 0, 1, 1))
	step(sender.ClientLost{Client: clientB, In: sender.LostData}, tick(sender.Data, 2, 12, 315000, 0, 0, 0, 0, 1, 1))
	step(sender.FileEnded{FileID: 1, File: file, Results: results, Elapsed: 2 * time.Second, Passes: 2}, tick(sender.Finishing, 0, 0, 315600, 0, 0, 0, 0, 1, 1))
	scr.Close()
	step()
	golden(t, "display-send.txt", shown.String())
}

func TestReceiverDisplay(t *testing.T) {
	term := &terminal{t: t}
	scr := NewScreen(term, func() int { return 100 })
	r := &Receiver{Log: NewLog(scr, Warnings, true), Screen: scr}
	var shown strings.Builder
	at := began
	stats := func(slot, missing int) receiver.Stats {
		in := session1
		in.Slot = slot
		return receiver.Stats{Session: in, Phase: receiver.Receiving, Name: "dir/f1", Size: 300000, Blocks: 231, Missing: missing, NAKs: 3}
	}
	tick := func(sessions ...receiver.Stats) {
		r.Report(at, engine.ReceiveTick{Stats: engine.ReceiveStats{Sessions: sessions}})
		fmt.Fprintf(&shown, "%s\n", term)
		at = at.Add(time.Second)
	}
	tick()
	tick(stats(0, 231))
	tick(stats(0, 100), receiver.Stats{Session: session1, Phase: receiver.MidGroup})
	r.Report(at, receiver.FileEnded{Session: session1, Request: receiver.Request{Name: "dir/f1", Size: 300000}})
	r.Report(at, receiver.FileEnded{Session: session1, Request: receiver.Request{Name: "x"}, Status: wire.StatusRejected, Text: "no"})
	var many []receiver.Stats
	for i := range 12 {
		many = append(many, stats(i, 231))
	}
	tick(many...)
	r.Close()
	tick()
	golden(t, "display-receive.txt", shown.String())
}

func TestTable(t *testing.T) {
	// Play a session with some receivers and files; receiver 0 loses as much as it can.
	table := func(clients, files, unconfirmed int) string {
		s := &Sender{Name: "uftp", Log: NewLog(new(bytes.Buffer), 0, false), Session: sendConfig()}
		var all []sender.Client
		ok := make([]bool, clients)
		for i := range clients {
			all = append(all, sender.Client{Index: i, UID: wire.UID(i + 1), Name: fmt.Sprintf("host%d", i)})
			ok[i] = true
		}
		s.Report(began, sender.Connected{Clients: all, OK: ok})
		s.Report(began, engine.Skipped{Skip: store.Skip{Path: "p", Reason: "no"}})
		for f := range files {
			var rs []sender.Result
			for i, c := range all {
				r := sender.Result{Client: c, State: sender.Done, Elapsed: time.Second, NAKs: int64(i)}
				if i == 0 && f%2 == 1 {
					r.State = sender.Lost
				}
				rs = append(rs, r)
			}
			s.Report(began, sender.FileEnded{FileID: uint16(f + 1), File: sender.File{Name: fmt.Sprintf("a/long/name/of/a/file/%d", f), Size: 1 << 20}, Results: rs})
		}
		end := sender.SessionEnded{Complete: true, Clients: all}
		for i := range all {
			end.States = append(end.States, sender.Done)
			if i >= clients-unconfirmed {
				end.States[i] = sender.Lost
			}
		}
		s.Report(began, end)
		var b bytes.Buffer
		s.Table(&b)
		if n := strings.Count(b.String(), "\n"); n > 60 {
			t.Errorf("the table for %d receivers and %d files has %d lines, want it to stay readable", clients, files, n)
		}
		return b.String()
	}
	var b strings.Builder
	for _, tt := range []struct{ clients, files int }{{3, 2}, {2, 9}, {9, 9}, {500, 300}, {0, 3}, {3, 0}, {1, 1}} {
		fmt.Fprintf(&b, "== %d receivers, %d files\n%s", tt.clients, tt.files, table(tt.clients, tt.files, 0))
	}
	for _, tt := range []struct{ clients, files, unconfirmed int }{{3, 2, 1}, {2, 9, 2}, {1, 1, 1}, {9, 9, 3}, {500, 300, 200}} {
		fmt.Fprintf(&b, "== %d receivers, %d files, %d did not confirm\n%s", tt.clients, tt.files, tt.unconfirmed, table(tt.clients, tt.files, tt.unconfirmed))
	}
	golden(t, "table.txt", b.String())
}

func TestForPeople(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{size(0), "0 B"}, {size(1023), "1023 B"}, {size(1024), "1.0 KiB"}, {size(5 << 20), "5.0 MiB"}, {size(3 << 30), "3.0 GiB"}, {size(1 << 50), "1024.0 TiB"},
		{span(0), "0:00"}, {span(time.Millisecond), "0:01"}, {span(61 * time.Second), "1:01"}, {span(3661 * time.Second), "1:01:01"},
		{bar(0, 4), "[----]"}, {bar(0.5, 4), "[##--]"}, {bar(7, 4), "[####]"}, {bar(-1, 4), "[----]"},
		{fit("größer", 4), "grö…"}, {fit("abc", 3), "abc"}, {fit("abc", 0), "…"}, {tail(strings.Repeat("x", 30)), "…" + strings.Repeat("x", 23)},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
