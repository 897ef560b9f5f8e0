package house

import (
	"go/ast"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// floor is the height of every package; imports point down only.
var floor = map[string]int{
	"uftp/wire":             0,
	"uftp/engine/ring":      0,
	"uftp/engine/block":     0,
	"uftp/engine/clock":     0,
	"uftp/engine/machine":   1,
	"uftp/engine/cc":        2,
	"uftp/engine/group":     2,
	"uftp/engine/seal":      2,
	"uftp/engine/dialect":   3,
	"uftp/engine/netio":     3,
	"uftp/engine/store":     3,
	"uftp/pcap":             3,
	"uftp/pcap/frames":      4,
	"uftp/crypto/identity":  1,
	"uftp/crypto/aead":      1,
	"uftp/crypto/keylog":    3,
	"uftp/crypto/handshake": 2,
	"uftp/engine/sender":    4,
	"uftp/engine/receiver":  4,
	"uftp/engine/tap":       4,
	"uftp/engine/disk":      4,
	"uftp/engine/sim":       5,
	"uftp/engine":           5,
	"uftp/cmd/version":      6,
	"uftp/cmd/cli":          7,
	"uftp/cmd/outfile":      7,
	"uftp/cmd/lists":        7,
}

// height returns the floor of a package. Commands and tools are not listed: they stand on top.
func height(path string) (int, bool) {
	if h, ok := floor[path]; ok {
		return h, true
	}
	for _, top := range []string{"uftp/cmd/", "uftp/tools/", "uftp/bench"} {
		if strings.HasPrefix(path, top) {
			if strings.Contains(path, "/internal/") || strings.HasSuffix(path, "/netlab") {
				return 7, true
			}
			return 8, true
		}
	}
	return 0, false
}

// onTop reports whether a package is a command or a tool, which may do anything.
func onTop(path string) bool {
	h, _ := height(path)
	return h >= 6
}

func load(t *testing.T) []*packages.Package {
	t.Helper()
	cfg := &packages.Config{
		Dir:  "../..",
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports,
	}
	pkgs, err := packages.Load(cfg, "./...")
	if err != nil {
		t.Fatal(err)
	}
	if packages.PrintErrors(pkgs) > 0 {
		t.Fatal("the tree does not compile")
	}
	if len(pkgs) < len(floor) {
		t.Fatalf("only %d packages found", len(pkgs))
	}
	return pkgs
}

// TestHouse reads the import graph and the syntax trees of everything but tests.
func TestHouse(t *testing.T) {
	for _, p := range load(t) {
		checkImports(t, p)
		for i, f := range p.Syntax {
			checkFile(t, p, filepath.Base(p.GoFiles[i]), f)
			checkLength(t, p, f)
		}
	}
}

func checkImports(t *testing.T, p *packages.Package) {
	own, ok := height(p.PkgPath)
	if !ok {
		t.Errorf("%s has no floor: give it one here and in docs/architecture.md", p.PkgPath)
		return
	}
	for path := range p.Imports {
		if !strings.HasPrefix(path, "uftp/") {
			continue
		}
		if h, ok := height(path); ok && h >= own && !(own == 7 && h == 7) {
			t.Errorf("%s (floor %d) imports %s (floor %d): imports point down only", p.PkgPath, own, path, h)
		}
	}
	for _, banned := range bannedImports(p.PkgPath) {
		if p.Imports[banned] != nil {
			t.Errorf("%s must not import %q", p.PkgPath, banned)
		}
	}
}

// isMachine reports whether a package is a machine or part of one.
func isMachine(path string) bool {
	switch path {
	case "uftp/engine/sender", "uftp/engine/receiver", "uftp/engine/dialect", "uftp/engine/machine", "uftp/engine/group",
		"uftp/engine/cc", "uftp/engine/seal", "uftp/engine/block", "uftp/engine/clock", "uftp/wire":
		return true
	}
	return false
}

// isStage names the packages whose Run moves bytes on a goroutine that package engine starts.
// A stage may wait, on channels and timers. It does not ask for the time: engine hands it a
// clock, and a test hands it another.
func isStage(path string) bool {
	switch path {
	case "uftp/engine/netio", "uftp/engine/disk", "uftp/engine/tap":
		return true
	}
	return false
}

// Functions of package time that say what time it is, and those that wait.
var (
	askTime  = []string{"Now", "Since", "Until"}
	waitTime = []string{"Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}
)

func bannedImports(path string) []string {
	if onTop(path) {
		return nil
	}
	banned := []string{"log", "log/slog"}
	if path != "uftp/engine/netio" {
		banned = append(banned, "syscall", "golang.org/x/net/ipv4", "golang.org/x/net/ipv6")
		if path == "uftp/engine/store" {
			banned = banned[:2]
		}
	}
	if isMachine(path) {
		banned = append(banned, "sync", "sync/atomic", "os", "net", "io/fs", "golang.org/x/sys/unix")
	}
	return banned
}

// mayBeUnsafe names the files that may import unsafe: the socket calls, the
// vectored file calls whose argument lists would else be built on the heap, and the
// batches of a tool that carries frames.
func mayBeUnsafe(path, file string) bool {
	return path == "uftp/engine/netio" || path == "uftp/engine/store" && file == "vec_linux.go" ||
		path == "uftp/tools/uftp-linksim" && file == "socket_linux.go"
}

func checkFile(t *testing.T, p *packages.Package, name string, f *ast.File) {
	pos := func(n ast.Node) string { return p.Fset.Position(n.Pos()).String() }
	for _, im := range f.Imports {
		if im.Path.Value == `"unsafe"` && !mayBeUnsafe(p.PkgPath, name) {
			t.Errorf("%s: unsafe belongs into engine/netio", pos(im))
		}
	}
	if onTop(p.PkgPath) {
		return
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if p.PkgPath != "uftp/engine" {
				t.Errorf("%s: only package engine starts goroutines", pos(n))
			}
		case *ast.RangeStmt:
			if isMachine(p.PkgPath) {
				if _, isMap := p.TypesInfo.TypeOf(n.X).Underlying().(*types.Map); isMap {
					t.Errorf("%s: a machine that ranges over a map is not the same twice", pos(n))
				}
			}
		case *ast.SelectorExpr:
			checkUse(t, p, pos(n), n)
		}
		return true
	})
}

