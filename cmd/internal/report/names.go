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
	namesMax = 1024        // names kept; with more, all are dropped

	// How long an answer is valid: a daemon may run for years, and may start before its name
	// server.
	foundFor   = time.Hour
	missingFor = 5 * time.Minute
)

// Names looks up host names of addresses and caches the answers, also the negative ones. It may be
// used by several goroutines.
type Names struct {
	lookup func(ctx context.Context, addr string) ([]string, error)
	mu     sync.Mutex
	names  map[netip.Addr]hostName
}

type hostName struct {
	text  string
	until time.Time
}

// NewNames returns Names that ask the system.
func NewNames() *Names {
	return &Names{lookup: net.DefaultResolver.LookupAddr, names: map[netip.Addr]hostName{}}
}

// known returns the name of an address that was looked up, or the address itself if it has no name.
func (n *Names) known(a netip.Addr) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, ok := n.names[a]
	return name.text, ok && time.Now().Before(name.until)
}

// find looks up an address.
func (n *Names) find(a netip.Addr) {
	ctx, cancel := context.WithTimeout(context.Background(), nameWait)
	defer cancel()
	name, keep := a.String(), missingFor
	if all, err := n.lookup(ctx, name); err == nil && len(all) > 0 {
		name, keep = strings.TrimSuffix(all[0], "."), foundFor
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.names) >= namesMax {
		clear(n.names)
	}
	n.names[a] = hostName{name, time.Now().Add(keep)}
}
