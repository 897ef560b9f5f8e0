package aead

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"uftp/wire"
)

// TestAllocations seals and opens without allocating, singly and in batches.
// KEYEX is left out: the arithmetic of big numbers behind it does allocate.
func TestAllocations(t *testing.T) {
	for _, k := range kits(t) {
		if k.keys.SigType == wire.SigKeyExch {
			continue
		}
		const n, count = 1308, 7
		stride := k.s.Size(n)
		clean := bytes.Repeat(clearPacket(k.s, n, 1), count)
		train := bytes.Clone(clean)
		pkts := make([][]byte, count)
		for i := range pkts {
			pkts[i] = train[i*stride:][:stride]
		}
		out := make([]Opened, count)
		var w Window
		var c Counter
		for _, run := range []struct {
			name string
			f    func()
		}{
			{"one", func() {
				first, _ := c.Take(1)
				k.s.Seal(pkts[0], n, first)
				if _, got, err := k.o.Open(pkts[0]); err != nil || !w.Mark(got) {
					t.Errorf("%s: counter %d, %v", k.name, got, err)
				}
			}},
			{"batch", func() {
				first, _ := c.Take(count)
				k.s.SealBatch(train, count, n, n, first)
				k.o.OpenBatch(pkts, out)
				if out[0].Err != nil || out[count-1].Err != nil || !w.Mark(out[count-1].Counter) {
					t.Errorf("%s: %+v", k.name, out)
				}
			}},
			{"refused", func() {
				pkts[0][200] ^= 1
				if _, _, err := k.o.Open(pkts[0]); err == nil {
					t.Errorf("%s: damaged datagram opens", k.name)
				}
				copy(train, clean)
			}},
		} {
			copy(train, clean)
			if got := testing.AllocsPerRun(20, run.f); got != 0 {
				t.Errorf("%s, %s: %v allocations, want none", k.name, run.name, got)
			}
		}
	}
}

// TestWorkers has several workers seal the trains of one session, each with its
// own Sealer, and several open them.
func TestWorkers(t *testing.T) {
	const workers, trains, count, n = 4, 32, 7, 520
	for _, c := range cipherNames {
		k := testKeys(c.cipher, 5)
		s, _ := pair(t, k, true)
		stride := s.Size(n)
		var counter Counter
		firsts := make([]uint64, trains)
		bufs := make([][]byte, trains)
		for i := range bufs {
			var err error
			if firsts[i], err = counter.Take(count); err != nil {
				t.Fatal(err)
			}
			bufs[i] = bytes.Repeat(clearPacket(s, n, uint16(i)), count)
		}

		var wg sync.WaitGroup
		for w := range workers {
			own, _ := pair(t, k, true)
			wg.Go(func() {
				for i := w; i < trains; i += workers {
					if _, err := own.SealBatch(bufs[i], count, n, n, firsts[i]); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()

		opened := make([][]Opened, trains)
		for w := range workers {
			_, own := pair(t, k, true)
			wg.Go(func() {
				for i := w; i < trains; i += workers {
					var pkts [][]byte
					for j := range count {
						pkts = append(pkts, bufs[i][j*stride:][:stride])
					}
					opened[i] = make([]Opened, count)
					own.OpenBatch(pkts, opened[i])
				}
			})
		}
		wg.Wait()

		var seen Window
		for i := range opened {
			for j, r := range opened[i] {
				if r.Err != nil || r.Counter != firsts[i]+uint64(j) || !bytes.Equal(r.Msg, message(n)) || !seen.Mark(r.Counter) {
					t.Fatalf("%s, train %d, datagram %d: counter %d, %v", c.name, i, j, r.Counter, r.Err)
				}
			}
		}
	}
}

func TestPutIV(t *testing.T) {
	salt4, salt12 := []byte{1, 2, 3, 4}, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	for _, v := range []struct {
		name string
		n    int
		salt []byte
		want string
	}{
		{"8 bytes: (salt, source) XOR counter", 8, salt4, "810203045f5c5d52"},
		{"12 bytes: salt XOR source, counter", 12, salt4, "a1a0a3a680000000fefefefe"},
		{"16 bytes: salt, source, counter", 16, salt4, "01020304a0a2a0a280000000fefefefe"},
		{"version 5: salt XOR counter", 12, salt12, "0102030485060708f7f4f5f2"},
	} {
		iv := bytes.Repeat([]byte{0xcc}, v.n)
		src := wire.UID(0xa0a2a0a2)
		if v.n == 8 {
			src = 0xa1a2a3ac
		}
		PutIV(iv, v.salt, src, 1<<63|0xfefefefe)
		if got := fmt.Sprintf("%x", iv); got != v.want {
			t.Errorf("%s: %s, want %s", v.name, got, v.want)
		}
	}
}

func TestFeatures(t *testing.T) {
	list := Features()
	if list == "" {
		t.Error(`Features is empty, want words or "none"`)
	}
	for _, c := range cipherNames {
		got := Accelerated(c.cipher)
		switch {
		case strings.HasSuffix(c.name, "des"):
			if got {
				t.Errorf("%s is accelerated, want not: no processor does DES", c.name)
			}
		case got && !strings.Contains(list, "aes"):
			t.Errorf("%s is accelerated with features %q, want AES among them", c.name, list)
		case ciphers[c.cipher].mode != modeGCM && got != haveAES:
			t.Errorf("%s: accelerated %v, AES instructions %v, want the same", c.name, got, haveAES)
		}
	}
	for _, cipher := range []wire.Cipher{wire.CipherNone, 9, 255} {
		if Accelerated(cipher) || Authenticates(cipher) || KeyLen(cipher) != 0 {
			t.Errorf("cipher %d is accelerated, authenticates or has a key, want none of it: there is no such cipher", cipher)
		}
	}
}
