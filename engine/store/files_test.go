package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"uftp/wire"
)

// filesTable reads the rows of docs/files.md: the object that arrives, the one that is there, and
// the outcomes: plain, with -A, with -T and with -T -i.
func filesTable(t *testing.T) (rows [][]string) {
	t.Helper()
	b, err := os.ReadFile("../../docs/files.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| arrives") {
			continue
		}
		var row []string
		for c := range strings.SplitSeq(strings.Trim(line, "| \n"), "|") {
			row = append(row, strings.Trim(c, " `"))
		}
		rows = append(rows, row)
	}
	return rows
}

// TestDataInTheWay goes through the table of docs/files.md, row by row, at the top of the
// destination and below a directory of it.
func TestDataInTheWay(t *testing.T) {
	setups := map[string]func(h *hall, name string){
		"file":            func(h *hall, name string) { h.write(name, "old", oldStamp) },
		"link":            func(h *hall, name string) { h.link(h.at("outside"), name) },
		"empty directory": func(h *hall, name string) { h.mkdir(name) },
		"directory":       func(h *hall, name string) { h.write(name+"/sub/old", "old", oldStamp) },
	}
	olds := map[string][]string{
		"file": {"x = old"}, "link": {"x -> OUT"}, "empty directory": {"x/"}, "directory": {"x/", "x/sub/", "x/sub/old = old"},
	}
	requests := map[string]func(h *hall, name string) Request{
		"file":                func(h *hall, name string) Request { return h.file(name, "new") },
		"link":                func(h *hall, name string) Request { r := h.request(wire.TypeLink, name, 0); r.Link = "to"; return r },
		"empty directory":     func(h *hall, name string) Request { return h.request(wire.TypeDir, name, 0) },
		"file in a directory": func(h *hall, name string) Request { return h.file(name+"/y", "new") },
		"@DELETE:":            func(h *hall, name string) Request { return h.request(wire.TypeDelete, name, 0) },
	}
	news := map[string][]string{
		"file": {"x = new"}, "link": {"x -> to"}, "empty directory": {"x/"}, "file in a directory": {"x/", "x/y = new"}, "@DELETE:": nil,
	}
	modes := []func(*SinkConfig){nil, withBackup, withTemp, withMerge}
	names := []string{"plain", "-A", "-T", "-T -i"}
	rows := filesTable(t)
	if len(rows) != len(requests)*len(setups) {
		t.Errorf("%d rows, want one for each of %d that arrive and %d that are there", len(rows), len(requests), len(setups))
	}
	for _, row := range rows {
		arrives, there := row[0], row[1]
		if requests[arrives] == nil || setups[there] == nil {
			t.Fatalf("row %q is not known", row)
		}
		for m, change := range modes {
			want := row[2+m]
			for _, below := range []string{"", "up/"} {
				if below != "" && names[m] == "-T" {
					continue // the directory is moved as a whole
				}
				t.Run(fmt.Sprintf("%s on %s%s, %s", arrives, below, there, names[m]), func(t *testing.T) {
					h := newHall(t, change)
					setups[there](h, "dest/"+below+"x")
					h.write("dest/"+below+"beside", "beside", oldStamp)
					h.write("outside/t", "t", oldStamp)
					a, f := h.s.Open(requests[arrives](h, below+"x"))
					if f != nil {
						if err := f.WriteAt([][]byte{[]byte("new")}, 0); err != nil {
							t.Fatal(err)
						}
						if _, err := f.Finish(); err != nil {
							t.Fatal(err)
						}
					}
					h.end(true)
					old := slices.Clone(olds[there])
					for i := range old {
						old[i] = strings.ReplaceAll(old[i], "OUT", h.at("outside"))
					}
					left, backup := news[arrives], []string(nil)
					status := wire.StatusNormal
					switch want {
					case "replaced", "removed":
					case "backed up":
						backup = old
					case "rejected":
						left, status = old, wire.StatusRejected
					case "skipped":
						left, status = old, wire.StatusSkipped
					case "kept":
						left = old
					case "merged":
						left = append(slices.Clone(left), old...)
						slices.Sort(left)
						left = slices.Compact(left)
					default:
						t.Fatalf("outcome %q is not known", want)
					}
					h.wantStatus(a, status, want)
					h.wantTree("dest/"+below, want, append(slices.Clone(left), "beside = beside")...)
					h.wantTree("outside", "where a link leads nothing changes", "t = t")
					h.wantTree("temp", "nothing is left")
					if backup == nil {
						h.wantTree("backup", "there is nothing to back up")
						return
					}
					h.wantTree(filepath.Join("backup/20261122/105025", h.at("dest"), below), "the old is in the backup", backup...)
				})
			}
		}
	}
}

