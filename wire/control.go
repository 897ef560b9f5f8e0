package wire

import "encoding/binary"

// Fixed parts of ABORT and of the messages of proxies and congestion control, bytes.
const (
	hbReqFixed    = 12
	hbRespFixed   = 8
	keyReqFixed   = 4
	proxyKeyFixed = 12
	abortFixed    = 8 + AbortTextLen
	congCtrlFixed = 16
	ccAckFixed    = 4
	tfmccDataLen  = 8
	tfmccAckLen   = 20
)

// ParseAbort reads ABORT.
func ParseAbort(msg []byte) (x Abort, err error) {
	hdr, _, err := split(msg, FuncAbort, abortFixed)
	if err != nil {
		return x, err
	}
	return Abort{
		Flags: hdr[2],
		Host:  UID(binary.BigEndian.Uint32(hdr[4:])),
		Text:  untilNUL(hdr[8 : abortFixed-1]),
	}, nil
}

// Append appends the message, 308 bytes.
func (x *Abort) Append(b []byte) []byte {
	b = append(b, byte(FuncAbort), abortFixed/4, x.Flags, 0)
	b = AppendUID(b, x.Host)
	b = appendFixed(b, x.Text, AbortTextLen-1)
	return append(b, 0)
}

// ParseHBReq reads HB_REQ.
func ParseHBReq(msg []byte) (x HBReq, err error) {
	hdr, _, err := split(msg, FuncHBReq, hbReqFixed)
	if err != nil {
		return x, err
	}
	key := int(binary.BigEndian.Uint16(hdr[4:]))
	sig := int(binary.BigEndian.Uint16(hdr[6:]))
	x.Nonce = binary.BigEndian.Uint32(hdr[8:])
	hdr = hdr[hbReqFixed:]
	if key+sig > len(hdr) {
		return HBReq{}, ErrHeaderLen
	}
	x.PublicKey, x.Signature = hdr[:key], hdr[key:key+sig]
	return x, nil
}

// Append appends the message.
func (x *HBReq) Append(b []byte) []byte {
	start := len(b)
	b = append(b, byte(FuncHBReq), words(hbReqFixed+len(x.PublicKey)+len(x.Signature)), 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(x.PublicKey)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(x.Signature)))
	b = binary.BigEndian.AppendUint32(b, x.Nonce)
	b = append(b, x.PublicKey...)
	b = append(b, x.Signature...)
	return pad(b, start)
}

// ParseHBResp reads HB_RESP.
func ParseHBResp(msg []byte) (x HBResp, err error) {
	hdr, _, err := split(msg, FuncHBResp, hbRespFixed)
	if err != nil {
		return x, err
	}
	return HBResp{Result: hdr[2], Nonce: binary.BigEndian.Uint32(hdr[4:])}, nil
}

// Append appends the message.
func (x *HBResp) Append(b []byte) []byte {
	b = append(b, byte(FuncHBResp), hbRespFixed/4, x.Result, 0)
	return binary.BigEndian.AppendUint32(b, x.Nonce)
}

// ParseKeyReq reads KEY_REQ, which has no fields.
func ParseKeyReq(msg []byte) (x KeyReq, err error) {
	_, _, err = split(msg, FuncKeyReq, keyReqFixed)
	return x, err
}

// Append appends the message.
func (x *KeyReq) Append(b []byte) []byte {
	return append(b, byte(FuncKeyReq), keyReqFixed/4, 0, 0)
}

// ParseProxyKey reads PROXY_KEY.
func ParseProxyKey(v Version, msg []byte) (x ProxyKey, err error) {
	hdr, _, err := splitIn(v, msg, FuncProxyKey, proxyKeyFixed)
	if err != nil {
		return x, err
	}
	key := int(binary.BigEndian.Uint16(hdr[2:]))
	dh := int(binary.BigEndian.Uint16(hdr[4:]))
	sig := int(binary.BigEndian.Uint16(hdr[6:]))
	x.Nonce = binary.BigEndian.Uint32(hdr[8:])
	hdr = hdr[proxyKeyFixed:]
	if key+dh+sig > len(hdr) {
		return ProxyKey{}, ErrHeaderLen
	}
	x.PublicKey, x.ECDH, x.Signature = hdr[:key], hdr[key:key+dh], hdr[key+dh:key+dh+sig]
	return x, nil
}

// Append appends the message.
func (x *ProxyKey) Append(v Version, b []byte) []byte {
	v.must()
	start := len(b)
	b = append(b, byte(FuncProxyKey), words(proxyKeyFixed+len(x.PublicKey)+len(x.ECDH)+len(x.Signature)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(x.PublicKey)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(x.ECDH)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(x.Signature)))
	b = binary.BigEndian.AppendUint32(b, x.Nonce)
	b = append(b, x.PublicKey...)
	b = append(b, x.ECDH...)
	b = append(b, x.Signature...)
	return pad(b, start)
}

