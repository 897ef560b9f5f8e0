package receiver

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"uftp/crypto/identity"
	"uftp/engine/machine"
	"uftp/wire"
)

func TestAnnounceLists(t *testing.T) {
	for _, c := range []struct {
		name  string
		hosts wire.UIDList
		taken bool
	}{
		{"open group", nil, true},
		{"listed", uids(other, us), true},
		{"not listed", uids(other), false},
		{"after the zero that ends the list", uids(other, 0, us), false},
		{"a list that ends at once", uids(0), false},
		{"less than a UID is no list", wire.UIDList{1, 2, 3}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.announce(func(a *wire.Announce) { a.Hosts = c.hosts })
			if c.taken {
				w.wantPhase(Joining)
				return
			}
			w.wantPhase(Free)
			w.wantDrop(machine.DropNotForUs, "the list is not for us")
			if e := event[Stepped](w, "level 1 of the log"); e.Step != NotListed {
				t.Fatalf("%+v", e)
			}
			w.wantSilence("nobody asked us")
		})
	}
}

func TestRefusals(t *testing.T) {
	enc := func(a *wire.Announce) {
		a.HasEnc = true
		a.Enc = wire.EncInfo{Random: make([]byte, 32), PublicKey: make([]byte, 8)}
	}
	private := func(s string) func(*wire.Announce) {
		return func(a *wire.Announce) {
			a.Private = netip.MustParseAddr(s)
			if a.Private.Is6() {
				a.Flags |= wire.AnnounceIPv6
				a.Public = netip.MustParseAddr("ff02::1")
			}
		}
	}
	ssm := func(c *Config) {
		c.Servers = []Server{{UID: other, Addr: senderAddr.Addr()}, {UID: them, Addr: senderAddr.Addr()}}
	}
	for _, c := range []struct {
		name     string
		config   func(*Config)
		announce func(*wire.Announce)
		instance uint8
		text     string
	}{
		{"-E", func(c *Config) { c.MinSecurity = identity.Legacy }, nil, 0, "No unencrypted transfers allowed"},
		{"encryption", nil, enc, 0, "Keytype invalid or not supported here"},
		{"TFMCC", nil, func(a *wire.Announce) { a.CC = wire.CCTFMCC }, 0, "Congestion control is not supported by this receiver yet"},
		{"reserved congestion control", nil, func(a *wire.Announce) { a.CC = 1 }, 0, ""},
		{"private address", nil, private("10.1.2.3"), 0, "Invalid multicast address"},
		{"private IPv6 address", nil, private("fd00::1"), 0, "Invalid multicast address"},
		{"IPv6", nil, private("ff02::4:5:6"), 0, ""},
		{"unicast", nil, private("0.0.0.0"), 0, ""},
		{"unicast IPv6", nil, private("::"), 0, ""},
		{"-S, any source", ssm, nil, 0, "Invalid source specific multicast address"},
		{"-S, no multicast", ssm, private("10.1.2.3"), 0, "Invalid source specific multicast address"},
		{"-S, IPv6", ssm, private("ff02::5"), 0, "Invalid source specific multicast address"},
		{"-S, source-specific", ssm, private("232.1.2.3"), 0, ""},
		{"-S, source-specific IPv6", ssm, private("ff3e::5"), 0, ""},
		{"-S, UID not in the list", func(c *Config) { c.Servers = []Server{{UID: other, Addr: senderAddr.Addr()}} }, private("232.1.2.3"), 0,
			"Sender is not in the server list"},
		{"restart with sync", func(c *Config) { c.Restart = true }, func(a *wire.Announce) { a.Flags = wire.AnnounceSync }, 1,
			"Sync mode and restart mode incompatible"},
		{"restart with sync, no temporary directory", nil, func(a *wire.Announce) { a.Flags = wire.AnnounceSync }, 1, ""},
		{"sync", func(c *Config) { c.Restart = true }, func(a *wire.Announce) { a.Flags = wire.AnnounceSync }, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, announce := c.config, c.announce
			if config == nil {
				config = func(*Config) {}
			}
			if announce == nil {
				announce = func(*wire.Announce) {}
			}
			w := newWorld(t, config)
			w.instance = c.instance
			for range 3 { // nothing is kept, so each is answered
				w.announce(announce)
				if c.text == "" {
					if w.session() == nil {
						t.Fatal("the session must be taken")
					}
					return
				}
				w.wantPhase(Free)
				w.wantAbort(c.text, "refused")
				if e := event[Refused](w, "refused"); e.Text != c.text || e.Session.Group != theGroup {
					t.Fatalf("%+v", e)
				}
				noEvent[SessionStarted](w, "refused")
			}
		})
	}
	t.Run("malformed", func(t *testing.T) {
		for _, c := range []struct {
			hlen, flags byte
			text        string
		}{
			{5, 0, "Invalid header size"},
			{6, wire.AnnounceIPv6, "Invalid header size"},
			{3, 0, ""},
			{77, 0, ""},
		} {
			w := newWorld(t)
			a := wire.Announce{Public: publicAddr, Private: privateAddr, BlockSize: 1000}
			msg := append(a.Append(wire.Version4, nil), 0, 0, 0, 0)
			msg[1], msg[2] = c.hlen, c.flags
			for len(msg) > 28 || c.hlen < 6 && len(msg) > 4*int(c.hlen) {
				msg = msg[:len(msg)-1]
			}
			w.send(wire.FuncAnnounce, msg)
			w.wantPhase(Free)
			if c.text == "" {
				w.wantDrop(machine.DropMalformed, "no ANNOUNCE at all")
				w.wantSilence("no ANNOUNCE at all")
				continue
			}
			if c.flags != 0 { // the four bytes behind the header are a list that is not for us
				w.wantDrop(machine.DropNotForUs, "listed comes first")
				w.send(wire.FuncAnnounce, msg[:24])
			}
			w.wantAbort(c.text, "malformed")
		}
		w := newWorld(t)
		a := wire.Announce{Public: publicAddr, Private: privateAddr}
		enc(&a)
		msg := a.Append(wire.Version4, nil)
		msg[25]++ // longer than its parts
		w.send(wire.FuncAnnounce, msg)
		w.wantAbort("Invalid extension size", "bad ENC_INFO")
	})
	t.Run("an address that is not in the list of servers gets no answer", func(t *testing.T) {
		w := newWorld(t, ssm)
		w.from = netip.MustParseAddrPort("10.88.0.7:5")
		w.announce(private("232.1.2.3"))
		w.wantDrop(machine.DropSource, "unknown address")
		w.wantSilence("unknown address")
	})
	t.Run("not more than 64 at once and 100 a second", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.MinSecurity = identity.Legacy })
		for i := range 1000 {
			w.group = uint32(i + 1)
			w.announce()
		}
		if n := len(w.packets); n != 64 {
			t.Fatalf("%d answers to 1000 ANNOUNCEs at once", n)
		}
		w.forget()
		for i := range 1000 {
			w.advance(time.Millisecond)
			w.group = uint32(i + 1)
			w.announce()
		}
		if n := len(w.packets); n != 100 {
			t.Fatalf("%d answers within a second", n)
		}
		w.advance(time.Hour)
		w.forget()
		for range 100 {
			w.announce()
		}
		if n := len(w.packets); n != 64 {
			t.Fatalf("%d answers at once after an hour", n)
		}
	})
}

