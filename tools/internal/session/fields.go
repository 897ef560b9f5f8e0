package session

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"uftp/engine/block"
	"uftp/wire"
)

// Field is one named value of a message: a number, a text, a bool, or a list of
// texts.
type Field struct {
	Name  string
	Value any
}

// Fields are the fields of a message in their order on the wire.
type Fields []Field

func (f *Fields) add(name string, value any) { *f = append(*f, Field{name, value}) }

// Text returns the fields as name=value, separated by blanks. Texts from the network are
// quoted if they hold anything unusual.
func (f Fields) Text() string {
	var b strings.Builder
	for i, x := range f {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(x.Name)
		b.WriteByte('=')
		switch v := x.Value.(type) {
		case string:
			b.WriteString(plain(v))
		case []string:
			b.WriteByte('[')
			b.WriteString(strings.Join(v, " "))
			b.WriteByte(']')
		default:
			fmt.Fprint(&b, v)
		}
	}
	return b.String()
}

// plain returns a text as it is if it is a simple word, else quoted.
func plain(s string) string {
	for _, c := range s {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\' {
			return strconv.QuoteToASCII(s)
		}
	}
	if s == "" {
		return `""`
	}
	return s
}

// MarshalJSON returns one object with the fields in their order. A text that is not UTF-8
// is followed by its bytes in base64, as NAME_bytes.
func (f Fields) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, x := range f {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendQuote(b, x.Name)
		b = append(b, ':')
		v, err := json.Marshal(x.Value)
		if err != nil {
			return nil, err
		}
		b = append(b, v...)
		if text, ok := x.Value.(string); ok && !utf8.ValidString(text) {
			b = append(strconv.AppendQuote(append(b, ','), x.Name+"_bytes"), ':', '"')
			b = append(base64.StdEncoding.AppendEncode(b, []byte(text)), '"')
		}
	}
	return append(b, '}'), nil
}

// HeadFields returns the fields of the common header.
func (m *Message) HeadFields() (f Fields) {
	f.add("seq", m.Head.Seq)
	f.add("source", m.Head.Src.String())
	f.add("group", fmt.Sprintf("%08x", m.Head.Group))
	f.add("instance", m.Head.Instance)
	if m.Head.GRTT != 0 || m.Head.GroupSize != 0 {
		f.add("grtt_s", round(wire.DecodeGRTT(m.Head.GRTT)))
		f.add("group_size", wire.DecodeGroupSize(m.Head.GroupSize))
	}
	if m.Sealed {
		f.add("counter", m.Counter)
		if m.Unchecked {
			f.add("signature_unchecked", true)
		}
	}
	return f
}

// round cuts a time in seconds to 4 digits, more than the code has.
func round(s float64) float64 {
	v, _ := strconv.ParseFloat(strconv.FormatFloat(s, 'g', 4, 64), 64)
	return v
}

// BodyFields returns the fields of the message and the number of unknown bytes: those that
// a message made of these fields would lack or have differently. It fails with an error of
// package wire. For a message that was not opened it returns the parts of ENCRYPTED.
func (m *Message) BodyFields() (f Fields, unknown int, err error) {
	if m.Msg == nil {
		if !m.Sealed {
			return nil, 0, m.Err
		}
		x, err := wire.ParseEncrypted(m.Payload[wire.HeaderLen:])
		if err != nil {
			return nil, 0, err
		}
		f.add("signature_bytes", len(x.Signature))
		f.add("payload_bytes", len(x.Payload))
		return f, differs(x.Append(nil), m.Payload[wire.HeaderLen:]), nil
	}
	again, err := body(&f, m.Head.Version, m.Msg, m.Session)
	if err != nil {
		return nil, 0, err
	}
	return f, differs(again, m.Msg), nil
}

// differs counts the bytes that differ.
func differs(a, b []byte) (n int) {
	if bytes.Equal(a, b) {
		return 0
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			n++
		}
	}
	return n + max(len(a), len(b)) - min(len(a), len(b))
}

func uids(l wire.UIDList) []string {
	list := make([]string, l.Len())
	for i := range list {
		list[i] = l.At(i).String()
	}
	return list
}

// asked returns the blocks of a bitmap, without bits from n on.
func asked(bitmap []byte, n int) (set block.Set) {
	set.Reset(n, false)
	set.Merge(bitmap, 0, min(n, len(bitmap)*8))
	return set
}

// blocks writes a bitmap as numbers and ranges, without bits from n on.
func blocks(bitmap []byte, n int) (list []string, count int) {
	set := asked(bitmap, n)
	for i := set.Next(0); i < n; {
		j := i
		for j+1 < n && set.Has(j+1) {
			j++
		}
		if i == j {
			list = append(list, strconv.Itoa(i))
		} else {
			list = append(list, fmt.Sprintf("%d-%d", i, j))
		}
		i = set.Next(min(j+1, n))
		if j+1 >= n {
			break
		}
	}
	if list == nil {
		list = []string{}
	}
	return list, set.Count()
}

// NAKs returns how many blocks a STATUS asks for. Bits behind the end of the section do
// not count if its length is known.
func NAKs(s *Session, x *wire.Status) int {
	set := asked(x.NAKs, bitmapLen(s, x))
	return set.Count()
}

func bitmapLen(s *Session, x *wire.Status) int {
	n := len(x.NAKs) * 8
	if l := s.Layout(x.FileID); l != nil && int(x.Section) < l.Sections {
		n = min(n, l.SectionBlocks(int(x.Section)))
	}
	return n
}

func (f *Fields) cc(c *wire.TFMCCAck) {
	f.add("cc_flags", c.Flags)
	f.add("cc_seq", c.CCSeq)
	f.add("cc_rate", wire.DecodeRate(c.CCRate))
	f.add("cc_client", c.Client.String())
	f.add("cc_stamp", c.Time.String())
}

func key(f *Fields, name string, b []byte) {
	f.add(name, hex.EncodeToString(b))
}

var fileTypes = [...]string{"file", "directory", "link", "delete", "freespace"}

// FileType names the type of a FILEINFO.
func FileType(t wire.FileType) string {
	if int(t) < len(fileTypes) {
		return fileTypes[t]
	}
	return fmt.Sprintf("type %d", t)
}

var statuses = [...]string{"normal", "skipped", "overwrite", "rejected"}

func status(s wire.CompleteStatus) string {
	if int(s) < len(statuses) {
		return statuses[s]
	}
	return fmt.Sprintf("status %d", s)
}
