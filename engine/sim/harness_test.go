package sim

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"uftp/engine/clock"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/wire"
)

var (
	oneSeed  = flag.Uint64("sim.seed", 0, "run this seed only (0 = those of the test)")
	numSeeds = flag.Int("sim.seeds", 30, "how many seeds the random mixes run")
)

// scenario builds a world. It returns the time by which the world must be at rest
// and what else must hold then.
type scenario func(w *World) (limit time.Duration, check func() error)

// run runs a scenario with a seed. A failure leaves a capture and a trace of a
// second, equal run and says how to repeat it.
func run(t *testing.T, seed uint64, sc scenario) {
	t.Helper()
	if *oneSeed != 0 {
		seed = *oneSeed
	}
	w := New(seed)
	err := play(w, sc)
	if err == nil {
		return
	}
	w = New(seed)
	capture, trace, cerr := record(w, func() { play(w, sc) })
	if cerr != nil {
		t.Errorf("the failure below could not be recorded: %v", cerr)
	}
	t.Errorf("seed %d: %v\ncapture: %s\ntrace: %s\nagain: go test ./engine/sim -run '^%s$' -sim.seed %d", seed, err, capture, trace, strings.ReplaceAll(t.Name(), "/", "$/^"), seed)
}

func play(w *World, sc scenario) error {
	limit, check := sc(w)
	err := w.Run(limit)
	if err == nil && check != nil {
		err = check()
	}
	return err
}

// record runs fn with a capture and a trace of w.
func record(w *World, fn func()) (capture, trace string, err error) {
	dir, err := os.MkdirTemp("", "sim-")
	if err != nil {
		return "", "", err
	}
	capture, trace = filepath.Join(dir, "packets.pcap"), filepath.Join(dir, "trace.txt")
	f, err := os.Create(capture)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	g, err := os.Create(trace)
	if err != nil {
		return "", "", err
	}
	defer g.Close()
	fb, gb := bufio.NewWriter(f), bufio.NewWriter(g)
	w.Tap = tap(fb, &err)
	w.Trace = gb
	fn()
	if err == nil {
		err = fb.Flush()
	}
	if err == nil {
		err = gb.Flush()
	}
	return capture, trace, err
}

// tap returns a Tap that writes Ethernet frames.
func tap(out *bufio.Writer, failed *error) func(clock.Time, netip.AddrPort, netip.AddrPort, []byte) {
	w := pcapgo.NewWriter(out)
	*failed = w.WriteFileHeader(65536, layers.LinkTypeEthernet)
	buf := gopacket.NewSerializeBuffer()
	return func(at clock.Time, from, to netip.AddrPort, data []byte) {
		if *failed != nil {
			return
		}
		eth := layers.Ethernet{
			SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2},
			EthernetType: layers.EthernetTypeIPv4,
		}
		ip := layers.IPv4{Version: 4, TTL: 1, Protocol: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
		udp := layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
		udp.SetNetworkLayerForChecksum(&ip)
		*failed = gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, &eth, &ip, &udp, gopacket.Payload(data))
		if *failed == nil {
			b := buf.Bytes()
			*failed = w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(0, int64(at)), CaptureLength: len(b), Length: len(b)}, b)
		}
	}
}

// file returns a regular file whose bytes depend on its name.
func file(name string, size int64) *File {
	seed := uint64(size)
	for _, c := range name {
		seed = seed*131 + uint64(c)
	}
	return &File{Name: name, Size: size, MTime: 1_700_000_000, Seed: seed}
}

// mbit returns a rate in bytes/s.
func mbit(n int64) int64 { return n * 1_000_000 / 8 }

// fast is a session that does not wait long for anything: a rate of 100 Mbit/s and
// a first GRTT of 50 ms.
func fast() sender.Config {
	return sender.Config{Rate: mbit(100), GRTT: 50 * time.Millisecond}
}

// closed makes cfg a closed group of the world's receivers.
func closed(w *World, cfg sender.Config) sender.Config {
	for _, r := range w.receivers {
		cfg.Hosts = append(cfg.Hosts, sender.Host{UID: r.UID(), Name: r.UID().String()})
	}
	return cfg
}

// receivers adds n receivers on equal links.
func receivers(w *World, n int, p Path) {
	for range n {
		w.AddReceiver(receiver.Config{}, p)
	}
}

// everybodyHas checks that s ended well and that all receivers have all its files.
func everybodyHas(w *World, s *Sender) func() error {
	return func() error {
		if !s.Done() || s.Ended.Exit != sender.ExitOK || !s.Ended.Complete {
			return fmt.Errorf("the session ended %v with exit %v, complete %v", s.Done(), s.Ended.Exit, s.Ended.Complete)
		}
		for _, f := range s.Files {
			for _, r := range w.receivers {
				if err := got(s, r, f); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// got checks that r has f and that s knows.
func got(s *Sender, r *Receiver, f *File) error {
	if f.Type == wire.TypeFile && !r.Disk.Has(f) {
		return fmt.Errorf("%s does not have %s", r, f.Name)
	}
	res, ok := s.Result(f.Name, r.UID())
	if !ok || res.State != sender.Done {
		return fmt.Errorf("the sender reports %s at %s as %v (%v)", f.Name, r, res.State, ok)
	}
	return nil
}
