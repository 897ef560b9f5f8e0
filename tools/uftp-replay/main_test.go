package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uftp/crypto/identity"
)

const (
	vectors = "../../pcap/testdata/v4/"
	keyLog  = "../internal/session/testdata/v4.keylog"
	pems    = "../../crypto/identity/testdata/keys/"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// keepKeys reads each private key once for all runs of a test: reading takes far longer
// than what is done with most of them.
func keepKeys(t testing.TB) {
	read := parsePEM
	kept := map[string]*identity.PrivateKey{}
	parsePEM = func(text []byte) (*identity.PrivateKey, error) {
		if k := kept[string(text)]; k != nil {
			return k, nil
		}
		k, err := read(text)
		if err == nil {
			kept[string(text)] = k
		}
		return k, err
	}
	t.Cleanup(func() { parsePEM = read })
}

// replay runs the tool.
func replay(t testing.TB, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

// want runs the tool and wants its exit code.
func want(t testing.TB, code int, args ...string) string {
	t.Helper()
	got, out, errs := replay(t, args...)
	if got != code {
		t.Fatalf("%v: exit code %d, want %d\n%s\n%s", args, got, code, out, errs)
	}
	return out
}

// golden compares with a file in testdata, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Split(string(text), "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		x, y := "the end", "the end"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			t.Fatalf("%s line %d (-update rewrites it)\n got %.300s\nwant %.300s", path, i+1, y, x)
		}
	}
}

// captured is a case of index.json.
type captured struct {
	Case  string
	Pcaps []string
	Sent  []struct {
		Name, Type, SHA256, Target string
		MTime                      int64
	}
	Commands []struct{ Role, Command string }
	Sessions []struct {
		Group string `json:"group_id"`
	}
}

func index(t testing.TB) []captured {
	t.Helper()
	text, err := os.ReadFile(vectors + "index.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Cases []captured }
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all.Cases
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	one := vectors + "plain-1file.pcap"
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		why  string
		code int
		says string
		args []string
	}{
		{"no command", 2, "no command given", nil},
		{"an unknown command", 2, `no command "frobnicate"`, []string{"frobnicate"}},
		{"help", 0, "extract", []string{"--help"}},
		{"version", 0, "uftp-replay ", []string{"--version"}},
		{"help of a command", 0, "--keylog", []string{"inspect", "--help"}},
		{"an unknown option", 2, "unrecognized option '--frob'", []string{"inspect", "--frob", one}},
		{"no capture", 2, "usage", []string{"inspect"}},
		{"too many", 2, "usage", []string{"inspect", one, one}},
		{"a capture that is not there", 3, "no such file", []string{"inspect", "nowhere.pcap"}},
		{"a capture that is none", 3, "not a capture", []string{"inspect", empty}},
		{"a key log that is none", 3, "no such file", []string{"inspect", "--keylog", "nowhere", one}},
		{"a key that is none", 3, "private key", []string{"inspect", "--key", empty, one}},
		{"a session that is none", 2, "not a session", []string{"inspect", "--session", "xyz", one}},
		{"a picture of another kind", 2, "Only SVG can be drawn: --plot x.png (allowed: FILE.svg;", []string{"inspect", "--plot", "x.png", one}},
		{"a short option for help", 0, "--map-addr", []string{"rewrite", "-h"}},
		{"an option of a replay on an interface", 2, "--interface is missing", []string{"receiver", "--ttl", "3", one}},
		{"a real sender", 2, "cannot play to a real sender", []string{"sender", "--interface", "lo", one}},
	} {
		code, out, errs := replay(t, x.args...)
		if code != x.code || !strings.Contains(out+errs, x.says) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", x.why, code, x.code, x.says, out, errs)
		}
	}
}

// TestInspect compares what is said of some captures, line by line.
func TestInspect(t *testing.T) {
	for _, x := range []struct {
		name string
		args []string
	}{
		{"plain-loss3", nil},
		{"plain-closed", []string{"--summary"}},
		{"plain-abort-quit", []string{"--json"}},
		{"plain-tfmcc", []string{"--summary"}},
		{"plain-restart", []string{"--summary"}},
		{"plain-restart-1", []string{"--summary", "--session", "c3e6b84c/1"}},
		{"enc-jumbo", []string{"--keylog", keyLog}},
		{"enc-loss", []string{"--summary"}}, // no keys
		{"enc-rsa512-default", []string{"--summary", "--key", pems + "rsa512-server.pem"}},
		{"enc-proxypair-hb-rsa-tunnel", []string{"--summary", "--json", "--keylog", keyLog}},
	} {
		capture := vectors + strings.TrimSuffix(x.name, "-1") + ".pcap"
		golden(t, x.name+".inspect", want(t, 0, append(append([]string{"inspect"}, x.args...), capture)...))
	}
}

// TestInspectAll wants every captured message shown without an unknown byte, valid
// JSON, and no anomaly but those that the captures were made for.
func TestInspectAll(t *testing.T) {
	var anomalies strings.Builder
	for _, c := range index(t) {
		for _, name := range c.Pcaps {
			out := want(t, 0, "inspect", "--json", "--keylog", keyLog, vectors+name)
			for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
				var x struct {
					Kind, Error string
					Unknown     int `json:"unknown_bytes"`
					Closed      int
					NotUDP      int `json:"not_udp"`
					NotUFTP     int `json:"not_uftp"`
					Broken      int
					Anomalies   []string
				}
				if err := json.Unmarshal([]byte(line), &x); err != nil {
					t.Fatalf("%s: %v in %s", name, err, line)
				}
				if x.Error != "" || x.Unknown+x.Closed+x.NotUDP+x.NotUFTP+x.Broken != 0 {
					t.Errorf("%s: %s", name, line)
				}
				for _, a := range x.Anomalies {
					anomalies.WriteString(name + ": " + a + "\n")
				}
			}
		}
	}
	golden(t, "anomalies", anomalies.String())
}

