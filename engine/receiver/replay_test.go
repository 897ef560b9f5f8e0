package receiver

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/pcap"
	"uftp/pcap/frames"
	"uftp/wire"
)

// captured is one datagram of a session of the stock programs.
type captured struct {
	pcap.Datagram
	at   clock.Time
	head wire.Header
	msg  []byte
}

func readCapture(t *testing.T, name string) []captured {
	t.Helper()
	f, err := os.Open("../../pcap/testdata/v4/" + name + ".pcap")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := frames.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var list []captured
	for d, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		h, msg, err := wire.ParseHeader(d.Payload)
		if err != nil {
			t.Fatalf("frame %d: %v", d.Frame, err)
		}
		list = append(list, captured{d, clock.Time(d.Time.UnixNano()), h, msg})
	}
	return list
}

// replay takes the place of the stock receiver uid in a capture: it hears what
// that one heard, and its host decides what that one's disk decided.
type replay struct {
	uid   wire.UID
	list  []captured
	at    int // index of the datagram being replayed
	r     *Receiver
	now   clock.Time
	out   machine.Out
	said  []sentPacket
	files int
	open  func(sentPacket) sentPacket // looks into what is sealed; nil in clear

	// Unlike stock we repeat REGISTER and CLIENT_KEY after KEYINFO while nothing is proved.
	keyed bool
	more  uint16 // so often
}

// answers yields what the stock receiver said from the present datagram on.
func (p *replay) answers(yield func(captured) bool) {
	for _, d := range p.list[p.at:] {
		if d.head.Src == p.uid && !yield(d) {
			return
		}
	}
}

// lost reports whether the stock receiver did not get a block, as its next STATUS shows.
func (p *replay) lost(x wire.FileSeg) bool {
	for d := range p.answers {
		if d.head.Func != wire.FuncStatus {
			continue
		}
		if s, _ := wire.ParseStatus(wire.Version4, d.msg); s.FileID == x.FileID && s.Section == x.Section {
			return s.NAKs[x.Block/8]>>(x.Block%8)&1 != 0
		}
	}
	return false
}

// decide answers a request as the stock receiver's disk did.
func (p *replay) decide(e Open) Opened {
	o := Opened{Action: Receive}
	var missing block.Set
	for d := range p.answers {
		if d.head.Instance != e.Session.Instance {
			continue
		}
		switch d.head.Func {
		case wire.FuncAbort:
			x, _ := wire.ParseAbort(d.msg)
			return Opened{Action: Abort, Text: string(x.Text)}
		case wire.FuncFileInfoAck:
			x, _ := wire.ParseFileInfoAck(wire.Version4, d.msg)
			if o.Partial = x.Partial; !o.Partial {
				continue
			}
			missing.Reset(e.Request.Layout.Blocks, false)
			o.Missing = &missing
		case wire.FuncStatus: // of a resumed file: the first says what was there
			x, _ := wire.ParseStatus(wire.Version4, d.msg)
			if o.Partial && x.FileID == e.Session.FileID {
				l := &e.Request.Layout
				missing.Merge(x.NAKs, l.First(int(x.Section)), l.SectionBlocks(int(x.Section)))
				return o
			}
		case wire.FuncComplete:
			x, _ := wire.ParseComplete(d.msg)
			if x.FileID != e.Session.FileID {
				continue
			}
			if p.acknowledged(e.Session.FileID) {
				o.Status = x.Status
				return o
			}
			return Opened{Action: Complete, Status: x.Status, HasSpace: x.HasSpace, FreeSpace: x.FreeSpace}
		}
	}
	return o
}

func (p *replay) acknowledged(id uint16) bool {
	for d := range p.answers {
		if d.head.Func == wire.FuncFileInfoAck {
			if x, _ := wire.ParseFileInfoAck(wire.Version4, d.msg); x.FileID == id {
				return true
			}
		}
	}
	return false
}

func (p *replay) poll() {
	for {
		switch p.r.Poll(p.now, &p.out) {
		case machine.Idle:
			return
		case machine.PacketKind:
			h, msg, _ := wire.ParseHeader(p.out.Packet.Data)
			s := sentPacket{p.out.Packet.To, h, bytes.Clone(msg), p.now}
			if p.open != nil {
				s = p.open(s)
			}
			again := p.keyed && (s.head.Func == wire.FuncRegister || s.head.Func == wire.FuncClientKey)
			if again {
				p.more++
				continue
			}
			p.keyed = p.keyed || s.head.Func == wire.FuncKeyInfoAck
			s.head.Seq -= p.more
			p.said = append(p.said, s)
		case machine.EventKind:
			switch e := p.out.Event.(type) {
			case Join:
				p.r.Joined(p.now, e.Session.SessionID, "")
			case Open:
				p.r.Opened(p.now, e.Request.Ref, p.decide(e))
			case Close:
				p.files++
				p.r.Closed(p.now, e.Ref, "")
			case Settle:
				p.r.Settled(p.now, e.Session.SessionID, e.Number, "")
			}
		}
	}
}

