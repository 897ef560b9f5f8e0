package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uftp/pcap"
	"uftp/wire"
)

const lateBlock = "the stock sender sends one more block after its ABORT"

// otherwise says why our sender does something else than the captured one.
var otherwise = []struct{ part, why string }{
	{"respproxy", "our sender has no proxies"},
	{"-tunnel", "our sender has no proxies"},
	{"-upstream", "our sender has no proxies"},
	{"enc-abort-client", "a receiver that is gone gets an ABORT of its own"},
	{"enc-curve-sect", "our sender refuses curves over binary fields"},
	{"enc-fp-mismatch", "the sender was set up to want another key of the receiver, which no message shows"},
	{"plain-abort-quit", lateBlock},
	{"plain-abort-server", lateBlock},
	{"plain-excess-naks", "the capture does not show which share of NAKs was too much"},
	{"plain-multisection", "our sender begins the next pass when everybody has answered, without waiting for answers about the last sections"},
	{"c3e6b84c/0", lateBlock},
	{"c3bffe36/0", "our ABORT to all goes in clear, too, for hosts without the keys; and " + lateBlock},
}

// TestSenderAll plays the answers in every capture into our sender, with all private
// keys and without. It takes the same steps, or the golden file says why not.
func TestSenderAll(t *testing.T) {
	senderAll(t, "sender", "with the captured numbers", "", privateKeys(t))
}

func TestSenderAllInStructure(t *testing.T) {
	senderAll(t, "sender.structure", "in structure", "enc-", nil)
}

func senderAll(t *testing.T, file, depth, prefix string, keys []string) {
	keepKeys(t)
	var all strings.Builder
	compared := 0
	for _, c := range index(t) {
		for _, name := range c.Pcaps {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			for i := range c.Sessions {
				args := append([]string{"sender", "--keylog", keyLog, vectors + name}, keys...)
				label := name
				if len(c.Sessions) > 1 {
					id := fmt.Sprintf("%s/%d", c.Sessions[i].Group, i)
					args = append(args, "--session", id)
					label += " " + id
				}
				code, out, errs := replay(t, args...)
				why := ""
				for _, x := range otherwise {
					if code != 0 && strings.Contains(label, x.part) {
						why = " (" + x.why + ")"
					}
				}
				if errs != "" || code > 1 || code == 1 && why == "" {
					t.Errorf("%s: exit code %d, not explained\n%s%s", label, code, out, errs)
				}
				compared += strings.Count(out, "handshake "+depth)
				fmt.Fprintf(&all, "%s: %d%s\n%s", label, code, why, out)
			}
		}
	}
	if compared < 75 {
		t.Errorf("%d handshakes compared %s, want 75 or more", compared, depth)
	}
	golden(t, file, all.String())
}

// TestSenderDiffers changes a capture and wants the difference found.
func TestSenderDiffers(t *testing.T) {
	for _, x := range []struct {
		why  string
		rule []string
		code int
		says string
	}{
		{"nothing changed", nil, 0, "7 steps equal"},
		{"a repair that was not sent", []string{"--drop", "func=FILESEG,packet=65-65"}, 1, "captured file 1, run 2: blocks"},
		{"an answer that never came", []string{"--drop", "func=STATUS"}, 1, "first difference at step 3"},
		{"nobody there", []string{"--drop", "func=REGISTER"}, 1, "first difference at step 1"},
	} {
		out := filepath.Join(t.TempDir(), "out.pcap")
		want(t, 0, append(append([]string{"rewrite"}, x.rule...), vectors+"plain-loss3.pcap", out)...)
		if said := want(t, x.code, "sender", out); !strings.Contains(said, x.says) {
			t.Errorf("%s: %q is not in\n%s", x.why, x.says, said)
		}
	}
	late := change(t, "plain-loss3", func(d pcap.Datagram) []pcap.Datagram {
		if wire.Func(d.Payload[1]) > wire.FuncRegConf {
			d.Time = d.Time.Add(10 * time.Second)
		}
		return []pcap.Datagram{d}
	})
	if out := want(t, 1, "sender", late); !strings.Contains(out, "7 steps equal") || !strings.Contains(out, "step 1 at +") {
		t.Errorf("%s, want it to say that the sender is earlier than the captured one", out)
	}
	if code, _, errs := replay(t, "sender", "--interface", "eth0", vectors+"plain-1file.pcap"); code != 2 || !strings.Contains(errs, "real sender") {
		t.Errorf("exit code %d, %s; want a real sender refused", code, errs)
	}
	if code, _, errs := replay(t, "sender", vectors+"plain-restart.pcap"); code != 2 || !strings.Contains(errs, "c3e6b84c/0") {
		t.Errorf("exit code %d, %s; want to be asked which session", code, errs)
	}
	if out := want(t, 1, "sender", vectors+"enc-rsa512-default.pcap"); !strings.Contains(out, "--keylog or --key is needed") {
		t.Errorf("%s, want it to say that keys are needed", out)
	}
}
