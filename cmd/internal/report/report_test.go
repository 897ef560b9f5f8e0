package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/engine"
	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/store"
	"uftp/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s", name, firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		a, b := "(end)", "(end)"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return "got  " + a + "\nwant " + b
		}
	}
	return ""
}

// began is when the sessions of these tests begin; each event comes 1 ms later.
var began = time.Date(2026, 11, 22, 10, 39, 41, 123456000, time.UTC)

func layout(t *testing.T, size int64) block.Layout {
	t.Helper()
	l, err := block.NewLayout(size, 1300)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var (
	clientA = sender.Client{Index: 0, UID: 0x0A580002, Name: "0x0A580002"}
	clientB = sender.Client{Index: 1, UID: 0xbeef, Name: "0xbeef"}
	proxyP  = sender.Client{Index: 2, UID: 0x99, Name: "proxy", Proxy: true}
)

func sendConfig() *sender.Config {
	return &sender.Config{
		Rate: 10000 * 128, BlockSize: 1300, LowerLayers: 28,
		Public:  netip.MustParseAddrPort("230.4.4.1:1044"),
		Private: netip.MustParseAddrPort("230.5.5.156:1044"),
	}
}

func opened() engine.Opened {
	return engine.Opened{
		Caps: netio.Caps{GSO: true, RcvBuf: 262144, SndBuf: 262144}, WantRcvBuf: 262144, WantSndBuf: 262144,
		PrivateAddress: netip.MustParseAddr("230.5.5.156"), Group: 0xAB41671E,
	}
}

// quietSession is a session of stock whose log is known: one receiver, one file.
func quietSession(t *testing.T) []machine.Event {
	file := sender.File{Type: wire.TypeFile, Name: "f1", Size: 300000}
	return []machine.Event{
		opened(),
		sender.PhaseStarted{Phase: sender.Announcing},
		sender.Sent{Func: wire.FuncAnnounce, Round: 1, Open: true},
		sender.Heard{Func: wire.FuncRegister, Client: clientA, RTT: 1404 * time.Microsecond},
		sender.GRTTChanged{GRTT: 10 * time.Millisecond},
		sender.Sent{Func: wire.FuncRegConf, Round: 2, Part: 1},
		sender.Sent{Func: wire.FuncAnnounce, Round: 2, Open: true},
		sender.Connected{Clients: []sender.Client{clientA}, OK: []bool{true}},
		engine.Offered{Entry: store.Entry{Path: "f1"}},
		sender.FileStarted{FileID: 1, File: file, Layout: layout(t, 300000)},
		sender.PhaseStarted{Phase: sender.FileInfo},
		sender.Sent{Func: wire.FuncFileInfo, Round: 1, Part: 1},
		sender.Heard{Func: wire.FuncFileInfoAck, Client: clientA, FileID: 1},
		sender.PhaseStarted{Phase: sender.Data},
		sender.PassStarted{Pass: 1},
		sender.SectionStarted{Section: 0},
		sender.PassEnded{FileID: 1, Pass: 1, Packets: 231, Bytes: 300000, Elapsed: 245 * time.Millisecond},
		sender.Sent{Func: wire.FuncDone, Round: 1, Part: 1},
		sender.Heard{Func: wire.FuncComplete, Client: clientA, FileID: 1},
		sender.FileEnded{
			FileID: 1, File: file, Elapsed: 245111 * time.Microsecond, Passes: 1,
			Results: []sender.Result{{Client: clientA, State: sender.Done, Elapsed: 245111 * time.Microsecond}},
		},
		sender.PhaseStarted{Phase: sender.Finishing},
		sender.Sent{Func: wire.FuncDone, Round: 1, Part: 1},
		sender.Heard{Func: wire.FuncComplete, Client: clientA},
		sender.Notice{Kind: sender.LateCompletions},
		sender.Sent{Func: wire.FuncDoneConf, Round: 2, Part: 1},
		sender.Notice{Kind: sender.GroupComplete},
		sender.PhaseStarted{Phase: sender.Ended},
		sender.SessionEnded{Complete: true, Clients: []sender.Client{clientA}, States: []sender.State{sender.Done}},
	}
}

// badSession has everything that can go wrong, and every kind of file.
func badSession(t *testing.T) []machine.Event {
	all := []sender.Client{clientA, clientB, proxyP}
	results := func(rs ...sender.Result) []sender.Result { return rs }
	f1 := sender.File{Type: wire.TypeFile, Name: "dir;x/f\n1", Size: 5 << 20, MTime: 7}
	o := opened()
	o.Caps.RcvBuf, o.Caps.SndBuf = 212992, 212992
	return []machine.Event{
		o,
		sender.PhaseStarted{Phase: sender.Announcing},
		sender.Sent{Func: wire.FuncAnnounce, Round: 1, Part: 1},
		sender.Refused{Func: wire.FuncRegister, UID: 0x77, Reason: "not in host list"},
		sender.SentAbort{UID: 0x77, Text: "Not in host list"},
		sender.Refused{Func: wire.FuncFileInfoAck, UID: 0xbeef, Client: clientB, Known: true, Reason: "invalid message"},
		sender.Refused{Func: wire.FuncRegister, UID: 0xbeef, Client: clientB, Known: true, Reason: "invalid message: it is aborted, and out of this session"},
		sender.GotAbort{Client: sender.Client{UID: 0x0A580009}, Text: "No unencrypted transfers allowed"},
		sender.Heard{Func: wire.FuncRegister, Client: clientA},
		sender.Heard{Func: wire.FuncRegister, Client: clientA, Repeat: true},
		sender.Notice{Kind: sender.LateRegisters},
		sender.Notice{Kind: sender.RegistrationCut},
		sender.Connected{Clients: all, OK: []bool{true, false, true}},
		engine.Skipped{Skip: store.Skip{Path: "gone", Reason: "Error getting file status for gone: No such file or directory", Level: 0}},
		engine.Skipped{Skip: store.Skip{Path: "op", Early: true, Reason: "Skipping op: doesn't match any base", Level: 1}},
		engine.Entered{Path: "x"},
		engine.Offered{Entry: store.Entry{Path: "x/f\n1"}},
		sender.FileStarted{FileID: 1, File: f1, Layout: layout(t, f1.Size)},
		sender.PhaseStarted{Phase: sender.Data},
		sender.PassStarted{Pass: 1},
		sender.NAKs{Client: clientA, Section: 0, Count: 136},
		sender.Notice{Kind: sender.RewindStarted},
		sender.Notice{Kind: sender.RewindTripped},
		sender.NAKs{Client: clientA, Section: 0, Count: 241, Excess: true},
		sender.NoData{Client: clientA, Passes: 3, PacketBytes: 8852},
		sender.Stalled{Client: clientA, Passes: 20, Lacks: 5},
		sender.Notice{Kind: sender.PassesExceeded},
		sender.Notice{Kind: sender.TimeExceeded},
		sender.Notice{Kind: sender.DataTimedOut},
		sender.ClientLost{Client: clientA, In: sender.LostData},
		sender.GotAbort{Client: clientA, Known: true, Text: "Client\tshutting down"},
		sender.SentAbort{Text: "A client aborted, aborting all"},
		engine.SourceFailed{Path: "x/f1", Err: syscall.EIO},
		engine.SendFailed{To: netip.MustParseAddrPort("230.4.4.1:1044"), Err: syscall.ENETUNREACH},
		sender.FileEnded{
			FileID: 1, File: f1, Passes: 3, Err: "read 5 bytes, expected 6",
			Results: results(
				sender.Result{Client: clientA, State: sender.Lost, NAKs: 377},
				sender.Result{Client: clientB, State: sender.Mute}),
		},
		engine.Offered{Entry: store.Entry{Path: "ln"}},
		sender.FileStarted{FileID: 2, File: sender.File{Type: wire.TypeLink, Name: "ln", Link: "f1"}},
		sender.FileEnded{FileID: 2, File: sender.File{Type: wire.TypeLink, Name: "ln", Link: "f1"}, Passes: 0,
			Results: results(
				sender.Result{Client: clientA, State: sender.Done, Status: wire.StatusRejected},
				sender.Result{Client: clientB, State: sender.Done, Status: wire.StatusSkipped})},
		engine.Offered{Entry: store.Entry{Path: "d"}},
		sender.FileStarted{FileID: 3, File: sender.File{Type: wire.TypeDir, Name: "d"}},
		sender.FileEnded{FileID: 3, File: sender.File{Type: wire.TypeDir, Name: "d"},
			Results: results(
				sender.Result{Client: clientA, State: sender.Aborted},
				sender.Result{Client: clientB, State: sender.Done, Status: wire.StatusOverwrite, Elapsed: time.Second})},
		engine.Offered{Entry: store.Entry{Path: "."}},
		sender.FileStarted{FileID: 4, File: sender.File{Type: wire.TypeFreeSpace, Name: "."}},
		sender.FileEnded{FileID: 4, File: sender.File{Type: wire.TypeFreeSpace, Name: "."},
			Results: results(
				sender.Result{Client: clientA, State: sender.Done, HasSpace: true, FreeSpace: 83801038848},
				sender.Result{Client: clientB, State: sender.Active})},
		engine.Offered{Entry: store.Entry{Path: "zz"}},
		sender.FileStarted{FileID: 5, File: sender.File{Type: wire.TypeDelete, Name: "zz"}},
		sender.ClientLost{Client: clientA, In: sender.LostFileInfo},
		sender.Notice{Kind: sender.AnnounceTimedOut},
		sender.ClientLost{Client: clientB, In: sender.LostComplete},
		engine.Dropped{Reason: machine.DropMalformed, Count: 3},
		engine.Traced{In: true, Peer: netip.MustParseAddrPort("10.88.0.1:1044"), Text: "REGISTER"},
		engine.Traced{Peer: netip.MustParseAddrPort("230.4.4.1:1044"), Text: "ANNOUNCE"},
		engine.Lost{Count: 9},
		sender.SessionEnded{Exit: sender.ExitNoFileInfo, Clients: all, States: []sender.State{sender.Lost, sender.Lost, sender.Active}},
	}
}

// play gives events to a sender's report, each a millisecond after the one before.
func play(s *Sender, evs []machine.Event) {
	stats := engine.RunStats{Elapsed: 1500 * time.Millisecond, Net: netio.Stats{TxDatagrams: 250, TxBytes: 310000, RxDatagrams: 3}}
	res := engine.SendResult{Group: 0xAB41671E, Stats: engine.SendStats{RunStats: stats}}
	at := began
	for _, ev := range evs {
		s.Report(at, ev)
		at = at.Add(time.Millisecond)
		if e, ok := ev.(sender.SessionEnded); ok {
			e.Counters = sender.Counters{DataPackets: 231, DataBytes: 300000, RepairPackets: 2, RepairBytes: 2600, Control: 9, NAKs: 2}
			res.SessionEnded = e
		}
	}
	s.Finish(at, res)
}

func TestSenderLog(t *testing.T) {
	tests := []struct {
		file   string
		events func(*testing.T) []machine.Event
		level  int
		stamps bool
		change func(*sender.Config)
	}{
		{"send.log", quietSession, 2, false, nil},
		{"send-stamps.log", quietSession, 2, true, nil},
		{"send-level3.log", quietSession, 3, true, nil},
		{"send-level4.log", quietSession, 4, false, nil},
		{"send-unlimited.log", quietSession, 2, false, func(c *sender.Config) { c.Rate = 0 }},
		{"send-maxtime.log", quietSession, 2, false, func(c *sender.Config) { c.TxWeight = 1100 }},
		{"bad-level0.log", badSession, 0, false, nil},
		{"bad-level1.log", badSession, 1, false, nil},
		{"bad-level2.log", badSession, 2, false, nil},
		{"bad-level5.log", badSession, 5, true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			var b bytes.Buffer
			cfg := sendConfig()
			if tt.change != nil {
				tt.change(cfg)
			}
			play(&Sender{Name: "uftp", Log: NewLog(&b, tt.level, tt.stamps), Session: cfg}, tt.events(t))
			golden(t, tt.file, b.String())
		})
	}
}

