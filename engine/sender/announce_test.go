package sender

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"uftp/engine/machine"
	"uftp/wire"
)

func TestNobodyRegisters(t *testing.T) {
	r := newRig(t, func(c *Config) { c.GRTT = 50 * ms })
	r.advance(1499 * ms)
	var lines []string
	for i := range 10 {
		lines = append(lines, fmt.Sprintf("%d ANNOUNCE []", 150*i))
	}
	r.wantWire("an open group is announced every 3·G, Robust times", lines...)
	wantNone[SessionEnded](r, "the last round is waited for")
	r.advance(ms)
	r.wantNotice("nobody came", AnnounceTimedOut)
	r.wantExit("nobody came in Robust rounds", ExitNobody)
	r.wantWire("nobody needs an ABORT")
}

func TestOpenGroup(t *testing.T) {
	r := newRig(t, func(c *Config) { c.GRTT = 50 * ms; c.Robust = 4 })
	r.advance(20 * ms)
	r.register(5, 20*ms)
	r.wantWire("an open group is in no hurry", "0 ANNOUNCE []")
	r.advance(131 * ms)
	r.wantWire("REG_CONF goes with the next round, before ANNOUNCE", "150 REG_CONF [5]", "150.05 ANNOUNCE []")
	if h := r.headers[2]; wire.DecodeGRTT(h.GRTT) < 0.02 || wire.DecodeGRTT(h.GRTT) > 0.022 || wire.DecodeGroupSize(h.GroupSize) != 1 {
		t.Errorf("the second round says GRTT %v for %d hosts, want 0.02 for 1", wire.DecodeGRTT(h.GRTT), wire.DecodeGroupSize(h.GroupSize))
	}
	if r.headers[0].GroupSize != 0 {
		t.Errorf("the first ANNOUNCE says group size %d, want 0", r.headers[0].GroupSize)
	}
	r.advance(29 * ms)
	r.register(5, 4*ms)
	h := r.events[len(r.events)-1].(Heard)
	if !h.Repeat || h.RTT < 4*ms || h.RTT > 4*ms+time.Microsecond {
		t.Errorf("a repeated REGISTER is reported as %+v", h)
	}
	r.advance(30*ms + 100*time.Microsecond)
	r.wantWire("a repeated REGISTER is confirmed again, 3 times the measured 20 ms later", "210.05 REG_CONF [5]", "210.1 ANNOUNCE []")
	r.advance(60 * ms)
	r.wantWire("round 4", "270.1 ANNOUNCE []")
	r.advance(50 * ms)
	r.register(6, 3*ms)
	r.advance(11 * ms)
	r.wantWire("a client that came in the last round is confirmed when it ends", "330.1 REG_CONF [6]")
	r.wantPhase("then the files start", BetweenFiles)
	c := want[Connected](r, "those that are in are reported")
	if len(c.Clients) != 2 || !c.OK[0] || !c.OK[1] || c.Clients[1].Name != "0x00000006" {
		t.Errorf("connected: %+v", c)
	}
	r.wantDrop("UID 7 is too late", r.register(7, 0), machine.DropUnknown)
	r.wantWire("and gets an ABORT", "331.1 ABORT 7 Not in host list @10.0.0.7")
	r.wantDrop("a known one repeats itself", r.register(5, 0), machine.DropNone)
	r.wantWire("it has not heard that it is in, and the next file may take its time", "331.1 REG_CONF [5]")
	r.advance(100 * ms)
	r.wantWire("once is enough")
}

