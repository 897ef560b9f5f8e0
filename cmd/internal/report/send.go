package report

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/outfile"
	"uftp/cmd/version"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/sender"
	"uftp/wire"
)

// Sender reports one sender session.
type Sender struct {
	Log     *Log
	Status  *Status // nil: none
	JSON    *JSON   // nil: none
	Screen  *Screen // nil: none
	Name    string  // of the command
	Session *sender.Config
	Secret  *Secret          // nil: in clear
	Outputs *outfile.Outputs // nil: none can fail

	Interface netio.Interface // that multicast leaves by
	TTL       int             // of multicast

	mu         sync.Mutex // Report and Interrupted are called from different goroutines
	where      Where
	path       string // of the file offered last
	failedPath string // of the latest SourceFailed
	file       sender.File
	began      time.Time
	clients    []sender.Client
	hosts      int // clients other than proxies
	totals     []total
	files      int // finished files
	results    results
	view       sendView
	lateLine   string   // heading of late messages, written with the first of them
	hinted     bool     // keyHint was logged
	shared     []string // lines about UIDs that two hosts have

	port      uint16   // local port
	heardFrom bool     // a receiver has sent REGISTER
	joined    int      // receivers that took part
	refusals  refusals // of hosts that did not take part
	sendError string   // the last one
}

// Secret describes an encrypted session.
type Secret struct {
	Lines       []string // about the keys in use
	Suite       string
	Strength    identity.Strength
	Weak        []string // reasons
	Fingerprint identity.Fingerprint
}

// keyHint is about stock receivers, which do not take part without a key like the sender's.
const keyHint = "Stock receivers need a private key of the same kind and size as this sender's (uftpd -K ec:prime256v1); " +
	"without an option they have an RSA key of 512 bits, which fits a sender with -K 512"

// total has the numbers of one client's STATS line.
type total struct {
	copies, overwrites, skips, failed int // rejected, or not there
	unconfirmed                       int // taken, without the session being confirmed
	bytes                             int64
	time                              time.Duration
	naks                              int64
}

// Report takes one event. It is an engine.Reporter.
func (s *Sender) Report(at time.Time, ev machine.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hostEvent(s.Log, s.JSON, at, s.where, ev) {
		return
	}
	switch e := ev.(type) {
	case engine.Opened:
		s.opened(at, e)
	case engine.Offered:
		s.path = e.Entry.Path
		s.heading(at, s.path)
	case engine.Entered:
		s.heading(at, e.Path)
	case engine.Skipped:
		s.skipped(at, e)
	case engine.NotTried:
		s.notTried(at, e)
	case engine.SendFailed:
		s.sendFailed(at, e)
	case engine.SourceFailed:
		s.sourceFailed(at, e)
	case engine.SendTick:
		s.tick(at, e.Stats.Session)
	case sender.PhaseStarted:
		s.phase(at, e.Phase)
	case sender.FileStarted:
		s.fileStarted(at, e)
	case sender.Sent:
		s.sent(at, e)
	case sender.Heard:
		s.heard(at, e)
	case sender.NAKs:
		s.naks(at, e)
	case sender.PassStarted:
		s.logf(Normal, at, "Starting pass %d", e.Pass)
	case sender.SectionStarted:
		s.logf(Normal, at, "Sending section %d", e.Section)
	case sender.PassEnded:
		s.JSON.write(jsonPass{newHead(at, "pass_ended", s.where), e.FileID, e.Pass, e.Packets, e.Bytes, seconds(e.Elapsed)})
	case sender.ClientLost:
		s.lost(at, e)
	case sender.Stalled:
		s.stalled(at, e)
	case sender.NoData:
		s.noData(at, e)
	case sender.GotAbort:
		s.gotAbort(at, e)
	case sender.SentAbort:
		s.sentAbort(at, e)
	case sender.Refused:
		s.rejected(at, e)
	case sender.SharedUID:
		s.sharedUID(at, e)
	case sender.KeyWarning:
		s.logf(Warnings, at, "Warning: client %s: %s", e.Client.Name, e.Text)
	case sender.RateChanged:
		s.rateChanged(at, e)
	case sender.GRTTChanged:
		s.logf(Detail, at, "grtt = %.6f", e.GRTT.Seconds())
	case sender.Notice:
		s.notice(at, e.Kind)
	case sender.Connected:
		s.connected(at, e)
	case sender.FileEnded:
		s.fileEnded(at, e)
	case sender.SessionEnded:
		s.settle(at, e)
	}
}

