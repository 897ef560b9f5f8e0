package handshake

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/subtle"

	"uftp/crypto/aead"
	"uftp/wire"
)

// EntryLen is the length of a group master on its way, bytes: 47 and one of
// padding, for either block size.
const EntryLen = 48

// entryPad is the PKCS #7 padding of an entry, one byte.
const entryPad = 1

// entryCipher returns the block cipher that KEYINFO uses in CBC mode, and its IV.
// Sessions with GCM and CCM use the CBC form too, with an IV of 16 bytes
// (v4-crypto.md 4.7).
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
		panic("handshake: " + err.Error()) // the length comes from the same suite
	}
	iv := make([]byte, block.BlockSize())
	aead.PutIV(iv, keys.Salt, src, ctr)
	return block, iv
}

// AppendGroupMaster appends groupMaster, sealed under the keys of a client for
// the KEYINFO with counter ctr that src sends: EntryLen bytes.
func (s Suite) AppendGroupMaster(b []byte, keys *KeyBlock, src wire.UID, ctr uint64, groupMaster *[MasterLen]byte) []byte {
	n := len(b)
	b = append(b, groupMaster[1:]...)
	b = append(b, entryPad)
	block, iv := s.entryCipher(keys, src, ctr)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(b[n:], b[n:])
	return b
}

// OpenGroupMaster opens an entry of KEYINFO. Anything but 47 bytes is
// [ErrGroupMaster]; that one byte is all that tells a good entry from a bad one,
// so one in 256 forged entries passes here and fails later.
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
