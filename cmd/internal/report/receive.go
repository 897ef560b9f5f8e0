package report

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/version"
	"uftp/crypto/aead"
	"uftp/crypto/identity"
	"uftp/engine"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/wire"
)

// Receiver reports the events of a receiver. Its methods may be called from several goroutines,
// since look-ups of names have goroutines of their own. The fields must not change after the first
// event.
type Receiver struct {
	Log    *Log
	Status *Status // nil: none
	JSON   *JSON   // nil: none
	Screen *Screen // nil: none
	Names  *Names  // nil: senders are shown by address only

	Keys        []*identity.PublicKey // loaded at the start
	MaxSessions int                   // for the line about too many sessions

	mu      sync.Mutex
	waiting bool // a look-up runs for the sender of the first event in held
	closed  bool
	held    []heldEvent
	meters  map[int]*meter // by slot, for the screen
	live    int            // sessions
}

type heldEvent struct {
	at time.Time
	ev machine.Event
}

// heldMax is how many events may wait for a name.
const heldMax = 4096

// Report takes one event. It is an engine.Reporter. When a session begins and the name of its
// sender is unknown, all events wait for the look-up, which is bounded, so that lines stay in
// order.
func (r *Receiver) Report(at time.Time, ev machine.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting && len(r.held) < heldMax {
		r.held = append(r.held, heldEvent{at, ev})
		return
	}
	r.waiting = false
	r.held = append(r.held, heldEvent{at, ev})
	r.drain()
}

// drain reports held events until one needs a look-up.
func (r *Receiver) drain() {
	for len(r.held) > 0 {
		h := r.held[0]
		if s, ok := h.ev.(receiver.SessionStarted); ok && r.Names != nil && !r.closed {
			ip := s.Session.From.Addr()
			if _, known := r.Names.known(ip); !known && len(r.held) < heldMax {
				r.waiting = true
				go func() {
					r.Names.find(ip)
					r.mu.Lock()
					defer r.mu.Unlock()
					r.waiting = false
					r.drain()
				}()
				return
			}
		}
		r.held = r.held[1:]
		r.handle(h.at, h.ev)
	}
	r.held = nil
}

// Close reports all held events.
func (r *Receiver) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed, r.waiting = true, false
	r.drain()
	r.Screen.Close()
}

func whereOf(s receiver.Session) Where {
	return Where{Session: true, Group: s.Group, Instance: s.Instance, FileID: s.FileID}
}

