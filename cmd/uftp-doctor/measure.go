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
	"uftp/engine/block"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/seal"
	"uftp/wire"
)

// Limits of the time for measuring.
const (
	cipherTime = 100 * time.Millisecond
	diskTime   = 10 * time.Second
	trainWait  = time.Second
)

// A train as a sender of small blocks makes it.
const (
	trainSegs = 32
	trainSeg  = 1324
)

var errTrain = errors.New("a large send did not arrive intact")

// tryTrain sends a train over loopback and compares what arrives. It returns the capabilities of
// the sockets after that.
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

// measureCipher encrypts blocks for a moment. It also sets packet to the length of a sealed
// datagram.
func (f *facts) measureCipher() {
	number, _ := handshake.CipherByName(f.cipher)
	f.helped = aead.Accelerated(number)
	keys := aead.Keys{
		Cipher: number, SigType: wire.SigAuthEnc, Hash: wire.HashSHA256,
		Key: make([]byte, aead.KeyLen(number)), Salt: make([]byte, 4), HMACKey: make([]byte, 32),
	}
	s, err := aead.NewSealer(keys, nil, 0)
	if errors.Is(err, aead.ErrKeys) { // a mode without authentication of its own
		keys.SigType = wire.SigHMAC
		s, err = aead.NewSealer(keys, nil, 0)
	}
	if err != nil {
		f.cipherErr = err
		return
	}
	layout, err := block.NewLayout(int64(f.block), f.block)
	if err != nil {
		f.cipherErr = err
		return
	}
	packer := seal.NewPacker(s, f.block, false)
	f.packet = packer.Stride()
	pkt := make([]byte, f.packet)
	began := time.Now()
	for t := (machine.Train{Layout: &layout, N: 1, Counter: 1}); ; t.Counter++ {
		if _, err := packer.Seal(pkt, &t); err != nil {
			f.cipherErr = err
			return
		}
		if took := time.Since(began); took >= cipherTime {
			f.sealRate = float64(t.Counter) * float64(f.block) / took.Seconds()
			return
		}
	}
}

// measureDisk writes a file of size bytes, syncs and removes it, and returns the rate in bytes/s.
// It stops if that takes too long.
func measureDisk(dir string, size int64) (rate float64, err error) {
	file, err := os.CreateTemp(dir, ".uftp-doctor-")
	if err != nil {
		return 0, err
	}
	// Remove the file now, so that it does not stay if this process is killed. Some systems do not
	// remove an open file.
	early := os.Remove(file.Name()) == nil
	defer func() {
		err = errors.Join(err, file.Close())
		if !early {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	chunk := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(chunk) // some disks do not write zeros
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
