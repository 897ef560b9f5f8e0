package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/wire"
)

const (
	groupDir  = "temp/_group_0BADCAFE"
	stateFile = groupDir + "_restart"
)

// resume requests a file in an instance of the session that is not the first.
func (h *hall) resume(req Request) Request {
	req.Resume = true
	return req
}

// cut receives some blocks of text as req and returns the file, still open.
func (h *hall) cut(req Request, text string, blocks ...int) (*File, *block.Set) {
	h.t.Helper()
	a, f := h.s.Open(req)
	if f == nil {
		h.t.Fatalf("Open(%q) = %+v: want a file to receive", req.Name, a)
	}
	left := new(block.Set)
	left.Reset(req.Layout.Blocks, true)
	for _, i := range blocks {
		off := int(req.Layout.Offset(i))
		if err := f.WriteAt([][]byte{[]byte(text[off : off+req.Layout.Len(i)])}, int64(off)); err != nil {
			h.t.Fatal(err)
		}
		left.Remove(i)
	}
	return f, left
}

// finishRest writes the missing blocks of a and finishes f.
func (h *hall) finishRest(a Answer, f *File, req Request, text string) Finished {
	h.t.Helper()
	for i := a.Missing.Next(0); i < a.Missing.Len(); i = a.Missing.Next(i + 1) {
		off := int(req.Layout.Offset(i))
		if err := f.WriteAt([][]byte{[]byte(text[off : off+req.Layout.Len(i)])}, int64(off)); err != nil {
			h.t.Fatal(err)
		}
	}
	done, err := f.Finish()
	if err != nil {
		h.t.Fatal(err)
	}
	return done
}

func blocksOf(s *block.Set) []int {
	var l []int
	for i := s.Next(0); i < s.Len(); i = s.Next(i + 1) {
		l = append(l, i)
	}
	return l
}

// kill drops the session without ending it, like kill -9.
func (h *hall) kill() {
	if f := h.s.open; f != nil {
		f.h.Close()
		f.unlock()
		f.at.close()
	}
	h.s.closeRoots()
}

// TestResume interrupts a session in every way and resumes it in another process.
func TestResume(t *testing.T) {
	text := body(7*testBlock + 5)
	whole := fmt.Sprintf(" = %d bytes", len(text))
	tests := []struct {
		name   string
		cut    func(h *hall, f *File, left *block.Set)
		resume bool // the part is used
	}{
		{"Abandon and End", func(h *hall, f *File, left *block.Set) {
			if err := f.Abandon(left); err != nil {
				h.t.Fatal(err)
			}
			h.end(false)
		}, true},
		{"Checkpoint, then killed", func(h *hall, f *File, left *block.Set) {
			if err := f.Checkpoint(left); err != nil {
				h.t.Fatal(err)
			}
			if err := f.WriteAt([][]byte{[]byte("garbage the checkpoint knows nothing of")}, 2*testBlock); err != nil {
				h.t.Fatal(err)
			}
			h.kill()
		}, true},
		{"two Checkpoints, then killed", func(h *hall, f *File, left *block.Set) {
			for range 2 {
				if err := f.Checkpoint(left); err != nil {
					h.t.Fatal(err)
				}
			}
			h.kill()
		}, true},
		{"Checkpoint, then End without Abandon", func(h *hall, f *File, left *block.Set) {
			if err := f.Checkpoint(left); err != nil {
				h.t.Fatal(err)
			}
			h.end(false)
		}, true},
		{"killed without Checkpoint", func(h *hall, f *File, left *block.Set) { h.kill() }, false},
		{"Abandon, then killed between record and rename", func(h *hall, f *File, left *block.Set) {
			temp := filepath.Join(f.at.path, f.temp)
			if err := f.Abandon(left); err != nil {
				h.t.Fatal(err)
			}
			if err := os.Rename(h.at(groupDir+"/d/f"), temp); err != nil {
				h.t.Fatal(err)
			}
			h.kill()
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHall(t, withTemp)
			h.receive(h.file("finished", "done"), "done")
			f, left := h.cut(h.file("d/f", text), text, 0, 3, 7)
			tt.cut(h, f, left)
			h.wantTree("dest", "nothing is moved when a session is cut")

			h.begin(1)
			h.fileID = 0
			a := h.complete(h.resume(h.file("finished", "done")))
			h.wantStatus(a, wire.StatusNormal, "a finished file of an earlier instance is not sent again")
			req := h.resume(h.file("d/f", text))
			a, f = h.s.Open(req)
			if f == nil {
				t.Fatalf("Open = %+v: a partial file is not a finished one", a)
			}
			if !tt.resume {
				if a.Partial || a.Missing != nil {
					t.Fatalf("Open = %+v: nothing records what is here", a)
				}
				a.Missing = new(block.Set)
				a.Missing.Reset(req.Layout.Blocks, true)
			} else if want := []int{1, 2, 4, 5, 6}; !a.Partial || !slices.Equal(blocksOf(a.Missing), want) {
				t.Fatalf("missing %v, partial %v: want %v", blocksOf(a.Missing), a.Partial, want)
			}
			h.finishRest(a, f, req, text)
			if got, err := os.ReadFile(h.at(groupDir + "/d/f")); err != nil || string(got) != text {
				t.Errorf("content differs (%v)", err)
			}
			h.wantMissing(stateFile, "the record of a finished file is gone")
			moved, _ := h.end(true)
			if want := []string{h.at("dest/d"), h.at("dest/finished")}; !slices.Equal(moved, want) {
				t.Errorf("moved %q, want %q", moved, want)
			}
			h.wantTree("dest", "all is moved", "d/", "d/f"+whole, "finished = done")
			h.wantTree("temp", "nothing is left")
		})
	}
}

