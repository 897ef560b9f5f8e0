package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uftp/crypto/identity"
)

func TestKeyOptions(t *testing.T) {
	for _, tt := range []struct {
		value string
		count int
		fail  string
	}{
		{"rsa:512,ec:prime256v1", 2, ""},
		{"ec:secp256r1", 1, ""},
		{"rsa:511", 0, "Invalid RSA key size: 511 (allowed: 512 to 2048"},
		{"rsa:", 0, "Invalid RSA key size: "},
		{"rsa:4096", 0, "Invalid RSA key size: 4096"},
		{"rsa:777", 0, "Invalid RSA key size: 777 (allowed: a multiple of 32"},
		{"ec:x", 0, "Invalid EC curve: x (allowed: secp224r1"},
		{"ec:sect163k1", 0, "Invalid EC curve: sect163k1"},
		{"foo", 0, "Invalid keyinfo entry: foo (allowed: rsa:bits or ec:curve)"},
		{"rsa:1024,foo", 1, "Invalid keyinfo entry: foo"},
	} {
		var k KeyOptions
		err := k.AddNew(tt.value)
		if tt.fail == "" && err != nil || tt.fail != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.fail)) {
			t.Errorf("-K %s = %v, want %q", tt.value, err, tt.fail)
		}
		if len(k.New) != tt.count {
			t.Errorf("-K %s takes %d keys, want %d", tt.value, len(k.New), tt.count)
		}
	}
	var k KeyOptions
	k.AddFiles("a,b")
	k.AddNew("rsa:1024")
	if err := k.Check(); err == nil || !strings.HasPrefix(err.Error(), "Must list same number of items for -k and -K") {
		t.Errorf("two files and one new key: %v, want a complaint", err)
	}
}

func TestSenderKey(t *testing.T) {
	for _, tt := range []struct {
		kind  identity.Kind
		value string
		max   int
		want  string // text of the spec, or start of the error
	}{
		{identity.RSA, "512", 2048, "rsa:512"},
		{identity.RSA, "2048", 2048, "rsa:2048"},
		{identity.RSA, "4096", 4096, "rsa:4096"},
		{identity.RSA, "4096", 2048, "Invalid new key length: -K 4096 (allowed: 512 to 2048 bits)"},
		{identity.RSA, "prime256v1", 2048, "Invalid new key length: -K prime256v1"},
		{identity.RSA, "1000", 2048, "Invalid RSA key size: 1000"},
		{identity.EC, "secp521r1", 2048, "ec:secp521r1"},
		{identity.EC, "512", 2048, "Invalid curve: -K 512"},
		{identity.EC, "secp160r1", 2048, "Invalid curve: -K secp160r1"},
	} {
		s, err := SenderKey(tt.kind, tt.value, tt.max)
		got := s.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%v key %s = %q, want %q", tt.kind, tt.value, got, tt.want)
		}
	}
}

func TestLoadKeys(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "rsa.pem"), filepath.Join(dir, "ec.pem")
	var warned []string
	warn := func(s string) { warned = append(warned, s) }
	k := KeyOptions{Files: []string{first, second}}
	if err := k.AddNew("rsa:1024,ec:secp384r1"); err != nil {
		t.Fatal(err)
	}
	made, err := k.Load(warn)
	if err != nil || len(made) != 2 {
		t.Fatalf("made %d keys: %v", len(made), err)
	}
	for _, f := range k.Files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want a file of mode 0600", f, info, err)
		}
	}
	before, _ := os.ReadFile(first)
	if _, err := k.Load(warn); err == nil || ExitCode(err) != ExitKey || !strings.Contains(err.Error(), "Private key file already exists, won't overwrite") {
		t.Errorf("storing over a key: %v, want a refusal with exit code 3", err)
	}
	if after, _ := os.ReadFile(first); !bytes.Equal(before, after) {
		t.Error("the key file was changed")
	}
	read, err := (&KeyOptions{Files: k.Files}).Load(warn)
	if err != nil || len(read) != 2 || !read[0].Public().Equal(made[0].Public()) || !read[1].Public().Equal(made[1].Public()) {
		t.Fatalf("read %d keys: %v, want those that were stored", len(read), err)
	}
	if len(warned) > 0 {
		t.Errorf("warned %q without a reason", warned)
	}
	if err := os.Chmod(first, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (&KeyOptions{Files: []string{first}}).Load(warn); err != nil || len(warned) != 1 || !strings.Contains(warned[0], first) {
		t.Errorf("a key that others can read: %v, warned %q, want one warning that names it", err, warned)
	}
	if l := KeyLine(made[0].Public()); !strings.HasPrefix(l, "Loaded 1024 bit RSA key with fingerprint ") {
		t.Errorf("log line %q", l)
	}
	if l := KeyLine(made[1].Public()); !strings.HasPrefix(l, "Loaded ECDSA key with curve secp384r1 and fingerprint ") {
		t.Errorf("log line %q", l)
	}

	bad := filepath.Join(dir, "bad.pem")
	os.WriteFile(bad, []byte("no key"), 0o600)
	for file, want := range map[string]string{
		filepath.Join(dir, "none"): "Failed to read/generate private key: failed to open key file: No such file or directory",
		bad:                        "Failed to read/generate private key: Failed to read key",
	} {
		if _, err := (&KeyOptions{Files: []string{file}}).Load(warn); err == nil || ExitCode(err) != ExitKey || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q with exit code 3", file, err, want)
		}
	}
}

// A key that cannot be created leaves no file, and an existing file of its name is never touched.
func TestMakeKeyFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "key.pem")
	if _, err := MakeKeyFile(name, identity.Spec{Kind: identity.RSA, Bits: 1}); err == nil {
		t.Error("a key of 1 bit was made")
	}
	if _, err := os.Lstat(name); err == nil {
		t.Error("a file is left of a key that was not made")
	}
	dangling := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), dangling); err != nil {
		t.Fatal(err)
	}
	key, err := identity.Generate(identity.Spec{Kind: identity.EC, Curve: identity.P256})
	if err != nil {
		t.Fatal(err)
	}
	if err := storeKey(dangling, key); err != identity.ErrExists {
		t.Errorf("storing through a link: %v, want ErrExists", err)
	}
	if _, err := MakeKeyFile(dangling, identity.Spec{Kind: identity.EC, Curve: identity.P256}); err != identity.ErrExists {
		t.Errorf("making a key through a link: %v, want ErrExists", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a key went where a link points")
	}
}

// Key files are read in one piece, and no more of them than a key can have.
func TestReadSecret(t *testing.T) {
	name := filepath.Join(t.TempDir(), "text")
	for size, want := range map[int]int{0: 0, 1: 1, 3000: 3000, identity.PEMLenMax: identity.PEMLenMax, identity.PEMLenMax + 1000: identity.PEMLenMax + 1} {
		text := bytes.Repeat([]byte("k"), size)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		got, err := readSecret(f, info)
		f.Close()
		if err != nil || !bytes.Equal(got, text[:want]) {
			t.Errorf("%d bytes of a file of %d: %v, want %d", len(got), size, err, want)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString("from a pipe")
	w.Close()
	info, err := r.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readSecret(r, info); err != nil || string(got) != "from a pipe" {
		t.Errorf("read %q, %v from a pipe, want all of it", got, err)
	}
}
