package keylog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uftp/crypto/handshake"
	"uftp/crypto/keylog"
	"uftp/wire"
)

func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys")
	e := Entry{
		Group: 0x39f061c8, Instance: 2,
		Suite: handshake.Suite{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA384, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA},
	}
	for range 2 {
		l, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Write(&e); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := keylog.Read(f)
	if err != nil || len(list) != 2 || list[0] != e || list[1] != e {
		t.Errorf("read %d entries, %v, want the two that were written", len(list), err)
	}
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name); err == nil || !strings.Contains(err.Error(), "can be read or written by others") {
		t.Errorf("a log that others can read: %v, want a refusal", err)
	}
	var none *Log
	if none.Write(&e) != nil || none.Close() != nil {
		t.Error("the nil log fails")
	}
}
