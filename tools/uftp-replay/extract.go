package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"uftp/cmd/cli"
	"uftp/engine/block"
	"uftp/engine/store"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// openMax is how many incomplete files are kept open. A later instance of their session
// may go on with them.
const openMax = 64

// openBlocksMax is how many blocks those may have together: 256 MiB of bitmaps.
const openBlocksMax = 1<<31 - 1

// wholeMax is how many complete files are remembered, for the same reason.
const wholeMax = 10_000

// extractor is one run of extract.
type extractor struct {
	t       *tool
	root    *os.Root
	dir     string // absolute
	partial bool
	sinks   map[uint32]*store.Sink // by group
	files   []*rebuilt             // incomplete, oldest first
	current map[session.ID]fileNow // what the FILESEGs of a session belong to
	refused map[session.ID]bool    // sealed sessions without keys, reported once
	kinds   map[wire.FileType]int  // other things rebuilt
	whole   map[fileKey]bool
	done    int // files rebuilt
	bad     int // files that are not complete, or could not be written
}

type fileNow struct {
	id   uint16
	file *rebuilt // nil: nothing to write
}

// fileKey is equal for two instances of a session that send the same file.
type fileKey struct {
	group  uint32
	name   string
	mtime  uint32
	layout block.Layout
}

func keyOf(s *session.Session, req *store.Request) fileKey {
	return fileKey{s.Group, req.Name, req.MTime, req.Layout}
}

// rebuilt is a file that is being put together.
type rebuilt struct {
	key     fileKey
	id      session.ID // of the last instance
	info    store.Request
	sess    *store.Session
	file    *store.File
	missing block.Set
	buf     [1][]byte
}

var errStopped = errors.New("stopped by a signal")

func extract(t *tool) job {
	x := &extractor{
		t: t, sinks: map[uint32]*store.Sink{}, current: map[session.ID]fileNow{},
		refused: map[session.ID]bool{}, whole: map[fileKey]bool{}, kinds: map[wire.FileType]int{},
	}
	return job{
		options: []cli.Option{{Name: "partial", Set: cli.Flag(&x.partial),
			Help: "keep files of which blocks never appeared, with zeros\nin their place"}},
		run: x.run,
	}
}

func (x *extractor) run(names []string) (err error) {
	if x.dir, err = filepath.Abs(names[1]); err != nil {
		return err
	}
	defer restrict(x.t.mode(names[0]))()
	ctx, stop := cli.OnSignal(func(time.Time, int) {})
	defer stop()
	if err := os.MkdirAll(x.dir, 0o755); err != nil {
		return err
	}
	if x.root, err = os.OpenRoot(x.dir); err != nil {
		return err
	}
	defer x.root.Close()
	rerr := x.t.read(names[0], nil, func(m *session.Message) error {
		if ctx.Err() != nil {
			return errStopped // incomplete files are given up below
		}
		return x.message(m)
	}, func(error) { x.bad++ })
	for len(x.files) > 0 {
		if err := x.giveUp(x.files[0]); err != nil {
			return err
		}
	}
	fmt.Fprintf(x.t.out, "%d files rebuilt, %d not, %d directories, %d links\n", x.done, x.bad, x.kinds[wire.TypeDir], x.kinds[wire.TypeLink])
	if rerr != nil {
		return rerr
	}
	if x.bad > 0 || len(x.refused) > 0 {
		return errNo
	}
	return nil
}

// message reads one message of the sender.
func (x *extractor) message(m *session.Message) error {
	s := m.Session
	if s == nil || !x.t.wanted(s) {
		return nil
	}
	if m.Err == session.ErrNoKeys && !x.refused[s.ID] && len(x.refused) < 1024 {
		x.refused[s.ID] = true
		why := "--keylog"
		if s.Encrypted && s.Suite.KeyExch == wire.KeyExchRSA {
			why = "--keylog or --key"
		}
		fmt.Fprintf(x.t.out, "session %v is sealed and stays closed: %s is needed\n", s.ID, why)
	}
	if m.Msg == nil || s.Announced && m.Head.Src != s.Sender {
		return nil
	}
	switch m.Head.Func {
	case wire.FuncFileInfo:
		if f, err := wire.ParseFileInfo(m.Head.Version, m.Msg); err == nil {
			return x.fileInfo(m, &f)
		}
	case wire.FuncFileSeg:
		if f, err := wire.ParseFileSeg(m.Msg); err == nil {
			return x.fileSeg(s, &f)
		}
	}
	return nil
}

