package wire

import (
	"encoding/binary"
	"net/netip"
)

// Fixed parts of the messages that open a session, bytes.
const (
	announceFixed   = 16
	encInfoFixed    = 44
	registerFixed   = 44
	clientKeyFixed  = 8
	hostListFixed   = 4
	keyInfoFixed    = 12
	keyInfoAckFixed = 16
)

// ParseAnnounce reads ANNOUNCE. A receiver answers its errors in different ways
// (docs/protocol.md, "Answer to ANNOUNCE"):
//
//   - [ErrShort], [ErrFunc]: it drops the packet;
//   - [ErrHeaderLen], no room for both addresses: ABORT "Invalid header size";
//   - [ErrExtension], bad ENC_INFO: ABORT "Invalid extension size".
//
// With the latter two the view holds what could be read: Hosts, Flags, Robust, CC,
// BlockSize and Time always, the addresses with ErrExtension. So a receiver that is
// not listed can stay silent.
func ParseAnnounce(v Version, msg []byte) (x Announce, err error) {
	hdr, body, err := splitIn(v, msg, FuncAnnounce, announceFixed)
	if err == ErrHeaderLen {
		err = ErrShort // too short to hold even what an ABORT would be about
	}
	if err != nil {
		return x, err
	}
	x.Flags = hdr[2]
	x.Robust = hdr[3]
	x.CC = CC(hdr[4])
	x.BlockSize = binary.BigEndian.Uint16(hdr[6:])
	x.Time = parseStamp(hdr[8:])
	x.Hosts = UIDList(body)

	a := announceFixed
	if x.Flags&AnnounceIPv6 != 0 {
		if len(hdr) < a+32 {
			return x, ErrHeaderLen
		}
		x.Public = netip.AddrFrom16([16]byte(hdr[a:]))
		x.Private = netip.AddrFrom16([16]byte(hdr[a+16:]))
		a += 32
	} else {
		if len(hdr) < a+8 {
			return x, ErrHeaderLen
		}
		x.Public = netip.AddrFrom4([4]byte(hdr[a:]))
		x.Private = netip.AddrFrom4([4]byte(hdr[a+4:]))
		a += 8
	}

	ext, err := extension(hdr, a, ExtEncInfo, encInfoFixed)
	if err != nil || ext == nil {
		return x, err
	}
	x.Enc, err = parseEncInfo(ext)
	x.HasEnc = err == nil
	return x, err
}

// parseEncInfo reads an ENC_INFO extension of at least its fixed length.
func parseEncInfo(ext []byte) (e EncInfo, err error) {
	key := int(binary.BigEndian.Uint16(ext[6:]))
	dh := int(binary.BigEndian.Uint16(ext[8:]))
	sig := int(binary.BigEndian.Uint16(ext[10:]))
	if len(ext) != encInfoFixed+key+dh+sig {
		return e, ErrExtension
	}
	e.Flags = ext[2]
	e.KeyExch = KeyExch(ext[3] >> 4)
	e.SigType = Sig(ext[3] & 15)
	e.Cipher = Cipher(ext[4])
	e.Hash = Hash(ext[5])
	e.Random = ext[12:encInfoFixed]
	ext = ext[encInfoFixed:]
	e.PublicKey, e.ECDH, e.Signature = ext[:key], ext[key:key+dh], ext[key+dh:]
	return e, nil
}

// Append appends the message. AnnounceIPv6 in Flags decides the form of the
// addresses; an invalid [netip.Addr] is written as the unspecified one. The parts
// of ENC_INFO must add up to whole words.
func (x *Announce) Append(v Version, b []byte) []byte {
	v.must()
	n := announceFixed + 8
	if x.Flags&AnnounceIPv6 != 0 {
		n = announceFixed + 32
	}
	if x.HasEnc {
		n += x.Enc.size()
	}
	b = append(b, byte(FuncAnnounce), words(n), x.Flags, x.Robust, byte(x.CC), 0)
	b = binary.BigEndian.AppendUint16(b, x.BlockSize)
	b = x.Time.append(b)
	b = x.appendAddr(b, x.Public)
	b = x.appendAddr(b, x.Private)
	if x.HasEnc {
		b = x.Enc.append(b)
	}
	return append(b, x.Hosts...)
}

func (x *Announce) appendAddr(b []byte, a netip.Addr) []byte {
	switch {
	case x.Flags&AnnounceIPv6 != 0:
		a16 := a.As16()
		return append(b, a16[:]...)
	case a.IsValid():
		a4 := a.As4()
		return append(b, a4[:]...)
	}
	return append(b, 0, 0, 0, 0)
}

// size returns the length of the extension in bytes.
func (e *EncInfo) size() int {
	n := encInfoFixed + len(e.PublicKey) + len(e.ECDH) + len(e.Signature)
	if n%4 != 0 {
		panic("wire: ENC_INFO is not whole words") // a receiver would refuse it
	}
	return n
}

func (e *EncInfo) append(b []byte) []byte {
	b = append(b, byte(ExtEncInfo), words(e.size()), e.Flags, byte(e.KeyExch)<<4|byte(e.SigType)&15, byte(e.Cipher), byte(e.Hash))
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.PublicKey)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.ECDH)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Signature)))
	b = appendFixed(b, e.Random, RandomLen)
	b = append(b, e.PublicKey...)
	b = append(b, e.ECDH...)
	return append(b, e.Signature...)
}

