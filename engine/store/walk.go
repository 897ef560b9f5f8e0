package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"uftp/wire"
)

// maxPathLen is the longest operand, local path and name, bytes: the stock programs have fields of
// 300 bytes with a NUL (docs/protocol.md, "Names and paths").
const maxPathLen = wire.MaxNameLen - 1

// Operands that are no paths.
const (
	deleteOperand    = "@DELETE:" // followed by a path
	freeSpaceOperand = "@FREESPACE"
)

// WalkConfig selects what to send and under which names.
type WalkConfig struct {
	Operands    []string
	DestName    string    // -D; "" = unset
	DestIsDir   bool      // -o: DestName is a directory even for a single operand
	Bases       []string  // -E: prefixes of operands that their names lose
	Exclude     []string  // -X: paths relative to the parent of their operand
	FollowLinks bool      // -l
	Now         time.Time // the time relative to which stamps of files are encoded, see stamp.go
}

// Entry is one object to announce with FILEINFO.
type Entry struct {
	Path  string // for the user: relative to the parent of the operand
	Local string // path to open; "" for TypeDelete and TypeFreeSpace
	Type  wire.FileType
	Name  string // on the wire, slashes, 1..299 bytes
	Link  string // target of a TypeLink
	Size  int64  // TypeFile only, bytes
	MTime uint32 // TypeFile only, as sent, see stamp.go

	seen fs.FileInfo // TypeFile: the file as the walk saw it
}

// Skip is something that is not sent, with the line that the stock sender logs. A directory that is
// not empty is not sent either, but its entries follow: only its Path is logged.
type Skip struct {
	Path   string
	Dir    bool   // a directory whose entries follow; the fields below are not set
	Early  bool   // refused before its Path is logged as a heading
	Reason string // whole line, names Path
	Level  int    // of the log line: 0 error, 1 warning, 2 normal
}

// Walker lists what to send, one entry at a time. It reads the file system only as far as the
// caller has asked. Its memory holds the names in each directory from the operand to the current
// place.
type Walker struct {
	cfg     WalkConfig
	dest    string
	destDir bool
	exclude map[string]bool
	next    int // operand
	stack   []openDir
}

// openDir is a directory being walked.
type openDir struct {
	spot
	info  fs.FileInfo
	names []string // of its entries, sorted
	next  int
}

// spot is a place in the tree under its three names.
type spot struct {
	local, path, name string
	bare              bool // nothing of the operand is left in name: it can only be a directory
}

func (p spot) child(name string) spot {
	return spot{joinSlash(p.local, name), joinSlash(p.path, name), joinSlash(p.name, name), false}
}

// NewWalker returns a walker at the first operand.
func NewWalker(cfg WalkConfig) *Walker {
	w := &Walker{cfg: cfg, dest: strings.TrimRight(cfg.DestName, "/")}
	if w.dest == "" && cfg.DestName != "" {
		w.dest = "/"
	}
	w.destDir = cfg.DestIsDir || len(cfg.Operands) > 1
	if len(cfg.Exclude) > 0 {
		w.exclude = make(map[string]bool, len(cfg.Exclude))
		for _, x := range cfg.Exclude {
			w.exclude[x] = true
		}
	}
	return w
}

// Next returns the next entry or, if skip is not nil, why something is not sent. more is false at
// the end. Operands come in their order, trees depth first, the entries of a directory sorted by
// name.
func (w *Walker) Next() (e Entry, skip *Skip, more bool) {
	for n := len(w.stack); n > 0; n-- {
		d := &w.stack[n-1]
		if d.next < len(d.names) {
			d.next++
			e, skip = w.visit(d.child(d.names[d.next-1]))
			return e, skip, true
		}
		w.stack = w.stack[:n-1]
	}
	if w.next == len(w.cfg.Operands) {
		return Entry{}, nil, false
	}
	w.next++
	e, skip = w.operand(w.cfg.Operands[w.next-1])
	return e, skip, true
}

// operand starts the walk of one operand.
func (w *Walker) operand(op string) (Entry, *Skip) {
	if op == freeSpaceOperand {
		return Entry{Path: ".", Type: wire.TypeFreeSpace, Name: "."}, nil
	}
	if len(op) > maxPathLen {
		return w.early(0, op, "Max pathname length exceeded: "+op)
	}
	if target, ok := strings.CutPrefix(op, deleteOperand); ok {
		return w.deletion(op, target)
	}
	local := trimSeparators(op)
	slashed := filepath.ToSlash(local[len(filepath.VolumeName(local)):])
	last := lastComponent(slashed)
	rest := last
	if len(w.cfg.Bases) > 0 {
		var ok bool
		if rest, ok = w.afterBase(slashed); !ok {
			return w.noBase(op)
		}
	}
	return w.visit(spot{local, last, w.destination(rest), rest == "" && (w.destDir || w.dest == "")})
}

// deletion makes the entry of an @DELETE: operand. Only the last component of its path counts. A
// name that means a whole tree from inside is refused: a stock receiver would empty its
// destination.
func (w *Walker) deletion(op, target string) (Entry, *Skip) {
	if len(w.cfg.Bases) > 0 {
		return w.noBase(op)
	}
	last := ""
	if target != "" {
		last = lastComponent(trimSeparators(filepath.ToSlash(target)))
	}
	name := w.destination(last)
	for _, c := range []string{last, lastComponent(name)} {
		switch c {
		case "", ".", "..", "/":
			return w.skip(0, op, "Skipping "+op+": refusing to delete a whole directory; name a file or directory in it")
		}
	}
	if len(name) > maxPathLen {
		return w.early(0, op, "Max pathname length exceeded: "+name)
	}
	return Entry{Path: last, Type: wire.TypeDelete, Name: name}, nil
}

