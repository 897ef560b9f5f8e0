package wire

import (
	"bytes"
	"testing"
)

func TestStamp(t *testing.T) {
	for _, x := range []struct {
		why  string
		in   []byte
		want Stamp
		text string
		out  []byte
	}{
		{"seconds and microseconds", bin(0, 0, 0, 5, 0, 0, 0, 10), 5_000_010, "5.000010", bin(0, 0, 0, 5, 0, 0, 0, 10)},
		{"a million microseconds are a second", bin(0, 0, 0, 1, 0, 0x0f, 0x42, 0x41), 2_000_001, "2.000001", bin(0, 0, 0, 2, 0, 0, 0, 1)},
		{"seconds wrap", bin(255, 255, 255, 255, 0, 0x0f, 0x42, 0x40), 0, "0.000000", zeros(8)},
	} {
		got := parseStamp(x.in)
		if out := got.append(nil); got != x.want || got.String() != x.text || !bytes.Equal(out, x.out) {
			t.Errorf("%s: %d, %v, sent on as %x; want %d, %s, %x", x.why, got, got, out, x.want, x.text, x.out)
		}
	}
	if out := (Stamp(1<<32)*1e6 + 7).append(nil); !bytes.Equal(out, bin(zeros(7), 7)) {
		t.Errorf("a stamp of 2106 is sent as %x, want its low 32 bits of seconds", out)
	}
}

func TestNearest(t *testing.T) {
	const span = Stamp(1<<32) * 1e6
	for _, x := range []struct {
		why          string
		s, ref, want Stamp
	}{
		{"a moment ago", 5_000_001, 6_000_000, 5_000_001},
		{"to come", 7_000_000, 6_999_999, 7_000_000},
		{"after the seconds have wrapped", 1e6, span + 3e6, span + 1e6},
		{"sent before they wrapped, echoed after", span - 1e6, span + 3e6, span - 1e6},
		{"before the epoch", span - 2e6, 3e6, ^Stamp(0) - 2e6 + 1},
	} {
		if got := Version4.Nearest(x.s, x.ref); got != x.want {
			t.Errorf("%s: the moment of %v nearest to %v is %v, want %v", x.why, x.s, x.ref, got, x.want)
		}
	}
}

// TestOtherVersions: no message whose layout depends on the version is read or written as if it
// were of version 4.
func TestOtherVersions(t *testing.T) {
	const other Version = 0x50
	for f, s := range firsts(t) {
		var err error
		var write func(Version, []byte) []byte
		switch f {
		case FuncAnnounce:
			_, err = ParseAnnounce(other, s.msg)
			write = (&Announce{}).Append
		case FuncRegister:
			_, err = ParseRegister(other, s.msg)
			write = (&Register{}).Append
		case FuncKeyInfo:
			_, err = ParseKeyInfo(other, s.msg)
			write = (&KeyInfo{}).Append
		case FuncKeyInfoAck:
			_, err = ParseKeyInfoAck(other, s.msg)
			write = (&KeyInfoAck{}).Append
		case FuncFileInfo:
			_, err = ParseFileInfo(other, s.msg)
			write = (&FileInfo{}).Append
		case FuncFileInfoAck:
			_, err = ParseFileInfoAck(other, s.msg)
			write = (&FileInfoAck{}).Append
		case FuncStatus:
			_, err = ParseStatus(other, s.msg)
			write = (&Status{}).Append
		case FuncProxyKey:
			_, err = ParseProxyKey(other, s.msg)
			write = (&ProxyKey{}).Append
		case FuncCongCtrl:
			_, err = ParseCongCtrl(other, s.msg)
			write = (&CongCtrl{}).Append
		case FuncCCAck:
			_, err = ParseCCAck(other, s.msg)
			write = (&CCAck{}).Append
		default:
			continue
		}
		if err != ErrVersion {
			t.Errorf("%v of version 5: %v, want %v", f, err, ErrVersion)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v is written for version 5, want a panic", f)
				}
			}()
			write(other, nil)
		}()
	}
}
