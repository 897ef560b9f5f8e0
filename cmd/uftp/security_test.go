package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"uftp/crypto/aead"
	"uftp/engine"
	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/engine/seal"
	"uftp/wire"
)

// prepared is an encrypted session as a command line asks for it.
func prepared(t *testing.T, line string) (*options, *crypt, engine.SendConfig) {
	t.Helper()
	o := parsed(t, line)
	keys, err := o.prepare(func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.key.Wipe)
	cfg, err := o.sendConfig()
	if err != nil {
		t.Fatal(err)
	}
	return o, keys, cfg
}

// sealed is the output of a packer of blocks of 64 bytes for a fixed train.
func sealed(t *testing.T, p *seal.Packer) []byte {
	t.Helper()
	b := make([]byte, 256)
	n, err := p.Seal(b, &machine.Train{Layout: &block.Layout{Blocks: 1, Size: 64, BlockSize: 64}, N: 1, Counter: 1})
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// A session that cannot be set up leaves no keys behind.
func TestFailedSetupIsWiped(t *testing.T) {
	none, err := aead.NewSealer(aead.Keys{
		Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, Key: make([]byte, 32), Salt: make([]byte, 4),
	}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	bad, open := filepath.Join(dir, "bad"), filepath.Join(dir, "open")
	for name, text := range map[string]string{bad: "0x7|zz\n", open: ""} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for line, ok := range map[string]bool{
		"-Y aes256-gcm f":                       true,
		"-Y aes256-gcm -c -H @" + bad + " f":    false,
		"-Y aes256-gcm --keylog " + open + " f": false,
	} {
		o, keys, cfg := prepared(t, line)
		if err := o.secure(&cfg, keys); (err == nil) != ok {
			t.Fatalf("uftp %s: %v, want it to work: %v", line, err, ok)
		}
		packer, err := cfg.Session.Dialect.NewPacker(64)
		if err != nil {
			t.Fatal(err)
		}
		if wiped := bytes.Equal(sealed(t, packer), sealed(t, seal.NewPacker(none, 64, false))); wiped == ok {
			t.Errorf("uftp %s: keys wiped: %v, want %v", line, wiped, !ok)
		}
	}
}
