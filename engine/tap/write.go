package tap

import (
	"net/netip"

	"uftp/engine/clock"
	"uftp/engine/netio"
	"uftp/pcap"
)

// renew begins a new file when the present one was moved away and somebody has asked for it.
func (t *Tap) renew() {
	if !t.asked {
		return
	}
	t.asked = false
	if t.files.Moved() {
		t.flush()
		t.next()
	}
}

// next goes on with the next file; false means that it cannot be opened.
func (t *Tap) next() bool {
	t.seal()
	t.inFile = 0
	if err := t.files.Next(); err != nil {
		t.fail(err)
		return false
	}
	return true
}

// record makes packets of one record of a lane.
func (t *Tap) record(l *Lane, r *record) {
	addr := r.own
	if !addr.IsValid() || addr.IsUnspecified() {
		addr = t.ownAddr(r.peer, r.at)
	}
	own := netip.AddrPortFrom(addr.Unmap(), t.host.Port)
	d := pcap.Datagram{Time: t.host.Time(r.at), Src: r.peer, Dst: own}
	m := pcap.Meta{Way: l.way, TOS: r.tos}
	if l.way == pcap.Outbound {
		d.Src, d.Dst = own, r.peer
		if r.peer.Addr().IsMulticast() {
			m.TTL = uint8(t.host.TTL)
		}
	}
	b, seg := l.payload(r), r.seg
	n := netio.Datagrams(len(b), seg)
	if n == 1 {
		seg = len(b)
	}
	t.unstated += r.lost
	for range n {
		d.Payload = b[:min(seg, len(b))]
		b = b[len(d.Payload):]
		t.packet(r.at, &d, &m)
	}
}

// ownAddr returns the address of this host that a peer talks to.
func (t *Tap) ownAddr(peer netip.AddrPort, at clock.Time) netip.Addr {
	known, ok := t.sources[peer.Addr()]
	if ok && at.Sub(known.at) < sourceFor {
		return known.addr
	}
	addr, err := t.host.Source(peer)
	if err != nil { // for example, the address was removed
		addr = netip.IPv6Unspecified()
		if peer.Addr().Is4() {
			addr = netip.IPv4Unspecified()
		}
	}
	if !ok && len(t.sources) == sourcesMax {
		clear(t.sources)
	}
	t.sources[peer.Addr()] = knownSource{addr, at}
	return addr
}

// packet puts one datagram into the buffer.
func (t *Tap) packet(at clock.Time, d *pcap.Datagram, m *pcap.Meta) {
	if !t.ready(at) {
		t.drop(1)
		return
	}
	m.Lost = t.unstated
	buf, err := t.enc.AppendDatagram(t.buf, d, m)
	if err != nil { // longer than IPv4 allows, as a datagram of IPv6 can be
		t.drop(1)
		return
	}
	t.buf = buf
	t.inBuf++
	t.stated += m.Lost
	t.unstated = 0
}

// drop counts datagrams that get into no file.
func (t *Tap) drop(n uint64) {
	t.dropped.Add(n)
	t.unstated += n
}

// ready makes room for one more packet, in buf and in a file.
func (t *Tap) ready(at clock.Time) bool {
	if t.failure != "" && at < t.retryAt {
		return false
	}
	if (len(t.buf) >= flushBytes || t.full()) && !t.flush() {
		return false
	}
	return !t.full() || t.next()
}

// full reports whether the file has no room for buf and one more packet.
func (t *Tap) full() bool {
	return !t.files.Open() || t.files.Size()+int64(len(t.buf)+pcap.RecordMax+tailBytes) > t.max
}

// flush writes buf. If that fails, what buf holds is lost, and flush returns false.
func (t *Tap) flush() bool {
	if len(t.buf) == 0 {
		return true
	}
	n, stated := t.inBuf, t.stated
	t.host.Hold()
	err := t.files.Write(t.buf)
	t.buf, t.inBuf, t.stated = t.buf[:0], 0, 0
	if err != nil {
		t.drop(n)
		t.unstated += stated
		t.fail(err)
		return false
	}
	t.written += n
	t.inFile += n
	t.failure = ""
	return true
}

// seal writes the statistics behind the packets of a file.
func (t *Tap) seal() {
	if t.inFile == 0 || !t.files.Open() {
		return
	}
	lost := t.Lost()
	t.buf = t.enc.AppendStatistics(t.buf[:0], t.host.Time(t.host.Now()), t.written+lost, lost)
	if err := t.files.Write(t.buf); err != nil {
		t.fail(err)
	}
	t.buf = t.buf[:0]
}

// fail stops writing for a while. An error is reported again only after a write has succeeded.
func (t *Tap) fail(err error) {
	t.retryAt = t.host.Now().Add(retryPause)
	if text := err.Error(); text != t.failure {
		t.failure = text
		t.host.Report(Failed{t.path, err})
	}
}