// TestDirectoryIsFilledMeanwhile: if a directory gets an entry while an object that should replace
// it is received, neither a file nor a link removes it.
func TestDirectoryIsFilledMeanwhile(t *testing.T) {
	for name, change := range map[string]func(*SinkConfig){"plain": nil, "temp": withTemp, "merge": withMerge} {
		for _, typ := range []wire.FileType{wire.TypeFile, wire.TypeLink} {
			t.Run(fmt.Sprintf("%s, %d", name, typ), func(t *testing.T) {
				h := newHall(t, change)
				if typ == wire.TypeLink && change == nil {
					t.Skip("nothing comes between")
				}
				h.mkdir("dest/x")
				var err error
				if typ == wire.TypeFile {
					_, f := h.s.Open(h.file("x", "new"))
					h.write("dest/x/in", "old", oldStamp)
					f.WriteAt([][]byte{[]byte("new")}, 0)
					_, err = f.Finish()
				} else {
					link := h.request(wire.TypeLink, "x", 0)
					link.Link = "to"
					h.complete(link)
					h.write("dest/x/in", "old", oldStamp)
				}
				_, _, endErr := h.s.End(true)
				if change == nil && err == nil || change != nil && endErr == nil {
					t.Errorf("Finish: %v, End: %v: want one of them to say what is in the way", err, endErr)
				}
				h.wantTree("dest", "what came meanwhile stays", "x/", "x/in = old")
				if change != nil {
					if _, err := os.Lstat(h.at(groupDir + "/x")); err != nil {
						t.Errorf("what was received is kept for the user: %v", err)
					}
				}
			})
		}
	}
}

// TestDirectoryIsFilledAtTheLastMoment is the same between the check and the change.
func TestDirectoryIsFilledAtTheLastMoment(t *testing.T) {
	defer func() { spy = nil }()
	for _, exchanges := range []bool{true, false} {
		h := newHall(t, nil)
		h.mkdir("dest/x")
		_, f := h.s.Open(h.file("x", "new"))
		f.WriteAt([][]byte{[]byte("new")}, 0)
		filled := false
		spy = func(c *call, do func() error) error {
			if c.op == "exchange" && !exchanges {
				return fmt.Errorf("not here")
			}
			if (c.op == "exchange" || c.op == "rename") && !filled {
				filled = true
				h.write("dest/x/in", "old", oldStamp)
			}
			return do()
		}
		_, err := f.Finish()
		spy = nil
		if err == nil {
			t.Error("Finish: want an error")
		}
		h.wantTree("dest", "what came meanwhile stays", "x/", "x/in = old")
	}
}

// TestNamesLikeOurs: no name from the network is a temporary name of any group, nor the same as one
// for some file systems.
func TestNamesLikeOurs(t *testing.T) {
	for _, change := range []func(*SinkConfig){nil, withTemp} {
		h := newHall(t, change)
		for _, group := range []uint32{testGroup, 1, 0xABCDEF01} {
			for _, name := range []string{
				tempName("x", group, 1), nthTempName("x", group, 0xFFFF, 9), tempName(strings.Repeat("x", 255), group, 1), tempName("", group, 1),
				scratchName("x", group, scratchOld), scratchName("x", group, scratchDir),
				scratchName("x", group, scratchLink), scratchName("x", group, numbered(scratchLink, 3)),
			} {
				for _, name := range []string{name, strings.ToLower(name), strings.ToUpper(name), name + "/f", "d/" + name + "/e/f"} {
					for _, typ := range []wire.FileType{wire.TypeFile, wire.TypeDir, wire.TypeLink, wire.TypeDelete} {
						req := h.request(typ, name, 0)
						req.Link = "to"
						a, f := h.s.Open(req)
						if f != nil || a.Status != wire.StatusRejected {
							t.Fatalf("%s, type %d: %+v, want it rejected", name, typ, a)
						}
					}
				}
			}
		}
		for _, name := range []string{"x.~uftp", "x.~uftp-1-1", "x.~uftp-0BADCAFE-0001.bak", "~uftp-0BADCAFE-0001", "_group_0BADCAFE_done", "_uftptmp1", "_group_0BADCAFE_restart"} {
			h.receive(h.file(name, "text"), "text")
		}
		h.end(true)
		if n := len(h.tree("dest")); n != 7 {
			t.Errorf("%d files arrived, want 7: %q", n, h.tree("dest"))
		}
	}
}
