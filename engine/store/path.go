package store

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Names from the network (docs/protocol.md, "Names and paths"). They are split and checked here
// before any of them reaches the file system; path_dir.go then walks to them.

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

// splitName splits a relative name. It drops empty and "." elements, which stock senders produce
// (rem//s/f1, ./f1); the result is empty for the directory itself. It refuses ".." between
// slashes and between backslashes.
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

// cutsEnd reports whether the system treats a name as another one: Windows drops dots and blanks
// at its end, but not in all calls, so a check and a rename would see different files.
func cutsEnd(system, e string) bool { return system == "windows" && strings.TrimRight(e, ". ") != e }

// place is a checked name: elements below a directory of the configuration.
type place struct {
	root  string   // directory of the configuration
	dest  int      // index of the destination, for its backup directory
	elems []string // below root; with a temporary directory the first is the session's directory
	skip  int      // elements that are not from the network: 0 or 1
}

// path returns the absolute name.
func (p place) path() string {
	return filepath.Join(append([]string{p.root}, p.elems...)...)
}

// isRoot reports whether the name is that of the directory itself.
func (p place) isRoot() bool { return len(p.elems) == p.skip }

// last returns the last element; p must not be the directory itself.
func (p place) last() string { return p.elems[len(p.elems)-1] }

// locate returns the place of the file that a sender calls name.
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

// locateAbs finds the destination that contains an absolute name, the deepest if several do.
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

// checkLink refuses the text of a link at p if it leads out of the destination. ".." is allowed
// at the start only, and not above the destination: after a name, ".." starts from wherever that
// name leads, which may be a link.
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

// maxName is the longest name that every usual file system takes, bytes.
const maxName = 255

// tempName returns the name under which file id of group is received beside final.
func tempName(final string, group uint32, id uint16) string {
	return nthTempName(final, group, id, 0)
}

// tempNames is how many temporary names exist for one final name.
const tempNames = 10

// nthTempName is tempName with number i, less than tempNames, for the i-th process that receives
// the same file.
func nthTempName(final string, group uint32, id uint16, i int) string {
	return scratchName(final, group, numbered(fmt.Sprintf("%04X", id), i))
}

// numbered adds a number to a temporary name. cutTemp expects one digit.
func numbered(what string, i int) string {
	if i == 0 {
		return what
	}
	return fmt.Sprintf("%s.%d", what, i)
}

// Other entries with a temporary name.
const (
	scratchOld  = "old"  // a directory that is being replaced
	scratchDir  = "dir"  // a directory that replaces something
	scratchLink = "link" // a symbolic link; there may be several
)

// tempMark is part of all temporary names.
const tempMark = ".~uftp-"

// scratchName returns a temporary name for final. A name that is too long for the suffix is cut:
// group and what keep names apart.
func scratchName(final string, group uint32, what string) string {
	suffix := fmt.Sprintf("%s%08X-%s", tempMark, group, what)
	return cutName(final, maxName-len(suffix)) + suffix
}

// isTemp reports whether name is a temporary name of group.
func isTemp(name string, group uint32) bool {
	g, what := cutTemp(name)
	return what != "" && g == fmt.Sprintf("%08X", group)
}

// isAnyTemp reports whether name is a temporary name of a file being received, of any group.
func isAnyTemp(name string) bool {
	_, what := cutTemp(name)
	return what != "" && what != scratchOld && what != scratchDir && !strings.HasPrefix(what, scratchLink)
}

// cutTemp splits a temporary name: its group, and what it is for, which is a file (0001 or
// 0001.2) or one of the scratch constants. what is "" for other names.
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

// looksTemp reports whether name is a temporary name of any group, in any case of letters. Names
// from the network must not look like that: a file of such a name would be taken for one that is
// being received, or for a leftover.
func looksTemp(name string) bool {
	i := strings.LastIndex(strings.ToLower(name), tempMark)
	if i < 0 || len(strings.ToLower(name)) != len(name) {
		return i >= 0 // lower case has another length: be strict rather than exact
	}
	group, what, _ := strings.Cut(name[i+len(tempMark):], "-")
	_, upper := cutTemp(tempMark + strings.ToUpper(group) + "-" + strings.ToUpper(what))
	_, lower := cutTemp(tempMark + strings.ToUpper(group) + "-" + strings.ToLower(what))
	return upper != "" || lower != ""
}

func isHex(s string) bool { return strings.Trim(s, "0123456789ABCDEF") == "" }

// cutName returns at most n bytes of name, ending with a whole character.
func cutName(name string, n int) string {
	if len(name) <= n {
		return name
	}
	for n > 0 && name[n]&0xC0 == 0x80 {
		n--
	}
	return name[:n]
}
