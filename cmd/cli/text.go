package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unsafeRune reports whether a rune of n bytes speaks to a terminal or breaks a line
// instead of being shown: control characters, those of 8 bits included, those that turn
// the direction of text, and bytes that are no UTF-8, which may be read as any of them.
func unsafeRune(r rune, n int) bool {
	return r == utf8.RuneError && n == 1 || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// Clean makes a text of others fit for a line that people read, on a terminal or in a
// log: what [unsafeRune] finds becomes ?.
func Clean(s string) string {
	return replaceUnsafe(s, "", func(rune) string { return "?" })
}

// replaceUnsafe replaces unsafe runes, but for those that keep lists.
func replaceUnsafe(s, keep string, by func(rune) string) string {
	var b []byte // nil as long as nothing was replaced
	for i := 0; i < len(s); {
		if c := s[i]; ' ' <= c && c < 0x7f {
			if b != nil {
				b = append(b, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		bad := unsafeRune(r, n) && !strings.ContainsRune(keep, r)
		switch {
		case bad && b == nil:
			b = append(append(make([]byte, 0, len(s)), s[:i]...), by(r)...)
		case bad:
			b = append(b, by(r)...)
		case b != nil:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	if b == nil {
		return s
	}
	return string(b)
}

// CleanJSON escapes in a JSON document what [Clean] would replace in a text.
func CleanJSON(doc []byte) []byte {
	return []byte(replaceUnsafe(string(doc), "\n", func(r rune) string { return fmt.Sprintf("\\u%04x", r) }))
}

// Printer returns a writer for people. It takes whole lines and does with them what
// [Clean] does with a text, ends of lines and tabs apart. It is a net below those who
// clean the names that they print: an end of line in a name is theirs.
func Printer(w io.Writer) io.Writer { return printer{w} }

type printer struct{ w io.Writer }

func (p printer) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.w, replaceUnsafe(string(b), "\n\t", func(rune) string { return "?" })); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Say writes a line for people.
func Say(w io.Writer, line string) { fmt.Fprintln(w, Clean(line)) }

// Out is the standard output of a program that writes its results there: a [Printer]
// that remembers whether all was written.
type Out struct {
	w   io.Writer
	err error
}

// NewOut returns an Out on w.
func NewOut(w io.Writer) *Out { return &Out{w: Printer(w)} }

func (o *Out) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// Exit returns the exit code of a program that would end with code. If not all was
// written, it says so on errw and returns failed.
func (o *Out) Exit(code, failed int, errw io.Writer) int {
	if o.err == nil {
		return code
	}
	Say(errw, "Can't write standard output: "+ErrText(o.err))
	return failed
}
