package group

import (
	"errors"

	"uftp/wire"
)

// Errors of [Roster.Add].
var (
	ErrFull   = errors.New("group is full")
	ErrUID    = errors.New("UID 0 names no host")
	ErrListed = errors.New("UID is in the group already")
)

// Roster is a list of members with their UIDs, in the order in which they were added. A member
// keeps its place, 0, 1, 2 …, and never leaves.
//
// Finding a member takes the same time however many there are.
type Roster[T any] struct {
	limit   int
	place   map[wire.UID]int32
	uids    []wire.UID
	members []T
}

// NewRoster returns an empty roster for at most limit members.
func NewRoster[T any](limit int) *Roster[T] {
	return &Roster[T]{limit: limit, place: make(map[wire.UID]int32)}
}

// Len returns the number of members.
func (r *Roster[T]) Len() int { return len(r.uids) }

// Find returns the place of u; ok is false when it is no member.
func (r *Roster[T]) Find(u wire.UID) (i int, ok bool) {
	p, ok := r.place[u]
	return int(p), ok
}

// UID returns the UID of member i, 0 <= i < Len.
func (r *Roster[T]) UID(i int) wire.UID { return r.uids[i] }

// At returns member i, 0 <= i < Len. The pointer is valid until the next Add.
func (r *Roster[T]) At(i int) *T { return &r.members[i] }

// Add puts u at the end of the list and returns its place. It fails with [ErrFull], [ErrUID] or
// [ErrListed]; with the latter i is the place of u.
func (r *Roster[T]) Add(u wire.UID, m T) (i int, err error) {
	if p, ok := r.place[u]; ok {
		return int(p), ErrListed
	}
	switch {
	case u == 0:
		return 0, ErrUID
	case len(r.uids) >= r.limit:
		return 0, ErrFull
	}
	i = len(r.uids)
	r.place[u] = int32(i)
	r.uids = append(r.uids, u)
	r.members = append(r.members, m)
	return i, nil
}
