package handshake

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"uftp/crypto/identity"
	"uftp/pcap/frames"
	"uftp/wire"
)

// Where the captures of the stock programs live, and the keys they were made with.
const (
	vectors = "../../pcap/testdata/v4"
	keyDir  = "../identity/testdata/keys"
)

// hexBytes is a hexadecimal string in JSON. Numbers may lack a leading zero.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	if len(s)%2 != 0 {
		s = "0" + s
	}
	b, err := hex.DecodeString(s)
	*h = b
	return err
}

type vecClient struct {
	UID          hexBytes
	Random       hexBytes `json:"client_random"`
	Premaster    hexBytes
	Master       hexBytes
	KeyBlock     hexBytes `json:"key_block"`
	HMACKey      hexBytes `json:"hmac_key"`
	Key, Salt    hexBytes
	Verify       hexBytes `json:"verify_data"`
	SharedX      hexBytes `json:"shared_x"`
	PeerDH       hexBytes `json:"peer_dh_blob"`
	DecryptedBy  string   `json:"premaster_decrypted_with"`
	ClientKeyRaw hexBytes `json:"client_key_blob"`
	KeyInfo      struct {
		Counter    uint64   `json:"iv_counter"`
		Source     hexBytes `json:"source_id"`
		IV         hexBytes
		Ciphertext hexBytes
	}
}

type vecSession struct {
	Case        string
	Group       hexBytes `json:"group_id"`
	Instance    uint8
	KeyType     wire.Cipher
	HashType    wire.Hash
	KeyEx, Sig  string
	ClientAuth  int      `json:"client_auth"`
	Private     hexBytes `json:"private_address"`
	Random      hexBytes `json:"server_random"`
	GroupMaster hexBytes `json:"group_master"`
	GroupBlock  hexBytes `json:"group_key_block"`
	GroupHMAC   hexBytes `json:"group_hmac_key"`
	GroupKey    hexBytes `json:"group_key"`
	GroupSalt   hexBytes `json:"group_salt"`
	Clients     []vecClient
	Ephemeral   map[string][]struct {
		Curve           identity.Curve
		Private, Public hexBytes
	}
	Packets []struct {
		Message   string
		Source    hexBytes `json:"source_id"`
		Counter   uint64   `json:"iv_counter"`
		IV        hexBytes
		Plaintext hexBytes
	}
}

type vecLive struct {
	ClientPriv   hexBytes `json:"client_dh_priv"`
	ServerPriv   hexBytes `json:"server_dh_priv"`
	ServerRandom hexBytes `json:"server_random"`
	ClientRandom hexBytes `json:"client_random"`
	Premaster    hexBytes
	Master       hexBytes
	KeyBlock     hexBytes `json:"key_block"`
	ServerDH     hexBytes `json:"server_dh_blob"`
	ClientDH     hexBytes `json:"client_dh_blob"`
	Transcript   hexBytes `json:"client_key_verify_data"`
	GroupMaster  hexBytes `json:"group_master"`
	GroupBlock   hexBytes `json:"group_key_block"`
	IV           hexBytes `json:"keyinfo_iv"`
	Ciphertext   hexBytes `json:"keyinfo_ct"`
	Handshake    hexBytes `json:"handshake_values"`
	Verify       hexBytes `json:"verify_data"`
	KeyType      wire.Cipher
	Hash         wire.Hash
	KeyEx        wire.KeyExch
	Sig          wire.Sig
	Role         string
	Enc          *struct {
		KeyType wire.Cipher
		Hash    wire.Hash
		KeyEx   wire.KeyExch
		Sig     wire.Sig
	}
	ServerKey  hexBytes `json:"server_key_blob"`
	Opts, Note string
	Result     bool
}

type derivedFile struct {
	Generic struct {
		PRF []struct {
			Hash, Label          string
			Secret, Seed, Output hexBytes
		}
	}
	Sessions []vecSession
	Live     []vecLive `json:"live_sessions"`
}

var derived = sync.OnceValues(func() (*derivedFile, error) {
	text, err := os.ReadFile(filepath.Join(vectors, "derived.json"))
	if err != nil {
		return nil, err
	}
	var d derivedFile
	return &d, json.Unmarshal(text, &d)
})

func loadDerived(t testing.TB) *derivedFile {
	t.Helper()
	d, err := derived()
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Sessions) != 86 || len(d.Live) != 16 || len(d.Generic.PRF) != 16 {
		t.Fatalf("%d sessions, %d live ones, %d PRF values in the vectors", len(d.Sessions), len(d.Live), len(d.Generic.PRF))
	}
	return d
}

func (s *vecSession) suite(t testing.TB) Suite {
	t.Helper()
	keyExch, ok := KeyExchByName(s.KeyEx)
	sig, ok2 := SigTypeByName(s.Sig)
	if !ok || !ok2 {
		t.Fatalf("%s: %s, %s", s.Case, s.KeyEx, s.Sig)
	}
	suite := Suite{Cipher: s.KeyType, Hash: s.HashType, SigType: sig, KeyExch: keyExch}
	if err := suite.Check(); err != nil {
		t.Fatalf("%s: %v", s.Case, err)
	}
	return suite
}

func (s *vecSession) session(t testing.TB) Session {
	t.Helper()
	a, ok := netip.AddrFromSlice(s.Private)
	if !ok {
		t.Fatalf("%s: private address of %d bytes", s.Case, len(s.Private))
	}
	return Session{Group: uint32(uidOf(s.Group)), Private: a}
}