// leaving is a session whose receivers have all files and leave before it is confirmed.
func leaving(t *testing.T) []machine.Event {
	evs := quietSession(t)
	i := slices.IndexFunc(evs, func(e machine.Event) bool { return e == machine.Event(sender.PhaseStarted{Phase: sender.Finishing}) })
	evs = append(evs[:i+1:i+1],
		sender.Heard{Func: wire.FuncComplete, Client: clientA},
		sender.GotAbort{Client: clientA, Known: true, Text: "read-only file system"},
		sender.Notice{Kind: sender.GroupComplete},
		sender.SessionEnded{Exit: sender.ExitNoneSent, Complete: true, Clients: []sender.Client{clientA}, States: []sender.State{sender.Aborted}})
	return evs
}

// stopped is a session that a signal ends between files.
func stopped(t *testing.T) []machine.Event {
	evs := quietSession(t)
	i := slices.IndexFunc(evs, func(e machine.Event) bool { return e == machine.Event(sender.PhaseStarted{Phase: sender.Finishing}) })
	return append(evs[:i:i],
		sender.SessionEnded{Exit: sender.ExitSignal, Clients: []sender.Client{clientA}, States: []sender.State{sender.Aborted}})
}

// TestNothingUnconfirmedIsSuccess: table, status lines, events and log take back the files of a
// receiver that did not confirm the session.
func TestNothingUnconfirmedIsSuccess(t *testing.T) {
	for _, tt := range []struct {
		why    string
		events func(*testing.T) []machine.Event
		stats  string
	}{
		{"aborted at the end", leaving, "STATS;0x0A580002;0;0;0;0MB;0.000;0.00KB/s\n"},
		{"a signal between files", stopped, ""},
	} {
		t.Run(tt.why, func(t *testing.T) {
			var log, status, events, table bytes.Buffer
			st, err := OpenStatus(StatusInLog, NewLog(&status, 0, true))
			if err != nil {
				t.Fatal(err)
			}
			s := &Sender{Name: "uftp", Log: NewLog(&log, 1, false), Status: st, JSON: NewJSON(&events), Session: sendConfig()}
			play(s, tt.events(t))
			s.Table(&table)
			for _, w := range []struct{ what, got, want string }{
				{"table", table.String(), "unconfirmed"},
				{"table", table.String(), "0 of 1 receiver has everything"},
				{"status", status.String(), "\nRESULT;0x0A580002;f1;292KB;aborted;\n"},
				{"status", status.String(), tt.stats},
				{"log", log.String(), "Unconfirmed: 0x0A580002 took 1 file"},
				{"events", events.String(), `"event":"receiver_unconfirmed"`},
				{"events", events.String(), `"unconfirmed":1`},
			} {
				if !strings.Contains(w.got, w.want) {
					t.Errorf("%s is\n%s\nwant %q in it", w.what, w.got, w.want)
				}
			}
			if strings.Contains(table.String(), "ok ") {
				t.Errorf("the table says ok:\n%s", table.String())
			}
		})
	}
}

