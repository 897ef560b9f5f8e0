package outfile

import (
	"os"
	"path/filepath"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Whole lines stay whole after a program that was stopped in mid-line.
func TestTornLineOfAnEarlierProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines")
	for _, tt := range []struct{ before, want string }{
		{"", "new\n"},
		{"old\n", "old\nnew\n"},
		{"old\nhal", "old\nhal\nnew\n"},
	} {
		if err := os.WriteFile(path, []byte(tt.before), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := AppendLines(path, 0o600, false)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := l.Write([]byte("new\n")); n != 4 || err != nil {
			t.Errorf("after %q: wrote %d, %v", tt.before, n, err)
		}
		l.Close()
		if got := read(t, path); got != tt.want {
			t.Errorf("after %q: file %q, want %q", tt.before, got, tt.want)
		}
	}
}

func TestReplaceAndCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, text := range []string{"longer text\n", "short\n"} {
		if err := Replace(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != text {
			t.Errorf("replaced file %q, want %q", got, text)
		}
	}
	f, err := Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got := read(t, path); got != "" {
		t.Errorf("created file holds %q, want nothing", got)
	}
	if all, _ := os.ReadDir(dir); len(all) != 1 {
		t.Errorf("%v in the directory, want the file alone", all)
	}
}
