package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// explained says why a capture is answered in another way than by our receiver.
var explained = []struct{ part, why string }{
	{"tfmcc", "our receiver has no congestion control and says so"},
	{"-tunnel", "only a proxy answers there"},
	{"-upstream", "only a proxy answers there"},
	{"enc-curve-sect", "our receiver refuses curves over binary fields"},
	{"enc-nokey-abort", "our receiver needs a key of its own only where the sender asks for one"},
	{"enc-abort-client", "the receiver was killed"},
}

func explanation(name string) string {
	for _, x := range explained {
		if strings.Contains(name, x.part) {
			return x.why
		}
	}
	return ""
}

// TestReceiverAll plays every capture into our receiver, with all private keys and
// without. Answers are equal, or the golden file says why not.
func TestReceiverAll(t *testing.T) {
	receiverAll(t, "receiver", "byte for byte", privateKeys(t))
}

func TestReceiverAllInStructure(t *testing.T) {
	receiverAll(t, "receiver.structure", "in structure", nil)
}

func receiverAll(t *testing.T, name, depth string, keys []string) {
	keepKeys(t)
	var all strings.Builder
	compared := 0
	args := append([]string{"receiver", "--keylog", keyLog}, keys...)
	for _, c := range index(t) {
		for _, name := range c.Pcaps {
			code, out, errs := replay(t, append(args, vectors+name)...)
			why := explanation(name)
			if errs != "" || (code == 0) != (why == "") || code > 1 {
				t.Errorf("%s: exit code %d, explanation %q\n%s%s", name, code, why, out, errs)
			}
			compared += strings.Count(out, "handshake equal "+depth)
			if why != "" {
				why = " (" + why + ")"
			}
			fmt.Fprintf(&all, "%s: %d%s\n%s", name, code, why, out)
		}
	}
	if compared < 80 {
		t.Errorf("%d handshakes equal %s, want 80 or more", compared, depth)
	}
	golden(t, name, all.String())
}

// TestReceiverDiffers changes a capture and wants the difference found.
func TestReceiverDiffers(t *testing.T) {
	loss := vectors + "plain-loss3.pcap"
	for _, x := range []struct {
		why   string
		rule  []string
		code  int
		lines []string
	}{
		{"nothing changed", nil, 0, []string{"0x0A50000C: 7 answers equal, 1 files"}},
		{"an answer that is not there", []string{"--drop", "uid=0x0A50000C,func=COMPLETE,nth=1"}, 1, []string{"first difference at answer 6", "2 too many"}},
		{"a captured answer that ours cannot give", []string{"--drop", "func=FILEINFO"}, 1, []string{"FILEINFO_ACK  0 equal, 0 with other contents, 1 missing"}},
		{"blocks that the capture lacks", []string{"--drop", "func=FILESEG,block=3-4"}, 1, []string{"2 messages of the sender are not in the capture"}},
		{"another bitmap", []string{"--corrupt", "uid=0x0A50000C,func=STATUS"}, 1, []string{"STATUS"}},
	} {
		out := filepath.Join(t.TempDir(), "out.pcap")
		want(t, 0, append(append([]string{"rewrite", "--seed", "3"}, x.rule...), loss, out)...)
		said := want(t, x.code, "receiver", "--uid", "0x0A50000C", out)
		for _, l := range x.lines {
			if !strings.Contains(said, l) {
				t.Errorf("%s: %q is not in\n%s", x.why, l, said)
			}
		}
	}
}

// TestReceiverCannot wants a message that names what is missing for a replay.
func TestReceiverCannot(t *testing.T) {
	if out := want(t, 1, "receiver", vectors+"enc-rsa512-default.pcap"); !strings.Contains(out, "--keylog or --key is needed") {
		t.Errorf("%s, want it to say that keys are needed", out)
	}
	if out := want(t, 1, "receiver", "--session", "00000001", vectors+"plain-1file.pcap"); !strings.Contains(out, "no receiver") {
		t.Errorf("%s, want it to say that there is nothing to replay", out)
	}
	want(t, 2, "receiver", "-")
	want(t, 2, "receiver", "--uid", "x", vectors+"plain-1file.pcap")
}
