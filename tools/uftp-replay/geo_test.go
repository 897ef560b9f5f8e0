package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/crypto/keylog"
	"uftp/engine/clock"
	"uftp/engine/dialect"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/sim"
	"uftp/pcap"
	"uftp/wire"
)

// sealed makes cfg an encrypted session and returns the line of its key log.
func sealed(t *testing.T, cfg sender.Config, suite handshake.Suite) (sender.Config, []byte) {
	t.Helper()
	cfg = sim.Defaults(cfg)
	cfg.Group = 0xE0000001
	random := rand.NewChaCha8([32]byte{7})
	key, err := identity.GenerateEC(identity.P256, random)
	if err != nil {
		t.Fatal(err)
	}
	server, err := handshake.NewServer(handshake.ServerConfig{
		Suite: suite, ClientAuth: true, Session: handshake.Session{Group: cfg.Group, Private: cfg.Private.Addr()},
		Key: key, Curve: identity.P256, Rand: random,
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Dialect, err = dialect.NewServer(wire.Version4, server); err != nil {
		t.Fatal(err)
	}
	e := keylog.Entry{Group: cfg.Group, Suite: suite, ServerRandom: server.Random(), GroupMaster: server.GroupMaster()}
	return cfg, e.Append(nil)
}

// TestOverSatellite captures sessions of ours over 600 ms of round trip with bursts
// of loss, at either end: what was sent is shown and rebuilt, our receiver gives the
// captured answers again, and our sender takes the captured steps.
func TestOverSatellite(t *testing.T) {
	base := sender.Config{Rate: 45_000_000 / 8, GRTT: time.Second}
	t.Run("in clear", func(t *testing.T) {
		overSatellite(t, base, receiver.Config{}, nil, "6 answers equal", "6 steps equal")
	})
	for _, x := range []struct {
		name  string
		suite handshake.Suite
	}{
		{"sealed", handshake.Suite{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA}},
		{"signed", handshake.Suite{Cipher: wire.CipherAES128CBC, Hash: wire.HashSHA256, SigType: wire.SigKeyExch, KeyExch: wire.KeyExchECDHECDSA}},
	} {
		t.Run(x.name, func(t *testing.T) {
			cfg, line := sealed(t, base, x.suite)
			host := receiver.Config{MakeKeys: true, MinSecurity: identity.Medium, Rand: rand.NewChaCha8([32]byte{8})}
			overSatellite(t, cfg, host, line, "handshake equal in structure", "steps equal; handshake in structure")
		})
	}
}

// overSatellite runs and captures one session and wants what is said of it.
func overSatellite(t *testing.T, cfg sender.Config, host receiver.Config, log []byte, answers, steps string) {
	const oneWay = 300 * time.Millisecond
	w := sim.New(5)
	path := sim.Path{Delay: oneWay, Burst: sim.Bursts(0.05, 8)}
	w.AddReceiverOn(host, path, sim.Path{Delay: oneWay})
	s := w.AddSender(cfg, &sim.File{Name: "scene.tif", Size: 3_000_000, MTime: 1_700_000_000, Seed: 9})
	var here, there []pcap.Datagram // at the sender, at the receiver
	w.Tap = func(at clock.Time, from, to netip.AddrPort, data []byte) {
		d := pcap.Datagram{Time: time.Unix(0, int64(at)), Src: from, Dst: to, Payload: bytes.Clone(data)}
		if h, _, err := wire.ParseHeader(data); err == nil && h.Src == s.Config.UID {
			here = append(here, d)
			d.Time = d.Time.Add(oneWay) // it is heard later
			there = append(there, d)
			return
		}
		there = append(there, d)
		d.Time = d.Time.Add(oneWay)
		here = append(here, d)
	}
	if err := w.Run(5 * time.Minute); err != nil {
		t.Fatal(err)
	}
	name, keys := save(t, there), filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, log, 0o600); err != nil {
		t.Fatal(err)
	}
	seen := want(t, 0, "inspect", "--summary", "--keylog", keys, name)
	if strings.Contains(seen, "anomaly") || !strings.Contains(seen, "for 2308 blocks in") {
		t.Errorf("%s, want a session without anomalies", seen)
	}
	dir := t.TempDir()
	want(t, 0, "extract", "--keylog", keys, name, dir)
	info, err := os.Stat(filepath.Join(dir, fmt.Sprintf("%08x", s.Config.Group), "scene.tif"))
	if err != nil || info.Size() != 3_000_000 || info.ModTime().Unix() != 1_700_000_000 {
		t.Errorf("%v, %v, want the file with its size and time", info, err)
	}
	out := want(t, 0, "receiver", "--keylog", keys, name)
	if !strings.Contains(out, answers) || !strings.Contains(out, "1 files; 0s early to 0s late") {
		t.Errorf("%s, want %s at their times", out, answers)
	}
	if out := want(t, 0, "sender", "--keylog", keys, save(t, here)); !strings.Contains(out, steps) {
		t.Errorf("%s, want %s", out, steps)
	}
}

// save writes a capture, sorted by time.
func save(t *testing.T, list []pcap.Datagram) (name string) {
	t.Helper()
	slices.SortStableFunc(list, func(a, b pcap.Datagram) int { return a.Time.Compare(b.Time) })
	var b bytes.Buffer
	p, err := pcap.NewWriter(&b, pcap.Classic)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if err := p.Write(d); err != nil {
			t.Fatal(err)
		}
	}
	name = filepath.Join(t.TempDir(), "geo.pcap")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