func TestManySessions(t *testing.T) {
	w := newWorld(t)
	for i := range 100 {
		w.group = uint32(i + 1)
		w.announce(func(a *wire.Announce) { a.Private = netip.AddrFrom4([4]byte{230, 5, 5, byte(i)}) })
		w.joined("")
		w.regConf(us)
	}
	w.forget()
	w.group = 101
	w.announce()
	w.wantDrop(machine.DropLimit, "the 101st")
	if e := event[Stepped](w, "it is logged"); e.Step != TooMany {
		t.Fatalf("%+v", e)
	}
	w.wantSilence("the 101st may come again")
	// All receive the same file, block by block in turn, and end one after the other.
	for i := range 100 {
		w.group = uint32(i + 1)
		w.fileInfo(uint16(i+1), 3000)
		w.opened(Opened{Action: Receive})
	}
	for b := range 3 {
		for i := range 100 {
			w.group = uint32(i + 1)
			if v := w.data(uint16(i+1), w.layout(), 0, b); v.Store.Data == nil {
				t.Fatalf("block %d of session %d: %v", b, i, v.Drop)
			}
		}
	}
	w.forgetPackets()
	if n := len(w.r.Stats(nil)); n != 100 {
		t.Fatalf("statistics of %d sessions", n)
	}
	for i := range 100 {
		w.group = uint32(i + 1)
		w.closed("")
		w.done(uint16(i+1), 0, us)
		w.wantComplete(uint16(i+1), wire.StatusNormal, fmt.Sprint("session ", i))
		w.done(0, 0, us)
		w.wantComplete(0, wire.StatusNormal, fmt.Sprint("session ", i))
		if i == 40 {
			w.doneConf(us)
			w.wantPhase(Free)
			w.group = 101
			w.announce(func(a *wire.Announce) { a.Private = netip.MustParseAddr("230.5.6.1") })
			w.wantPhase(Joining)
		}
	}
}

