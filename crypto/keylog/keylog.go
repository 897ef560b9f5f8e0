// Package keylog reads and writes key logs: files with the secrets of encrypted sessions,
// which open captures afterwards. docs/keylog.md describes the format.
//
// # Contract
//
// An [Entry] holds one session and is one line: [Entry.Append] writes it, [Parse] and
// [Read] read it. Whoever has a line can read everything that the session has sent, so
// commands write key logs only if the user names a file.
//
// # Limits
//
// It knows sessions of protocol version 4 only. Read skips lines of an unknown kind, so
// that other versions can add theirs.
package keylog

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"uftp/crypto/handshake"
	"uftp/wire"
)

// label starts every line of version 4.
const label = "UFTP4"

// lineMax is the longest line that Read accepts, bytes.
const lineMax = 4096

// ErrLine reports a line that is no entry.
var ErrLine = errors.New("keylog: not a line of a key log")

// Entry holds the secrets that open the packets of one session.
type Entry struct {
	Group        uint32
	Instance     uint8
	Suite        handshake.Suite
	ServerRandom [wire.RandomLen]byte
	GroupMaster  [handshake.MasterLen]byte
}

// Append appends the entry's line.
func (e *Entry) Append(b []byte) []byte {
	suite := strings.ReplaceAll(e.Suite.String(), " ", ":")
	b = fmt.Appendf(b, "%s %08x %d %s ", label, e.Group, e.Instance, suite)
	b = hex.AppendEncode(b, e.ServerRandom[:])
	b = append(b, ' ')
	b = hex.AppendEncode(b, e.GroupMaster[:])
	return append(b, '\n')
}

// Parse reads one line. It fails with [ErrLine].
func Parse(line string) (e Entry, err error) {
	f := strings.Fields(line)
	if len(f) != 6 || f[0] != label || len(f[1]) != 8 {
		return Entry{}, ErrLine
	}
	group, err1 := strconv.ParseUint(f[1], 16, 32)
	instance, err2 := strconv.ParseUint(f[2], 10, 8)
	suite, ok := parseSuite(f[3])
	if err1 != nil || err2 != nil || !ok || !unhex(e.ServerRandom[:], f[4]) || !unhex(e.GroupMaster[:], f[5]) {
		return Entry{}, ErrLine
	}
	e.Group, e.Instance, e.Suite = uint32(group), uint8(instance), suite
	return e, nil
}

// parseSuite reads cipher:hash:signature:exchange.
func parseSuite(text string) (s handshake.Suite, ok bool) {
	f := strings.Split(text, ":")
	if len(f) != 4 {
		return s, false
	}
	var all [4]bool
	s.Cipher, all[0] = handshake.CipherByName(f[0])
	s.Hash, all[1] = handshake.HashByName(f[1])
	s.SigType, all[2] = handshake.SigTypeByName(f[2])
	s.KeyExch, all[3] = handshake.KeyExchByName(f[3])
	return s, all == [4]bool{true, true, true, true} && s.Check() == nil
}

func unhex(b []byte, text string) bool {
	if hex.DecodedLen(len(text)) != len(b) || len(text)%2 != 0 {
		return false
	}
	_, err := hex.Decode(b, []byte(text))
	return err == nil
}

// DamagedError reports damaged lines of a key log. It wraps [ErrLine].
type DamagedError struct {
	First int // number of the first of them, from 1
	Count int
}

func (e *DamagedError) Error() string {
	if e.Count == 1 {
		return fmt.Sprintf("line %d: %v", e.First, ErrLine)
	}
	return fmt.Sprintf("line %d and %d more: %v", e.First, e.Count-1, ErrLine)
}

func (e *DamagedError) Unwrap() error { return ErrLine }

// Read returns the entries of a key log, in order. It skips empty lines, lines that begin
// with # and lines of other kinds. If lines of ours are damaged, which a full disk can
// cause, Read returns the entries of all other lines with a [*DamagedError]. An entry that
// follows the first part of another one on a line counts as one of the others.
func Read(r io.Reader) ([]Entry, error) {
	var list []Entry
	var bad DamagedError
	lines := bufio.NewReaderSize(r, lineMax)
	for n := 1; ; n++ {
		line, cut, err := readLine(lines)
		if torn, whole, ours := split(line, cut); ours {
			e, perr := Parse(whole)
			if perr == nil {
				list = append(list, e)
			}
			if perr != nil || torn {
				if bad.Count++; bad.Count == 1 {
					bad.First = n
				}
			}
		}
		switch {
		case err == io.EOF && bad.Count > 0:
			return list, &bad
		case err == io.EOF:
			return list, nil
		case err != nil:
			return list, err
		}
	}
}

// split finds the last entry in a line of ours; torn is true if part of another one is
// before it. cut is true if the line has lost its beginning.
func split(line string, cut bool) (torn bool, entry string, ours bool) {
	line = strings.TrimLeft(line, " \t")
	i := strings.LastIndex(line, label+" ")
	switch {
	case i < 0:
		return false, line, strings.TrimSpace(line) == label
	case i == 0:
		return false, line, true
	}
	return true, line[i:], cut || strings.HasPrefix(line, label) || strings.HasPrefix(label, line[:i])
}

// readLine returns the next line without its end. Of a long line it returns the last part,
// where a whole entry may be, and cut is true. [io.EOF] may come with a line.
func readLine(r *bufio.Reader) (text string, cut bool, err error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		long := err == bufio.ErrBufferFull
		if keep := lineMax - len(part); len(line) > keep {
			line, cut = line[len(line)-keep:], true
		}
		line = append(line, part...)
		if !long {
			return strings.TrimRight(string(line), "\r\n"), cut, err
		}
	}
}
