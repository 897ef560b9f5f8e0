package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/engine/netio"
	"uftp/wire"
)

// How long is measured at most.
const (
	cipherTime = 100 * time.Millisecond
	diskTime   = 10 * time.Second
	trainWait  = time.Second
)

// A train as senders of small blocks make them.
const (
	trainSegs = 32
	trainSeg  = 1324
)

var errTrain = errors.New("a large send did not arrive as it left")

// tryTrain sends a train over loopback and compares what arrives. It returns
// what the sockets can do after that.
func tryTrain() (gso, gro bool, err error) {
	cfg := netio.Config{RcvBuf: 1 << 20, SndBuf: 1 << 20}
	tx, err := netio.Listen(cfg)
	if err != nil {
		return false, false, err
	}
	defer tx.Close()
	rx, err := netio.Listen(cfg)
	if err != nil {
		return false, false, err
	}
	defer rx.Close()
	sent := make([]byte, trainSegs*trainSeg)
	rand.NewChaCha8([32]byte{}).Read(sent)
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), rx.LocalPort())
	if _, err := tx.WriteBatch([]netio.TxTrain{{Buf: sent, Seg: trainSeg, To: to}}); err != nil {
		return false, false, err
	}
	if err := rx.SetReadDeadline(time.Now().Add(trainWait)); err != nil {
		return false, false, err
	}
	slots := make([]netio.RxSlot, trainSegs)
	for i := range slots {
		slots[i].Buf = make([]byte, netio.SlotBytes)
	}
	var got []byte
	for len(got) < len(sent) {
		n, err := rx.ReadBatch(slots)
		if err != nil {
			return false, false, errTrain
		}
		for i := range slots[:n] {
			got = append(got, slots[i].Buf[:slots[i].N]...)
		}
	}
	if !bytes.Equal(got, sent) {
		return false, false, errTrain
	}
	return tx.Caps().GSO, rx.Caps().GRO, nil
}

// measureCipher seals blocks for a moment. It also makes packet as long as a
// sealed datagram is.
func (f *facts) measureCipher() {
	number, _ := handshake.CipherByName(f.cipher)
	f.helped = aead.Accelerated(number)
	keys := aead.Keys{
		Cipher: number, SigType: wire.SigAuthEnc, Hash: wire.HashSHA256,
		Key: make([]byte, aead.KeyLen(number)), Salt: make([]byte, 4), HMACKey: make([]byte, 32),
	}
	s, err := aead.NewSealer(keys, nil, 0)
	if errors.Is(err, aead.ErrKeys) { // a mode that does not authenticate by itself
		keys.SigType = wire.SigHMAC
		s, err = aead.NewSealer(keys, nil, 0)
	}
	if err != nil {
		f.cipherErr = err
		return
	}
	n := wire.FileSegLen + f.block
	pkt := make([]byte, s.Size(n))
	f.packet = len(pkt)
	began := time.Now()
	for sealed := uint64(1); ; sealed++ {
		if _, err := s.Seal(pkt, n, sealed); err != nil {
			f.cipherErr = err
			return
		}
		if took := time.Since(began); took >= cipherTime {
			f.sealRate = float64(sealed) * float64(f.block) / took.Seconds()
			return
		}
	}
}

// measureDisk writes a file of so many bytes, makes it reach the disk, removes it, and
// returns the rate in bytes/s. It stops when it takes too long.
func measureDisk(dir string, size int64) (rate float64, err error) {
	file, err := os.CreateTemp(dir, ".uftp-doctor-")
	if err != nil {
		return 0, err
	}
	// Whatever ends us must not leave the file behind; some systems remove none that is open.
	early := os.Remove(file.Name()) == nil
	defer func() {
		err = errors.Join(err, file.Close())
		if !early {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	chunk := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(chunk) // zeros some disks do not even write
	began := time.Now()
	written := int64(0)
	for written < size && time.Since(began) < diskTime {
		n, err := file.Write(chunk[:min(int64(len(chunk)), size-written)])
		if err != nil {
			return 0, err
		}
		written += int64(n)
	}
	if err := file.Sync(); err != nil {
		return 0, err
	}
	return float64(written) / time.Since(began).Seconds(), nil
}