func TestJoinAndLeave(t *testing.T) {
	second := func(w *world) { w.group = 2 }
	t.Run("nothing to join", func(t *testing.T) {
		for _, a := range []netip.Addr{publicAddr, netip.IPv4Unspecified()} {
			w := newWorld(t)
			w.announce(func(x *wire.Announce) { x.Private = a })
			w.wantRegister("at once")
			w.abort(wire.Abort{})
			noEvent[Join](w, a.String())
			noEvent[Leave](w, a.String())
			w.wantPhase(Free)
		}
	})
	t.Run("it fails", func(t *testing.T) {
		w := newWorld(t)
		w.announce()
		w.joined("no buffer space available")
		w.wantAbort("Error joining multicast group: no buffer space available", "the kernel has said no")
		w.wantEnded(false, EndRefused)
		noEvent[Leave](w, "we are not a member")
		w.announce()
		w.joined("")
		w.wantRegister("the next ANNOUNCE tries again")
	})
	t.Run("two sessions share one membership", func(t *testing.T) {
		w := newWorld(t)
		w.announce()
		second(w)
		w.announce()
		w.joined("")
		w.group = theGroup
		w.wantRegister("the first")
		second(w)
		w.wantRegister("the second")
		w.group = 3
		w.announce()
		w.wantRegister("one that comes later")
		noEvent[Join](w, "one membership is enough")
		w.abort(wire.Abort{})
		w.group = theGroup
		w.abort(wire.Abort{})
		noEvent[Leave](w, "the second needs it")
		second(w)
		w.abort(wire.Abort{})
		event[Leave](w, "nobody needs it")
	})
	t.Run("the asking session ends before the answer", func(t *testing.T) {
		w := newWorld(t)
		w.announce()
		first := event[Join](w, "first").Session.SessionID
		second(w)
		w.announce()
		w.group = theGroup
		w.abort(wire.Abort{})
		w.wantPhase(Free)
		event[Leave](w, "the Join is taken back")
		w.r.Joined(w.now, first, "")
		w.poll()
		w.wantSilence("that answer is history")
		second(w)
		w.joined("")
		w.wantRegister("with its own membership")
	})
	t.Run("all sessions that wait hear of a failure", func(t *testing.T) {
		w := newWorld(t)
		w.announce()
		second(w)
		w.announce()
		w.joined("no")
		w.wantAbort("Error joining multicast group: no", "first")
		w.wantAbort("Error joining multicast group: no", "second")
		noEvent[Leave](w, "we are not a member")
		if w.live() != 0 {
			t.Fatal("a session is left")
		}
	})
}

func TestRestartSupersedes(t *testing.T) {
	start := func(w *world) {
		w.toMidGroup()
		w.toReceiving(1, 10000)
		w.data(1, w.layout(), 0, 3)
		w.instance, w.seq = 1, 0
		w.from = netip.AddrPortFrom(senderAddr.Addr(), 50000)
		w.announce(func(a *wire.Announce) { a.Private = netip.MustParseAddr("230.5.5.77") })
		w.joined("")
	}
	restart := func(c *Config) { c.Restart = true }
	t.Run("when it is confirmed, before its first file", func(t *testing.T) {
		w := newWorld(t, restart)
		start(w)
		w.instance = 0
		w.wantPhase(Receiving)
		w.instance = 1
		w.wantRegister("the new instance")
		w.fileInfo(1, 10000) // instead of a lost REG_CONF
		var order []string
		for _, e := range w.events {
			switch e := e.(type) {
			case Abandon:
				order = append(order, "abandon")
				if e.Missing.Count() != 9 || e.Missing.Has(3) || e.Session.Instance != 0 {
					t.Fatalf("abandoned %+v", e)
				}
			case SessionEnded:
				order = append(order, "ended")
				if e.OK || e.Reason != EndSuperseded {
					t.Fatalf("ended %+v", e)
				}
			case Open:
				order = append(order, "open")
				if !e.Request.Resume {
					t.Fatal("what was abandoned may be used")
				}
			}
		}
		if fmt.Sprint(order) != "[abandon ended open]" {
			t.Fatalf("order %v", order)
		}
	})
	t.Run("an older one that the host still works for", func(t *testing.T) {
		w := newWorld(t, restart)
		w.toMidGroup()
		w.fileInfo(1, 10000)
		old := event[Open](w, "old").Request.Ref
		w.instance = 1
		w.announce()
		w.regConf(us)
		w.fileInfo(1, 10000)
		w.wantDrop(machine.DropPhase, "what the older one has is not known yet")
		noEvent[Open](w, "not yet")
		w.r.Opened(w.now, old, Opened{Action: Receive})
		w.poll()
		event[Abandon](w, "the old file is given up")
		w.fileInfo(1, 10000)
		event[Open](w, "now")
	})
	t.Run("both live when the older comes before the newer is confirmed", func(t *testing.T) {
		w := newWorld(t, restart)
		w.instance = 1
		w.announce()
		w.joined("")
		w.instance = 0
		w.announce()
		w.regConf(us)
		w.wantPhase(MidGroup)
		w.instance = 1
		w.wantPhase(Registering)
		w.regConf(us)
		w.instance = 0
		w.wantPhase(Free)
	})
}

