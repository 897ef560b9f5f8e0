//go:build linux

package main

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"uftp/tools/netlab"
)

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args            string
		cases, programs int
		ok              bool
	}{
		{"", 16, 7, true},
		{"-blocks 8800 -ciphers none -receivers 1 -loss 0,0.5", 2, 7, true},
		{"-files 1,10000", 32, 7, true},
		{"-files 0", 0, 0, false},
		{"-programs ours", 16, 2, true},
		{"-programs ours-B,iperf", 16, 2, true},
		{"-blocks 100", 0, 0, false},
		{"-blocks 1300.5", 0, 0, false},
		{"-receivers 0", 0, 0, false},
		{"-loss 1,x", 0, 0, false},
		{"-loss NaN", 0, 0, false},
		{"-rates -5", 0, 0, false},
		{"-rounds 0", 0, 0, false},
		{"-geo", 8, 7, true},
		{"-geo -receivers 3 -size 4 -rounds 1", 8, 7, true},
		{"-geo -receivers 3,4", 0, 0, false},
		{"-geo -pacing", 0, 0, false},
		{"operand", 0, 0, false},
	} {
		s, err := parse(strings.Fields(c.args), io.Discard)
		if (err == nil) != c.ok {
			t.Errorf("%q: %v, want it to be right: %v", c.args, err, c.ok)
		}
		if err == nil && (len(s.cases) != c.cases || len(s.variants) != c.programs) {
			t.Errorf("%q gives %d cases and %d programs, want %d and %d", c.args, len(s.cases), len(s.variants), c.cases, c.programs)
		}
	}
	s, err := parse([]string{"-geo"}, io.Discard)
	if err != nil || s.receivers != geoReceivers || s.size != geoSizeMiB<<20 || s.rounds != geoRounds || s.timeout != geoTimeout {
		t.Errorf("-geo alone: %+v, %v, want the sizes of the satellite", s, err)
	}
	if s, err = parse(strings.Fields("-geo -receivers 3 -size 4 -timeout 9s"), io.Discard); err != nil || s.receivers != 3 || s.size != 4<<20 || s.timeout != 9*time.Second {
		t.Errorf("-geo with sizes: %+v, %v, want those given", s, err)
	}
}

func TestMTU(t *testing.T) {
	for block, want := range map[int]int{1300: 1500, 1384: 1500, 1400: 9000, 8800: 9000} {
		if got := (testCase{block: block}).mtu(); got != want {
			t.Errorf("blocks of %d bytes run over an MTU of %d, want %d", block, got, want)
		}
	}
}

func TestElapsed(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
	}{
		{"a\nTotal elapsed time: 1.500 seconds\nTotal elapsed time: 0.250 seconds\n", 250 * time.Millisecond},
		{"nothing", 0},
		{"Total elapsed time: 0.000 seconds", 0},
		{"Total elapsed time: 1.2.3 seconds", 0},
	} {
		got, err := elapsed(c.text)
		if got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%q: %v, %v, want %v", c.text, got, err, c.want)
		}
	}
}

func TestReadIperf(t *testing.T) {
	for _, c := range []struct {
		why, text string
		gbps      float64
	}{
		{"what the server received counts", `{"end":{"sum":{"seconds":2,"bytes":9e9,"lost_percent":90},"sum_received":{"seconds":2,"bytes":1e9}}}`, 4},
		{"without it, what was sent less what was lost", `{"end":{"sum":{"seconds":1,"bytes":1e9,"lost_percent":50}}}`, 4},
		{"an error report", `{"error":"no route"}`, 0},
		{"no JSON", `iperf3: error`, 0},
	} {
		m, err := readIperf([]byte(c.text))
		if math.Abs(m.gbps()-c.gbps) > 1e-9 || (err == nil) != (c.gbps > 0) {
			t.Errorf("%s: %v Gbit/s, %v, want %v", c.why, m.gbps(), err, c.gbps)
		}
	}
}

