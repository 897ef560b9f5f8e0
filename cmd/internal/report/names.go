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

	// How long an answer counts: a daemon runs for years, and may be up before its
	// name server is.
	foundFor   = time.Hour
	missingFor = 5 * time.Minute
)

// Names turns addresses into host names, remembering for a while what it has found
// and what it has not. It may be used by several goroutines.
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

// known returns the name of an address that was looked up; the address itself
// stands in for a name that could not be found.
func (n *Names) known(a netip.Addr) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, ok := n.names[a]
	return name.text, ok && time.Now().Before(name.until)
}

// find looks an address up.
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