func TestClosedGroup(t *testing.T) {
	r := newRig(t, with(hosts(1, 2, 3), func(c *Config) { c.GRTT = 50 * ms; c.Robust = 3 }))
	r.wantWire("a client that is missing is listed", "0 ANNOUNCE [1 2 3]")
	r.register(2, 0)
	r.advance(150*ms + 70*time.Microsecond)
	r.wantWire("only hosts that are still missing is listed", "150 REG_CONF [2]", "150.05 ANNOUNCE [1 3]")
	r.wantDrop("a stranger is not let in", r.register(9, 0), machine.DropUnknown)
	r.wantWire("and gets an ABORT", "150.07 ABORT 9 Not in host list @10.0.0.9")
	want[Refused](r, "the user hears of it")
	r.register(1, 0)
	r.refuse(3, "Invalid multicast address")
	a := want[GotAbort](r, "a listed host may refuse before it registers")
	if !a.Known || a.Client.Name != "h3" || a.Text != "Invalid multicast address" {
		t.Errorf("got %+v", a)
	}
	r.advance(100 * time.Microsecond)
	r.wantWire("nobody is missing any more: the last ones are confirmed at once", "150.12 REG_CONF [1]")
	r.wantNotice("this is reported", LateRegisters)
	r.advance(9 * ms)
	r.register(1, 0)
	r.advance(9 * ms)
	r.wantWire("a repeated REGISTER is confirmed at once and prolongs the wait", "159.17 REG_CONF [1]")
	r.wantPhase("1·G after it is not over", Announcing)
	r.advance(2 * ms)
	r.wantPhase("1·G after the last REG_CONF the files start", BetweenFiles)
	r.wantState("a client that refused is out", 3, Aborted)
	c := want[Connected](r, "those that are in are reported")
	if len(c.OK) != 3 || !c.OK[0] || !c.OK[1] || c.OK[2] {
		t.Errorf("connected: %+v", c)
	}
}

func TestLateWaitIsBounded(t *testing.T) {
	r := newRig(t, hosts(1))
	for range 40 {
		r.register(1, 0)
		r.advance(9 * ms)
	}
	r.wantPhase("a client that repeats its REGISTER for ever does not hold everybody up", BetweenFiles)
}

func TestMissingClientIsMute(t *testing.T) {
	r := newRig(t, with(hosts(1, 2), func(c *Config) { c.GRTT = 50 * ms; c.Robust = 2 }))
	r.register(1, 0)
	r.advance(time.Second)
	r.wantPhase("the session goes on with those that came", BetweenFiles)
	r.wantState("a client that did not come stays mute", 2, Mute)
	r.forget()
	r.wantDrop("its REGISTER is too late now", r.register(2, 0), machine.DropPhase)
	r.wantWire("and it gets an ABORT", "1000 ABORT 2 Registration is over @10.0.0.2")
	r.offer("f", 10)
	r.advance(ms)
	r.wantWire("files are for the others", "1000 FILEINFO f1 f [1]")
}

func TestAllRefuse(t *testing.T) {
	r := newRig(t, hosts(1))
	r.refuse(1, "No unencrypted transfers allowed")
	r.advance(ms)
	r.wantExit("everybody has refused: nobody is waited for", ExitNobody)
}

// TestForgedRefusal: what anybody can say in the name of a listed host that has not come
// yet neither keeps it out nor ends the session.
func TestForgedRefusal(t *testing.T) {
	for _, c := range []struct {
		why  string
		from netip.AddrPort
		set  func(*Config)
	}{
		{"from another host", addr(66), nothing},
		{"with -q", addr(66), func(c *Config) { c.QuitOnError = true }},
		{"from an IPv6 address with its number", netip.MustParseAddrPort("[fe80::200:0]:1044"), nothing},
		{"and addresses do not count", addr(66), func(c *Config) { c.Roaming = true }},
	} {
		r := newRig(t, with(hosts(1, 2), c.set))
		r.register(1, 0)
		for range 2 * maxReturns {
			r.deliverFrom(c.from, (&wire.Abort{Text: []byte("no")}).Append(message(2, wire.FuncAbort)))
			r.advance(10 * ms)
		}
		r.wantPhase(c.why, Announcing)
		reports := 0
		for _, e := range r.events {
			if _, ok := e.(GotAbort); ok {
				reports++
			}
		}
		if reports != 1 {
			t.Errorf("%s: reported %d times, want once", c.why, reports)
		}
		r.forget()
		r.advance(510 * ms)
		r.wantSaid(c.why+": it is asked for", "REG_CONF [1]; ANNOUNCE [2]")
		r.wantDrop(c.why, r.register(2, 0), machine.DropNone)
		r.advance(100 * ms)
		r.wantPhase(c.why, BetweenFiles)
		r.wantState(c.why, 2, Active)
	}
	r := newRig(t, with(hosts(1, 2), func(c *Config) { c.QuitOnError = true }))
	r.register(1, 0)
	r.abort(2, "no")
	r.advance(time.Minute)
	r.wantState("a client that does not come has refused", 2, Aborted)
	r.wantExit("with -q", ExitNobody)
}

