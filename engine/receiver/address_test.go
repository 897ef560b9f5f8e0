package receiver

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"testing"

	"uftp/engine/machine"
	"uftp/wire"
)

// everyMessage is one of each kind of message that a session may get in clear, and an
// ANNOUNCE that is repeated.
func everyMessage(fileID uint16) map[string]struct {
	f   wire.Func
	msg []byte
} {
	announce := wire.Announce{Robust: 9, BlockSize: 500, Public: publicAddr, Private: privateAddr}
	regConf := wire.HostList{Func: wire.FuncRegConf, Hosts: uids(us)}
	info := wire.FileInfo{FileID: fileID, Size: 3000, Name: []byte("f"), Hosts: uids(us)}
	next := wire.FileInfo{FileID: fileID + 1, Size: 3000, Name: []byte("g"), Hosts: uids(us)}
	others := wire.FileInfo{FileID: fileID, Size: 3000, Name: []byte("f"), Hosts: uids(other)}
	seg := wire.FileSeg{FileID: fileID, Data: bytes.Repeat([]byte{0xEE}, 1000)}
	done := wire.Done{FileID: fileID, Hosts: uids(us)}
	last := wire.Done{Hosts: uids(us)}
	doneConf := wire.HostList{Func: wire.FuncDoneConf, Hosts: uids(us)}
	cong := wire.CongCtrl{}
	abort := wire.Abort{Text: []byte("no")}
	abortUs := wire.Abort{Host: us, Text: []byte("no")}
	type m = struct {
		f   wire.Func
		msg []byte
	}
	return map[string]m{
		"ANNOUNCE":               {wire.FuncAnnounce, announce.Append(wire.Version4, nil)},
		"REG_CONF":               {wire.FuncRegConf, regConf.Append(nil)},
		"FILEINFO":               {wire.FuncFileInfo, info.Append(wire.Version4, nil)},
		"FILEINFO of the next":   {wire.FuncFileInfo, next.Append(wire.Version4, nil)},
		"FILEINFO for others":    {wire.FuncFileInfo, others.Append(wire.Version4, nil)},
		"FILEINFO, malformed":    {wire.FuncFileInfo, []byte{7, 7, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0}},
		"FILEINFO of a bad type": {wire.FuncFileInfo, (&wire.FileInfo{FileID: fileID + 1, Type: 9, Name: []byte("x"), Hosts: uids(us)}).Append(wire.Version4, nil)},
		"FILESEG":                {wire.FuncFileSeg, seg.Append(nil)},
		"DONE":                   {wire.FuncDone, done.Append(nil)},
		"DONE of the session":    {wire.FuncDone, last.Append(nil)},
		"DONE_CONF":              {wire.FuncDoneConf, doneConf.Append(nil)},
		"CONG_CTRL":              {wire.FuncCongCtrl, cong.Append(wire.Version4, nil)},
		"ABORT":                  {wire.FuncAbort, abort.Append(nil)},
		"ABORT for us":           {wire.FuncAbort, abortUs.Append(nil)},
		"KEYINFO":                {wire.FuncKeyInfo, make([]byte, 12)},
		"ENCRYPTED":              {wire.FuncEncrypted, make([]byte, 60)},
		"STATUS":                 {wire.FuncStatus, make([]byte, 40)},
		"HB_RESP":                {wire.FuncHBResp, make([]byte, 12)},
		"nothing known":          {99, make([]byte, 12)},
	}
}

// everyPhase reaches each phase of a session in clear.
var everyPhase = []struct {
	phase Phase
	reach func(w *world)
}{
	{Joining, func(w *world) { w.announce() }},
	{Registering, func(w *world) { w.announce(); w.joined("") }},
	{MidGroup, func(w *world) { w.toMidGroup() }},
	{Opening, func(w *world) { w.toMidGroup(); w.fileInfo(1, 3000) }},
	{Receiving, func(w *world) { w.toMidGroup(); w.toReceiving(1, 3000) }},
	{Closing, func(w *world) {
		w.toMidGroup()
		q := w.toReceiving(1, 3000)
		for b := range 3 {
			w.data(1, &q.Layout, 0, b)
		}
	}},
	{Completing, func(w *world) { w.toMidGroup(); w.done(0, 0, us) }},
}

