package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/store"
	"uftp/engine/tap"
	"uftp/pcap"
	"uftp/pcap/frames"
	"uftp/wire"
)

// capturedTo is a capture of n files of some bytes.
func capturedTo(path string, bytes int64, n int) tap.Config {
	return tap.Config{Files: store.CaptureConfig{Path: path, FileBytes: bytes, Files: n}, Application: "engine test"}
}

// readRing returns the datagrams of all files of a capture, the oldest first.
func readRing(t testing.TB, path string) (list []pcap.Datagram) {
	t.Helper()
	names, err := filepath.Glob(path + "*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no files of %s: %v", path, err)
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) + bytes.Compare([]byte(b), []byte(a)) })
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := frames.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		for d, err := range r.All() {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, d)
		}
	}
	return list
}

// TestCaptureAtBothEnds captures a session at its sender and at its receiver, in files
// that are too small for it. Every datagram sent and received is there, with the addresses
// of the other end, in the order of events.
func TestCaptureAtBothEnds(t *testing.T) {
	for _, six := range []bool{false, true} {
		t.Run(fmt.Sprintf("IPv6 %v", six), func(t *testing.T) {
			dir := t.TempDir()
			host := netip.MustParseAddr("127.0.0.1")
			if six {
				host = netip.IPv6Loopback()
			}
			p := startReceiver(t, func(cfg *ReceiveConfig) {
				cfg.Net.IPv6 = six
				cfg.Capture = capturedTo(filepath.Join(dir, "rx"), 1e6, 20)
			})
			cfg := p.config(20e6, 1300, p.file("f", 5_000_000))
			cfg.Net.IPv6 = six
			cfg.Session.Public = netip.AddrPortFrom(host, p.port)
			cfg.Session.Private = cfg.Session.Public
			cfg.Capture = capturedTo(filepath.Join(dir, "tx"), 1e6, 20)
			res, events := send(t, context.Background(), cfg)
			if res.Exit != sender.ExitOK {
				t.Fatalf("exit %d", res.Exit)
			}
			p.stop()
			p.wait()
			p.wantSame("f")

			here := readRing(t, filepath.Join(dir, "tx"))
			there := readRing(t, filepath.Join(dir, "rx"))
			for _, ev := range slices.Concat(events, p.events) {
				switch ev.(type) {
				case tap.Lost, tap.Failed:
					t.Errorf("%+v, want nothing lost", ev)
				}
			}
			if n := res.Stats.Net.TxDatagrams + res.Stats.Net.RxDatagrams; uint64(len(here)) != n {
				t.Errorf("%d datagrams in the capture, %d went through the socket", len(here), n)
			}
			checkStory(t, "sender", here, cfg.Session.Public)
			checkStory(t, "receiver", there, cfg.Session.Public)
			// What one end has heard is what the other has said, and nothing else.
			for _, from := range []bool{true, false} {
				said, heard := side(here, cfg.Session.Public, from), side(there, cfg.Session.Public, from)
				if !from {
					said, heard = heard, said
				}
				// The order between two ends is the network's.
				var words []string
				for _, d := range said {
					words = append(words, fmt.Sprintf("%v > %v %q", d.Src, d.Dst, d.Payload))
				}
				slices.Sort(words)
				for _, d := range heard {
					w := fmt.Sprintf("%v > %v %q", d.Src, d.Dst, d.Payload)
					if _, found := slices.BinarySearch(words, w); !found {
						t.Fatalf("from the sender %v: %.80s was heard, but not said so", from, w)
					}
				}
			}
		})
	}
}

// side returns what goes to an address, or what does not.
func side(list []pcap.Datagram, to netip.AddrPort, towards bool) (out []pcap.Datagram) {
	for _, d := range list {
		if (d.Dst == to) == towards {
			out = append(out, d)
		}
	}
	return out
}

// checkStory checks that no answer stands before its question.
func checkStory(t *testing.T, who string, list []pcap.Datagram, to netip.AddrPort) {
	t.Helper()
	before := map[wire.Func]wire.Func{
		wire.FuncRegister: wire.FuncAnnounce, wire.FuncFileInfo: wire.FuncRegister, wire.FuncFileInfoAck: wire.FuncFileInfo,
		wire.FuncFileSeg: wire.FuncFileInfoAck, wire.FuncComplete: wire.FuncDone, wire.FuncDoneConf: wire.FuncComplete,
	}
	seen := map[wire.Func]bool{}
	data := 0
	for i, d := range list {
		h, _, err := wire.ParseHeader(d.Payload)
		if err != nil {
			t.Fatalf("%s, datagram %d: %v", who, i, err)
		}
		if want, ok := before[h.Func]; ok && !seen[want] {
			t.Errorf("%s, datagram %d: %v before %v", who, i, h.Func, want)
		}
		seen[h.Func] = true
		if h.Func == wire.FuncFileSeg {
			data++
			if d.Dst != to {
				t.Errorf("%s, datagram %d: FILESEG to %v, want %v", who, i, d.Dst, to)
			}
		}
		if i > 0 && d.Time.Before(list[i-1].Time) {
			t.Errorf("%s, datagram %d: older than the one before", who, i)
		}
		if age := time.Since(d.Time); age < 0 || age > time.Hour {
			t.Errorf("%s, datagram %d: at %v, want the time of the day", who, i, d.Time)
		}
	}
	if data < 3847 { // 5,000,000 bytes in blocks of 1300
		t.Errorf("%s: %d FILESEG, want all blocks", who, data)
	}
}