func TestEmptyClosedGroup(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Closed = true })
	r.wantWire("an ANNOUNCE without a list would open the group")
	r.wantExit("nobody may come", ExitNobody)
}

func TestQuitOnErrorInAnnounce(t *testing.T) {
	r := newRig(t, with(hosts(1, 2), func(c *Config) { c.GRTT = 50 * ms; c.Robust = 1; c.QuitOnError = true }))
	r.register(1, 0)
	r.forget()
	r.advance(200 * ms)
	r.wantWire("one is missing: the others are sent home",
		"150 REG_CONF [1]", "150 ABORT 0 A client dropped out, aborting all")
	c := want[Connected](r, "the outcome is reported")
	if c.OK[0] || c.OK[1] {
		t.Errorf("nobody is connected, reported: %v", c.OK)
	}
	r.wantExit("quit on error", ExitNobody)
}

func TestEarlyEnd(t *testing.T) {
	t.Run("count", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.RegisterCount = 2 })
		r.advance(2 * ms)
		r.register(1, 2*ms)
		r.wantWire("each is confirmed at once", "0 ANNOUNCE []", "2 REG_CONF [1]")
		r.advance(20 * ms)
		r.register(2, 12*ms)
		r.wantWire("the second, too", "22 REG_CONF [2]")
		r.advance(11 * ms)
		r.wantPhase("1·G, now 12 ms, is left", Announcing)
		r.advance(2 * ms)
		r.wantNotice("the cut is reported", RegistrationCut)
		r.wantPhase("two are in: no more rounds", BetweenFiles)
	})
	t.Run("quiet", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.RegisterQuiet = 40 * ms })
		r.advance(700 * ms)
		r.wantPhase("quiet counts from the first one", Announcing)
		r.register(1, 0)
		r.advance(30 * ms)
		r.register(2, 0)
		r.advance(30 * ms)
		r.register(1, 0)
		r.wantPhase("a new one starts it again", Announcing)
		r.advance(9 * ms)
		r.wantPhase("40 ms after the second one are not over", Announcing)
		r.advance(ms)
		r.wantPhase("a repeated REGISTER does not start it again", BetweenFiles)
		r.wantNotice("the cut is reported", RegistrationCut)
	})
	t.Run("a client that leaves again does not stop the clock", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.RegisterCount = 2 })
		r.register(1, 0)
		r.register(2, 0)
		r.advance(ms)
		r.abort(2, "Client shutting down")
		r.advance(15 * ms)
		r.wantPhase("the session goes on with the other", BetweenFiles)
	})
}

// A small file to a receiver on the same LAN, as the commands set it up by default.
func TestSmallFileIsQuick(t *testing.T) {
	for _, c := range []struct {
		why string
		set func(*Config)
	}{
		{"registration ends with the first client", func(c *Config) { c.RegisterCount = 1 }},
		{"closed group", hosts(1)},
	} {
		r := newRig(t, with(c.set, func(c *Config) {
			c.Robust, c.BlockSize, c.Rate = 20, 1300, 128_000
		}))
		const half = 200 * time.Microsecond // of the real round trip
		r.advance(2 * half)
		r.register(1, 2*half)
		for range 40 {
			r.advance(ms)
			if r.s.phase == BetweenFiles {
				break
			}
		}
		r.offer("f", 1024)
		r.advance(2 * half)
		r.ack(1, 1, 2*half, false)
		for range 40 {
			r.advance(ms)
			if r.s.cycle.attempt == 1 && !r.s.pass.walking {
				break
			}
		}
		r.complete(1, 1, wire.StatusNormal)
		r.endOfFiles()
		r.advance(2 * ms)
		r.complete(1, 0, wire.StatusNormal)
		for len(r.events) > 0 && r.s.Deadline() < r.now.Add(time.Second) {
			r.advance(ms)
		}
		r.wantExit(c.why, ExitOK)
		if d := r.now.Sub(r.start); d > 150*ms {
			t.Errorf("%s: a 1 KB file took %v, want less than 150ms", c.why, d)
		}
	}
}

