//go:build !linux

package netio

import "errors"

// Watch receives notices about changed interfaces and addresses, on Linux only.
type Watch struct{}

// NewWatch returns an error: callers have to look from time to time.
func NewWatch() (*Watch, error) { return nil, errors.ErrUnsupported }

// Next waits for a change.
func (*Watch) Next() error { return errors.ErrUnsupported }

// Gone returns the indexes of interfaces that have lost their memberships.
func (*Watch) Gone() (list []int, all bool) { return nil, false }

// Close ends Next.
func (*Watch) Close() error { return nil }