// TestResumeTwice interrupts the resumed session too, before it has requested a file.
func TestResumeTwice(t *testing.T) {
	for _, stock := range []bool{false, true} {
		h := newHall(t, withTemp)
		text := body(4 * testBlock)
		f, left := h.cut(h.file("f", text), text, 0, 1)
		if err := f.Abandon(left); err != nil {
			t.Fatal(err)
		}
		h.end(false)
		if stock {
			h.makeStock(text)
		}
		for instance := uint8(1); instance < 4; instance++ {
			h.begin(instance)
			a, f := h.s.Open(h.resume(h.file("f", text)))
			if f == nil || !a.Partial || !slices.Equal(blocksOf(a.Missing), []int{2, 3}) {
				t.Fatalf("instance %d: %+v", instance, a)
			}
			h.kill()
		}
		h.begin(9) // gets to no file at all
		h.end(false)
		h.begin(10)
		req := h.resume(h.file("f", text))
		a, f := h.s.Open(req)
		if f == nil || !a.Partial {
			t.Fatalf("last instance: %+v", a)
		}
		h.finishRest(a, f, req, text)
		h.end(true)
		h.wantTree("dest", "whole at last", fmt.Sprintf("f = %d bytes", len(text)))
		h.wantTree("temp", "nothing is left")
	}
}

// makeStock turns the record of an abandoned session into that of a stock daemon.
func (h *hall) makeStock(text string) {
	h.t.Helper()
	data, err := os.ReadFile(h.at(stateFile))
	if err != nil {
		h.t.Fatal(err)
	}
	n := bytes.Index(data, []byte(ownMagic))
	if err := os.WriteFile(h.at(stateFile), data[:n], 0o644); err != nil {
		h.t.Fatal(err)
	}
	h.stamp(groupDir+"/f", newStamp)
}