// binary reports whether the session uses a curve that is not on offer.
func (s *vecSession) binary() bool { return strings.HasPrefix(s.Case, "enc-curve-sect") }

// exchangeKey returns the private key recorded for an ECDH blob, nil if none.
func (s *vecSession) exchangeKey(t testing.TB, blob []byte) *identity.PrivateKey {
	t.Helper()
	for _, list := range s.Ephemeral {
		for _, e := range list {
			c := e.Curve.CoordLen()
			if len(blob) < 4+2*c || !bytes.Equal(e.Public[1:], blob[4:4+2*c]) {
				continue
			}
			k, err := identity.NewEC(e.Curve, e.Private)
			if err != nil {
				t.Fatalf("%s: %v", s.Case, err)
			}
			return k
		}
	}
	return nil
}

func uidOf(b []byte) wire.UID {
	return wire.UID(b[0])<<24 | wire.UID(b[1])<<16 | wire.UID(b[2])<<8 | wire.UID(b[3])
}

// loadKeys returns all usable keys of the captures by file name.
var allKeys = sync.OnceValues(func() (map[string]*identity.PrivateKey, error) {
	files, err := filepath.Glob(filepath.Join(keyDir, "*.pem"))
	if err != nil {
		return nil, err
	}
	m := map[string]*identity.PrivateKey{}
	for _, f := range files {
		if strings.Contains(f, "sect") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		if m[filepath.Base(f)], err = identity.ParsePEM(text); err != nil {
			return nil, err
		}
	}
	return m, nil
})

func keyFile(t testing.TB, name string) *identity.PrivateKey {
	t.Helper()
	m, err := allKeys()
	if err != nil {
		t.Fatal(err)
	}
	if m[name] == nil {
		t.Fatalf("no key %s", name)
	}
	return m[name]
}

// keyOf returns the private key of a blob, nil if it is not among the files.
func keyOf(t testing.TB, blob []byte) *identity.PrivateKey {
	t.Helper()
	m, err := allKeys()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range m {
		if bytes.Equal(k.Public().AppendBlob(nil), blob) {
			return k
		}
	}
	return nil
}

// capture holds the clear handshake messages of the captures of one session.
type capture struct {
	announces  [][]byte // whole datagrams, of all places of the network
	registers  []from[wire.Register]
	clientKeys []from[wire.ClientKey]
	keyInfos   []from[wire.KeyInfo]
	proxyKeys  []wire.ProxyKey
	heartbeats []wire.HBReq
}

type from[T any] struct {
	wire.Header
	msg T
}

func readCaptures(t testing.TB, name string) (c capture) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(vectors, name+".pcap"))
	if err != nil {
		t.Fatal(err)
	}
	pairs, err := filepath.Glob(filepath.Join(vectors, name+"-*stream.pcap"))
	if err != nil || len(files)+len(pairs) == 0 {
		t.Fatalf("%s: no captures (%v)", name, err)
	}
	for _, f := range append(files, pairs...) {
		c.read(t, f)
	}
	return c
}

func (c *capture) read(t testing.TB, file string) {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r, err := frames.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	for {
		d, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		h, msg, err := wire.ParseHeader(d.Payload)
		if err != nil {
			continue
		}
		switch h.Func {
		case wire.FuncAnnounce:
			c.announces = append(c.announces, d.Payload)
		case wire.FuncRegister:
			var m wire.Register
			if m, err = wire.ParseRegister(wire.Version4, msg); err == nil {
				c.registers = append(c.registers, from[wire.Register]{h, m})
			}
		case wire.FuncClientKey:
			var m wire.ClientKey
			if m, err = wire.ParseClientKey(msg); err == nil {
				c.clientKeys = append(c.clientKeys, from[wire.ClientKey]{h, m})
			}
		case wire.FuncKeyInfo:
			var m wire.KeyInfo
			if m, err = wire.ParseKeyInfo(wire.Version4, msg); err == nil {
				c.keyInfos = append(c.keyInfos, from[wire.KeyInfo]{h, m})
			}
		case wire.FuncProxyKey:
			var m wire.ProxyKey
			if m, err = wire.ParseProxyKey(wire.Version4, msg); err == nil {
				c.proxyKeys = append(c.proxyKeys, m)
			}
		case wire.FuncHBReq:
			var m wire.HBReq
			if m, err = wire.ParseHBReq(msg); err == nil {
				c.heartbeats = append(c.heartbeats, m)
			}
		}
		if err != nil {
			t.Fatalf("%s: frame %d: %v", file, d.Frame, err)
		}
	}
}

// register returns the REGISTER of a client.
func (c *capture) register(t testing.TB, v *vecClient) wire.Register {
	t.Helper()
	i := slices.IndexFunc(c.registers, func(r from[wire.Register]) bool {
		return r.Src == uidOf(v.UID) && bytes.Equal(r.msg.Random, v.Random)
	})
	if i < 0 {
		t.Fatalf("no REGISTER of %v", uidOf(v.UID))
	}
	return c.registers[i].msg
}

// clientKey returns the CLIENT_KEY of a client, nil if it sent none.
func (c *capture) clientKey(group wire.Header, v *vecClient) *wire.ClientKey {
	for i := range c.clientKeys {
		if k := &c.clientKeys[i]; k.Src == uidOf(v.UID) && k.Group == group.Group && k.Instance == group.Instance {
			return &k.msg
		}
	}
	return nil
}