func TestLongListsAreSplit(t *testing.T) {
	var uids []wire.UID
	for i := range 700 {
		uids = append(uids, wire.UID(i+1))
	}
	for _, c := range []struct {
		why       string
		blockSize int
		parts     []int
	}{
		{"325 to a datagram at 1300", 1300, []int{325, 325, 50}},
		{"128 to a datagram at 512", 512, []int{128, 128, 128, 128, 128, 60}},
	} {
		r := newRig(t, with(hosts(uids...), func(g *Config) { g.BlockSize = c.blockSize }))
		r.advance(100 * ms)
		if len(r.wire) != len(c.parts) {
			t.Fatalf("%s: %d datagrams, want %d", c.why, len(r.wire), len(c.parts))
		}
		part := 0
		for _, e := range r.events {
			if s, ok := e.(Sent); ok {
				part++
				if s.Round != 1 || s.Part != part || s.Open {
					t.Errorf("%s: datagram %d is reported as %+v", c.why, part, s)
				}
			}
		}
		for i, line := range r.wire {
			if n := strings.Count(line, " ") - 1; n != c.parts[i] {
				t.Errorf("%s: part %d lists %d, want %d", c.why, i+1, n, c.parts[i])
			}
		}
		if strings.HasPrefix(r.wire[1], "0 ") {
			t.Errorf("%s: the second part left at once, want it spaced by the rate", c.why)
		}
	}
}

func TestListsFitReceivers(t *testing.T) {
	var uids []wire.UID
	for i := range 2500 {
		uids = append(uids, wire.UID(i+1))
	}
	// The rig refuses any datagram longer than receivers read.
	r := join(t, with(func(c *Config) { c.BlockSize = 8800; c.Rate = 0; c.GRTT = 5 * time.Second }), uids...)
	r.offer(strings.Repeat("n", 300), 1)
	if len(r.wire) != 2 {
		t.Errorf("FILEINFO for 2500 clients in %d datagrams, want 2", len(r.wire))
	}
}

func TestAnnounceCarries(t *testing.T) {
	for _, c := range []struct {
		why   string
		set   func(*Config)
		flags uint8
		pub   string
		priv  string
	}{
		{"IPv4", nothing, 0, "230.4.4.1", "230.5.5.7"},
		{"sync", func(c *Config) { c.Sync = true }, wire.AnnounceSync, "230.4.4.1", "230.5.5.7"},
		{"preview implies sync", func(c *Config) { c.Preview = true }, wire.AnnounceSync | wire.AnnouncePreview, "230.4.4.1", "230.5.5.7"},
		{"IPv6", func(c *Config) {
			c.Public, c.Private = netip.MustParseAddrPort("[ff02::1:2:3%eth0]:1044"), netip.MustParseAddrPort("[ff02::4]:1044")
		}, wire.AnnounceIPv6, "ff02::1:2:3", "ff02::4"},
		{"unicast carries no addresses", func(c *Config) {
			c.Public = netip.MustParseAddrPort("10.0.0.1:1044")
			c.Private, c.Unicast = c.Public, true
		}, 0, "0.0.0.0", "0.0.0.0"},
	} {
		cfg := newRig(t, nil).cfg
		c.set(&cfg)
		s := New(cfg, 1e18)
		var out machine.Out
		pollTo(t, s, 1e18, &out, machine.PacketKind)
		_, msg, err := wire.ParseHeader(out.Packet.Data)
		if err != nil {
			t.Fatal(err)
		}
		m, err := wire.ParseAnnounce(wire.Version4, msg)
		if err != nil {
			t.Fatal(err)
		}
		if m.Flags != c.flags || m.Public.String() != c.pub || m.Private.String() != c.priv ||
			m.Robust != 10 || m.BlockSize != 1000 || m.CC != wire.CCNone || m.HasEnc || m.Time/1e6 != 1e9 {
			t.Errorf("%s: %+v", c.why, m)
		}
		if out.Packet.To != cfg.Public {
			t.Errorf("%s: went to %v, want the public address", c.why, out.Packet.To)
		}
	}
}

