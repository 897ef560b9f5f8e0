package wire

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// bin builds a message out of bytes, strings and other pieces.
func bin(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func zeros(n int) []byte { return make([]byte, n) }

func TestParseHeader(t *testing.T) {
	good := Header{
		Version: Version4, Func: FuncDone, Seq: 0xfffe, Src: 0x0a500001, Group: 0xdeadbeef,
		Instance: 3, GRTT: 157, GroupSize: 0x18,
	}
	p := append(good.Append(nil), 10, 2, 0, 7)
	h, msg, err := ParseHeader(p)
	if err != nil || h != good || !bytes.Equal(msg, []byte{10, 2, 0, 7}) {
		t.Errorf("ParseHeader = %+v, %x, %v; want what was appended: %+v", h, msg, err, good)
	}

	for _, x := range []struct {
		why  string
		p    []byte
		want error
	}{
		{"nothing", nil, ErrShort},
		{"19 bytes are no datagram", p[:19], ErrShort},
		{"one byte of this version", p[:1], ErrShort},
		{"version 3 is dropped however long", bin(0x30, p[1:]), ErrVersion},
		{"version byte 0x41 is not version 4", bin(0x41, p[1:]), ErrVersion},
		{"another version is known by its first byte", []byte{0x50}, ErrVersion},
	} {
		if _, _, err := ParseHeader(x.p); err != x.want {
			t.Errorf("%s: %v, want %v", x.why, err, x.want)
		}
	}
}

func TestPutHelpers(t *testing.T) {
	h := Header{Version: Version4, Seq: 513, Src: 7, Group: 9, Instance: 1, GRTT: 2, GroupSize: 3}
	cc := TFMCCData{SendRate: 0x1234, CCSeq: 0x5678, CCRate: 0x9abc}
	rest := bytes.Repeat([]byte{0xff}, 6)
	var got []byte
	for _, x := range []struct {
		f    Func
		what uint32
		cc   *TFMCCData
		want interface{ Append(b []byte) []byte }
	}{
		{FuncFileSeg, PlaceOf(4, 65535), nil, &FileSeg{FileID: 300, Section: 4, Block: 65535, Data: rest}},
		{FuncFileSeg, PlaceOf(4, 65535), &cc, &FileSeg{FileID: 300, Section: 4, Block: 65535, HasCC: true, CC: cc, Data: rest}},
		{FuncParity, ParityOf(4095, 1<<20-1), nil, &Parity{FileID: 300, Span: 4095, Number: 1<<20 - 1, Data: rest}},
		{FuncParity, ParityOf(1, 2), &cc, &Parity{FileID: 300, Span: 1, Number: 2, HasCC: true, CC: cc, Data: rest}},
	} {
		h.Func = x.f
		n := HeaderLen + DataHeaderLen(x.cc != nil)
		got = bytes.Repeat([]byte{0xff}, n+len(rest))
		h.Put(got)
		PutDataHeader(got[HeaderLen:], x.f, 300, x.what, x.cc)
		if want := x.want.Append(h.Append(nil)); !bytes.Equal(got, want) {
			t.Errorf("%v: the Put functions wrote\n%x, Append\n%x; want the same %d bytes and the rest left alone", x.f, got, want, n)
		}
	}

	PutSeq(got, 0x1234)
	if back, _, _ := ParseHeader(got); back.Seq != 0x1234 {
		t.Errorf("after PutSeq the sequence number is %#x, want 0x1234", back.Seq)
	}
}

// TestParity: PARITY comes back as it was appended, with and without extension, and cut
// anywhere in its header it is refused.
func TestParity(t *testing.T) {
	for _, x := range []Parity{
		{FileID: 300, Span: 4095, Number: 1<<20 - 1, Data: []byte{1, 2, 3}},
		{FileID: 1, Span: 0, Number: 0, HasCC: true, CC: TFMCCData{SendRate: 1, CCSeq: 2, CCRate: 3}, Data: []byte{4}},
	} {
		msg := x.Append(nil)
		if got, err := ParseParity(msg); err != nil || !reflect.DeepEqual(got, x) {
			t.Errorf("%+v comes back as %+v, %v", x, got, err)
		}
		for n := range DataHeaderLen(x.HasCC) {
			if _, err := ParseParity(msg[:n:n]); err != ErrShort {
				t.Errorf("cut to %d bytes of header: %v, want %v", n, err, ErrShort)
			}
		}
	}
}

// TestRefused holds for every message the smallest ways to be wrong.
func TestRefused(t *testing.T) {
	encInfo := func(words, key int) []byte {
		return bin(1, words, 0, 0x13, 5, 3, 0, key, 0, 0, 0, 0, zeros(32+key))
	}
	for _, x := range []struct {
		why  string
		f    Func
		msg  []byte
		want error
	}{
		{"an ANNOUNCE without room for its time stamp is dropped", FuncAnnounce, bin(1, 3, zeros(10)), ErrShort},
		{"IPv4 addresses take 6 words", FuncAnnounce, bin(1, 5, zeros(18)), ErrHeaderLen},
		{"IPv6 addresses take 12 words", FuncAnnounce, bin(1, 11, 4, zeros(41)), ErrHeaderLen},
		{"ENC_INFO longer than the header", FuncAnnounce, bin(1, 17, zeros(22), encInfo(12, 0)), ErrExtension},
		{"ENC_INFO shorter than its fixed part", FuncAnnounce, bin(1, 17, zeros(22), encInfo(10, 0)), ErrExtension},
		{"ENC_INFO with a length of 0", FuncAnnounce, bin(1, 17, zeros(22), encInfo(0, 0)), ErrExtension},
		{"ENC_INFO shorter than its key", FuncAnnounce, bin(1, 18, zeros(22), encInfo(11, 4)), ErrExtension},
		{"ENC_INFO longer than its key", FuncAnnounce, bin(1, 18, zeros(22), bin(1, 12, zeros(46))), ErrExtension},
		{"REGISTER has 11 words at least", FuncRegister, bin(2, 10, zeros(38)), ErrHeaderLen},
		{"key info longer than the header", FuncRegister, bin(2, 11, 0, 4, zeros(48)), ErrHeaderLen},
		{"key longer than the header", FuncClientKey, bin(3, 3, 0, 0, 0, 8, 0, 0, zeros(4)), ErrHeaderLen},
		{"key and signature longer than the header", FuncClientKey, bin(3, 3, 0, 0, 0, 4, 0, 1, zeros(4)), ErrHeaderLen},
		{"the sum of both lengths does not wrap", FuncClientKey, bin(3, 3, 0, 0, 255, 255, 0, 2, zeros(4)), ErrHeaderLen},
		{"REG_CONF without header", FuncRegConf, bin(4, 0, 0, 0), ErrHeaderLen},
		{"a REGISTER is no list of hosts", FuncRegConf, bin(2, 1, 0, 0), ErrFunc},
		{"KEYINFO has 3 words", FuncKeyInfo, bin(5, 2, zeros(6)), ErrHeaderLen},
		{"KEYINFO_ACK has 4 words", FuncKeyInfoAck, bin(6, 3, zeros(10)), ErrHeaderLen},
		{"FILEINFO has 7 words", FuncFileInfo, bin(7, 6, zeros(22)), ErrHeaderLen},
		{"FILEINFO header longer than its name", FuncFileInfo, bin(7, 8, zeros(30)), ErrHeaderLen},
		{"FILEINFO header shorter than its name", FuncFileInfo, bin(7, 7, zeros(6), 1, 0, zeros(18), "name"), ErrHeaderLen},
		{"FILEINFO header shorter than name and link", FuncFileInfo, bin(7, 8, zeros(6), 1, 1, zeros(18), "namelink"), ErrHeaderLen},
		{"a name of 304 bytes", FuncFileInfo, bin(7, 7+76, zeros(6), 76, 0, zeros(18+304)), ErrHeaderLen},
		{"a link of 304 bytes", FuncFileInfo, bin(7, 7+76, zeros(6), 0, 76, zeros(18+304)), ErrHeaderLen},
		{"a length byte that wraps to the right sum", FuncFileInfo, bin(7, 7, zeros(6), 200, 56, zeros(18)), ErrHeaderLen},
		{"FILEINFO_ACK has 4 words", FuncFileInfoAck, bin(8, 3, zeros(10)), ErrHeaderLen},
		{"FILESEG has 2 words", FuncFileSeg, bin(9, 1, zeros(6)), ErrHeaderLen},
		{"TFMCC_DATA_INFO longer than the header", FuncFileSeg, bin(9, 4, zeros(6), 2, 3, zeros(10)), ErrExtension},
		{"TFMCC_DATA_INFO too short", FuncFileSeg, bin(9, 4, zeros(6), 2, 1, zeros(6)), ErrExtension},
		{"DONE has 2 words", FuncDone, bin(10, 1, zeros(6)), ErrHeaderLen},
		{"STATUS has 2 words", FuncStatus, bin(11, 1, zeros(6)), ErrHeaderLen},
		{"TFMCC_ACK_INFO too short", FuncStatus, bin(11, 7, zeros(6), 3, 4, zeros(18)), ErrExtension},
		{"COMPLETE has 2 words", FuncComplete, bin(12, 1, zeros(6)), ErrHeaderLen},
		{"FREESPACE_INFO longer than the header", FuncComplete, bin(12, 4, zeros(6), 7, 3, zeros(6)), ErrExtension},
		{"HB_REQ has 3 words", FuncHBReq, bin(14, 2, zeros(6)), ErrHeaderLen},
		{"HB_REQ signature longer than the header", FuncHBReq, bin(14, 3, 0, 0, 0, 0, 0, 4, zeros(8)), ErrHeaderLen},
		{"HB_RESP has 2 words", FuncHBResp, bin(15, 1, zeros(6)), ErrHeaderLen},
		{"KEY_REQ has 1 word", FuncKeyReq, bin(16, 0, zeros(2)), ErrHeaderLen},
		{"PROXY_KEY has 3 words", FuncProxyKey, bin(17, 2, zeros(10)), ErrHeaderLen},
		{"three lengths beyond the header", FuncProxyKey, bin(17, 4, 0, 4, 0, 4, 0, 4, zeros(8)), ErrHeaderLen},
		{"ENCRYPTED shorter than its lengths", FuncEncrypted, bin(zeros(8), 0, 2, 0, 3, zeros(4)), ErrShort},
		{"ENCRYPTED longer than its lengths", FuncEncrypted, bin(zeros(8), 0, 2, 0, 3, zeros(6)), ErrHeaderLen},
		{"an ABORT has all of its text field", FuncAbort, bin(19, 76, zeros(310)), ErrHeaderLen},
		{"CONG_CTRL has 4 words", FuncCongCtrl, bin(20, 3, zeros(14)), ErrHeaderLen},
		{"CC_ACK has 6 words", FuncCCAck, bin(21, 5, zeros(30)), ErrHeaderLen},
		{"CC_ACK is nothing without its extension", FuncCCAck, bin(21, 6, zeros(30)), ErrExtension},
		{"CC_ACK with a cut extension", FuncCCAck, bin(21, 6, 0, 0, 3, 6, zeros(30)), ErrExtension},
		{"header longer than the message", FuncDone, bin(10, 3, zeros(9)), ErrShort},
		{"one byte", FuncDone, bin(10), ErrShort},
		{"nothing", FuncDone, nil, ErrShort},
		{"another function byte", FuncDone, bin(11, 2, zeros(6)), ErrFunc},
	} {
		if _, err := roundTrip(x.f, x.msg, nil); err != x.want {
			t.Errorf("%v, %s: %v, want %v", x.f, x.why, err, x.want)
		}
	}
}

// TestAnnounceToldWithItsFault: a receiver must know whether it is addressed
// before it answers a faulty ANNOUNCE.
func TestAnnounceToldWithItsFault(t *testing.T) {
	me := UID(0x0a50000b)
	x, err := ParseAnnounce(Version4, bin(1, 5, 0, 20, zeros(16), AppendUID(nil, me)))
	if err != ErrHeaderLen || !x.Hosts.Contains(me) || x.Robust != 20 {
		t.Errorf("without addresses: %v, hosts %x, robust %d; want the list and the flags beside the error", err, x.Hosts, x.Robust)
	}
	x, err = ParseAnnounce(Version4, bin(1, 7, zeros(14), 230, 4, 4, 1, 230, 5, 5, 9, 1, 9, 0, 0, AppendUID(nil, me)))
	if err != ErrExtension || !x.Hosts.Contains(me) || x.Private != netip.MustParseAddr("230.5.5.9") || x.HasEnc {
		t.Errorf("with a bad ENC_INFO: %v, hosts %x, private %v, HasEnc %v; want list and addresses beside the error", err, x.Hosts, x.Private, x.HasEnc)
	}
}

func TestOnlyTheFirstExtensionCounts(t *testing.T) {
	other := bin(99, 1, 0, 0)
	enc := bin(1, 11, zeros(42))
	a, err := ParseAnnounce(Version4, bin(1, 18, zeros(22), other, enc))
	if err != nil || a.HasEnc {
		t.Errorf("ENC_INFO behind an unknown extension: %v, HasEnc %v; want a clear session", err, a.HasEnc)
	}
	a, err = ParseAnnounce(Version4, bin(1, 18, zeros(22), enc, other))
	if err != nil || !a.HasEnc {
		t.Errorf("ENC_INFO before an unknown extension: %v, HasEnc %v; want it seen", err, a.HasEnc)
	}
	s, err := ParseFileSeg(bin(9, 5, zeros(6), other, 2, 2, zeros(6), "data"))
	if err != nil || s.HasCC || string(s.Data) != "data" {
		t.Errorf("FILESEG with an unknown extension: %+v, %v; want only its data", s, err)
	}
	st, err := ParseStatus(Version4, bin(11, 3, zeros(6), 2, 200, 0, 0, 0xf0))
	if err != nil || st.HasCC || len(st.NAKs) != 1 {
		t.Errorf("STATUS with the extension of FILESEG, of a wrong length: %+v, %v; want it ignored", st, err)
	}
}

func TestFileInfoNames(t *testing.T) {
	for _, x := range []struct {
		name, link string
		words      byte
	}{
		{"", "", 7},
		{"a", "", 8},
		{"abcd", "", 8}, // whole words have no NUL
		{"abcde", "", 9},
		{"ln", "target", 10},
		{strings.Repeat("n", 300), strings.Repeat("l", 300), 157},
	} {
		in := FileInfo{
			FileID: 65535, Type: TypeLink, Size: 1<<48 - 1, MTime: 1<<32 - 1, Time: 1_000_002,
			Name: []byte(x.name), Link: []byte(x.link), Hosts: AppendUID(nil, 5),
		}
		b := in.Append(Version4, nil)
		out, err := ParseFileInfo(Version4, b)
		if err != nil || b[1] != x.words || !reflect.DeepEqual(out, in) {
			t.Errorf("name of %d and link of %d bytes: %d words, %v, %+v; want %d words and all of it back",
				len(x.name), len(x.link), b[1], err, out, x.words)
		}
	}
	x, err := ParseFileInfo(Version4, bin(7, 9, zeros(6), 2, 0, zeros(18), "ab\x00cdefg"))
	if err != nil || string(x.Name) != "ab" {
		t.Errorf("a NUL inside a name: %q, %v; want the name to end there", x.Name, err)
	}
}

func TestAbortText(t *testing.T) {
	x := Abort{Host: 9, Text: bytes.Repeat([]byte("x"), 400)}
	b := x.Append(nil)
	got, err := ParseAbort(b)
	if len(b) != 308 || b[1] != 77 || b[307] != 0 || err != nil || len(got.Text) != 299 {
		t.Errorf("400 characters: %d bytes, %d words, %d characters back, %v; want 308, 77 and 299 with a NUL", len(b), b[1], len(got.Text), err)
	}
}

func TestNilFieldsAppendAsZeros(t *testing.T) {
	if got := (&Register{}).Append(Version4, nil); !bytes.Equal(got, bin(2, 11, zeros(42))) {
		t.Errorf("an empty REGISTER is %x, want 44 bytes with a random of zeros", got)
	}
	if got := (&Announce{}).Append(Version4, nil); !bytes.Equal(got, bin(1, 6, zeros(22))) {
		t.Errorf("an ANNOUNCE without addresses is %x, want 0.0.0.0 twice", got)
	}
	v6 := Announce{Flags: AnnounceIPv6}
	if got := v6.Append(Version4, nil); !bytes.Equal(got, bin(1, 12, 4, zeros(45))) {
		t.Errorf("an IPv6 ANNOUNCE without addresses is %x, want :: twice", got)
	}
}

func TestOddKeysArePadded(t *testing.T) {
	in := ClientKey{PublicKey: []byte("12345"), Signature: []byte("67")}
	b := in.Append([]byte{0xee}) // what stands before must not count
	out, err := ParseClientKey(b[1:])
	if len(b) != 1+16 || b[2] != 4 || err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("7 bytes of keys: %x, %v, %+v; want 4 words and the same keys", b[1:], err, out)
	}
}

