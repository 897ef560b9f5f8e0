package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRewrite changes a session with three receivers and looks at what came out.
func TestRewrite(t *testing.T) {
	loss := vectors + "plain-loss3.pcap" // 94 datagrams, 46 of them FILESEG, 20 ANNOUNCE
	for _, x := range []struct {
		why  string
		args []string
		says string
		has  []string // texts in the output of inspect for the result
		not  []string
	}{
		{"nothing to do", nil, "94 datagrams written, 0 dropped, 0 corrupted", []string{"48.4 % sent again"}, []string{"anomaly"}},
		{"pcapng", []string{"--pcapng"}, "94 datagrams written", []string{"48.4 % sent again"}, []string{"anomaly"}},
		{
			"other addresses", []string{"--map-addr", "10.80.0.1=192.0.2.7", "--map-addr", "230.5.5.182=230.9.9.9", "--map-addr", "230.4.4.1=230.9.9.8", "--map-port", "1044=2044"},
			"94 datagrams written", []string{"192.0.2.7:45100", "announces to 230.9.9.8:2044, data to 230.9.9.9", "public=230.9.9.8 private=230.9.9.9", "> 230.9.9.9:2044"},
			[]string{"10.80.0.1:", "230.5.5.182", "230.4.4.1", "anomaly", ":1044"},
		},
		{
			"other UIDs", []string{"--map-uid", "0x0A500001=0x11111111", "--map-uid", "0A50000C=22222222"},
			"94 datagrams written", []string{"sender     0x11111111", "0x22222222 registered, 1 files taken, 1 complete, 8 NAKs"}, []string{"0x0A500001", "0x0A50000C", "anomaly"},
		},
		{"announcements gone", []string{"--drop", "func=announce"}, "74 datagrams written, 20 dropped", []string{"no ANNOUNCE within"}, nil},
		{"a receiver gone after its REGISTER", []string{"--drop", "uid=0x0A50000B,packet=5-1000"}, "written, 5 dropped", []string{"anomaly    receiver 0x0A50000B is asked to take files and does not answer"}, nil},
		{"some blocks", []string{"--drop", "func=FILESEG,file=1,section=0,block=3-4"}, "92 datagrams written, 2 dropped", nil, nil},
		{"every tenth block", []string{"--drop", "func=FILESEG,nth=10"}, "90 datagrams written, 4 dropped", nil, nil},
		{"answers by address", []string{"--drop", "from=10.80.0.11", "--drop", "to=230.4.4.1"}, "written, 26 dropped", nil, nil},
		{"all by chance", []string{"--drop", "percent=100"}, "0 datagrams written, 94 dropped", nil, nil},
		{"none by chance", []string{"--drop", "percent=0"}, "94 datagrams written, 0 dropped", nil, nil},
		{"a broken block", []string{"--corrupt", "packet=30"}, "94 datagrams written, 0 dropped, 1 corrupted", nil, nil},
		{"another session", []string{"--session", "00000001"}, "0 datagrams written", nil, nil},
	} {
		out := filepath.Join(t.TempDir(), "out.pcap")
		said := want(t, 0, append(append([]string{"rewrite"}, x.args...), loss, out)...)
		if !strings.Contains(said, x.says) {
			t.Errorf("%s: %s, want %q", x.why, said, x.says)
		}
		seen := want(t, 0, "inspect", out)
		for _, s := range x.has {
			if !strings.Contains(seen, s) {
				t.Errorf("%s: %q is not in\n%.3000s", x.why, s, seen)
			}
		}
		for _, s := range x.not {
			if strings.Contains(seen, s) {
				t.Errorf("%s: %q is still there", x.why, s)
			}
		}
	}
}

// TestRewriteIsRepeatable wants the same choices from the same seed.
func TestRewriteIsRepeatable(t *testing.T) {
	var got [3]string
	for i, seed := range []string{"7", "7", "8"} {
		out := filepath.Join(t.TempDir(), "out.pcap")
		want(t, 0, "rewrite", "--seed", seed, "--drop", "func=FILESEG,percent=30", "--corrupt", "func=STATUS", vectors+"plain-loss3.pcap", out)
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		got[i] = string(b)
	}
	if got[0] != got[1] || got[0] == got[2] {
		t.Errorf("equal seeds alike: %v, other seeds alike: %v", got[0] == got[1], got[0] == got[2])
	}
}

// TestRewriteCuts takes one of two sessions out of a capture.
func TestRewriteCuts(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.pcap")
	want(t, 0, "rewrite", "--session", "c3e6b84c/1", vectors+"plain-restart.pcap", out)
	for _, line := range strings.Split(strings.TrimSpace(want(t, 0, "inspect", "--json", "--summary", out)), "\n") {
		var x struct{ Kind, Session string }
		if err := json.Unmarshal([]byte(line), &x); err != nil || x.Kind == "session" && x.Session != "c3e6b84c/1" {
			t.Errorf("%v: %s", err, line)
		}
	}
}

func TestRewriteRefuses(t *testing.T) {
	sealed := vectors + "enc-aes256-gcm-sha1-rsa-authenc.pcap"
	plain := vectors + "plain-1file.pcap"
	for _, x := range []struct {
		why  string
		code int
		says string
		args []string
	}{
		{"UIDs of a sealed session", 3, "packet 1 at offset 24: ANNOUNCE: cannot be changed", []string{"--map-uid", "0A500001=1", sealed}},
		{"addresses of a sealed session", 3, "cannot be changed", []string{"--map-addr", "230.4.4.1=230.4.4.2", sealed}},
		{"another family", 2, "two families", []string{"--map-addr", "230.4.4.1=ff15::1", plain}},
		{"no pair", 2, "not OLD=NEW", []string{"--map-addr", "230.4.4.1", plain}},
		{"no address", 2, "not OLD=NEW", []string{"--map-addr", "x=y", plain}},
		{"no port", 2, "not OLD=NEW", []string{"--map-port", "1044=99999", plain}},
		{"no UID", 2, "not OLD=NEW", []string{"--map-uid", "1=123456789", plain}},
		{"an empty rule", 2, "no condition", []string{"--drop", "", plain}},
		{"an unknown condition", 2, "no condition", []string{"--drop", "size=7", plain}},
		{"an unknown message", 2, "no message", []string{"--drop", "func=HELLO", plain}},
		{"a range backwards", 2, "not a range", []string{"--drop", "block=7-3", plain}},
		{"no number", 2, "not a number", []string{"--drop", "packet=x", plain}},
		{"no percentage", 2, "not a percentage", []string{"--drop", "percent=101", plain}},
		{"every none", 2, "from 1 on", []string{"--drop", "nth=0", plain}},
	} {
		out := filepath.Join(t.TempDir(), "out.pcap")
		code, _, errs := replay(t, append(append([]string{"rewrite"}, x.args...), out)...)
		if code != x.code || !strings.Contains(errs, x.says) {
			t.Errorf("%s: exit code %d, %s; want %d and %q", x.why, code, errs, x.code, x.says)
		}
	}
	there := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := replay(t, "rewrite", plain, there); code != 3 || !strings.Contains(errs, "exists") {
		t.Errorf("exit code %d, %s; want a file that is there to stay", code, errs)
	}
}

func TestRewriteHelp(t *testing.T) {
	if out := want(t, 0, "rewrite", "--help"); !strings.Contains(out, "--map-uid") || !strings.Contains(out, "percent=P") {
		t.Errorf("%s, want options and rules", out)
	}
}