// At 10 Kbps one packet takes more than a second; the stock sender's receivers
// give up there.
func TestLowRateAdvertisesInterval(t *testing.T) {
	r := newRig(t, with(hosts(1), func(c *Config) { c.Rate = 640; c.BlockSize = 1300 }))
	interval := time.Duration(1352 * 1e9 / 640)
	r.advance(10 * ms)
	r.register(1, 10*ms)
	r.advance(10 * time.Second)
	r.wantPhase("the group is complete", BetweenFiles)
	h := r.headers[len(r.headers)-1]
	if got := wire.DecodeGRTT(h.GRTT); got < interval.Seconds() || got > 1.1*interval.Seconds() {
		t.Errorf("REG_CONF says GRTT %v, want the packet interval %v", got, interval)
	}
}

// The numbers of a session that was watched: a client that took 0.38 s once.
func TestGRTTOfASession(t *testing.T) {
	r := newRig(t, hosts(1))
	r.advance(382_700 * time.Microsecond)
	r.register(1, 382_700*time.Microsecond)
	r.advance(time.Second)
	for i, want := range []float64{0.3827, 0.3445, 0.3100, 0.2790} {
		if got := r.s.Stats().GRTT.Seconds(); got < want-0.0001 || got > want+0.0001 {
			t.Fatalf("file %d starts with GRTT %.4f, want %.4f", i, got, want)
		}
		id := uint16(i + 1)
		r.offer("f", 0)
		r.ack(1, id, ms, false)
		r.complete(1, id, wire.StatusNormal)
		r.advance(10 * ms)
	}
	g := want[GRTTChanged](r, "changes are reported")
	if g.GRTT < 382*ms || g.GRTT > 383*ms {
		t.Errorf("the first change is to %v", g.GRTT)
	}
}

// What was measured for one file does not hold the estimate up at the next.
func TestGRTTForgetsPastFiles(t *testing.T) {
	r := join(t, func(c *Config) { c.Robust = 50 }, 1)
	for i, c := range []struct{ rtt, want time.Duration }{{400 * ms, 400 * ms}, {ms, 360 * ms}, {ms, 324 * ms}} {
		id := uint16(i + 1)
		r.offer("f", 0)
		r.advance(400 * ms)
		r.ack(1, id, c.rtt, false)
		if g := r.s.Stats().GRTT; g < c.want || g > c.want+ms {
			t.Errorf("file %d: GRTT %v, want %v", id, g, c.want)
		}
		r.complete(1, id, wire.StatusNormal)
		r.advance(ms)
	}
}

func TestForeignStampsDoNotCount(t *testing.T) {
	r := newRig(t, hosts(1, 2, 3))
	r.advance(300 * ms)
	for u, stamp := range map[wire.UID]wire.Stamp{1: 0, 2: wire.Stamp(r.now.Add(time.Minute).Micros())} {
		m := wire.Register{Time: stamp}
		r.deliver(u, m.Append(wire.Version4, message(u, wire.FuncRegister)))
	}
	r.register(3, 50*ms)
	r.advance(40 * ms)
	if g := r.s.Stats().GRTT; g < 50*ms || g > 51*ms {
		t.Errorf("GRTT %v, want 50ms: what never was a stamp of ours says nothing", g)
	}
}

func TestFailedClientsDoNotCountForGRTT(t *testing.T) {
	r := newRig(t, hosts(1, 2))
	r.advance(300 * ms)
	r.register(1, 250*ms)
	r.abort(1, "Client shutting down")
	r.register(2, 20*ms)
	r.advance(1200 * ms)
	if g := r.s.Stats().GRTT; g < 20*ms || g > 21*ms {
		t.Errorf("GRTT %v, want 20ms: the slow client is gone", g)
	}
}