// TestChangedSource resumes files that are not the ones of the first instance.
func TestChangedSource(t *testing.T) {
	text := body(4 * testBlock)
	tests := map[string]func(*Request){
		"time stamp":                 func(r *Request) { r.MTime++ },
		"no time stamp any more":     func(r *Request) { r.MTime = 0 },
		"size, same blocks":          func(r *Request) { r.Size--; r.Layout, _ = block.NewLayout(r.Size, testBlock) },
		"grown":                      func(r *Request) { r.Size += testBlock; r.Layout, _ = block.NewLayout(r.Size, testBlock) },
		"block size, as many blocks": func(r *Request) { r.Layout, _ = block.NewLayout(r.Size, testBlock+1) },
	}
	for name, change := range tests {
		for _, stock := range []bool{false, true} {
			if stock && (strings.HasPrefix(name, "block size") || strings.HasPrefix(name, "no time")) {
				continue // a stock record does not show it
			}
			t.Run(fmt.Sprintf("%s, stock %v", name, stock), func(t *testing.T) {
				h := newHall(t, withTemp)
				f, left := h.cut(h.file("f", text), text, 0, 1)
				if err := f.Abandon(left); err != nil {
					t.Fatal(err)
				}
				h.end(false)
				if stock {
					h.makeStock(text)
				}
				h.begin(1)
				req := h.resume(h.file("f", text))
				change(&req)
				a, f := h.s.Open(req)
				if f == nil || a.Partial || a.Missing != nil {
					t.Fatalf("Open = %+v: want all of the file, it changed", a)
				}
				h.kill()
				h.wantMissing(stateFile, "the old record is gone")
				// A whole file of the first version is no better.
				h.begin(2)
				h.write(groupDir+"/g", text, newStamp-1)
				a, f = h.s.Open(h.resume(h.file("g", text)))
				if f == nil {
					t.Errorf("Open = %+v: same size but another time stamp is another file", a)
				}
				h.kill()
			})
		}
	}
}

func TestFinishedWithoutStamp(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		h := newHall(t, withTemp)
		req := h.file("f", "text")
		req.MTime = 0
		h.receive(req, "text")
		if recorded {
			h.end(false)
		} else {
			h.kill()
		}
		h.begin(1)
		a, f := h.s.Open(h.resume(req))
		if (f == nil) != recorded {
			t.Errorf("record %v: Open = %+v: without a time stamp only a record makes a file trusted", recorded, a)
		}
		h.kill()
	}
}

// TestPartialUnderFinalName loses the record but not the data.
func TestPartialUnderFinalName(t *testing.T) {
	for _, mtime := range []uint32{0, partialStamp, newStamp} {
		h := newHall(t, withTemp)
		text := body(4 * testBlock)
		req := h.file("f", text)
		req.MTime = mtime
		f, left := h.cut(req, text, 0, 3)
		if err := f.Abandon(left); err != nil {
			t.Fatal(err)
		}
		h.end(false)
		if err := os.Remove(h.at(stateFile)); err != nil {
			t.Fatal(err)
		}
		h.begin(1)
		if a, f := h.s.Open(h.resume(req)); f == nil || a.Partial {
			t.Errorf("stamp %d: Open = %+v: a partial file is never taken for a finished one", mtime, a)
		}
		h.kill()
	}
}

// TestNewSessionSameNumber starts an instance 0 where another session has left files.
func TestNewSessionSameNumber(t *testing.T) {
	h := newHall(t, withTemp)
	text := body(4 * testBlock)
	f, left := h.cut(h.file("f", text), text, 0, 3)
	if err := f.Abandon(left); err != nil {
		t.Fatal(err)
	}
	h.end(false)
	h.begin(0)
	a, f := h.s.Open(h.file("f", text))
	if f == nil || a.Partial {
		t.Errorf("Open = %+v: a new session starts anew", a)
	}
	h.kill()
	h.begin(0)
	h.receive(h.file("g", "text"), "text")
	h.end(true)
	h.wantTree("dest", "no partial file gets through", "g = text")
	h.wantTree("temp", "nothing is left")
}

