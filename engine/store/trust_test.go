//go:build linux || darwin || freebsd

package store

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"uftp/wire"
)

// planted is something that another user may have put below the temporary directory.
var planted = []struct {
	name  string
	plant func(h *hall, dir string) // makes the entry x in directory dir, and dir if need be
	root  bool                      // only root can make it
	links bool                      // AllowOutsideLinks makes it fine
}{
	{"a directory that everybody may write to", func(h *hall, dir string) {
		h.write(dir+"/x/f", "evil", oldStamp)
		h.chmod(dir+"/x", 0o777)
	}, false, false},
	{"a directory that the group may write to, deep below", func(h *hall, dir string) {
		h.write(dir+"/x/y/z/f", "evil", oldStamp)
		h.chmod(dir+"/x/y/z", 0o775)
	}, false, false},
	{"a file that everybody may write to", func(h *hall, dir string) {
		h.write(dir+"/x", "evil", oldStamp)
		h.chmod(dir+"/x", 0o666)
	}, false, false},
	{"a file that runs with the rights of its owner", func(h *hall, dir string) {
		h.write(dir+"/x/suid", "evil", oldStamp)
		h.chmod(dir+"/x/suid", 0o755|os.ModeSetuid)
	}, false, false},
	{"a file that runs with the rights of its group", func(h *hall, dir string) {
		h.write(dir+"/x", "evil", oldStamp)
		h.chmod(dir+"/x", 0o755|os.ModeSetgid)
	}, false, false},
	{"another name of a file elsewhere", func(h *hall, dir string) {
		h.mkdir(dir)
		h.write("outside/shadow", "secret", oldStamp)
		if err := os.Link(h.at("outside/shadow"), h.at(dir+"/x")); err != nil {
			h.t.Skip(err)
		}
	}, false, false},
	{"a pipe", func(h *hall, dir string) {
		h.mkdir(dir + "/x")
		if err := syscall.Mkfifo(h.at(dir+"/x/pipe"), 0o600); err != nil {
			h.t.Skip(err)
		}
	}, false, false},
	{"a link to an absolute name", func(h *hall, dir string) { h.mkdir(dir); h.link("/etc/shadow", dir+"/x") }, false, true},
	{"a link that climbs out", func(h *hall, dir string) { h.mkdir(dir + "/x/y"); h.link("../../../etc", dir+"/x/y/l") }, false, true},
	{"a file of another user", func(h *hall, dir string) {
		h.write(dir+"/x", "evil", oldStamp)
		h.chown(dir+"/x", 12345)
	}, true, false},
	{"a directory of another user", func(h *hall, dir string) {
		h.write(dir+"/x/f", "evil", oldStamp)
		h.chown(dir+"/x", 12345)
	}, true, false},
	{"a link of another user", func(h *hall, dir string) {
		h.mkdir(dir + "/x")
		h.link("f", dir+"/x/l")
		h.chown(dir+"/x/l", 12345)
	}, true, false},
}

func (h *hall) chmod(name string, mode os.FileMode) {
	h.t.Helper()
	if err := os.Chmod(h.at(name), mode); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hall) chown(name string, uid int) {
	h.t.Helper()
	if err := os.Lchown(h.at(name), uid, uid); err != nil {
		h.t.Fatal(err)
	}
}

// TestPlantedIsNotMoved: an entry of a session's directory that is not ours, or could do harm in the
// destination, stays where it is, at the end of a session and at a start. The rest is moved.
func TestPlantedIsNotMoved(t *testing.T) {
	for _, c := range planted {
		if c.root && os.Geteuid() != 0 {
			continue
		}
		for _, merge := range []bool{false, true} {
			for _, late := range []bool{false, true} {
				for _, allow := range []bool{false, true} {
					t.Run(c.name, func(t *testing.T) {
						h := newHall(t, func(cfg *SinkConfig) { cfg.Temp, cfg.Merge, cfg.AllowOutsideLinks = "temp", merge, allow })
						h.as(anna, 0)
						h.receive(h.file("good", "x"), "x")
						h.write("dest/x", "was there", oldStamp)
						c.plant(h, groupDir)
						var err error
						if late {
							h.killedInMove()
							for _, l := range h.k.FinishMoves() {
								err = l.Err
							}
						} else {
							_, _, err = h.s.End(true)
						}
						if allow && c.links {
							if err != nil {
								t.Errorf("merge %v, late %v: %v", merge, late, err)
							}
							return
						}
						if err == nil || !strings.Contains(err.Error(), "alone") && !strings.Contains(err.Error(), "other") {
							t.Errorf("merge %v, late %v: %v, want an error that says what is left alone", merge, late, err)
						}
						want := []string{"good = x", "x = was there"}
						if got := h.tree("dest"); merge && len(got) > 0 && got[len(got)-1] != want[1] {
							want = got // directories above it may be there
							for _, l := range got {
								if l != "good = x" && !strings.HasSuffix(l, "/") {
									t.Errorf("late %v: %s has arrived", late, l)
								}
							}
						}
						h.wantTree("dest", "only what is ours arrives", want...)
					})
				}
			}
		}
	}
}

