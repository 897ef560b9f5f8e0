package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/dialect"
	"uftp/engine/machine"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/wire"
)

// encrypted makes cfg an encrypted session. Equal seeds give equal secrets.
func encrypted(cfg sender.Config, seed byte, s handshake.Suite, auth bool) sender.Config {
	random := rand.NewChaCha8([32]byte{seed})
	cfg = Defaults(cfg)
	cfg.Group = 0xE0000000 + uint32(seed)
	key, err := identity.GenerateEC(identity.P256, random)
	if err == nil {
		var srv *handshake.Server
		srv, err = handshake.NewServer(handshake.ServerConfig{
			Suite: s, ClientAuth: auth, Session: handshake.Session{Group: cfg.Group, Private: private(&cfg)},
			Key: key, Curve: identity.P256, Rand: random,
		})
		if err == nil {
			cfg.Dialect, err = dialect.NewServer(wire.Version4, srv)
		}
	}
	if err != nil {
		panic(err)
	}
	return cfg
}

func private(cfg *sender.Config) netip.Addr {
	if cfg.Unicast {
		return netip.IPv4Unspecified()
	}
	return cfg.Private.Addr()
}

// secretReceiver is a receiver that makes its keys when asked.
func secretReceiver(seed byte) receiver.Config {
	return receiver.Config{MakeKeys: true, MinSecurity: identity.Medium, Rand: rand.NewChaCha8([32]byte{seed, 1})}
}

// TestSecret: encrypted sessions survive what a link may do, and no counter comes
// twice (the checkers of the world see to that).
func TestSecret(t *testing.T) {
	gcm := handshake.Suite{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA}
	ccm, hmac, keyex := gcm, gcm, gcm
	ccm.Cipher = wire.CipherAES128CCM
	hmac.Cipher, hmac.SigType = wire.CipherAES128CBC, wire.SigHMAC
	keyex.Cipher, keyex.SigType = wire.CipherAES128CBC, wire.SigKeyExch
	rough := Path{Delay: 20 * ms, Jitter: 10 * ms, Loss: 0.05, Burst: Bursts(0.05, 2), Dup: 0.05, Reorder: 0.05, Corrupt: 0.02}
	for _, c := range []struct {
		name  string
		suite handshake.Suite
		auth  bool
		path  Path
		size  int64
	}{
		{"clean", gcm, true, Path{Delay: ms}, 700_000},
		{"loss_10", ccm, false, Path{Delay: ms, Loss: 0.1}, 700_000},
		{"loss_30", gcm, true, Path{Delay: ms, Loss: 0.3}, 100_000},
		{"reordering", hmac, false, Path{Delay: ms, Dup: 0.3, Reorder: 0.3, ReorderBy: 20 * ms}, 300_000},
		{"delay_600", gcm, false, Path{Delay: 300 * ms, Loss: 0.05}, 300_000},
		{"everything", hmac, true, rough, 300_000},
		{"signed", keyex, true, rough, 40_000},
	} {
		for seed := uint64(1); seed <= 2; seed++ {
			t.Run(fmt.Sprintf("%s_%d", c.name, seed), func(t *testing.T) {
				run(t, seed, func(w *World) (time.Duration, func() error) {
					for i := range 4 {
						w.AddReceiverOn(secretReceiver(byte(i)), c.path, c.path)
					}
					cfg := fast()
					if seed > 1 {
						cfg = closed(w, cfg)
					}
					if c.path.Delay >= 100*ms {
						cfg.GRTT = 500 * ms
					}
					s := w.AddSender(encrypted(cfg, byte(seed), c.suite, c.auth), file("a", c.size), file("b", 0), file("c", 4000))
					return 4 * time.Minute, everybodyHas(w, s)
				})
			})
		}
	}
}

// TestSecretReceiverDies: a receiver that comes back while the session is announced
// is given the same key a second time, and goes on with other counters (the
// checkers see to that); one that comes back later does no harm to the others.
func TestSecretReceiverDies(t *testing.T) {
	suite := handshake.Suite{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA}
	for _, c := range []struct {
		kill, back time.Duration
		has        bool // the file, in the end
	}{
		{165 * ms, 170 * ms, true},
		{600 * ms, 700 * ms, false},
	} {
		t.Run(c.kill.String(), func(t *testing.T) {
			run(t, 1, func(w *World) (time.Duration, func() error) {
				for i := range 3 {
					w.AddReceiverOn(secretReceiver(byte(i)), Path{Delay: 5 * ms}, Path{Delay: 5 * ms})
				}
				r := w.receivers[0]
				keyed := map[int]bool{} // by life
				r.Hook = func(ev machine.Event) {
					if e, ok := ev.(receiver.Stepped); ok && e.Step == receiver.KeyInfoAckSent {
						keyed[r.life] = true
					}
				}
				w.At(c.kill, r.Kill)
				w.At(c.back, r.Start)
				cfg := fast()
				cfg.Rate = mbit(8)
				f := file("a", 700_000)
				s := w.AddSender(encrypted(cfg, 7, suite, false), f)
				return time.Minute, func() error {
					for i, o := range w.receivers {
						if o.Disk.Has(f) != (c.has || i > 0) {
							return fmt.Errorf("receiver %d has the file: %v", i, o.Disk.Has(f))
						}
					}
					if c.has && len(keyed) != 2 {
						return fmt.Errorf("the receiver was given keys in %d lives, want two", len(keyed))
					}
					if !s.Done() {
						return fmt.Errorf("the sender goes on for ever")
					}
					return nil
				}
			})
		})
	}
}
