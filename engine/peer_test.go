package engine

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/wire"
)

// room is a receiver on a fakeConn, and what it says.
type room struct {
	t    testing.TB
	c    *fakeConn
	dest string
	stop context.CancelFunc
	done <-chan error

	mu     sync.Mutex
	drops  map[machine.Drop]int64
	ended  []receiver.SessionEnded
	stored []string
}

const peerUID = wire.UID(1) // of the receiver, see receiveOnFake

// newRoom runs a receiver with so many workers until the test ends.
func newRoom(t testing.TB, workers int) *room {
	t.Helper()
	r := &room{t: t, c: newFakeConn(), dest: benchDir(t), drops: map[machine.Drop]int64{}}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.done = receiveOnFake(t, ctx, r.c, func(cfg *ReceiveConfig) {
		cfg.Workers = workers
		cfg.Sink.Dests = []string{r.dest}
		cfg.Receiver.MakeKeys = true
	}, func(_ time.Time, ev machine.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		switch ev := ev.(type) {
		case Dropped:
			r.drops[ev.Reason] += ev.Count
		case receiver.SessionEnded:
			r.ended = append(r.ended, ev)
		case Stored:
			r.stored = append(r.stored, ev.Path)
		}
	})
	t.Cleanup(r.close)
	return r
}

// benchDir is a temporary directory, for benchmarks in memory where there is one.
func benchDir(t testing.TB) string {
	if _, ok := t.(*testing.B); ok {
		if dir, err := os.MkdirTemp("/dev/shm", "uftp-bench-"); err == nil {
			t.Cleanup(func() { os.RemoveAll(dir) })
			return dir
		}
	}
	return t.TempDir()
}

// close stops the receiver and returns when it has ended.
func (r *room) close() {
	if r.done == nil {
		return
	}
	r.stop()
	select {
	case err := <-r.done:
		r.done = nil
		if err != nil {
			r.t.Error(err)
		}
	case <-time.After(patience):
		r.t.Error("the receiver does not stop")
	}
}

func (r *room) sessionsEnded() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ended)
}

// peer plays the sender of one encrypted session by hand.
type peer struct {
	t     testing.TB
	r     *room
	from  netip.AddrPort
	head  wire.Header
	block int // bytes

	srv     *handshake.Server
	hs      handshake.Peer
	opener  *aead.Opener
	sealer  *aead.Sealer
	counter uint64
	looked  int // so many of the receiver's packets were looked at
}

// peerKeys are shared: making them takes longer than the tests.
var peerKeys = [2]func() *identity.PrivateKey{
	sync.OnceValue(func() *identity.PrivateKey { return makePeerKey(identity.Spec{Kind: identity.RSA, Bits: 1024}) }),
	sync.OnceValue(func() *identity.PrivateKey {
		return makePeerKey(identity.Spec{Kind: identity.EC, Curve: identity.P256})
	}),
}

func makePeerKey(s identity.Spec) *identity.PrivateKey {
	k, err := identity.Generate(s)
	if err != nil {
		panic(err)
	}
	return k
}

// newPeer begins a session of the group and brings it to the point where data can be sent.
func (r *room) newPeer(s handshake.Suite, group uint32, blockSize int) *peer {
	r.t.Helper()
	p := &peer{
		t: r.t, r: r, from: netip.MustParseAddrPort("10.0.0.9:5000"), block: blockSize, looked: r.c.sentCount(),
		head: wire.Header{Version: wire.Version4, Src: 0x99, Group: group, GRTT: wire.EncodeGRTT(0.5)},
	}
	key := peerKeys[1]()
	if s.KeyKind() == identity.RSA {
		key = peerKeys[0]()
	}
	private := netip.MustParseAddr("230.5.5.5")
	var err error
	if p.srv, err = handshake.NewServer(handshake.ServerConfig{
		Suite: s, Session: handshake.Session{Group: group, Private: private}, Key: key, Curve: identity.P256, Rand: rand.Reader,
	}); err != nil {
		r.t.Fatal(err)
	}
	a := wire.Announce{Robust: 20, BlockSize: uint16(blockSize), Public: netip.MustParseAddr("230.4.4.1"), Private: private, HasEnc: true, Enc: p.srv.EncInfo()}
	pkt := a.Append(wire.Version4, p.header(wire.FuncAnnounce).Append(nil))
	if err := p.srv.SignAnnounce(pkt); err != nil {
		r.t.Fatal(err)
	}
	p.say(pkt, 0)
	msg := p.hear(wire.FuncRegister)
	reg, err := wire.ParseRegister(wire.Version4, msg)
	if err == nil {
		err = p.srv.Register(&p.hs, reg.Random, reg.KeyInfo)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	p.key()
	p.counter++
	k := wire.KeyInfo{Counter: p.counter}
	k.Items = p.srv.AppendKeyInfoItem(nil, &p.hs, peerUID, p.head.Src, k.Counter)
	p.say(k.Append(wire.Version4, p.header(wire.FuncKeyInfo).Append(nil)), 0)
	p.hear(wire.FuncKeyInfoAck)
	return p
}

// key makes what seals and opens packets.
func (p *peer) key() {
	s, g := p.srv.Suite(), p.srv.Group()
	k := aead.Keys{Cipher: s.Cipher, SigType: s.SigType, Hash: s.Hash, Key: g.Key, Salt: g.Salt, HMACKey: g.HMACKey}
	var err error
	if p.sealer, err = aead.NewSealer(k, nil, 0); err != nil {
		p.t.Fatal(err)
	}
	if p.opener, err = aead.NewOpener(k, nil); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) header(f wire.Func) wire.Header {
	h := p.head
	h.Func = f
	p.head.Seq++
	return h
}

// seal returns the datagram of a message.
func (p *peer) seal(f wire.Func, msg []byte) []byte {
	p.t.Helper()
	pkt := make([]byte, p.sealer.Size(len(msg)))
	copy(pkt, p.header(f).Append(nil))
	copy(pkt[p.sealer.Lead():], msg)
	p.counter++
	n, err := p.sealer.Seal(pkt, len(msg), p.counter)
	if err != nil {
		p.t.Fatal(err)
	}
	return pkt[:n]
}

// say gives datagrams of seg bytes each to the receiver, joined into one slot; 0 if
// there is one only.
func (p *peer) say(pkts []byte, seg int) {
	p.r.c.in <- netio.RxSlot{Buf: pkts, Seg: seg, From: p.from}
}

// hear waits for a message of the receiver in this session.
func (p *peer) hear(f wire.Func) (msg []byte) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Microsecond) {
		for pkt := p.r.c.sentAt(p.looked); pkt != nil; pkt = p.r.c.sentAt(p.looked) {
			p.looked++
			h, msg, err := wire.ParseHeader(pkt)
			if err != nil || h.Group != p.head.Group {
				continue
			}
			if h.Func == wire.FuncEncrypted && p.opener != nil {
				if msg, _, err = p.opener.Open(bytes.Clone(pkt)); err != nil {
					continue // of an older session
				}
			}
			if wire.Func(msg[0]) == f {
				return bytes.Clone(msg)
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("never heard %v", f)
		}
	}
}

