package main

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"uftp/cmd/cli"
	"uftp/pcap"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// errSealed says that a change needs keys, to seal the message again.
var errSealed = errors.New("cannot be changed in an encrypted session: signatures and keys depend on it")

// rewriter is one run of rewrite.
type rewriter struct {
	t             *tool
	w             *pcap.Writer
	addrs         map[netip.Addr]netip.Addr
	ports         map[uint16]uint16
	uids          map[wire.UID]wire.UID
	drop, corrupt []*rule
	seed          uint64
	rnd           *rand.Rand
	ng            bool

	kept, dropped, corrupted int
}

func rewrite(t *tool) job {
	x := &rewriter{t: t, seed: 1, addrs: map[netip.Addr]netip.Addr{}, ports: map[uint16]uint16{}, uids: map[wire.UID]wire.UID{}}
	const (
		names   = "New names; each option may be repeated"
		packets = "Packets; each RULE may be repeated"
		output  = "The output is Ethernet; lengths and checksums are computed anew"
	)
	return job{
		options: []cli.Option{
			{Name: "map-addr", Arg: "OLD=NEW", Group: names, Set: pair(x.addrs, netip.ParseAddr), Help: "change an IP address, in ANNOUNCE too"},
			{Name: "map-port", Arg: "OLD=NEW", Group: names, Set: pair(x.ports, parsePort), Help: "change a UDP port"},
			{Name: "map-uid", Arg: "OLD=NEW", Group: names, Set: pair(x.uids, parseUID),
				Help: "change a UID in all fields, such as\n0x0A500001=0x0A500002"},
			{Name: "drop", Arg: "RULE", Group: packets, Set: addRule(&x.drop), Help: "leave packets out"},
			{Name: "corrupt", Arg: "RULE", Group: packets, Set: addRule(&x.corrupt), Help: "change one byte behind the common header\n" + ruleHelp},
			{Name: "seed", Arg: "N", Group: packets, Set: x.setSeed, Help: "seed of the choices by percent= and --corrupt; default: 1"},
			{Name: "pcapng", Group: output, Set: cli.Flag(&x.ng), Help: "write pcapng instead of classic pcap"},
		},
		run: x.run,
	}
}

func (x *rewriter) setSeed(v string) (err error) {
	if x.seed, err = strconv.ParseUint(v, 0, 64); err != nil {
		return &cli.Error{Text: "Invalid seed", Allowed: "0 to 18446744073709551615"}
	}
	return nil
}

// run rewrites one capture. It never replaces a file.
func (x *rewriter) run(names []string) (err error) {
	from, to := names[0], names[1]
	x.rnd = rand.New(rand.NewPCG(x.seed, 0))
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, x.t.mode(from)&^0o022) // follows no link
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}()
	b := bufio.NewWriterSize(out, 1<<20)
	form := pcap.Classic
	if x.ng {
		form = pcap.NG
	}
	if x.w, err = pcap.NewWriter(b, form); err != nil {
		return err
	}
	err = x.t.read(from, nil, x.message, nil)
	if ferr := b.Flush(); err == nil {
		err = ferr
	}
	fmt.Fprintf(x.t.out, "%d datagrams written, %d dropped, %d corrupted\n", x.kept, x.dropped, x.corrupted)
	return err
}

func (x *rewriter) message(m *session.Message) error {
	if !x.t.wanted(m.Session) {
		return nil
	}
	for _, r := range x.drop {
		if r.matches(m, x.rnd) {
			x.dropped++
			return nil
		}
	}
	if err := x.rename(m); err != nil {
		return fmt.Errorf("%s: %v: %w", placeOf(m), m.Head.Func, err)
	}
	for _, r := range x.corrupt {
		if r.matches(m, x.rnd) && len(m.Payload) > wire.HeaderLen {
			m.Payload[wire.HeaderLen+x.rnd.IntN(len(m.Payload)-wire.HeaderLen)] ^= byte(1 + x.rnd.IntN(255))
			x.corrupted++
		}
	}
	m.Src, m.Dst = x.address(m.Src), x.address(m.Dst)
	if err := x.w.Write(m.Datagram); err != nil {
		return fmt.Errorf("%s: %w", placeOf(m), err)
	}
	x.kept++
	return nil
}

func (x *rewriter) address(a netip.AddrPort) netip.AddrPort {
	ip, port := a.Addr(), a.Port()
	if n, ok := x.addrs[ip]; ok {
		ip = n
	}
	if n, ok := x.ports[port]; ok {
		port = n
	}
	return netip.AddrPortFrom(ip, port)
}

