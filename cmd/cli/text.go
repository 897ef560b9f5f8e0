package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rules for messages to people: errors, warnings, log lines and help, in all commands.
//
//  1. A text that the stock program prints stays as it is, letter for letter, because scripts look
//     for it. What we add follows it.
//  2. A message is one line. It begins with a capital letter and has no period at its end. A colon
//     goes before a reason or an instruction, a semicolon before a second fact.
//  3. "Warning: " stands before something that may surprise the user although the program goes on. An
//     error has no prefix: it begins with "Can't", "Couldn't", "Error" or "Invalid". A notice has
//     none either.
//  4. The reader is the person who runs this program and sees one machine. Name the actor: uftpd, the
//     kernel, the disk, a receiver by its name. Avoid "we", "this program" and "somebody".
//  5. If the user can do something about it, the message says what: the option in brackets behind the
//     value that it gave, "(-I eth9)", or an instruction, ": use -d". Give a command complete.
//  6. Numbers have units; counts go through [Count], so that "1 files" does not appear.
//  7. Texts of others (names, errors of peers) go through [Clean] or [Say].
//  8. A state is reported when it begins and when it ends, not each time it is noticed.
//  9. Help begins in lower case: with a verb for what the program does ("write ..."), or a noun for
//     what the value is ("UDP port of ..."). The range and the default follow in brackets.

// unsafeRune reports whether a rune of n bytes could control a terminal or break a line instead of
// being shown. These are control characters, including those of 8 bits, characters that change the
// direction of text, and bytes that are not UTF-8, which a terminal may take for any of these.
func unsafeRune(r rune, n int) bool {
	return r == utf8.RuneError && n == 1 || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// Clean makes a text from outside safe for one line on a terminal or in a log: each unsafe rune
// becomes ?.
func Clean(s string) string {
	return replaceUnsafe(s, "", func(rune) string { return "?" })
}

// replaceUnsafe replaces unsafe runes, except those in keep.
func replaceUnsafe(s, keep string, by func(rune) string) string {
	var b []byte // nil until something is replaced
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

// CleanJSON escapes the runes in a JSON document that [Clean] would replace.
func CleanJSON(doc []byte) []byte {
	return []byte(replaceUnsafe(string(doc), "\n", func(r rune) string { return fmt.Sprintf("\\u%04x", r) }))
}

// Printer returns a writer for people. It takes whole lines and replaces unsafe runes except line
// ends and tabs. It is a second line of defence: callers still clean the names that they print,
// since a line end in a name would pass.
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

// Out is a [Printer] on the standard output of a program whose results go there. It remembers
// whether everything was written.
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

// Exit returns code, the program's exit code, if everything was written. Otherwise it reports that
// on errw and returns failed.
func (o *Out) Exit(code, failed int, errw io.Writer) int {
	if o.err == nil {
		return code
	}
	Say(errw, "Can't write standard output: "+ErrText(o.err))
	return failed
}
