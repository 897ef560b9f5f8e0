package report

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Limits of reverse look-ups.
const (
	nameWait = time.Second // longest wait for one
	namesMax = 1024        // names kept; all are forgotten when there are more
)

// Names turns addresses into host names, remembering what it has found and what
// it has not. It may be used by several goroutines.
type Names struct {
	lookup func(ctx context.Context, addr string) ([]string, error)
	mu     sync.Mutex
	names  map[netip.Addr]string
}

// NewNames returns Names that ask the system.
func NewNames() *Names {
	return &Names{lookup: net.DefaultResolver.LookupAddr, names: map[netip.Addr]string{}}
}

// known returns the name of an address that was looked up; the address itself
// stands in for a name that could not be found.
func (n *Names) known(a netip.Addr) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, ok := n.names[a]
	return name, ok
}

// find looks an address up.
func (n *Names) find(a netip.Addr) {
	ctx, cancel := context.WithTimeout(context.Background(), nameWait)
	defer cancel()
	name := a.String()
	if all, err := n.lookup(ctx, name); err == nil && len(all) > 0 {
		name = strings.TrimSuffix(all[0], ".")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.names) >= namesMax {
		clear(n.names)
	}
	n.names[a] = name
}