// Interrupted logs a signal that ends the session.
func (s *Sender) Interrupted(at time.Time, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logf(Errors, at, "Got signal %d, aborting", number)
}

func (s *Sender) logf(level int, at time.Time, format string, args ...any) {
	s.Log.Printf(level, at, s.where, format, args...)
}

// opened prints the banner. Not earlier: the stamps need the group ID.
func (s *Sender) opened(at time.Time, e engine.Opened) {
	s.began, s.port = at, e.Port
	s.where = Where{Session: true, Group: e.Group, Instance: e.Instance}
	if !s.Log.Stamps {
		s.logf(Normal, at, "")
	}
	s.logf(Normal, at, "%s", banner())
	if !s.Log.Stamps {
		s.logf(Normal, at, "Starting at %s", at.Format(time.ANSIC))
	}
	if s.Secret != nil {
		for _, line := range s.Secret.Lines {
			s.logf(Normal, at, "%s", line)
		}
	}
	if r := s.Session.Rate; r <= 0 {
		s.logf(Normal, at, "Transfer rate: full interface speed")
	} else if s.Session.Adapt.On {
		s.logf(Normal, at, "Transfer rate: adapts to the receivers, %d Kbps at first", r*8/1024)
	} else {
		kbps := r * 8 / 1024
		s.logf(Normal, at, "Transfer rate: %d Kbps (%d KB/s)", kbps, kbps/8)
		s.logf(Normal, at, "Wait between packets: %d ns", int64(s.Session.PacketBytes())*1e9/r)
	}
	s.logf(Normal, at, "Using private multicast address %s  Group ID: %08X", e.PrivateAddress, e.Group)
	public := s.Session.Public.Addr()
	if public.IsMulticast() && s.Interface.Name != "" {
		s.logf(Normal, at, "Sending on interface %v", s.Interface)
		if s.Interface.NoCarrier {
			s.logf(Warnings, at, "Warning: %s has no carrier, so it sends nothing (choose another interface with -I)", s.Interface.Name)
		}
	}
	warnBuffers(s.Log, at, s.where, e)
	line := jsonSendStart{
		head: newHead(at, "session_started", s.where), Version: version.Version,
		Public: s.Session.Public.String(), Private: s.Session.Private.String(), Interface: s.Interface.Name,
		Rate: s.Session.Rate, Adaptive: s.Session.Adapt.On, BlockSize: s.Session.BlockSize, Closed: s.Session.Closed || len(s.Session.Hosts) > 0,
		RcvBuf: e.Caps.RcvBuf, SndBuf: e.Caps.SndBuf, GSO: e.Caps.GSO, GRO: e.Caps.GRO,
	}
	if x := s.Secret; x != nil {
		line.Suite, line.Security, line.Fingerprint, line.Weak = x.Suite, x.Strength.String(), x.Fingerprint.String(), x.Weak
	}
	s.JSON.write(line)
}

// warnBuffers logs socket buffers that are smaller than requested.
func warnBuffers(l *Log, at time.Time, in Where, e engine.Opened) {
	for _, b := range []struct {
		what, sysctl string
		want, got    int
	}{
		{"receive", "net.core.rmem_max", e.WantRcvBuf, e.Caps.RcvBuf},
		{"send", "net.core.wmem_max", e.WantSndBuf, e.Caps.SndBuf},
	} {
		if b.got > 0 && b.got < b.want {
			l.Printf(Warnings, at, in, "Warning: the %s buffer has %d bytes instead of %d: raise the limit with sysctl -w %s=%d",
				b.what, b.got, b.want, b.sysctl, b.want)
		}
	}
}

