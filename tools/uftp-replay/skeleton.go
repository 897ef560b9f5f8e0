package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// trigger is a message of the sender that receivers answer: its kind, file and section,
// the number of runs of data of the file so far, and its number among equal ones. For data
// it is the first block of a section in a run.
type trigger struct {
	fn            wire.Func
	file, section uint16
	run, n        int
}

// skeleton is the structure of what a sender sends: FILEINFO, runs of data with
// their blocks, the end of the session; repeats do not count.
type skeleton struct {
	steps []string
	times []time.Duration // of the steps, since the first message
	funcs [32]int
	first clock.Time
	last  clock.Time

	seen    map[trigger]int
	runs    map[uint16]int
	file    uint16
	running bool // the last step is an unfinished run of data
	section int  // of its last block
	blocks  block.Set
	begun   clock.Time // moment of its first block
	count   int        // blocks in it
	longest int        // blocks in the longest run so far
	rate    float64    // of that one, bytes of the file a second

	offered string              // the last ANNOUNCE of an encrypted session
	keyed   map[wire.UID]string // hosts that were sent the keys, and errors in those
	keysAt  bool                // they are noted

	quit     bool // the user has stopped the sender
	quitAt   int  // after so many blocks
	dropQuit bool // a lost client has stopped it
	passes   int  // runs until a client had too many, 0 if none had
}

func newSkeleton() skeleton {
	return skeleton{seen: map[trigger]int{}, runs: map[uint16]int{}, keyed: map[wire.UID]string{}}
}

// offer notes what an ANNOUNCE says about keys, if that is new.
func (k *skeleton) offer(text string) {
	if k.offered != text {
		k.offered = text
		k.add("ANNOUNCE " + text)
	}
}

// key notes that KEYINFO has an entry for a host; wrong is an error in it.
func (k *skeleton) key(u wire.UID, wrong string) {
	if len(k.keyed) < stepsMax {
		k.keyed[u] = wrong
	}
}

// keys notes which hosts were sent the keys, once, when the handshake is over: the number
// of KEYINFOs depends on the moments at which hosts registered.
func (k *skeleton) keys() {
	if k.keysAt || len(k.keyed) == 0 {
		return
	}
	k.keysAt = true
	var list []string
	for _, u := range slices.Sorted(maps.Keys(k.keyed)) {
		list = append(list, u.String()+k.keyed[u])
	}
	k.add("KEYINFO for " + strings.Join(list, " "))
}

// sent notes a message and returns its trigger; ok is false for one that nobody answers.
func (k *skeleton) sent(at clock.Time, h wire.Header, msg []byte, sealed bool) (t trigger, stamp time.Duration, ok bool) {
	if k.first == 0 {
		k.first = at
	}
	k.last = at
	k.funcs[h.Func&31]++
	t.fn = h.Func
	switch h.Func {
	case wire.FuncAnnounce, wire.FuncKeyInfo, wire.FuncRegConf:
	default:
		k.keys()
	}
	cover := ""
	if sealed {
		cover = "*"
	}
	switch h.Func {
	case wire.FuncAnnounce:
		x, _ := wire.ParseAnnounce(h.Version, msg)
		stamp = stampOf(x.Time)
	case wire.FuncKeyInfo:
	case wire.FuncFileInfo:
		x, _ := wire.ParseFileInfo(h.Version, msg)
		k.step(fmt.Sprintf("FILEINFO%s %d %s %q of %d bytes", cover, x.FileID, session.FileType(x.Type), x.Name, x.Size))
		t.file, stamp = x.FileID, stampOf(x.Time)
	case wire.FuncDone:
		x, _ := wire.ParseDone(msg)
		k.endRun()
		if x.FileID == 0 {
			k.step("DONE" + cover + " of the session")
		}
		t.file, t.section = x.FileID, x.Section
	case wire.FuncDoneConf:
		k.step("DONE_CONF" + cover)
		return t, 0, false
	case wire.FuncAbort:
		x, _ := wire.ParseAbort(msg)
		k.step(fmt.Sprintf("ABORT%s %v %q", cover, x.Host, x.Text))
		switch text := string(x.Text); {
		case text == "Server quit, aborting all":
			k.quit, k.quitAt = true, k.funcs[wire.FuncFileSeg]
		case strings.HasPrefix(text, "A client "):
			k.dropQuit = true
		case text == "Max passes exceeded" && k.passes == 0:
			k.passes = k.runs[k.file]
		}
		return t, 0, false
	default:
		return t, 0, false
	}
	t.run = k.runs[t.file]
	k.seen[t]++ // without its number
	t.n = k.seen[t]
	return t, stamp, true
}

// data notes a block and returns its trigger if it begins a section.
func (k *skeleton) data(at clock.Time, file uint16, l *block.Layout, i int) (t trigger, ok bool) {
	k.last = at
	k.funcs[wire.FuncFileSeg]++
	if !k.running || k.file != file {
		k.endRun()
		k.running, k.file = true, file
		k.runs[file]++
		k.blocks.Reset(l.Blocks, false)
		k.section, k.begun, k.count = -1, at, 0
	}
	k.count++
	if d := at.Sub(k.begun).Seconds(); k.count >= max(10, k.longest) && d > 0 {
		k.longest, k.rate = k.count, float64((k.count-1)*l.BlockSize)/d
	}
	if i < k.blocks.Len() {
		k.blocks.Add(i)
	}
	s, _ := l.Section(i)
	if s == k.section {
		return t, false
	}
	k.section = s
	return trigger{fn: wire.FuncFileSeg, file: file, section: uint16(s), run: k.runs[file]}, true
}

// finish notes the run that is still open.
func (k *skeleton) finish() {
	k.endRun()
	k.keys()
}

// endRun notes the blocks of a run of data.
func (k *skeleton) endRun() {
	if !k.running {
		return
	}
	k.running = false
	last := k.last
	k.last = k.begun // a run counts from its beginning
	defer func() { k.last = last }()
	var list []string
	shown := 0
	for i := k.blocks.Next(0); i < k.blocks.Len(); {
		if len(list) == rangesMax {
			list = append(list, fmt.Sprintf("and %d more", k.blocks.Count()-shown))
			break
		}
		j := i
		for j+1 < k.blocks.Len() && k.blocks.Has(j+1) {
			j++
		}
		shown += j - i + 1
		if i == j {
			list = append(list, strconv.Itoa(i))
		} else {
			list = append(list, fmt.Sprintf("%d-%d", i, j))
		}
		if j+1 >= k.blocks.Len() {
			break
		}
		i = k.blocks.Next(j + 1)
	}
	k.add(fmt.Sprintf("file %d, run %d: blocks %s", k.file, k.runs[k.file], strings.Join(list, " ")))
}

func (k *skeleton) step(text string) {
	k.endRun()
	if len(k.steps) == 0 || k.steps[len(k.steps)-1] != text {
		k.add(text)
	}
}

// add notes a step; more than stepsMax are counted in messages only.
func (k *skeleton) add(text string) {
	if len(k.steps) < stepsMax {
		k.steps = append(k.steps, text)
		k.times = append(k.times, k.last.Sub(k.first))
	}
}
