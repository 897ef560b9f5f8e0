package seal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"uftp/crypto/aead"
	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/wire"
)

const (
	testGroup  = 0x5EA1
	testSource = wire.UID(7)
	blockSize  = 1300
)

// suites are the ways to seal: tag, tag of four lanes at once, HMAC with padding.
var suites = map[string]aead.Keys{
	"GCM": {Cipher: wire.CipherAES256GCM, SigType: wire.SigAuthEnc, Hash: wire.HashSHA256, Key: make([]byte, 32), Salt: make([]byte, 4)},
	"CCM": {Cipher: wire.CipherAES128CCM, SigType: wire.SigAuthEnc, Hash: wire.HashSHA256, Key: make([]byte, 16), Salt: make([]byte, 4)},
	"CBC": {Cipher: wire.CipherAES128CBC, SigType: wire.SigHMAC, Hash: wire.HashSHA256, Key: make([]byte, 16), Salt: make([]byte, 4), HMACKey: make([]byte, 32)},
}

func sealerOf(t testing.TB, k aead.Keys) *aead.Sealer {
	t.Helper()
	s, err := aead.NewSealer(k, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openerOf(t testing.TB, k aead.Keys) *aead.Opener {
	t.Helper()
	o, err := aead.NewOpener(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// dialect is one form of data packets.
type dialect struct {
	name   string
	packer *Packer
	opener *aead.Opener // nil in clear
	cc     bool
}

func dialects(t testing.TB) (list []dialect) {
	for _, cc := range []bool{false, true} {
		list = append(list, dialect{fmt.Sprint("clear, extension ", cc), NewPacker(nil, blockSize, cc), nil, cc})
		for name, k := range suites {
			list = append(list, dialect{fmt.Sprint(name, ", extension ", cc), NewPacker(sealerOf(t, k), blockSize, cc), openerOf(t, k), cc})
		}
	}
	return list
}

// testTrain is a train of blocks of a file, the short last one among them, or of parity
// blocks; the extension of each datagram differs.
func testTrain(t testing.TB, f wire.Func) *machine.Train {
	t.Helper()
	layout, err := block.NewLayout(9*blockSize+blockSize/3, blockSize)
	if err != nil {
		t.Fatal(err)
	}
	x := &machine.Train{
		Head:   wire.Header{Version: wire.Version4, Func: f, Seq: 0xfffe, Src: testSource, Group: testGroup, Instance: 3, GRTT: 9, GroupSize: 4},
		FileID: 5, Counter: 77, Layout: &layout, N: 7,
	}
	copy(x.Block[:], []uint32{0, 1, 2, 4, 6, 7, 9})
	for i := range x.N {
		if f == wire.FuncParity {
			x.Block[i] = wire.ParityOf(4095, wire.MaxParity-7+uint32(i))
		}
		x.CC[i] = wire.TFMCCData{SendRate: 0x6000 + uint16(i), CCSeq: uint16(i), CCRate: 0x481e}
	}
	return x
}

// pack packs a train with random data and returns the datagrams and the data of each.
func pack(t testing.TB, p *Packer, x *machine.Train) (pkts, data [][]byte) {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{1})
	buf := make([]byte, x.N*p.Stride())
	for i := range x.N {
		d := p.Put(buf, x, i)
		rng.Read(d)
		data = append(data, bytes.Clone(d))
	}
	n, err := p.Seal(buf, x)
	if err != nil {
		t.Fatal(err)
	}
	for rest := buf[:n]; len(rest) > 0; rest = rest[min(p.Stride(), len(rest)):] {
		pkts = append(pkts, rest[:min(p.Stride(), len(rest))])
	}
	return pkts, data
}

// TestPack packs trains of both kinds in every dialect, opens them and reads them again.
func TestPack(t *testing.T) {
	for _, d := range dialects(t) {
		for _, f := range []wire.Func{wire.FuncFileSeg, wire.FuncParity} {
			t.Run(fmt.Sprint(d.name, ", ", f), func(t *testing.T) {
				x := testTrain(t, f)
				pkts, data := pack(t, d.packer, x)
				if len(pkts) != x.N {
					t.Fatalf("%d datagrams, want %d", len(pkts), x.N)
				}
				for i, pkt := range pkts {
					wantDatagram(t, &d, x, i, pkt, data[i])
				}
			})
		}
	}
}

func wantDatagram(t *testing.T, d *dialect, x *machine.Train, i int, pkt, data []byte) {
	t.Helper()
	if d.opener != nil && bytes.Contains(pkt, data[:64]) {
		t.Fatalf("datagram %d holds its data as it is", i)
	}
	h, msg, err := wire.ParseHeader(pkt)
	want := x.Head
	want.Seq += uint16(i)
	if d.opener != nil {
		want.Func = wire.FuncEncrypted
	}
	if err != nil || h != want {
		t.Fatalf("datagram %d has the header %+v, %v; want %+v", i, h, err, want)
	}
	if d.opener != nil {
		var counter uint64
		if msg, counter, err = d.opener.Open(pkt); err != nil || counter != x.Counter+uint64(i) {
			t.Fatalf("datagram %d: counter %d, %v", i, counter, err)
		}
	}
	var cc wire.TFMCCData
	var has bool
	var got []byte
	if x.Head.Func == wire.FuncParity {
		m, err := wire.ParseParity(msg)
		if err != nil || m.FileID != x.FileID || wire.ParityOf(m.Span, m.Number) != x.Block[i] {
			t.Fatalf("datagram %d is %+v, %v", i, m, err)
		}
		cc, has, got = m.CC, m.HasCC, m.Data
	} else {
		m, err := wire.ParseFileSeg(msg)
		b, ok := x.Layout.Index(int(m.Section), int(m.Block))
		if err != nil || m.FileID != x.FileID || !ok || b != int(x.Block[i]) {
			t.Fatalf("datagram %d is %+v, %v", i, m, err)
		}
		cc, has, got = m.CC, m.HasCC, m.Data
	}
	if has != d.cc || has && cc != x.CC[i] {
		t.Errorf("datagram %d has extension %v, %+v; want %v, %+v", i, has, cc, d.cc, x.CC[i])
	}
	if len(got) != x.Len(i) || !bytes.Equal(got, data) {
		t.Errorf("datagram %d carries %d bytes, want the %d that were put in", i, len(got), x.Len(i))
	}
}

// TestSizes: what the Packer says beforehand is what comes out.
func TestSizes(t *testing.T) {
	for _, d := range dialects(t) {
		x := testTrain(t, wire.FuncFileSeg)
		pkts, _ := pack(t, d.packer, x)
		if len(pkts[0]) != d.packer.Stride() {
			t.Errorf("%s: a datagram of %d bytes, Stride says %d", d.name, len(pkts[0]), d.packer.Stride())
		}
		if over, most := d.packer.Overhead(), len(pkts[0])-blockSize; over < most || over > most+trailerBytes {
			t.Errorf("%s: %d bytes around a block, Overhead says %d", d.name, most, over)
		}
		if d.opener == nil && d.packer.Lead()+blockSize != d.packer.Stride() {
			t.Errorf("%s: lead %d and stride %d, want nothing behind the data", d.name, d.packer.Lead(), d.packer.Stride())
		}
		most := BlockSizeMax(d.packer.sealer, d.cc)
		if n := NewPacker(d.packer.sealer, most, d.cc).Stride(); n > wire.MaxDatagram {
			t.Errorf("%s: blocks of %d bytes make datagrams of %d, more than receivers read", d.name, most, n)
		}
		if n := NewPacker(d.packer.sealer, most+1, d.cc).Stride(); most < wire.MaxBlockSize && n <= wire.MaxDatagram {
			t.Errorf("%s: BlockSizeMax is %d, want the largest that fits", d.name, most)
		}
	}
}

// TestPackAllocatesNothing: the fill stage packs as long as a session lasts.
func TestPackAllocatesNothing(t *testing.T) {
	for _, d := range dialects(t) {
		for _, f := range []wire.Func{wire.FuncFileSeg, wire.FuncParity} {
			x := testTrain(t, f)
			buf := make([]byte, x.N*d.packer.Stride())
			if n := testing.AllocsPerRun(50, func() {
				for i := range x.N {
					d.packer.Put(buf, x, i)
				}
				if _, err := d.packer.Seal(buf, x); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s, %v: %v allocations for a train, want none", d.name, f, n)
			}
		}
	}
}

// BenchmarkPut is what the headers of a train of full length cost in clear.
func BenchmarkPut(b *testing.B) {
	for _, cc := range []bool{false, true} {
		b.Run(fmt.Sprint("extension=", cc), func(b *testing.B) {
			p := NewPacker(nil, blockSize, cc)
			x := testTrain(b, wire.FuncFileSeg)
			buf := make([]byte, x.N*p.Stride())
			b.ReportAllocs()
			for b.Loop() {
				for i := range x.N {
					p.Put(buf, x, i)
				}
			}
		})
	}
}
