package store

import (
	"os"
	"slices"
	"testing"

	"uftp/wire"
)

// configure starts a session with other directories.
func (h *hall) configure(cfg SinkConfig) {
	h.t.Helper()
	k, err := NewSink(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	h.k = k
	h.begin(0)
}

// wantRefused requests everything that could stand at name and wants it rejected
// without a change.
func (h *hall) wantRefused(name, why string, types ...wire.FileType) {
	h.t.Helper()
	before := h.tree(".")
	for _, typ := range types {
		req := h.request(typ, name, 0)
		if typ == wire.TypeLink {
			req.Link = "l"
		}
		a, f := h.s.Open(req)
		if f != nil {
			h.t.Errorf("%s: type %d %s would be received, want it rejected", why, typ, name)
			if err := f.Abandon(missing(0)); err != nil {
				h.t.Error(err)
			}
			continue
		}
		h.wantStatus(a, wire.StatusRejected, why+": "+name)
	}
	h.wantTree(".", why+": nothing changes", before...)
}

// everything has all types of requests for a name; collected has those that a session with a
// temporary directory moves.
var (
	everything = []wire.FileType{wire.TypeFile, wire.TypeDir, wire.TypeLink, wire.TypeDelete}
	collected  = everything[:3]
)

// TestTempBelowDest: a sender reaches no files of other sessions in the temporary directory.
func TestTempBelowDest(t *testing.T) {
	const record, data = "dest/sub/temp/_group_000000AA_restart", "dest/sub/temp/_group_000000AA/f"
	for _, merge := range []bool{false, true} {
		h := newHall(t, func(c *SinkConfig) { c.Temp, c.Merge = "dest/sub/temp", merge })
		h.write(record, "record of another session", oldStamp)
		h.write(data, "data of another session", oldStamp)
		h.write("dest/sub/old", "old", oldStamp)
		h.receive(h.file("other", "y"), "y")
		names := []string{"sub/temp/_group_000000AA_restart", "sub/temp/_group_000000AA/f", "sub/temp/_group_000000AA", "sub/temp/new/f", "sub/temp"}
		for _, name := range names {
			h.wantRefused(name, "in the temporary directory", collected...)
		}
		h.wantRefused("sub", "it holds the temporary directory", wire.TypeFile, wire.TypeLink)
		if merge {
			h.wantStatus(h.complete(h.request(wire.TypeDir, "sub", 0)), wire.StatusNormal, "a directory is merged")
			h.receive(h.file("sub/old", "new"), "new")
		} else {
			h.wantRefused("sub/f", "sub would be replaced as a whole", collected...)
		}
		moved, _ := h.end(true)
		want := h.paths("other")
		if merge {
			want = h.paths("other", "sub/old")
		}
		if !slices.Equal(moved, want) {
			t.Errorf("moved %q, want %q", moved, want)
		}

		// Files that are already in the directory of the group do not get through either.
		h.begin(0)
		for _, name := range names[:2] {
			h.write("dest/sub/temp/_group_0BADCAFE/"+name, "evil", oldStamp)
		}
		h.receive(h.file("other", "z"), "z")
		moved, _, err := h.s.End(true)
		if err == nil || !slices.Equal(moved, h.paths("other")) {
			t.Errorf("merge %v: moved %q, %v: want the other file only and an error", merge, moved, err)
		}
		for name, want := range map[string]string{record: "record of another session", data: "data of another session",
			"dest/sub/temp/_group_0BADCAFE/" + names[0]: "evil", "dest/other": "z"} {
			if got, _ := os.ReadFile(h.at(name)); string(got) != want {
				t.Errorf("merge %v: %s holds %q, want %q: what cannot be moved stays where it is", merge, name, got, want)
			}
		}
	}
}

// TestBackupBelowDest: a sender reaches no old backups.
func TestBackupBelowDest(t *testing.T) {
	h := newHall(t, nil)
	h.write("dest/x/bk/20200101/101112/dest/f", "precious", oldStamp)
	h.configure(SinkConfig{Dests: []string{h.at("dest")}, Backups: []string{h.at("dest/x/bk")}})
	for _, name := range []string{"x", "x/bk", "x/bk/20200101", "x/bk/20200101/101112/dest/f", "x/bk/new/f"} {
		types := everything
		if name == "x" || name == "x/bk" { // which are left alone if a directory should be there
			types = []wire.FileType{wire.TypeFile, wire.TypeLink, wire.TypeDelete}
		}
		h.wantRefused(name, "backup directory", types...)
		h.wantRefused(h.at("dest/"+name), "backup directory, absolute", types...)
	}
	h.receive(h.file("x/f", "one"), "one")
	h.receive(h.file("x/f", "two"), "two")
	if got, _ := os.ReadFile(h.at("dest/x/bk/20261122/105025" + h.at("dest/x/f"))); string(got) != "one" {
		t.Errorf("backup holds %q: the receiver itself puts backups there", got)
	}
}

// TestDestBelowDest: a sender may use a destination inside another, but not move or remove it.
func TestDestBelowDest(t *testing.T) {
	h := newHall(t, nil)
	h.write("dest/two/f", "old", oldStamp)
	h.mkdir("dest/two/bk2")
	h.configure(SinkConfig{Dests: []string{h.at("dest"), h.at("dest/two")}, Backups: []string{h.at("backup"), h.at("dest/two/bk2")}})
	h.wantRefused("two", "it is a destination", wire.TypeFile, wire.TypeLink, wire.TypeDelete)
	h.wantRefused("two/bk2/f", "backup directory of the inner one", everything...)
	h.wantRefused(h.at("dest/two/bk2/f"), "backup directory of the inner one, absolute", everything...)
	h.receive(h.file("two/f", "by the outer"), "by the outer")
	h.receive(h.file(h.at("dest/two/f"), "by the inner"), "by the inner")
	h.complete(h.request(wire.TypeDelete, h.at("dest/two/f"), 0))
	h.wantTree("backup/20261122/105025"+h.at("dest"), "each keeps what was replaced by its name", "two/", "two/f = old")
	h.wantTree("dest/two/bk2/20261122/105025"+h.at("dest/two"), "each keeps what was replaced by its name", "f = by the outer", "f.1 = by the inner")
}

// TestGuardKnowsPlacesNotNames gives one directory two names.
func TestGuardKnowsPlacesNotNames(t *testing.T) {
	h := newHall(t, nil)
	h.link("dest", "way")
	h.write("dest/bk/20200101/f", "precious", oldStamp)
	for _, cfg := range []SinkConfig{
		{Dests: []string{h.at("way")}, Backups: []string{h.at("dest/bk")}},
		{Dests: []string{h.at("dest")}, Backups: []string{h.at("way/bk")}},
	} {
		h.configure(cfg)
		h.wantRefused("bk", "backup directory", wire.TypeFile, wire.TypeLink, wire.TypeDelete)
		h.wantRefused("bk/20200101/f", "backup directory", everything...)
	}
	h.mkdir("dest/x/bk")
	h.link("../dest/x/bk", "outside/l")
	h.configure(SinkConfig{Dests: []string{h.at("dest")}, Backups: []string{h.at("outside/l")}})
	for _, name := range []string{"x", "x/bk"} {
		h.wantRefused(name, "the backup directory leads there", wire.TypeFile, wire.TypeLink, wire.TypeDelete)
	}
	h.link("../outside", "dest/step")
	h.mkdir("outside/bk")
	h.configure(SinkConfig{Dests: []string{h.at("dest")}, Backups: []string{h.at("dest/step/bk")}})
	h.wantRefused("step", "the link leads to the backup directory", everything...)
}

// TestDestInGroupDirectory has the destination inside a session's temporary directory.
func TestDestInGroupDirectory(t *testing.T) {
	for _, dest := range []string{groupDir, groupDir + "/dest"} {
		for _, merge := range []bool{false, true} {
			h := newHall(t, nil)
			h.write(dest+"/old", "old", oldStamp)
			h.configure(SinkConfig{Dests: []string{h.at(dest)}, Temp: h.at("temp"), Merge: merge})
			before := h.tree(".")
			h.complete(h.request(wire.TypeDelete, "dest", 0))
			h.complete(h.request(wire.TypeDelete, "dest/old", 0))
			h.complete(h.request(wire.TypeDelete, "old", 0))
			if _, _, err := h.s.End(true); err == nil && dest != groupDir {
				t.Errorf("destination %s: want an error", dest)
			}
			h.wantTree(".", "the destination is not taken for what was received", before...)
		}
	}
}
