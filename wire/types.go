package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Sizes and limits of the format.
const (
	HeaderLen      = 16   // common header, bytes
	FileSegLen     = 8    // FILESEG header without extension, bytes
	EncryptedLen   = 12   // ENCRYPTED header after the common header: counter, two lengths
	MinDatagram    = 20   // common header and the smallest message, bytes
	MaxDatagram    = 9000 // receive limit of the stock programs, bytes
	MaxNameLen     = 300  // name or link field of FILEINFO, bytes
	AbortTextLen   = 300  // text field of ABORT, bytes, NUL included
	KeyInfoItemLen = 52   // one KEYINFO entry
	CCItemLen      = 8    // one CONG_CTRL entry
	RandomLen      = 32   // server and client random
	VerifyLen      = 12   // verify data of KEYINFO_ACK

	MinBlockSize     = 512
	MaxBlockSize     = 8800
	DefaultBlockSize = 1300
	DefaultPort      = 1044
)

// Func is a message number.
type Func uint8

//go:generate go tool stringer -type=Func -linecomment
const (
	FuncAnnounce    Func = 1  // ANNOUNCE
	FuncRegister    Func = 2  // REGISTER
	FuncClientKey   Func = 3  // CLIENT_KEY
	FuncRegConf     Func = 4  // REG_CONF
	FuncKeyInfo     Func = 5  // KEYINFO
	FuncKeyInfoAck  Func = 6  // KEYINFO_ACK
	FuncFileInfo    Func = 7  // FILEINFO
	FuncFileInfoAck Func = 8  // FILEINFO_ACK
	FuncFileSeg     Func = 9  // FILESEG
	FuncDone        Func = 10 // DONE
	FuncStatus      Func = 11 // STATUS
	FuncComplete    Func = 12 // COMPLETE
	FuncDoneConf    Func = 13 // DONE_CONF
	FuncHBReq       Func = 14 // HB_REQ
	FuncHBResp      Func = 15 // HB_RESP
	FuncKeyReq      Func = 16 // KEY_REQ
	FuncProxyKey    Func = 17 // PROXY_KEY
	FuncEncrypted   Func = 18 // ENCRYPTED
	FuncAbort       Func = 19 // ABORT
	FuncCongCtrl    Func = 20 // CONG_CTRL
	FuncCCAck       Func = 21 // CC_ACK
	FuncParity      Func = 64 // PARITY
)

// Ext is an extension type.
type Ext uint8

const (
	ExtEncInfo   Ext = 1
	ExtTFMCCData Ext = 2
	ExtTFMCCAck  Ext = 3
	ExtFreeSpace Ext = 7
)

// FileType is the type field of FILEINFO.
type FileType uint8

const (
	TypeFile      FileType = 0 // regular file
	TypeDir       FileType = 1 // empty directory
	TypeLink      FileType = 2 // symbolic link
	TypeDelete    FileType = 3 // delete the named file or tree
	TypeFreeSpace FileType = 4 // query of free space
)

// CompleteStatus is the status field of COMPLETE.
type CompleteStatus uint8

const (
	StatusNormal    CompleteStatus = 0
	StatusSkipped   CompleteStatus = 1
	StatusOverwrite CompleteStatus = 2
	StatusRejected  CompleteStatus = 3
)

// Flags of ANNOUNCE.
const (
	AnnounceSync    = 0x01
	AnnouncePreview = 0x02
	AnnounceIPv6    = 0x04
)

// CC is the congestion control of ANNOUNCE.
type CC uint8

const (
	CCNone  CC = 0
	CCTFMCC CC = 2
)

// Other flags.
const (
	FileInfoAckPartial = 0x01 // FILEINFO_ACK
	AbortCurrentFile   = 0x01 // ABORT
	EncClientAuth      = 0x01 // ENC_INFO
)

// Flags of TFMCC_ACK_INFO and of the items of CONG_CTRL.
const (
	CCFlagCLR   = 0x01
	CCFlagRTT   = 0x02 // the round trip time is measured
	CCFlagStart = 0x04 // slow start
	CCFlagLeave = 0x08
)

// KeyExch is the key exchange of ENC_INFO, 0..15.
type KeyExch uint8