// TestInClearOnlyFromTheSendersAddress: in a session in clear, no message from another
// address than that of the ANNOUNCE has an effect, in any phase; each is counted. Messages
// from another port of the sender count.
func TestInClearOnlyFromTheSendersAddress(t *testing.T) {
	mapped := func(a string) string { return "[::ffff:" + a + "]:40000" }
	for _, c := range []struct {
		name, sender, from string
		roaming, counts    bool
	}{
		{"another host", "10.88.0.100:40000", "10.88.0.66:40000", false, false},
		{"another host, mapped", "10.88.0.100:40000", mapped("10.88.0.66"), false, false},
		{"another port", "10.88.0.100:40000", "10.88.0.100:999", false, true},
		{"the sender, mapped", "10.88.0.100:40000", mapped("10.88.0.100"), false, true},
		{"announced mapped", mapped("10.88.0.100"), "10.88.0.100:40000", false, true},
		{"another host of the prefix", "[2001:db8::100]:40000", "[2001:db8::66]:40000", false, false},
		{"the sender, IPv6", "[2001:db8::100]:40000", "[2001:db8::100]:7", false, true},
		{"the other family", "[2001:db8::100]:40000", "10.88.0.100:40000", false, false},
		{"the same link", "[fe80::1%e0]:40000", "[fe80::1%e0]:7", false, true},
		{"the same address on another link", "[fe80::1%e0]:40000", "[fe80::1%e1]:40000", false, false},
		{"roaming", "10.88.0.100:40000", "10.88.0.66:40000", true, true},
		{"roaming, the other family", "10.88.0.100:40000", "[2001:db8::66]:40000", true, true},
	} {
		for _, p := range everyPhase {
			for name, m := range everyMessage(1) {
				t.Run(fmt.Sprintf("%s/%s/%s", c.name, p.phase, name), func(t *testing.T) {
					reach := func() *world {
						w := newWorld(t, func(cfg *Config) { cfg.Roaming = c.roaming })
						w.from = netip.MustParseAddrPort(c.sender)
						p.reach(w)
						w.wantPhase(p.phase)
						w.forget()
						w.seq += 3 // a number that would move the window
						w.grtt = code500ms
						return w
					}
					w, genuine := reach(), reach()
					before := picture(w)
					w.from = netip.MustParseAddrPort(c.from)
					v := w.send(m.f, m.msg)
					if !c.counts {
						if v.Drop != machine.DropSource || v.Store.Data != nil {
							t.Fatalf("verdict %q, %d bytes to store", v.Drop, len(v.Store.Data))
						}
						if after := picture(w); after != before {
							t.Fatalf("the session is\n%s, was\n%s", after, before)
						}
						return
					}
					if want := genuine.send(m.f, m.msg); v.Drop != want.Drop || len(v.Store.Data) != len(want.Store.Data) {
						t.Fatalf("verdict %q, %d bytes to store; from the address of the ANNOUNCE %q, %d bytes",
							v.Drop, len(v.Store.Data), want.Drop, len(want.Store.Data))
					}
					if got, want := picture(w), picture(genuine); got != want {
						t.Fatalf("the session is\n%s, want\n%s", got, want)
					}
				})
			}
		}
	}
}

// picture is all that a packet can change: session, queue, timers, and what was sent.
func picture(w *world) string {
	r := w.r
	s := fmt.Sprintf("%d sessions, %d blocks, %d settles, wake %d, packets %+v, events %+v",
		r.sessions, r.blocks, r.settles, r.wake, w.packets, w.events)
	for i := range r.slots {
		if x := r.slots[i]; x.phase != Free || x.seq != 0 {
			s += fmt.Sprintf("\n%+v", x)
		}
	}
	return pointer.ReplaceAllString(s, "at")
}

var pointer = regexp.MustCompile(`0x[0-9a-f]{6,}`)

// TestSealedFromAnywhere: in an encrypted session packets that open count from every
// address, and messages in clear only from that of the ANNOUNCE.
func TestSealedFromAnywhere(t *testing.T) {
	elsewhere := addrOf("10.88.0.66:40000")
	for _, roaming := range []bool{false, true} {
		w := newSecureWorld(t, gcm, false, func(c *Config) { c.Roaming = roaming })
		clear := func(why string, f wire.Func, msg []byte) {
			t.Helper()
			w.from = elsewhere
			h := wire.Header{Version: wire.Version4, Func: f, Seq: w.seq, Src: w.src, Group: w.group, GRTT: w.grtt}
			w.raw(append(h.Append(nil), msg...))
			if taken := w.last.Drop == machine.DropNone; taken != roaming || !roaming && w.last.Drop != machine.DropSource {
				t.Fatalf("roaming %v: %s: verdict %q", roaming, why, w.last.Drop)
			}
			w.from = senderAddr
		}
		w.announceSealed()
		w.joined("")
		abort := wire.Abort{Text: []byte("no")}
		clear("ABORT before there are keys", wire.FuncAbort, abort.Append(nil))
		if roaming {
			w.wantEnded(false, EndAborted)
			w.far.start(t)
			w.forget()
			w.announceSealed()
			w.joined("")
		}
		w.wantRegisterSealed("register")
		w.far.key(t)
		clear("KEYINFO", wire.FuncKeyInfo, w.keyInfoFor(us))
		w.send(wire.FuncKeyInfo, w.keyInfoFor(us))
		w.forget()
		w.from = elsewhere
		q := w.toReceiving(1, 3000)
		w.data(1, &q.Layout, 0, 1)
		w.wantDrop(machine.DropNone, "a sealed block")
		w.abort(abort)
		w.wantDrop(machine.DropNone, "a sealed ABORT")
		w.wantEnded(false, EndAborted)
	}
}