func measured(gbps ...float64) (list []measurement) {
	for _, g := range gbps {
		list = append(list, measurement{bytes: int64(g * 1e9 / 8), elapsed: time.Second, whole: 2 * time.Second})
	}
	return list
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := writeTable(&b, testCase{1300, "none", 1, 1, 1}, []outcome{
		{v: variant{stock, 0}, rate: 2000, runs: measured(2, 1, 3)},
		{v: variant{stock, bufMax}, rate: -1, failed: 0},
		{v: variant{ours, 0}, rate: unlimited, runs: measured(6, 8), failed: 1},
	}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(b.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"# block=1300/cipher=none/receivers=1/loss=1",
		"# program asked Mbit/s median low high x stock x stock-B100M failed",
		"# ours no limit 7.00 6.00 8.00 3.50 - 1",
		"# stock 2000 2.00 1.00 3.00 1.00 - 0",
		"# stock-B100M none works 0.00 0.00 0.00 - - 0",
		"#",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestBenchLine(t *testing.T) {
	got := benchLine(testCase{8800, "aes256-gcm", 4, 0, 1}, variant{ours, bufMax}, 5000, measured(4)[0])
	const want = "BenchmarkCompare/block=8800/cipher=aes256-gcm/receivers=4/loss=0/program=ours-B100M\t1\t1000000000 ns/op\t500.00 MB/s\t4.000 Gbit/s\t5000 asked-Mbit/s\t2.000 command-s"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSameBytes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	long := strings.Repeat("0123456789", 150_000)
	want := write("want", long)
	for _, c := range []struct {
		why, text string
		same      bool
	}{
		{"equal", long, true}, {"shorter", long[1:], false}, {"longer", long + "x", false}, {"another last byte", long[1:] + "x", false}, {"empty", "", false},
	} {
		if err := sameBytes(want, write("got", c.text)); (err == nil) != c.same {
			t.Errorf("%s: %v", c.why, err)
		}
	}
	if sameBytes(want, filepath.Join(dir, "none")) == nil {
		t.Error("a file that is not there is no copy")
	}
	if err := sameBytes(write("a", ""), write("b", "")); err != nil {
		t.Errorf("two empty files: %v", err)
	}
}

// trains are n trains of size bytes each, every so often.
func trains(n, size int, every time.Duration) (list []departure) {
	for i := range n {
		list = append(list, departure{time.Duration(i) * every, size})
	}
	return list
}

func TestJudge(t *testing.T) {
	const rate = 1e6 // bytes/s
	near := func(why string, got, want, tolerance float64) {
		t.Helper()
		if math.Abs(got-want) > tolerance {
			t.Errorf("%s: %v, want %v", why, got, want)
		}
	}
	e := judge(trains(1000, 1000, time.Millisecond), rate)
	near("an even flow has the rate", e.total, 1, 1e-9)
	near("everywhere", e.worstPct, 0, 1e-9)
	near("its burst is a train, ms", e.burst.Seconds()*1e3, 1, 1e-6)
	near("its gap is a train, ms", e.gap.Seconds()*1e3, 1, 1e-6)
	near("all spans are good, %", e.within2, 100, 0)

	e = judge(trains(1000, 1100, time.Millisecond), rate)
	near("10 % too fast everywhere", e.worstPct, 10, 1e-6)
	near("no span is good, %", e.within2, 0, 0)
	near("and ahead by what it has gained, ms", e.burst.Seconds()*1e3, 1.1+999*0.1, 1e-6)

	stalled := trains(1000, 1000, time.Millisecond)
	for i := 500; i < 505; i++ {
		stalled[i].at = 505 * time.Millisecond // six at once
	}
	e = judge(stalled, rate)
	near("a stall of 6 ms, ms", e.gap.Seconds()*1e3, 6, 1e-6)
	near("and what was made up for, ms", e.burst.Seconds()*1e3, 6, 1e-6)
	near("the rate has not changed", e.total, 1, 1e-9)
	if e.worstPct < 30 || e.within2 < 90 || e.within2 > 99.5 {
		t.Errorf("one stall: the worst span is %.1f %% off, %.1f %% of them are good", e.worstPct, e.within2)
	}
	if e := judge(trains(1, 5, 0), rate); e != (evenness{}) {
		t.Errorf("one train says nothing, got %+v", e)
	}
}

func TestReadDepartures(t *testing.T) {
	const block = 1000
	path := filepath.Join(t.TempDir(), "x.pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := pcapgo.NewWriterNanos(f)
	if err := w.WriteFileHeader(snapBytes, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i, n := range []int{3, 1} {
		length := etherBytes + ipUDPBytes + n*(block+headerBytes)
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(1, int64(i)*1234567), CaptureLength: snapBytes, Length: length}
		if err := w.WritePacket(ci, make([]byte, snapBytes)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := readDepartures(path, block, 4)
	if err != nil || len(got) != 2 || got[0] != (departure{0, 3 * (block + 52)}) || got[1] != (departure{1234567, block + 52}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := readDepartures(path, block, 5); err == nil {
		t.Error("a datagram is missing and nobody says so")
	}
}

// TestOneRound runs one small case of each kind of program.
func TestOneRound(t *testing.T) {
	netlab.Require(t, "uftp", "uftpd", "iperf3")
	dir := t.TempDir()
	var out, progress bytes.Buffer
	args := "-blocks 1300 -ciphers none -receivers 1 -loss 0 -files 1,20 -rates 500 -size 8 -rounds 1 -results " + dir
	if err := mainErr(t.Context(), strings.Fields(args), &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	for _, p := range []string{
		"loss=0/program=ours", "ours-B100M", "mixed", "mixed-B100M", "stock", "stock-B100M", "iperf3",
		"files=20/program=ours", "files=20/program=stock",
	} {
		if !strings.Contains(out.String(), p+"\t1\t") {
			t.Errorf("no line of %s in\n%s%s", p, &out, &progress)
		}
	}
	kept, err := filepath.Glob(filepath.Join(dir, "20??-??-??.txt"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("results are in %v, %v, want one file of the day", kept, err)
	}
	if text, err := os.ReadFile(kept[0]); err != nil || string(text) != out.String()+"\n" {
		t.Errorf("the file has not got what was printed: %v", err)
	}
}
