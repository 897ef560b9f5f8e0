package session

import (
	"uftp/crypto/handshake"
	"uftp/wire"
)

// body adds the fields of a message in clear, and returns a message made of them.
func body(f *Fields, v wire.Version, msg []byte, s *Session) ([]byte, error) {
	switch wire.Func(msg[0]) {
	case wire.FuncAnnounce:
		x, err := wire.ParseAnnounce(v, msg)
		if err != nil {
			return nil, err
		}
		f.announce(&x)
		return x.Append(v, nil), nil
	case wire.FuncRegister:
		x, err := wire.ParseRegister(v, msg)
		if err != nil {
			return nil, err
		}
		f.add("stamp", x.Time.String())
		key(f, "random", x.Random)
		key(f, "key_info", x.KeyInfo)
		f.add("clients", uids(x.Clients))
		return x.Append(v, nil), nil
	case wire.FuncClientKey:
		x, err := wire.ParseClientKey(msg)
		if err != nil {
			return nil, err
		}
		key(f, "public_key", x.PublicKey)
		key(f, "signature", x.Signature)
		return x.Append(nil), nil
	case wire.FuncRegConf, wire.FuncDoneConf:
		x, err := wire.ParseHostList(msg)
		if err != nil {
			return nil, err
		}
		f.add("hosts", uids(x.Hosts))
		return x.Append(nil), nil
	case wire.FuncKeyInfo:
		x, err := wire.ParseKeyInfo(v, msg)
		if err != nil {
			return nil, err
		}
		f.add("iv_counter", x.Counter)
		list := make([]string, x.Len())
		for i := range list {
			u, _ := x.At(i)
			list[i] = u.String()
		}
		f.add("hosts", list)
		return x.Append(v, nil), nil
	case wire.FuncKeyInfoAck:
		x, err := wire.ParseKeyInfoAck(v, msg)
		if err != nil {
			return nil, err
		}
		key(f, "verify", x.Verify)
		return x.Append(v, nil), nil
	case wire.FuncFileInfo, wire.FuncFileInfoAck, wire.FuncFileSeg, wire.FuncDone, wire.FuncStatus, wire.FuncComplete:
		return fileBody(f, v, msg, s)
	}
	return otherBody(f, v, msg)
}

// fileBody is body for the messages about files.
func fileBody(f *Fields, v wire.Version, msg []byte, s *Session) ([]byte, error) {
	switch wire.Func(msg[0]) {
	case wire.FuncFileInfo:
		x, err := wire.ParseFileInfo(v, msg)
		if err != nil {
			return nil, err
		}
		f.add("file", x.FileID)
		f.add("type", FileType(x.Type))
		f.add("size", x.Size)
		f.add("mtime", x.MTime)
		f.add("stamp", x.Time.String())
		f.add("name", string(x.Name))
		if len(x.Link) > 0 {
			f.add("link", string(x.Link))
		}
		f.add("hosts", uids(x.Hosts))
		return x.Append(v, nil), nil
	case wire.FuncFileInfoAck:
		x, err := wire.ParseFileInfoAck(v, msg)
		if err != nil {
			return nil, err
		}
		f.add("file", x.FileID)
		f.add("partial", x.Partial)
		f.add("stamp", x.Time.String())
		f.add("clients", uids(x.Clients))
		return x.Append(v, nil), nil
	case wire.FuncFileSeg:
		x, err := wire.ParseFileSeg(msg)
		if err != nil {
			return nil, err
		}
		f.add("file", x.FileID)
		f.add("section", x.Section)
		f.add("block", x.Block)
		if x.HasCC {
			f.add("send_rate", wire.DecodeRate(x.CC.SendRate))
			f.add("cc_seq", x.CC.CCSeq)
			f.add("cc_rate", wire.DecodeRate(x.CC.CCRate))
		}
		f.add("data_bytes", len(x.Data))
		return x.Append(nil), nil
	case wire.FuncDone:
		x, err := wire.ParseDone(msg)
		if err != nil {
			return nil, err
		}
		f.add("file", x.FileID)
		f.add("section", x.Section)
		f.add("hosts", uids(x.Hosts))
		return x.Append(nil), nil
	case wire.FuncStatus:
		x, err := wire.ParseStatus(v, msg)
		if err != nil {
			return nil, err
		}
		f.add("file", x.FileID)
		f.add("section", x.Section)
		if x.HasCC {
			f.cc(&x.CC)
		}
		n := bitmapLen(s, &x)
		list, count := blocks(x.NAKs, n)
		f.add("naks", count)
		f.add("blocks", list)
		f.add("bitmap_bytes", len(x.NAKs))
		return x.Append(v, nil), nil
	}
	x, err := wire.ParseComplete(msg)
	if err != nil {
		return nil, err
	}
	f.add("file", x.FileID)
	f.add("status", status(x.Status))
	if x.HasSpace {
		f.add("free_bytes", x.FreeSpace)
	}
	f.add("clients", uids(x.Clients))
	return x.Append(nil), nil
}