// TestCaptureCannotBeOpened ends before anything is sent.
func TestCaptureCannotBeOpened(t *testing.T) {
	before := runtime.NumGoroutine()
	path := filepath.Join(t.TempDir(), "thesis")
	if err := os.WriteFile(path, []byte("do not touch"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := SendConfig{Session: sender.Config{BlockSize: 1300}, Capture: capturedTo(path, 1e6, 2)}
	var ce *tap.OpenError
	if _, err := Send(context.Background(), cfg, nil); !errors.As(err, &ce) {
		t.Errorf("Send: %v, want an OpenError", err)
	}
	rx := ReceiveConfig{Receiver: receiver.Config{MaxSessions: 1}, Sink: store.SinkConfig{Dests: []string{t.TempDir()}}, Capture: cfg.Capture}
	if err := Receive(context.Background(), rx, nil); !errors.As(err, &ce) {
		t.Errorf("Receive: %v, want an OpenError", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "do not touch" {
		t.Errorf("%v, %q: want the file as it was", err, b)
	}
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}

// TestCaptureDiesTransferLives takes the directory of both captures away in the
// middle of a session: that is reported, and every byte arrives.
func TestCaptureDiesTransferLives(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a directory with an open file cannot be moved there")
	}
	dir := filepath.Join(t.TempDir(), "captures")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p := startReceiver(t, func(cfg *ReceiveConfig) { cfg.Capture = capturedTo(filepath.Join(dir, "rx"), 1e6, 2) })
	cfg := p.config(10e6, 1300, p.file("f", 10_000_000))
	cfg.Capture = capturedTo(filepath.Join(dir, "tx"), 1e6, 2)
	res, events := sendWith(t, context.Background(), cfg, func() { os.Rename(dir, dir+".away") })
	if res.Exit != sender.ExitOK {
		t.Fatalf("exit %d, want 0", res.Exit)
	}
	p.stop()
	p.wait()
	p.wantSame("f")
	p.mu.Lock()
	defer p.mu.Unlock()
	for who, list := range map[string][]machine.Event{"sender": events, "receiver": p.events} {
		failed, lost := 0, uint64(0)
		for _, ev := range list {
			switch ev := ev.(type) {
			case tap.Failed:
				failed++
			case tap.Lost:
				lost += ev.Count
			}
		}
		if failed != 1 || lost == 0 {
			t.Errorf("%s: %d failures reported, %d datagrams lost; want 1, and the loss reported", who, failed, lost)
		}
	}
	for _, name := range []string{"tx", "rx"} {
		if list := readRing(t, filepath.Join(dir+".away", name)); len(list) == 0 {
			t.Errorf("%s: nothing of what was captured before is left", name)
		}
	}
}

// TestCapturedPathDoesNotAllocate is TestDataPathDoesNotAllocate with captures on.
func TestCapturedPathDoesNotAllocate(t *testing.T) {
	wantNoAllocations(t, 40<<20, func(size int) (mallocs uint64, packets int64) {
		dir := t.TempDir()
		p := startReceiver(t, func(cfg *ReceiveConfig) { cfg.Capture = capturedTo(filepath.Join(dir, "rx"), 500e6, 2) })
		cfg := p.config(30e6, 1300, p.file("f", size))
		cfg.Capture = capturedTo(filepath.Join(dir, "tx"), 500e6, 2)
		var a, b runtime.MemStats
		runtime.ReadMemStats(&a)
		res, _ := send(t, context.Background(), cfg)
		runtime.ReadMemStats(&b)
		if res.Exit != sender.ExitOK {
			t.Fatalf("exit %d", res.Exit)
		}
		p.stop()
		p.wait()
		return b.Mallocs - a.Mallocs, res.Counters.DataPackets
	})
}

// BenchmarkCapture sends a file over loopback as fast as it goes: without a capture,
// with one at the sender, at the receiver, at both. The capture reports what it lacks.
func BenchmarkCapture(b *testing.B) {
	for _, x := range []struct {
		name   string
		tx, rx bool
	}{{"off", false, false}, {"sender", true, false}, {"receiver", false, true}, {"both", true, true}} {
		b.Run(x.name, func(b *testing.B) {
			const size = 256 << 20
			dir := b.TempDir()
			p := startReceiver(b, func(cfg *ReceiveConfig) {
				if x.rx {
					cfg.Capture = capturedTo(filepath.Join(dir, "rx"), 100e6, 4)
				}
			})
			file := p.file("f", size)
			missing, passes := uint64(0), 0
			b.SetBytes(size)
			for b.Loop() {
				cfg := p.config(250e6, 1300, file)
				if x.tx {
					cfg.Capture = capturedTo(filepath.Join(dir, "tx"), 100e6, 4)
				}
				res, events := send(b, context.Background(), cfg)
				if res.Exit != sender.ExitOK {
					b.Fatalf("exit %d", res.Exit)
				}
				for _, ev := range events {
					switch ev := ev.(type) {
					case tap.Lost:
						missing += ev.Count
					case sender.FileEnded:
						passes += ev.Passes
					}
				}
			}
			p.stop()
			p.wait()
			for _, ev := range p.events {
				if l, ok := ev.(tap.Lost); ok {
					missing += l.Count
				}
			}
			b.ReportMetric(float64(missing)/float64(b.N), "missing/op")
			b.ReportMetric(float64(passes)/float64(b.N), "passes/op")
		})
	}
}
