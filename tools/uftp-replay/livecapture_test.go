//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/pcap/frames"
)

// ground is a sender and a receiver that capture themselves (--pcap), over loopback.
type ground struct {
	t    *testing.T
	bin  string
	dir  string
	port string
}

func newGround(t *testing.T, bin string) *ground {
	t.Helper()
	if testing.Short() {
		t.Skip("runs programs")
	}
	// Below the ports that systems give to sockets without one: it stays free.
	var c net.PacketConn
	port, err := 0, error(nil)
	for range 100 {
		port = 1<<14 + rand.IntN(1<<14)
		if c, err = net.ListenPacket("udp", fmt.Sprint(":", port)); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	g := &ground{t: t, bin: bin, dir: t.TempDir(), port: fmt.Sprint(port)}
	for _, d := range []string{"src", "dest"} {
		if err := os.Mkdir(g.in(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// buildCommands builds uftp and uftpd and returns where they are.
func buildCommands(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("runs programs")
	}
	bin := t.TempDir()
	cmd := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "uftp/cmd/uftp", "uftp/cmd/uftpd")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

func (g *ground) in(parts ...string) string {
	return filepath.Join(append([]string{g.dir}, parts...)...)
}

// file makes a file to send.
func (g *ground) file(name string, size int) {
	g.t.Helper()
	b := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{byte(size)})
	rng.Read(b)
	if err := os.WriteFile(g.in("src", name), b, 0o644); err != nil {
		g.t.Fatal(err)
	}
}

// receive starts a receiver and returns when it listens.
func (g *ground) receive(args ...string) *exec.Cmd {
	g.t.Helper()
	cmd := exec.Command(filepath.Join(g.bin, "uftpd"), append([]string{"-d", "-q", "-I", "lo", "-p", g.port, "-U", "0x77", "-D", g.in("dest"),
		"--pcap", g.in("rx.pcapng"), "--json"}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
		if g.t.Failed() {
			g.t.Logf("receiver:\n%s", errs.String())
		}
	})
	first := make([]byte, 4096)
	if n, err := out.Read(first); err != nil || !bytes.Contains(first[:n], []byte(`"listening"`)) {
		g.t.Fatalf("%v, %q, %s; want that the receiver listens", err, first[:n], errs.String())
	}
	go io.Copy(io.Discard, out)
	return cmd
}

// sending is a sender that captures itself.
func (g *ground) sending(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(g.bin, "uftp"), append([]string{"-I", "lo", "-p", g.port, "--no-progress",
		"-R", "100000", "-s", "20", "--pcap", g.in("tx.pcapng")}, args...)...)
	cmd.Dir = g.in("src")
	return cmd
}

// stop ends a receiver as a user does.
func (g *ground) stop(cmd *exec.Cmd) {
	g.t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 6 {
		g.t.Errorf("the receiver ends with %d, want 6", code)
	}
}

// ring returns the files of a capture, the oldest first.
func (g *ground) ring(name string) []string {
	g.t.Helper()
	names, err := filepath.Glob(g.in(name) + "*")
	names = slices.DeleteFunc(names, func(n string) bool { return strings.Contains(n, "~") }) // not made yet
	if err != nil || len(names) == 0 {
		g.t.Fatalf("no files of %s", name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(b, a)
	})
	return names
}

// joined puts the files of a capture one behind the other, as docs/pcap.md says.
func (g *ground) joined(name string) string {
	g.t.Helper()
	var all []byte
	for _, n := range g.ring(name) {
		b, err := os.ReadFile(n)
		if err != nil {
			g.t.Fatal(err)
		}
		all = append(all, b...)
	}
	out := g.in("joined-" + name)
	if err := os.WriteFile(out, all, 0o600); err != nil {
		g.t.Fatal(err)
	}
	return out
}

// extracted wants the file that was sent out of a capture.
func (g *ground) extracted(capture, name string, keys []string) {
	g.t.Helper()
	dir := g.t.TempDir()
	want(g.t, 0, append(append([]string{"extract"}, keys...), capture, dir)...)
	found, err := filepath.Glob(filepath.Join(dir, "*", name))
	if err != nil || len(found) != 1 {
		g.t.Fatalf("%s: found %v, want one %s", capture, found, name)
	}
	sent, err := os.ReadFile(g.in("src", name))
	if err != nil {
		g.t.Fatal(err)
	}
	got, err := os.ReadFile(found[0])
	if err != nil {
		g.t.Fatal(err)
	}
	if sha256.Sum256(sent) != sha256.Sum256(got) {
		g.t.Errorf("%s: %s has other bytes than the file that was sent", capture, name)
	}
}

// TestLiveCapture captures sessions with the programs themselves, at both ends, and works on
// the files as an engineer would.
func TestLiveCapture(t *testing.T) {
	bin := buildCommands(t)
	for _, x := range []struct {
		name string
		rx   []string
		tx   []string
		keys bool
	}{
		{"IPv4 group in clear", nil, nil, false},
		{"IPv4 group encrypted", nil, []string{"-Y", "aes256-gcm"}, true},
		{"large blocks encrypted portable", []string{"--portable-io"}, []string{"-Y", "aes128-cbc", "-b", "8800", "--portable-io"}, true},
		{"IPv6 unicast in clear", []string{"-I", "lo/6", "-M", "ff02::1:1"}, []string{"-I", "lo/6", "-M", "::1"}, false},
		{"IPv6 unicast encrypted", []string{"-I", "lo/6", "-M", "ff02::1:1"}, []string{"-I", "lo/6", "-M", "::1", "-Y", "aes256-gcm"}, true},
	} {
		try := func(t *testing.T) (differs string) {
			g := newGround(t, bin)
			g.file("big.img", 3_300_000)
			g.file("small", 1)
			small := []string{"--pcap-size", "1", "--pcap-files", "20"}
			var keys []string
			if x.keys {
				keys = []string{"--keylog", g.in("keys")}
			}
			rx := g.receive(append(append(x.rx, small...), keys...)...)
			tx := g.sending(append(append(append(x.tx, small...), keys...), "big.img", "small")...)
			if out, err := tx.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			g.stop(rx)
			for _, name := range []string{"tx.pcapng", "rx.pcapng"} {
				if n := len(g.ring(name)); n < 4 {
					t.Errorf("%s: %d files, want one a million bytes", name, n)
				}
				for _, f := range g.ring(name) {
					if info, err := os.Stat(f); err != nil || info.Size() > 1_000_000 || info.Mode().Perm() != 0o600 {
						t.Errorf("%v, %v: want at most 1000000 bytes, mode 0600", info, err)
					}
					want(t, 0, append(append([]string{"inspect", "--summary"}, keys...), f)...)
				}
				all := g.joined(name)
				seen := want(t, 0, append(append([]string{"inspect", "--summary"}, keys...), all)...)
				for _, no := range []string{"anomaly", "sealed messages stay closed"} {
					if strings.Contains(seen, no) {
						t.Errorf("%s: %s\nwant nothing wrong with it", name, seen)
					}
				}
				if !strings.Contains(seen, "0 super-packets split, 0 refused, 0 fragments; skipped: 0 not UDP, 0 broken, 0 incomplete, 0 not UFTP 4") {
					t.Errorf("%s: %s\nwant every datagram by itself", name, seen)
				}
				g.extracted(all, "big.img", keys)
				g.extracted(all, "small", keys)
				code, out, errs := replay(t, append(append([]string{"receiver"}, keys...), all)...)
				if !strings.Contains(out, "0x00000077: ") || !strings.Contains(out, "2 files") {
					t.Errorf("%s: %s%s\nwant the answers of the receiver for both files", name, out, errs)
				}
				if code != 0 {
					differs += name + ": " + out + errs
				}
			}
			// Without --register-count: a capture does not show that the sender did not wait.
			if code, out, errs := replay(t, append(append([]string{"sender"}, keys...), g.joined("tx.pcapng"))...); code != 0 {
				differs += out + errs
			}
			return differs
		}
		// A replay keeps time exactly. On a busy machine the programs do not: what they
		// repeat, or not, then differs, and it is tried again.
		t.Run(x.name, func(t *testing.T) {
			differs := try(t)
			for i := 0; differs != "" && i < 5 && !t.Failed(); i++ {
				t.Logf("tried again: %s", differs)
				differs = try(t)
			}
			if differs != "" {
				t.Errorf("a replay differs from the capture each time:\n%s", differs)
			}
		})
	}
}

// TestKilledCapture kills both programs in the middle of a file. What is on the disk
// is good up to there, and stays when they are started again.
func TestKilledCapture(t *testing.T) {
	g := newGround(t, buildCommands(t))
	g.file("big.img", 60_000_000)
	ring := []string{"--pcap-size", "1", "--pcap-files", "100"}
	rx := g.receive(ring...)
	tx := g.sending(append(ring, "--register-count", "1", "big.img")...)
	if err := tx.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.Now().Add(60 * time.Second)
	for _, name := range []string{"rx.pcapng.2", "tx.pcapng.2"} {
		for {
			if _, err := os.Stat(g.in(name)); err == nil {
				break
			}
			if time.Now().After(limit) {
				t.Fatalf("%s does not appear", name)
			}
			time.Sleep(time.Millisecond)
		}
	}
	for _, cmd := range []*exec.Cmd{rx, tx} {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
	}
	before := map[string]int{}
	for _, name := range []string{"rx.pcapng", "tx.pcapng"} {
		total := 0
		for i, f := range g.ring(name) {
			n, err := datagramsIn(t, f)
			total += n
			if n > 0 {
				before[name]++
			}
			// Only the one that was written may end within a packet.
			if err != nil && (i < len(g.ring(name))-1 || !errors.Is(err, io.ErrUnexpectedEOF)) {
				t.Errorf("%s: %v after %d datagrams, want a good capture", f, err, n)
			}
		}
		if total < 1300 { // 1400 bytes each, and a file ends before a packet of 64 KiB could be too long
			t.Errorf("%s: %d datagrams, want those of two full files", name, total)
		}
	}

	rx = g.receive(ring...)
	g.file("small", 1000)
	if out, err := g.sending(append(ring, "--register-count", "1", "small")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	g.stop(rx)
	for name, n := range before {
		if now := len(g.ring(name)); now != n+1 {
			t.Errorf("%s: %d files after another start, want the %d that hold packets and one more", name, now, n)
		}
	}
	g.extracted(g.in("rx.pcapng"), "small", nil)
	g.extracted(g.in("tx.pcapng"), "small", nil)
}

// datagramsIn counts what can be read.
func datagramsIn(t *testing.T, name string) (n int, err error) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := frames.NewReader(f)
	if err != nil {
		return 0, err
	}
	for {
		if _, err := r.Next(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
		n++
	}
}