func (r *Receiver) handle(at time.Time, ev machine.Event) {
	if hostEvent(r.Log, r.JSON, at, Where{}, ev) {
		return
	}
	switch e := ev.(type) {
	case engine.Opened:
		r.opened(at, e)
	case engine.Identified:
		r.logf(Normal, at, Where{}, "The ID of this receiver is now %v, from %v", e.UID, e.Interface)
		r.JSON.write(jsonIdentified{newHead(at, "identified", Where{}), e.UID.String(), e.Interface.Name})
	case engine.Note:
		in := Where{}
		if e.Session != (receiver.Session{}) {
			in = whereOf(e.Session)
		}
		r.logf(e.Level, at, in, "%s", e.Text)
	case engine.Stored:
		r.stored(at, e)
	case ScriptEnded:
		r.scriptEnded(at, e)
	case engine.Moved:
		r.JSON.write(jsonMoved{newHead(at, "moved", whereOf(e.Session)), e.Paths, rawAll(e.Paths)})
	case engine.SendFailed:
		r.logf(Errors, at, Where{}, "Error sending to %s: %s", e.To, cli.ErrText(e.Err))
		r.JSON.write(jsonText{head: newHead(at, "send_failed", Where{}), To: e.To.String(), Text: cli.ErrText(e.Err)})
	case engine.ReceiveStopped:
		r.logf(Detail, at, Where{}, "Got %s in %.0f seconds, %d more were dropped because the receive buffer was full",
			cli.Count(e.Stats.Net.RxDatagrams, "datagram"), e.Stats.Elapsed.Seconds(), e.Stats.Net.KernelDrops)
		r.JSON.write(jsonStopped{
			newHead(at, "stopped", Where{}), seconds(e.Stats.Elapsed), e.Stats.Net.TxDatagrams, e.Stats.Net.RxDatagrams, e.Stats.Net.RxBytes,
			e.Stats.Net.KernelDrops, e.Stats.Net.Truncated, e.Stats.Net.GSOFallbacks,
		})
	case engine.ReceiveTick:
		r.tick(at, e.Stats.Sessions)
	case receiver.SessionStarted:
		r.sessionStarted(at, e)
	case receiver.Keyed:
		r.keyed(at, e)
	case receiver.HaveKey:
		r.logf(Normal, at, Where{}, "Created %s for senders that authenticate receivers", strings.TrimPrefix(cli.KeyLine(e.Key), "Loaded "))
	case receiver.Stepped:
		if e.Step == receiver.TooMany {
			r.logf(Errors, at, whereOf(e.Session), "%v: %d", e.Step, r.MaxSessions)
			return
		}
		r.logf(stepLevel(e.Step), at, whereOf(e.Session), "%v", e.Step)
		if e.Step == receiver.NothingCame || e.Step == receiver.NotAllCame {
			r.JSON.write(jsonText{head: newHead(at, "not_received", whereOf(e.Session)), Sender: e.Session.Sender.String(), Text: e.Step.String()})
		}
	case receiver.FileStarted:
		r.fileStarted(at, e)
	case receiver.GotDone:
		in := whereOf(e.Session)
		if e.Group {
			in.FileID = 0
			r.logf(Normal, at, in, "Got DONE message for group")
		} else {
			r.logf(Normal, at, in, "Got DONE message for section %d", e.Section)
		}
	case receiver.SentStatus:
		r.logf(Normal, at, whereOf(e.Session), "Sent %d NAKs for section %d", e.NAKs, e.Section)
	case receiver.FileEnded:
		r.fileEnded(at, e)
	case receiver.GotAbort:
		r.logf(Warnings, at, whereOf(e.Session), "Transfer aborted by server: %s", e.Text)
		r.JSON.write(jsonText{head: newHead(at, "aborted_by_sender", whereOf(e.Session)), Sender: e.Session.Sender.String(), Text: e.Text})
	case receiver.SentAbort:
		r.logf(Normal, at, whereOf(e.Session), "ABORT sent: %s", e.Text)
		r.JSON.write(jsonText{head: newHead(at, "aborted", whereOf(e.Session)), Sender: e.Session.Sender.String(), Text: e.Text})
	case receiver.Refused:
		r.logf(Warnings, at, whereOf(e.Session), "%s", e.Text)
		r.JSON.write(jsonText{head: newHead(at, "refused", whereOf(e.Session)), Sender: e.Session.Sender.String(), Text: e.Text})
	case receiver.SessionEnded:
		r.logf(Detail, at, whereOf(e.Session), "Session ended: %v", e.Reason)
		r.JSON.write(jsonSessionEnd{newHead(at, "session_ended", whereOf(e.Session)), e.Session.Sender.String(), e.OK && !e.Lacks, e.Reason.String()})
		delete(r.meters, e.Session.Slot)
		if r.live--; r.live == 0 {
			r.Screen.Draw(at, idleLine)
		}
	case receiver.Heartbeat:
		r.heartbeat(at, e)
	}
}

func (r *Receiver) logf(level int, at time.Time, in Where, format string, args ...any) {
	r.Log.Printf(level, at, in, format, args...)
}

// uidHex formats a UID for log and status lines of the daemon.
func uidHex(u wire.UID) string { return fmt.Sprintf("%08X", uint32(u)) }

