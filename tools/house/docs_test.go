package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"uftp/wire"
)

const root = "../.."

// extensions names the section of docs/protocol.md that each constant of type wire.Ext has.
var extensions = map[string]string{
	"ExtEncInfo":   "ENC_INFO",
	"ExtTFMCCData": "TFMCC_DATA_INFO",
	"ExtTFMCCAck":  "TFMCC_ACK_INFO",
	"ExtFreeSpace": "FREESPACE_INFO",
}

// TestProtocolPage checks that docs/protocol.md has a section for every message and
// extension, and that every section exists that a comment cites.
func TestProtocolPage(t *testing.T) {
	sections := headings(t, "docs/protocol.md")
	messages := 0
	for n := range 256 {
		f := wire.Func(n)
		if name := f.String(); !strings.HasPrefix(name, "Func(") {
			messages++
			if !slices.Contains(sections, name) {
				t.Errorf("docs/protocol.md has no section %q for message %d", name, n)
			}
		}
	}
	if want := len(constsOf(t, "wire", "Func")); messages != want {
		t.Errorf("%d messages have a name, want all %d", messages, want)
	}
	consts := constsOf(t, "wire", "Ext")
	if len(consts) == 0 {
		t.Error("package wire has no extensions")
	}
	for _, name := range consts {
		if section := extensions[name]; section == "" || !slices.Contains(sections, section) {
			t.Errorf("docs/protocol.md has no section for wire.%s, or the table above does not know it", name)
		}
	}
	// The name may stand on the next line of a comment.
	cite := regexp.MustCompile(`docs/protocol\.md,(?:\s|//|#)*"([^"]*)"`)
	cited := 0
	eachText(t, func(path, text string) {
		for _, m := range cite.FindAllStringSubmatch(text, -1) {
			cited++
			// A cited name may be broken over two lines of a comment.
			name := strings.Join(strings.FieldsFunc(m[1], func(r rune) bool { return r == '\n' || r == '\t' || r == '/' || r == '#' || r == ' ' }), " ")
			if !slices.Contains(sections, name) {
				t.Errorf("%s cites section %q of docs/protocol.md, which does not exist", path, name)
			}
		}
	})
	if cited == 0 {
		t.Error("no section is cited: the search is broken")
	}
}

// TestForeignPages checks that nothing cites a specification page that is not in the
// repository.
func TestForeignPages(t *testing.T) {
	foreign := regexp.MustCompile(`\b(v[45]-[a-z-]+|x1-extension)\.md\b`)
	eachText(t, func(path, text string) {
		for _, name := range foreign.FindAllString(text, -1) {
			t.Errorf("%s cites %s, which is not in the repository: cite docs/protocol.md", path, name)
		}
	})
}

// TestArchitecturePage checks that the files and packages that docs/architecture.md names exist,
// that it names every package, and that its table has the floors of the test.
func TestArchitecturePage(t *testing.T) {
	const page = "docs/architecture.md"
	b, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile("`([a-z_]+(?:/[a-z0-9_.-]+)*)`")
	_, table, _ := strings.Cut(string(b), "## Floors")
	table, _, _ = strings.Cut(table, "\n## ")
	at := ""
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		if n := strings.TrimSpace(cells[1]); n != "" {
			at = n
		}
		for _, m := range path.FindAllStringSubmatch(cells[2], -1) {
			if h, ok := height("uftp/" + m[1]); !ok || fmt.Sprint(h) != at {
				t.Errorf("%s puts %s on floor %s, want %d", page, m[1], at, h)
			}
		}
	}
	named := map[string]bool{}
	for _, m := range path.FindAllStringSubmatch(string(b), -1) {
		path := m[1]
		named[path] = true
		if !strings.Contains(path, "/") {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Errorf("%s names %s, which does not exist", page, path)
		}
	}
	for name := range floor {
		if name = strings.TrimPrefix(name, "uftp/"); !named[name] {
			t.Errorf("%s does not name package %s", page, name)
		}
	}
}

// headings returns the section names of a page.
func headings(t *testing.T, page string) (all []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if name := strings.TrimLeft(line, "#"); name != line {
			all = append(all, strings.TrimSpace(name))
		}
	}
	slices.Sort(all)
	if twice := len(all) - len(slices.Compact(slices.Clone(all))); twice > 0 {
		t.Errorf("%s: %d section names are there twice", page, twice)
	}
	return all
}

// constsOf returns the names of the constants of one declared type of a package.
func constsOf(t *testing.T, dir, typ string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				if id, ok := v.Type.(*ast.Ident); !ok || id.Name != typ {
					continue
				}
				for _, n := range v.Names {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}

// eachText calls do with every text of the repository that people write.
func eachText(t *testing.T, do func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "fuzz" || path == filepath.Join(root, "bin")):
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".s", ".md", ".txt", ".sh", ".yml", ".json", ".service":
		default:
			if d.Name() != "Makefile" {
				return nil
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		do(strings.TrimPrefix(path, root+"/"), string(b))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
