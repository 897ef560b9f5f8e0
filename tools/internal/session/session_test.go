package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uftp/crypto/identity"
	"uftp/crypto/keylog"
	"uftp/pcap/frames"
	"uftp/wire"
)

const vectors = "../../../pcap/testdata/v4"

var update = flag.Bool("update", false, "rewrite the golden files")

// TestKeyLog makes the key log of all captured sessions of what is known of them.
// Other tests use the file.
func TestKeyLog(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(vectors, "derived.json"))
	if err != nil {
		t.Fatal(err)
	}
	var derived struct {
		Sessions []struct {
			GroupID     string `json:"group_id"`
			Instance    int
			Cipher      string
			Hash        string
			KeyEx       string
			Sig         string
			Random      string `json:"server_random"`
			GroupMaster string `json:"group_master"`
		}
	}
	if err := json.Unmarshal(text, &derived); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	log.WriteString("# The encrypted sessions among the captures, see docs/keylog.md.\n")
	for _, s := range derived.Sessions {
		fmt.Fprintf(&log, "UFTP4 %s %d %s:%s:%s:%s %s %s\n", s.GroupID, s.Instance, s.Cipher, s.Hash, s.Sig, s.KeyEx, s.Random, s.GroupMaster)
	}
	const name = "testdata/v4.keylog"
	if *update {
		if err := os.WriteFile(name, log.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(want, log.Bytes()) {
		t.Errorf("%s is not what derived.json says (%v); -update rewrites it", name, err)
	}
	var k Keys
	if err := k.ReadLog(bytes.NewReader(want)); err != nil || len(k.logged) != len(derived.Sessions) {
		t.Errorf("%v, %d sessions, want all %d", err, len(k.logged), len(derived.Sessions))
	}
}

func logged(t testing.TB) *Keys {
	t.Helper()
	f, err := os.Open("testdata/v4.keylog")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	k := &Keys{}
	if err := k.ReadLog(f); err != nil {
		t.Fatal(err)
	}
	return k
}

func captures(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(vectors, "*.pcap"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".pcap")] = b
	}
	return all
}

// decode returns all messages, and the error at the end unless it is io.EOF.
func decode(b []byte, k *Keys) (list []Message, err error) {
	d, err := NewDecoder(bytes.NewReader(b), k)
	for err == nil {
		var m Message
		if m, err = d.Next(); err == nil {
			list = append(list, m)
		}
		if errors.Is(err, frames.ErrSuper) {
			err = nil
		}
	}
	if err == io.EOF {
		err = nil
	}
	return list, err
}

// TestEveryByte wants that every captured message opens and every byte of it is
// accounted for.
func TestEveryByte(t *testing.T) {
	k := logged(t)
	opened, unchecked := 0, map[string]bool{}
	for name, b := range captures(t) {
		list, err := decode(b, k)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, m := range list {
			f, unknown, err := m.BodyFields()
			if err != nil || unknown != 0 {
				t.Errorf("%s frame %d: %v, %d bytes unknown: %v", name, m.Frame, err, unknown, f.Text())
			}
			if _, err := json.Marshal(append(m.HeadFields(), f...)); err != nil {
				t.Errorf("%s frame %d: %v", name, m.Frame, err)
			}
			if m.Err != nil {
				t.Errorf("%s frame %d: %v: %v", name, m.Frame, m.Head.Func, m.Err)
			}
			if m.Sealed {
				opened++
			}
			if m.Unchecked {
				unchecked[name] = true
			}
		}
	}
	if opened < 1500 {
		t.Errorf("%d messages opened, want 1500 or more", opened)
	}
	t.Logf("%d opened, signatures not checked in %v", opened, unchecked)
}

// TestPrivateKeys wants that the sender's private key opens every session with the
// RSA exchange, and none with another.
func TestPrivateKeys(t *testing.T) {
	files, err := filepath.Glob("../../../crypto/identity/testdata/keys/rsa*.pem")
	if err != nil || len(files) == 0 {
		t.Fatalf("no keys: %v", err)
	}
	k := &Keys{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := identity.ParsePEM(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		k.Private = append(k.Private, p)
	}
	rsa := 0
	for name, b := range captures(t) {
		if !strings.HasPrefix(name, "enc-") {
			continue
		}
		list, err := decode(b, k)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			if !m.Sealed {
				continue
			}
			want := error(nil)
			if m.Session.Suite.KeyExch != wire.KeyExchRSA {
				want = ErrNoKeys
			} else {
				rsa++
			}
			if m.Err != want {
				t.Errorf("%s frame %d: %v, want %v", name, m.Frame, m.Err, want)
				break
			}
		}
	}
	if rsa < 500 {
		t.Errorf("%d messages opened, want hundreds", rsa)
	}
}

func TestBadKeyLogs(t *testing.T) {
	good, err := os.ReadFile("testdata/v4.keylog")
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Split(string(good), "\n")[1]
	for _, x := range []struct {
		why, text string
		ok        bool
	}{
		{"a good line", line, true},
		{"another kind of line", "UFTP5 what comes later", true},
		{"a cut line", line[:len(line)-2], false},
		{"a field too few", line[:strings.LastIndex(line, " ")], false},
		{"an unknown cipher", strings.Replace(line, "3des", "rot13", 1), false},
		{"a cipher and signature that do not fit", strings.Replace(line, ":hmac", ":authenc", 1), false},
		{"an instance above 255", strings.Replace(line, " 0 ", " 256 ", 1), false},
		{"a digit that is none", strings.Replace(line, " 0 ", " x ", 1), false},
	} {
		var k Keys
		if err := k.ReadLog(strings.NewReader("# comment\n\n" + x.text)); (err == nil) != x.ok || err != nil && !errors.Is(err, keylog.ErrLine) {
			t.Errorf("%s: %v, want ok %v", x.why, err, x.ok)
		}
	}
}

func TestParseID(t *testing.T) {
	for _, x := range []struct {
		text string
		id   ID
		any  bool
		ok   bool
	}{
		{"8b69467a/0", ID{0x8b69467a, 0}, false, true},
		{"8B69467A/7", ID{0x8b69467a, 7}, false, true},
		{"8b69467a", ID{0x8b69467a, 0}, true, true},
		{"", ID{}, false, false},
		{"group", ID{}, false, false},
		{"8b69467a/256", ID{}, false, false},
		{"8b69467a/0/1", ID{}, false, false},
		{"8b69467a0/1", ID{}, false, false},
	} {
		id, any, err := ParseID(x.text)
		if id != x.id || any != x.any || (err == nil) != x.ok {
			t.Errorf("%q: %v, any %v, %v; want %v, %v, ok %v", x.text, id, any, err, x.id, x.any, x.ok)
		}
	}
}

// FuzzDecoder changes captures anywhere; nothing may panic, and no message may have
// more fields than bytes.
func FuzzDecoder(f *testing.F) {
	all := captures(f)
	for _, name := range []string{"plain-1file", "plain-tfmcc", "plain-respproxy-loss", "enc-aes256-gcm-sha1-rsa-authenc", "enc-proxypair-hb-ec-tunnel"} {
		f.Add(all[name][:min(len(all[name]), 12000)])
	}
	k := logged(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := decode(b, k)
		for _, m := range list {
			fields, unknown, err := m.BodyFields()
			if unknown > len(m.Payload)+wire.AbortTextLen {
				t.Errorf("%d of %d bytes unknown: %v, %v", unknown, len(m.Payload), fields, err)
			}
			fields.Text()
			if _, err := json.Marshal(fields); err != nil {
				t.Error(err)
			}
		}
	})
}
