//go:build linux

package interop

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"uftp/tools/netlab"
)

func TestRegister(t *testing.T) { runGroup(t, registering) }

// registering is how long our sender waits for receivers, ours and stock: those that
// are in stay in.
var registering = func() (list []scenario) {
	late := func(r string) time.Duration { // still in time, with that for -r
		return map[string]time.Duration{"0.1": 100 * time.Millisecond, "0.5": time.Second, "2": 3 * time.Second}[r]
	}
	for i, r := range []string{"0.1", "0.5", "2"} {
		// One fewer comes than is asked for; one of them is late.
		list = append(list, scenario{id: fmt.Sprintf("R%d", i+1), side: ourSender, run: func(t *testing.T, e *env) {
			e.shortOfOne(late(r), "-r", r, "-R", "50000", "--register-count", "3")
		}})
		list = append(list, scenario{id: fmt.Sprintf("R%dc", i+1), side: ourSender, run: func(t *testing.T, e *env) {
			e.shortOfOne(late(r), "-r", r, "-R", "50000", "-Y", "aes256-gcm", "-c", "--register-count", "3")
		}})
	}
	return append(list,
		scenario{id: "R4", side: ourSender, run: func(t *testing.T, e *env) {
			e.shortOfOne(8*time.Second, "-r", "0.5", "--register-count", "3", "--register-wait", "12")
		}},
		scenario{id: "R5", side: ourSender, run: func(t *testing.T, e *env) {
			e.shortOfOne(3*time.Second, "-r", "0.5", "--register-quiet", "6")
		}},
		scenario{id: "R6", side: ourSender, run: func(t *testing.T, e *env) {
			e.shortOfOne(5*time.Second, "-r", "0.5", hABC, "--register-wait", "10")
		}},
		// A signal begins at once, and is nothing once it has begun.
		scenario{id: "R7", side: ourSender, run: func(t *testing.T, e *env) {
			e.file("f", 3_000_000)
			p := e.txStart("-r", "0.5", "--register-count", "3", "--register-wait", "86400", "f")
			e.log(p, "Sending ANNOUNCE 1")
			p.Signal(syscall.SIGUSR2)
			e.log(p, "Nobody is registered yet")
			e.rx(e.A)
			e.rx(e.B)
			e.log(p, "REGISTER from client "+uidA)
			e.log(p, "REGISTER from client "+uidB)
			time.Sleep(3 * time.Second) // longer than receivers wait in silence
			p.Signal(syscall.SIGUSR2)
			e.log(p, "Beginning with those that are registered")
			e.log(p, "Sending section 0")
			p.Signal(syscall.SIGUSR2)
			res := e.end(p)
			e.want(res.Code == 0, "exit code 0, got %d", res.Code)
			e.log(p, "Registration is over already")
			e.got("f", e.A, e.B)
		}},
		// Two receivers with one UID: one gets the file, the other learns why it does not,
		// and the sender says so.
		scenario{id: "R8", side: ourSender, run: func(t *testing.T, e *env) { e.shareUID() }},
		scenario{id: "R8c", side: ourSender, run: func(t *testing.T, e *env) {
			e.shareUID("-Y", "aes256-gcm", "-c")
		}},
	)
}()

func (e *env) shareUID(args ...string) {
	e.t.Helper()
	e.file("f", 200_000)
	rx := []string{"-U", "0xAC110002"}
	if has(args, "-Y") {
		rx = append(rx, "-K", "ec:prime256v1")
	}
	a, b := e.rx(e.A, rx...), e.rx(e.B, rx...)
	p := e.txStart(append(args, "-r", "0.3", "f")...)
	res := e.end(p)
	e.want(res.Code == 0, "exit code 0, got %d", res.Code)
	e.want(strings.Contains(p.Stderr(), "answers from 10.") && strings.Contains(p.Stderr(), "give each receiver its own -U"), "the sender says that there are two")
	const refusal = "UID is in use by another receiver"
	first, second := a, b
	if strings.Contains(a.Stderr(), refusal) && !e.exists(e.dest(e.A, "f")) {
		first, second = b, a
	}
	e.becomes(func() error { return netlab.SameFile(e.src("f"), e.dest(first.Host, "f")) })
	e.log(second, refusal)
	e.want(!e.exists(e.dest(second.Host, "f")), "the second one has not got it")
	e.result("0xAC110002", "f", "copy")
}

// shortOfOne runs a session that would like three receivers: A is there, B comes late.
func (e *env) shortOfOne(late time.Duration, args ...string) {
	e.t.Helper()
	e.file("f", 200_000)
	var key []string
	if has(args, "-Y") {
		key = []string{"-K", "ec:prime256v1"} // stock receivers want a key of the sender's kind
	}
	e.rx(e.A, key...)
	if late == 0 {
		e.rx(e.B, key...)
	}
	p := e.txStart(append(args, "f")...)
	if late > 0 {
		e.log(p, "Sending ANNOUNCE 1")
		time.Sleep(late)
		e.rx(e.B, key...)
	}
	res := e.end(p)
	e.want(res.Code == 0, "exit code 0, got %d", res.Code)
	for _, h := range []*netlab.Host{e.A, e.B} {
		e.got("f", h)
	}
	e.result(uidA, "f", "copy")
	e.result(uidB, "f", "copy")
}
