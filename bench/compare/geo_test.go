//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uftp/tools/netlab"
)

func TestReadLink(t *testing.T) {
	const clean = `{"kernel_drops":0}`
	for _, c := range []struct {
		why, text string
		want      crossing
		err       error
	}{
		{"the last document counts, return channels together", `{"directions":[]}
{"directions":[{"direction":"down","bytes":500,"lost_queue":1,"artefacts":` + clean + `},{"direction":"up","bytes":7,"lost_queue":2,"artefacts":` + clean + `},` +
			`{"direction":"down","bytes":500,"lost_queue":3,"artefacts":` + clean + `},{"direction":"up","bytes":8,"artefacts":` + clean + `}]}
`, crossing{down: 500, downQueue: 3, up: 15, upQueue: 2}, nil},
		{"a run is none in which the link failed", `{"directions":[{"direction":"down","bytes":500,"artefacts":{"kernel_drops":3}}]}`, crossing{}, errLinkLie},
		{"no link", `{"directions":[]}`, crossing{}, errOutput},
		{"no JSON", `x`, crossing{}, errOutput},
	} {
		path := filepath.Join(t.TempDir(), "link.json")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var got crossing
		if err := got.readLink(path); !errors.Is(err, c.err) || err == nil && got != c.want {
			t.Errorf("%s: %+v, %v, want %+v, %v", c.why, got, err, c.want, c.err)
		}
	}
}

func TestReceiveErrors(t *testing.T) {
	const good = "Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 1 2 3 4 57 6\nUdpLite: InDatagrams\nUdpLite: 9\n"
	if n, err := receiveErrors(good); n != 57 || err != nil {
		t.Errorf("%d, %v, want 57", n, err)
	}
	for _, bad := range []string{"", "Udp: RcvbufErrors\n", "Udp: A RcvbufErrors\nUdp: 1\n", "Udp: RcvbufErrors\nUdp: x\n"} {
		if _, err := receiveErrors(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestGeoLineAndTable(t *testing.T) {
	p := pairing{ours, stock, false}
	run := crossing{elapsed: 2 * time.Second, whole: 5 * time.Second, down: 40_000_000, again: 0.25, passes: 3, naks: 9, up: 1500, upQueue: 4, full: 7}
	const want = "BenchmarkGeo/sender=ours/receivers=stock/settings=default\t1\t2000000000 ns/op\t15.00 MB/s\t5.000 command-s\t40.00 down-MB\t25.0 %again\t3 passes\t9 NAKs\t1.5 up-kB\t0 down-overflows\t4 up-overflows\t7 no-room"
	if got := geoLine(p, 30_000_000, run); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	slow := run
	slow.elapsed = 4 * time.Second
	var b bytes.Buffer
	if err := writeGeo(&b, []pairing{p, {stock, stock, true}}, [][]crossing{{slow, run}, nil}, []int{1, 2}); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, row := range []string{
		"sender=ours/receivers=stock/settings=default 3.0 ( 2.0- 4.0) 5.0 40.00 25.0% 3 9 1.5 7 1",
		"sender=stock/receivers=stock/settings=tuned never came across, 2 times",
	} {
		if !strings.Contains(text, row) {
			t.Errorf("no %q in %s", row, &b)
		}
	}
}

// TestCrossing sends a small file over the satellite once.
func TestCrossing(t *testing.T) {
	netlab.Require(t, "uftp", "uftpd")
	b := &bench{ctx: t.Context(), size: 500_000, timeout: 5 * time.Minute, dir: t.TempDir()}
	b.bin, b.file = filepath.Join(b.dir, "bin"), filepath.Join(b.dir, "file")
	if err := buildOurs(b.bin); err != nil {
		t.Fatal(err)
	}
	if err := netlab.WriteRandom(b.file, b.size, 1); err != nil {
		t.Fatal(err)
	}
	c, err := b.cross(pairing{ours, stock, true}, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if c.elapsed < 600*time.Millisecond || c.whole < c.elapsed || c.down < 500_000 || c.up == 0 || c.passes < 1 {
		t.Errorf("%+v, want at least a round trip, all bytes down and answers up", c)
	}
}
