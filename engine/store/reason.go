package store

import (
	"errors"
	"syscall"
)

// Reason returns the system's text for an error, without the path or address that the error
// names. ok is false if the error does not come from the system. A full disk has the text of
// [ErrNoSpace].
func Reason(err error) (text string, ok bool) {
	if errors.Is(err, ErrNoSpace) || isNoSpace(err) {
		return ErrNoSpace.Error(), true
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error(), true
	}
	return "", false
}
