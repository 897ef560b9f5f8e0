package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"uftp/engine/disk"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/ring"
	"uftp/engine/store"
)

// TestPeerHearsNoPath: a sender gets the system's text of an error, and no path of this
// host.
func TestPeerHearsNoPath(t *testing.T) {
	const path = "/srv/secret/f1"
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "pwritev", Path: path, Err: syscall.EIO}, "input/output error"},
		{fmt.Errorf("%s: %w", path, syscall.ENOSPC), "Not enough disk space"},
		{fmt.Errorf("%s: %w", path, store.ErrNoSpace), "Not enough disk space"}, // as store reports it within a file
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

// TestFailedWriteTellsPeerAndLog: when a block cannot be written, the log gets the path,
// and the sender does not.
func TestFailedWriteTellsPeerAndLog(t *testing.T) {
	of := receiver.Session{SessionID: receiver.SessionID{Group: 7}}
	f := &disk.File{For: receiver.Open{Session: of, Request: receiver.Request{Ref: 1, Name: "f1"}}}
	err := fmt.Errorf("writing /dest/f1: %w", os.ErrClosed)
	if text := forPeer(err); text != "failed, its log says why" {
		t.Errorf("the sender hears %q", text)
	}
	want := []machine.Event{Note{of, 0, "storing f1: writing /dest/f1: file already closed"}}
	if got := resultEvents(disk.WriteFailed{File: f, Err: err}); !reflect.DeepEqual(got, want) {
		t.Errorf("the log gets %+v, want %+v", got, want)
	}
}

// TestFailedSettleTellsPeerAndLog is the same for a session that cannot be settled.
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
	d := newLooseDisk(t, sink)
	ev := receiver.Settle{Session: receiver.Session{SessionID: receiver.SessionID{Group: 7}}, Number: 1}
	d.Settle(d.Begin(store.SessionKey{Group: 7, Started: time.Now()}), ev)
	res := d.await().(disk.Settled)
	if text := forPeer(res.Err); text != syscall.ENOENT.Error() {
		t.Errorf("the sender hears %q, want %q", text, syscall.ENOENT.Error())
	}
	if evs := resultEvents(res); len(evs) == 0 || !strings.Contains(evs[len(evs)-1].(Note).Text, temp) {
		t.Errorf("the log gets %+v, want the path", evs)
	}
}

// looseDisk is a disk without a receiver.
type looseDisk struct {
	*disk.Disk
	t    *testing.T
	wake chan struct{}
}

func newLooseDisk(t *testing.T, sink *store.Sink) looseDisk {
	in := ring.New[rxSlot](2, nil, 1, 1, 1)
	w, wake, quit := newWall(), make(chan struct{}, 1), make(chan struct{})
	var wg sync.WaitGroup
	d := disk.New(disk.Config{
		Sink: disk.Files(sink), Slots: 2, Core: in.Hand(1, 0), Writer: in.Hand(2, 0),
		Clock: w.now, Go: wg.Go, Wake: wake, Quit: quit,
	})
	wg.Go(d.Run)
	t.Cleanup(func() {
		close(quit)
		wg.Wait()
	})
	return looseDisk{d, t, wake}
}

// await returns the next result.
func (d looseDisk) await() disk.Result {
	d.t.Helper()
	for {
		if list := d.Results(); len(list) > 0 {
			return list[0]
		}
		select {
		case <-d.wake:
		case <-time.After(patience):
			d.t.Fatal("no result")
		}
	}
}

// TestFailedJoinTellsPeerAndLog is the same for a group that cannot be joined.
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
