package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/ring"
	"uftp/engine/store"
	"uftp/wire"
)

// TestPeerHearsNoPath: of an error the sender hears the system's text, and nothing that says
// where something lies here.
func TestPeerHearsNoPath(t *testing.T) {
	const path = "/srv/secret/f1"
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "pwritev", Path: path, Err: syscall.EIO}, "input/output error"},
		{fmt.Errorf("%s: %w", path, syscall.ENOSPC), "Not enough disk space"},
		{fmt.Errorf("%s: %w", path, store.ErrNoSpace), "Not enough disk space"}, // as store tells it in mid-file
		{fmt.Errorf("moving %s: %w", path, &fs.PathError{Op: "renameat", Path: path, Err: syscall.EROFS}), "read-only file system"},
		{&fs.PathError{Op: "write", Path: path, Err: fs.ErrClosed}, "failed, its log says why"},
		{errors.New(path + ": the temporary file was replaced by another program"), "failed, its log says why"},
		{fmt.Errorf("joining multicast group 230.5.5.5 on eth7: %w", syscall.ENODEV), "no such device"},
		{fmt.Errorf("joining multicast group %v: %w", "ff02::5", errNoInterface), "no interface of its address family"},
	} {
		if got := forPeer(tt.err); got != tt.want {
			t.Errorf("%v: the sender hears %q, want %q", tt.err, got, tt.want)
		}
	}
}

// TestFailedWriteTellsPeerAndLog: of a block that cannot be written the log gets the path,
// and the sender does not.
func TestFailedWriteTellsPeerAndLog(t *testing.T) {
	dest := t.TempDir()
	sink, err := store.NewSink(store.SinkConfig{Dests: []string{dest}})
	if err != nil {
		t.Fatal(err)
	}
	layout, err := block.NewLayout(3000, 1000)
	if err != nil {
		t.Fatal(err)
	}
	ans, file := sink.Begin(store.SessionKey{Group: 7, Started: time.Now()}).Open(store.Request{FileID: 1, Type: wire.TypeFile, Name: "f1", Size: 3000, Layout: layout})
	if file == nil {
		t.Fatalf("%+v", ans)
	}
	var all block.Set
	all.Reset(layout.Blocks, true)
	if err := file.Abandon(&all); err != nil { // from here on nothing can be written
		t.Fatal(err)
	}
	w := writer{answers: ring.NewMailbox[answer](make(chan struct{}, 1)), bufs: [][]byte{make([]byte, 1000)}}
	of := receiver.Session{SessionID: receiver.SessionID{Group: 7}}
	w.flush(&openFile{ref: 1, req: receiver.Request{Name: "f1"}, of: of, sink: file}, 0)
	got := w.answers.Take()
	if len(got) != 1 || got[0].kind != answerWriteFailed || len(got[0].events) != 1 {
		t.Fatalf("answers %+v", got)
	}
	if text := got[0].text; text != "failed, its log says why" {
		t.Errorf("the sender hears %q", text)
	}
	n, ok := got[0].events[0].(Note)
	if !ok || n.Session != of || n.Level != 0 || !strings.Contains(n.Text, "f1") {
		t.Errorf("the log gets %+v", got[0].events[0])
	}
}

// TestFailedSettleTellsPeerAndLog: so it is with a session that cannot be settled.
func TestFailedSettleTellsPeerAndLog(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "parent")
	temp := filepath.Join(parent, "temp")
	if err := os.MkdirAll(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	sink, err := store.NewSink(store.SinkConfig{Dests: []string{t.TempDir()}, Temp: temp})
	if err != nil {
		t.Fatal(err)
	}
	// Without its parent it is not made again.
	if err := os.Rename(parent, parent+".gone"); err != nil {
		t.Fatal(err)
	}
	clock := newWall()
	ev := receiver.Settle{Session: receiver.Session{SessionID: receiver.SessionID{Group: 7}}, Number: 1}
	a := carryOut(&clock, sink, map[receiver.SessionID]*store.Session{}, &request{ev: ev})
	if a.text != syscall.ENOENT.Error() {
		t.Errorf("the sender hears %q, want %q", a.text, syscall.ENOENT.Error())
	}
	if len(a.events) == 0 || !strings.Contains(a.events[len(a.events)-1].(Note).Text, temp) {
		t.Errorf("the log gets %+v, want the path", a.events)
	}
}

// TestFailedJoinTellsPeerAndLog: so it is with a group that cannot be joined.
func TestFailedJoinTellsPeerAndLog(t *testing.T) {
	c := newFakeConn()
	c.join = func(g netip.Addr, i netio.Interface) error {
		if g == netip.MustParseAddr("230.4.4.1") {
			return nil
		}
		return fmt.Errorf("joining %v on %s, %v: %w", g, i.Name, i.Addr, syscall.ENOBUFS)
	}
	var log strings.Builder
	said := make(chan string, 1)
	ctx, stop := context.WithCancel(context.Background())
	done := receiveOnFake(t, ctx, c, nil, func(_ time.Time, ev machine.Event) {
		switch ev := ev.(type) {
		case Note:
			log.WriteString(ev.Text + "\n") // before the ABORT is
		case receiver.SentAbort:
			said <- ev.Text
		}
	})
	c.in <- netio.RxSlot{Buf: announce(), From: netip.MustParseAddrPort("10.0.0.9:5000")}
	select {
	case text := <-said:
		if want := "Error joining multicast group: " + syscall.ENOBUFS.Error(); text != want {
			t.Errorf("the sender hears %q, want %q", text, want)
		}
	case <-time.After(patience):
		t.Fatal("no ABORT")
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "on one") {
		t.Errorf("the log does not name the interface: %q", log.String())
	}
}
