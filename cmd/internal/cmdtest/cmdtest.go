// Package cmdtest has what the tests of the commands share: commands for their scripts
// (testdata/script), and the check of a table of options. Only tests import it.
package cmdtest

import (
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"uftp/cmd/cli"
)

// HelpWidth is the largest length of a line of help.
const HelpWidth = 72

// TakeHangUps makes commands that the tests start receive SIGHUP even if the tests run under nohup:
// children do not inherit a caught signal as ignored.
func TakeHangUps() {
	if signal.Ignored(syscall.SIGHUP) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
}

// Exits runs a command line and compares its exit code: exits CODE COMMAND ARG...
func Exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("%s ends with %s, want exit code %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// BusyPort keeps a UDP port for the rest of the script and puts its number into PORT.
func BusyPort(ts *testscript.TestScript, _ bool, _ []string) {
	c, err := listen(ts, 0)
	ts.Check(err)
	ts.Defer(func() { c.Close() })
}

// FreePort puts the number of a free UDP port into PORT. It is below those that systems give to
// sockets without a port, so that it stays free.
func FreePort(ts *testscript.TestScript, _ bool, _ []string) {
	for range 100 {
		if c, err := listen(ts, 1<<14+rand.IntN(1<<14)); err == nil {
			ts.Check(c.Close())
			return
		}
	}
	ts.Fatalf("no port is free")
}

func listen(ts *testscript.TestScript, port int) (*net.UDPConn, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port})
	if err == nil {
		_, port, _ := net.SplitHostPort(c.LocalAddr().String())
		ts.Setenv("PORT", port)
	}
	return c, err
}

// CheckOptions checks a table of options: every option has a group, each name appears once, groups
// are not split, and the letters are those of the stock program.
func CheckOptions(t *testing.T, options []cli.Option, stock string) {
	t.Helper()
	letters, names, groups := map[byte]bool{}, map[string]bool{}, map[string]bool{}
	last := ""
	for _, opt := range options {
		if opt.Name == "" || opt.Help == "" || opt.Set == nil {
			t.Errorf("option -%c %s lacks name, help or effect", opt.Letter, opt.Name)
		}
		if opt.Letter != 0 && letters[opt.Letter] || names[opt.Name] {
			t.Errorf("option -%c --%s stands there twice", opt.Letter, opt.Name)
		}
		letters[opt.Letter], names[opt.Name] = true, true
		if opt.Group != last && groups[opt.Group] {
			t.Errorf("--%s: the group %q is split", opt.Name, opt.Group)
		}
		groups[opt.Group], last = true, opt.Group
		for line := range strings.SplitSeq(opt.Help, "\n") {
			if len(line) > HelpWidth {
				t.Errorf("--%s: the help line %q is %d long, want at most %d", opt.Name, line, len(line), HelpWidth)
			}
		}
	}
	for _, l := range []byte(stock) {
		if !letters[l] {
			t.Errorf("the stock option -%c is missing", l)
		}
		delete(letters, l)
	}
	delete(letters, 0)
	if len(letters) > 0 {
		t.Errorf("letters %v are not stock's", letters)
	}
}
