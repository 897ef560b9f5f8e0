package report

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/engine"
	"uftp/engine/disk"
	"uftp/engine/machine"
	"uftp/engine/store"
)

// TestDiskLines: a receiver whose disk is behind says so from level 1 on, without the
// name of a session, and in JSON.
func TestDiskLines(t *testing.T) {
	events := []machine.Event{
		disk.Lag{State: disk.Behind, For: 20 * time.Millisecond},
		engine.Dropped{Reason: machine.DropNoRoom, Count: 4},
		disk.Lag{State: disk.Stuck, For: 30 * time.Second},
		disk.Lag{State: disk.Back, For: 31500 * time.Millisecond},
	}
	const (
		behind = "Warning: the disk is too slow: blocks that it cannot take are dropped and requested again\n"
		count  = "Dropped 4 datagrams: block that the disk has no room for yet\n"
		stuck  = "Warning: the disk has stopped accepting writes: receiving is paused\n"
		back   = "The disk has caught up after 31.5 seconds\n"
	)
	for level, want := range []string{"", behind + stuck + back, behind + stuck + back, behind + count + stuck + back} {
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
		for i, name := range []string{"behind", "stuck", "back"} {
			line := strings.Split(lines.String(), "\n")[i]
			if !strings.Contains(line, `"event":"disk_`+name+`"`) || !strings.Contains(line, `"elapsed":`) {
				t.Errorf("line %d is %s, want disk_%s with its time", i, line, name)
			}
		}
	}
}

// TestExpiredLines: lines about files that were removed, and about those that could not be.
func TestExpiredLines(t *testing.T) {
	var text, lines bytes.Buffer
	r := &Receiver{Log: NewLog(&text, Detail, false), JSON: NewJSON(&lines)}
	r.Report(began, engine.Expired{Expired: store.Expired{Path: "/t/_group_1\n"}})
	r.Report(began, engine.Expired{Expired: store.Expired{Path: "/t/_group_2", Err: syscall.EACCES}})
	r.Close()
	want := "Removed /t/_group_1? of an interrupted session that no sender has resumed\nCan't remove /t/_group_2 of an interrupted session that no sender has resumed: Permission denied\n"
	if text.String() != want {
		t.Errorf("%q, want %q", text.String(), want)
	}
	checkJSON(t, lines.String())
	if strings.Count(lines.String(), `"event":"expired"`) != 1 || !strings.Contains(lines.String(), `"path":"/t/_group_1`) {
		t.Errorf("%s, want one event", lines.String())
	}
}
