package report

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"uftp/cmd/cli"
	"uftp/engine/sender"
)

// Limits of the table at the end.
const (
	tableMax    = 64 // receivers, and files, with single results
	tableAcross = 6  // columns of single results
	tableDown   = 40 // lines of single results
	worstMax    = 10 // receivers or files that are named when there are too many
	nameWidth   = 24
)

// results is the data of the table: single results if they are few, and the files that did not
// reach every receiver.
type results struct {
	names   []string // of clients other than proxies
	column  []int    // client index to place in names, -1 for proxies
	files   []string
	cells   [][]string // by file, then by receiver
	all     int        // finished files
	skipped int        // operands or files not sent
	worst   []badFile

	took         []tookFile // as many as the limits below allow
	untried      int        // files that the session did not get to; the first names; whether there are more
	untriedNames []string
	untriedMore  bool
	confirmed    []bool // by client: it has confirmed the session; nil before the end
}

// Limits of what is remembered about files, in case receivers do not confirm the session.
const (
	tookMax     = 1 << 16 // files
	tookBitsMax = 1 << 20 // files times clients
)

// tookFile is a file that receivers have taken.
type tookFile struct {
	name string
	size int64
	by   bits // client indexes
}

type bits []uint64

func (b bits) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

// takes remembers which clients took a file.
func (r *results) takes(e *sender.FileEnded) {
	if len(r.took) >= tookMax || (len(r.took)+1)*len(r.column) > tookBitsMax {
		return
	}
	x := tookFile{name: e.File.Name, size: e.File.Size, by: make(bits, (len(r.column)+63)/64)}
	any := false
	for i := range e.Results {
		at := e.Results[i].Client.Index
		if _, done := outcome(&e.Results[i]); done && at >= 0 && at < len(r.column) {
			x.by.set(at)
			any = true
		}
	}
	if any {
		r.took = append(r.took, x)
	}
}

// isConfirmed reports whether client i has confirmed the session.
func (r *results) isConfirmed(i int) bool { return i < len(r.confirmed) && r.confirmed[i] }

// cell is the final result of a file at client i.
func (r *results) cell(file, i int) string {
	c := r.cells[file][r.column[i]]
	if word, _, _ := strings.Cut(c, " "); (word == "ok" || word == "overwritten") && !r.isConfirmed(i) {
		return "unconfirmed"
	}
	return c
}

type badFile struct {
	name        string
	failed, all int
	first       string // the first receiver without it, and the reason
}

func (r *results) begin(clients []sender.Client) {
	r.column = make([]int, len(clients))
	for i, c := range clients {
		r.column[i] = -1
		if !c.Proxy {
			r.column[i] = len(r.names)
			r.names = append(r.names, c.Name)
		}
	}
}

func (r *results) add(e sender.FileEnded) {
	r.all++
	r.takes(&e)
	keep := len(r.files) < tableMax && len(r.names) <= tableMax
	var row []string
	if keep {
		row = make([]string, len(r.names))
	}
	bad := badFile{name: e.File.Name, all: len(e.Results)}
	for i := range e.Results {
		res := &e.Results[i]
		word, done := outcome(res)
		if !done && word != "skipped" {
			if bad.failed++; bad.failed == 1 {
				bad.first = res.Client.Name + ": " + word
			}
		}
		if at := res.Client.Index; keep && at >= 0 && at < len(r.column) && r.column[at] >= 0 {
			row[r.column[at]] = cell(word, done, res)
		}
	}
	if keep {
		r.files = append(r.files, e.File.Name)
		r.cells = append(r.cells, row)
	}
	if bad.failed == 0 {
		return
	}
	r.worst = append(r.worst, bad)
	sort.SliceStable(r.worst, func(i, j int) bool { return r.worst[i].failed > r.worst[j].failed })
	r.worst = r.worst[:min(len(r.worst), worstMax)]
}

func cell(word string, done bool, r *sender.Result) string {
	if !done {
		return word
	}
	if word == "copy" {
		word = "ok"
	}
	if r.Elapsed > 0 {
		word += fmt.Sprintf(" %.2fs", r.Elapsed.Seconds())
	}
	return word
}