// TestUnusedState ends a resumed session that never asked for the partial file.
func TestUnusedState(t *testing.T) {
	setup := func() (*hall, Request, string) {
		h := newHall(t, withTemp)
		text := body(4 * testBlock)
		req := h.file("f", text)
		f, left := h.cut(req, text, 0, 3)
		if err := f.Abandon(left); err != nil {
			t.Fatal(err)
		}
		h.end(false)
		h.begin(1)
		h.receive(h.resume(h.file("other", "text")), "text")
		return h, h.resume(req), text
	}
	h, _, _ := setup()
	h.end(true)
	h.wantTree("dest", "only what is whole is moved", "other = text")
	h.wantTree("temp", "state and data are removed")

	h, req, _ := setup()
	h.end(false)
	h.begin(2)
	if a, f := h.s.Open(req); f == nil || !a.Partial {
		t.Errorf("Open = %+v: a session cut before it got to the file leaves the state to the next", a)
	}
	h.kill()

	h, req, text := setup()
	f, left := h.cut(h.resume(h.file("third", text)), text, 1)
	if err := f.Checkpoint(left); err != nil {
		t.Fatal(err)
	}
	h.kill()
	h.begin(2)
	if a, f := h.s.Open(h.resume(h.file("third", text))); f == nil || !a.Partial {
		t.Errorf("Open = %+v: the newest partial file counts", a)
	} else if err := f.Abandon(left); err != nil {
		t.Fatal(err)
	}
	if a, f := h.s.Open(req); f == nil || a.Partial {
		t.Errorf("Open = %+v: one partial file a session", a)
	}
	h.kill()
}

// TestAbandonWhereFinalIsTaken keeps a finished file that has the name already.
func TestAbandonWhereFinalIsTaken(t *testing.T) {
	h := newHall(t, withTemp)
	h.receive(h.file("f", "first"), "first")
	h.receive(h.file("d", "file"), "file")
	for _, name := range []string{"f", "d/below"} {
		text := body(3 * testBlock)
		f, left := h.cut(h.file(name, text), text, 1)
		if err := f.Abandon(left); err != nil {
			t.Fatal(err)
		}
		for n, want := range map[string]string{"f": "first", "d": "file"} {
			if got, _ := os.ReadFile(h.at(groupDir + "/" + n)); string(got) != want {
				t.Errorf("abandoning %s changed the finished file %s", name, n)
			}
		}
		h.end(false)
		h.begin(1)
		req := h.resume(h.file(name, text))
		a, f := h.s.Open(req)
		if f == nil || !a.Partial {
			t.Fatalf("Open(%s) = %+v: want it resumed", name, a)
		}
		if err := f.Abandon(a.Missing); err != nil {
			t.Fatal(err)
		}
	}
	h.end(false)
}

// TestCheckpointWhileWriting writes a file from one goroutine and makes checkpoints from another,
// like the engine; the race detector watches. Every block that the last checkpoint does not call
// missing must be there.
func TestCheckpointWhileWriting(t *testing.T) {
	const n, run = 600, 3
	h := newHall(t, withTemp)
	text := body(n * testBlock)
	req := h.file("f", text)
	_, f := h.s.Open(req)
	var written atomic.Int64 // blocks
	var writer sync.WaitGroup
	writer.Go(func() {
		bufs := make([][]byte, run)
		for i := 0; i < n; i += run {
			for j := range bufs {
				bufs[j] = []byte(text[(i+j)*testBlock : (i+j+1)*testBlock])
			}
			if err := f.WriteAt(bufs, int64(i*testBlock)); err != nil {
				t.Error(err)
				return
			}
			written.Store(int64(i + run))
		}
	})
	saved := int64(0)
	for saved < n && !t.Failed() {
		saved = written.Load()
		left := missing(n)
		for i := saved; i < n; i++ {
			left.Add(int(i))
		}
		if err := f.Checkpoint(left); err != nil {
			t.Fatal(err)
		}
		if saved > n/2 {
			break
		}
	}
	writer.Wait()
	h.kill()
	h.begin(1)
	a, f := h.s.Open(h.resume(req))
	if f == nil || !a.Partial || a.Missing.Count() != n-int(saved) {
		t.Fatalf("Open = %+v, want all but %d blocks missing", a, saved)
	}
	h.finishRest(a, f, req, text)
	h.end(true)
	if got, err := os.ReadFile(h.at("dest/f")); err != nil || string(got) != text {
		t.Errorf("the file differs (%v)", err)
	}
}

