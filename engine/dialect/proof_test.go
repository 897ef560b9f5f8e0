package dialect

import (
	"bytes"
	"errors"
	"testing"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/engine/machine"
	"uftp/wire"
)

func fileInfo() []byte {
	x := wire.FileInfo{FileID: 1, Size: 8500, Name: []byte("f"), Hosts: wire.AppendUID(nil, ownUID)}
	return x.Append(wire.Version4, nil)
}

// TestSignedProvesRight: a packet that is signed opens with one in 256 wrong sets of keys, as far as
// its padding goes. None of them must be taken for the right one.
func TestSignedProvesRight(t *testing.T) {
	fits := 0
	for trial := range 120 {
		p := announcedFrom(t, uint8(trial), keyex, true)
		keyInfo := p.says(wire.FuncKeyInfo, p.keyInfo().Append(wire.Version4, nil))
		for i := range keySetsMax - 1 {
			bad := bytes.Clone(keyInfo)
			bad[len(bad)-handshake.EntryLen+i] ^= byte(trial + 1) // its padding stays good
			if _, why := p.client.TakeKeyInfo(start, ownUID, bad); why != machine.DropNone {
				t.Fatalf("a forged KEYINFO is refused as %v", why)
			}
		}
		right, why := p.client.TakeKeyInfo(start, ownUID, keyInfo)
		if why != machine.DropNone {
			t.Fatalf("the sender's KEYINFO is refused as %v", why)
		}
		pkt := p.says(wire.FuncFileInfo, fileInfo())
		for _, k := range p.client.keys[:len(p.client.keys)-1] {
			p.client.signed.begin(testKeys()[0].Public())
			if _, _, err := k.opener.Open(bytes.Clone(pkt)); err == nil {
				fits++
			}
		}
		p.wantHeard("the sender's FILEINFO", pkt, fileInfo())
		if !p.client.Proved() || p.client.current != right {
			t.Fatalf("trial %d: forged keys count as proved", trial)
		}
	}
	if fits == 0 {
		t.Fatal("no forged keys made a good padding, so nothing was tried")
	}
}

// TestSignedAmbiguous: when two sets of keys open a signed packet, it does not show which is right.
func TestSignedAmbiguous(t *testing.T) {
	p := keyed(t, keyex, true)
	twin := *p.client.keys[0]
	p.client.keys = append(p.client.keys, &twin)
	if _, err := p.client.Open(p.says(wire.FuncFileInfo, fileInfo()), false); !errors.Is(err, aead.ErrAuth) {
		t.Fatalf("both open it: %v", err)
	}
	if p.client.Proved() || len(p.client.keys) != 2 {
		t.Fatal("one of them counts as proved")
	}
	p.client.keys = p.client.keys[:1]
	p.wantHeard("the next one", p.says(wire.FuncFileInfo, fileInfo()), fileInfo())
}

func TestPlausible(t *testing.T) {
	hosts := wire.AppendUID(nil, ownUID)
	info := wire.FileInfo{FileID: 1, Name: []byte("f"), Hosts: wire.AppendUID(hosts, 9)}
	seg := wire.FileSeg{FileID: 1, Data: []byte{1}}
	done := wire.Done{Hosts: hosts}
	conf := wire.HostList{Func: wire.FuncDoneConf, Hosts: hosts}
	cc := wire.CongCtrl{}
	abort := wire.Abort{Text: []byte("no")}
	status := wire.Status{NAKs: []byte{1}}
	complete := wire.Complete{}
	ack := wire.FileInfoAck{}
	for _, c := range []struct {
		why                       string
		msg                       []byte
		sender, senderEcho, whole bool
	}{
		{"FILEINFO", info.Append(wire.Version4, nil), true, true, true},
		{"FILESEG", seg.Append(nil), true, true, true},
		{"DONE", done.Append(nil), true, true, true},
		{"DONE_CONF", conf.Append(nil), true, true, true},
		{"CONG_CTRL", cc.Append(wire.Version4, nil), true, true, true},
		{"ABORT goes both ways", abort.Append(nil), true, false, true},
		{"STATUS is ours", status.Append(wire.Version4, nil), false, false, false},
		{"COMPLETE is ours", complete.Append(nil), false, false, false},
		{"FILEINFO_ACK is ours", ack.Append(wire.Version4, nil), false, false, false},
		{"nothing seals ANNOUNCE", []byte{1, 1, 0, 0}, false, false, false},
		{"no message is that short", []byte{9, 2, 0}, false, false, false},
		{"DONE with half a UID", append(done.Append(nil), 0), true, true, false},
		{"DONE with a long header", []byte{10, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, true, true, false},
		{"FILESEG without data", []byte{9, 2, 0, 0, 0, 0, 0, 0}, true, true, false},
		{"FILESEG with TFMCC_DATA_INFO", (&wire.FileSeg{HasCC: true, Data: []byte("data")}).Append(nil), true, true, true},
		{"FILESEG with TFMCC_DATA_INFO, without data", (&wire.FileSeg{HasCC: true}).Append(nil), true, true, false},
		{"FILESEG with another extension", []byte{9, 4, 0, 0, 0, 0, 0, 0, 99, 2, 0, 0, 0, 0, 0, 0, 1}, true, true, false},
		{"FILESEG with a long header", []byte{9, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, true, true, false},
		{"FILEINFO whose name is elsewhere", []byte{7, 7, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0}, true, true, false},
		{"ABORT that is cut", abort.Append(nil)[:40], true, false, false},
	} {
		if got := bySender(c.msg, false); got != c.sender {
			t.Errorf("%s: a sender's %v, want %v", c.why, got, c.sender)
		}
		if got := bySender(c.msg, true); got != c.senderEcho {
			t.Errorf("%s: a sender's %v if it may be an echo, want %v", c.why, got, c.senderEcho)
		}
		if got := len(c.msg) >= 4 && wellFormed(c.msg); got != c.whole {
			t.Errorf("%s: well formed %v, want %v", c.why, got, c.whole)
		}
	}
}
