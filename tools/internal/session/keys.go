package session

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/wire"
)

// ErrKeyLog says that a line is not one of a key log.
var ErrKeyLog = errors.New("not a line of a key log")

// keyLogLine is the longest line read, bytes.
const keyLogLine = 4096

// Keys is what sealed sessions are opened with. The zero Keys opens nothing.
type Keys struct {
	Private []*identity.PrivateKey // for the RSA exchange
	logged  map[ID][]secret
}

// secret is what the keys of one session follow from.
type secret struct {
	suite        handshake.Suite
	serverRandom [wire.RandomLen]byte
	groupMaster  [handshake.MasterLen]byte
}

// ReadLog adds the entries of a key log in the form of docs/keylog.md. Lines of
// other kinds are skipped; a damaged one is ErrKeyLog, wrapped.
func (k *Keys) ReadLog(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, keyLogLine)
	for n := 1; lines.Scan(); n++ {
		f := strings.Fields(lines.Text())
		if len(f) == 0 || f[0] != "UFTP4" {
			continue
		}
		id, s, ok := parseSecret(f)
		if !ok {
			return fmt.Errorf("line %d: %w", n, ErrKeyLog)
		}
		if k.logged == nil {
			k.logged = map[ID][]secret{}
		}
		k.logged[id] = append(k.logged[id], s)
	}
	return lines.Err()
}

// parseSecret reads the fields of a line.
func parseSecret(f []string) (id ID, s secret, ok bool) {
	if len(f) != 6 {
		return id, s, false
	}
	group, err1 := strconv.ParseUint(f[1], 16, 32)
	instance, err2 := strconv.ParseUint(f[2], 10, 8)
	alg := strings.Split(f[3], ":")
	random, err3 := hex.DecodeString(f[4])
	master, err4 := hex.DecodeString(f[5])
	if errors.Join(err1, err2, err3, err4) != nil || len(alg) != 4 || len(random) != len(s.serverRandom) || len(master) != len(s.groupMaster) {
		return id, s, false
	}
	var known [4]bool
	s.suite.Cipher, known[0] = handshake.CipherByName(alg[0])
	s.suite.Hash, known[1] = handshake.HashByName(alg[1])
	s.suite.SigType, known[2] = handshake.SigTypeByName(alg[2])
	s.suite.KeyExch, known[3] = handshake.KeyExchByName(alg[3])
	copy(s.serverRandom[:], random)
	copy(s.groupMaster[:], master)
	id = ID{Group: uint32(group), Instance: uint8(instance)}
	return id, s, known == [4]bool{true, true, true, true} && s.suite.Check() == nil
}
