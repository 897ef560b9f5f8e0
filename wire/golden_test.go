package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"uftp/pcap/frames"
)

// vectors is where the captures of the stock programs live.
const vectors = "../pcap/testdata/v4"

// roundTrip parses msg as message f and appends it again to b. It is a switch
// over concrete types so that it can also show that nothing allocates.
func roundTrip(f Func, msg, b []byte) ([]byte, error) {
	switch f {
	case FuncAnnounce:
		x, err := ParseAnnounce(Version4, msg)
		if err != nil {
			return nil, err
		}
		return x.Append(Version4, b), nil
	case FuncRegister:
		x, err := ParseRegister(Version4, msg)
		if err != nil {
			return nil, err
		}
		return x.Append(Version4, b), nil
	case FuncClientKey:
		x, err := ParseClientKey(msg)
		if err != nil {
			return nil, err
		}
		return x.Append(b), nil
	case FuncRegConf, FuncDoneConf:
		x, err := ParseHostList(msg)
		if err != nil {
			return nil, err
		}
		return x.Append(b), nil
	case FuncKeyInfo:
		x, err := ParseKeyInfo(Version4, msg)
		if err != nil {
			return nil, err
		}
		return x.Append(Version4, b), nil
	case FuncKeyInfoAck:
		x, err := ParseKeyInfoAck(Version4, msg)
		if err != nil {
			return nil, err
		}
		return x.Append(Version4, b), nil
	case FuncFileInfo:
		x, err := ParseFileInfo(Version4, msg)
		if err != nil {
			return nil, err
		}
		return x.Append(Version4, b), nil
	case FuncFileInfoAck:
		x, err := ParseFileInfoAck(Version4, msg)
		if err != nil {
			return nil, err
		}
		return x.Append(Version4, b), nil
	case FuncFileSeg:
		x, err := ParseFileSeg(msg)
		if err != nil {
			return nil, err
		}
		return x.Append(b), nil
	case FuncDone:
		x, err := ParseDone(msg)
		if err != nil {
			return nil, err
		}
		return x.Append(b), nil
	case FuncStatus:
		x, err := ParseStatus(Version4, msg)
		if err != nil {
			return nil, err
		}
		return x.Append(Version4, b), nil
	case FuncComplete:
		x, err := ParseComplete(msg)
		if err != nil {
			return nil, err
		}
		return x.Append(b), nil
	case FuncHBReq:
		x, err := ParseHBReq(msg)
		if err != nil {
			return nil, err
		}
		return x.Append(b), nil
	case FuncHBResp:
		x, err := ParseHBResp(msg)
		if err != nil {
			return nil, err
		}
		return x.Append(b), nil
	case FuncKeyReq:
		x, err := ParseKeyReq(msg)
		if err != nil {
			return nil, err
		}
		return x.Append(b), nil
	case FuncProxyKey:
		x, err := ParseProxyKey(Version4, msg)
		if err != nil {
			return nil, err
		}
		return x.Append(Version4, b), nil
	case FuncEncrypted:
		x, err := ParseEncrypted(msg)
		if err != nil {
			return nil, err
		}
		return x.Append(b), nil
	case FuncAbort:
		x, err := ParseAbort(msg)
		if err != nil {
			return nil, err
		}
		return x.Append(b), nil
	case FuncCongCtrl:
		x, err := ParseCongCtrl(Version4, msg)
		if err != nil {
			return nil, err
		}
		return x.Append(Version4, b), nil
	case FuncCCAck:
		x, err := ParseCCAck(Version4, msg)
		if err != nil {
			return nil, err
		}
		return x.Append(Version4, b), nil
	case FuncParity:
		x, err := ParseParity(msg)
		if err != nil {
			return nil, err
		}
		return x.Append(b), nil
	}
	return nil, ErrFunc
}

// view parses msg as message f into whatever struct that is.
func view(f Func, msg []byte) (any, error) {
	p, ok := parsers[f]
	if !ok {
		return nil, ErrFunc
	}
	return p(msg)
}