// announce announces a file and waits until the receiver can take its blocks.
func (p *peer) announce(id uint16, name string, size int) *block.Layout {
	p.t.Helper()
	x := wire.FileInfo{FileID: id, Size: int64(size), Name: []byte(name), Hosts: wire.UIDList(wire.AppendUID(nil, peerUID))}
	p.say(p.seal(wire.FuncFileInfo, x.Append(wire.Version4, nil)), 0)
	p.hear(wire.FuncFileInfoAck)
	l, err := block.NewLayout(int64(size), p.block)
	if err != nil {
		p.t.Fatal(err)
	}
	return &l
}

// segment returns block i of a file, sealed.
func (p *peer) segment(id uint16, l *block.Layout, data []byte, i int) []byte {
	section, in := l.Section(i)
	x := wire.FileSeg{FileID: id, Section: uint16(section), Block: uint16(in), Data: data[l.Offset(i):][:l.Len(i)]}
	return p.seal(wire.FuncFileSeg, x.Append(nil))
}

// train returns blocks of a file from first on, sealed and joined, at most count
// of them, and the length of each.
func (p *peer) train(id uint16, l *block.Layout, data []byte, first, count int) (pkts []byte, seg int) {
	for i := first; i < min(first+count, l.Blocks); i++ {
		pkt := p.segment(id, l, data, i)
		if i == first {
			seg = len(pkt)
		}
		pkts = append(pkts, pkt...)
	}
	return pkts, seg
}

// finish ends the session as a sender does whose receiver has everything.
func (p *peer) finish() {
	p.t.Helper()
	ended := p.r.sessionsEnded()
	x := wire.Done{Hosts: wire.UIDList(wire.AppendUID(nil, peerUID))}
	p.say(p.seal(wire.FuncDone, x.Append(nil)), 0)
	p.hear(wire.FuncComplete)
	y := wire.HostList{Func: wire.FuncDoneConf, Hosts: wire.UIDList(wire.AppendUID(nil, peerUID))}
	p.say(p.seal(wire.FuncDoneConf, y.Append(nil)), 0)
	eventually(p.t, "the end of the session", func() bool { return p.r.sessionsEnded() > ended })
}

// done asks whether a file has come and waits for the answer.
func (p *peer) done(id uint16, l *block.Layout) {
	p.t.Helper()
	section, _ := l.Section(l.Blocks - 1)
	x := wire.Done{FileID: id, Section: uint16(section), Hosts: wire.UIDList(wire.AppendUID(nil, peerUID))}
	p.say(p.seal(wire.FuncDone, x.Append(nil)), 0)
	p.hear(wire.FuncComplete)
}

// wantFile compares what arrived.
func (r *room) wantFile(name string, data []byte) {
	r.t.Helper()
	got, err := os.ReadFile(filepath.Join(r.dest, name))
	if err != nil {
		r.t.Error(err)
	} else if !bytes.Equal(got, data) {
		r.t.Errorf("%s did not arrive as it was sent", name)
	}
}

func (c *fakeConn) sentCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent)
}

// sentAt returns a packet that was sent, nil if there were not so many yet.
func (c *fakeConn) sentAt(i int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i < len(c.sent) {
		return c.sent[i]
	}
	return nil
}