// TestAbandonOfNothing abandons a file without any block.
func TestAbandonOfNothing(t *testing.T) {
	for _, checkpoint := range []bool{false, true} {
		h := newHall(t, withTemp)
		text := body(3 * testBlock)
		f, left := h.cut(h.file("d/f", text), text)
		if checkpoint {
			if err := f.Checkpoint(missing(3, 1, 2)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Abandon(left); err != nil {
			t.Fatal(err)
		}
		h.wantTree("temp", "neither data nor a record is left", "_group_0BADCAFE/")
		h.end(false)
		h.begin(1)
		req := h.resume(h.file("d/f", text))
		a, f := h.s.Open(req)
		if f == nil || a.Partial {
			t.Fatalf("Open = %+v, want all of it", a)
		}
		if err := f.WriteAt([][]byte{[]byte(text)}, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Finish(); err != nil {
			t.Fatal(err)
		}
		h.end(true)
		h.wantTree("dest", "received anew", "d/", "d/f = 3000 bytes")
	}

	// An older partial file is still used.
	h := newHall(t, withTemp)
	text := body(3 * testBlock)
	first := h.file("first", text)
	f, left := h.cut(first, text, 1)
	if err := f.Abandon(left); err != nil {
		t.Fatal(err)
	}
	h.end(false)
	h.begin(1)
	f, left = h.cut(h.resume(h.file("second", text)), text)
	if err := f.Abandon(left); err != nil {
		t.Fatal(err)
	}
	h.end(false)
	h.begin(2)
	a, f := h.s.Open(h.resume(first))
	if f == nil || !a.Partial {
		t.Fatalf("Open = %+v, want the older partial file resumed", a)
	}
	h.finishRest(a, f, first, text)
	h.end(true)
	h.wantTree("dest", "resumed", "first = 3000 bytes")
}

// TestShortData resumes data that lost their end.
func TestShortData(t *testing.T) {
	h := newHall(t, withTemp)
	text := body(4 * testBlock)
	f, left := h.cut(h.file("f", text), text, 0, 1, 2)
	if err := f.Abandon(left); err != nil {
		t.Fatal(err)
	}
	h.end(false)
	if err := os.Truncate(h.at(groupDir+"/f"), testBlock+10); err != nil {
		t.Fatal(err)
	}
	h.begin(1)
	a, f := h.s.Open(h.resume(h.file("f", text)))
	if f == nil || !slices.Equal(blocksOf(a.Missing), []int{1, 2, 3}) {
		t.Errorf("missing %v: want also what the file is too short for", blocksOf(a.Missing))
	}
	h.kill()
	if err := os.Remove(h.at(groupDir + "/" + f.temp)); err != nil {
		t.Fatal(err)
	}
	h.begin(2)
	if a, f := h.s.Open(h.resume(h.file("f", text))); f == nil || a.Partial {
		t.Errorf("Open = %+v: without data there is nothing to resume", a)
	}
	h.kill()
}

// TestHostileState puts links and rubbish where the record and the data belong.
func TestHostileState(t *testing.T) {
	text := body(4 * testBlock)
	for name, spoil := range map[string]func(*hall){
		"empty":  func(h *hall) { h.write(stateFile, "", 1) },
		"short":  func(h *hall) { h.write(stateFile, "abc", 1) },
		"huge":   func(h *hall) { h.write(stateFile, strings.Repeat("\xff", 400), 1) },
		"folder": func(h *hall) { os.Remove(h.at(stateFile)); h.mkdir(stateFile) },
		"bit flipped": func(h *hall) {
			data, _ := os.ReadFile(h.at(stateFile))
			data[len(data)-9] ^= 4
			h.write(stateFile, string(data), 1)
		},
		"data are a link": func(h *hall) {
			h.write("outside/f", text, newStamp)
			os.Remove(h.at(groupDir + "/f"))
			h.link(h.at("outside/f"), groupDir+"/f")
		},
		"record is a link": func(h *hall) {
			os.Rename(h.at(stateFile), h.at("outside/state"))
			h.link(h.at("outside/state"), stateFile)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHall(t, withTemp)
			f, left := h.cut(h.file("f", text), text, 0, 3)
			if err := f.Abandon(left); err != nil {
				t.Fatal(err)
			}
			h.end(false)
			spoil(h)
			outside := h.tree("outside")
			h.begin(1)
			a, f := h.s.Open(h.resume(h.file("f", text)))
			if f == nil || a.Partial {
				t.Fatalf("Open = %+v: want all of the file", a)
			}
			if err := f.WriteAt([][]byte{[]byte(text)}, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Finish(); err != nil {
				t.Fatal(err)
			}
			h.wantTree("outside", "no link is followed", outside...)
			if name == "folder" {
				return // it cannot be removed; End says so
			}
			h.end(true)
			h.wantTree("dest", "whole", fmt.Sprintf("f = %d bytes", len(text)))
		})
	}
}

// TestStockState reads a record that a stock daemon 4.10.2 wrote when its sender
// was stopped: blocks 38 to 50 of the 51 of dirA/f1 were missing.
func TestStockState(t *testing.T) {
	data, err := os.ReadFile("testdata/stock_state")
	if err != nil {
		t.Fatal(err)
	}
	text := body(65017)
	h := newHall(t, withTemp)
	h.write(groupDir+"/aa", "small\n", newStamp)
	h.write(groupDir+"/dirA/f1", text[:38*1300], newStamp)
	h.write(stateFile, string(data), newStamp)
	h.begin(1)
	h.complete(h.resume(h.file("aa", "small\n")))
	req := h.resume(h.file("dirA/f1", text))
	req.Layout, _ = block.NewLayout(req.Size, 1300)
	a, f := h.s.Open(req)
	if f == nil || !a.Partial || a.Missing.Count() != 13 || a.Missing.Next(0) != 38 {
		t.Fatalf("Open = %+v: want blocks 38 to 50 missing", a)
	}
	h.finishRest(a, f, req, text)
	if got, err := os.ReadFile(h.at(groupDir + "/dirA/f1")); err != nil || string(got) != text {
		t.Errorf("content differs (%v)", err)
	}
	h.end(true)
	h.wantTree("dest", "moved", "aa = small\n", "dirA/", "dirA/f1 = 65017 bytes")
	h.wantTree("temp", "nothing is left")

	// Our own record begins with the same bytes.
	got := encodeRecord(nil, req, "x", missing(51, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50), true)
	if !bytes.Equal(got[:len(data)], data) {
		t.Error("our record differs from the stock daemon's in the stock part")
	}
}

func TestStateRoundTrip(t *testing.T) {
	for _, blocks := range []int{1, 7, 8, 9, 64, 8001, 20000} {
		l, err := block.NewLayout(int64(blocks*testBlock-3), testBlock)
		if err != nil {
			t.Fatal(err)
		}
		req := Request{Name: "d/" + strings.Repeat("n", 298), Size: l.Size, MTime: newStamp, Layout: l}
		left := missing(blocks)
		for i := 0; i < blocks; i += 3 {
			left.Add(i)
		}
		for _, final := range []bool{false, true} {
			data := encodeRecord(nil, req, "some.~uftp", left, final)
			if stock := bytes.Index(data, []byte(ownMagic)); final && stock != stockHeader+l.Blocks+l.Sections || !final && stock != stockHeader {
				t.Errorf("%d blocks, final %v: stock part of %d bytes", blocks, final, stock)
			}
			r, err := decodeRecord(data)
			if err != nil {
				t.Fatal(err)
			}
			want := &record{name: req.Name, size: l.Size, blocks: l.Blocks, sections: l.Sections, missing: *left,
				own: true, mtime: newStamp, blockSize: testBlock, temp: "some.~uftp", final: final}
			if !reflect.DeepEqual(r, want) {
				t.Errorf("%d blocks, final %v: got %+v", blocks, final, r)
			}
			if !r.matches(req) {
				t.Errorf("the record does not match its own request")
			}
			if blocks > 9 {
				continue
			}
			stockLen := len(data)
			if final {
				stockLen = stockHeader + l.Blocks + l.Sections
			}
			for n := range data {
				r, err := decodeRecord(data[:n])
				if err == nil && r != nil && (!final || n < stockLen) {
					t.Fatalf("cut to %d of %d bytes: %+v", n, len(data), r)
				}
			}
		}
	}
	r, err := decodeRecord(make([]byte, stockHeader))
	if r != nil || err != nil {
		t.Errorf("cut between files: %+v, %v; want no file", r, err)
	}
	if r, err = decodeRecord(encodeRecord(nil, Request{}, "", new(block.Set), false)); r != nil || err != nil {
		t.Errorf("our own, cut between files: %+v, %v; want no file", r, err)
	}
}

func TestStateSections(t *testing.T) {
	l, _ := block.NewLayout(3*8*512*512, 512) // 3 sections of 4096 blocks
	left := missing(l.Blocks, l.First(1)+5)
	b := encodeRecord(nil, Request{Name: "f", Size: l.Size, Layout: l}, "", left, true)
	if got := b[stockHeader+l.Blocks : stockHeader+l.Blocks+l.Sections]; !bytes.Equal(got, []byte{1, 0, 1}) {
		t.Errorf("sections known complete: % x, want 01 00 01", got)
	}
	if binary.LittleEndian.Uint32(b) != uint32(l.Blocks) || binary.LittleEndian.Uint64(b[8:]) != uint64(l.Size) {
		t.Error("header differs from the layout of the stock daemon")
	}
}

func FuzzState(f *testing.F) {
	l, _ := block.NewLayout(9*testBlock, testBlock)
	req := Request{Name: "f", Size: l.Size, Layout: l}
	f.Add(encodeRecord(nil, req, "t", missing(9, 1), true))
	f.Add(encodeRecord(nil, req, "t", missing(9, 1), false))
	f.Add(make([]byte, stockHeader))
	if data, err := os.ReadFile("testdata/stock_state"); err == nil {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRecord(data)
		if err != nil || r == nil {
			return
		}
		if r.blocks <= 0 || r.missing.Len() != r.blocks || r.blocks > 8*len(data) {
			t.Fatalf("%d bytes: %+v", len(data), r)
		}
	})
}

// TestTwoInstances starts a new instance before the old one is given up: the old one must not touch
// the files that now belong to the new one.
func TestTwoInstances(t *testing.T) {
	h := newHall(t, nil)
	text := body(3 * testBlock)
	req := h.file("f", text)
	f, left := h.cut(req, text, 0)
	old := h.s
	h.begin(1)
	a, g := h.s.Open(req)
	if g == nil {
		t.Fatalf("Open = %+v", a)
	}
	if err := f.Abandon(left); err != nil {
		t.Error(err)
	}
	old.End(false)
	if err := g.WriteAt([][]byte{[]byte(text)}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Finish(); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(h.at("dest/f")); err != nil || !fi.ModTime().Equal(time.Unix(newStamp, 0)) {
		t.Errorf("%v, %v", fi, err)
	}
	h.wantTree("dest", "the new one's file, whole", fmt.Sprintf("f = %d bytes", len(text)))
}