var parsers = map[Func]func([]byte) (any, error){
	FuncAnnounce:    boxed(in4(ParseAnnounce)),
	FuncRegister:    boxed(in4(ParseRegister)),
	FuncClientKey:   boxed(ParseClientKey),
	FuncRegConf:     boxed(ParseHostList),
	FuncKeyInfo:     boxed(in4(ParseKeyInfo)),
	FuncKeyInfoAck:  boxed(in4(ParseKeyInfoAck)),
	FuncFileInfo:    boxed(in4(ParseFileInfo)),
	FuncFileInfoAck: boxed(in4(ParseFileInfoAck)),
	FuncFileSeg:     boxed(ParseFileSeg),
	FuncDone:        boxed(ParseDone),
	FuncStatus:      boxed(in4(ParseStatus)),
	FuncComplete:    boxed(ParseComplete),
	FuncDoneConf:    boxed(ParseHostList),
	FuncHBReq:       boxed(ParseHBReq),
	FuncHBResp:      boxed(ParseHBResp),
	FuncKeyReq:      boxed(ParseKeyReq),
	FuncProxyKey:    boxed(in4(ParseProxyKey)),
	FuncEncrypted:   boxed(ParseEncrypted),
	FuncAbort:       boxed(ParseAbort),
	FuncCongCtrl:    boxed(in4(ParseCongCtrl)),
	FuncCCAck:       boxed(in4(ParseCCAck)),
	FuncParity:      boxed(ParseParity),
}

// in4 makes a parser that knows versions one of version 4.
func in4[T any](parse func(Version, []byte) (T, error)) func([]byte) (T, error) {
	return func(msg []byte) (T, error) { return parse(Version4, msg) }
}

func boxed[T any](parse func([]byte) (T, error)) func([]byte) (any, error) {
	return func(msg []byte) (any, error) { return parse(msg) }
}

// sample is one message of a capture.
type sample struct {
	from string // capture and frame
	f    Func
	msg  []byte
}

// captured returns, once per test binary, every datagram of every capture by
// the name of the capture.
var captured = sync.OnceValues(func() (map[string][][]byte, error) {
	names, err := filepath.Glob(filepath.Join(vectors, "*.pcap"))
	if err != nil {
		return nil, err
	}
	all := map[string][][]byte{}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		r, err := frames.NewReader(f)
		if err != nil {
			return nil, err
		}
		for d, err := range r.All() {
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			all[filepath.Base(name)] = append(all[filepath.Base(name)], d.Payload)
		}
		f.Close()
	}
	return all, nil
})

