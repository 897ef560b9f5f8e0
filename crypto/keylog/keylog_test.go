package keylog

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"uftp/crypto/handshake"
	"uftp/wire"
)

func sample() Entry {
	e := Entry{
		Group: 0x39f061c8, Instance: 2,
		Suite: handshake.Suite{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA384, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA},
	}
	for i := range e.ServerRandom {
		e.ServerRandom[i] = byte(i)
	}
	for i := range e.GroupMaster {
		e.GroupMaster[i] = byte(0x40 + i)
	}
	return e
}

func TestLine(t *testing.T) {
	e := sample()
	const want = "UFTP4 39f061c8 2 aes256-gcm:sha384:authenc:ecdh_ecdsa " +
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f " +
		"404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f\n"
	line := string(e.Append(nil))
	if line != want {
		t.Fatalf("line\n%swant\n%s", line, want)
	}
	back, err := Parse(line)
	if err != nil || back != e {
		t.Fatalf("read back %+v, %v, want what was written", back, err)
	}
	for n := range len(line) - 1 {
		if _, err := Parse(line[:n]); err != ErrLine {
			t.Fatalf("cut to %d bytes: %v, want ErrLine", n, err)
		}
	}
	for _, bad := range []string{
		strings.Replace(line, "UFTP4", "UFTP5", 1),
		strings.Replace(line, " 2 ", " 256 ", 1),
		strings.Replace(line, "39f0", "+9f0", 1),
		strings.Replace(line, "authenc", "hmac", 1),
		strings.Replace(line, "sha384", "md5", 1),
		strings.Replace(line, "0001", "g001", 1),
		line + " x",
	} {
		if _, err := Parse(bad); err != ErrLine {
			t.Errorf("%q: %v, want ErrLine", bad, err)
		}
	}
}

// FuzzParse wants that whatever is read is written back as it was.
func TestRead(t *testing.T) {
	e := sample()
	text := append([]byte("# comment\n\nOTHER 1 2\n"), e.Append(e.Append(nil))...)
	list, err := Read(bytes.NewReader(text))
	if err != nil || len(list) != 2 || list[0] != e || list[1] != e {
		t.Errorf("read %d entries, %v, want the two that were written", len(list), err)
	}
	if _, err := Read(strings.NewReader("\nUFTP4 1\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a damaged line: %v, want its number", err)
	}
}

// A line that is damaged costs no other one, wherever it was torn and whatever follows.
func TestTornLines(t *testing.T) {
	e := sample()
	good := string(e.Append(nil))
	for n := 1; n < len(good); n++ {
		for _, tt := range []struct {
			what, text string
			want       int
		}{
			{"glued to the next", good + good[:n] + good + good, 3 + n/len(good)},
			{"at the end", good + good + good[:n], 2},
			{"on a line of its own", good + good[:n] + "\n" + good, 2},
			{"twice", good + good[:max(n, len(label))] + good[:n] + good, 2},
		} {
			list, err := Read(strings.NewReader(tt.text))
			if n == len(good)-1 && tt.what != "glued to the next" && tt.what != "twice" {
				tt.want++ // only the end of the line is missing
			}
			if len(list) != tt.want {
				t.Errorf("%d bytes, %s: %d entries, want %d (%v)", n, tt.what, len(list), tt.want, err)
			}
			for _, got := range list {
				if got != e {
					t.Errorf("%d bytes, %s: %+v", n, tt.what, got)
				}
			}
			var bad *DamagedError
			if err != nil && (!errors.As(err, &bad) || !errors.Is(err, ErrLine)) {
				t.Errorf("%d bytes, %s: %v, want damaged lines", n, tt.what, err)
			}
			if n > len(label) && n < len(good)-1 && bad == nil {
				t.Errorf("%d bytes, %s: the damage is not reported", n, tt.what)
			}
		}
	}
	for _, text := range []string{"# " + good, "OTHER " + good, "UFTP5 " + good} {
		if list, err := Read(strings.NewReader(text)); len(list) != 0 || err != nil {
			t.Errorf("%q: %d entries, %v, want it skipped", text, len(list), err)
		}
	}
	if list, err := Read(strings.NewReader(strings.Repeat("x", 10000) + "\n" + strings.Repeat(good[:50], 1000) + good)); len(list) != 1 || err == nil {
		t.Errorf("long lines: %d entries, %v, want the last", len(list), err)
	}
}

func FuzzParse(f *testing.F) {
	e := sample()
	f.Add(string(e.Append(nil)))
	f.Add("UFTP4 39f061c8 2 x:y:z:w 00 00")
	f.Fuzz(func(t *testing.T, line string) {
		e, err := Parse(line)
		if err != nil {
			return
		}
		back, err := Parse(string(e.Append(nil)))
		if err != nil || back != e {
			t.Errorf("%q becomes %+v, %v", line, back, err)
		}
	})
}
