package report

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"uftp/engine/receiver"
)

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// started is the begin of a session from an address.
func started(ip string) receiver.SessionStarted {
	s := session1
	s.From = netip.AddrPortFrom(netip.MustParseAddr(ip), 5555)
	return receiver.SessionStarted{Session: s, Private: netip.MustParseAddr("230.5.5.1")}
}

// Lines stay in order while a name is looked up, and do not wait for ever.
func TestNamesKeepOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		names := NewNames()
		names.lookup = func(ctx context.Context, addr string) ([]string, error) {
			asked++
			switch addr {
			case "10.0.0.1":
				time.Sleep(300 * time.Millisecond)
				return []string{"one.example."}, nil
			case "10.0.0.2":
				<-ctx.Done() // a server that never answers
				return nil, ctx.Err()
			}
			return nil, errors.New("none")
		}
		var b lockedBuffer
		r := &Receiver{Log: NewLog(&b, 2, false), Names: names}
		log := func(ip string) {
			r.Report(time.Now(), started(ip))
			r.Report(time.Now(), receiver.Stepped{Step: receiver.RegisterSent})
		}
		begin := time.Now()
		log("10.0.0.1")
		log("10.0.0.2")
		log("10.0.0.1")
		if b.String() != "" {
			t.Errorf("%q is logged before the first name is known", b.String())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		var got []string
		for _, line := range strings.Split(b.String(), "\n") {
			switch {
			case strings.HasPrefix(line, "Received"):
				got = append(got, line[strings.IndexByte(line, '('):])
			case strings.HasPrefix(line, "REGISTER"):
				got = append(got, "sent")
			}
		}
		if want := "(one.example) sent (10.0.0.2) sent (one.example) sent"; strings.Join(got, " ") != want {
			t.Errorf("logged %q, want %q", got, want)
		}
		if asked != 2 {
			t.Errorf("%d look-ups, want each address once", asked)
		}
		if d := time.Since(begin); d > 3*time.Second {
			t.Errorf("took %v, want look-ups to end after %v", d, nameWait)
		}
		log("10.0.0.3")
		r.Close()
		if n := strings.Count(b.String(), "Received"); n != 4 {
			t.Errorf("%d sessions logged after Close, want all 4 without waiting", n)
		}
		time.Sleep(2 * time.Second) // the last look-up ends
	})
}

// A name server that is down when the daemon starts, or learns a new name, is asked again.
func TestNamesAreAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := []string(nil)
		names := NewNames()
		names.lookup = func(context.Context, string) ([]string, error) {
			if answer == nil {
				return nil, errors.New("no server")
			}
			return answer, nil
		}
		a := netip.MustParseAddr("10.0.0.1")
		for _, step := range []struct {
			after  time.Duration
			answer []string
			want   string // "" = not known any more, so looked up
		}{
			{0, nil, "10.0.0.1"},
			{missingFor - time.Second, []string{"one."}, "10.0.0.1"},
			{2 * time.Second, []string{"one."}, ""},
			{foundFor - time.Second, []string{"two."}, "one"},
			{2 * time.Second, []string{"two."}, ""},
			{time.Second, nil, "two"},
		} {
			time.Sleep(step.after)
			if answer = step.answer; step.after == 0 {
				names.find(a)
			}
			name, ok := names.known(a)
			if ok != (step.want != "") || ok && name != step.want {
				t.Errorf("%v on: %q, %v, want %q", step.after, name, ok, step.want)
			}
			if !ok {
				names.find(a)
			}
		}
	})
}

// A name that does not come must not let events pile up.
func TestNamesLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := NewNames()
		names.lookup = func(ctx context.Context, _ string) ([]string, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		var b lockedBuffer
		r := &Receiver{Log: NewLog(&b, 2, false), Names: names}
		r.Report(time.Now(), started("10.0.0.2"))
		for range heldMax + 10 {
			r.Report(time.Now(), receiver.Stepped{Step: receiver.RegisterSent})
		}
		if n := strings.Count(b.String(), "REGISTER sent"); n != heldMax+10 {
			t.Errorf("%d lines logged, want all %d once too many were held", n, heldMax+10)
		}
		time.Sleep(2 * time.Second)
		r.Close()
	})
}
