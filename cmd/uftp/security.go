package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"uftp/cmd/cli"
	"uftp/cmd/internal/keylog"
	"uftp/cmd/internal/report"
	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine"
	"uftp/engine/dialect"
	"uftp/engine/sender"
	"uftp/wire"
)

// cryptOptions is what the command line says about encryption. What is not said
// is safe: sha256, ecdh_ecdsa with prime256v1, a fresh key. Stock
// takes sha1, rsa and 512 bits.
type cryptOptions struct {
	cipher     string
	hash       string
	signature  string
	exchange   string // with a curve behind a colon, or not
	newKey     string
	keyFile    string
	clientAuth bool
	largeRSA   bool
	keyLog     string
}

// rsaBitsFresh is the size of a new key if only the exchange is given.
const rsaBitsFresh = 2048

// crypt has the algorithms and the key of an encrypted session.
type crypt struct {
	suite handshake.Suite
	curve identity.Curve
	key   *identity.PrivateKey
	auth  bool
}

func (o *cryptOptions) on() bool { return o.cipher != "none" }

func (o *cryptOptions) bitsMax() int {
	if o.largeRSA {
		return identity.RSABitsMax
	}
	return identity.RSABitsMaxStock
}

// check checks the options against each other.
func (o *cryptOptions) check() error {
	if !o.on() || o.newKey == "" {
		return nil
	}
	_, err := cli.SenderKey(o.keyKind(), o.newKey, o.bitsMax())
	return err
}

// keyKind returns the kind of key that the options need. Command lines for the stock program may
// give a size without an exchange, because its default exchange uses an RSA key.
func (o *cryptOptions) keyKind() identity.Kind {
	bits, isSize := cli.Number(o.newKey, 10)
	switch {
	case o.exchange == "" && isSize && bits != 0,
		strings.HasPrefix(o.exchange, "rsa"), strings.HasPrefix(o.exchange, "ecdh_rsa"):
		return identity.RSA
	}
	return identity.EC
}

// prepare reads or creates the key. Errors have exit code 3. warn takes lines for the user.
func (o *cryptOptions) prepare(warn func(line string)) (*crypt, error) {
	if !o.on() {
		return nil, nil
	}
	c := &crypt{auth: o.clientAuth, curve: identity.P256}
	var spec *identity.Spec
	switch {
	case o.newKey != "":
		s, err := cli.SenderKey(o.keyKind(), o.newKey, o.bitsMax())
		if err != nil {
			return nil, err
		}
		spec = &s
	case o.keyFile == "":
		spec = &identity.Spec{Kind: o.keyKind(), Bits: rsaBitsFresh, Curve: identity.P256}
	}
	if err := cli.NoCores(); err != nil {
		warn("Warning: a core file of this program would contain keys: " + cli.ErrText(err))
	}
	var err error
	if c.key, err = cli.LoadKey(o.keyFile, spec, warn); err != nil {
		return nil, err
	}
	if err := c.choose(o); err != nil {
		c.key.Wipe()
		return nil, err
	}
	return c, nil
}

// choose selects the algorithms, some of which depend on the key.
func (c *crypt) choose(o *cryptOptions) (err error) {
	hash, exchange := o.hash, o.exchange
	if hash == "" {
		hash = "sha256"
	}
	if exchange == "" {
		exchange = "ecdh_ecdsa"
		if c.key.Public().Kind() == identity.RSA {
			exchange = "ecdh_rsa"
		}
	}
	exchange, curve, hasCurve := strings.Cut(exchange, ":")
	c.suite.Cipher, _ = handshake.CipherByName(o.cipher)
	c.suite.Hash, _ = handshake.HashByName(hash)
	c.suite.KeyExch, _ = handshake.KeyExchByName(exchange)
	switch {
	case c.suite.AEAD():
		c.suite.SigType = wire.SigAuthEnc
	case o.signature == "keyex":
		c.suite.SigType = wire.SigKeyExch
	default:
		c.suite.SigType = wire.SigHMAC
	}
	if hasCurve && c.suite.ECDH() {
		if c.curve, err = identity.CurveByName(curve); err != nil {
			return err
		}
	}
	return c.checkKey(o)
}

// checkKey returns an error if the key does not fit the exchange.
func (c *crypt) checkKey(o *cryptOptions) error {
	key := c.key.Public()
	problem := ""
	switch {
	case key.Kind() != c.suite.KeyKind():
		problem = fmt.Sprintf("-e %s needs an %v key, this is an %v key", o.exchange, c.suite.KeyKind(), key.Kind())
	case key.Kind() == identity.RSA && key.Bits() > o.bitsMax():
		problem = fmt.Sprintf("a key of %d bits crashes stock receivers; use --allow-large-rsa if there are none", key.Bits())
	}
	if problem == "" {
		return nil
	}
	if o.keyFile != "" {
		problem += " (-k " + o.keyFile + ")"
	}
	return &cli.Error{Code: cli.ExitKey, Text: "Failed to read/generate private key: " + problem}
}

// secret returns the description of the session for its reports; nil in clear.
func (c *crypt) secret() *report.Secret {
	if c == nil {
		return nil
	}
	x := &report.Secret{
		Lines: []string{cli.KeyLine(c.key.Public())},
		Suite: c.suite.String(), Fingerprint: c.key.Public().Fingerprint(),
	}
	if c.suite.ECDH() {
		x.Lines = append(x.Lines, "Loaded ECDH key with curve "+c.curve.String())
	}
	x.Strength, x.Weak = c.strength()
	return x
}

