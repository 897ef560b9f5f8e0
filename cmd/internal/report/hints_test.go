package report

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/sender"
	"uftp/wire"
)

// TestHintsWhenNobodyTakesPart: the line of the stock sender stays as it is. Behind it are the
// reasons of the receivers that answered, or advice if none did.
func TestHintsWhenNobodyTakesPart(t *testing.T) {
	abort := func(c sender.Client, text string) machine.Event {
		return sender.GotAbort{Client: c, Known: c.Name != "", Text: text}
	}
	stranger := sender.Client{UID: 0xa000}
	const clear = "No unencrypted transfers allowed"
	end := []machine.Event{sender.Connected{Clients: []sender.Client{clientB}, OK: []bool{false}}, sender.Notice{Kind: sender.AnnounceTimedOut}}
	many := []machine.Event{}
	for i := range 100 {
		many = append(many, abort(sender.Client{UID: wire.UID(i + 1)}, clear), abort(stranger, fmt.Sprint("reason ", i)))
	}
	for _, tt := range []struct {
		why    string
		events []machine.Event
		change func(*Sender)
		want   []string // parts of the lines behind the notice, in order
		not    []string
	}{
		{"silence", nil, nil, []string{"230.4.4.1 port 1044 on e0 (10.0.0.1) with TTL 3", "-M 230.4.4.1 -p 1044", "e0", "-t", "1044", "port 4711", "-u", "uftp-doctor"}, []string{"-H"}},
		{"silence, receivers listed", nil, func(s *Sender) { s.Session.Hosts = []sender.Host{{UID: 5}} }, []string{"-H", "uftpd -U"}, nil},
		{"silence of one host", nil, func(s *Sender) { s.Session.Public = netip.MustParseAddrPort("10.0.0.9:1044") },
			[]string{"10.0.0.9 port 1044", "uftp-doctor"}, []string{"TTL", "e0", "-M"}},
		{"on loopback", nil, func(s *Sender) { s.Interface.Loopback = true }, []string{"no other machine receives from it"}, nil},
		{"IPv6", nil, func(s *Sender) { s.Session.Public = netip.MustParseAddrPort("[ff02::4404]:1044") }, []string{"ff02::4404 port 1044 on e0"}, nil},
		{"refused, once each", []machine.Event{abort(stranger, clear), abort(stranger, clear), abort(clientB, clear)}, nil,
			[]string{"0x0000A000, " + clientB.Name + " did not take part: " + clear}, []string{"firewall", "uftp-doctor"}},
		{"two reasons", []machine.Event{abort(stranger, clear), abort(clientB, "Disk full")}, nil, []string{clear, "Disk full"}, nil},
		{"many hosts and reasons", many, nil, []string{"and others did not take part: " + clear}, []string{"reason 20"}},
		{"kept out by us", []machine.Event{sender.Refused{UID: 0xa000, Func: wire.FuncRegister, Reason: "not in the list"}}, nil, []string{"0x0000A000 did not take part: not in the list"}, []string{"firewall"}},
		{"text that would speak to a terminal", []machine.Event{abort(stranger, "a\x1b[2Jb\nc")}, nil, []string{"did not take part: a?[2Jb?c"}, []string{"\x1b"}},
		{"a firewall of this machine", []machine.Event{engine.SendFailed{To: netip.MustParseAddrPort("230.4.4.1:1044"), Err: syscall.EPERM}}, nil,
			[]string{"Sending failed on this machine: Operation not permitted"}, []string{"does uftpd run"}},
		{"heard, then silent", []machine.Event{sender.Heard{Func: wire.FuncRegister, Client: clientB}}, nil, nil, []string{"firewall", "uftp-doctor"}},
	} {
		var log, lines bytes.Buffer
		s := &Sender{Name: "uftp", Log: NewLog(&log, Normal, false), JSON: NewJSON(&lines), Session: sendConfig(), TTL: 3,
			Interface: netio.Interface{Name: "e0", Index: 2, Addr: netip.MustParseAddr("10.0.0.1")}}
		if tt.change != nil {
			tt.change(s)
		}
		o := opened()
		o.Port = 4711
		for _, ev := range append(append([]machine.Event{o}, tt.events...), end...) {
			s.Report(time.Now(), ev)
		}
		before, after, found := strings.Cut(log.String(), "\nAnnounce timed out\n")
		if !found {
			t.Fatalf("%s: no line of the stock sender in %q", tt.why, log.String())
		}
		if !strings.Contains(before, "Sending on interface e0 (10.0.0.1)") == s.Session.Public.Addr().IsMulticast() {
			t.Errorf("%s: %q must say the interface of multicast, and of nothing else", tt.why, before)
		}
		rest := after
		for _, w := range tt.want {
			i := strings.Index(rest, w)
			if i < 0 {
				t.Errorf("%s: %q lacks %q", tt.why, after, w)
				continue
			}
			rest = rest[i:]
		}
		for _, w := range tt.not {
			if strings.Contains(after, w) {
				t.Errorf("%s: %q has %q", tt.why, after, w)
			}
		}
		if n := strings.Count(after, "\n"); n > refusalsMax || n != strings.Count(lines.String(), `"event":"hint"`) {
			t.Errorf("%s: %d lines, want at most %d and as many events in %s", tt.why, n, refusalsMax, lines.String())
		}
	}
}

// TestNoHintsLater: a receiver that took part and was lost later is no reason for advice.
func TestNoHintsLater(t *testing.T) {
	var log bytes.Buffer
	s := &Sender{Log: NewLog(&log, Normal, false), Session: sendConfig()}
	for _, ev := range []machine.Event{
		opened(), sender.Connected{Clients: []sender.Client{clientA}, OK: []bool{true}},
		sender.GotAbort{Client: clientA, Known: true, Text: "Disk full"}, sender.Notice{Kind: sender.AnnounceTimedOut},
	} {
		s.Report(time.Now(), ev)
	}
	if !strings.HasSuffix(log.String(), "\nAnnounce timed out\n") {
		t.Errorf("log %q, want nothing behind the line of the stock sender", log.String())
	}
}

// TestNoCarrierIsReported: a sender on an interface without a carrier gets a warning at once.
func TestNoCarrierIsReported(t *testing.T) {
	for _, lacks := range []bool{false, true} {
		var log bytes.Buffer
		s := &Sender{Log: NewLog(&log, Warnings, false), Session: sendConfig(),
			Interface: netio.Interface{Name: "e0", Addr: netip.MustParseAddr("10.0.0.1"), NoCarrier: lacks}}
		s.Report(time.Now(), opened())
		if strings.Contains(log.String(), "e0 has no carrier") != lacks {
			t.Errorf("no carrier: %v, log %q", lacks, log.String())
		}
	}
}
