//go:build linux

package interop

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"uftp/tools/netlab"
)

// TestCapture holds what our programs capture of themselves against what tcpdump
// sees on their interfaces at the same time.
func TestCapture(t *testing.T) { runGroup(t, captured) }

var captured = []scenario{
	{id: "N1", side: oneOurs, run: func(t *testing.T, e *env) { captureScenario(e, nil, []string{"-t", "7", "-Q", "10"}) }},
	{id: "N2", side: oneOurs, run: func(t *testing.T, e *env) {
		captureScenario(e, []string{"-I", "eth0/6", "-M", "ff02::1:2:3"},
			[]string{"-t", "7", "-Q", "10", "-I", "eth0/6", "-M", "ff02::1:2:3", "-P", "ff02::4:5:x"})
	}},
	{id: "N3", side: oneOurs, run: func(t *testing.T, e *env) {
		captureScenario(e, []string{"-K", "ec:prime256v1"}, []string{"-Y", "aes256-gcm", "-b", "512"})
	}},
}

// captureScenario sends a file with ours capturing at whichever end is ours.
func captureScenario(e *env, rxArgs, txArgs []string) {
	t := e.t
	t.Helper()
	e.file("f", 400_000)
	here, there := e.capture(e.S), e.capture(e.A)
	own := e.in("own.pcapng")
	if e.OursRx {
		rxArgs = append(rxArgs, "--pcap", own+"-rx")
	}
	if e.OursTx {
		txArgs = append(txArgs, "--pcap", own+"-tx")
	}
	rx := e.rx(e.A, rxArgs...)
	e.txCode(0, append(txArgs, "f")...)
	e.stop(rx)
	e.got("f", e.A)
	e.ok(here.Stop())
	e.ok(there.Stop())
	if e.OursTx {
		sameAsTcpdump(e, e.S, own+"-tx", here.Path)
	}
	if e.OursRx {
		sameAsTcpdump(e, e.A, own+"-rx", there.Path)
	}
}

// sameAsTcpdump wants the datagrams of a capture to be those that passed the
// interface of a host, headers and all. The hop limit of what arrives is not known
// to a program; what comes after its end only tcpdump sees.
func sameAsTcpdump(e *env, h *netlab.Host, own, line string) {
	e.t.Helper()
	if err := netlab.CheckFile(own); err != nil {
		e.t.Error(err)
	}
	got, want := packetLines(e, own, h, true), packetLines(e, line, h, true)
	e.want(len(got) > 0 && len(got) == len(want), "%s holds all that was sent: %d, tcpdump %d", own, len(got), len(want))
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			e.t.Errorf("%s, sent datagram %d:\n got %.200s\nwant %.200s", own, i, got[i], want[i])
			break
		}
	}
	// Two processors may put what arrives into the socket in another order than
	// tcpdump sees it.
	got, want = packetLines(e, own, h, false), packetLines(e, line, h, false)
	e.want(len(got) > 0, "%s holds what was received, tcpdump has %d", own, len(want))
	seen := map[string]int{}
	for _, l := range want {
		seen[l]++
	}
	for i, l := range got {
		if seen[l]--; seen[l] < 0 {
			e.t.Errorf("%s, received datagram %d: %.200s; tcpdump did not see it", own, i, l)
			break
		}
	}
	// Nobody judges checksums on the line: they are unfinished when tcpdump sees them.
	bad := tshark(e, own, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-Y", "ip.checksum.status == 0 || udp.checksum.status == 0")
	e.want(len(bad) == 0, "good checksums: %s", strings.Join(bad, "\n"))
}

// packetLines is what a host sent, or what it did not send: addresses, traffic class,
// payload, and the hop limit of the former.
func packetLines(e *env, path string, h *netlab.Host, out bool) []string {
	e.t.Helper()
	fields := []string{"ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "udp.srcport", "udp.dstport", "ip.dsfield", "ipv6.tclass", "udp.payload"}
	if out {
		fields = append(fields, "ip.ttl", "ipv6.hlim")
	}
	args := []string{"-n", "-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	own := append(addrs6(e, h), h.IPv4.String())
	var list []string
	for _, l := range tshark(e, path, append(args, "-Y", "udp")...) {
		f := strings.Split(l, "\t")
		if slices.Contains(own, f[0]+f[1]) == out {
			list = append(list, l)
		}
	}
	return list
}

// addrs6 lists the IPv6 addresses of a host.
func addrs6(e *env, h *netlab.Host) (list []string) {
	e.t.Helper()
	res, err := h.Run(soon, "ip", "-6", "-o", "addr", "show", "dev", netlab.Device)
	e.ok(err)
	for line := range strings.Lines(res.Stdout) {
		if f := strings.Fields(line); len(f) > 3 {
			addr, _, _ := strings.Cut(f[3], "/")
			list = append(list, addr)
		}
	}
	return list
}

// tshark returns the lines that tshark prints of a capture.
func tshark(e *env, path string, args ...string) (lines []string) {
	e.t.Helper()
	out, err := exec.Command("tshark", append([]string{"-r", path}, args...)...).Output()
	e.ok(err)
	for l := range strings.Lines(string(out)) {
		lines = append(lines, strings.TrimSuffix(l, "\n"))
	}
	return lines
}
