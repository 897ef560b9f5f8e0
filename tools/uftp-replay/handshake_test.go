package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uftp/pcap"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// TestHandshakeDiffers removes parts of a captured handshake and wants the difference reported.
func TestHandshakeDiffers(t *testing.T) {
	const auth = "enc-aes128-gcm-sha256-ecdhecdsa-authenc-auth"
	keys := append([]string{"--keylog", keyLog}, privateKeys(t)...)
	for _, x := range []struct {
		why, command string
		drop         string
		keys         []string
		says         []string
	}{
		{"no CLIENT_KEY", "receiver", "func=CLIENT_KEY", keys, []string{"No client key compatible with server key", "REGISTER      0 equal, 0 with other contents, 1 missing"}},
		{"no KEYINFO", "receiver", "func=KEYINFO", keys, []string{"KEYINFO_ACK   0 equal, 0 with other contents, 1 missing"}},
		{"no REGISTER", "receiver", "func=REGISTER", keys, []string{"REGISTER      0 equal, 0 with other contents, 0 missing, 1 too many"}},
		{"no CLIENT_KEY", "sender", "func=CLIENT_KEY", keys, []string{"captured KEYINFO for 0x0A50000B"}},
		{"no KEYINFO_ACK", "sender", "func=KEYINFO_ACK", keys, []string{"captured FILEINFO*", "ours     ABORT 0x0A50000B"}},
		{"no KEYINFO", "sender", "func=KEYINFO", keys, []string{"ours     KEYINFO for 0x0A50000B"}},
	} {
		out := filepath.Join(t.TempDir(), "out.pcap")
		want(t, 0, append([]string{"rewrite", "--drop", x.drop, vectors + auth + ".pcap", out}, keys...)...)
		said := want(t, 1, append([]string{x.command, out}, x.keys...)...)
		for _, s := range x.says {
			if !strings.Contains(said, s) {
				t.Errorf("%s, %s: %q is not in\n%s", x.command, x.why, s, said)
			}
		}
	}
}

// TestProofNeedsTheRightKeys wants a handshake compared in structure when the
// captured random number, or one of the keys, is not what KEYINFO was made with.
func TestProofNeedsTheRightKeys(t *testing.T) {
	const auth = "enc-aes128-gcm-sha256-ecdhecdsa-authenc-auth"
	keys := privateKeys(t)
	if out := want(t, 0, append([]string{"receiver", "--keylog", keyLog, vectors + auth + ".pcap"}, keys...)...); !strings.Contains(out, "byte for byte") {
		t.Errorf("%s, want every byte compared", out)
	}
	changed := change(t, auth, func(d pcap.Datagram) []pcap.Datagram {
		if wire.Func(d.Payload[1]) == wire.FuncRegister {
			d.Payload[wire.HeaderLen+20] ^= 1
		}
		return []pcap.Datagram{d}
	})
	if out := want(t, 0, append([]string{"receiver", "--keylog", keyLog, changed}, keys...)...); !strings.Contains(out, "in structure") {
		t.Errorf("%s, want a comparison in structure with another random number", out)
	}
	without := keys[:len(keys)-2] // the ECDH keys come last
	if out := want(t, 0, append([]string{"receiver", "--keylog", keyLog, vectors + auth + ".pcap"}, without...)...); !strings.Contains(out, "in structure") {
		t.Errorf("%s, want a comparison in structure without ECDH keys", out)
	}
}

// TestHandshakeText changes every byte of the captured messages of a handshake that
// is proved: random number, keys and verify data must be compared, signatures
// verified.
func TestHandshakeText(t *testing.T) {
	const auth = "enc-aes128-gcm-sha256-ecdhecdsa-authenc-auth"
	tl := &tool{logs: []string{keyLog}}
	for _, arg := range privateKeys(t) {
		if arg != "--key" {
			tl.pems = append(tl.pems, arg)
		}
	}
	if err := tl.readKeys(); err != nil {
		t.Fatal(err)
	}
	x := &stage{t: tl, byUID: map[wire.UID]*played{}, ring: keyRing{known: tl.keys.Private}, offers: map[session.ID]*offer{}, rows: map[session.ID]*row{}}
	if err := tl.read(vectors+auth+".pcap", nil, x.collect, nil); err != nil {
		t.Fatal(err)
	}
	x.settle()
	seen := 0
	for _, p := range x.order {
		for _, a := range p.want {
			if !a.agreement {
				continue
			}
			seen++
			for i := range a.msg {
				msg := bytes.Clone(a.msg)
				msg[i] ^= 0x10
				text := handshakeText(msg, x.offers[a.id], p.proofOf(a.id), &x.ring, nil)
				// Type, length and reserved bytes come first, then a time stamp in
				// REGISTER.
				if head := 4; i < head || a.fn == wire.FuncRegister && i < 12 {
					continue
				}
				if text == a.text {
					t.Errorf("%v with another byte %d of %d is printed like the captured one:\n%s", a.fn, i, len(msg), text)
				}
			}
		}
	}
	if seen != 3 {
		t.Errorf("%d messages of a handshake, want REGISTER, CLIENT_KEY and KEYINFO_ACK", seen)
	}
}

// TestKeyFiles wants several keys of a file read, and damage reported.
func TestKeyFiles(t *testing.T) {
	a, err := os.ReadFile(pems + "rsa512-server.pem")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(pems + "ec-prime256v1-server.pem")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		why  string
		text []byte
		n    int
	}{
		{"one", a, 1},
		{"two of two kinds", append(bytes.Clone(a), b...), 2},
		{"text around them", append([]byte("keys of a test\n"), a...), 1},
		{"none", []byte("nothing"), 0},
		{"a damaged second one", append(bytes.Clone(a), []byte("-----BEGIN RSA PRIVATE KEY-----\nMAo=\n-----END RSA PRIVATE KEY-----\n")...), 0},
	} {
		list, err := parseKeys(x.text)
		if len(list) != x.n || (err == nil) != (x.n > 0) {
			t.Errorf("%s: %d keys, %v; want %d", x.why, len(list), err, x.n)
		}
	}
}
