//go:build linux

package interop

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"uftp/tools/netlab"
	"uftp/wire"
)

// scale is section J of the list, as far as it fits on a small machine.
var scale = []scenario{
	{id: "129", alone: true, run: func(t *testing.T, e *env) {
		const n = 40
		codes := e.crowd(n)
		good := codes[0]
		if e.OursRx {
			e.want(good == n, "all %d sessions deliver, got codes %v", n, codes)
			return
		}
		e.want(good > 0 && codes[7] > 0, "a stock receiver runs out of memberships for some, got codes %v", codes)
	}},
	{id: "130", alone: true, run: func(t *testing.T, e *env) {
		const n = 60
		e.ok(e.A.Sysctl("net/ipv4/igmp_max_memberships", "200"))
		defer e.A.Sysctl("net/ipv4/igmp_max_memberships", "20")
		codes := e.crowd(n)
		e.want(codes[0] == n, "all %d sessions deliver, got codes %v", n, codes)
	}},
	{id: "131", alone: true, run: func(t *testing.T, e *env) {
		// 102 sections of 4096 blocks of 512 bytes; a sparse file with something
		// in every section and at its end.
		const sections, size = 102, 102*4096*512 - 77
		f, err := os.Create(e.src("big"))
		e.ok(err)
		e.ok(f.Truncate(size))
		r := rand.New(rand.NewPCG(1, 2))
		for s := range int64(sections) {
			_, err := f.WriteAt([]byte(fmt.Sprintf("section %d of the file", s)), s*4096*512+r.Int64N(4000*512))
			e.ok(err)
		}
		_, err = f.WriteAt([]byte("the end"), size-7)
		e.ok(err)
		e.ok(f.Close())
		e.rx(e.A, "-B", "10000000")
		res := e.txCode(0, "-b", "512", "-R", "300000", "-B", "10000000", hA, "big")
		e.want(strings.Contains(res.Stderr, fmt.Sprintf("Sections: %d", sections)), "%d sections", sections)
		e.got("big", e.A)
	}},
	{id: "132", alone: true, run: func(t *testing.T, e *env) {
		const n = 135 // two lists at 128 a message
		lab := netlab.New(t, netlab.Config{Receivers: n})
		e.S = lab.Sender()
		e.file("f", 50_000)
		var ids []string
		for _, h := range lab.Receivers() {
			e.mkdir(h.Name)
			ids = append(ids, h.UID())
			e.start(h, e.dir, e.bin.path("uftpd", e.OursRx), "-d", "-q", "-I", netlab.Device, "-D", e.dest(h))
		}
		for _, p := range e.procs {
			e.ok(p.WaitLog(ready, startMax))
		}
		c := e.capture(e.S)
		// More time than usual: so many programs share the processors.
		e.txCode(0, "-b", "512", "-r", "0.5:0.1:15", "-s", "20", "-H", "@"+e.write(strings.Join(ids, "\n"), "list"), "f")
		for _, h := range lab.Receivers() {
			e.got("f", h)
		}
		for _, id := range ids {
			e.result(id, "f", "copy")
		}
		tr := e.packets(c)
		x, err := wire.ParseAnnounce(wire.Version4, tr.of(announce)[1].Payload[wire.HeaderLen:])
		e.ok(err)
		e.want(x.Hosts.Len() == n-128, "the second message of the list holds the rest, got %d", x.Hosts.Len())
	}},
}

// crowd sends n files from n senders at once to A and returns how many ended
// with which code. A file whose sender ended well must be whole.
func (e *env) crowd(n int) map[int]int {
	e.t.Helper()
	e.rx(e.A)
	var procs []*netlab.Proc
	for i := range n {
		name := fmt.Sprintf("f%d", i)
		e.file(name, 60_000+int64(i))
		// 0.7 s of data each, so that the sessions overlap; more time than usual
		// for answers, because so many programs share the processors.
		procs = append(procs, e.txRaw("-I", netlab.Device, "-r", "0.2:0.1:15", "-s", "40", "-R", "700",
			"-U", fmt.Sprintf("0x%X", 0x1000+i), "-P", fmt.Sprintf("230.7.%d.%d", i/200, 1+i%200), hA, name))
	}
	codes := make(map[int]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range procs {
		wg.Go(func() {
			res, err := p.WaitFor(sessionMax)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				e.t.Error(err)
			}
			codes[res.Code]++
		})
	}
	wg.Wait()
	for i, p := range procs {
		if res, _ := p.WaitFor(sessionMax); res.Code == 0 {
			e.got(fmt.Sprintf("f%d", i), e.A)
		}
	}
	return codes
}