// TestSenderWithTwoAddresses: an IPv6 sender has two addresses if only one of its public
// and private groups is local to the link. The second is the one that the registration is
// confirmed from; there is no third.
func TestSenderWithTwoAddresses(t *testing.T) {
	const link, global = "[fe80::1%e0]:40000", "[2001:db8::1]:40000"
	for _, c := range []struct {
		name, private, first, second string
		list                         string // a sender of -S; "" = no list
		works                        bool
	}{
		{"a wider private group", "ff05::9", link, global, "", true},
		{"a global private group", "ff3e::9", link, global, "", true},
		{"a narrower private group", "ff02::9", global, link, "", true},
		{"a source-specific group of the link", "ff32::9", global, link, "", true},
		{"both listed", "ff3e::9", link, global, "2001:db8::1", true},
		{"the second not listed", "ff3e::9", link, global, "2001:db8::2", false},
		{"both groups of the link", "ff02::9", link, global, "", false},
		{"both groups wider", "ff05::9", global, link, "", false},
		{"another global address", "ff05::9", global, "[2001:db8::66]:40000", "", false},
		{"another address of the link", "ff05::9", link, "[fe80::66%e0]:40000", "", false},
		{"another link", "ff05::9", link, "[fe80::1%e1]:40000", "", false},
		{"the other family", "ff05::9", link, "10.88.0.100:40000", "", false},
		{"the other family, mapped", "ff05::9", link, "[::ffff:10.88.0.100]:40000", "", false},
		{"a private group of IPv4", "230.5.5.9", link, global, "", false},
	} {
		announce := func(w *world, a *wire.Announce) {
			if a.Private = netip.MustParseAddr(c.private); a.Private.Is6() {
				a.Flags, a.Public = wire.AnnounceIPv6, netip.MustParseAddr("ff02::1:2")
			}
			w.from = addrOf(c.first)
		}
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(cfg *Config) {
				if c.list != "" {
					cfg.Servers = []Server{{UID: them, Addr: addrOf(c.first).Addr()}, {UID: them, Addr: netip.MustParseAddr(c.list)}}
				}
			})
			w.announce(func(a *wire.Announce) { announce(w, a) })
			w.joined("")
			w.wantPhase(Registering)
			w.forget()
			before := picture(w)
			still := func(why string) {
				t.Helper()
				if w.wantDrop(machine.DropSource, why); picture(w) != before {
					t.Fatalf("%s: the session is\n%s, was\n%s", why, picture(w), before)
				}
			}
			w.from = addrOf(c.second)
			for name, m := range everyMessage(1) {
				if name != "REG_CONF" && name != "FILEINFO" && name != "FILEINFO of the next" && name != "FILEINFO of a bad type" {
					w.send(m.f, m.msg)
					still(name)
				}
			}
			w.regConf(other)
			still("REG_CONF for another receiver")
			w.regConf(us)
			if !c.works {
				still("REG_CONF")
				return
			}
			w.wantPhase(MidGroup)
			w.toReceiving(1, 3000)
			w.from = addrOf(c.first) // what is still announced, or an ABORT
			w.announce(func(a *wire.Announce) { announce(w, a) })
			if w.last.Drop == machine.DropSource {
				t.Fatal("the first address does not count any more")
			}
			before = picture(w)
			for _, a := range []string{"[2001:db8::66]:40000", "[fe80::66%e0]:40000"} {
				w.from = addrOf(a)
				for name, m := range everyMessage(1) {
					w.send(m.f, m.msg)
					still(name + " from a third address")
				}
			}
		})
		t.Run(c.name+", encrypted", func(t *testing.T) {
			if c.list != "" {
				return // there the key counts
			}
			w := newSecureWorld(t, gcm, false)
			w.announceSealed(func(a *wire.Announce) { announce(w, a) })
			w.joined("")
			w.wantRegisterSealed("register")
			w.far.key(t)
			w.from = addrOf(c.second)
			w.send(wire.FuncKeyInfo, w.keyInfoFor(us))
			if !c.works {
				w.wantDrop(machine.DropSource, "KEYINFO")
				w.wantPhase(Registering)
				return
			}
			w.wantPhase(MidGroup)
			w.forgetPackets()
			w.toReceiving(1, 3000) // the keys are proved
			for from, want := range map[string]machine.Drop{
				c.second:               machine.DropPhase,
				"[2001:db8::66]:40000": machine.DropSource,
				"[fe80::66%e0]:40000":  machine.DropSource,
				"[2001:db8::1%e0]:1":   machine.DropSource,
			} {
				w.from = addrOf(from)
				w.send(wire.FuncKeyInfo, w.keyInfoFor(us))
				w.wantDrop(want, "KEYINFO from "+from)
			}
		})
	}
}