// heading logs the heading of a file or directory.
func (s *Sender) heading(at time.Time, path string) { s.logf(Normal, at, "----- %s -----", path) }

func (s *Sender) skipped(at time.Time, e engine.Skipped) {
	if !e.Early {
		s.heading(at, e.Path)
	}
	s.logf(e.Level, at, "%s", e.Reason)
	s.JSON.write(jsonText{head: newHead(at, "skipped", s.where), Path: e.Path, PathBytes: raw(e.Path), Text: e.Reason})
	s.results.skipped++
}

func (s *Sender) notTried(at time.Time, e engine.NotTried) {
	if e.More {
		s.results.untriedMore = true
		return
	}
	s.results.untried++
	if len(s.results.untriedNames) < worstMax {
		s.results.untriedNames = append(s.results.untriedNames, e.Path)
	}
	s.logf(Warnings, at, "Not tried: %s", e.Path)
	s.JSON.write(jsonText{head: newHead(at, "not_tried", s.where), Path: e.Path, PathBytes: raw(e.Path), Text: "the session ended before"})
}

func (s *Sender) sendFailed(at time.Time, e engine.SendFailed) {
	s.sendError = cli.ErrText(e.Err)
	s.logf(Errors, at, "Error sending to %s: %s", e.To.Addr(), s.sendError)
	s.JSON.write(jsonText{head: newHead(at, "send_failed", s.where), To: e.To.String(), Text: s.sendError})
}

func (s *Sender) sourceFailed(at time.Time, e engine.SourceFailed) {
	s.failedPath = e.Path
	s.logf(Errors, at, "Error reading file %s: %s", e.Path, cli.ErrText(e.Err))
	s.JSON.write(jsonText{head: newHead(at, "source_failed", s.where), Path: e.Path, PathBytes: raw(e.Path), Text: cli.ErrText(e.Err)})
}

func (s *Sender) phase(at time.Time, p sender.Phase) {
	s.lateLine = ""
	switch p {
	case sender.Announcing:
		s.logf(Normal, at, "Initializing group")
	case sender.Data:
		if w := s.Session.TxWeight; w > 0 && s.Session.Rate > 0 {
			s.logf(Normal, at, "Maximum file transfer time: %d seconds", int64(float64(w)/100*float64(s.file.Size)/float64(s.Session.Rate)))
		}
		s.logf(Normal, at, "Sending file")
	case sender.Finishing:
		s.where.FileID = 0
		s.logf(Normal, at, "-----------------------------")
		s.logf(Normal, at, "Finishing group")
	}
}

func (s *Sender) fileStarted(at time.Time, e sender.FileStarted) {
	s.where.FileID = e.FileID
	s.file = e.File
	s.logf(Normal, at, "File ID: %04X  Name: %s", e.FileID, s.path)
	s.logf(Normal, at, "  sending as: %s", e.File.Name)
	switch e.File.Type {
	case wire.TypeFile:
		s.logf(Normal, at, "Bytes: %d  Blocks: %d  Sections: %d", e.File.Size, e.Layout.Blocks, e.Layout.Sections)
		big := e.Layout.SmallBlocks
		if e.Layout.BigSections > 0 {
			big++
		}
		s.logf(Detail, at, "small section size: %d, big section size: %d, # big sections: %d", e.Layout.SmallBlocks, big, e.Layout.BigSections)
	case wire.TypeDir:
		s.logf(Normal, at, "Empty directory")
	case wire.TypeLink:
		s.logf(Normal, at, "Symbolic link to %s", e.File.Link)
	case wire.TypeDelete:
		s.logf(Normal, at, "Delete file/directory with this name")
	case wire.TypeFreeSpace:
		s.logf(Normal, at, "Free disk space query")
	}
	s.JSON.write(jsonFileStart{
		head: newHead(at, "file_started", s.where), FileID: e.FileID, File: e.File.Name, NameBytes: raw(e.File.Name), Path: s.path, PathBytes: raw(s.path), Type: typeName(e.File.Type),
		Link: e.File.Link, LinkBytes: raw(e.File.Link), Size: e.File.Size, Blocks: e.Layout.Blocks, Sections: e.Layout.Sections,
	})
	s.view.fileStarted(at, e)
}

