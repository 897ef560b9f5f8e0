package bench

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/engine/store"
)

// memoryDir returns a directory in memory where there is one, else a temporary one.
func memoryDir(b *testing.B) string {
	b.Helper()
	if dir, err := os.MkdirTemp("/dev/shm", "uftp-bench-"); err == nil {
		b.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return b.TempDir()
}

// BenchmarkTransfer sends one file to one receiver over loopback, unicast.
func BenchmarkTransfer(b *testing.B) {
	for _, block := range []int{1300, 8800} {
		for _, kbps := range []int64{2e6, 5e6, 8e6, 10e6, 12e6, -1} {
			for _, gso := range []bool{true, false} {
				b.Run(fmt.Sprintf("block=%d/rate=%d/gso=%v", block, kbps, gso), func(b *testing.B) {
					transfer(b, 512<<20, block, kbps, gso)
				})
			}
		}
	}
}

func transfer(b *testing.B, size int64, block int, kbps int64, gso bool) {
	dir := memoryDir(b)
	src := filepath.Join(dir, "file")
	if err := os.WriteFile(src, make([]byte, size), 0o644); err != nil {
		b.Fatal(err)
	}
	dest := filepath.Join(dir, "dest")
	if err := os.Mkdir(dest, 0o755); err != nil {
		b.Fatal(err)
	}
	ports := make(chan uint16, 1)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	nc := netio.Config{RcvBuf: 32 << 20, SndBuf: 4 << 20, NoGSO: !gso, NoGRO: !gso}
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
	rate := max(0, kbps*1024/8)
	b.SetBytes(size)
	b.ReportAllocs()
	var repair, data int64
	for b.Loop() {
		res, err := engine.Send(context.Background(), engine.SendConfig{
			Session: sender.Config{
				UID: 2, Public: to, Private: to, Unicast: true, BlockSize: block, Robust: 20, Rate: rate, Overhead: 52,
				GRTT: 50 * time.Millisecond, MinGRTT: 10 * time.Millisecond, MaxGRTT: 15 * time.Second,
				RegisterCount: 1, MaxNAKPct: 100, MaxNAKCount: 1, MaxPasses: 65535,
			},
			Net: nc, Walk: store.WalkConfig{Operands: []string{src}},
		}, nil)
		if err != nil || res.Exit != sender.ExitOK {
			b.Fatalf("exit %d, %v", res.Exit, err)
		}
		repair += res.Counters.RepairPackets
		data += res.Counters.DataPackets
	}
	b.ReportMetric(100*float64(repair)/float64(data), "%repair")
}
