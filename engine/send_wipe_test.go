package engine

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"testing"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine/dialect"
	"uftp/engine/netio"
	"uftp/wire"
)

// The secrets of a session that finds no socket are wiped like those of any other.
func TestNoSocketWipes(t *testing.T) {
	busy, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	key, err := identity.GenerateEC(identity.P256, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	server, err := handshake.NewServer(handshake.ServerConfig{
		Suite:   handshake.Suite{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA},
		Session: handshake.Session{Private: netip.IPv4Unspecified()}, Key: key, Curve: identity.P256, Rand: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	security, err := dialect.NewServer(wire.Version4, server)
	if err != nil {
		t.Fatal(err)
	}
	if server.GroupMaster() == [handshake.MasterLen]byte{} {
		t.Fatal("the session has no secret to begin with")
	}
	cfg := SendConfig{Net: netio.Config{Port: busy.LocalAddr().(*net.UDPAddr).AddrPort().Port()}}
	cfg.Session.Dialect = security
	if _, err := Send(context.Background(), cfg, nil); err == nil {
		t.Fatal("a port that is taken was opened")
	}
	if server.GroupMaster() != [handshake.MasterLen]byte{} {
		t.Error("the group master is still there")
	}
}