func (p *replay) run() {
	for i, d := range p.list {
		p.at = i
		for p.r.Deadline() <= d.at {
			p.now = max(p.now, p.r.Deadline())
			p.poll()
		}
		p.now = d.at
		if d.head.Src == p.uid || d.Dst.Port() != p.list[0].Dst.Port() {
			continue // ours, or of another receiver
		}
		if d.head.Func == wire.FuncFileSeg {
			if x, err := wire.ParseFileSeg(d.msg); err != nil || p.lost(x) {
				continue
			}
		}
		p.r.Handle(p.now, arrived(d.Src, bytes.Clone(d.Payload)))
		p.poll()
	}
}

// compare checks that the machine has sent what the stock receiver sent, at the same time.
func (p *replay) compare(t *testing.T) {
	t.Helper()
	p.at = 0
	var want []captured
	for d := range p.answers {
		want = append(want, d)
	}
	for i := range max(len(want), len(p.said)) {
		got, exp := "nothing", "nothing"
		if i < len(p.said) {
			got = withoutStamp(p.said[i].head, p.said[i].msg)
		}
		if i < len(want) {
			exp = withoutStamp(want[i].head, want[i].msg)
		}
		if got != exp {
			t.Fatalf("%v: packet %d is\n%.150s, stock sent\n%.150s", p.uid, i, got, exp)
		}
		if d := want[i].at.Sub(p.said[i].at); d > 60*time.Millisecond || d < -10*time.Millisecond {
			t.Errorf("%v: packet %d, %v: stock sent it %v later", p.uid, i, want[i].head.Func, d)
		}
	}
}

// withoutStamp blanks the stamp, which is aged by times that a capture does not show.
func withoutStamp(h wire.Header, msg []byte) string {
	msg = bytes.Clone(msg)
	switch h.Func {
	case wire.FuncRegister:
		clear(msg[4:12])
	case wire.FuncFileInfoAck:
		clear(msg[8:16])
	}
	return fmt.Sprintf("%v %d of %08X/%d: %x", h.Func, h.Seq, h.Group, h.Instance, msg)
}

// TestReplay puts the machine into sessions of the stock programs: it must say
// what the stock receiver said, byte by byte and in the same order.
func TestReplay(t *testing.T) {
	for _, c := range []struct {
		capture string
		files   int // received by all receivers together
		change  func(*Config)
	}{
		{"plain-1file", 1, nil},
		{"plain-3recv", 3, nil},
		{"plain-closed", 2, nil},
		{"plain-ipv6", 1, nil},
		{"plain-jumbo", 1, nil},
		{"plain-loss", 1, nil},
		{"plain-loss3", 3, nil},
		{"plain-meta", 1, nil},
		{"plain-names", 11, nil},
		{"plain-reject", 0, nil},
		{"plain-sync", 2, nil},
		{"plain-syncpreview", 0, nil},
		{"plain-tree", 5, nil},
		{"plain-uid", 1, nil},
		{"plain-unicast", 1, nil},
		{"plain-excess-naks", 1, nil},
		{"plain-maxpass", 1, nil},
		{"plain-abort-server", 0, nil},
		{"plain-abort-diskfull", 0, nil},
		{"plain-fullsection", 1, nil},
		{"plain-multisection", 1, nil},
		{"plain-restart", 2, func(c *Config) { c.Restart = true }},
	} {
		t.Run(c.capture, func(t *testing.T) {
			list := readCapture(t, c.capture)
			var uids []wire.UID
			seen := map[wire.UID]bool{}
			for _, d := range list {
				if d.head.Func == wire.FuncRegister && !seen[d.head.Src] {
					seen[d.head.Src] = true
					uids = append(uids, d.head.Src)
				}
			}
			files := 0
			for _, uid := range uids {
				cfg := Config{UID: uid, MaxSessions: 5}
				if c.change != nil {
					c.change(&cfg)
				}
				p := &replay{uid: uid, list: list, r: New(cfg, list[0].at), now: list[0].at}
				p.run()
				p.compare(t)
				files += p.files
			}
			if files != c.files {
				t.Errorf("%d files received, want %d", files, c.files)
			}
		})
	}
}