// visit looks at one place in the tree.
func (w *Walker) visit(p spot) (Entry, *Skip) {
	if len(p.path) > maxPathLen {
		return w.early(0, p.path, "Max pathname length exceeded: "+p.path)
	}
	if len(p.name) > maxPathLen {
		return w.early(0, p.path, "Max pathname length exceeded: "+p.name)
	}
	stat := os.Lstat
	if w.cfg.FollowLinks {
		stat = os.Stat
	}
	info, err := stat(p.local)
	if err != nil {
		return w.skip(0, p.path, "Error getting file status for "+p.path+": "+reason(err))
	}
	if w.exclude[p.path] {
		return w.skip(2, p.path, "Skipping "+p.path)
	}
	if info.IsDir() {
		return w.enter(p, info)
	}
	if p.bare {
		return w.skip(1, p.path, "Skipping "+p.path+": no name is left without its base")
	}
	switch info.Mode().Type() {
	case 0:
		f, err := openRead(p.local)
		if err != nil {
			return w.skip(0, p.path, "Error reading file "+p.path+": "+reason(err))
		}
		f.Close()
		return Entry{Path: p.path, Local: p.local, Type: wire.TypeFile, Name: p.name,
			Size: info.Size(), MTime: stampOf(info.ModTime(), w.cfg.Now), seen: info}, nil
	case fs.ModeSymlink:
		target, err := os.Readlink(p.local)
		if err != nil {
			return w.skip(0, p.path, "Error reading symbolic link "+p.path+": "+reason(err))
		}
		if (len(p.name)+3)&^3+len(target) > wire.MaxNameLen {
			return w.skip(0, p.path, "Combined file name "+p.path+" and link "+target+" too long")
		}
		return Entry{Path: p.path, Local: p.local, Type: wire.TypeLink, Name: p.name, Link: target}, nil
	}
	return w.skip(2, p.path, "Skipping special file "+p.path)
}

// enter opens a directory: its entries follow, or an Entry for itself if it is empty.
func (w *Walker) enter(p spot, info fs.FileInfo) (Entry, *Skip) {
	for _, d := range w.stack {
		if os.SameFile(d.info, info) { // only a link can lead back
			return w.skip(1, p.path, "Skipping "+p.path+": directory loop through a symbolic link")
		}
	}
	names, err := readNames(p.local)
	if err != nil {
		where := p.local // in this message alone the stock program includes the directory
		if where == p.path {
			where = "./" + where
		}
		return w.skip(0, p.path, "Failed to open directory "+where+": "+reason(err))
	}
	if len(names) > 0 {
		w.stack = append(w.stack, openDir{spot: p, info: info, names: names})
		return Entry{}, &Skip{Path: p.path, Dir: true}
	}
	if p.name == "" {
		return w.skip(1, p.path, "Skipping "+p.path+": no name is left without its base")
	}
	return Entry{Path: p.path, Local: p.local, Type: wire.TypeDir, Name: p.name}, nil
}

// readNames returns all names in a directory, sorted. Sorting needs them all. Each entry is looked
// at when its turn comes.
func readNames(path string) ([]string, error) {
	f, err := openRead(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

func (w *Walker) noBase(op string) (Entry, *Skip) {
	return w.early(1, op, "Skipping "+op+": doesn't match any base")
}

func (w *Walker) skip(level int, path, reason string) (Entry, *Skip) {
	return Entry{}, &Skip{Path: path, Reason: reason, Level: level}
}

func (w *Walker) early(level int, path, reason string) (Entry, *Skip) {
	return Entry{}, &Skip{Path: path, Early: true, Reason: reason, Level: level}
}

// afterBase returns what is left of a slashed operand behind the first base that is a prefix of it
// in whole components, without a leading slash.
func (w *Walker) afterBase(op string) (rest string, ok bool) {
	for _, base := range w.cfg.Bases {
		if base == "" {
			continue
		}
		b := strings.TrimRight(filepath.ToSlash(base), "/")
		rest, ok := strings.CutPrefix(op, b)
		if ok && (rest == "" || rest[0] == '/') {
			return strings.TrimLeft(rest, "/"), true
		}
	}
	return "", false
}

// destination returns name below the directory of -D and -o.
func (w *Walker) destination(name string) string {
	switch {
	case w.dest == "":
		return name
	case !w.destDir || name == "":
		return w.dest
	}
	return joinSlash(w.dest, name)
}

// joinSlash puts b below a; "" is no directory at all.
func joinSlash(a, b string) string {
	if a == "" || strings.HasSuffix(a, "/") {
		return a + b
	}
	return a + "/" + b
}

// trimSeparators removes the separators at the end of a path, but keeps the root; the empty path
// becomes the current directory.
func trimSeparators(p string) string {
	n := len(p)
	for n > 1 && os.IsPathSeparator(p[n-1]) {
		n--
	}
	if n == 0 {
		return "."
	}
	return p[:n]
}

// lastComponent returns the last component of a slashed path without trailing slash.
func lastComponent(p string) string {
	if p == "/" {
		return p
	}
	return p[strings.LastIndexByte(p, '/')+1:]
}