// rename changes UIDs and addresses within a message.
func (x *rewriter) rename(m *session.Message) error {
	if errors.Is(m.Err, session.ErrForeign) || len(m.Payload) < wire.HeaderLen {
		return nil
	}
	n := 0
	if len(x.uids) > 0 {
		n += x.uid(m.Payload[4:8])
	}
	if m.Msg != nil {
		k, err := x.inside(m)
		if err != nil {
			return err
		}
		n += k
	}
	if n > 0 && (m.Sealed || m.Session != nil && m.Session.Encrypted) {
		return errSealed
	}
	return nil
}

// uid changes the UID in 4 bytes; it returns 1 if it did.
func (x *rewriter) uid(b []byte) int {
	n, ok := x.uids[wire.UID(binary.BigEndian.Uint32(b))]
	if !ok {
		return 0
	}
	binary.BigEndian.PutUint32(b, uint32(n))
	return 1
}

func (x *rewriter) list(l wire.UIDList) (n int) {
	for i := range l.Len() {
		n += x.uid(l[4*i : 4*i+4])
	}
	return n
}

// inside changes the UIDs and addresses in the body of a message, in place, and
// returns how many it changed. Damaged messages stay as they are.
func (x *rewriter) inside(m *session.Message) (n int, err error) {
	b := m.Msg
	switch m.Head.Func {
	case wire.FuncAnnounce:
		if a, err := wire.ParseAnnounce(m.Head.Version, b); err == nil {
			n = x.list(a.Hosts)
			k, err := x.announced(m, &a)
			return n + k, err
		}
	case wire.FuncRegister:
		if a, err := wire.ParseRegister(m.Head.Version, b); err == nil {
			n = x.list(a.Clients)
		}
	case wire.FuncRegConf, wire.FuncDoneConf:
		if a, err := wire.ParseHostList(b); err == nil {
			n = x.list(a.Hosts)
		}
	case wire.FuncKeyInfo:
		if a, err := wire.ParseKeyInfo(m.Head.Version, b); err == nil {
			for i := range a.Len() {
				n += x.uid(a.Items[i*wire.KeyInfoItemLen:][:4])
			}
		}
	case wire.FuncFileInfo:
		if a, err := wire.ParseFileInfo(m.Head.Version, b); err == nil {
			n = x.list(a.Hosts)
		}
	case wire.FuncFileInfoAck:
		if a, err := wire.ParseFileInfoAck(m.Head.Version, b); err == nil {
			n = x.list(a.Clients)
		}
	case wire.FuncDone:
		if a, err := wire.ParseDone(b); err == nil {
			n = x.list(a.Hosts)
		}
	case wire.FuncComplete:
		if a, err := wire.ParseComplete(b); err == nil {
			n = x.list(a.Clients)
		}
	case wire.FuncAbort:
		if a, err := wire.ParseAbort(b); err == nil {
			if u, ok := x.uids[a.Host]; ok {
				n, a.Host = 1, u
				copy(b, a.Append(nil))
			}
		}
	case wire.FuncCongCtrl:
		if a, err := wire.ParseCongCtrl(m.Head.Version, b); err == nil {
			for i := range a.Len() {
				n += x.uid(a.Items[i*wire.CCItemLen:][:4])
			}
		}
	case wire.FuncStatus:
		if a, err := wire.ParseStatus(m.Head.Version, b); err == nil && a.HasCC {
			if u, ok := x.uids[a.CC.Client]; ok {
				n, a.CC.Client = 1, u
				copy(b, a.Append(m.Head.Version, nil))
			}
		}
	case wire.FuncCCAck:
		if a, err := wire.ParseCCAck(m.Head.Version, b); err == nil {
			if u, ok := x.uids[a.CC.Client]; ok {
				n, a.CC.Client = 1, u
				copy(b, a.Append(m.Head.Version, nil))
			}
		}
	}
	return n, nil
}

// announced changes the two addresses of an ANNOUNCE. The family must stay, since another
// one would change the length of the message.
func (x *rewriter) announced(m *session.Message, a *wire.Announce) (n int, err error) {
	for _, p := range []*netip.Addr{&a.Public, &a.Private} {
		if to, ok := x.addrs[*p]; ok {
			if to.BitLen() != p.BitLen() {
				return 0, fmt.Errorf("%w: %v=%v are of two families", errUsage, *p, to)
			}
			*p = to
			n++
		}
	}
	if n > 0 {
		copy(m.Msg, a.Append(m.Head.Version, nil))
	}
	return n, nil
}

// pair returns a Set that reads OLD=NEW into m.
func pair[T comparable](m map[T]T, parse func(string) (T, error)) func(string) error {
	return func(text string) error {
		a, b, ok := strings.Cut(text, "=")
		from, err := parse(a)
		to, errTo := parse(b)
		switch {
		case !ok:
			return fmt.Errorf("%q is not OLD=NEW", text)
		case err != nil || errTo != nil:
			return fmt.Errorf("%q is not OLD=NEW: %v", text, cmp.Or(err, errTo))
		}
		m[from] = to
		return nil
	}
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err
}