// unfinished are the cases whose captures do not hold all files, and why.
var unfinished = map[string]string{
	"plain-abort-diskfull":  "the file is too large for any disk",
	"enc-abort-diskfull":    "the file is too large for any disk",
	"plain-abort-quit":      "stopped midway",
	"plain-abort-server":    "stopped midway",
	"enc-abort-client":      "stopped midway",
	"plain-reject":          "absolute name",
	"plain-sync":            "receivers had it",
	"plain-syncpreview":     "nothing is sent",
	"enc-fp-mismatch":       "nobody registered",
	"enc-nokey-abort":       "nobody registered",
	"enc-serverfp-mismatch": "nobody registered",
}

// sums returns the SHA-256 and time of every regular file below dir, by path.
func sums(t *testing.T, dir string) (list map[string]string, times map[string]time.Time) {
	t.Helper()
	list, times = map[string]string{}, map[string]time.Time{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		h := sha256.Sum256(b)
		rel, _ := filepath.Rel(dir, path)
		list[rel], times[rel] = hex.EncodeToString(h[:]), info.ModTime()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list, times
}

// TestExtractAll rebuilds the files of every capture and compares them with what
// was sent; encrypted sessions with the key log.
func TestExtractAll(t *testing.T) {
	checked := 0
	for _, c := range index(t) {
		if unfinished[c.Case] != "" {
			continue
		}
		for _, name := range c.Pcaps {
			dir := t.TempDir()
			want(t, 0, "extract", "--keylog", keyLog, vectors+name, dir)
			got, times := sums(t, dir)
			bySum := map[string]string{}
			for p, h := range got {
				bySum[h] = p
			}
			for _, s := range c.Sent {
				if s.Type != "file" || s.SHA256 == "" {
					continue
				}
				p, ok := bySum[s.SHA256]
				if !ok {
					t.Errorf("%s: %s was not rebuilt with its bytes: %v", name, s.Name, got)
					continue
				}
				if s.MTime != 0 && times[p].Unix() != s.MTime {
					t.Errorf("%s: %s has time %v, want %v", name, s.Name, times[p], time.Unix(s.MTime, 0))
				}
				checked++
			}
		}
	}
	if checked < 130 {
		t.Errorf("%d files compared, want 130 or more", checked)
	}
}

// TestExtractWithPrivateKey opens sessions with RSA exchange by the sender's key.
func TestExtractWithPrivateKey(t *testing.T) {
	dir := t.TempDir()
	out := want(t, 0, "extract", "--key", pems+"rsa512-server.pem", vectors+"enc-rsa512-default.pcap", dir)
	if !strings.HasPrefix(out, "0e94c92a/0 ") {
		t.Errorf("%s, want the file of the session", out)
	}
	if out := want(t, 1, "extract", vectors+"enc-rsa512-default.pcap", t.TempDir()); !strings.Contains(out, "--keylog or --key is needed") {
		t.Errorf("%s, want it to say what is needed", out)
	}
	if out := want(t, 1, "extract", vectors+"enc-aes256-gcm-sha1-ecdhrsa-authenc.pcap", t.TempDir()); !strings.Contains(out, "--keylog is needed") {
		t.Errorf("%s, want it to say what is needed", out)
	}
}

// TestExtractPartial wants missing blocks named, and the rest of the file kept only
// when asked for.
func TestExtractPartial(t *testing.T) {
	dir := t.TempDir()
	out := want(t, 1, "extract", vectors+"plain-abort-server.pcap", dir)
	if !strings.Contains(out, `"x.bin": 22 of 47 blocks never appeared: 25-46 (section 0 from block 25)`) {
		t.Errorf("%s, want the missing blocks", out)
	}
	if got, _ := sums(t, dir); len(got) != 0 {
		t.Errorf("%v, want nothing left behind", got)
	}
	want(t, 1, "extract", "--partial", vectors+"plain-abort-server.pcap", dir)
	info, err := os.Stat(filepath.Join(dir, "ca5a7006", "x.bin"))
	if err != nil || info.Size() == 0 {
		t.Errorf("%v, want what there is of the file", err)
	}
}

// TestExtractOutside puts a link where the group's directory goes: nothing may be
// written through it.
func TestExtractOutside(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "8b69467a")); err != nil {
		t.Fatal(err)
	}
	want(t, 3, "extract", vectors+"plain-1file.pcap", dir)
	if got, _ := sums(t, outside); len(got) != 0 {
		t.Errorf("%v was written outside", got)
	}
}

// TestTruncated cuts a capture: whole packets are shown, and the cut is reported with its
// packet and offset.
func TestTruncated(t *testing.T) {
	b, err := os.ReadFile(vectors + "plain-1file.pcap")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "cut.pcap")
	if err := os.WriteFile(name, b[:len(b)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := replay(t, "inspect", "--summary", name)
	if code != 3 || !strings.Contains(errs, "packet 60 at offset ") || !strings.Contains(out, "FILESEG 31") {
		t.Errorf("exit code %d, want 3, the place and what was before\n%s%s", code, out, errs)
	}
	dir := t.TempDir()
	if code, _, _ := replay(t, "extract", name, dir); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
	if got, _ := sums(t, dir); len(got) != 1 {
		t.Errorf("%v, want the file, which was whole before the cut", got)
	}
}
