package sender

import (
	"errors"
	"strings"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/wire"
)

func TestFileInfoRounds(t *testing.T) {
	r := join(t, func(c *Config) { c.Robust = 3 }, 1, 2)
	base := r.at(r.now)
	r.offer("name", 10)
	r.wantWire("FILEINFO leaves at once", base+"FILEINFO f1 name [1 2]")
	t0 := r.now
	r.advance(ms)
	r.ack(2, 1, ms, false)
	r.advance(30 * ms)
	if len(r.wire) != 1 || !strings.HasSuffix(r.wire[0], " FILEINFO f1 name [1]") {
		t.Fatalf("3·G later %q, want it again for those that are silent", r.wire)
	}
	r.advance(30 * ms)
	if len(r.wire) != 2 {
		t.Fatalf("Robust times: %q", r.wire)
	}
	r.advance(t0.Add(90*ms - 1).Sub(r.now))
	r.wantPhase("the last FILEINFO gets its 3·G, too", FileInfo)
	r.forget()
	r.advance(2 * ms)
	r.wantPhase("the others go on", Data)
	r.wantState("the silent one is lost", 1, Lost)
	l := want[ClientLost](r, "this is reported")
	if l.Client.UID != 1 || l.In != LostFileInfo {
		t.Errorf("lost: %+v", l)
	}
	if len(r.wire) == 0 || !strings.HasSuffix(r.wire[0], " ABORT 1 Lost connection") {
		t.Errorf("sent %q, want the ABORT to the lost client first", r.wire)
	}
}

func TestNobodyAnswersFileInfo(t *testing.T) {
	r := join(t, func(c *Config) { c.Robust = 2 }, 1)
	r.offer("f", 10)
	r.advance(time.Second)
	r.wantNotice("nobody answered", AnnounceTimedOut)
	e := want[FileEnded](r, "the file has an outcome")
	if e.Err == "" || len(e.Results) != 1 || e.Results[0].State != Lost {
		t.Errorf("outcome %+v", e)
	}
	want[CloseFile](r, "the file is closed")
	s := want[SessionEnded](r, "the session stops there")
	if s.Exit != ExitNoFileInfo || s.Complete {
		t.Errorf("ended with %+v", s)
	}
	if len(r.wire) != 3 || !strings.Contains(r.wire[2], "ABORT 1") {
		t.Errorf("sent %q, want two FILEINFO and an ABORT to the client", r.wire)
	}
}

func TestFileTypes(t *testing.T) {
	for _, c := range []struct {
		why  string
		file File
		want wire.FileInfo
	}{
		{"regular", File{Name: "a/b", Size: 1 << 33, MTime: 77}, wire.FileInfo{Name: []byte("a/b"), Size: 1 << 33, MTime: 77}},
		{"directory", File{Type: wire.TypeDir, Name: "d", Size: 4096, MTime: 77, Link: "x"}, wire.FileInfo{Type: wire.TypeDir, Name: []byte("d")}},
		{"link", File{Type: wire.TypeLink, Name: "l", Link: "../t", MTime: 77}, wire.FileInfo{Type: wire.TypeLink, Name: []byte("l"), Link: []byte("../t")}},
		{"delete", File{Type: wire.TypeDelete, Name: "x"}, wire.FileInfo{Type: wire.TypeDelete, Name: []byte("x")}},
		{"free space", File{Type: wire.TypeFreeSpace, Name: "."}, wire.FileInfo{Type: wire.TypeFreeSpace, Name: []byte(".")}},
	} {
		r := join(t, nothing, 1)
		if err := r.s.Offer(r.now, c.file); err != nil {
			t.Fatalf("%s: %v", c.why, err)
		}
		pollTo(t, r.s, r.now, &r.out, machine.PacketKind)
		_, msg, _ := wire.ParseHeader(r.out.Packet.Data)
		m, err := wire.ParseFileInfo(wire.Version4, msg)
		if err != nil {
			t.Fatalf("%s: %v", c.why, err)
		}
		if m.FileID != 1 || m.Type != c.want.Type || m.Size != c.want.Size || m.MTime != c.want.MTime ||
			string(m.Name) != string(c.want.Name) || string(m.Link) != string(c.want.Link) {
			t.Errorf("%s: sent %+v, want %+v", c.why, m, c.want)
		}
		r.seq++
		r.drain()
		r.forget()
		if c.file.Type == wire.TypeFile {
			continue
		}
		m2 := wire.Complete{FileID: 1, HasSpace: c.file.Type == wire.TypeFreeSpace, FreeSpace: 12345}
		r.deliver(1, m2.Append(message(1, wire.FuncComplete)))
		r.wantPhase(c.why+" is finished by COMPLETE alone", BetweenFiles)
		e := want[FileEnded](r, c.why)
		res := e.Results[0]
		if e.Elapsed != 0 || e.Passes != 0 || res.State != Done || res.Elapsed != 0 || res.HasSpace != m2.HasSpace || res.FreeSpace != m2.FreeSpace && m2.HasSpace {
			t.Errorf("%s: outcome %+v", c.why, e)
		}
		wantNone[PassStarted](r, "no data phase")
	}
}