const (
	KeyExchNone      KeyExch = 0
	KeyExchRSA       KeyExch = 1
	KeyExchECDHRSA   KeyExch = 2
	KeyExchECDHECDSA KeyExch = 3
)

// Sig is the signature type of ENC_INFO, 0..15.
type Sig uint8

const (
	SigNone    Sig = 0
	SigHMAC    Sig = 1
	SigKeyExch Sig = 2 // RSA or ECDSA with the long-term key
	SigAuthEnc Sig = 3 // by the cipher itself
)

// Cipher is the cipher of ENC_INFO.
type Cipher uint8

const (
	CipherNone      Cipher = 0
	CipherDES       Cipher = 1
	Cipher3DES      Cipher = 2
	CipherAES128CBC Cipher = 3
	CipherAES256CBC Cipher = 4
	CipherAES128GCM Cipher = 5
	CipherAES256GCM Cipher = 6
	CipherAES128CCM Cipher = 7
	CipherAES256CCM Cipher = 8
)

// Hash is the hash of ENC_INFO. Nobody offers number 1, MD5.
type Hash uint8

const (
	HashNone   Hash = 0
	HashSHA1   Hash = 2
	HashSHA256 Hash = 3
	HashSHA384 Hash = 4
	HashSHA512 Hash = 5
)

// HB_RESP results.
const (
	HBFailed    = 0
	HBOK        = 1
	HBChallenge = 2
)

// UID is the 4 opaque bytes that name a host, read as a big-endian number.
type UID uint32

// String returns the form the stock programs print: 0x and 8 upper-case hex digits.
func (u UID) String() string { return fmt.Sprintf("0x%08X", uint32(u)) }

