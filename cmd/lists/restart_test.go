package lists

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// stockFiles were written by the stock sender 4.10.2 on a little-endian machine;
// bytes 5 to 7 hold whatever was in its memory.
var stockFiles = map[string]SendRestart{
	"stock_restart_plain": {
		Group: 0xC3AFDDB4, Operands: []string{"f1", "@FREESPACE", "dirA"},
		Clients: []RestartClient{{Name: "0xbeef", UID: 0xbeef}, {Name: "clienta", UID: 0x0c}},
	},
	"stock_restart": {
		Group: 0x95F08AB6, Operands: []string{"f1", "@DELETE:x", "dirA/"},
		Clients: []RestartClient{{Name: "0x0000beef", UID: 0xbeef, HasFingerprint: true, Fingerprint: fingerprint("abcdef0123456789abcdef0123456789abcdef01")}},
	},
}

func fingerprint(s string) (f [64]byte) {
	hex.Decode(f[:], []byte(s))
	return f
}

func littleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

func TestStockRestartFiles(t *testing.T) {
	if !littleEndian() {
		t.Skip("the files are in the order of a little-endian machine")
	}
	for name, want := range stockFiles {
		p := filepath.Join("testdata", name)
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadSendRestart(p)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s reads as\n%+v, %v, want\n%+v", name, got, err, want)
		}
		ours := filepath.Join(t.TempDir(), RestartName(want.Group))
		if err := want.WriteFile(ours); err != nil {
			t.Fatal(err)
		}
		b, _ := os.ReadFile(ours)
		clear(raw[5:8])
		if !bytes.Equal(b, raw) {
			t.Errorf("%s written by us differs from the stock file", name)
		}
	}
}

func TestRestartName(t *testing.T) {
	if got := RestartName(0xab); got != "_group_000000AB_restart" {
		t.Errorf("file name is %q", got)
	}
}

func TestRestartRefusals(t *testing.T) {
	x := SendRestart{Group: 7, Instance: 3, Operands: []string{"a", "b"}, Clients: []RestartClient{{Name: "c", UID: 1}}}
	good, err := x.append(nil)
	if err != nil {
		t.Fatal(err)
	}
	set := func(at int, b ...byte) []byte {
		return append(append(slices.Clone(good[:at]), b...), good[at+len(b):]...)
	}
	count := func(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
	for _, c := range []struct {
		in   []byte
		want error
		text string
	}{
		{nil, ErrRestartHeader, "Failed to read header from restart file: read 0 bytes, expected 12"},
		{good[:10], ErrRestartHeader, "Failed to read header from restart file: read 10 bytes, expected 12"},
		{set(8, count(0)...), ErrRestartFiles, "Too many files listed in restart file: 0, must be 1 to 10000"},
		{set(8, count(10001)...), ErrRestartFiles, "Too many files listed in restart file: 10001, must be 1 to 10000"},
		{set(8, count(0xffffffff)...), ErrRestartFiles, "Too many files listed in restart file: -1, must be 1 to 10000"},
		{set(4, 255), ErrRestartInstance, "Maximum number of restarts reached"},
		{good[:12], ErrRestartName, "Failed to read filename from restart file: read 0 bytes, expected 300"},
		{good[:12+350], ErrRestartName, "Failed to read filename from restart file: read 50 bytes, expected 300"},
		{good[:len(good)-10], ErrRestartHost, "Failed to read host from restart file: read 146 bytes, expected 156"},
	} {
		if _, err := readSendRestart(bytes.NewReader(c.in)); !errors.Is(err, c.want) || err.Error() != c.text {
			t.Errorf("%d bytes give %q, want %q", len(c.in), err, c.text)
		}
	}
	for _, in := range [][]byte{good, good[:12+600], set(4, 254)} {
		if _, err := readSendRestart(bytes.NewReader(in)); err != nil {
			t.Errorf("%d bytes give %v, want no error", len(in), err)
		}
	}
	many := append(slices.Clone(good), bytes.Repeat(good[612:], MaxHosts)...)
	if _, err := readSendRestart(bytes.NewReader(many)); err != ErrRestartHosts {
		t.Errorf("%d clients give %v, want ErrRestartHosts", MaxHosts+1, err)
	}
	if _, err := ReadSendRestart(filepath.Join(t.TempDir(), "no")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
}

func TestRestartFieldsWithoutNUL(t *testing.T) {
	x := SendRestart{Operands: []string{"a"}, Clients: []RestartClient{{Name: "c", UID: 1}}}
	b, _ := x.append(nil)
	copy(b[12:], bytes.Repeat([]byte{'o'}, 300))
	copy(b[312:], bytes.Repeat([]byte{'n'}, 80))
	got, err := readSendRestart(bytes.NewReader(b))
	if err != nil || got.Operands[0] != strings.Repeat("o", 299) || got.Clients[0].Name != strings.Repeat("n", 79) {
		t.Errorf("full fields are cut where a NUL belongs, got %d and %d bytes, %v", len(got.Operands[0]), len(got.Clients[0].Name), err)
	}
}

func TestWriteRestart(t *testing.T) {
	for _, x := range []SendRestart{
		{},
		{Operands: make([]string, MaxOperands+1)},
		{Operands: []string{strings.Repeat("o", 300)}},
		{Operands: []string{"a\x00b"}},
		{Operands: []string{"a"}, Clients: []RestartClient{{Name: strings.Repeat("n", 80)}}},
	} {
		p := filepath.Join(t.TempDir(), "r")
		if err := x.WriteFile(p); err == nil {
			t.Errorf("%d operands: what does not fit must be refused", len(x.Operands))
		}
		if _, err := os.Stat(p); err == nil {
			t.Error("a refused file must not be there")
		}
	}
	dir := t.TempDir()
	p := filepath.Join(dir, "r")
	os.WriteFile(p, bytes.Repeat([]byte("old"), 1000), 0o600)
	os.WriteFile(p+".~new", []byte("left by a crash"), 0o600)
	x := SendRestart{Group: 1, Instance: 2, Operands: []string{"", strings.Repeat("o", 299)}, Clients: []RestartClient{{Name: "p", UID: 0xfffffffe, IsProxy: true}}}
	if err := x.WriteFile(p); err != nil {
		t.Fatal(err)
	}
	got, err := ReadSendRestart(p)
	if err != nil || !reflect.DeepEqual(got, x) {
		t.Errorf("written and read again: %+v, %v, want %+v", got, err, x)
	}
	info, _ := os.Stat(p)
	if runtime.GOOS != "windows" && info.Mode().Perm()&^0o644 != 0 {
		t.Errorf("mode is %v, want no more than 0644", info.Mode())
	}
	if l, _ := os.ReadDir(dir); len(l) != 1 {
		t.Errorf("%d files are left, want one", len(l))
	}
	if err := x.WriteFile(filepath.Join(dir, "no", "r")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing directory gives %v", err)
	}
}

func FuzzReadSendRestart(f *testing.F) {
	for name := range stockFiles {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		x, err := readSendRestart(bytes.NewReader(in))
		if err != nil {
			return
		}
		b, err := x.append(nil)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		y, err := readSendRestart(bytes.NewReader(b))
		if err != nil || !reflect.DeepEqual(x, y) {
			t.Fatalf("written and read again: %+v, %v, want %+v", y, err, x)
		}
	})
}
