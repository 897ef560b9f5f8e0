package netio

import (
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkLoopback sends and receives in one goroutine, so the figure is the
// cost of both directions together. With GSO a batch leaves in as few trains as
// the limits of a train allow.
func BenchmarkLoopback(b *testing.B) {
	variants := []struct {
		name string
		cfg  Config
	}{{"portable", Config{Portable: true}}}
	if runtime.GOOS == "linux" {
		variants = append(variants, []struct {
			name string
			cfg  Config
		}{
			{"gso+gro", Config{}}, {"gso", Config{NoGRO: true}}, {"gro", Config{NoGSO: true}},
			{"mmsg", Config{NoGSO: true, NoGRO: true}},
		}...)
	}
	for _, v := range variants {
		for _, size := range []int{1324, 8824} {
			for _, batch := range []int{1, 8, 64} {
				b.Run(fmt.Sprintf("%s/size=%d/batch=%d", v.name, size, batch), func(b *testing.B) {
					benchLoopback(b, v.cfg, size, batch)
				})
			}
		}
	}
}

func benchLoopback(b *testing.B, cfg Config, size, batch int) {
	cfg.RcvBuf, cfg.SndBuf = 4<<20, 4<<20
	tx, rx := listen(b, cfg), listen(b, cfg)
	segs := min(batch, MaxTrainSegs, MaxTrainBytes/size)
	buf := make([]byte, segs*size)
	trains := make([]TxTrain, 0, batch)
	for left := batch; left > 0; {
		n := min(left, segs)
		trains = append(trains, TxTrain{Buf: buf[:n*size], Seg: size, To: to("127.0.0.1", rx)})
		left -= n
	}
	s := slots(min(batch, 64), SlotBytes)
	outAndIn := func() {
		if _, err := tx.WriteBatch(trains); err != nil {
			b.Fatal(err)
		}
		for got := 0; got < batch*size; {
			n, err := rx.ReadBatch(s)
			if err != nil {
				b.Fatal(err)
			}
			for i := range s[:n] {
				got += s[i].N
			}
		}
	}
	outAndIn() // the message headers are made by the first call
	b.SetBytes(int64(batch * size))
	b.ReportAllocs()
	for b.Loop() {
		outAndIn()
	}
}