func (r *Receiver) opened(at time.Time, e engine.Opened) {
	r.logf(Normal, at, Where{}, "%s", banner())
	// Replies are few and small: only the receive buffer matters.
	e.WantSndBuf = 0
	for _, k := range r.Keys {
		r.logf(Normal, at, Where{}, "%s", cli.KeyLine(k))
	}
	warnBuffers(r.Log, at, Where{}, e)
	r.Screen.Draw(at, idleLine)
	r.JSON.write(jsonListening{newHead(at, "listening", Where{}), version.Version, e.UID.String(), e.Port, e.Caps.RcvBuf, e.Caps.GSO, e.Caps.GRO})
}

func (r *Receiver) sessionStarted(at time.Time, e receiver.SessionStarted) {
	r.live++
	in := whereOf(e.Session)
	ip := e.Session.From.Addr()
	name := ip.String()
	if r.Names != nil {
		if n, ok := r.Names.known(ip); ok {
			name = n
		}
	}
	r.logf(Normal, at, in, "Received request from %s at %s (%s)", uidHex(e.Session.Sender), ip, name)
	r.logf(Normal, at, in, "Using private multicast address %s", e.Private)
	r.Status.Printf("CONNECT;%s;%s;%08X;%s;%s", statusTime(at), uidHex(e.Session.Sender), e.Session.Group, ip, name)
	r.JSON.write(jsonSessionStart{newHead(at, "session_started", in), e.Session.Sender.String(), e.Session.From.String(), e.Private.String(), e.Sync, e.Preview})
}

// keyed reports how well a session is protected. At the normal level only weak protection has a
// line.
func (r *Receiver) keyed(at time.Time, e receiver.Keyed) {
	in := whereOf(e.Session)
	r.logf(Detail, at, in, "Encrypted with %s: %v security; the sender's key is %s", e.Suite, e.Strength, e.Server)
	var weak []string
	for _, w := range e.Weak {
		if w.Warn() {
			weak = append(weak, w.Reason)
		}
	}
	if len(weak) > 0 {
		r.logf(Warnings, at, in, "Warning: weak encryption: %s", strings.Join(weak, "; "))
	}
	if !aead.Accelerated(e.Suite.Cipher) {
		r.logf(Warnings, at, in, "Warning: this CPU has no instructions for the cipher of this session: expect low throughput")
	}
	r.JSON.write(jsonKeyed{newHead(at, "keyed", in), e.Session.Sender.String(), e.Suite.String(), e.Strength.String(), e.Server.Fingerprint().String(), weak})
}

func statusTime(at time.Time) string { return at.Format("2006/01/02-15:04:05") }

// stepLevel is the level of a step: failures are warnings.
func stepLevel(s receiver.Step) int {
	switch s {
	case receiver.Unconfirmed, receiver.Unfinished, receiver.TimedOut, receiver.NotListed, receiver.NothingCame, receiver.NotAllCame:
		return Warnings
	}
	return Normal
}

func (r *Receiver) fileStarted(at time.Time, e receiver.FileStarted) {
	in, q := whereOf(e.Session), &e.Request
	r.logf(Normal, at, in, "Name of file to receive: %s", q.Name)
	// The log lines of the store describe other types. There is no layout if the file is refused
	// for its name or size.
	if q.Type == wire.TypeFile && (q.Layout.Blocks > 0 || q.Size == 0) {
		l := &q.Layout
		r.logf(Normal, at, in, "Bytes: %d, Blocks: %d, Sections: %d", q.Size, l.Blocks, l.Sections)
		big := l.SmallBlocks
		if l.BigSections > 0 {
			big++
		}
		r.logf(Detail, at, in, "small section size: %d, big section size: %d, # big sections: %d", l.SmallBlocks, big, l.BigSections)
	}
	mtime := q.MTime
	r.JSON.write(jsonFileStart{
		head: newHead(at, "file_started", in), FileID: e.Session.FileID, File: q.Name, NameBytes: raw(q.Name), Type: typeName(q.Type), Link: q.Link, LinkBytes: raw(q.Link),
		Size: q.Size, Blocks: q.Layout.Blocks, Sections: q.Layout.Sections, Sender: e.Session.Sender.String(),
		Resume: q.Resume, Sync: q.Sync, Preview: q.Preview, MTime: &mtime,
	})
}