func (s *Sender) sent(at time.Time, e sender.Sent) {
	if e.Open {
		s.logf(Normal, at, "Sending %v %d", e.Func, e.Round)
	} else {
		s.logf(Normal, at, "Sending %v %d.%d", e.Func, e.Round, e.Part)
	}
	to := s.Session.Private
	if e.Func == wire.FuncAnnounce {
		to = s.Session.Public
	}
	s.logf(Peers, at, "Sending to %s", to.Addr())
}

func (s *Sender) heard(at time.Time, e sender.Heard) {
	if s.lateLine != "" {
		s.logf(Normal, at, "%s", s.lateLine)
		s.lateLine = ""
	}
	again := ""
	if e.Repeat {
		again = "+"
	}
	switch e.Func {
	case wire.FuncComplete:
		s.logf(Normal, at, "Got %v%s%s from client %s", e.Func, again, statusSuffix(e.Status), e.Client.Name)
	case wire.FuncClientKey, wire.FuncKeyInfoAck:
		s.logf(Normal, at, "Received %v%s from %s", e.Func, again, e.Client.Name)
	default:
		s.logf(Normal, at, "Received %v%s from client %s", e.Func, again, e.Client.Name)
	}
	if e.RTT > 0 {
		from := at.Add(-e.RTT)
		s.logf(Detail, at, "send time = %d.%06d", from.Unix(), from.Nanosecond()/1000)
		s.logf(Detail, at, "rx time = %d.%06d", at.Unix(), at.Nanosecond()/1000)
		s.logf(Detail, at, "  rtt = %.6f", e.RTT.Seconds())
	}
	if e.Func == wire.FuncKeyInfoAck && !e.Repeat {
		s.JSON.write(s.client(at, "keyed", e.Client, "", ""))
	}
	s.heardFrom = s.heardFrom || e.Func == wire.FuncRegister
	if e.Func == wire.FuncRegister && !e.Repeat {
		line := s.client(at, "registered", e.Client, "", "")
		if e.RTT > 0 {
			rtt := seconds(e.RTT)
			line.RTT = &rtt
		}
		s.JSON.write(line)
	}
}

// sharedUID reports two hosts with the same UID, now and below the table.
func (s *Sender) sharedUID(at time.Time, e sender.SharedUID) {
	first, second := e.First.Addr().String(), e.Second.Addr().String()
	if first == second {
		first, second = e.First.String(), e.Second.String()
	}
	text := fmt.Sprintf("%s answers from %s and %s: give each receiver its own -U. Only the first one takes part", e.Client.Name, first, second)
	if first == second {
		text = fmt.Sprintf("%s answers twice from %s: give each receiver its own -U. An answer of one counts for both", e.Client.Name, first)
		s.logf(Warnings, at, "Warning: %s", text)
	} else {
		s.logf(Warnings, at, "Warning: %s (use --roaming if it is one receiver whose address changes)", text)
	}
	if len(s.shared) < sharedMax {
		s.shared = append(s.shared, text)
	}
	line := s.client(at, "shared_uid", e.Client, "", "")
	line.Addresses = []string{e.First.String(), e.Second.String()}
	s.JSON.write(line)
}

// sharedMax bounds the lines about shared UIDs below the table.
const sharedMax = 20