func TestOfferRefuses(t *testing.T) {
	r := join(t, nothing, 1)
	long := strings.Repeat("n", 301)
	for _, c := range []struct {
		why  string
		file File
		err  error
	}{
		{"empty name", File{}, ErrName},
		{"long name", File{Name: long}, ErrName},
		{"NUL in a name", File{Name: "a\x00b"}, ErrName},
		{"deleting everything", File{Type: wire.TypeDelete, Name: "."}, ErrName},
		{"deleting more than everything", File{Type: wire.TypeDelete, Name: ".."}, ErrName},
		{"empty link", File{Type: wire.TypeLink, Name: "l"}, ErrLink},
		{"long link", File{Type: wire.TypeLink, Name: "l", Link: long}, ErrLink},
		{"NUL in a link", File{Type: wire.TypeLink, Name: "l", Link: "\x00"}, ErrLink},
		{"unknown type", File{Type: 5, Name: "f"}, ErrType},
		{"too large", File{Name: "f", Size: block.MaxSize(1000) + 1}, block.ErrTooLarge},
	} {
		if err := r.s.Offer(r.now, c.file); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.why, err, c.err)
		}
	}
	if err := r.s.Offer(r.now, File{Name: "f", Size: -1}); err == nil {
		t.Error("a negative size was taken")
	}
	r.drain()
	r.wantWire("what cannot be sent uses no ID and sends nothing")
	r.offer(long[:300], block.MaxSize(1000))
	e := want[FileStarted](r, "the next one is taken")
	if e.FileID != 1 || e.Layout.Sections != block.MaxSections {
		t.Errorf("started %d with %d sections", e.FileID, e.Layout.Sections)
	}
	if err := r.s.Offer(r.now, File{Name: "f"}); !errors.Is(err, ErrNotAsked) {
		t.Errorf("a second offer: %v, want %v", err, ErrNotAsked)
	}
}

func TestNobodyTakesAnyFile(t *testing.T) {
	r := join(t, nothing, 1)
	r.offer("f", 10)
	r.complete(1, 1, wire.StatusRejected)
	e := want[FileEnded](r, "a rejected file is over")
	if e.Results[0].State != Done || e.Results[0].Status != wire.StatusRejected {
		t.Errorf("outcome %+v", e.Results)
	}
	r.endOfFiles()
	r.complete(1, 0, wire.StatusNormal)
	r.advance(time.Second)
	r.wantExit("no file was accepted", ExitNoneSent)
}

func TestNoFiles(t *testing.T) {
	r := join(t, nothing, 1)
	r.endOfFiles()
	r.complete(1, 0, wire.StatusNormal)
	r.advance(time.Second)
	r.wantExit("nothing was there to be sent", ExitNoneSent)
}

