// Command demo shows a whole transfer on one machine, without root: one sender, three
// receivers, a directory of mixed files, every hash checked.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const receivers = 3

func main() {
	bin := flag.String("bin", "bin", "directory of the programs uftp and uftpd")
	rate := flag.Int("rate", 500_000, "rate of the sender, Kbps")
	flag.Parse()
	if err := run(*bin, *rate); err != nil {
		fmt.Fprintln(os.Stderr, "demo failed:", err)
		os.Exit(1)
	}
}

func run(bin string, rate int) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "uftp-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	src := filepath.Join(dir, "data")
	total, err := makeTree(src)
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}

	fmt.Printf("three receivers on port %d, each with a directory of its own\n", port)
	dests := make([]string, receivers)
	for i := range receivers {
		dests[i] = filepath.Join(dir, fmt.Sprintf("receiver%d", i+1))
		if err := os.Mkdir(dests[i], 0o755); err != nil {
			return err
		}
		cmd, err := startReceiver(bin, i, port, dests[i], dir)
		if err != nil {
			return err
		}
		defer stop(cmd)
	}

	args := []string{"-I", "lo", "-p", fmt.Sprint(port), "-R", fmt.Sprint(rate), "-b", "8800", "--register-count", fmt.Sprint(receivers), "data"}
	fmt.Printf("uftp %s\n\n", strings.Join(args, " "))
	cmd := exec.Command(filepath.Join(bin, "uftp"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stdout, os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	took := time.Since(began)

	want, err := hashTree(src)
	if err != nil {
		return err
	}
	for i, d := range dests {
		got, err := hashTree(filepath.Join(d, "data"))
		if err != nil {
			return err
		}
		if err := same(want, got); err != nil {
			return fmt.Errorf("receiver %d: %w", i+1, err)
		}
		fmt.Printf("receiver %d: %d files and directories, every hash right\n", i+1, len(got))
	}
	mb := float64(total) / 1e6
	fmt.Printf("%.1f MB to each of %d receivers in %.2f s: %.0f MB/s, %.2f Gbit/s of files delivered\n",
		mb, receivers, took.Seconds(), mb/took.Seconds(), float64(receivers)*mb*8/1000/took.Seconds())
	return nil
}

// startReceiver starts receiver i and waits until it listens.
func startReceiver(bin string, i, port int, dest, dir string) (*exec.Cmd, error) {
	cmd := exec.Command(filepath.Join(bin, "uftpd"), "-d", "-q", "-I", "lo", "-p", fmt.Sprint(port), "--share-port",
		"-U", fmt.Sprintf("0x%X", i+1), "-D", dest, "--no-progress", "--json")
	events, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	logName := filepath.Join(dir, fmt.Sprintf("receiver%d.log", i+1))
	logFile, err := os.Create(logName)
	if err != nil {
		return nil, err
	}
	defer logFile.Close() // the receiver has its own
	cmd.Stderr = logFile
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	listens := make(chan bool, 1)
	go func() {
		sc := bufio.NewScanner(events)
		for sc.Scan() {
			if strings.Contains(sc.Text(), `"event":"listening"`) {
				listens <- true
				break
			}
		}
		close(listens)
		_, _ = io.Copy(io.Discard, events)
	}()
	select {
	case ok := <-listens:
		if !ok {
			return nil, errors.New("a receiver ended at once: " + logName)
		}
	case <-time.After(30 * time.Second):
		stop(cmd)
		return nil, errors.New("a receiver does not start: " + logName)
	}
	return cmd, nil
}

func stop(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
}

// freePort returns a UDP port that nobody uses.
func freePort() (int, error) {
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port, nil
}

// makeTree makes a directory of mixed files and returns the bytes in them.
func makeTree(root string) (total int64, err error) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(name string, size int) {
		if err != nil {
			return
		}
		p := filepath.Join(root, name)
		if err = os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return
		}
		b := make([]byte, size)
		for i := 0; i+8 <= size; i += 8 {
			v := rng.Uint64()
			for k := range 8 {
				b[i+k] = byte(v >> (8 * k))
			}
		}
		total += int64(size)
		err = os.WriteFile(p, b, 0o644)
	}
	random("image.bin", 64<<20)
	random("table.csv", 3_333_333)
	random("one-byte", 1)
	random("empty", 0)
	for i := range 20 {
		random(fmt.Sprintf("logs/day-%02d.log", i), 10_000+i*777)
	}
	random("deep/er/est/file with spaces", 8800)
	if err != nil {
		return 0, err
	}
	if err := os.Mkdir(filepath.Join(root, "nothing-here"), 0o755); err != nil {
		return 0, err
	}
	return total, os.Symlink("image.bin", filepath.Join(root, "latest"))
}

// hashTree returns what every path below root is.
func hashTree(root string) (map[string]string, error) {
	m := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			m[rel] = "directory"
		case d.Type()&fs.ModeSymlink != 0:
			t, err := os.Readlink(p)
			if err != nil {
				return err
			}
			m[rel] = "link to " + t
		default:
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			h := sha256.New()
			if _, err := io.Copy(h, f); err != nil {
				return err
			}
			m[rel] = fmt.Sprintf("%x", h.Sum(nil))
		}
		return nil
	})
	return m, err
}

func same(want, got map[string]string) error {
	var b bytes.Buffer
	for p, w := range want {
		if g := got[p]; g != w {
			fmt.Fprintf(&b, "\n  %s: is %q, want %q", p, g, w)
		}
	}
	for p := range got {
		if _, ok := want[p]; !ok {
			fmt.Fprintf(&b, "\n  %s: was never sent", p)
		}
	}
	if b.Len() > 0 {
		return errors.New("files differ:" + b.String())
	}
	return nil
}
