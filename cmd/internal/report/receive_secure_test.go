package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/wire"
)

// The daemon's lines about encryption, by level, and that there are not too many.
func TestReceiverEncrypted(t *testing.T) {
	key, err := identity.Generate(identity.Spec{Kind: identity.EC, Curve: identity.P256})
	if err != nil {
		t.Fatal(err)
	}
	pub := key.Public()
	print := pub.Fingerprint().String()
	suite := handshake.Suite{Cipher: wire.CipherDES, Hash: wire.HashSHA256, SigType: wire.SigHMAC, KeyExch: wire.KeyExchECDHECDSA}
	level, weak := suite.Strength(pub, identity.P256, false)
	events := []machine.Event{
		engine.Opened{Port: 1044},
		receiver.HaveKey{Key: pub},
		receiver.Stepped{Session: session1, Step: receiver.ClientKeySent},
		receiver.Stepped{Session: session1, Step: receiver.GotKeyInfo},
		receiver.Keyed{Session: session1, Suite: suite, Server: pub, Strength: level, Weak: weak},
		receiver.Stepped{Session: session1, Step: receiver.KeyInfoAckSent},
		engine.Dropped{Reason: machine.DropClear, Count: 1},
		engine.Dropped{Reason: machine.DropSealed, Count: 2},
		engine.Dropped{Reason: machine.DropReplay, Count: 3},
	}
	lines := []struct {
		text  string
		level int // from which on the line is there
	}{
		{": Loaded ECDSA key with curve prime256v1 and fingerprint " + print, Normal},
		{": Created ECDSA key with curve prime256v1 and fingerprint " + print + " for senders that authenticate receivers", Normal},
		{"CLIENT_KEY sent", Normal},
		{"Received KEYINFO", Normal},
		{"KEYINFO_ACK sent", Normal},
		{"Encrypted with des sha256 hmac ecdh_ecdsa: legacy security; the sender's key is ECDSA, curve prime256v1, fingerprint: " + print, Detail},
		{"Warning: weak encryption: DES keys can be searched", Warnings},
		{"Warning: this CPU has no instructions for the cipher", Warnings},
		{"Dropped 1 datagram: clear message in an encrypted session", Warnings},
		{"Dropped 2 datagrams: cannot be opened or verified", Warnings},
		{"Dropped 3 datagrams: counter seen before", Detail},
	}
	for at := Errors; at <= Detail; at++ {
		var b, j bytes.Buffer
		r := &Receiver{Log: NewLog(&b, at, true), JSON: NewJSON(&j), Keys: []*identity.PublicKey{pub}, MaxSessions: 100}
		for _, ev := range events {
			r.Report(time.Unix(1, 0), ev)
		}
		r.Close()
		for _, l := range lines {
			if got := strings.Contains(b.String(), l.text); got != (at >= l.level) {
				t.Errorf("level %d: %q is there: %v, want from level %d on; the log is\n%s", at, l.text, got, l.level, b.String())
			}
		}
		checkJSON(t, j.String())
		want := `"event":"keyed","group":"AB41671E","instance":1,"sender":"0x0A580064","suite":"des sha256 hmac ecdh_ecdsa","security":"legacy","fingerprint":"` +
			print + `","weak":["DES keys can be searched"]}`
		if !strings.Contains(j.String(), want) {
			t.Errorf("JSON\n%s\nwant a line with\n%s", j.String(), want)
		}
	}
}
