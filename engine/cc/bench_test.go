package cc

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkTake books a train and asks when the next may leave, as a sender does
// for each train.
func BenchmarkTake(b *testing.B) {
	for _, rate := range []int64{12_500_000, 1_250_000_000} {
		for _, size := range []int{1352, 64 * 1352} {
			b.Run(fmt.Sprintf("rate=%d/bytes=%d", rate, size), func(b *testing.B) {
				bucket := NewBucket(rate, time.Millisecond)
				bucket.Reset(begin)
				now := begin
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					now = bucket.Next(now)
					bucket.Take(now, size)
				}
			})
		}
	}
}