func TestFileIDWraps(t *testing.T) {
	r := join(t, nothing, 1)
	r.s.file.id = 65534
	for _, want := range []uint16{65535, 1, 2} {
		r.offer("f", 1)
		if r.s.file.id != want {
			t.Fatalf("file ID %d, want %d: 0 is the session itself", r.s.file.id, want)
		}
		r.complete(1, want, wire.StatusSkipped)
		r.advance(ms)
	}
}

func TestFileInfoAnswers(t *testing.T) {
	r := join(t, nothing, 1, 2)
	r.offer("f", 10)
	r.wantDrop("another file", r.ack(1, 2, 0, false), machine.DropFile)
	r.wantDrop("a COMPLETE of another file", r.complete(1, 2, 0), machine.DropFile)
	m := wire.FileInfoAck{FileID: 1, Clients: wire.AppendUID(nil, 2)}
	r.wantDrop("in the name of others", r.deliver(1, m.Append(wire.Version4, message(1, wire.FuncFileInfoAck))), machine.DropFunction)
	r.wantState("nothing of this counts", 1, Registered)
	r.forget()
	r.wantDrop("the right one", r.ack(1, 1, 4*ms, true), machine.DropNone)
	if h := want[Heard](r, "it is reported"); h.Repeat || !h.Partial || h.RTT < 4*ms || h.FileID != 1 || h.Func != wire.FuncFileInfoAck {
		t.Errorf("reported as %+v", h)
	}
	r.forget()
	r.wantDrop("the same again", r.ack(1, 1, 4*ms, true), machine.DropNone)
	if h := want[Heard](r, "it is reported"); !h.Repeat {
		t.Errorf("reported as %+v", h)
	}
	r.wantDrop("NAKs before there is data", r.status(1, 1, 0, 1), machine.DropPhase)
	r.ack(2, 1, 0, false)
	r.forget()
	r.wantDrop("too late", r.ack(2, 1, 0, false), machine.DropPhase)
	want[Refused](r, "in the data phase it is an invalid message")
	r.wantDrop("REGISTER, too", r.register(2, 0), machine.DropPhase)
}

func TestQuitOnErrorInFileInfo(t *testing.T) {
	r := join(t, func(c *Config) { c.QuitOnError = true; c.Robust = 1 }, 1, 2)
	r.offer("f", 10)
	r.complete(1, 1, wire.StatusSkipped)
	r.forget()
	r.advance(time.Second)
	if len(r.wire) == 0 || !strings.HasSuffix(r.wire[0], "ABORT 0 A client dropped out, aborting all") {
		t.Errorf("sent %q", r.wire)
	}
	r.wantExit("a client is lost", ExitNoFileInfo)
	r.wantState("everybody is out", 1, Aborted)
}

func TestRejectionIsNoError(t *testing.T) {
	r := join(t, func(c *Config) { c.QuitOnError = true }, 1, 2)
	r.offer("f", 0)
	r.complete(1, 1, wire.StatusRejected)
	r.ack(2, 1, 0, false)
	r.advance(5 * ms)
	r.complete(2, 1, wire.StatusNormal)
	r.wantPhase("a rejected file does not quit the session", BetweenFiles)
}

func TestKeepsReceiversWhileTheHostIsSlow(t *testing.T) {
	r := join(t, with(), 1)
	r.forget()
	r.advance(900 * ms)
	if len(r.wire) != 7 {
		t.Fatalf("sent %q in 0.9 s without a file, want seven signs of life: receivers give up after 1 s", r.wire)
	}
	for _, w := range r.wire {
		if !strings.HasSuffix(w, "DONE f1 s0 []") {
			t.Errorf("sent %q, want a DONE that nobody answers", w)
		}
	}
	r.forget()
	r.offer("name", 10)
	r.advance(ms)
	if len(r.wire) != 1 || !strings.Contains(r.wire[0], "FILEINFO f1 name") {
		t.Errorf("sent %q, want the file as soon as there is one", r.wire)
	}
}
