package lists

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"uftp/wire"
)

// The sender's restart file (docs/protocol.md, "Restart file"), in the byte order of the host like
// the stock program's, so that either program resumes the other's session.
const (
	restartHeadLen   = 12
	restartOpLen     = 300
	restartClientLen = 156
	restartNameLen   = 80
	maxInstance      = 255
)

// stockError is a text of the stock sender.
type stockError string

func (e stockError) Error() string { return string(e) }

// Errors of a restart file.
const (
	ErrRestartHeader   = stockError("Failed to read header from restart file")
	ErrRestartFiles    = stockError("Too many files listed in restart file")
	ErrRestartName     = stockError("Failed to read filename from restart file")
	ErrRestartHost     = stockError("Failed to read host from restart file")
	ErrRestartHosts    = stockError("Exceeded maximum destination count")
	ErrRestartInstance = stockError("Maximum number of restarts reached")
)

// SendRestart is what a sender needs for another attempt: the session, and the clients that did
// not get everything.
type SendRestart struct {
	Group    uint32
	Instance uint8    // of the attempt that failed; the next one adds 1
	Operands []string // 1..MaxOperands as the user gave them, at most 299 bytes each
	Clients  []RestartClient
}

// RestartClient is a client in an error state, or the proxy of one.
type RestartClient struct {
	Name           string // at most 79 bytes
	UID            wire.UID
	HasFingerprint bool
	Fingerprint    [64]byte // a SHA-1 in the first 20 bytes
	IsProxy        bool
}

// RestartName returns the name of the restart file of a group.
func RestartName(group uint32) string { return fmt.Sprintf("_group_%08X_restart", group) }

// ReadSendRestart reads a restart file. Errors other than those of the system are the ErrRestart
// constants, wrapped with details. A file with instance 255 is refused, because no other can
// follow.
func ReadSendRestart(path string) (SendRestart, error) {
	f, err := os.Open(path)
	if err != nil {
		return SendRestart{}, err
	}
	defer f.Close()
	return readSendRestart(bufio.NewReader(f))
}

func readSendRestart(r io.Reader) (x SendRestart, err error) {
	var b [restartOpLen]byte
	if err := readWhole(r, b[:restartHeadLen]); err != nil {
		return x, fmt.Errorf("%w: %w", ErrRestartHeader, err)
	}
	x.Group = binary.NativeEndian.Uint32(b[0:])
	x.Instance = b[4]
	n := binary.NativeEndian.Uint32(b[8:])
	if n < 1 || n > MaxOperands {
		return x, fmt.Errorf("%w: %d, must be 1 to %d", ErrRestartFiles, int32(n), MaxOperands)
	}
	if x.Instance == maxInstance {
		return x, ErrRestartInstance
	}
	for range n {
		if err := readWhole(r, b[:]); err != nil {
			return x, fmt.Errorf("%w: %w", ErrRestartName, err)
		}
		x.Operands = append(x.Operands, field(b[:wire.MaxNameLen-1]))
	}
	for {
		p := b[:restartClientLen]
		switch err := readRecord(r, p); {
		case err == io.EOF:
			return x, nil
		case err != nil:
			return x, fmt.Errorf("%w: %w", ErrRestartHost, err)
		case len(x.Clients) == MaxHosts:
			return x, ErrRestartHosts
		}
		c := RestartClient{
			Name:           field(p[:restartNameLen-1]),
			UID:            wire.UID(binary.BigEndian.Uint32(p[80:])),
			HasFingerprint: binary.NativeEndian.Uint32(p[84:]) != 0,
			IsProxy:        binary.NativeEndian.Uint32(p[152:]) != 0,
		}
		copy(c.Fingerprint[:], p[88:152])
		x.Clients = append(x.Clients, c)
	}
}

// readRecord fills b. It returns [io.EOF] if nothing was left.
func readRecord(r io.Reader, b []byte) error {
	n, err := io.ReadFull(r, b)
	if err == io.ErrUnexpectedEOF {
		return shortRecord(n, b)
	}
	return err
}

// readWhole is readRecord where there must be a record.
func readWhole(r io.Reader, b []byte) error {
	err := readRecord(r, b)
	if err == io.EOF {
		return shortRecord(0, b)
	}
	return err
}

func shortRecord(n int, b []byte) error {
	return fmt.Errorf("read %d bytes, expected %d", n, len(b))
}

// field returns the text before the first NUL.
func field(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// WriteFile writes x to path, mode 0644 less the umask. It replaces an existing file in one step,
// so a failure leaves the old one. It refuses what the format cannot hold: numbers and lengths
// out of range, NUL in a text.
func (x *SendRestart) WriteFile(path string) error {
	b, err := x.append(nil)
	if err != nil {
		return err
	}
	tmp := path + ".~new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

func (x *SendRestart) append(b []byte) ([]byte, error) {
	if n := len(x.Operands); n < 1 || n > MaxOperands {
		return nil, fmt.Errorf("%w: %d, must be 1 to %d", ErrRestartFiles, n, MaxOperands)
	}
	b = binary.NativeEndian.AppendUint32(b, x.Group)
	b = append(b, x.Instance, 0, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(x.Operands)))
	var err error
	for _, op := range x.Operands {
		if b, err = appendField(b, op, restartOpLen); err != nil {
			return nil, err
		}
	}
	for i := range x.Clients {
		c := &x.Clients[i]
		if b, err = appendField(b, c.Name, restartNameLen); err != nil {
			return nil, err
		}
		b = binary.BigEndian.AppendUint32(b, uint32(c.UID))
		b = binary.NativeEndian.AppendUint32(b, number(c.HasFingerprint))
		b = append(b, c.Fingerprint[:]...)
		b = binary.NativeEndian.AppendUint32(b, number(c.IsProxy))
	}
	return b, nil
}

// appendField appends s, padded with at least one NUL to n bytes.
func appendField(b []byte, s string, n int) ([]byte, error) {
	if len(s) >= n || strings.IndexByte(s, 0) >= 0 {
		return nil, fmt.Errorf("%q does not fit a restart file: at most %d bytes without NUL", s, n-1)
	}
	b = append(b, s...)
	return append(b, make([]byte, n-len(s))...), nil
}

func number(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