func (s *Sender) client(at time.Time, event string, c sender.Client, in, text string) jsonClient {
	return jsonClient{head: newHead(at, event, s.where), Receiver: c.Name, UID: c.UID.String(), Proxy: c.Proxy, In: in, Text: text}
}

func statusSuffix(st wire.CompleteStatus) string {
	switch st {
	case wire.StatusSkipped:
		return "(skipped)"
	case wire.StatusOverwrite:
		return "(overwritten)"
	case wire.StatusRejected:
		return "(rejected)"
	}
	return ""
}

func (s *Sender) lost(at time.Time, e sender.ClientLost) {
	switch e.In {
	case sender.LostRegister:
		s.logf(Warnings, at, "Couldn't get KEYINFO_ACK from %s", e.Client.Name)
	case sender.LostFileInfo:
		s.logf(Warnings, at, "Couldn't get FILEINFO_ACK from %s", e.Client.Name)
	case sender.LostData:
		s.logf(Warnings, at, "No response from %s", e.Client.Name)
	case sender.LostComplete:
		s.logf(Warnings, at, "Couldn't get COMPLETE for group from %s", e.Client.Name)
	}
	s.JSON.write(s.client(at, "receiver_lost", e.Client, e.In.String(), ""))
}

func (s *Sender) naks(at time.Time, e sender.NAKs) {
	if e.Excess {
		s.logf(Normal, at, "Got excessive NAKs (%d) for section %d from client %s, aborting", e.Count, e.Section, e.Client.Name)
		return
	}
	s.logf(Normal, at, "Got %d NAKs for section %d from client %s", e.Count, e.Section, e.Client.Name)
}

func (s *Sender) stalled(at time.Time, e sender.Stalled) {
	text := fmt.Sprintf("no progress in %d passes, it lacks %d blocks of %s", e.Passes, e.Lacks, s.file.Name)
	s.logf(Warnings, at, "Giving up %s: %s", e.Client.Name, text)
	s.JSON.write(s.client(at, "receiver_stalled", e.Client, "", text))
}

func (s *Sender) noData(at time.Time, e sender.NoData) {
	text := fmt.Sprintf("lacks every block of %s after %d passes: packets of %d bytes do not reach it (MTU? try a smaller -b)",
		s.file.Name, e.Passes, e.PacketBytes)
	s.logf(Warnings, at, "Warning: %s %s", e.Client.Name, text)
	s.JSON.write(s.client(at, "receiver_warning", e.Client, "", text))
}

func (s *Sender) gotAbort(at time.Time, e sender.GotAbort) {
	name := e.Client.Name
	if !e.Known {
		name = fmt.Sprintf("%08X", uint32(e.Client.UID))
	}
	s.logf(Warnings, at, "Transfer aborted by %s: %s", name, e.Text)
	s.refused(e.Client, e.Known, e.Text)
	if e.Text == handshake.ErrNoClientKey.Error() && !s.hinted {
		s.hinted = true
		s.logf(Warnings, at, "%s", keyHint)
	}
	s.JSON.write(s.client(at, "receiver_aborted", e.Client, "", e.Text))
}

func (s *Sender) sentAbort(at time.Time, e sender.SentAbort) {
	if e.UID == 0 {
		s.logf(Errors, at, "Aborting all clients")
		return
	}
	s.logf(Detail, at, "Aborting client %v: %s", e.UID, e.Text)
}

// rejected reports a message that the sender did not accept.
func (s *Sender) rejected(at time.Time, e sender.Refused) {
	name := e.UID.String()
	if e.Known {
		name = e.Client.Name
	}
	if why, ok := strings.CutPrefix(e.Reason, "invalid message"); ok {
		s.logf(Warnings, at, "Received invalid message %v from %s%s", e.Func, name, why)
	} else {
		s.logf(Warnings, at, "Rejecting %v from %s: %s", e.Func, name, e.Reason)
	}
	if e.Func != wire.FuncRegister && e.Func != wire.FuncClientKey {
		return
	}
	s.refused(sender.Client{UID: e.UID, Name: e.Client.Name}, e.Known, e.Reason)
	if e.Known {
		s.JSON.write(s.client(at, "receiver_refused", e.Client, "", e.Reason))
	}
}

