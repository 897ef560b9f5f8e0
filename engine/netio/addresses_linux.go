package netio

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// addresses asks the kernel once for the addresses of all interfaces, and returns a function that
// selects those of one. net.Interface.Addrs asks for all of them for each interface, which takes
// quadratic time.
func addresses() (of func(*net.Interface) []address, err error) {
	rib, err := syscall.NetlinkRIB(unix.RTM_GETADDR, unix.AF_UNSPEC)
	if err != nil {
		return nil, os.NewSyscallError("netlinkrib", err)
	}
	msgs, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, os.NewSyscallError("parsenetlinkmessage", err)
	}
	byIndex := make(map[int][]address)
	for i := range msgs {
		m := &msgs[i]
		if m.Header.Type != unix.RTM_NEWADDR || len(m.Data) < unix.SizeofIfAddrmsg {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil {
			return nil, os.NewSyscallError("parsenetlinkrouteattr", err)
		}
		var addr netip.Addr
		label := ""
		for _, a := range attrs {
			// Where there is an IFA_LOCAL, IFA_ADDRESS is the address of the other end.
			if a.Attr.Type == unix.IFA_LOCAL || a.Attr.Type == unix.IFA_ADDRESS && !addr.IsValid() {
				addr, _ = netip.AddrFromSlice(a.Value)
			}
			if a.Attr.Type == unix.IFA_LABEL {
				label = unix.ByteSliceToString(a.Value)
			}
		}
		if addr.IsValid() {
			index := int(binary.NativeEndian.Uint32(m.Data[4:]))
			byIndex[index] = append(byIndex[index], address{addr, label})
		}
	}
	return func(ifi *net.Interface) []address { return byIndex[ifi.Index] }, nil
}