func TestAppendPanicsOnWhatCannotBe(t *testing.T) {
	for _, x := range []struct {
		why string
		do  func()
	}{
		{"a header of more than 255 words", func() { (&ClientKey{PublicKey: zeros(1016)}).Append(nil) }},
		{"a name of 301 bytes", func() { (&FileInfo{Name: zeros(301)}).Append(Version4, nil) }},
		{"an ENC_INFO of odd length", func() { (&Announce{HasEnc: true, Enc: EncInfo{PublicKey: zeros(3)}}).Append(Version4, nil) }},
		{"an IPv6 address in an IPv4 ANNOUNCE", func() { (&Announce{Public: netip.IPv6Loopback()}).Append(Version4, nil) }},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was appended, want a panic", x.why)
				}
			}()
			x.do()
		}()
	}
	if b := (&ClientKey{PublicKey: zeros(1012)}).Append(nil); len(b) != 1020 || b[1] != 255 {
		t.Errorf("the longest header has %d bytes and %d words, want 1020 and 255", len(b), b[1])
	}
}

func TestLists(t *testing.T) {
	l := UIDList(bin(0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 9, 9))
	if l.Len() != 2 || l.At(1) != 2 || !l.Contains(2) || l.Contains(3) || l.Contains(0) {
		t.Errorf("list 1, 2, 0, 3: length %d, contains 3: %v; want it to end at the zero", l.Len(), l.Contains(3))
	}
	if l[:7].Len() != 1 || l[:7].Contains(2) || UIDList(nil).Len() != 0 {
		t.Error("a cut last entry counts, want whole entries only")
	}

	var k KeyInfo
	master := bytes.Repeat([]byte{7}, 48)
	k.Items = AppendKeyInfoItem(nil, 5, master)
	k.Items = AppendKeyInfoItem(k.Items, 6, master[:47])
	if u, m := k.At(0); k.Len() != 2 || u != 5 || !bytes.Equal(m, master) {
		t.Errorf("KEYINFO has %d entries, the first %v with %x; want two, the first as appended", k.Len(), u, m)
	}
	k.Items = append(AppendKeyInfoItem(k.Items, 0, master), 1, 2, 3)
	if k.Len() != 2 {
		t.Errorf("KEYINFO with a zero UID third has %d entries, want 2", k.Len())
	}

	want := CCItem{Host: 0xfffffffe, Flags: CCFlagCLR | CCFlagRTT, RTT: 106}
	c := CongCtrl{Items: append(want.Append(nil), 0, 0, 0, 9)}
	if c.Len() != 1 || c.At(0) != want {
		t.Errorf("CONG_CTRL has %d items, the first %+v; want one, %+v", c.Len(), c.At(0), want)
	}

	if MaxUIDs(1300) != 325 || MaxUIDs(512) != 128 || MaxKeyInfoItems(1300) != 25 || MaxCCItems(1300) != 162 {
		t.Error("list limits are not block size over entry size")
	}
}

func TestDescribe(t *testing.T) {
	h := Header{Version: Version4, Func: FuncAbort, Seq: 5, Src: 0x0a500001, Group: 0xabc, Instance: 2}
	abort := Abort{Host: 0xb, Text: []byte("bad\nline")}
	for _, x := range []struct {
		why  string
		p    []byte
		want string
	}{
		{"text is quoted", abort.Append(h.Append(nil)), `ABORT seq 5 src 0x0A500001 group 00000ABC/02: flags 0x00 host 0x0000000B text "bad\nline"`},
		{"errors are named", append(h.Append(nil), 19, 77, 0, 0), `ABORT seq 5 src 0x0A500001 group 00000ABC/02: message of 4 bytes: wire: packet shorter than its lengths say`},
		{"two function bytes must agree", append(h.Append(nil), 10, 1, 0, 0), `ABORT seq 5 src 0x0A500001 group 00000ABC/02: 20 bytes: wire: function byte names another message`},
		{"no header at all", []byte{1, 2}, `2 bytes: wire: not protocol version 4`},
	} {
		if got := Describe(x.p); got != x.want {
			t.Errorf("%s:\n got %s\nwant %s", x.why, got, x.want)
		}
	}
}