// ParseRegister reads REGISTER. The sender answers every error but [ErrFunc]
// with a unicast ABORT "Invalid message size".
func ParseRegister(v Version, msg []byte) (x Register, err error) {
	hdr, body, err := splitIn(v, msg, FuncRegister, registerFixed)
	if err != nil {
		return x, err
	}
	n := int(binary.BigEndian.Uint16(hdr[2:]))
	if n > len(hdr)-registerFixed {
		return x, ErrHeaderLen
	}
	x.Time = parseStamp(hdr[4:])
	x.Random = hdr[12:registerFixed]
	x.KeyInfo = hdr[registerFixed : registerFixed+n]
	x.Clients = UIDList(body)
	return x, nil
}

// Append appends the message.
func (x *Register) Append(v Version, b []byte) []byte {
	v.must()
	start := len(b)
	b = append(b, byte(FuncRegister), words(registerFixed+len(x.KeyInfo)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(x.KeyInfo)))
	b = x.Time.append(b)
	b = appendFixed(b, x.Random, RandomLen)
	b = append(b, x.KeyInfo...)
	return append(pad(b, start), x.Clients...)
}

// ParseClientKey reads CLIENT_KEY. The sender answers every error but [ErrFunc]
// with a unicast ABORT "Invalid message size".
func ParseClientKey(msg []byte) (x ClientKey, err error) {
	hdr, _, err := split(msg, FuncClientKey, clientKeyFixed)
	if err != nil {
		return x, err
	}
	key := int(binary.BigEndian.Uint16(hdr[4:]))
	sig := int(binary.BigEndian.Uint16(hdr[6:]))
	hdr = hdr[clientKeyFixed:]
	if key+sig > len(hdr) {
		return x, ErrHeaderLen
	}
	x.PublicKey, x.Signature = hdr[:key], hdr[key:key+sig]
	return x, nil
}

// Append appends the message.
func (x *ClientKey) Append(b []byte) []byte {
	start := len(b)
	b = append(b, byte(FuncClientKey), words(clientKeyFixed+len(x.PublicKey)+len(x.Signature)), 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(x.PublicKey)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(x.Signature)))
	b = append(b, x.PublicKey...)
	b = append(b, x.Signature...)
	return pad(b, start)
}

// ParseHostList reads REG_CONF or DONE_CONF.
func ParseHostList(msg []byte) (x HostList, err error) {
	f := FuncRegConf
	if len(msg) > 0 && Func(msg[0]) == FuncDoneConf {
		f = FuncDoneConf
	}
	_, body, err := split(msg, f, hostListFixed)
	if err != nil {
		return x, err
	}
	return HostList{Func: f, Hosts: UIDList(body)}, nil
}

// Append appends the message. Func must be set.
func (x *HostList) Append(b []byte) []byte {
	b = append(b, byte(x.Func), hostListFixed/4, 0, 0)
	return append(b, x.Hosts...)
}

// ParseKeyInfo reads KEYINFO.
func ParseKeyInfo(v Version, msg []byte) (x KeyInfo, err error) {
	hdr, body, err := splitIn(v, msg, FuncKeyInfo, keyInfoFixed)
	if err != nil {
		return x, err
	}
	return KeyInfo{Counter: binary.BigEndian.Uint64(hdr[4:]), Items: body}, nil
}

// Append appends the message.
func (x *KeyInfo) Append(v Version, b []byte) []byte {
	v.must()
	b = append(b, byte(FuncKeyInfo), keyInfoFixed/4, 0, 0)
	b = binary.BigEndian.AppendUint64(b, x.Counter)
	return append(b, x.Items...)
}

// Len returns the number of whole entries up to the end or the first zero UID.
func (x *KeyInfo) Len() int { return items(x.Items, KeyInfoItemLen) }

// At returns entry i, 0 <= i < Len: a host and its encrypted group master, 48 bytes.
func (x *KeyInfo) At(i int) (UID, []byte) {
	p := x.Items[i*KeyInfoItemLen : (i+1)*KeyInfoItemLen]
	return UID(binary.BigEndian.Uint32(p)), p[4:]
}

// AppendKeyInfoItem appends one entry of KEYINFO; master is 48 bytes.
func AppendKeyInfoItem(b []byte, u UID, master []byte) []byte {
	return appendFixed(AppendUID(b, u), master, KeyInfoItemLen-4)
}

// ParseKeyInfoAck reads KEYINFO_ACK.
func ParseKeyInfoAck(v Version, msg []byte) (x KeyInfoAck, err error) {
	hdr, _, err := splitIn(v, msg, FuncKeyInfoAck, keyInfoAckFixed)
	if err != nil {
		return x, err
	}
	return KeyInfoAck{Verify: hdr[4:keyInfoAckFixed]}, nil
}

// Append appends the message.
func (x *KeyInfoAck) Append(v Version, b []byte) []byte {
	v.must()
	b = append(b, byte(FuncKeyInfoAck), keyInfoAckFixed/4, 0, 0)
	return appendFixed(b, x.Verify, VerifyLen)
}

// items counts the whole entries of size bytes up to the end or the first one with a
// zero UID.
func items(p []byte, size int) int {
	n := len(p) / size
	for i := range n {
		if binary.BigEndian.Uint32(p[i*size:]) == 0 {
			return i
		}
	}
	return n
}
