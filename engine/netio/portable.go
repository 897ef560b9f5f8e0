package netio

import (
	"errors"
	"net/netip"
	"syscall"
)

// portable sends and receives datagram by datagram through the standard library, which keeps
// addresses by value and so allocates nothing. (ReadBatch and WriteBatch of x/net would allocate an
// address for each datagram.)
type portable struct {
	*socket
	oob []byte // control messages of the datagram being read
}

func newPortable(s *socket) *portable {
	return &portable{socket: s, oob: make([]byte, rxControlBytes)}
}

func (c *portable) Caps() Caps { return c.caps() }

func (c *portable) ReadBatch(slots []RxSlot) (int, error) {
	if len(slots) == 0 {
		return 0, nil
	}
	slot := &slots[0]
	for transient := 0; ; {
		n, oobn, flags, from, err := c.udp.ReadMsgUDPAddrPort(slot.Buf, c.oob)
		c.count.rxSyscalls.Add(1)
		cut := isTruncated(flags, err)
		if err != nil && !cut {
			if transient < transientMax && isTransientRxError(err) {
				transient++
				c.count.transient.Add(1)
				continue
			}
			return 0, ioError(err)
		}
		slot.N, slot.Seg, slot.Truncated = n, 0, cut
		slot.From = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		ctl := parseControl(c.oob[:oobn])
		slot.TOS, slot.To = ctl.tos, ctl.to
		c.count.rxDatagrams.Add(1)
		c.count.rxBytes.Add(uint64(n))
		if cut {
			c.count.truncated.Add(1)
		}
		return 1, nil
	}
}

func (c *portable) WriteBatch(trains []TxTrain) (int, error) {
	var budget retry
	for t := range trains {
		train := &trains[t]
		seg, err := train.check()
		if err != nil {
			return t, err
		}
		to, err := c.destination(train.To)
		if err != nil {
			return t, sendError(train.To, err)
		}
		for rest := train.Buf; ; {
			one := rest[:min(seg, len(rest))]
			if err := c.sendOne(one, to, &budget); err != nil {
				return t, err
			}
			if rest = rest[len(one):]; len(rest) == 0 {
				break
			}
		}
	}
	return len(trains), nil
}

// destination returns address to in the form of the socket's family.
func (c *portable) destination(to netip.AddrPort) (netip.AddrPort, error) {
	addr := to.Addr().Unmap()
	if !addr.IsValid() || addr.Is6() && !c.v6 {
		return to, ErrFamily
	}
	if addr.Is6() && addr.Zone() == "" && c.scopeName != "" && scoped(addr) {
		addr = addr.WithZone(c.scopeName)
	}
	return netip.AddrPortFrom(addr, to.Port()), nil
}

func (c *portable) sendOne(b []byte, to netip.AddrPort, budget *retry) error {
	for {
		_, err := c.udp.WriteToUDPAddrPort(b, to)
		c.count.txSyscalls.Add(1)
		if err == nil {
			c.count.txDatagrams.Add(1)
			c.count.txBytes.Add(uint64(len(b)))
			*budget = retry{}
			return nil
		}
		var e syscall.Errno
		if !errors.As(err, &e) {
			return ioError(err)
		}
		if !budget.again(&c.count, e) {
			return sendError(to, e)
		}
	}
}

func isTransientRxError(err error) bool {
	var e syscall.Errno
	return errors.As(err, &e) && isTransientRx(e)
}
