package sim

import (
	"fmt"
	"testing"
	"time"

	"uftp/crypto/handshake"
	"uftp/engine/receiver"
	"uftp/engine/sender"
	"uftp/wire"
)

// TestGRTTJump: a slow receiver comes when the others have a short GRTT, and one of the
// others loses the first message with the longer GRTT. It must stay.
func TestGRTTJump(t *testing.T) {
	gcm := handshake.Suite{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA}
	open := func(w *World, cfg sender.Config) sender.Config { return cfg }
	for _, c := range []struct {
		name  string
		grtt  time.Duration // at the start
		near  time.Duration // round trip of the one, before it of the other too
		far   time.Duration // round trip of the other
		after time.Duration // from when on it has that
		lose  int           // datagrams with the new GRTT that the near one does not hear
		group func(w *World, cfg sender.Config) sender.Config
		keys  bool
	}{
		{"announce", 50 * ms, 2 * ms, 500 * ms, 0, 2, open, false},
		{"announce_encrypted", 100 * ms, 2 * ms, 500 * ms, 0, 2, open, true},
		{"late_register", 200 * ms, 100 * ms, 2500 * ms, 0, 2, closed, false},
		{"file", 50 * ms, 2 * ms, 500 * ms, 10 * ms, 2, closed, false},
		{"announce_encrypted_without_loss", 100 * ms, 2 * ms, 500 * ms, 0, 0, open, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, 1, func(w *World) (time.Duration, func() error) {
				for i := range byte(2) {
					var cfg receiver.Config
					if c.keys {
						cfg = secretReceiver(i)
					}
					w.AddReceiver(cfg, Path{Delay: c.near / 2})
				}
				far := w.receivers[1]
				w.At(c.after, func() { far.upLink.Delay = c.far - c.near/2 })
				w.Rules = []Rule{{Dir: Down, Node: 0, First: c.lose, Match: func(h wire.Header, _ []byte) bool {
					return wire.DecodeGRTT(h.GRTT) > 2*c.grtt.Seconds()
				}}}
				cfg := sender.Config{Rate: mbit(100), GRTT: c.grtt}
				if c.keys {
					cfg = encrypted(cfg, 1, gcm, false)
				}
				s := w.AddSender(c.group(w, cfg), file("a", 1000))
				return time.Minute, func() error {
					if g := s.Stats().GRTT; g < c.far/2 {
						return fmt.Errorf("the GRTT at the end is %v, nobody slow has come", g)
					}
					return everybodyHas(w, s)()
				}
			})
		})
	}
}