func TestHeartbeats(t *testing.T) {
	a, b := netip.MustParseAddrPort("10.0.0.1:1044"), netip.MustParseAddrPort("[fd00::1]:1055")
	w := newWorld(t, func(c *Config) {
		c.Heartbeats = []netip.AddrPort{a, b}
		c.HeartbeatEvery = 20 * time.Second
	})
	w.advance(0)
	for i := range 3 {
		for _, to := range []netip.AddrPort{a, b} {
			p := w.next(wire.FuncHBReq)
			if x, err := wire.ParseHBReq(p.msg); err != nil || x.Nonce != 0 || len(p.msg) != 12 || p.to != to || p.head.Group != 0 || p.head.Seq != 0 {
				t.Fatalf("HB_REQ %d to %v: %+v %v", i, p.to, x, err)
			}
			if e := event[Heartbeat](w, "it is reported"); e.Response || e.Peer != to {
				t.Fatalf("%+v", e)
			}
		}
		w.wantSilence("one each")
		w.advance(20*time.Second - 1)
		w.wantSilence("20 s are not over")
		w.advance(1)
	}
	w.forget()
	w.group, w.from = 0, netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port()) // as a dual-stack socket says it
	x := wire.HBResp{Result: wire.HBOK}
	w.send(wire.FuncHBResp, x.Append(nil))
	if e := event[Heartbeat](w, "an answer"); !e.Response || e.Result != wire.HBOK || e.Peer != a {
		t.Fatalf("%+v", e)
	}
	w.send(wire.FuncHBResp, x.Append(nil))
	w.wantDrop(machine.DropSource, "one answer for one question")
	w.from = senderAddr
	w.send(wire.FuncHBResp, x.Append(nil))
	w.wantDrop(machine.DropSource, "nobody asked it")
	noEvent[Heartbeat](w, "no more answers")
	w.r.Stop(w.now)
	w.advance(time.Minute)
	w.wantSilence("after Stop")
}

// While Poll is not called the queue stays bounded, but the machine still takes blocks and
// answers of the host.
func TestBlockedWayOut(t *testing.T) {
	w := newWorld(t)
	w.toMidGroup()
	q := w.toReceiving(1, 2000)
	h := wire.Header{Version: wire.Version4, Func: wire.FuncFileInfo, Src: them, Group: theGroup, GRTT: w.grtt}
	x := wire.FileInfo{FileID: 1, Size: 2000, Name: []byte("f1"), Hosts: uids(us)}
	refused := 0
	for range 10000 {
		h.Seq++
		if w.r.Handle(w.now, arrived(w.from, x.Append(wire.Version4, h.Append(nil)))).Drop == machine.DropLimit {
			refused++
		}
		h2 := h
		h2.Func, h2.Group = wire.FuncAnnounce, uint32(h.Seq)
		a := wire.Announce{Public: publicAddr, Private: publicAddr, BlockSize: 1000}
		w.r.Handle(w.now, arrived(w.from, a.Append(wire.Version4, h2.Append(nil))))
	}
	if n := len(w.r.queue); refused < 9000 || n > w.r.queueMax()+8 {
		t.Fatalf("%d refused, %d things in the queue", refused, n)
	}
	w.seq = h.Seq + 1
	for b := range 2 {
		seg := wire.FileSeg{FileID: 1, Block: uint16(b), Data: make([]byte, 1000)}
		h.Func = wire.FuncFileSeg
		h.Seq++
		if v := w.r.Handle(w.now, arrived(w.from, seg.Append(h.Append(nil)))); v.Store.Data == nil {
			t.Fatalf("block %d: %q", b, v.Drop)
		}
	}
	w.r.Closed(w.now, q.Ref, "")
	w.poll()
	w.wantPhase(MidGroup)
	event[FileEnded](w, "the file is received")
}
