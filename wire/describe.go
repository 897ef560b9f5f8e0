package wire

import (
	"fmt"
	"strings"
)

// Describe returns one line about a datagram for detailed logs and test failures:
// common header, message and the sizes of its lists. It allocates. It quotes text from
// the network, so the line holds no control characters.
func Describe(p []byte) string {
	h, msg, err := ParseHeader(p)
	if err != nil {
		return fmt.Sprintf("%d bytes: %v", len(p), err)
	}
	s := fmt.Sprintf("%v seq %d src %v group %08X/%02X", h.Func, h.Seq, h.Src, h.Group, h.Instance)
	if h.GRTT != 0 || h.GroupSize != 0 {
		s += fmt.Sprintf(" grtt %.3gs size %d", DecodeGRTT(h.GRTT), DecodeGroupSize(h.GroupSize))
	}
	if h.Func == FuncEncrypted {
		x, err := ParseEncrypted(msg)
		if err != nil {
			return fmt.Sprintf("%s: %d bytes: %v", s, len(p), err)
		}
		return fmt.Sprintf("%s: counter %d, signature %d bytes, payload %d bytes", s, x.Counter, len(x.Signature), len(x.Payload))
	}
	if Func(msg[0]) != h.Func {
		return fmt.Sprintf("%s: %d bytes: %v", s, len(p), ErrFunc)
	}
	text, err := describe(h.Version, msg)
	if err != nil {
		text = fmt.Sprintf("message of %d bytes: %v", len(msg), err)
	}
	return s + ": " + text
}

func describe(v Version, msg []byte) (string, error) {
	switch Func(msg[0]) {
	case FuncFileInfo, FuncFileSeg, FuncParity, FuncDone, FuncFileInfoAck, FuncStatus, FuncComplete:
		return describeFile(v, msg)
	case FuncHBReq, FuncHBResp, FuncKeyReq, FuncProxyKey:
		return describeProxy(v, msg)
	}
	return describeSession(v, msg)
}

// describeFile describes the messages about a file.
func describeFile(v Version, msg []byte) (string, error) {
	switch Func(msg[0]) {
	case FuncFileInfo:
		x, err := ParseFileInfo(v, msg)
		return x.describe(), err
	case FuncFileInfoAck:
		x, err := ParseFileInfoAck(v, msg)
		s := fmt.Sprintf("file %d, stamp %v, %d clients", x.FileID, x.Time, x.Clients.Len())
		if x.Partial {
			s += ", partial"
		}
		return s, err
	case FuncFileSeg:
		x, err := ParseFileSeg(msg)
		s := fmt.Sprintf("file %d section %d block %d, %d bytes", x.FileID, x.Section, x.Block, len(x.Data))
		if x.HasCC {
			s += ", " + x.CC.describe()
		}
		return s, err
	case FuncParity:
		x, err := ParseParity(msg)
		s := fmt.Sprintf("file %d span %d number %d, %d bytes", x.FileID, x.Span, x.Number, len(x.Data))
		if x.HasCC {
			s += ", " + x.CC.describe()
		}
		return s, err
	case FuncDone:
		x, err := ParseDone(msg)
		return fmt.Sprintf("file %d section %d, %d hosts", x.FileID, x.Section, x.Hosts.Len()), err
	case FuncStatus:
		x, err := ParseStatus(v, msg)
		s := fmt.Sprintf("file %d section %d, bitmap %d bytes", x.FileID, x.Section, len(x.NAKs))
		if x.HasCC {
			s += ", " + x.CC.describe()
		}
		return s, err
	case FuncComplete:
		x, err := ParseComplete(msg)
		s := fmt.Sprintf("file %d status %d, %d clients", x.FileID, x.Status, x.Clients.Len())
		if x.HasSpace {
			s += fmt.Sprintf(", %d bytes free", x.FreeSpace)
		}
		return s, err
	}
	return "", ErrFunc
}

