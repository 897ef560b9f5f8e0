package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine"
	"uftp/engine/dialect"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/store"
	"uftp/wire"
)

const group = 0xBE7C4

// memoryDir returns a directory in memory where there is one, else a temporary one.
func memoryDir(b *testing.B) string {
	b.Helper()
	if dir, err := os.MkdirTemp("/dev/shm", "uftp-bench-"); err == nil {
		b.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return b.TempDir()
}

// setup is how files are sent.
type setup struct {
	block   int // bytes
	kbps    int64
	noGSO   bool // and no GRO
	secret  bool // aes256-gcm
	workers int
}

func (s setup) String() string {
	cipher := "none"
	if s.secret {
		cipher = "aes256-gcm"
	}
	return fmt.Sprintf("block=%d/cipher=%s/rate=%d/workers=%d/gso=%v", s.block, cipher, s.kbps, s.workers, !s.noGSO)
}

// BenchmarkTransfer sends one file to one receiver over loopback, unicast.
func BenchmarkTransfer(b *testing.B) {
	const size = 512 << 20
	var list []setup
	for _, block := range []int{1300, 8800} {
		for _, kbps := range []int64{2e6, 5e6, 8e6, 10e6, 12e6, -1} {
			list = append(list, setup{block: block, kbps: kbps}, setup{block: block, kbps: kbps, noGSO: true})
		}
		for _, kbps := range []int64{2e6, 5e6, 8e6} {
			for _, workers := range []int{0, 1, 2} {
				list = append(list, setup{block: block, kbps: kbps, workers: workers, secret: true})
			}
			list = append(list, setup{block: block, kbps: kbps, workers: 1})
		}
	}
	for _, s := range list {
		b.Run(s.String(), func(b *testing.B) {
			dir := memoryDir(b)
			src := filepath.Join(dir, "file")
			if err := os.WriteFile(src, make([]byte, size), 0o644); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(size)
			transfer(b, s, dir, src)
		})
	}
}

// BenchmarkFiles sends many small files, one after the other as the protocol does.
func BenchmarkFiles(b *testing.B) {
	const count, size = 1000, 4096
	dir := memoryDir(b)
	src := filepath.Join(dir, "files")
	if err := os.Mkdir(src, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range count {
		if err := os.WriteFile(filepath.Join(src, fmt.Sprint(i)), make([]byte, size), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	for _, secret := range []bool{false, true} {
		s := setup{block: 1300, kbps: 1e6, secret: secret}
		b.Run(s.String(), func(b *testing.B) {
			b.SetBytes(count * size)
			transfer(b, s, dir, src)
			b.ReportMetric(float64(b.N)*count/b.Elapsed().Seconds(), "files/s")
		})
	}
}

// transfer sends src to a receiver below dir, again and again.
func transfer(b *testing.B, s setup, dir, src string) {
	dest, err := os.MkdirTemp(dir, "dest")
	if err != nil {
		b.Fatal(err)
	}
	ports := make(chan uint16, 1)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	nc := netio.Config{RcvBuf: 32 << 20, SndBuf: 4 << 20, NoGSO: s.noGSO, NoGRO: s.noGSO}
	go func() {
		done <- engine.Receive(ctx, engine.ReceiveConfig{
			Receiver: receiver.Config{UID: 1, MaxSessions: 1}, Net: nc,
			Sink: store.SinkConfig{Dests: []string{dest}},
		}, func(_ time.Time, ev machine.Event) {
			if o, ok := ev.(engine.Opened); ok {
				ports <- o.Port
			}
		})
	}()
	defer func() { stop(); <-done }()
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), <-ports)
	b.ReportAllocs()
	var repair, data int64
	for b.Loop() {
		cfg := sender.Config{
			UID: 2, Group: group, Public: to, Private: to, Unicast: true, BlockSize: s.block, Robust: 20,
			Rate: max(0, s.kbps*1024/8), LowerLayers: 28,
			GRTT: 50 * time.Millisecond, MinGRTT: 10 * time.Millisecond, MaxGRTT: 15 * time.Second,
			RegisterCount: 1, MaxNAKPct: 100, MaxNAKCount: 1, MaxPasses: 65535,
		}
		if s.secret {
			cfg.Dialect = encrypted(b)
		}
		res, err := engine.Send(context.Background(), engine.SendConfig{
			Session: cfg, Net: nc, Walk: store.WalkConfig{Operands: []string{src}}, Workers: s.workers,
		}, nil)
		if err != nil || res.Exit != sender.ExitOK {
			b.Fatalf("exit %d, %v", res.Exit, err)
		}
		repair += res.Counters.RepairPackets
		data += res.Counters.DataPackets
	}
	b.ReportMetric(100*float64(repair)/float64(data), "%repair")
}

// encrypted makes the keys of one session with aes256-gcm.
func encrypted(b *testing.B) *dialect.Server {
	key, err := identity.Generate(identity.Spec{Kind: identity.EC, Curve: identity.P256})
	if err != nil {
		b.Fatal(err)
	}
	srv, err := handshake.NewServer(handshake.ServerConfig{
		Suite:   handshake.Suite{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA},
		Session: handshake.Session{Group: group, Private: netip.IPv4Unspecified()}, Key: key, Curve: identity.P256, Rand: rand.Reader,
	})
	if err != nil {
		b.Fatal(err)
	}
	server, err := dialect.NewServer(wire.Version4, srv)
	if err != nil {
		b.Fatal(err)
	}
	return server
}
