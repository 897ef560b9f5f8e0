package store

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Names from the network (v4-receiver.md section 4.1). They are taken apart here,
// before any of them meets the file system; what they become is found by
// walking, see path_dir.go.

// Reasons to reject a name.
const (
	errNameEmpty   stockError = "Rejecting FILEINFO from server: empty filename"
	errNameNUL     stockError = "Rejecting FILEINFO from server: filename contains NUL"
	errNameUp      stockError = "Rejecting FILEINFO from server: filename contains .."
	errNameBad     stockError = "Rejecting file: this system cannot have such a name"
	errNameAbs     stockError = "Rejecting file with absolute pathname: doesn't match any dest directory"
	errNameAbsTemp stockError = "Rejecting file with absolute pathname: temp directory is in use"
	errNameDest    stockError = "Rejecting file with absolute pathname: can't have the same name as a dest directory"
	errNameTemp    stockError = "Rejecting file: files are received under such names"
	errNameSelf    stockError = "Rejecting file: name is the destination directory itself"
	errLinkEmpty   stockError = "Rejecting FILEINFO from server: empty link"
	errLinkNUL     stockError = "Rejecting FILEINFO from server: link contains NUL"
)

// splitName takes a relative name apart. Empty and "." elements, which stock
// senders produce (rem//s/f1, ./f1), are left out; the result is empty for the
// directory itself. ".." is refused also between backslashes.
func splitName(name string) ([]string, error) {
	if name == "" {
		return nil, errNameEmpty
	}
	if strings.ContainsRune(name, 0) {
		return nil, errNameNUL
	}
	for _, e := range strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == '\\' }) {
		if e == ".." {
			return nil, errNameUp
		}
	}
	var elems []string
	for e := range strings.SplitSeq(filepath.ToSlash(name), "/") {
		if e == "" || e == "." {
			continue
		}
		if !filepath.IsLocal(e) || cutsEnd(runtime.GOOS, e) {
			return nil, errNameBad
		}
		elems = append(elems, e)
	}
	return elems, nil
}

// cutsEnd reports whether a system takes a name for another one: Windows leaves out dots
// and blanks at its end, but not in all calls, so that guards would look at one file and
// renames at another.
func cutsEnd(system, e string) bool { return system == "windows" && strings.TrimRight(e, ". ") != e }

// place is a name that passed the checks: elements below a directory of the configuration.
type place struct {
	root  string   // directory of the configuration
	dest  int      // index of the destination, for its backup directory
	elems []string // below root; with a temporary directory the first is that of the group
	skip  int      // elements that do not come from the name: 0 or 1
}

// path returns the absolute name.
func (p place) path() string {
	return filepath.Join(append([]string{p.root}, p.elems...)...)
}

// isRoot reports whether the name means the directory itself.
func (p place) isRoot() bool { return len(p.elems) == p.skip }

// last returns the last element; p must not be the directory itself.
func (p place) last() string { return p.elems[len(p.elems)-1] }

// locate finds out where a file called name belongs.
func (s *Session) locate(name string) (place, error) {
	p, err := s.locateAny(name)
	if err == nil && slices.ContainsFunc(p.elems[p.skip:], looksTemp) {
		err = errNameTemp
	}
	return p, err
}

func (s *Session) locateAny(name string) (place, error) {
	c := &s.k.cfg
	if filepath.IsAbs(name) || strings.HasPrefix(filepath.ToSlash(name), "/") {
		if c.Temp != "" {
			return place{}, errNameAbsTemp
		}
		return locateAbs(name, c.Dests)
	}
	elems, err := splitName(name)
	if err != nil {
		return place{}, err
	}
	if c.Temp != "" {
		return place{root: c.Temp, elems: append([]string{s.groupName()}, elems...), skip: 1}, nil
	}
	return place{root: c.Dests[0], elems: elems}, nil
}

// locateAbs finds the destination that an absolute name lies in, the deepest if
// destinations lie in one another.
func locateAbs(name string, dests []string) (place, error) {
	volume := filepath.VolumeName(name)
	elems, err := splitName(name[len(volume):])
	if err != nil {
		return place{}, err
	}
	best, depth, same := -1, -1, false
	for i, d := range dests {
		v := filepath.VolumeName(d)
		base, err := splitName(d[len(v):])
		if err != nil || v != volume || len(base) > len(elems) || !slices.Equal(base, elems[:len(base)]) {
			continue
		}
		if len(base) == len(elems) {
			same = true
		}
		if len(base) > depth {
			best, depth = i, len(base)
		}
	}
	switch {
	case same:
		return place{}, errNameDest
	case best < 0:
		return place{}, errNameAbs
	}
	return place{root: dests[best], dest: best, elems: elems[depth:]}, nil
}

