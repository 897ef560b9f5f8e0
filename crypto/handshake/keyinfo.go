package handshake

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/subtle"

	"uftp/crypto/aead"
	"uftp/wire"
)

// EntryLen is the length of an encrypted group master, bytes: 47 and one of padding, for
// either block size.
const EntryLen = wire.KeyInfoItemLen - 4

// entryPad is the PKCS #7 padding of an entry, one byte.
const entryPad = 1

const (
	_ = uint(MasterLen - 1 + entryPad - EntryLen)
	_ = uint(EntryLen - (MasterLen - 1 + entryPad))
)

// entryCipher returns the block cipher that KEYINFO uses in CBC mode, and its IV.
// Sessions with GCM and CCM use CBC here too, with an IV of 16 bytes (docs/protocol.md,
// "Key schedule").
func (s Suite) entryCipher(keys *KeyBlock, src wire.UID, ctr uint64) (cipher.Block, []byte) {
	var block cipher.Block
	var err error
	switch s.Cipher {
	case wire.CipherDES:
		block, err = des.NewCipher(keys.Key)
	case wire.Cipher3DES:
		block, err = des.NewTripleDESCipher(keys.Key)
	default:
		block, err = aes.NewCipher(keys.Key)
	}
	if err != nil {
		panic("handshake: " + err.Error()) // a bug: the key was made for this suite
	}
	iv := make([]byte, block.BlockSize())
	aead.PutIV(iv, keys.Salt, src, ctr)
	return block, iv
}

// AppendGroupMaster appends groupMaster, encrypted under the keys of a client for the
// KEYINFO with counter ctr that src sends: EntryLen bytes.
func (s Suite) AppendGroupMaster(b []byte, keys *KeyBlock, src wire.UID, ctr uint64, groupMaster *[MasterLen]byte) []byte {
	n := len(b)
	b = append(b, groupMaster[1:]...)
	b = append(b, entryPad)
	block, iv := s.entryCipher(keys, src, ctr)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(b[n:], b[n:])
	return b
}

// OpenGroupMaster decrypts an entry of KEYINFO. It fails with [ErrGroupMaster] if the
// padding is not one byte. Only that byte distinguishes a good entry from a bad one, so
// one in 256 forged entries passes here and fails later.
func (s Suite) OpenGroupMaster(keys *KeyBlock, src wire.UID, ctr uint64, entry []byte) (groupMaster [MasterLen]byte, err error) {
	if len(entry) != EntryLen {
		return groupMaster, ErrGroupMaster
	}
	var plain [EntryLen]byte
	block, iv := s.entryCipher(keys, src, ctr)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain[:], entry)
	defer clear(plain[:])
	if subtle.ConstantTimeByteEq(plain[EntryLen-1], entryPad) != 1 {
		return groupMaster, ErrGroupMaster
	}
	groupMaster[0] = groupMasterVersion
	copy(groupMaster[1:], plain[:])
	return groupMaster, nil
}