// Table writes the result of the session, receivers by files. If there are too many of either, it
// writes sums for the receivers with the most failures, and names the files that reached the
// fewest.
func (s *Sender) Table(w io.Writer) {
	r := &s.results
	if len(r.names) == 0 || r.all == 0 {
		return
	}
	var grid [][]string
	whole := len(r.files) == r.all
	switch {
	case whole && len(r.files) <= tableAcross && len(r.names) <= tableDown:
		grid = s.byReceiver()
	case whole && len(r.names) <= tableAcross && len(r.files) <= tableDown:
		grid = s.byFile()
	default:
		grid = s.sums()
	}
	fmt.Fprintln(w)
	writeGrid(w, grid)
	if !whole || len(r.files) > tableAcross && len(r.names) > tableAcross {
		s.worstFiles(w)
	}
	complete := 0
	for i, c := range s.clients {
		if !c.Proxy && s.totals[i].failed == 0 && r.isConfirmed(i) {
			complete++
		}
	}
	have := "have"
	if complete == 1 || len(r.names) == 1 {
		have = "has"
	}
	fmt.Fprintf(w, "%d of %s %s everything; %s", complete, cli.Count(len(r.names), "receiver"), have, cli.Count(r.all, "file"))
	if r.skipped > 0 {
		fmt.Fprintf(w, ", %d skipped here", r.skipped)
	}
	if r.untried > 0 {
		more := ""
		if r.untriedMore {
			more = "more than "
		}
		fmt.Fprintf(w, ", %s%d not tried", more, r.untried)
	}
	fmt.Fprintln(w)
	for _, name := range r.untriedNames {
		fmt.Fprintf(w, "not tried: %s\n", cli.Clean(name))
	}
	if n := r.untried - len(r.untriedNames); n > 0 {
		fmt.Fprintf(w, "not tried: %d more\n", n)
	}
	for _, line := range s.shared {
		fmt.Fprintln(w, cli.Clean(line))
	}
}

// byReceiver is one line a receiver, one column a file.
func (s *Sender) byReceiver() [][]string {
	r := &s.results
	head := []string{"receiver"}
	for _, f := range r.files {
		head = append(head, tail(f))
	}
	grid := [][]string{append(head, "NAKs")}
	for i, c := range s.clients {
		if r.column[i] < 0 {
			continue
		}
		line := []string{tail(c.Name)}
		for f := range r.files {
			line = append(line, r.cell(f, i))
		}
		grid = append(grid, append(line, fmt.Sprint(s.totals[i].naks)))
	}
	return grid
}

// byFile is one line a file, one column a receiver.
func (s *Sender) byFile() [][]string {
	r := &s.results
	head := []string{"file"}
	for _, n := range r.names {
		head = append(head, tail(n))
	}
	grid := [][]string{head}
	for f, name := range r.files {
		line := []string{tail(name)}
		for i, at := range r.column {
			if at >= 0 {
				line = append(line, r.cell(f, i))
			}
		}
		grid = append(grid, line)
	}
	return grid
}

// sums is one line a receiver, worst first.
func (s *Sender) sums() [][]string {
	var order []int
	for i, c := range s.clients {
		if !c.Proxy {
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(a, b int) bool {
		x, y := &s.totals[order[a]], &s.totals[order[b]]
		if a, b := x.failed+x.unconfirmed, y.failed+y.unconfirmed; a != b {
			return a > b
		}
		return x.naks > y.naks
	})
	unconfirmed := slices.ContainsFunc(s.totals, func(t total) bool { return t.unconfirmed > 0 })
	head := []string{"receiver", "files ok", "skipped", "failed", "data", "NAKs"}
	if unconfirmed {
		head = append(head, "unconfirmed")
	}
	grid := [][]string{head}
	for n, i := range order {
		if n == worstMax {
			grid = append(grid, []string{fmt.Sprintf("(%d more)", len(order)-n)})
			break
		}
		t := &s.totals[i]
		line := []string{tail(s.clients[i].Name), fmt.Sprint(t.copies + t.overwrites), fmt.Sprint(t.skips),
			fmt.Sprint(t.failed), size(t.bytes), fmt.Sprint(t.naks)}
		if unconfirmed {
			line = append(line, fmt.Sprint(t.unconfirmed))
		}
		grid = append(grid, line)
	}
	return grid
}

func (s *Sender) worstFiles(w io.Writer) {
	for _, f := range s.results.worst {
		fmt.Fprintf(w, "%s: missing at %d of %s (%s)\n", tail(f.name), f.failed, cli.Count(f.all, "receiver"), fit(f.first, 2*nameWidth))
	}
}

// tail returns the end of a name, as long as a column is wide.
func tail(name string) string {
	name = cli.Clean(name)
	if utf8.RuneCountInString(name) <= nameWidth {
		return name
	}
	r := []rune(name)
	return "…" + string(r[len(r)-nameWidth+1:])
}

// writeGrid aligns columns; a line may have fewer of them.
func writeGrid(w io.Writer, grid [][]string) {
	var width []int
	for _, line := range grid {
		for i, c := range line {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	for _, line := range grid {
		var b strings.Builder
		for i, c := range line {
			b.WriteString(c)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}
