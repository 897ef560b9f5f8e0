package identity

import (
	"bytes"
	"crypto"
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vectors is where the values derived from the captures live.
const vectors = "../../pcap/testdata/v4/derived.json"

var hashes = []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512}

// load reads a key of the vectors.
func load(t testing.TB, name string) *PrivateKey {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/keys", name))
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParsePEM(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return k
}

func digestOf(h crypto.Hash, text string) []byte {
	d := h.New()
	d.Write([]byte(text))
	return d.Sum(nil)
}

type derived struct {
	Keys map[string]struct {
		Blob        string
		Fingerprint string
		BlockLen    int `json:"signature_block_length"`
	}
	Formats []struct {
		File, Description string
		Accepted          bool
		Fingerprint       string
	} `json:"pem_formats"`
}

func loadDerived(t testing.TB) (d derived) {
	t.Helper()
	text, err := os.ReadFile(vectors)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Keys) < 28 || len(d.Formats) < 12 {
		t.Fatalf("%d keys and %d formats in the vectors, want 28 and 12", len(d.Keys), len(d.Formats))
	}
	return d
}

// Every key file of the vectors has the blob, fingerprint and signature length
// that stock gives it; the binary curves are refused by name.
func TestKeyFiles(t *testing.T) {
	used := 0
	for name, want := range loadDerived(t).Keys {
		text, err := os.ReadFile(filepath.Join("testdata/keys", name))
		if err != nil {
			t.Error(err)
			continue
		}
		blob, err := hex.DecodeString(want.Blob)
		if err != nil {
			t.Fatal(err)
		}
		k, err := ParsePEM(text)
		if curve, binary := strings.CutPrefix(name, "ec-sect"); binary {
			var ce *CurveError
			curve, _, _ = strings.Cut(curve, "-")
			if !errors.As(err, &ce) || ce.Name != "sect"+curve || !errors.Is(err, ErrReadKey) {
				t.Errorf("%s: %v, want it refused by the name of its curve", name, err)
			}
			if _, err := ParsePublicKey(blob); !errors.As(err, &ce) || ce.Name != "sect"+curve {
				t.Errorf("%s: blob: %v, want it refused by the name of its curve", name, err)
			}
			if f := BlobFingerprint(blob).String(); f != want.Fingerprint {
				t.Errorf("%s: fingerprint %s, want %s although the key cannot be used", name, f, want.Fingerprint)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		used++
		if got := k.Public().AppendBlob(nil); !bytes.Equal(got, blob) {
			t.Errorf("%s: blob %x, want %x", name, got, blob)
		}
		if got := k.Public().Fingerprint().String(); got != want.Fingerprint {
			t.Errorf("%s: fingerprint %s, want %s", name, got, want.Fingerprint)
		}
		if got := k.Public().SignatureLen(); got != want.BlockLen {
			t.Errorf("%s: signatures of %d bytes, want %d", name, got, want.BlockLen)
		}
		p, err := ParsePublicKey(blob)
		if err != nil || !p.Equal(k.Public()) || !p.Alike(k.Public()) {
			t.Errorf("%s: the blob gives another key than the file (%v)", name, err)
		}
	}
	if used < 24 {
		t.Errorf("only %d keys were compared, want 24", used)
	}
}

// The formats stock reads are read, those it refuses are refused with a reason.
func TestPEMFormats(t *testing.T) {
	reasons := map[string]error{
		"formats/r_enc.pem": ErrPassphrase, "formats/r_pub.pem": ErrPublicOnly,
		"formats/ed.pem": ErrKeyType, "formats/r.der": ErrNoPEM,
	}
	for _, f := range loadDerived(t).Formats {
		text, err := os.ReadFile(filepath.Join("testdata/keys", f.File))
		if err != nil {
			t.Fatal(err)
		}
		k, err := ParsePEM(text)
		switch {
		case !f.Accepted:
			if !errors.Is(err, ErrReadKey) || reasons[f.File] == nil || !errors.Is(err, reasons[f.File]) {
				t.Errorf("%s (%s): %v, want %v", f.File, f.Description, err, reasons[f.File])
			}
		case err != nil:
			t.Errorf("%s (%s): %v", f.File, f.Description, err)
		case k.Public().Fingerprint().String() != f.Fingerprint:
			t.Errorf("%s (%s): another fingerprint than stock's", f.File, f.Description)
		}
	}
}

// Explicit parameters with another generator would be another group; they must
// not pass for the curve they resemble.
func TestExplicitParameters(t *testing.T) {
	c, err := os.ReadFile("testdata/keys/formats/e_expl.pem")
	if err != nil {
		t.Fatal(err)
	}
	if k, err := ParsePEM(c); err != nil || k.Public().Curve() != P256 {
		t.Fatalf("explicit prime256v1: %v", err)
	}
	for _, c := range []Curve{P224, K256, P256, P384, P521} {
		w := numbersOf(c)
		n := c.CoordLen()
		xy := append(w.gx.FillBytes(make([]byte, n)), w.gy.FillBytes(make([]byte, n))...)
		if _, err := newECPublic(c, xy); err != nil {
			t.Errorf("%v: the generator of the table is not on the curve", c)
		}
		one, err := NewEC(c, []byte{1})
		if err != nil || !bytes.Equal(one.Public().AppendBlob(nil)[4:4+2*n], xy) {
			t.Errorf("%v: once the generator is not the generator of the table", c)
		}
		if !w.isGenerator(c, append([]byte{2 | xy[2*n-1]&1}, xy[:n]...)) {
			t.Errorf("%v: the compressed generator is not recognised", c)
		}
		xy[0] ^= 1
		if w.isGenerator(c, append([]byte{4}, xy...)) {
			t.Errorf("%v: another point passes for the generator", c)
		}
	}
}
