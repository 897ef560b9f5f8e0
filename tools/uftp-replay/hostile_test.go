package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"uftp/pcap"
)

// speaks finds what a terminal would obey, or a line would be broken by, in a text of
// lines.
func speaks(text string) string {
	for i, line := range strings.Split(text, "\n") {
		for j := 0; j < len(line); {
			r, n := utf8.DecodeRuneInString(line[j:])
			if r == utf8.RuneError && n == 1 || unicode.IsControl(r) && r != '\t' || r == 0x2028 || r == 0x2029 || unicode.Is(unicode.Bidi_Control, r) {
				return strings.ToValidUTF8(line, "?") + " (line " + string(rune('1'+i%9)) + ")"
			}
			j += n
		}
	}
	return ""
}

// Names out of a capture never reach the terminal as they are, whatever is done with it.
func TestHostileNames(t *testing.T) {
	const name = "one.bin"
	for _, hostile := range []string{"\x1b[2Jab", "a\nb\r\tc", "ab\x9b2Jc", "\u0085\u009bxy", "\u202eabc", "\u2028abc", "\x7fabcde", "\xff\xfeabcd"} {
		for len(hostile) < len(name) {
			hostile += "x"
		}
		hostile = hostile[:len(name)]
		capture := change(t, "plain-1file", func(d pcap.Datagram) []pcap.Datagram {
			d.Payload = bytes.ReplaceAll(d.Payload, []byte(name), []byte(hostile))
			return []pcap.Datagram{d}
		})
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, hostile), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"inspect", capture}, {"inspect", "--json", capture}, {"inspect", "-s", capture}, {"extract", capture, dir},
			{"extract", capture, dir + "/" + hostile}, {"receiver", capture}, {"receiver", "--dest", dir, capture}, {"sender", capture},
			{"inspect", dir + "/" + hostile}, {"rewrite", capture, dir + "/" + hostile}, {"rewrite", capture, dir + "/none/" + hostile}, {hostile}, {"inspect", "--" + hostile},
		} {
			_, out, errs := replay(t, args...)
			if found := speaks(out + errs); found != "" {
				t.Errorf("%.20q with the name %q prints %q", args, hostile, found)
			}
		}
	}
}

// Files made from a capture can be read only by those who can read the capture and the keys
// that opened it.
func TestModesOfOutputs(t *testing.T) {
	b, err := os.ReadFile(vectors + "plain-1file.pcap")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(keyLog)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		capture, keys, want os.FileMode // keys 0: none
	}{{0o600, 0, 0o600}, {0o640, 0, 0o640}, {0o644, 0, 0o644}, {0o644, 0o600, 0o600}, {0o644, 0o644, 0o644}} {
		dir := t.TempDir()
		capture, log := filepath.Join(dir, "capture"), filepath.Join(dir, "keys")
		var opts []string
		if err := os.WriteFile(capture, b, tt.capture); err != nil {
			t.Fatal(err)
		}
		if tt.keys != 0 {
			opts = []string{"--keylog", log}
			if err := os.WriteFile(log, keys, tt.keys); err != nil {
				t.Fatal(err)
			}
		}
		want(t, 0, append(append([]string{"rewrite"}, opts...), capture, filepath.Join(dir, "new"))...)
		want(t, 0, append(append([]string{"extract"}, opts...), capture, filepath.Join(dir, "out"))...)
		files, err := filepath.Glob(filepath.Join(dir, "out", "*", "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("extracted %v, %v, want a file", files, err)
		}
		for _, name := range append(files, filepath.Join(dir, "new")) {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != tt.want {
				t.Errorf("capture %v, keys %v: %s has mode %v, want %v", tt.capture, tt.keys, filepath.Base(name), info.Mode(), tt.want)
			}
		}
	}
}

// A key log with a torn line still opens sessions by its other lines, and the tear is reported.
func TestTornKeyLog(t *testing.T) {
	keys, err := os.ReadFile(keyLog)
	if err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(torn, append([]byte("UFTP4 39f061c8 0 aes128"), keys...), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := replay(t, "extract", "--keylog", torn, vectors+"enc-rsa512-default.pcap", t.TempDir())
	if code != 0 || !strings.Contains(errs, "Warning: ") || !strings.Contains(errs, "line 1") {
		t.Errorf("exit code %d, want 0 and a warning of line 1: %s", code, errs)
	}
}
