package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNewSink checks the texts about directories, those of the stock daemon.
func TestNewSink(t *testing.T) {
	dir := func() string { d, _ := filepath.EvalSymlinks(t.TempDir()); return d }
	a, b, c := dir(), dir(), dir()
	file := filepath.Join(a, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(c, "link")
	if err := os.Symlink(a, link); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(a, "none")
	tests := []struct {
		cfg  SinkConfig
		want string // prefix; empty = accepted
	}{
		{SinkConfig{Dests: []string{a}}, ""},
		{SinkConfig{Dests: []string{link}}, ""},
		{SinkConfig{Dests: []string{a, b}, Backups: []string{b, a}}, ""},
		{SinkConfig{Dests: []string{a}, Temp: b}, ""},
		{SinkConfig{}, "no destination directory"},
		{SinkConfig{Dests: []string{"rel"}}, "ERROR: must specify absolute pathname for dest directory"},
		{SinkConfig{Dests: []string{none}}, "couldn't write to dest directory: No such file or directory"},
		{SinkConfig{Dests: []string{file}}, "couldn't write to dest directory: Not a directory"},
		{SinkConfig{Dests: []string{a, b}, Backups: []string{c}}, "Must specify same number of backup directories as destination directories"},
		{SinkConfig{Dests: []string{a}, Backups: []string{a + "/"}}, "ERROR: corresponding backup dir and dest dir must be different"},
		{SinkConfig{Dests: []string{a}, Backups: []string{link}}, "ERROR: corresponding backup dir and dest dir must be different"},
		{SinkConfig{Dests: []string{a}, Backups: []string{"rel"}}, "ERROR: must specify absolute pathname for backup directory"},
		{SinkConfig{Dests: []string{a}, Backups: []string{none}}, "couldn't write to directory " + none + ": No such file or directory"},
		{SinkConfig{Dests: []string{a}, Temp: "rel"}, "ERROR: must specify absolute pathname for temp directory"},
		{SinkConfig{Dests: []string{a}, Temp: a}, "ERROR: temp dir and dest dir must be different"},
		{SinkConfig{Dests: []string{a}, Temp: none}, "couldn't write to directory " + none + ": No such file or directory"},
		{SinkConfig{Dests: []string{a, b}, Temp: c}, "ERROR: Cannot use a temp directory with multiple dest directories"},
		{SinkConfig{Dests: []string{a}, Temp: c, Backups: []string{b}}, "ERROR: Cannot use a temp directory with a backup directory"},
	}
	for _, tt := range tests {
		_, err := NewSink(tt.cfg)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("NewSink(%+v) = %v, want %q", tt.cfg, err, tt.want)
		}
	}
	for _, d := range []string{a, b, c} {
		entries, _ := os.ReadDir(d)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "_uftptmp") {
				t.Errorf("probe left in %s", d)
			}
		}
	}
}

func TestProbeSparesUserFiles(t *testing.T) {
	d := t.TempDir()
	name := filepath.Join(d, "_uftptmp1")
	if err := os.WriteFile(name, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := NewSink(SinkConfig{Dests: []string{d}}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(name); string(got) != "mine" {
		t.Errorf("a file of the user called like the probe was destroyed")
	}
}