// strength returns the level of security of the session, and its weaknesses.
func (c *crypt) strength() (level identity.Strength, weak []string) {
	level, parts := c.suite.Strength(c.key.Public(), c.curve, c.auth)
	for _, w := range parts {
		if w.Warn() {
			weak = append(weak, w.Reason)
		}
	}
	return level, weak
}

// warnings returns lines about weaknesses of the session and slow ciphers.
func (c *crypt) warnings(o *cryptOptions) (list []string) {
	if _, weak := c.strength(); len(weak) > 0 {
		list = append(list, "Warning: weak encryption: "+strings.Join(weak, "; "))
	}
	if !aead.Accelerated(c.suite.Cipher) {
		list = append(list, "Warning: this CPU has no instructions for "+o.cipher+": expect low throughput")
	}
	if bits := c.key.Public().Bits(); c.key.Public().Kind() == identity.RSA && bits > identity.RSABitsMaxStock {
		list = append(list, fmt.Sprintf("Warning: an RSA key of %d bits crashes stock receivers", bits))
	}
	return list
}

// secure makes cfg an encrypted session, unless c is nil, and writes the key log. On an error it
// wipes the secrets of the session.
func (o *options) secure(cfg *engine.SendConfig, c *crypt) (err error) {
	if c == nil {
		return nil
	}
	s := &cfg.Session
	within := handshake.Session{Group: s.Group, Private: s.Private.Addr().WithZone("")}
	if s.Unicast {
		within.Private = netip.IPv4Unspecified()
		if s.Public.Addr().Is6() {
			within.Private = netip.IPv6Unspecified()
		}
	}
	server, err := handshake.NewServer(handshake.ServerConfig{
		Suite: c.suite, ClientAuth: c.auth, Session: within, Key: c.key, Curve: c.curve, RSABitsMax: o.bitsMax(), Rand: rand.Reader,
	})
	if err != nil {
		return &cli.Error{Code: cli.ExitKey, Text: "Failed to set up encryption: " + strings.TrimPrefix(err.Error(), handshake.ErrConfig.Error()+": ")}
	}
	if s.Dialect, err = dialect.NewServer(wire.Version4, server); err != nil {
		server.Wipe()
		return &cli.Error{Code: cli.ExitKey, Text: "Failed to set up encryption: " + err.Error()}
	}
	defer func() {
		if err != nil {
			s.Dialect.Wipe()
		}
	}()
	if most := s.Dialect.BlockSizeMax(); s.BlockSize > most {
		return &cli.Error{Text: fmt.Sprintf("Invalid blocksize: -b %d", s.BlockSize), Allowed: fmt.Sprintf("512 to %d bytes with signatures of this key", most)}
	}
	if err := o.fingerprints(s, server.ClientAuth()); err != nil {
		return err
	}
	if o.keyLog == "" {
		return nil
	}
	entry := keylog.Entry{Group: s.Group, Instance: s.Instance, Suite: c.suite, ServerRandom: server.Random(), GroupMaster: server.GroupMaster()}
	defer clear(entry.GroupMaster[:])
	l, err := keylog.Open(o.keyLog)
	if err == nil {
		err = errors.Join(l.Write(&entry), l.Close())
	}
	if err != nil {
		return &cli.Error{Code: cli.ExitLog, Text: fmt.Sprintf("Can't open key log: %s (--keylog %s)", cli.ErrText(err), o.keyLog)}
	}
	o.resolver.Warnings = append(o.resolver.Warnings, keylog.Warning(o.keyLog))
	return nil
}

// gatherPins collects the fingerprints of all lists. Lists that give a host two different ones are
// refused, because only one could be used. A text that is no fingerprint is an error only if hosts
// must prove their keys.
func (o *options) gatherPins() error {
	o.pins = make(map[wire.UID]identity.Fingerprint)
	pin := func(name string, uid wire.UID, f identity.Fingerprint) error {
		if other, has := o.pins[uid]; has && other != f {
			return cli.Fail("Contradictory fingerprints for host %s (UID %s): %s and %s", name, uid, other, f)
		}
		o.pins[uid] = f
		return nil
	}
	for _, h := range o.hosts {
		if f, err := identity.ParseFingerprint(h.Fingerprint); err == nil {
			if err := pin(h.Name, h.UID, f); err != nil {
				return err
			}
		}
	}
	for _, c := range o.resume.Clients {
		if c.HasFingerprint {
			if err := pin(c.Name, c.UID, identity.Fingerprint(c.Fingerprint[:identity.FingerprintLen])); err != nil {
				return err
			}
		}
	}
	return nil
}

// fingerprints passes the pins on, if hosts must prove their keys.
func (o *options) fingerprints(s *sender.Config, auth bool) error {
	listed := len(o.pins) > 0
	for _, h := range o.hosts {
		if h.Fingerprint == "" {
			continue
		}
		listed = true
		if _, err := identity.ParseFingerprint(h.Fingerprint); err != nil && auth {
			return cli.Fail("Invalid fingerprint of host %s: %s (allowed: 20 hex numbers with colons between)", h.Name, h.Fingerprint)
		}
	}
	switch {
	case auth:
		for i := range s.Hosts {
			if f, has := o.pins[s.Hosts[i].UID]; has {
				s.Hosts[i].Fingerprint = &f
			}
		}
	case listed:
		o.resolver.Warnings = append(o.resolver.Warnings, "Warning: fingerprints are compared only with -c")
	}
	return nil
}
