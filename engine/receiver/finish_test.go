package receiver

import (
	"testing"

	"uftp/wire"
)

// TestConfirmedWithoutFiles: if the sender counts a session as complete although files of
// it did not arrive, the receiver reports that once: another receiver with its UID has
// answered. It reports nothing if it has answered everything itself.
func TestConfirmedWithoutFiles(t *testing.T) {
	file := func(w *world, id uint16) {
		q := w.toReceiving(id, 1000)
		w.data(id, &q.Layout, 0, 0)
		w.closed("")
		w.done(id, 0, us)
		w.wantComplete(id, wire.StatusNormal, "the file is here")
	}
	end := func(w *world) { w.done(0, 0, us); w.doneConf(us) }
	for _, c := range []struct {
		name string
		say  func(w *world)
		want []Step
		ends bool // the session has ended
	}{
		{"a whole session", func(w *world) { file(w, 1); file(w, 2); end(w) }, nil, true},
		{"a file that is rejected", func(w *world) {
			w.fileInfo(1, 1000)
			w.opened(Opened{Action: Complete, Status: wire.StatusRejected})
			end(w)
		}, nil, true},
		{"a directory", func(w *world) { w.fileInfo(1, 0); w.opened(Opened{Action: Complete}); end(w) }, nil, true},
		{"a file that its sender gives up", func(w *world) {
			w.toReceiving(1, 9000)
			w.abort(wire.Abort{Flags: wire.AbortCurrentFile})
			end(w)
		}, nil, true},
		{"one that it gives up before it came", func(w *world) { w.abort(wire.Abort{Flags: wire.AbortCurrentFile}); end(w) }, nil, true},
		{"late DONEs of earlier files", func(w *world) { file(w, 1); file(w, 2); w.done(1, 0, us); end(w) }, nil, true},
		{"a DONE for others", func(w *world) { file(w, 1); w.done(2, 0, other); end(w) }, nil, true},
		{"nothing at all", end, []Step{NothingCame}, true},
		{"only a DONE", func(w *world) { w.done(1, 0, us); end(w) }, []Step{NothingCame}, true},
		{"the second file", func(w *world) { file(w, 1); w.done(2, 0, us); end(w) }, []Step{NotAllCame}, true},
		{"a file between two", func(w *world) { file(w, 1); w.done(2, 0, us); file(w, 3); end(w) }, []Step{NotAllCame}, true},
		{"DONE while the file is not whole", func(w *world) { w.toReceiving(1, 9000); end(w) }, []Step{NothingCame}, false},
		{"while the second is not whole", func(w *world) { file(w, 1); w.toReceiving(2, 9000); end(w) }, []Step{NotAllCame}, false},
		{"DONE_CONF while the file is not whole", func(w *world) { w.toReceiving(1, 9000); w.doneConf(us) }, []Step{NothingCame}, false},
		{"DONE_CONF before the first file", func(w *world) { w.doneConf(us) }, []Step{NothingCame}, false},
		{"while it is being opened", func(w *world) { w.fileInfo(1, 9000); w.done(0, 0, us) }, []Step{NothingCame}, false},
		{"for others while the file is not whole", func(w *world) { w.toReceiving(1, 9000); w.done(0, 0, other); w.doneConf(other) }, nil, false},
		{"DONE_CONF for others before the first file", func(w *world) { w.doneConf(other) }, nil, false},
		{"a malformed DONE_CONF", func(w *world) { w.send(wire.FuncDoneConf, make([]byte, 5)) }, nil, false},
	} {
		w := newWorld(t)
		w.toMidGroup()
		c.say(w)
		var got []Step
		for _, e := range w.events {
			if e, ok := e.(Stepped); ok && (e.Step == NothingCame || e.Step == NotAllCame) {
				got = append(got, e.Step)
			}
		}
		if len(got) != len(c.want) || len(got) == 1 && got[0] != c.want[0] {
			t.Errorf("%s: reports %v, want %v", c.name, got, c.want)
		}
		if c.ends != (w.session() == nil) {
			t.Errorf("%s: the session has ended: %v, want %v", c.name, w.session() == nil, c.ends)
		}
		if !c.ends {
			w.r.Stop(w.now)
			w.poll()
			if w.session() != nil {
				continue // the host owes an answer
			}
		}
		if e := event[SessionEnded](w, c.name); e.Lacks != (len(c.want) > 0) || e.OK != c.ends {
			t.Errorf("%s: ended %+v", c.name, e)
		}
	}
}