// otherBody is body for heartbeats, proxies, aborts and congestion control.
func otherBody(f *Fields, v wire.Version, msg []byte) ([]byte, error) {
	switch wire.Func(msg[0]) {
	case wire.FuncHBReq:
		x, err := wire.ParseHBReq(msg)
		if err != nil {
			return nil, err
		}
		f.add("nonce", x.Nonce)
		key(f, "public_key", x.PublicKey)
		key(f, "signature", x.Signature)
		return x.Append(nil), nil
	case wire.FuncHBResp:
		x, err := wire.ParseHBResp(msg)
		if err != nil {
			return nil, err
		}
		f.add("result", x.Result)
		f.add("nonce", x.Nonce)
		return x.Append(nil), nil
	case wire.FuncKeyReq:
		x, err := wire.ParseKeyReq(msg)
		if err != nil {
			return nil, err
		}
		return x.Append(nil), nil
	case wire.FuncProxyKey:
		x, err := wire.ParseProxyKey(v, msg)
		if err != nil {
			return nil, err
		}
		f.add("nonce", x.Nonce)
		key(f, "public_key", x.PublicKey)
		key(f, "ecdh_key", x.ECDH)
		key(f, "signature", x.Signature)
		return x.Append(v, nil), nil
	case wire.FuncAbort:
		x, err := wire.ParseAbort(msg)
		if err != nil {
			return nil, err
		}
		f.add("flags", x.Flags)
		f.add("current_file", x.Flags&wire.AbortCurrentFile != 0)
		f.add("host", x.Host.String())
		f.add("text", string(x.Text))
		return x.Append(nil), nil
	case wire.FuncCongCtrl:
		x, err := wire.ParseCongCtrl(v, msg)
		if err != nil {
			return nil, err
		}
		f.add("cc_seq", x.CCSeq)
		f.add("cc_rate", wire.DecodeRate(x.CCRate))
		f.add("stamp", x.Time.String())
		list := make([]string, x.Len())
		flags, rtts := make([]int, x.Len()), make([]float64, x.Len())
		for i := range list {
			c := x.At(i)
			list[i], flags[i], rtts[i] = c.Host.String(), int(c.Flags), round(wire.DecodeGRTT(c.RTT))
		}
		f.add("hosts", list)
		f.add("host_flags", flags)
		f.add("host_rtt_s", rtts)
		return x.Append(v, nil), nil
	case wire.FuncCCAck:
		x, err := wire.ParseCCAck(v, msg)
		if err != nil {
			return nil, err
		}
		f.cc(&x.CC)
		return x.Append(v, nil), nil
	}
	return nil, wire.ErrFunc
}

func (f *Fields) announce(x *wire.Announce) {
	f.add("flags", x.Flags)
	f.add("sync", x.Flags&wire.AnnounceSync != 0)
	f.add("preview", x.Flags&wire.AnnouncePreview != 0)
	f.add("ipv6", x.Flags&wire.AnnounceIPv6 != 0)
	f.add("robust", x.Robust)
	f.add("cc", x.CC)
	f.add("block_size", x.BlockSize)
	f.add("stamp", x.Time.String())
	f.add("public", x.Public.String())
	f.add("private", x.Private.String())
	if x.HasEnc {
		f.add("client_auth", x.Enc.Flags&wire.EncClientAuth != 0)
		f.add("suite", handshake.SuiteOf(&x.Enc).String())
		key(f, "random", x.Enc.Random)
		key(f, "public_key", x.Enc.PublicKey)
		key(f, "ecdh_key", x.Enc.ECDH)
		key(f, "signature", x.Enc.Signature)
	}
	f.add("hosts", uids(x.Hosts))
}
