package aead

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"uftp/wire"
)

// referenceCCM is CCM as SP 800-38C writes it down, for every tag length and
// nonce length, and for less than 65280 bytes of associated data.
func referenceCCM(key, nonce, aad, plain []byte, tagLen int) []byte {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	q := 15 - len(nonce)
	putLen := func(dst []byte, v int) {
		var wide [8]byte
		binary.BigEndian.PutUint64(wide[:], uint64(v))
		copy(dst, wide[8-q:])
	}

	first := make([]byte, 16)
	first[0] = byte((tagLen-2)/2<<3 | (q - 1))
	copy(first[1:], nonce)
	putLen(first[16-q:], len(plain))
	var input []byte
	if len(aad) > 0 {
		first[0] |= 0x40
		input = binary.BigEndian.AppendUint16(nil, uint16(len(aad)))
		input = append(input, aad...)
		input = append(input, make([]byte, -len(input)&15)...)
	}
	input = append(append(first, input...), plain...)
	input = append(input, make([]byte, -len(input)&15)...)
	mac := make([]byte, 16)
	for ; len(input) > 0; input = input[16:] {
		for i := range mac {
			mac[i] ^= input[i]
		}
		b.Encrypt(mac, mac)
	}

	stream := func(i int) []byte {
		s := make([]byte, 16)
		s[0] = byte(q - 1)
		copy(s[1:], nonce)
		putLen(s[16-q:], i)
		b.Encrypt(s, s)
		return s
	}
	var out []byte
	for i := range plain {
		out = append(out, plain[i]^stream(1 + i/16)[i%16])
	}
	for i, s := range stream(0)[:tagLen] {
		out = append(out, mac[i]^s)
	}
	return out
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// TestReferenceCCM holds the reference against published numbers, since none of
// them has the one shape that the protocol uses.
func TestReferenceCCM(t *testing.T) {
	const nist = "404142434445464748494a4b4c4d4e4f"
	for _, v := range []struct {
		name, key, nonce, aad, plain string
		tagLen                       int
		want                         string
	}{
		{"SP 800-38C example 1", nist, "10111213141516", "0001020304050607", "20212223", 4, "7162015b4dac255d"},
		{"SP 800-38C example 2", nist, "1011121314151617", "000102030405060708090a0b0c0d0e0f",
			"202122232425262728292a2b2c2d2e2f", 6, "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd"},
		{"SP 800-38C example 3", nist, "101112131415161718191a1b", "000102030405060708090a0b0c0d0e0f10111213",
			"202122232425262728292a2b2c2d2e2f3031323334353637", 8,
			"e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951"},
		{"RFC 3610 packet vector 1", "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000003020100a0a1a2a3a4a5", "0001020304050607",
			"08090a0b0c0d0e0f101112131415161718191a1b1c1d1e", 8,
			"588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0"},
	} {
		got := referenceCCM(unhex(t, v.key), unhex(t, v.nonce), unhex(t, v.aad), unhex(t, v.plain), v.tagLen)
		if hex.EncodeToString(got) != v.want {
			t.Errorf("%s: %x, want the published %s", v.name, got, v.want)
		}
	}
}

// implementations are those of CCM: our assembly if the processor can, and the
// portable one.
func implementations() []bool {
	if haveAES {
		return []bool{true, false}
	}
	return []bool{false}
}

func TestCCMAgainstReference(t *testing.T) {
	var sizes []int
	for n := range 100 {
		sizes = append(sizes, n)
	}
	sizes = append(sizes, 520, 1308, 4096, 8808, 8815)
	for _, hardware := range implementations() {
		for _, cipher := range []wire.Cipher{wire.CipherAES128CCM, wire.CipherAES256CCM} {
			for _, n := range sizes {
				k := testKeys(cipher, n)
				s, o := pair(t, k, hardware)
				counter := uint64(n)<<40 + 7
				pkt := sealedPacket(t, s, n, counter)
				var nonce [12]byte
				PutIV(nonce[:], k.Salt, testSource, counter)
				want := referenceCCM(k.Key, nonce[:], pkt[:28], message(n), 16)
				if !bytes.Equal(pkt[28:], want) {
					t.Fatalf("cipher %d, %d bytes, hardware %v: differs from the reference", cipher, n, hardware)
				}
				mustOpen(t, o, pkt, n, counter)
			}
		}
	}
}

// TestCCMCounterCarry goes over the borders of the bytes of the block counter.
func TestCCMCounterCarry(t *testing.T) {
	k := testKeys(wire.CipherAES128CCM, 0)
	n := 0xffff - tagLen // 4094 blocks, the longest message there is
	var nonce [12]byte
	PutIV(nonce[:], k.Salt, testSource, 1)
	for _, hardware := range implementations() {
		s, o := pair(t, k, hardware)
		pkt := sealedPacket(t, s, n, 1)
		if !bytes.Equal(pkt[28:], referenceCCM(k.Key, nonce[:], pkt[:28], message(n), 16)) {
			t.Errorf("hardware %v: %d bytes differ from the reference", hardware, n)
		}
		mustOpen(t, o, pkt, n, 1)
	}
}

// TestBatchEqualsSingle seals and opens trains of every length up to three rounds
// of lanes: byte for byte what one call per datagram makes.
func TestBatchEqualsSingle(t *testing.T) {
	for _, c := range cipherNames {
		for _, hardware := range implementations() {
			s, o := pair(t, testKeys(c.cipher, 1), hardware)
			for count := 1; count <= 3*lanesMax+1; count++ {
				for _, size := range [][2]int{{40, 40}, {40, 17}, {96, 96}, {100, 1}, {1308, 1308}, {8, 0}} {
					n, last := size[0], size[1]
					name := fmt.Sprintf("%s, hardware %v, %d datagrams of %d, the last of %d", c.name, hardware, count, n, last)
					var train, want []byte
					for i := range count {
						m := n
						if i == count-1 {
							m = last
						}
						pkt := clearPacket(s, m, uint16(i))
						train = append(train, pkt...)
						if _, err := s.Seal(pkt, m, 100+uint64(i)); err != nil {
							t.Fatal(err)
						}
						want = append(want, pkt...)
					}
					total, err := s.SealBatch(train, count, n, last, 100)
					if err != nil || total != len(want) || !bytes.Equal(train, want) {
						t.Fatalf("%s: SealBatch gives %d bytes, %v; want what Seal makes, %d bytes", name, total, err, len(want))
					}

					stride := s.Size(n)
					var pkts [][]byte
					for i := range count {
						pkts = append(pkts, train[i*stride:min((i+1)*stride, len(train))])
					}
					out := make([]Opened, count)
					o.OpenBatch(pkts, out)
					for i, r := range out {
						m := n
						if i == count-1 {
							m = last
						}
						if r.Err != nil || r.Counter != 100+uint64(i) || !bytes.Equal(r.Msg, message(m)) {
							t.Fatalf("%s: OpenBatch, datagram %d: %d bytes, counter %d, %v", name, i, len(r.Msg), r.Counter, r.Err)
						}
					}
				}
			}
		}
	}
}

// TestOpenBatchMixed has datagrams of several lengths in one batch, some damaged:
// each comes out as from Open.
func TestOpenBatchMixed(t *testing.T) {
	for _, c := range cipherNames {
		for _, hardware := range implementations() {
			s, o := pair(t, testKeys(c.cipher, 2), hardware)
			var pkts [][]byte
			for i := range 40 {
				pkt := sealedPacket(t, s, []int{64, 64, 64, 1308, 1308, 31}[i*i%6], uint64(i+1))
				switch {
				case i%7 == 3:
					pkt[len(pkt)-1] ^= 1
				case i%11 == 5:
					pkt = pkt[:len(pkt)-1]
				case i == 20:
					pkt = nil
				}
				pkts = append(pkts, pkt)
			}
			var want []Opened
			for _, pkt := range pkts {
				var r Opened
				r.Msg, r.Counter, r.Err = o.Open(bytes.Clone(pkt))
				want = append(want, r)
			}
			got := make([]Opened, len(pkts))
			o.OpenBatch(pkts, got)
			for i := range got {
				if !bytes.Equal(got[i].Msg, want[i].Msg) || got[i].Counter != want[i].Counter || got[i].Err != want[i].Err {
					t.Errorf("%s, hardware %v, datagram %d: %+v, want what Open says: %+v", c.name, hardware, i, got[i], want[i])
				}
			}
		}
	}
}

// TestKeyExpansion compares with the example keys of FIPS 197 A.1 and A.3: the
// last round keys of both.
func TestKeyExpansion(t *testing.T) {
	if !haveAES {
		t.Skip("this processor has no AES instructions")
	}
	for _, v := range []struct{ key, last string }{
		{"2b7e151628aed2a6abf7158809cf4f3c", "d014f9a8c9ee2589e13f0cc8b6630ca6"},
		{"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "fe4890d1e6188d0b046df344706c631e"},
	} {
		var w roundKeys
		rounds := w.expand(unhex(t, v.key))
		if got := hex.EncodeToString(w[16*rounds : 16*rounds+16]); got != v.last {
			t.Errorf("key %s: last round key %s, want %s", v.key, got, v.last)
		}
	}
}
