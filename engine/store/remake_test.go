package store

import (
	"os"
	"testing"

	"uftp/wire"
)

// TestDirectoryRemoved: a directory of the configuration that is removed while the receiver runs,
// before or in a session, is created again with its mode.
func TestDirectoryRemoved(t *testing.T) {
	for name, change := range map[string]func(*SinkConfig){"plain": nil, "backup": withBackup, "temp": withTemp, "durable": func(c *SinkConfig) { c.Durable = true }} {
		t.Run(name, func(t *testing.T) {
			h := newHall(t, nil)
			if err := os.Chmod(h.at("dest"), 0o751); err != nil {
				t.Fatal(err)
			}
			cfg := SinkConfig{Dests: []string{h.at("dest")}}
			h.cfg = cfg
			if change != nil {
				change(&cfg)
			}
			for i, b := range cfg.Backups {
				cfg.Backups[i] = h.at(b)
			}
			if cfg.Temp != "" {
				cfg.Temp = h.at(cfg.Temp)
			}
			h.configure(cfg)
			remove := func(names ...string) {
				t.Helper()
				for _, n := range names {
					if err := os.RemoveAll(h.at(n)); err != nil {
						t.Fatal(err)
					}
				}
			}
			remove("dest", "backup", "temp")
			req := h.file("f", "x")
			req.Preview = true
			h.s.Open(req)
			h.wantMissing("dest", "a preview makes nothing")
			h.receive(h.file("f", "x"), "x")
			remove("dest")
			h.receive(h.file("g", "x"), "x")
			if cfg.Temp != "" {
				remove("dest")
			}
			h.end(true)
			want := []string{"g = x"}
			if cfg.Temp != "" {
				want = []string{"f = x", "g = x"}
			}
			h.wantTree("dest", "it is there again", want...)
			if fi, err := os.Stat(h.at("dest")); err != nil || fi.Mode().Perm() != 0o751 {
				t.Errorf("its mode is %v, %v", fi.Mode(), err)
			}
			if len(cfg.Backups) > 0 {
				h.begin(0)
				h.receive(h.file("g", "y"), "y")
				h.end(true)
				if len(h.tree("backup")) == 0 {
					t.Error("nothing is in the backup directory")
				}
			}
		})
	}
}

// TestDirectoryGoneWithItsParent: it is not created again, since the disk may be unmounted.
func TestDirectoryGoneWithItsParent(t *testing.T) {
	h := newHall(t, nil)
	h.mkdir("outer/dest")
	h.configure(SinkConfig{Dests: []string{h.at("outer/dest")}})
	if err := os.RemoveAll(h.at("outer")); err != nil {
		t.Fatal(err)
	}
	a := h.complete(h.file("f", "x"))
	h.wantStatus(a, wire.StatusRejected, "its parent is gone as well")
	h.wantMissing("outer", "nothing is made")
	h.mkdir("outer/dest")
	h.receive(h.file("f", "x"), "x")
	h.wantTree("outer/dest", "the session sees what is there again", "f = x")
}
