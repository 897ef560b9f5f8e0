package main

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzTool lets every command loose on captures that were changed anywhere. None
// may crash, and none may write outside its directory.
func FuzzTool(f *testing.F) {
	for _, name := range []string{"plain-names", "plain-loss3", "plain-restart", "plain-respproxy-loss", "enc-rsa512-default", "enc-aes128-gcm-sha256-ecdhecdsa-authenc-auth"} {
		b, err := os.ReadFile(vectors + name + ".pcap")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 20000)])
	}
	keys := []string{"--key", pems + "rsa512-server.pem", "--key", pems + "rsa512-client1.pem"} // more take too long to read
	f.Fuzz(func(t *testing.T, b []byte) {
		top := t.TempDir()
		name := filepath.Join(top, "in.pcap")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"inspect", "--keylog", keyLog, "--plot", filepath.Join(top, "x.svg"), name},
			{"inspect", "--json", name},
			{"extract", "--keylog", keyLog, "--partial", name, filepath.Join(top, "files")},
			{"rewrite", "--map-uid", "0A500001=1", "--map-addr", "230.4.4.1=230.4.4.2", "--corrupt", "nth=3", name, filepath.Join(top, "out.pcap")},
			{"receiver", "--keylog", keyLog, name},
			{"sender", "--keylog", keyLog, name},
			append([]string{"receiver", "--keylog", keyLog, name}, keys...),
			append([]string{"sender", "--keylog", keyLog, name}, keys...),
		} {
			if code, _, errs := replay(t, args...); code == exitUsage && args[0] == "inspect" {
				t.Errorf("%v: %s", args, errs)
			}
		}
		entries, err := os.ReadDir(top)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			switch e.Name() {
			case "in.pcap", "x.svg", "files", "out.pcap":
			default:
				t.Errorf("%s was made outside the directory", e.Name())
			}
		}
	})
}

// TestEveryTruncation cuts a capture at many places: no command may crash, and a cut is
// reported unless it is between two packets.
func TestEveryTruncation(t *testing.T) {
	b, err := os.ReadFile(vectors + "plain-restart.pcap")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "cut.pcap")
	reported := 0
	for n := 0; n < len(b); n += 397 {
		if err := os.WriteFile(name, b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"inspect", name}, {"extract", name, t.TempDir()}, {"receiver", name}} {
			if code, _, _ := replay(t, args...); code == exitIO {
				reported++
			}
		}
	}
	if reported < 3*(len(b)/397-5) {
		t.Errorf("%d cuts reported, want all but a few", reported)
	}
}
