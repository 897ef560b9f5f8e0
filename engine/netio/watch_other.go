//go:build !linux

package netio

import "errors"

// Watch hears from the kernel that interfaces or addresses have changed: on Linux alone.
type Watch struct{}

// NewWatch returns an error: who wants to know has to look.
func NewWatch() (*Watch, error) { return nil, errors.ErrUnsupported }

// Next waits for a change.
func (*Watch) Next() error { return errors.ErrUnsupported }

// Gone returns the indexes of interfaces that have lost their memberships.
func (*Watch) Gone() (list []int, all bool) { return nil, false }

// Close ends Next.
func (*Watch) Close() error { return nil }