func TestSenderStatus(t *testing.T) {
	for _, tt := range []struct {
		file    string
		events  func(*testing.T) []machine.Event
		preview bool
	}{
		{"send.status", quietSession, false}, {"bad.status", badSession, false}, {"preview.status", quietSession, true},
	} {
		path := filepath.Join(t.TempDir(), "status")
		if err := os.WriteFile(path, []byte("kept\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		st, err := OpenStatus(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		cfg := sendConfig()
		cfg.Preview = tt.preview
		s := &Sender{Name: "uftp", Log: NewLog(new(bytes.Buffer), 0, false), Status: st, Session: cfg}
		play(s, tt.events(t))
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, tt.file, string(got))
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Status lines in the log have no stamp and come whatever the level is.
func TestStatusInLog(t *testing.T) {
	var b bytes.Buffer
	log := NewLog(&b, 0, true)
	st, err := OpenStatus(StatusInLog, log)
	if err != nil {
		t.Fatal(err)
	}
	play(&Sender{Name: "uftp", Log: log, Status: st, Session: sendConfig()}, quietSession(t))
	want := "CONNECT;success;0x0A580002\nRESULT;0x0A580002;f1;292KB;copy;1195.25KB/s\n" +
		"HSTATS;target;copy;overwrite;skip;totalMB;time;speedKB/s\nSTATS;0x0A580002;1;0;0;0MB;0.245;1195.25KB/s\n"
	if b.String() != want {
		t.Errorf("status lines in the log:\n%swant\n%s", b.String(), want)
	}
}

func TestSenderJSON(t *testing.T) {
	for _, tt := range []struct {
		file   string
		events func(*testing.T) []machine.Event
	}{{"send.json", quietSession}, {"bad.json", badSession}} {
		var b bytes.Buffer
		play(&Sender{Name: "uftp", Log: NewLog(new(bytes.Buffer), 0, false), JSON: NewJSON(&b), Session: sendConfig()}, tt.events(t))
		checkJSON(t, b.String())
		golden(t, tt.file, b.String())
	}
}

// checkJSON checks that each line is one object with a time and an event.
func checkJSON(t *testing.T, text string) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		var x struct{ Time, Event string }
		if err := json.Unmarshal([]byte(line), &x); err != nil || x.Time == "" || x.Event == "" {
			t.Errorf("%s: %v, want an object with time and event", line, err)
		}
	}
}

var session1 = receiver.Session{
	SessionID: receiver.SessionID{Slot: 3, Group: 0xAB41671E, Instance: 1}, Sender: 0x0A580064,
	From: netip.MustParseAddrPort("10.88.0.100:5555"),
}

// receiveSession is a session with a file that loses blocks, one that is
// rejected, and everything else that a receiver can report.
func receiveSession(t *testing.T) []machine.Event {
	in := func(id uint16) receiver.Session {
		s := session1
		s.FileID = id
		return s
	}
	f1 := receiver.Request{Ref: 1, Type: wire.TypeFile, Name: "f1", Size: 300000, MTime: 7, Layout: layout(t, 300000)}
	up := receiver.Request{Ref: 2, Type: wire.TypeFile, Name: "../x", Size: 5000}
	ln := receiver.Request{Ref: 3, Type: wire.TypeLink, Name: "ln\x1b[2J", Link: "f1"}
	step := func(id uint16, s receiver.Step) receiver.Stepped { return receiver.Stepped{Session: in(id), Step: s} }
	return []machine.Event{
		engine.Opened{UID: 0x0A580001, Port: 1044, Caps: netio.Caps{GRO: true, RcvBuf: 212992, SndBuf: 1}, WantRcvBuf: 262144, WantSndBuf: 5},
		receiver.Heartbeat{Peer: netip.MustParseAddrPort("10.88.0.2:1055")},
		receiver.Heartbeat{Peer: netip.MustParseAddrPort("10.88.0.2:1055"), Response: true, Result: wire.HBOK},
		receiver.SessionStarted{Session: in(0), Public: netip.MustParseAddr("230.4.4.1"), Private: netip.MustParseAddr("230.5.5.156"), Sync: true},
		step(0, receiver.RegisterSent),
		step(0, receiver.Confirmed),
		receiver.FileStarted{Session: in(1), Request: f1},
		step(1, receiver.FileInfoAckSent),
		receiver.GotDone{Session: in(1), Section: 0},
		receiver.SentStatus{Session: in(1), Section: 0, NAKs: 133},
		step(1, receiver.FileWhole),
		engine.Stored{Session: in(1), Request: f1, Path: "/dest/f1", Elapsed: 1250 * time.Millisecond},
		step(1, receiver.CompleteSent),
		receiver.FileEnded{Session: in(1), Request: f1},
		receiver.FileStarted{Session: in(2), Request: up},
		step(2, receiver.CompleteSent),
		receiver.FileEnded{Session: in(2), Request: up, Status: wire.StatusRejected, Text: "Rejecting FILEINFO from server: filename contains .."},
		receiver.FileStarted{Session: in(3), Request: ln},
		engine.Note{Session: in(3), Level: 2, Text: "Symbolic link to f1"},
		receiver.FileEnded{Session: in(3), Request: ln, Status: wire.StatusOverwrite},
		receiver.FileEnded{Session: in(4), Request: ln, Status: wire.StatusSkipped},
		receiver.GotDone{Session: in(4), Group: true},
		step(0, receiver.GroupDone),
		step(0, receiver.GroupConfirmed),
		engine.Moved{Session: in(0), Paths: []string{"/dest/f1", "/dest/ln"}},
		receiver.SessionEnded{Session: in(0), OK: true},
		step(0, receiver.NotListed),
		step(0, receiver.TooMany),
		step(0, receiver.TimedOut),
		receiver.Refused{Session: in(0), Text: "No unencrypted transfers allowed"},
		receiver.GotAbort{Session: in(1), Text: "Server quit, aborting all"},
		receiver.SentAbort{Session: in(1), Text: "Transfer timed out"},
		engine.SendFailed{To: netip.MustParseAddrPort("10.88.0.100:5555"), Err: errors.New("odd")},
		engine.Traced{In: true, Peer: netip.MustParseAddrPort("10.88.0.100:5555"), Text: "ANNOUNCE"},
		engine.Dropped{Reason: machine.DropRange, Count: 1},
		engine.Lost{Count: 2},
		receiver.SessionEnded{Session: in(1), Reason: receiver.EndTimeout},
	}
}

func TestReceiver(t *testing.T) {
	for _, level := range []int{0, 1, 2, 5} {
		var b, j bytes.Buffer
		path := filepath.Join(t.TempDir(), "status")
		st, err := OpenStatus(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &Receiver{Log: NewLog(&b, level, true), Status: st, JSON: NewJSON(&j), MaxSessions: 100}
		at := began
		for _, ev := range receiveSession(t) {
			r.Report(at, ev)
			at = at.Add(time.Millisecond)
		}
		r.Close()
		golden(t, "receive-level"+string(rune('0'+level))+".log", b.String())
		status, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "receive.status", string(status))
		checkJSON(t, j.String())
		golden(t, "receive.json", j.String())
	}
}

// The heading of late messages is above the first of them, or is not written.
func TestLateHeadings(t *testing.T) {
	register := sender.Heard{Func: wire.FuncRegister, Client: clientA}
	for _, tt := range []struct {
		what   string
		events []machine.Event
		want   string
	}{
		{"nobody is late", []machine.Event{sender.Notice{Kind: sender.LateRegisters}, sender.Connected{}, register}, "Received REGISTER from client 0x0A580002\n"},
		{"two are late", []machine.Event{sender.Notice{Kind: sender.LateRegisters}, register, register}, "Late registers:\nReceived REGISTER from client 0x0A580002\nReceived REGISTER from client 0x0A580002\n"},
		{"another phase", []machine.Event{sender.Notice{Kind: sender.LateCompletions}, sender.PhaseStarted{Phase: sender.Ended}, register}, "Received REGISTER from client 0x0A580002\n"},
	} {
		var b bytes.Buffer
		s := &Sender{Name: "uftp", Log: NewLog(&b, Normal, false), Session: sendConfig()}
		for _, ev := range tt.events {
			s.Report(began, ev)
		}
		if b.String() != tt.want {
			t.Errorf("%s: log\n%swant\n%s", tt.what, b.String(), tt.want)
		}
	}
}
