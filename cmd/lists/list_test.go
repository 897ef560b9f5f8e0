package lists

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReadList(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
		why  string
	}{
		{"", nil, "an empty list has no entries"},
		{"a\nb\n", []string{"a", "b"}, "one entry a line"},
		{"a\r\nb\r\r\n\r\n\n\nc", []string{"a", "b", "c"}, "CR and LF go, empty lines do not count, the last line needs no end"},
		{"# x\n  a \n\tb\n", []string{"# x", "  a ", "\tb"}, "no comments, blanks count"},
		{"a\rb\n", []string{"a\rb"}, "a CR inside stays"},
	} {
		p := filepath.Join(t.TempDir(), "list")
		os.WriteFile(p, []byte(c.in), 0o644)
		got, err := ReadList(p, 10)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q gives %q, %v, want %q", c.why, c.in, got, err, c.want)
		}
	}
	if _, err := readLines(strings.NewReader("a\n\nb\n"), 2); err != nil {
		t.Errorf("as many entries as the limit are fine: %v", err)
	}
	if _, err := readLines(strings.NewReader("a\nb\nc\n"), 2); err != ErrTooMany {
		t.Errorf("one entry too many gives %v, want ErrTooMany", err)
	}
	if _, err := readLines(strings.NewReader(strings.Repeat("x", maxLine)), 2); err != ErrLineTooLong {
		t.Errorf("an endless line gives %v, want ErrLineTooLong", err)
	}
	if _, err := ReadList(filepath.Join(t.TempDir(), "no"), 2); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing list gives %v", err)
	}
}

func TestReadListFromStdin(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = old; r.Close() }()
	w.WriteString("one\ntwo")
	w.Close()
	if got, err := ReadList("-", 5); err != nil || !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("standard input gives %q, %v", got, err)
	}
}

func TestReadHostList(t *testing.T) {
	p := filepath.Join(t.TempDir(), "hosts")
	os.WriteFile(p, []byte("# comment|x\n\n0x0A580001\r\n beef |AB:cd ignored\n#\nabc|\nx|ab:01\tignored|more\ny|a|b\n #z\n"), 0o644)
	want := []ListEntry{{"0x0A580001", ""}, {" beef ", "AB:cd"}, {"abc", ""}, {"x", "ab:01"}, {"y", "a|b"}, {" #z", ""}}
	got, err := ReadHostList(p)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := readHosts(strings.NewReader(strings.Repeat("h", 79) + "|fp")); err != nil {
		t.Errorf("an ID of 79 bytes is fine: %v", err)
	}
	if _, err := readHosts(strings.NewReader(strings.Repeat("h", 80) + "|fp")); err != ErrNameTooLong {
		t.Errorf("an ID of 80 bytes gives %v, want ErrNameTooLong", err)
	}
	if l, err := readHosts(strings.NewReader(strings.Repeat("h\n", MaxHosts))); err != nil || len(l) != MaxHosts {
		t.Errorf("%d hosts are fine: %v", MaxHosts, err)
	}
	if _, err := readHosts(strings.NewReader(strings.Repeat("h\n", MaxHosts+1))); err != ErrTooMany {
		t.Errorf("one host too many gives %v, want ErrTooMany", err)
	}
	if _, err := ReadHostList(p + "no"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing list gives %v", err)
	}
}

func FuzzReadList(f *testing.F) {
	f.Add("a\r\n\nb")
	f.Add("#x|y z\nabc|01:02\t")
	f.Fuzz(func(t *testing.T, in string) {
		const limit = 50
		list, err := readLines(strings.NewReader(in), limit)
		if err != nil && list != nil || len(list) > limit {
			t.Fatalf("%d entries with error %v", len(list), err)
		}
		for _, l := range list {
			if l == "" || strings.HasSuffix(l, "\r") || strings.Contains(l, "\n") {
				t.Errorf("entry %q", l)
			}
		}
		if err == nil {
			again, err := readLines(strings.NewReader(strings.Join(list, "\n")), limit)
			if err != nil || !slices.Equal(again, list) {
				t.Errorf("%q read again is %q, %v", list, again, err)
			}
		}
		hosts, _ := readHosts(strings.NewReader(in))
		for _, h := range hosts {
			if len(h.Name) > maxHostName || strings.ContainsAny(h.Name, "|\n") || strings.HasPrefix(h.Name, "#") || strings.ContainsAny(h.Fingerprint, " \t\n") {
				t.Errorf("host %q", h)
			}
		}
	})
}

// Some editors put a byte order mark before the first line; it is no part of a name.
func TestListsWithAByteOrderMark(t *testing.T) {
	paths, err := readLines(strings.NewReader("\ufeffa\r\n\ufeffb\n"), 9)
	if want := []string{"a", "\ufeffb"}; err != nil || !slices.Equal(paths, want) {
		t.Errorf("paths %q, %v, want %q", paths, err, want)
	}
	hosts, err := readHosts(strings.NewReader("\ufeff# receivers\n0x1\n"))
	if err != nil || len(hosts) != 1 || hosts[0].Name != "0x1" {
		t.Errorf("hosts %v, %v, want the one behind the comment", hosts, err)
	}
	if paths, err := readLines(strings.NewReader("\ufeff"), 9); err != nil || len(paths) != 0 {
		t.Errorf("a list of nothing but the mark: %q, %v", paths, err)
	}
}