// longest is how many lines a function may have in the packages that move data or set up
// what moves it.
const longest = 70

// moves reports whether a package moves data or sets up what does.
func moves(path string) bool {
	for _, part := range []string{"uftp/engine", "uftp/wire", "uftp/crypto", "uftp/pcap"} {
		if path == part || strings.HasPrefix(path, part+"/") {
			return true
		}
	}
	return false
}

func checkLength(t *testing.T, p *packages.Package, f *ast.File) {
	if !moves(p.PkgPath) {
		return
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		from, to := p.Fset.Position(fn.Pos()), p.Fset.Position(fn.End())
		if n := to.Line - from.Line + 1; n > longest {
			t.Errorf("%v: %s has %d lines, more than %d", from, fn.Name.Name, n, longest)
		}
	}
}

// filesOnly are functions of package os that touch files.
var filesOnly = []string{
	"Open", "OpenFile", "OpenRoot", "Create", "CreateTemp", "Remove", "RemoveAll", "Rename", "Mkdir", "MkdirAll", "MkdirTemp",
	"ReadFile", "WriteFile", "ReadDir", "Stat", "Lstat", "Symlink", "Link", "Readlink", "Chmod", "Chtimes", "Truncate", "NewFile",
}

func checkUse(t *testing.T, p *packages.Package, pos string, sel *ast.SelectorExpr) {
	obj := p.TypesInfo.Uses[sel.Sel]
	if obj == nil || obj.Pkg() == nil {
		return
	}
	fn, isFunc := obj.(*types.Func)
	if !isFunc {
		return
	}
	method := fn.Signature().Recv() != nil
	switch pkg, name := obj.Pkg().Path(), obj.Name(); {
	case pkg == "time" && !method && slices.Contains(askTime, name):
		if p.PkgPath != "uftp/engine" {
			t.Errorf("%s: only package engine asks for the time (time.%s)", pos, name)
		}
	case pkg == "time" && !method && slices.Contains(waitTime, name):
		if p.PkgPath != "uftp/engine" && !isStage(p.PkgPath) {
			t.Errorf("%s: only package engine and its stages wait (time.%s)", pos, name)
		}
	case pkg == "sync" && method && name == "Go":
		if p.PkgPath != "uftp/engine" {
			t.Errorf("%s: only package engine starts goroutines", pos)
		}
	case pkg == "os" && !method && slices.Contains(filesOnly, name):
		// A socket that package net does not know is a file to the library.
		if p.PkgPath != "uftp/engine/store" && !(p.PkgPath == "uftp/engine/netio" && name == "NewFile") {
			t.Errorf("%s: only engine/store touches files (os.%s)", pos, name)
		}
	case pkg == "net" && !method && (strings.HasPrefix(name, "Listen") || strings.HasPrefix(name, "Dial")):
		if p.PkgPath != "uftp/engine/netio" {
			t.Errorf("%s: only engine/netio touches sockets (net.%s)", pos, name)
		}
	}
}