// describeProxy describes the messages between a proxy and its neighbours.
func describeProxy(v Version, msg []byte) (string, error) {
	switch Func(msg[0]) {
	case FuncHBReq:
		x, err := ParseHBReq(msg)
		return fmt.Sprintf("nonce %08X, key %d bytes, signature %d bytes", x.Nonce, len(x.PublicKey), len(x.Signature)), err
	case FuncHBResp:
		x, err := ParseHBResp(msg)
		return fmt.Sprintf("result %d, nonce %08X", x.Result, x.Nonce), err
	case FuncKeyReq:
		_, err := ParseKeyReq(msg)
		return "asks for the proxy's key", err
	case FuncProxyKey:
		x, err := ParseProxyKey(v, msg)
		return fmt.Sprintf("nonce %08X, key %d bytes, ECDH key %d bytes, signature %d bytes",
			x.Nonce, len(x.PublicKey), len(x.ECDH), len(x.Signature)), err
	}
	return "", ErrFunc
}

// describeSession describes the messages about a session and its rate.
func describeSession(v Version, msg []byte) (string, error) {
	switch Func(msg[0]) {
	case FuncAnnounce:
		x, err := ParseAnnounce(v, msg)
		return x.describe(), err
	case FuncRegister:
		x, err := ParseRegister(v, msg)
		return fmt.Sprintf("stamp %v, key info %d bytes, %d clients", x.Time, len(x.KeyInfo), x.Clients.Len()), err
	case FuncClientKey:
		x, err := ParseClientKey(msg)
		return fmt.Sprintf("key %d bytes, signature %d bytes", len(x.PublicKey), len(x.Signature)), err
	case FuncRegConf, FuncDoneConf:
		x, err := ParseHostList(msg)
		return fmt.Sprintf("%d hosts", x.Hosts.Len()), err
	case FuncKeyInfo:
		x, err := ParseKeyInfo(v, msg)
		return fmt.Sprintf("counter %d, %d hosts", x.Counter, x.Len()), err
	case FuncKeyInfoAck:
		x, err := ParseKeyInfoAck(v, msg)
		return fmt.Sprintf("verify %x", x.Verify), err
	case FuncAbort:
		x, err := ParseAbort(msg)
		return fmt.Sprintf("flags %#02x host %v text %q", x.Flags, x.Host, x.Text), err
	case FuncCongCtrl:
		x, err := ParseCongCtrl(v, msg)
		return fmt.Sprintf("cc seq %d rate %d B/s, stamp %v, %d hosts", x.CCSeq, DecodeRate(x.CCRate), x.Time, x.Len()), err
	case FuncCCAck:
		x, err := ParseCCAck(v, msg)
		return x.CC.describe(), err
	}
	return "", ErrFunc
}

func (x *Announce) describe() string {
	var s strings.Builder
	fmt.Fprintf(&s, "flags %#02x robust %d cc %d block size %d stamp %v public %v private %v, %d hosts",
		x.Flags, x.Robust, x.CC, x.BlockSize, x.Time, x.Public, x.Private, x.Hosts.Len())
	if x.HasEnc {
		fmt.Fprintf(&s, ", key exchange %d signature type %d cipher %d hash %d", x.Enc.KeyExch, x.Enc.SigType, x.Enc.Cipher, x.Enc.Hash)
	}
	return s.String()
}

func (x *FileInfo) describe() string {
	s := fmt.Sprintf("file %d type %d size %d mtime %d stamp %v name %q", x.FileID, x.Type, x.Size, x.MTime, x.Time, x.Name)
	if len(x.Link) > 0 {
		s += fmt.Sprintf(" link %q", x.Link)
	}
	return s + fmt.Sprintf(", %d hosts", x.Hosts.Len())
}

func (c *TFMCCAck) describe() string {
	return fmt.Sprintf("cc flags %#02x seq %d rate %d B/s client %v stamp %v", c.Flags, c.CCSeq, DecodeRate(c.CCRate), c.Client, c.Time)
}

func (c *TFMCCData) describe() string {
	return fmt.Sprintf("send rate %d B/s, cc seq %d rate %d B/s", DecodeRate(c.SendRate), c.CCSeq, DecodeRate(c.CCRate))
}