func (s *Sender) rateChanged(at time.Time, e sender.RateChanged) {
	kbps := e.Rate * 8 / 1024
	s.logf(Detail, at, "Transfer rate: %d Kbps (%d KB/s), %.2f%% lost", kbps, kbps/8, 100*e.Loss)
	s.JSON.write(jsonRate{newHead(at, "rate_changed", s.where), e.Rate, e.Loss})
}

func (s *Sender) notice(at time.Time, k sender.NoticeKind) {
	level := Normal
	s.lateLine = ""
	switch k {
	case sender.LateRegisters, sender.LateCompletions:
		s.lateLine = k.String()
		return
	case sender.AnnounceTimedOut:
		level = Errors
	case sender.DataTimedOut, sender.PassesExceeded, sender.TimeExceeded, sender.NobodyToBegin, sender.BegunAlready:
		level = Warnings
	case sender.RewindStarted, sender.RewindTripped:
		level = Detail
	}
	s.logf(level, at, "%v", k)
	if k == sender.AnnounceTimedOut && s.joined == 0 {
		s.hint(at)
	}
}

func (s *Sender) connected(at time.Time, e sender.Connected) {
	s.lateLine = ""
	s.clients = e.Clients
	s.totals = make([]total, len(e.Clients))
	in := 0
	for i, c := range e.Clients {
		if !c.Proxy {
			s.hosts++
		}
		word := "failed"
		if e.OK[i] {
			word = "success"
			s.joined++
			if !c.Proxy {
				in++
			}
		}
		s.Status.Printf("CONNECT;%s;%s", word, c.Name)
	}
	s.results.begin(e.Clients)
	s.JSON.write(jsonRegistration{newHead(at, "registration_ended", s.where), in, s.hosts - in})
}

// fileEnded prints the outcome: status lines, then the block in the log.
func (s *Sender) fileEnded(at time.Time, e sender.FileEnded) {
	switch {
	case e.Err != "" && s.failedPath == s.path:
		s.logf(Warnings, at, "Giving up %s", s.path) // SourceFailed has logged why
	case e.Err != "":
		s.logf(Warnings, at, "Giving up %s: %s", s.path, e.Err)
	}
	for i := range e.Results {
		s.result(at, e, &e.Results[i])
	}
	s.logf(Normal, at, "Transfer status:")
	if s.Screen == nil { // a screen has the line of the file and the table instead
		for i := range e.Results {
			s.hostLine(at, &e.Results[i])
		}
	}
	s.logf(Normal, at, "Total elapsed time: %.3f seconds", e.Elapsed.Seconds())
	s.logf(Normal, at, "Overall throughput: %.2f KB/s", perSecond(e.File.Size, e.Elapsed)/1024)
	s.JSON.write(jsonFileEnd{newHead(at, "file_ended", s.where), e.FileID, e.File.Name, raw(e.File.Name), e.Passes, seconds(e.Elapsed), e.Err})
	s.results.add(e)
	s.files++
	s.view.fileEnded(at, e, s.Screen)
	s.where.FileID = 0
}

