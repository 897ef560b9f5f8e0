package engine

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/block"
	"uftp/engine/dialect"
	"uftp/engine/machine"
	"uftp/engine/seal"
	"uftp/engine/store"
	"uftp/wire"
)

const sealGroup = 0x5EA1

// security makes the secrets of an encrypted session, and an opener of its packets.
func security(t testing.TB, s handshake.Suite) (*dialect.Server, *aead.Opener) {
	t.Helper()
	spec := identity.Spec{Kind: s.KeyKind(), Bits: 1024, Curve: identity.P256}
	key, err := identity.Generate(spec)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := handshake.NewServer(handshake.ServerConfig{
		Suite: s, Session: handshake.Session{Group: sealGroup, Private: netip.IPv4Unspecified()}, Key: key, Curve: identity.P256, Rand: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	sec, err := dialect.NewServer(wire.Version4, srv)
	if err != nil {
		t.Fatal(err)
	}
	g := srv.Group()
	k := aead.Keys{Cipher: s.Cipher, SigType: s.SigType, Hash: s.Hash, Key: g.Key, Salt: g.Salt}
	var peer func(wire.UID) aead.Verifier
	switch s.SigType {
	case wire.SigHMAC:
		k.HMACKey = g.HMACKey
	case wire.SigKeyExch:
		peer = func(wire.UID) aead.Verifier { return key.Public() }
	}
	o, err := aead.NewOpener(k, peer)
	if err != nil {
		t.Fatal(err)
	}
	return sec, o
}

var sealSuites = []handshake.Suite{
	{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA},
	{Cipher: wire.CipherAES128CCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA},
	{Cipher: wire.CipherAES128CBC, Hash: wire.HashSHA512, SigType: wire.SigHMAC, KeyExch: wire.KeyExchRSA},
	{Cipher: wire.Cipher3DES, Hash: wire.HashSHA1, SigType: wire.SigKeyExch, KeyExch: wire.KeyExchRSA},
}

// sealedSlot is a slot with a train: blocks that are not neighbours, and the short
// last one.
func sealedSlot(t testing.TB, packer *seal.Packer, blockSize int) (*txSlot, []byte) {
	t.Helper()
	data := make([]byte, 9*blockSize+blockSize/3)
	rand.Read(data)
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := store.OpenSource(store.Entry{Path: path, Local: path, Name: "f", Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	layout, err := block.NewLayout(int64(len(data)), blockSize)
	if err != nil {
		t.Fatal(err)
	}
	s := &txSlot{buf: make([]byte, 10*packer.Stride()), src: &source{src: src}}
	s.train = machine.Train{
		Head:   wire.Header{Version: wire.Version4, Func: wire.FuncFileSeg, Seq: 0xfffe, Src: 7, Group: sealGroup, GRTT: 9, GroupSize: 3},
		FileID: 5, Counter: 77, Layout: &layout, N: 7,
	}
	copy(s.train.Block[:], []uint32{0, 1, 2, 4, 6, 7, 9})
	return s, data
}

func TestSealedTrain(t *testing.T) {
	for _, suite := range sealSuites {
		t.Run(fmt.Sprint(suite), func(t *testing.T) {
			const blockSize = 1300
			sec, opener := security(t, suite)
			packer, err := sec.NewPacker(blockSize)
			if err != nil {
				t.Fatal(err)
			}
			s, data := sealedSlot(t, packer, blockSize)
			if err := s.fill(packer, nil); err != nil {
				t.Fatal(err)
			}
			if s.seg != packer.Stride() || s.state != slotFilled {
				t.Fatalf("segments of %d bytes, state %d", s.seg, s.state)
			}
			rest := s.buf[:s.n]
			for i, b := range s.train.Block[:s.train.N] {
				pkt := rest[:min(s.seg, len(rest))]
				rest = rest[len(pkt):]
				if bytes.Contains(pkt, data[int(b)*blockSize:][:64]) {
					t.Fatalf("block %d stands in the datagram as it is", b)
				}
				h, _, err := wire.ParseHeader(pkt)
				if err != nil || h.Func != wire.FuncEncrypted || h.Seq != 0xfffe+uint16(i) || h.Src != 7 || h.Group != sealGroup || h.GRTT != 9 || h.GroupSize != 3 {
					t.Fatalf("datagram %d has the header %+v, %v", i, h, err)
				}
				msg, counter, err := opener.Open(pkt)
				if err != nil || counter != 77+uint64(i) {
					t.Fatalf("datagram %d: counter %d, %v", i, counter, err)
				}
				m, err := wire.ParseFileSeg(msg)
				end := min((int(b)+1)*blockSize, len(data))
				if err != nil || m.FileID != 5 || m.Block != uint16(b) || !bytes.Equal(m.Data, data[int(b)*blockSize:end]) {
					t.Fatalf("datagram %d does not carry block %d: %v", i, b, err)
				}
			}
			if len(rest) > 0 {
				t.Fatalf("%d bytes are left over", len(rest))
			}
		})
	}
}

// Nothing is allocated between the file and the wire, save signatures, whose
// arithmetic is that of the library.
func TestSealingAllocatesNothing(t *testing.T) {
	const blockSize = 8800
	for _, suite := range sealSuites {
		if suite.SigType == wire.SigKeyExch {
			continue
		}
		sec, _ := security(t, suite)
		packer, err := sec.NewPacker(blockSize)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := sealedSlot(t, packer, blockSize)
		if n := testing.AllocsPerRun(20, func() {
			if err := s.fill(packer, nil); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations for a train", suite, n)
		}
	}
}

func BenchmarkFill(b *testing.B) {
	const blockSize = 8800
	for _, suite := range sealSuites[:3] {
		b.Run(fmt.Sprint(suite), func(b *testing.B) {
			sec, _ := security(b, suite)
			packer, err := sec.NewPacker(blockSize)
			if err != nil {
				b.Fatal(err)
			}
			s, _ := sealedSlot(b, packer, blockSize)
			b.SetBytes(int64(6*blockSize + blockSize/3))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.fill(packer, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