func (r *Receiver) stored(at time.Time, e engine.Stored) {
	in := whereOf(e.Session)
	r.logf(Normal, at, in, "starting file close")
	r.logf(Normal, at, in, "done file close")
	r.JSON.write(jsonStored{newHead(at, "stored", in), e.Session.FileID, e.Request.Name, raw(e.Request.Name), e.Path, raw(e.Path), seconds(e.Elapsed)})
}

func (r *Receiver) fileEnded(at time.Time, e receiver.FileEnded) {
	in, q := whereOf(e.Session), &e.Request
	if e.Text != "" {
		r.logf(Warnings, at, in, "%s", e.Text)
	}
	word := "copied"
	switch e.Status {
	case wire.StatusSkipped:
		word = "skipped"
	case wire.StatusOverwrite:
		word = "overwritten"
	case wire.StatusRejected:
		word = "rejected"
	}
	r.Status.Printf("RESULT;%s;%s;%08X;%s;%dKB;%s", statusTime(at), uidHex(e.Session.Sender), e.Session.Group, q.Name, q.Size/1024, word)
	r.JSON.write(jsonResult{
		head: newHead(at, "result", in), FileID: e.Session.FileID, File: q.Name, NameBytes: raw(q.Name), Type: typeName(q.Type), Size: q.Size,
		Sender: e.Session.Sender.String(), Status: word, Text: e.Text,
	})
	if e.Text == "" || e.Status != wire.StatusRejected { // otherwise the log line above says it
		r.Screen.Line("%s  %s  %s from %s", q.Name, size(q.Size), word, e.Session.From.Addr())
	}
}

func (r *Receiver) heartbeat(at time.Time, e receiver.Heartbeat) {
	if !e.Response {
		r.logf(Normal, at, Where{}, "Sent HB_REQ to %s", e.Peer)
		return
	}
	text := "unknown"
	switch e.Result {
	case wire.HBOK:
		text = "authentication successful"
	case wire.HBFailed:
		text = "authentication failed"
	case wire.HBChallenge:
		text = "authentication wanted"
	}
	r.logf(Normal, at, Where{}, "Received HB_RESP from %s: %s", e.Peer, text)
}

const idleLine = "waiting for senders"

// sessionLines is the number of sessions with a line in the live display.
const sessionLines = 8

// tick redraws the foot.
func (r *Receiver) tick(at time.Time, sessions []receiver.Stats) {
	if !r.Screen.Due(at) {
		return
	}
	if r.meters == nil {
		r.meters = map[int]*meter{}
	}
	var lines []string
	for i := range sessions {
		if i == sessionLines {
			lines = append(lines, "and "+cli.Count(len(sessions)-i, "more session"))
			break
		}
		st := &sessions[i]
		m := r.meters[st.Session.Slot]
		if m == nil {
			m = new(meter)
			r.meters[st.Session.Slot] = m
		}
		lines = append(lines, sessionLine(at, st, m))
	}
	if len(sessions) == 0 {
		lines = append(lines, idleLine)
	}
	r.Screen.Draw(at, lines...)
}

func sessionLine(at time.Time, st *receiver.Stats, m *meter) string {
	from := st.Session.From.Addr()
	if st.Blocks == 0 || st.Phase != receiver.Receiving {
		m.reset()
		return strings.TrimSpace(fmt.Sprintf("%s  %v  %s", from, st.Phase, tail(st.Name)))
	}
	blockSize := float64(st.Size) / float64(st.Blocks)
	have := int64(float64(st.Blocks-st.Missing) * blockSize)
	speed := m.update(at, have)
	left := ""
	if speed > 0 {
		left = "  " + rate(speed) + "  " + span(clock.Seconds(float64(st.Size-have)/speed)) + " left"
	}
	share := float64(st.Blocks-st.Missing) / float64(st.Blocks)
	return fmt.Sprintf("%s  %s  %s %3.0f%% of %s%s  NAKs: %d", from, tail(st.Name), bar(share, 12), share*100, size(st.Size), left, st.NAKs)
}