// TestForeignDirectoriesAreLeftAlone: a directory that belongs to another user, or that others may
// write to, never counts as a session's, whatever its name: not at the start, not for a session of
// that group, and not when it is old.
func TestForeignDirectoriesAreLeftAlone(t *testing.T) {
	text := body(4 * testBlock)
	spoil := map[string]func(h *hall, name string){
		"everybody may write": func(h *hall, name string) { h.chmod(name, 0o777) },
		"sticky":              func(h *hall, name string) { h.chmod(name, 0o777|os.ModeSticky) },
		"the group may write": func(h *hall, name string) { h.chmod(name, 0o770) },
	}
	if os.Geteuid() == 0 {
		spoil["another user's"] = func(h *hall, name string) { h.chown(name, 12345) }
	}
	for how, spoil := range spoil {
		for _, o := range owners {
			t.Run(how, func(t *testing.T) {
				h := newHall(t, withTemp)
				h.cutBy(o, text)
				name := "temp/" + h.s.name
				spoil(h, name)
				before := h.tree("temp")
				if list := h.k.Expire(h.started.AddDate(10, 0, 0)); len(list) != 0 {
					t.Errorf("%v has expired", list)
				}
				h.wantTree("temp", "it is not removed", before...)
				h.as(o, 1)
				a, f := h.s.Open(h.resume(h.file("f", text)))
				if f == nil || a.Partial || h.s.name == name[len("temp/"):] {
					t.Fatalf("%+v in %s, want a directory of its own", a, h.s.name)
				}
				if len(a.Log) == 0 || !strings.Contains(a.Log[0], h.at(name)) {
					t.Errorf("%q, want a step that says what is left alone", a.Log)
				}
				f.discard()
				h.end(true)
				h.wantTree("temp", "it is as it was", before...)

				if err := os.Rename(h.at(name), h.at(name+doneSuffix)); err != nil {
					t.Fatal(err)
				}
				before = h.tree("temp")
				for _, l := range h.k.FinishMoves() {
					if l.Err == nil {
						t.Errorf("%+v: moved", l)
					}
				}
				h.wantTree("temp", "it is not moved", before...)
				h.wantTree("dest", "nothing has arrived")
			})
		}
	}
}

// TestForeignRecordsAreLeftAlone: a record or an owner file counts only if we have written it.
func TestForeignRecordsAreLeftAlone(t *testing.T) {
	text := body(4 * testBlock)
	for _, suffix := range []string{recordSuffix, ownerSuffix} {
		for _, how := range []string{"writable", "hard link", "pipe", "link", "another user's"} {
			t.Run(suffix+" "+how, func(t *testing.T) {
				h := newHall(t, withTemp)
				h.cutBy(anna, text)
				name := groupDir + suffix
				switch how {
				case "writable":
					h.chmod(name, 0o666)
				case "hard link":
					if err := os.Link(h.at(name), h.at("outside/l")); err != nil {
						t.Skip(err)
					}
				case "pipe":
					os.Remove(h.at(name))
					if err := syscall.Mkfifo(h.at(name), 0o600); err != nil {
						t.Skip(err)
					}
				case "link":
					if err := os.Rename(h.at(name), h.at("outside/l")); err != nil {
						t.Fatal(err)
					}
					h.link(h.at("outside/l"), name)
				case "another user's":
					if os.Geteuid() != 0 {
						t.Skip("only root can give files away")
					}
					h.chown(name, 12345)
				}
				h.as(anna, 1)
				a, f := h.s.Open(h.resume(h.file("f", text)))
				if f == nil || a.Partial {
					t.Fatalf("%+v, want the file to be received anew", a)
				}
				if len(a.Log) == 0 {
					t.Error("want a step that says why")
				}
			})
		}
	}
}

