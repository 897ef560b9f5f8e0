package aead

import (
	"bytes"
	"testing"

	"uftp/wire"
)

// FuzzOpen hands datagrams of strangers to the Opener of every cipher. What opens
// must be what the Sealer makes of it: nobody without the key makes another. Only
// a signature may differ, since ECDSA has two for everything.
func FuzzOpen(f *testing.F) {
	list := kits(f)
	for i := range list {
		for _, n := range []int{0, 1, 16, 61} {
			f.Add(uint8(i), sealedPacket(f, list[i].s, n, uint64(n)+1))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		k := list[int(which)%len(list)]
		pkt := bytes.Clone(data)
		msg, counter, err := k.o.Open(pkt)

		// A batch of two says the same as two calls.
		a, b := bytes.Clone(data), bytes.Clone(data)
		var out [2]Opened
		k.o.OpenBatch([][]byte{a, b}, out[:])
		for _, r := range out {
			if !bytes.Equal(r.Msg, msg) || r.Counter != counter || r.Err != err {
				t.Fatalf("OpenBatch %+v, Open %x, %d, %v", r, msg, counter, err)
			}
		}

		if err != nil {
			if msg != nil || counter != 0 {
				t.Fatalf("%v with %d bytes and counter %d", err, len(msg), counter)
			}
			return
		}
		again := append(bytes.Clone(data[:16]), make([]byte, k.s.Lead()-16)...)
		again = append(append(again, msg...), make([]byte, k.s.Trailer(len(msg)))...)
		if _, err := k.s.Seal(again, len(msg), counter); err != nil {
			t.Fatal(err)
		}
		if k.keys.SigType == wire.SigKeyExch {
			copy(again[headLen:k.s.Lead()], data[headLen:])
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("%x opens, but is not what sealing gives, %x", data, again)
		}
	})
}

// FuzzRoundTrip seals any message with any counter under every cipher.
func FuzzRoundTrip(f *testing.F) {
	list := kits(f)
	for i := range list {
		f.Add(uint8(i), []byte("some message"), uint64(1)<<i)
	}
	f.Fuzz(func(t *testing.T, which uint8, msg []byte, counter uint64) {
		if len(msg) > 9000 {
			return
		}
		k := list[int(which)%len(list)]
		pkt := append(clearPacket(k.s, 0, 1)[:k.s.Lead()], msg...)
		pkt = append(pkt, make([]byte, k.s.Trailer(len(msg)))...)
		if _, err := k.s.Seal(pkt, len(msg), counter); err != nil {
			t.Fatal(err)
		}
		got, c, err := k.o.Open(pkt)
		if err != nil || c != counter || !bytes.Equal(got, msg) {
			t.Fatalf("%s: %d bytes, counter %d, %v; want %d bytes, %d", k.name, len(got), c, err, len(msg), counter)
		}
	})
}