// sink returns the destination of a group: a directory named after it. All instances of a
// session share it, since a restart goes on with the files of earlier ones.
func (x *extractor) sink(group uint32) (*store.Sink, error) {
	if k := x.sinks[group]; k != nil {
		return k, nil
	}
	name := fmt.Sprintf("%08x", group)
	if err := x.root.Mkdir(name, 0o755); err != nil && !os.IsExist(err) {
		return nil, err
	}
	if info, err := x.root.Lstat(name); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s in %s is not a directory (%v)", name, x.dir, err)
	}
	k, err := store.NewSink(store.SinkConfig{Dests: []string{filepath.Join(x.dir, name)}})
	if err == nil {
		x.sinks[group] = k
	}
	return k, err
}

// fileInfo begins a file, or goes on with one of an earlier instance.
func (x *extractor) fileInfo(m *session.Message, f *wire.FileInfo) error {
	s := m.Session
	if now, ok := x.current[s.ID]; ok && now.id == f.FileID {
		return nil
	}
	now := fileNow{id: f.FileID}
	defer func() { x.current[s.ID] = now }()
	if f.Type == wire.TypeDelete || f.Type == wire.TypeFreeSpace {
		x.say(s, string(f.Name), "asks for %s, nothing is done", session.FileType(f.Type))
		return nil
	}
	req := store.Request{FileID: f.FileID, Type: f.Type, Name: string(f.Name), Link: string(f.Link), Size: f.Size, MTime: uint32(f.MTime)}
	if f.Type == wire.TypeFile {
		if !x.layout(s, &req) {
			return nil
		}
		key := keyOf(s, &req)
		if x.whole[key] {
			return nil // a restart announces it again for receivers that lack it
		}
		if r, err := x.earlier(key); r != nil || err != nil {
			if r != nil {
				r.id, now.file = s.ID, r
			}
			return err
		}
	}
	r, err := x.open(s, req)
	now.file = r
	if r == nil || err != nil {
		return err
	}
	for len(x.files) > openMax || x.openBlocks() > openBlocksMax {
		if err := x.giveUp(x.files[0]); err != nil {
			return err
		}
	}
	if r.missing.Count() == 0 {
		return x.finish(r)
	}
	return nil
}

// say prints a line about a file.
func (x *extractor) say(s *session.Session, name, format string, args ...any) {
	fmt.Fprintf(x.t.out, "%v %q: %s\n", s.ID, name, cli.Clean(fmt.Sprintf(format, args...)))
}

// layout sets the layout of a file. It returns false if the file cannot be rebuilt.
func (x *extractor) layout(s *session.Session, req *store.Request) bool {
	l := s.Layout(req.FileID)
	switch {
	case l == nil:
		x.say(s, req.Name, "cannot be rebuilt: no ANNOUNCE with the block size, or the size is not possible")
	case l.Blocks > openBlocksMax:
		x.say(s, req.Name, "cannot be rebuilt: more than %d blocks", openBlocksMax)
	default:
		req.Layout = *l
		return true
	}
	x.bad++
	return false
}

// earlier returns the incomplete file of an earlier instance, nil if there is none. It
// gives up another file of the same name.
func (x *extractor) earlier(key fileKey) (*rebuilt, error) {
	for _, r := range x.files {
		if r.key == key {
			return r, nil
		}
	}
	for _, r := range x.files {
		if r.key.group == key.group && r.key.name == key.name {
			return nil, x.giveUp(r) // there is at most one
		}
	}
	return nil, nil
}