// TestPartIsOursAlone: data that others may have written to are not resumed.
func TestPartIsOursAlone(t *testing.T) {
	text := body(4 * testBlock)
	for how, spoil := range map[string]func(h *hall, name string){
		"everybody may write": func(h *hall, name string) { h.chmod(name, 0o666) },
		"two names": func(h *hall, name string) {
			if err := os.Link(h.at(name), h.at("outside/l")); err != nil {
				h.t.Skip(err)
			}
		},
		"pipe": func(h *hall, name string) {
			os.Remove(h.at(name))
			if err := syscall.Mkfifo(h.at(name), 0o600); err != nil {
				h.t.Skip(err)
			}
		},
	} {
		t.Run(how, func(t *testing.T) {
			h := newHall(t, withTemp)
			h.cutBy(anna, text)
			spoil(h, groupDir+"/whole")
			spoil(h, groupDir+"/f")
			h.as(anna, 1)
			if a, f := h.s.Open(h.resume(h.file("f", text))); a.Partial {
				t.Errorf("%+v: taken up", a)
			} else if f != nil {
				f.discard()
				f.release()
			}
			if a, f := h.s.Open(h.resume(h.file("whole", "of the owner"))); a.Complete && a.Status == wire.StatusNormal {
				t.Errorf("%+v %v: taken for finished", a, f)
			}
		})
	}
}

// TestWarnings: the user who starts the receiver hears which directories others can write to.
func TestWarnings(t *testing.T) {
	h := newHall(t, withTemp)
	if w := h.k.Warnings(); len(w) != 0 {
		t.Errorf("%q, want nothing to be wrong", w)
	}
	h.chmod("temp", 0o777|os.ModeSticky)
	h.chmod("dest", 0o777)
	w := h.k.Warnings()
	if len(w) != 2 || !strings.Contains(w[0], h.at("dest")) || !strings.Contains(w[1], h.at("temp")) {
		t.Errorf("%q, want one of the destination and one of the temporary directory", w)
	}
	h = newHall(t, withBackup)
	h.chmod("backup", 0o703)
	if w := h.k.Warnings(); len(w) != 1 || !strings.Contains(w[0], h.at("backup")) {
		t.Errorf("%q", w)
	}
	h = newHall(t, withTemp)
	h.k.trust.modes = false
	if w := h.k.Warnings(); len(w) != 1 || !strings.Contains(w[0], "modes") {
		t.Errorf("%q", w)
	}
	h.k.trust.owners = false
	if w := h.k.Warnings(); len(w) != 1 || !strings.Contains(w[0], "whose") {
		t.Errorf("%q", w)
	}
}

// modeInfo is a file that shows another mode.
type modeInfo struct {
	os.FileInfo
	mode os.FileMode
}

func (i modeInfo) Mode() os.FileMode { return i.mode }

// TestModesThatAreNotKept: where directories or files have modes that nobody gave them,
// modes do not show who made them.
func TestModesThatAreNotKept(t *testing.T) {
	h := newHall(t, nil)
	h.write("f", "", oldStamp)
	fi, err := os.Stat(h.at("f"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, file os.FileMode
		kept      bool
	}{{0o700, 0o600, true}, {0o755, 0o644, true}, {0o777, 0o644, false}, {0o755, 0o777, false}, {0o755, 0o664, false}} {
		tr := trustOf(modeInfo{fi, os.ModeDir | c.dir}, modeInfo{fi, c.file})
		if tr.modes != c.kept {
			t.Errorf("directories %o, files %o: kept %v, want %v", c.dir, c.file, tr.modes, c.kept)
		}
		if err := tr.check(modeInfo{fi, c.file}); err != nil {
			t.Errorf("directories %o, files %o: %v, what we make is refused", c.dir, c.file, err)
		}
	}
}