func captures(t testing.TB) map[string][][]byte {
	t.Helper()
	all, err := captured()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// opened returns the messages that came out of ENCRYPTED.
func opened(t testing.TB) []sample {
	t.Helper()
	type packet struct {
		Pcap, Message, Plaintext string
		Frame                    int
	}
	var derived struct{ Sessions []struct{ Packets []packet } }
	readJSON(t, "derived.json", &derived)
	byName := map[string]Func{}
	for f := range parsers {
		byName[f.String()] = f
	}
	var all []sample
	for _, s := range derived.Sessions {
		for _, p := range s.Packets {
			msg, err := hex.DecodeString(p.Plaintext)
			if err != nil || len(msg) == 0 {
				t.Fatalf("%s frame %d: plaintext %q", p.Pcap, p.Frame, p.Plaintext)
			}
			f, ok := byName[p.Message]
			if !ok {
				t.Fatalf("%s frame %d is a %s, which has no parser", p.Pcap, p.Frame, p.Message)
			}
			all = append(all, sample{fmt.Sprintf("%s opened frame %d", p.Pcap, p.Frame), f, msg})
		}
	}
	return all
}

// samples returns every message there is, with at most one FILESEG and one
// ENCRYPTED a capture.
func samples(t testing.TB) []sample {
	t.Helper()
	all := opened(t)
	for _, name := range slices.Sorted(maps.Keys(captures(t))) {
		seen := map[Func]bool{}
		for i, p := range captures(t)[name] {
			h, msg, err := ParseHeader(p)
			if err != nil {
				t.Fatalf("%s datagram %d: %v", name, i+1, err)
			}
			if seen[h.Func] && (h.Func == FuncFileSeg || h.Func == FuncEncrypted) {
				continue
			}
			seen[h.Func] = true
			all = append(all, sample{fmt.Sprintf("%s datagram %d", name, i+1), h.Func, msg})
		}
	}
	return all
}

func TestCapturesComeBackByteForByte(t *testing.T) {
	buf := make([]byte, 0, MaxDatagram)
	n := 0
	for name, list := range captures(t) {
		for i, p := range list {
			n++
			h, msg, err := ParseHeader(p)
			if err != nil {
				t.Fatalf("%s datagram %d: %v, want a version 4 datagram", name, i+1, err)
			}
			got, err := roundTrip(h.Func, msg, h.Append(buf))
			if err != nil {
				t.Errorf("%s datagram %d, %s: %v, want it to parse", name, i+1, Describe(p), err)
			} else if !bytes.Equal(got, p) {
				t.Errorf("%s datagram %d, %s:\n got %x\nwant %x", name, i+1, Describe(p), got, p)
			}
		}
	}
	if n < 13000 {
		t.Errorf("only %d datagrams were read, the captures hold more than 13000", n)
	}
}

func TestOpenedMessagesComeBackByteForByte(t *testing.T) {
	seen := map[Func]int{}
	for _, s := range opened(t) {
		seen[s.f]++
		got, err := roundTrip(s.f, s.msg, nil)
		if err != nil || !bytes.Equal(got, s.msg) {
			t.Errorf("%s, %v: %v\n got %x\nwant %x", s.from, s.f, err, got, s.msg)
		}
	}
	if seen[FuncKeyInfoAck] == 0 {
		t.Error("no KEYINFO_ACK among the opened messages; it never travels in clear, so nothing else shows it")
	}
}

// TestCountsMatchIndex holds the capture reader and the function bytes against
// what the index of the captures says was sent.
func TestCountsMatchIndex(t *testing.T) {
	var index struct {
		Cases []struct {
			Pcaps    []string
			Messages map[string]map[string]int
		}
	}
	readJSON(t, "index.json", &index)
	checked := 0
	for _, c := range index.Cases {
		for name, want := range c.Messages {
			got := map[string]int{}
			for _, p := range captures(t)[name] {
				h, _, err := ParseHeader(p)
				if err != nil {
					t.Fatal(err)
				}
				got[h.Func.String()]++
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s holds %v, want %v", name, got, want)
			}
			checked++
		}
	}
	if checked != len(captures(t)) {
		t.Errorf("the index counts %d captures, there are %d", checked, len(captures(t)))
	}
}

// TestCapturesCoverTheFormat keeps the tests above from passing on nothing.
func TestCapturesCoverTheFormat(t *testing.T) {
	seen := map[Func]int{}
	ext := map[Ext]int{}
	for _, s := range samples(t) {
		seen[s.f]++
		switch x, _ := view(s.f, s.msg); x := x.(type) {
		case Announce:
			if x.HasEnc {
				ext[ExtEncInfo]++
			}
		case FileSeg:
			if x.HasCC {
				ext[ExtTFMCCData]++
			}
		case Status:
			if x.HasCC {
				ext[ExtTFMCCAck]++
			}
		case CCAck:
			ext[ExtTFMCCAck]++
		case Complete:
			if x.HasSpace {
				ext[ExtFreeSpace]++
			}
		}
	}
	for f := FuncAnnounce; f <= FuncCCAck; f++ {
		if seen[f] == 0 {
			t.Errorf("no %v in any capture", f)
		}
	}
	for _, e := range []Ext{ExtEncInfo, ExtTFMCCData, ExtTFMCCAck, ExtFreeSpace} {
		if ext[e] == 0 {
			t.Errorf("no extension %d in any capture", e)
		}
	}
}

// TestEveryTruncation cuts every message everywhere: within its header it must
// be refused, behind it the body just ends earlier.
func TestEveryTruncation(t *testing.T) {
	buf := make([]byte, 0, MaxDatagram)
	for _, s := range samples(t) {
		header := len(s.msg) // ENCRYPTED has its exact length
		if s.f != FuncEncrypted {
			header = 4 * int(s.msg[1])
		}
		for n := range s.msg {
			cut := s.msg[:n:n]
			got, err := roundTrip(s.f, cut, buf)
			switch {
			case n < header && err != ErrShort:
				t.Fatalf("%s, %v cut to %d of %d header bytes: %v, want %v", s.from, s.f, n, header, err, ErrShort)
			case n >= header && (err != nil || !bytes.Equal(got, cut)):
				t.Fatalf("%s, %v cut to %d bytes: %v, want it back as it is", s.from, s.f, n, err)
			}
		}
	}
}

// TestViewsSurvive shows that the bytes of Append mean what was appended.
func TestViewsSurvive(t *testing.T) {
	for _, s := range samples(t) {
		want, err := view(s.f, s.msg)
		if err != nil {
			t.Fatalf("%s, %v: %v", s.from, s.f, err)
		}
		again, err := roundTrip(s.f, s.msg, []byte("in front"))
		if err != nil {
			t.Fatalf("%s, %v: %v", s.from, s.f, err)
		}
		got, err := view(s.f, bytes.TrimPrefix(again, []byte("in front")))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s, %v: %v\n got %+v\nwant %+v", s.from, s.f, err, got, want)
		}
	}
}

func TestDescribeNamesEveryMessage(t *testing.T) {
	for name, list := range captures(t) {
		for i, p := range list {
			got := Describe(p)
			if !strings.HasPrefix(got, Func(p[1]).String()+" seq ") || strings.Contains(got, "wire:") {
				t.Fatalf("%s datagram %d: %q, want it to start with %v and to show no error", name, i+1, got, Func(p[1]))
			}
		}
	}
}
