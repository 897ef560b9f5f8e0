//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/tools/netlab"
)

// liveCase is a capture to be played to a real receiver.
type liveCase struct {
	capture, uid string
	daemon       []string // options of the receiver
	options      []string // of the replay
	says         []string
	prepare      func(dest string) error
}

// keyFile is a key file as an absolute path, for programs that run elsewhere.
func keyFile(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(pems + name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// liveLab has one receiver and the receiving daemons, stock's and ours.
type liveLab struct {
	*netlab.Lab
	ours string
}

func newLiveLab(t *testing.T) *liveLab {
	t.Helper()
	netlab.Require(t, "uftpd")
	ours := filepath.Join(t.TempDir(), "uftpd")
	cmd := exec.Command("go", "build", "-o", ours, "uftp/cmd/uftpd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return &liveLab{netlab.New(t, netlab.Config{Receivers: 1, MTU: 9000}), ours}
}

// start starts a daemon on the receiver and returns its destination directory.
func (l *liveLab) start(t *testing.T, program, uid string, prepare func(string) error, options ...string) (dest string, p *netlab.Proc) {
	t.Helper()
	dest = t.TempDir()
	if prepare != nil {
		if err := prepare(dest); err != nil {
			t.Fatal(err)
		}
	}
	path := "uftpd"
	if program == "ours" {
		path = l.ours
	}
	argv := append([]string{path, "-q", "-d", "-I", netlab.Device, "-U", uid, "-D", dest, "-x", "3"}, options...)
	p, err := l.Receiver(0).Start(netlab.Spec{Argv: argv})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	group := "010404E6" // 230.4.4.1, as its bytes lie in memory
	if slices.Contains(options, "ff15::4:1") {
		group = "ff150000000000000000000000040001"
	}
	if err := p.WaitUntil(func() bool { return l.joined(t, group) }, "joined "+group, time.Minute); err != nil {
		t.Fatalf("%v\n%s", err, p.Stderr())
	}
	return dest, p
}

// joined reports whether the receiver is in a group, which comes after its port: what
// is sent in between is lost.
func (l *liveLab) joined(t *testing.T, group string) bool {
	t.Helper()
	var list []byte
	if err := l.Receiver(0).Do(func() error {
		for _, table := range []string{"igmp", "igmp6"} {
			b, err := os.ReadFile("/proc/thread-self/net/" + table)
			if err != nil {
				return err
			}
			list = append(list, b...)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(list, []byte(group))
}

// play plays a capture in the sender's place.
func (l *liveLab) play(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	if err := l.Sender().Do(func() error {
		code, out, errs = replay(t, append([]string{"receiver", "--interface", netlab.Device}, args...)...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return code, out, errs
}

// TestLive plays captures to stock's receiver and to ours: answers and files are
// those of the captured one.
func TestLive(t *testing.T) {
	lab := newLiveLab(t)
	to := lab.Receiver(0).IPv4.String()
	victim := func(dest string) error { return os.WriteFile(filepath.Join(dest, "victim.txt"), []byte("x"), 0o600) }
	for _, c := range []liveCase{
		{capture: "plain-1file", uid: "0x0A50000B", says: []string{"4 answers equal", "1 of 1 entries"}},
		{capture: "plain-loss", uid: "0x0A50000B", says: []string{"6 answers equal", "6 blocks withheld", "1 of 1 entries"}},
		{capture: "plain-loss3", uid: "0x0A50000C", options: []string{"--uid", "0x0A50000C"}, says: []string{"6 answers equal", "8 blocks withheld"}},
		{capture: "plain-tree", uid: "0x0A50000B", says: []string{"7 of 7 entries"}},
		{capture: "plain-meta", uid: "0x0A50000B", prepare: victim, says: []string{"7 answers equal"}},
		{capture: "plain-unicast", uid: "0x0A50000B", options: []string{"--to", to}, says: []string{"4 answers equal"}},
		{capture: "plain-ipv6", uid: "0x11000B00", daemon: []string{"-I", netlab.Device + "/6", "-M", "ff15::4:1"}, says: []string{"4 answers equal"}},
		{capture: "enc-loss", uid: "0x0A50000B", says: []string{"withheld", "handshake equal in structure"}},
		{capture: "enc-tree", uid: "0x0A50000B", says: []string{"12 answers equal", "5 of 5 entries"}},
		{
			capture: "enc-3recv-ecdsa-keyex", uid: "0x0A50000C", options: []string{"--uid", "0x0A50000C"},
			daemon: []string{"-k", keyFile(t, "ec-prime256v1-client2.pem")}, says: []string{"6 answers equal", "in structure"},
		},
		{
			capture: "enc-unicast", uid: "0x0A50000B", options: []string{"--to", to},
			daemon: []string{"-k", keyFile(t, "rsa1024-client1.pem")}, says: []string{"6 answers equal", "in structure"},
		},
	} {
		for _, program := range []string{"stock", "ours"} {
			t.Run(c.capture+"/"+program, func(t *testing.T) {
				daemon := c.daemon
				if strings.HasPrefix(c.capture, "enc-") && len(daemon) == 0 {
					daemon = []string{"-k", keyFile(t, "rsa1024-client1.pem")}
				}
				dest, p := lab.start(t, program, c.uid, c.prepare, daemon...)
				code, out, errs := lab.play(t, append(c.options, "--speed", "4", "--wait", "60s", "--keylog", keyLog, "--dest", dest, vectors+c.capture+".pcap")...)
				if code != 0 || errs != "" {
					t.Errorf("exit code %d\n%s%s\n%s%s", code, out, errs, p.Stdout(), p.Stderr())
				}
				for _, s := range c.says {
					if !strings.Contains(out, s) {
						t.Errorf("%q is not in\n%s", s, out)
					}
				}
				p.Kill()
			})
		}
	}
}

// TestLiveDiffers wants the differences of a real receiver reported.
func TestLiveDiffers(t *testing.T) {
	lab := newLiveLab(t)
	one := vectors + "plain-1file.pcap"
	for _, c := range []struct {
		why, uid string
		daemon   []string
		args     []string
		damage   bool
		code     int
		says     []string
	}{
		{
			why: "another UID", uid: "0x01020304", args: []string{"--wait", "5s", "--speed", "20", one}, code: 1,
			says: []string{"nobody with UID 0x0A50000B answers", "UID 0x01020304 answers too", "no answer like packet 2", "REGISTER      0 equal, 0 with other contents, 1 missing"},
		},
		{
			why: "a receiver that refuses", uid: "0x0A50000B", daemon: []string{"-E"}, args: []string{"--wait", "5s", "--speed", "20", one}, code: 1,
			says: []string{"first difference at answer 1", `ABORT current_file=false host=0x00000000 text="No unencrypted transfers allowed"`},
		},
		{
			why: "another file in its place", uid: "0x0A50000B", args: []string{"--speed", "4", one}, damage: true, code: 1,
			says: []string{"4 answers equal", `"one.bin" differs in block 3`, "0 of 1 entries"},
		},
		{why: "several receivers", uid: "0x0A50000B", args: []string{vectors + "plain-loss3.pcap"}, code: 2, says: []string{"0x0A50000C", "--uid"}},
	} {
		t.Run(c.why, func(t *testing.T) {
			dest, p := lab.start(t, "stock", c.uid, nil, c.daemon...)
			if c.damage {
				// What is compared is another directory, with a file of other bytes.
				dest = t.TempDir()
				want(t, 0, "extract", one, dest)
				path := filepath.Join(dest, "8b69467a", "one.bin")
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				b[3*1300+5] ^= 1
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				dest = filepath.Dir(path)
			}
			code, out, errs := lab.play(t, append([]string{"--dest", dest}, c.args...)...)
			if code != c.code {
				t.Errorf("exit code %d, want %d\n%s%s", code, c.code, out, errs)
			}
			for _, s := range c.says {
				if !strings.Contains(out+errs, s) {
					t.Errorf("%q is not in\n%s%s", s, out, errs)
				}
			}
			p.Kill()
		})
	}
}

// TestLivePace wants a slow receiver waited for: the sender is paused by a receiver
// that is stopped, and not a message too early when it goes on.
func TestLivePace(t *testing.T) {
	lab := newLiveLab(t)
	_, p := lab.start(t, "ours", "0x0A50000B", nil)
	pcap := filepath.Join(t.TempDir(), "out.pcap")
	c, err := lab.Sender().Capture(pcap)
	if err != nil {
		t.Fatal(err)
	}
	const pause = 3 * time.Second
	p.Signal(syscall.SIGSTOP) // what is sent waits in its socket
	time.AfterFunc(pause, func() { p.Signal(syscall.SIGCONT) })
	code, out, errs := lab.play(t, "--speed", "1000", "--wait", "60s", vectors+"plain-1file.pcap")
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	packets, err := c.Packets()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint8]bool{}
	for _, q := range packets {
		f := q.Func()
		before := map[uint8]uint8{4: 2, 9: 8, 10: 8, 13: 12} // what each message has to wait for
		if w := before[f]; w != 0 && !seen[w] && code == 0 {
			t.Errorf("message %d was sent before answer %d had come", f, w)
		}
		seen[f] = true
	}
	if code != 0 {
		t.Errorf("exit code %d\n%s%s%s", code, out, errs, fmt.Sprint(p.Stderr()))
	}
}