// checkLink refuses the text of a link at p that leads out of the destination.
// The text may climb only at its start, and not above the destination: "..", after
// a name would climb from wherever that name leads, which may be a link itself.
func checkLink(p place, text string) error {
	if text == "" {
		return errLinkEmpty
	}
	if strings.ContainsRune(text, 0) {
		return errLinkNUL
	}
	outside := stockError(fmt.Sprintf("Rejecting symbolic link: %s leads out of the destination directory", text))
	slashed := filepath.ToSlash(text)
	if filepath.IsAbs(text) || filepath.VolumeName(text) != "" || strings.HasPrefix(slashed, "/") {
		return outside
	}
	up, named := 0, false
	for e := range strings.SplitSeq(slashed, "/") {
		switch e {
		case "", ".":
		case "..":
			if up++; named || up > len(p.elems)-p.skip-1 {
				return outside
			}
		default:
			named = true
		}
	}
	return nil
}

// maxName is the length of a name that every usual file system takes, bytes.
const maxName = 255

// tempName returns the name under which file id of group is received beside final.
func tempName(final string, group uint32, id uint16) string {
	return nthTempName(final, group, id, 0)
}

// tempNames is how many names there are for one thing that several make at once.
const tempNames = 10

// nthTempName is tempName for the i-th who receives it, less than tempNames.
func nthTempName(final string, group uint32, id uint16, i int) string {
	return scratchName(final, group, numbered(fmt.Sprintf("%04X", id), i))
}

// numbered tells things of one kind apart. cutTemp knows one digit.
func numbered(what string, i int) string {
	if i == 0 {
		return what
	}
	return fmt.Sprintf("%s.%d", what, i)
}

// What else has a temporary name for a moment.
const (
	scratchOld  = "old"  // a directory that is being replaced
	scratchDir  = "dir"  // a directory that replaces something
	scratchLink = "link" // a symbolic link; there may be several
)

// tempMark is in all temporary names.
const tempMark = ".~uftp-"

// scratchName returns a temporary name for final. Names too long for the suffix
// are cut: group and what tell things apart.
func scratchName(final string, group uint32, what string) string {
	suffix := fmt.Sprintf("%s%08X-%s", tempMark, group, what)
	return cutName(final, maxName-len(suffix)) + suffix
}

// isTemp reports whether name is a temporary name of group.
func isTemp(name string, group uint32) bool {
	g, what := cutTemp(name)
	return what != "" && g == fmt.Sprintf("%08X", group)
}

// isAnyTemp reports whether name is one under which a file is received, of whatever
// group.
func isAnyTemp(name string) bool {
	_, what := cutTemp(name)
	return what != "" && what != scratchOld && what != scratchDir && !strings.HasPrefix(what, scratchLink)
}

// cutTemp takes a temporary name apart: its group, and what it is of: a file, as in
// 0001 or 0001.2, or one of the scratch constants; "" if it is none.
func cutTemp(name string) (group, what string) {
	i := strings.LastIndex(name, tempMark)
	if i < 0 {
		return "", ""
	}
	group, what, _ = strings.Cut(name[i+len(tempMark):], "-")
	id, again, _ := strings.Cut(what, ".")
	one := len(id) == 4 && isHex(id) || id == scratchLink
	one = one && (again == "" && id == what || len(again) == 1 && isHex(again))
	if len(group) != 8 || !isHex(group) || what != scratchOld && what != scratchDir && !one {
		return "", ""
	}
	return group, what
}

// looksTemp reports whether name is a temporary name of any group, or the same as one
// where the case of letters does not count. A file that somebody sends under such a name
// would be taken for one that is being received, by us or by another session, or for
// what one has left; so names from the network are never like that.
func looksTemp(name string) bool {
	i := strings.LastIndex(strings.ToLower(name), tempMark)
	if i < 0 || len(strings.ToLower(name)) != len(name) {
		return i >= 0 // other letters change their length: it is no use to be exact
	}
	group, what, _ := strings.Cut(name[i+len(tempMark):], "-")
	_, upper := cutTemp(tempMark + strings.ToUpper(group) + "-" + strings.ToUpper(what))
	_, lower := cutTemp(tempMark + strings.ToUpper(group) + "-" + strings.ToLower(what))
	return upper != "" || lower != ""
}

func isHex(s string) bool { return strings.Trim(s, "0123456789ABCDEF") == "" }

// cutName returns at most n bytes of name, whole characters.
func cutName(name string, n int) string {
	if len(name) <= n {
		return name
	}
	for n > 0 && name[n]&0xC0 == 0x80 {
		n--
	}
	return name[:n]
}