// perSecond returns bytes per second, 0 for no time.
func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// result writes the status and JSON lines of one client and adds to its totals.
func (s *Sender) result(at time.Time, e sender.FileEnded, r *sender.Result) {
	word, done := outcome(r)
	elapsed, rate := r.Elapsed, perSecond(e.File.Size, r.Elapsed)
	if s.Session.Preview {
		// A preview reports the time that the transfer would take.
		elapsed, rate = 0, float64(s.Session.Rate)
		if s.Session.Adapt.On {
			rate = 0 // unknown
		}
		if rate > 0 {
			elapsed = clock.Seconds(float64(e.File.Size) / rate)
		}
	}
	speed := ""
	if done {
		speed = fmt.Sprintf("%.2fKB/s", rate/1024)
	}
	s.Status.Printf("RESULT;%s;%s;%dKB;%s;%s", r.Client.Name, e.File.Name, e.File.Size/1024, word, speed)
	if r.HasSpace {
		s.Status.Printf("FREESPACE;%s;%d", e.File.Name, r.FreeSpace)
	}
	if i := r.Client.Index; i >= 0 && i < len(s.totals) {
		t := &s.totals[i]
		t.naks += r.NAKs
		switch {
		case !done && word != "skipped":
			t.failed++
		case word == "skipped":
			t.skips++
		case word == "overwritten":
			t.overwrites++
		default:
			t.copies++
		}
		if done {
			t.bytes += e.File.Size
			t.time += elapsed
		}
	}
	line := jsonResult{
		head: newHead(at, "result", s.where), FileID: e.FileID, File: e.File.Name, NameBytes: raw(e.File.Name), Type: typeName(e.File.Type), Size: e.File.Size,
		Receiver: r.Client.Name, UID: r.Client.UID.String(), Status: strings.ToLower(word), NAKs: &r.NAKs,
	}
	if done {
		d := seconds(r.Elapsed)
		line.Elapsed = &d
	}
	if r.HasSpace {
		line.FreeSpace = &r.FreeSpace
	}
	s.JSON.write(line)
}

// outcome returns the word of a RESULT line; done means that the file arrived, so there is a speed.
func outcome(r *sender.Result) (word string, done bool) {
	switch r.State {
	case sender.Mute:
		return "mute", false
	case sender.Lost:
		return "lost", false
	case sender.Aborted:
		return "aborted", false
	case sender.Done:
		switch r.Status {
		case wire.StatusNormal:
			return "copy", true
		case wire.StatusOverwrite:
			return "overwritten", true
		case wire.StatusSkipped:
			return "skipped", false
		case wire.StatusRejected:
			return "rejected", false
		}
	}
	return "Unknown", false
}

// hostLine logs the line of one client under "Transfer status:"; at levels 0 and 1 only failures.
func (s *Sender) hostLine(at time.Time, r *sender.Result) {
	text, failed := "", false
	switch word, _ := outcome(r); word {
	case "mute":
		text, failed = "Mute", true
	case "lost":
		text, failed = "Lost connection", true
	case "aborted":
		text, failed = "Aborted", true
	case "copy":
		text = fmt.Sprintf("Completed   time: %7.3f seconds", r.Elapsed.Seconds())
	case "overwritten":
		text = fmt.Sprintf("Completed(overwritten)   time: %7.3f seconds", r.Elapsed.Seconds())
	case "skipped":
		text = "Skipped"
	case "rejected":
		text = "Rejected"
	default:
		text = "Unknown"
	}
	switch {
	case s.Log.Level >= Normal:
		s.logf(Normal, at, "Host: %-15s  Status: %s", r.Client.Name, text)
		if r.HasSpace {
			s.logf(Normal, at, "  Free space on host: %d bytes", r.FreeSpace)
		}
	case failed:
		s.logf(Errors, at, "%-15s %s", r.Client.Name, text)
	}
}