// ParseEncrypted reads what follows the common header of an ENCRYPTED datagram
// (docs/protocol.md, "ENCRYPTED"), which has no function byte of its own. The lengths
// must add up to the datagram exactly. Callers drop a datagram with any error.
func ParseEncrypted(msg []byte) (x Encrypted, err error) {
	if len(msg) < EncryptedLen {
		return x, ErrShort
	}
	sig := int(binary.BigEndian.Uint16(msg[8:]))
	payload := int(binary.BigEndian.Uint16(msg[10:]))
	body := msg[EncryptedLen:]
	switch {
	case sig+payload > len(body):
		return x, ErrShort
	case sig+payload < len(body):
		return x, ErrHeaderLen
	}
	return Encrypted{
		Counter:   binary.BigEndian.Uint64(msg),
		Signature: body[:sig:sig],
		Payload:   body[sig:],
	}, nil
}

// Counter returns the counter of an ENCRYPTED datagram, opened or not; ok is false if the datagram
// is too short to have one.
func Counter(p []byte) (n uint64, ok bool) {
	if len(p) < HeaderLen+EncryptedLen {
		return 0, false
	}
	return binary.BigEndian.Uint64(p[HeaderLen:]), true
}

// Append appends what follows the common header.
func (x *Encrypted) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, x.Counter)
	b = binary.BigEndian.AppendUint16(b, uint16(len(x.Signature)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(x.Payload)))
	b = append(b, x.Signature...)
	return append(b, x.Payload...)
}

// ParseCongCtrl reads CONG_CTRL.
func ParseCongCtrl(v Version, msg []byte) (x CongCtrl, err error) {
	hdr, body, err := splitIn(v, msg, FuncCongCtrl, congCtrlFixed)
	if err != nil {
		return x, err
	}
	return CongCtrl{
		CCSeq:  binary.BigEndian.Uint16(hdr[4:]),
		CCRate: binary.BigEndian.Uint16(hdr[6:]),
		Time:   parseStamp(hdr[8:]),
		Items:  body,
	}, nil
}

// Append appends the message.
func (x *CongCtrl) Append(v Version, b []byte) []byte {
	v.must()
	b = append(b, byte(FuncCongCtrl), congCtrlFixed/4, 0, 0)
	b = binary.BigEndian.AppendUint16(b, x.CCSeq)
	b = binary.BigEndian.AppendUint16(b, x.CCRate)
	b = x.Time.append(b)
	return append(b, x.Items...)
}

// Len returns the number of whole items up to the end or the first zero UID.
func (x *CongCtrl) Len() int { return items(x.Items, CCItemLen) }

// At returns item i, 0 <= i < Len.
func (x *CongCtrl) At(i int) CCItem {
	p := x.Items[i*CCItemLen : (i+1)*CCItemLen]
	return CCItem{Host: UID(binary.BigEndian.Uint32(p)), Flags: p[4], RTT: p[5]}
}

// Append appends the item to the items of a CONG_CTRL.
func (c CCItem) Append(b []byte) []byte {
	return append(AppendUID(b, c.Host), c.Flags, c.RTT, 0, 0)
}

// ParseCCAck reads CC_ACK. Without its one extension it is [ErrExtension].
func ParseCCAck(v Version, msg []byte) (x CCAck, err error) {
	hdr, _, err := splitIn(v, msg, FuncCCAck, ccAckFixed+tfmccAckLen)
	if err != nil {
		return x, err
	}
	ext, err := extension(hdr, ccAckFixed, ExtTFMCCAck, tfmccAckLen)
	if err != nil {
		return x, err
	}
	if ext == nil {
		return x, ErrExtension
	}
	return CCAck{CC: parseTFMCCAck(ext)}, nil
}

// Append appends the message.
func (x *CCAck) Append(v Version, b []byte) []byte {
	v.must()
	b = append(b, byte(FuncCCAck), (ccAckFixed+tfmccAckLen)/4, 0, 0)
	return x.CC.append(b)
}

func parseTFMCCData(ext []byte) TFMCCData {
	return TFMCCData{
		SendRate: binary.BigEndian.Uint16(ext[2:]),
		CCSeq:    binary.BigEndian.Uint16(ext[4:]),
		CCRate:   binary.BigEndian.Uint16(ext[6:]),
	}
}

func (c *TFMCCData) append(b []byte) []byte {
	b = append(b, byte(ExtTFMCCData), tfmccDataLen/4)
	b = binary.BigEndian.AppendUint16(b, c.SendRate)
	b = binary.BigEndian.AppendUint16(b, c.CCSeq)
	return binary.BigEndian.AppendUint16(b, c.CCRate)
}

func parseTFMCCAck(ext []byte) TFMCCAck {
	return TFMCCAck{
		Flags:  ext[2],
		CCSeq:  binary.BigEndian.Uint16(ext[4:]),
		CCRate: binary.BigEndian.Uint16(ext[6:]),
		Client: UID(binary.BigEndian.Uint32(ext[8:])),
		Time:   parseStamp(ext[12:]),
	}
}

func (c *TFMCCAck) append(b []byte) []byte {
	b = append(b, byte(ExtTFMCCAck), tfmccAckLen/4, c.Flags, 0)
	b = binary.BigEndian.AppendUint16(b, c.CCSeq)
	b = binary.BigEndian.AppendUint16(b, c.CCRate)
	b = AppendUID(b, c.Client)
	return c.Time.append(b)
}