// AddrUID is the UID that a host with address a has unless its user gives it another
// one: the IPv4 address, or the last four bytes of an IPv6 address in the order in which
// little-endian hosts read them (docs/protocol.md, "UID").
func AddrUID(a netip.Addr) UID {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return UID(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return UID(binary.LittleEndian.Uint32(b[12:]))
}

// UIDList is the body of a message that lists hosts: 4 bytes each, in network
// order, borrowed from the packet. Len and At see whole entries up to the first zero
// UID; what follows is padding.
type UIDList []byte

// Len returns the number of UIDs up to the end or the first zero UID.
func (l UIDList) Len() int {
	n := len(l) / 4
	for i := range n {
		if binary.BigEndian.Uint32(l[4*i:]) == 0 {
			return i
		}
	}
	return n
}

// At returns entry i, 0 <= i < Len.
func (l UIDList) At(i int) UID { return UID(binary.BigEndian.Uint32(l[4*i:])) }

// Contains reports whether u is in the list, before a zero UID.
func (l UIDList) Contains(u UID) bool {
	for ; len(l) >= 4; l = l[4:] {
		switch UID(binary.BigEndian.Uint32(l)) {
		case u:
			return u != 0
		case 0:
			return false
		}
	}
	return false
}

// AppendUID appends u in network order.
func AppendUID(b []byte, u UID) []byte { return binary.BigEndian.AppendUint32(b, uint32(u)) }

// Header is the common header of every datagram.
type Header struct {
	Version   Version
	Func      Func
	Seq       uint16
	Src       UID
	Group     uint32
	Instance  uint8
	GRTT      uint8 // quantized, see [EncodeGRTT]; 0 from receivers and proxies
	GroupSize uint8 // quantized, see [EncodeGroupSize]; 0 from receivers and proxies
}

// Announce is ANNOUNCE. Public and Private are both IPv4 or both IPv6,
// or both unspecified (0.0.0.0 or ::) in a unicast session.
type Announce struct {
	Flags     uint8
	Robust    uint8
	CC        CC
	BlockSize uint16
	Time      Stamp
	Public    netip.Addr
	Private   netip.Addr
	Enc       EncInfo // valid when HasEnc
	HasEnc    bool
	Hosts     UIDList // allowed hosts; empty = open group
}

// EncInfo is the ENC_INFO extension of ANNOUNCE.
type EncInfo struct {
	Flags     uint8
	KeyExch   KeyExch
	SigType   Sig
	Cipher    Cipher
	Hash      Hash
	Random    []byte // 32 bytes
	PublicKey []byte // key blob
	ECDH      []byte // key blob, empty for RSA exchange
	Signature []byte // empty for RSA exchange
}

// Register is REGISTER.
type Register struct {
	Time    Stamp  // echoed, aged by the time the receiver held it
	Random  []byte // 32 bytes; nil appends zeros
	KeyInfo []byte // premaster or ECDH blob, length a multiple of 4
	Clients UIDList
}

// ClientKey is CLIENT_KEY.
type ClientKey struct{ PublicKey, Signature []byte }

// HostList is REG_CONF and DONE_CONF.
type HostList struct {
	Func  Func // FuncRegConf or FuncDoneConf
	Hosts UIDList
}

// KeyInfo is KEYINFO. Items holds the 52-byte entries as they stand in
// the packet; Len and At see whole ones up to the first zero UID.
type KeyInfo struct {
	Counter uint64
	Items   []byte
}

// KeyInfoAck is KEYINFO_ACK.
type KeyInfoAck struct{ Verify []byte }

// FileInfo is FILEINFO. Name and Link come without their NUL padding.
type FileInfo struct {
	FileID uint16
	Type   FileType
	Size   int64 // 0 .. 2^48-1
	MTime  int64 // Unix seconds, in version 4 the low 32 bits; 0 = not given
	Time   Stamp
	Name   []byte
	Link   []byte
	Hosts  UIDList
}

// FileInfoAck is FILEINFO_ACK.
type FileInfoAck struct {
	FileID  uint16
	Partial bool
	Time    Stamp
	Clients UIDList
}

// FileSeg is FILESEG.
type FileSeg struct {
	FileID  uint16
	Section uint16
	Block   uint16 // within the section
	HasCC   bool
	CC      TFMCCData // valid when HasCC
	Data    []byte
}

// TFMCCData is the TFMCC_DATA_INFO extension; rates are quantized.
type TFMCCData struct{ SendRate, CCSeq, CCRate uint16 }

// Done is DONE. FileID 0 is the end of the session.
type Done struct {
	FileID  uint16
	Section uint16
	Hosts   UIDList
}

// Status is STATUS. NAKs is the bitmap (docs/protocol.md, "NAK bitmap"): bit i, least
// significant first, is set if block i of the section is missing. Bits past the section
// are garbage.
type Status struct {
	FileID  uint16
	Section uint16
	HasCC   bool
	CC      TFMCCAck
	NAKs    []byte
}

// TFMCCAck is the TFMCC_ACK_INFO extension; the rate is quantized.
type TFMCCAck struct {
	Flags         uint8
	CCSeq, CCRate uint16
	Client        UID
	Time          Stamp
}

// Complete is COMPLETE.
type Complete struct {
	FileID    uint16
	Status    CompleteStatus
	HasSpace  bool
	FreeSpace uint64 // bytes, valid when HasSpace
	Clients   UIDList
}

// HBReq is HB_REQ.
type HBReq struct {
	Nonce                uint32
	PublicKey, Signature []byte
}

// HBResp is HB_RESP.
type HBResp struct {
	Result uint8
	Nonce  uint32
}

// KeyReq is KEY_REQ.
type KeyReq struct{}

// ProxyKey is PROXY_KEY.
type ProxyKey struct {
	Nonce                      uint32
	PublicKey, ECDH, Signature []byte
}

// Encrypted is what follows the common header in ENCRYPTED.
type Encrypted struct {
	Counter            uint64
	Signature, Payload []byte
}

// Abort is ABORT. Text comes without its NUL padding; Append cuts it at 299 bytes.
type Abort struct {
	Flags uint8
	Host  UID // 0 = all
	Text  []byte
}

// CongCtrl is CONG_CTRL. Items holds the 8-byte entries as they stand in
// the packet; Len and At see whole ones up to the first zero UID.
type CongCtrl struct {
	CCSeq, CCRate uint16
	Time          Stamp
	Items         []byte
}

// CCItem is one entry of CONG_CTRL. RTT is quantized like GRTT.
type CCItem struct {
	Host  UID
	Flags uint8
	RTT   uint8
}

// CCAck is CC_ACK.
type CCAck struct{ CC TFMCCAck }