func TestRegisterThroughProxyIsRefused(t *testing.T) {
	m := wire.Register{Clients: wire.AppendUID(nil, 50)}
	for _, c := range []struct {
		why string
		set func(*Config)
	}{
		{"open group", nothing},
		{"listed as a client", hosts(4)},
		{"listed as a proxy", func(c *Config) { c.Hosts = []Host{{UID: 4, Name: "p", IsProxy: true}} }},
	} {
		r := newRig(t, c.set)
		r.wantDrop(c.why, r.deliver(4, m.Append(wire.Version4, message(4, wire.FuncRegister))), machine.DropFunction)
		if e := want[Refused](r, c.why); e.Reason != noProxies || e.UID != 4 || e.Func != wire.FuncRegister {
			t.Errorf("%s: %+v", c.why, e)
		}
		if r.s.in(Active) != 0 {
			t.Errorf("%s: it was let in", c.why)
		}
	}
}

func TestShortRegisterIsAnswered(t *testing.T) {
	r := newRig(t, nil)
	r.forget()
	pkt := append(message(4, wire.FuncRegister), byte(wire.FuncRegister), 11, 0, 0, 1, 2, 3, 4)
	r.wantDrop("cut short", r.deliver(4, pkt), machine.DropMalformed)
	r.wantWire("a REGISTER that cannot be read is answered", "0 ABORT 4 Invalid message size @10.0.0.4")
}

func TestClientKeyOfStrangersIsIgnored(t *testing.T) {
	m := wire.ClientKey{PublicKey: make([]byte, 8), Signature: make([]byte, 8)}
	for _, set := range []func(*Config){nothing, hosts(1)} {
		r := newRig(t, set)
		r.forget()
		r.wantDrop("CLIENT_KEY before REGISTER", r.deliver(4, m.Append(message(4, wire.FuncClientKey))), machine.DropUnknown)
		r.wantWire("no answer")
	}
}

// A client that leaves during registration is missing again, and may come back: nothing
// was sent yet that it lacks. It may have lost the sender, or was started anew.
func TestComingBack(t *testing.T) {
	for _, c := range []struct {
		why  string
		set  func(*Config)
		left State
		asks string
	}{
		{"closed group", hosts(1, 2), Mute, "ANNOUNCE [1 2]"},
		{"open group", nothing, Aborted, "ANNOUNCE []"},
	} {
		r := newRig(t, c.set)
		r.register(1, 0)
		r.abort(1, "Transfer timed out")
		r.wantState(c.why, 1, c.left)
		r.forget()
		r.advance(1501 * ms)
		if got := r.sent(); len(got) != 1 || got[0] != c.asks {
			t.Errorf("%s: the next round says %q, want %q", c.why, got, c.asks)
		}
		r.wantDrop("it registers again, from a new address", r.deliverFrom(elsewhere, (&wire.Register{Time: r.echo(0)}).Append(wire.Version4, message(1, wire.FuncRegister))), machine.DropNone)
		r.wantState(c.why, 1, Active)
		if h := want[Heard](r, c.why); h.Repeat {
			t.Errorf("%s: that is no repetition: %+v", c.why, h)
		}
		r.abortFrom(elsewhere, 1)
		r.advance(40 * time.Second)
		r.wantState("a client that does not come back has aborted", 1, Aborted)
		r.wantExit(c.why, ExitNobody)
	}
}

// A client that comes and goes all the time is out in the end, and no longer reported.
func TestComingBackIsBounded(t *testing.T) {
	for _, set := range []func(*Config){hosts(1, 2), nothing} {
		r := newRig(t, func(c *Config) { set(c); c.RegisterWait = time.Hour })
		for n := range 2 * maxReturns {
			r.forget()
			d := r.register(1, 0)
			if n <= maxReturns && d != machine.DropNone || n > maxReturns && d != machine.DropPhase {
				t.Fatalf("it registers for the %dth time: %v", n+1, d)
			}
			r.abort(1, "Client shutting down")
			r.advance(200 * ms)
		}
		wantNone[GotAbort](r, "out is out")
		wantNone[Refused](r, "reported once")
		r.wantState("out is out", 1, Aborted)
	}
}
