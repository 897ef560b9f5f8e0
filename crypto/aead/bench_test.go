package aead

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"uftp/wire"
)

var benchSizes = []int{1300, 8800}

func BenchmarkSeal(b *testing.B) {
	for _, c := range cipherNames {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				s, err := NewSealer(testKeys(c.cipher, 0), nil, 0)
				if err != nil {
					b.Fatal(err)
				}
				pkt := clearPacket(s, n, 1)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					s.Seal(pkt, n, uint64(i)+1)
				}
			})
		}
	}
}

func BenchmarkSealBatch(b *testing.B) {
	for _, c := range cipherNames {
		for _, n := range benchSizes {
			count := min(64, 65000/n)
			b.Run(fmt.Sprintf("%s/%dx%d", c.name, count, n), func(b *testing.B) {
				s, err := NewSealer(testKeys(c.cipher, 0), nil, 0)
				if err != nil {
					b.Fatal(err)
				}
				train := bytes.Repeat(clearPacket(s, n, 1), count)
				b.SetBytes(int64(n * count))
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					s.SealBatch(train, count, n, n, uint64(i*count)+1)
				}
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, c := range cipherNames {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				_, o := pair(b, testKeys(c.cipher, 0), true)
				_, sealed := sealedTrain(b, c.cipher, n, 1)
				pkt := bytes.Clone(sealed)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					copy(pkt, sealed)
					if _, _, err := o.Open(pkt); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkOpenBatch(b *testing.B) {
	for _, c := range cipherNames {
		for _, n := range benchSizes {
			count := min(64, 65000/n)
			b.Run(fmt.Sprintf("%s/%dx%d", c.name, count, n), func(b *testing.B) {
				_, o := pair(b, testKeys(c.cipher, 0), true)
				stride, sealed := sealedTrain(b, c.cipher, n, count)
				train := bytes.Clone(sealed)
				pkts := slices.Collect(slices.Chunk(train, stride))
				out := make([]Opened, count)
				b.SetBytes(int64(n * count))
				b.ReportAllocs()
				for b.Loop() {
					copy(train, sealed)
					o.OpenBatch(pkts, out)
					if out[0].Err != nil || out[count-1].Err != nil {
						b.Fatal(out[0].Err, out[count-1].Err)
					}
				}
			})
		}
	}
}

func sealedTrain(tb testing.TB, cipher wire.Cipher, n, count int) (stride int, train []byte) {
	s, _ := pair(tb, testKeys(cipher, 0), true)
	train = bytes.Repeat(clearPacket(s, n, 1), count)
	if _, err := s.SealBatch(train, count, n, n, 1); err != nil {
		tb.Fatal(err)
	}
	return s.Size(n), train
}

// BenchmarkSoftCCM is CCM without our assembly.
func BenchmarkSoftCCM(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, _ := pair(b, testKeys(wire.CipherAES256CCM, 0), false)
			pkt := clearPacket(s, n, 1)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.Seal(pkt, n, uint64(i)+1)
			}
		})
	}
}
