package identity

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"testing"
)

// The path for small RSA keys gives the same results as the standard library, with a key
// that both can use.
func TestSmallPathAgainstLibrary(t *testing.T) {
	lib := load(t, "rsa1024-server.pem").rsa
	own := *lib
	pub := *lib.rsaPublic
	pub.std, own.std, own.rsaPublic = nil, nil, &pub

	for _, h := range hashes {
		digest := digestOf(h, "both ways")
		want, err := lib.sign(h, digest)
		if err != nil {
			t.Fatal(err)
		}
		got, err := own.sign(h, digest)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: another signature than the library's (%v)", h, err)
		}
		if err := pub.verify(h, digest, want); err != nil {
			t.Errorf("%v: the library's signature: %v", h, err)
		}
	}

	msg, got := digestOf(crypto.SHA384, "premaster"), make([]byte, 48)
	ct, err := rsa.EncryptOAEP(sha1.New(), random(1), lib.rsaPublic.std, msg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := own.decrypt(ct, got); err != nil || !bytes.Equal(got, msg) {
		t.Errorf("what the library encrypted: %x, %v", got, err)
	}
	// Every premaster of 1024 bits and more goes the other direction; PKCS #1 v1.5 is
	// tested here.
	em, err := padV15(random(2), pub.size(), msg)
	if err != nil {
		t.Fatal(err)
	}
	ct, ok := pub.power(em)
	if !ok {
		t.Fatal("padded message out of range")
	}
	//lint:ignore SA1019 what is deprecated is what the protocol uses below 768 bits
	opened, err := rsa.DecryptPKCS1v15(nil, lib.std, ct)
	if err != nil || !bytes.Equal(opened, msg) {
		t.Errorf("the library opens %x, %v", opened, err)
	}
	em, err = own.root(ct)
	if err != nil || unpadV15(em, got) != 1 || !bytes.Equal(got, msg) {
		t.Errorf("opened again: %x, %v", got, err)
	}
}