// open begins a file at the destination; nil if it is refused, or is no regular file.
func (x *extractor) open(s *session.Session, req store.Request) (*rebuilt, error) {
	sink, err := x.sink(s.Group)
	if err != nil {
		return nil, err
	}
	r := &rebuilt{key: keyOf(s, &req), id: s.ID, info: req}
	r.sess = sink.Begin(store.SessionKey{Group: s.Group, Instance: s.Instance, Started: s.First})
	answer, file := r.sess.Open(req)
	if answer.Complete && answer.Status == wire.StatusRejected {
		x.bad++
		x.say(s, req.Name, "refused: %s", strings.Join(append(answer.Log, answer.Text), "; "))
		_, _, err := r.sess.End(false)
		return nil, err
	}
	if file == nil {
		x.kinds[req.Type]++
		_, _, err := r.sess.End(true)
		return nil, err
	}
	r.file = file
	r.missing.Reset(req.Layout.Blocks, true)
	x.files = append(x.files, r)
	return r, nil
}

// openBlocks counts the blocks of the incomplete files.
func (x *extractor) openBlocks() (n int) {
	for _, r := range x.files {
		n += r.info.Layout.Blocks
	}
	return n
}

// fileSeg writes a block that is new.
func (x *extractor) fileSeg(s *session.Session, f *wire.FileSeg) error {
	now := x.current[s.ID]
	r := now.file
	if r == nil || now.id != f.FileID || r.file == nil {
		return nil
	}
	l := &r.info.Layout
	i, ok := l.Index(int(f.Section), int(f.Block))
	if !ok || l.Len(i) != len(f.Data) || !r.missing.Has(i) {
		return nil
	}
	r.buf[0] = f.Data
	if err := r.file.WriteAt(r.buf[:], l.Offset(i)); err != nil {
		return err
	}
	r.missing.Remove(i)
	if r.missing.Count() == 0 {
		return x.finish(r)
	}
	return nil
}

// finish gives a file its name.
func (x *extractor) finish(r *rebuilt) error {
	x.forget(r)
	done, err := r.file.Finish()
	r.file = nil
	if err != nil {
		x.bad++
		fmt.Fprintf(x.t.out, "%v %q: %s\n", r.id, r.info.Name, cli.Clean(err.Error()))
		_, _, err = r.sess.End(false)
		return err
	}
	if n := r.missing.Count(); n == 0 {
		x.done++
		if len(x.whole) >= wholeMax {
			clear(x.whole)
		}
		x.whole[r.key] = true
		fmt.Fprintf(x.t.out, "%v %q: %d bytes in %s\n", r.id, r.info.Name, r.info.Size, cli.Clean(x.short(done.Path)))
	}
	_, _, err = r.sess.End(true)
	return err
}

// giveUp prints which blocks of a file never appeared.
func (x *extractor) giveUp(r *rebuilt) error {
	x.bad++
	n, l := r.missing.Count(), &r.info.Layout
	fmt.Fprintf(x.t.out, "%v %q: %d of %d blocks never appeared:", r.id, r.info.Name, n, l.Blocks)
	const ranges = 20
	shown := 0
	for i := r.missing.Next(0); i < l.Blocks; shown++ {
		if shown == ranges {
			fmt.Fprint(x.t.out, " ...")
			break
		}
		j := i + 1
		for j < l.Blocks && r.missing.Has(j) {
			j++
		}
		s, b := l.Section(i)
		fmt.Fprintf(x.t.out, " %d-%d (section %d from block %d)", i, j-1, s, b)
		if j >= l.Blocks {
			break
		}
		i = r.missing.Next(j)
	}
	fmt.Fprintln(x.t.out)
	if x.partial {
		return x.finish(r)
	}
	x.forget(r)
	err := r.file.Abandon(&r.missing)
	r.file = nil
	if _, _, eerr := r.sess.End(false); err == nil {
		err = eerr
	}
	return err
}

// forget removes a file from the list of incomplete ones.
func (x *extractor) forget(r *rebuilt) {
	for i, o := range x.files {
		if o == r {
			x.files = append(x.files[:i], x.files[i+1:]...)
			return
		}
	}
}

// short returns a path below the directory that the user named.
func (x *extractor) short(path string) string {
	if rel, err := filepath.Rel(x.dir, path); err == nil {
		return rel
	}
	return path
}