// settle corrects the results at the end. A receiver that did not confirm the session may have
// dropped its files, or still have them in a temporary directory: its status lines and sums are
// taken back.
func (s *Sender) settle(at time.Time, e sender.SessionEnded) {
	s.results.confirmed = make([]bool, len(s.clients))
	for i, c := range s.clients {
		if e.Complete && i < len(e.States) && e.States[i] == sender.Done {
			s.results.confirmed[i] = true
			continue
		}
		t := &s.totals[i]
		if t.unconfirmed = t.copies + t.overwrites; c.Proxy || t.unconfirmed == 0 {
			continue
		}
		t.copies, t.overwrites, t.bytes, t.time = 0, 0, 0, 0
		s.logf(Warnings, at, "Unconfirmed: %s took %s and did not confirm the session", c.Name, cli.Count(t.unconfirmed, "file"))
		line := s.client(at, "receiver_unconfirmed", c, "", "")
		line.Files = t.unconfirmed
		s.JSON.write(line)
		word := "lost"
		if i < len(e.States) && e.States[i] == sender.Aborted {
			word = "aborted"
		}
		for f := range s.results.took {
			if x := &s.results.took[f]; x.by.has(i) {
				s.Status.Printf("RESULT;%s;%s;%dKB;%s;", c.Name, x.name, x.size/1024, word)
			}
		}
	}
	if e.Complete {
		s.statusTotals()
	}
}

// statusTotals writes HSTATS and STATS.
func (s *Sender) statusTotals() {
	s.Status.Printf("HSTATS;target;copy;overwrite;skip;totalMB;time;speedKB/s")
	for i, c := range s.clients {
		if c.Proxy {
			continue
		}
		t := &s.totals[i]
		s.Status.Printf("STATS;%s;%d;%d;%d;%dMB;%.3f;%.2fKB/s", c.Name, t.copies, t.overwrites, t.skips,
			t.bytes/(1<<20), t.time.Seconds(), perSecond(t.bytes, t.time)/1024)
	}
}

// Finish writes the end of the log and the JSON summary.
func (s *Sender) Finish(at time.Time, res engine.SendResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Screen.Close()
	if !s.Log.Stamps {
		s.where = Where{}
		s.logf(Normal, at, "%s: Finishing at %s", s.Name, at.Format(time.ANSIC))
	}
	failed, unconfirmed := 0, 0
	for i := range s.totals {
		if s.totals[i].unconfirmed > 0 {
			unconfirmed++
		}
	}
	for i, c := range res.Clients {
		if !c.Proxy && res.States[i].Failed() {
			failed++
		}
	}
	var bytes int64
	for i := range s.totals {
		bytes = max(bytes, s.totals[i].bytes)
	}
	exit, reason := int(res.Exit), res.Exit.String()
	if code, name, err := s.Outputs.Failed(); exit == 0 && code != 0 {
		exit, reason = code, fmt.Sprintf("the end was reached, but %s could not be written: %s", name, cli.ErrText(err))
		s.logf(Errors, at, "Not everything was written: %s: %s", name, cli.ErrText(err))
	}
	c := res.Counters
	s.JSON.write(jsonSendEnd{
		head:      newHead(at, "session_ended", Where{Session: true, Group: res.Group, Instance: res.Instance}),
		Exit:      exit,
		Reason:    reason,
		Elapsed:   seconds(res.Stats.Elapsed),
		Files:     s.files,
		Receivers: s.hosts,
		Failed:    failed, Unconfirmed: unconfirmed,
		BytesSent: c.DataBytes, Retransmitted: c.RepairBytes,
		Packets: c.DataPackets, RepairPackets: c.RepairPackets, ControlPackets: c.Control,
		NAKs:           c.NAKs,
		DatagramsSent:  res.Stats.Net.TxDatagrams,
		DatagramsHeard: res.Stats.Net.RxDatagrams,
		KernelDrops:    res.Stats.Net.KernelDrops,
		UDPBytesSent:   res.Stats.Net.TxBytes,
		Throughput:     int64(perSecond(bytes, res.Stats.Elapsed)),
	})
}

func typeName(t wire.FileType) string {
	switch t {
	case wire.TypeFile:
		return "file"
	case wire.TypeDir:
		return "directory"
	case wire.TypeLink:
		return "link"
	case wire.TypeDelete:
		return "delete"
	case wire.TypeFreeSpace:
		return "free_space"
	}
	return fmt.Sprintf("type %d", t)
}
