package main

import (
	"fmt"
	"net/netip"
	"time"

	"uftp/cmd/cli"
	"uftp/wire"
)

// bufferTime is how much data, in time at the rate, a receive buffer should hold: a receiver that
// the system does not run for that time loses nothing.
const bufferTime = 20 * time.Millisecond

// bufferMax is the largest value of -B.
const bufferMax = 104857600

// localGroups never leave their network, whatever the TTL (RFC 5771).
var localGroups = netip.MustParsePrefix("224.0.0.0/24")

// findings judges the facts.
func (f *facts) findings() []finding {
	list := []finding{f.checkInterface(), f.checkMulticast(), f.checkRoute(), f.checkGroup(), f.checkTTL(), f.checkMTU()}
	list = append(list, f.pathFindings()...)
	if f.socketErr != nil {
		list = append(list, finding{"socket", "cannot be opened: " + cli.ErrText(f.socketErr), "ulimit -n 1024, and check firewall and container"})
	} else {
		list = append(list, f.checkReceiveBuffer(), f.checkSendBuffer(), f.checkOffload())
	}
	list = append(list, f.checkProcessors(), f.checkCipher())
	if f.dest != "" {
		list = append(list, f.checkDisk())
	}
	return list
}

// mbit formats a rate in bytes/s.
func mbit(rate float64) string {
	if rate >= 1e9/8 {
		return fmt.Sprintf("%.2f Gbit/s", rate*8/1e9)
	}
	if rate >= 1e8/8 {
		return fmt.Sprintf("%.0f Mbit/s", rate*8/1e6)
	}
	return fmt.Sprintf("%.3g Mbit/s", rate*8/1e6)
}

// kbps formats a rate in bytes/s as an option -R.
func kbps(rate float64) string { return fmt.Sprintf("-R %d", int64(rate*8/1024)) }

func (f *facts) checkInterface() finding {
	x := finding{name: "interface", text: fmt.Sprintf("%s, %v", f.iface.Name, f.iface.Addr)}
	switch {
	case f.iface.Loopback:
		x.text += ", loopback: no other machine hears it"
		x.fix = "uftp-doctor -I INTERFACE"
	case f.iface.NoCarrier:
		x.text = fmt.Sprintf("%s, %v, no carrier, so it sends nothing", f.iface.Name, f.iface.Addr)
		x.fix = "plug in the cable or join the network, or use another interface (-I)"
	case f.linkRate == 0:
		x.text += ", speed unknown"
	case f.rate > f.linkRate:
		x.text += fmt.Sprintf(", %s, less than the rate of %s", mbit(f.linkRate), mbit(f.rate))
		x.fix = "uftp " + kbps(0.95*f.linkRate)
	default:
		x.text += ", " + mbit(f.linkRate)
	}
	return x
}

func (f *facts) checkMulticast() finding {
	x := finding{name: "multicast", text: f.iface.Name + " supports multicast"}
	switch {
	case !f.to.IsMulticast():
		x.text = fmt.Sprintf("not needed for %v", f.to)
	case !f.iface.Multicast:
		x.text = f.iface.Name + " has no multicast flag"
		x.fix = "ip link set dev " + f.iface.Name + " multicast on"
	}
	return x
}

func (f *facts) checkRoute() finding {
	x := finding{name: "route", text: fmt.Sprintf("to %v from %v", f.to, f.routeFrom)}
	switch {
	case f.routeErr != nil:
		x.text = fmt.Sprintf("to %v: %s", f.to, cli.ErrText(f.routeErr))
		x.fix = fmt.Sprintf("ip route add %v dev %s", f.to, f.iface.Name)
		if f.to.IsMulticast() {
			x.fix = fmt.Sprintf("ip link set dev %s up, and an address for it; or -I INTERFACE", f.iface.Name)
		}
	case f.routeBy != "" && f.routeBy != f.iface.Name:
		x.text += fmt.Sprintf(" by %s, not by %s", f.routeBy, f.iface.Name)
		x.fix = fmt.Sprintf("ip route add %v dev %s, or uftp-doctor -I %s", f.to, f.iface.Name, f.routeBy)
	}
	return x
}

func (f *facts) checkGroup() finding {
	x := finding{name: "membership", text: fmt.Sprintf("%v can be joined on %s", f.to, f.iface.Name)}
	switch {
	case !f.to.IsMulticast():
		x.text = fmt.Sprintf("not needed for %v", f.to)
	case f.socketErr != nil:
		x.text = "not tried: no socket"
	case f.joinErr != nil:
		x.text = fmt.Sprintf("%v cannot be joined on %s: %s", f.to, f.iface.Name, cli.ErrText(f.joinErr))
		x.fix = "ip link set dev " + f.iface.Name + " up multicast on; sysctl -w net.ipv4.igmp_max_memberships=1000"
	}
	return x
}

func (f *facts) checkTTL() finding {
	x := finding{name: "ttl", text: fmt.Sprintf("%d: multicast crosses %s at most", f.ttl, cli.Count(f.ttl-1, "router"))}
	switch {
	case !f.to.IsMulticast():
		x.text = fmt.Sprintf("not needed for %v", f.to)
	case f.ttl > 1 && (localGroups.Contains(f.to) || f.to.IsLinkLocalMulticast() || f.to.IsInterfaceLocalMulticast()):
		x.text = fmt.Sprintf("%d, but %v stays in its network", f.ttl, f.to)
		x.fix = "uftp -M 230.4.4.1, and the same for uftpd"
		if f.to.Is6() {
			x.fix = "uftp -M ff05::1:2:3 -P ff05::1:2:4, and -M for uftpd"
		}
	case f.ttl == 1:
		x.text = "1: multicast stays in this network (-t 2 and more crosses routers)"
	}
	return x
}

func (f *facts) checkMTU() finding {
	x := finding{name: "mtu", text: fmt.Sprintf("%d bytes, a block of %d bytes makes packets of %d", f.mtu, f.block, f.packet)}
	if f.packet <= f.mtu {
		return x
	}
	x.text += ": they are cut into fragments, and all are lost with one"
	fits := f.block - (f.packet - f.mtu)
	fits -= fits % 4
	x.fix = fmt.Sprintf("ip link set dev %s mtu 9000, on all machines and switches", f.iface.Name)
	if fits >= wire.MinBlockSize {
		x.fix = fmt.Sprintf("uftp -b %d, or ", fits) + x.fix
	}
	return x
}

func (f *facts) checkReceiveBuffer() finding {
	need := int(min(f.rate*bufferTime.Seconds(), bufferMax))
	x := finding{name: "receive", text: fmt.Sprintf("buffer of %d KiB, %v at the rate", f.rcvBuf>>10, timeOf(f.rcvBuf, f.rate))}
	switch {
	case f.rcvBuf < f.wantBuf:
		x.text += fmt.Sprintf("; %d KiB were asked for", f.wantBuf>>10)
		x.fix = bufferFix(f.linuxHints, "rmem_max", f.wantBuf)
	case f.rcvBuf < need:
		x.text += fmt.Sprintf(": less than %v", bufferTime)
		x.fix = fmt.Sprintf("uftpd -B %d", need)
	}
	return x
}

func (f *facts) checkSendBuffer() finding {
	x := finding{name: "send", text: fmt.Sprintf("buffer of %d KiB", f.sndBuf>>10)}
	if f.sndBuf < f.wantBuf && f.sndBuf < 1<<20 { // more than that does not make sending faster
		x.text += fmt.Sprintf("; %d KiB were asked for", f.wantBuf>>10)
		x.fix = bufferFix(f.linuxHints, "wmem_max", f.wantBuf)
	}
	return x
}

func bufferFix(linux bool, setting string, bytes int) string {
	if linux {
		return fmt.Sprintf("sysctl -w net.core.%s=%d, or run as root", setting, bytes)
	}
	return fmt.Sprintf("raise the system's limit of socket buffers (kern.ipc.maxsockbuf) to %d", 2*bytes)
}

// timeOf returns how long bytes last at a rate.
func timeOf(bytes int, rate float64) time.Duration {
	return time.Duration(float64(bytes) / rate * 1e9).Round(100 * time.Microsecond)
}

func (f *facts) checkOffload() finding {
	x := finding{name: "offload", text: "large sends are cut (GSO) and datagrams joined (GRO) by the kernel"}
	switch {
	case f.trainErr != nil:
		x.text = "large sends fail here: " + cli.ErrText(f.trainErr)
		x.fix = "uftp --no-gso, uftpd --no-gro"
	case !f.gso && !f.gro:
		x.text = "neither GSO nor GRO: several times slower with small blocks"
		x.fix = "a Linux kernel of 5.0 or later, or larger blocks (-b 8800) with an MTU of 9000"
	case !f.gso || !f.gro:
		x.text = "GSO " + yes(f.gso) + ", GRO " + yes(f.gro)
		x.fix = "a Linux kernel of 5.0 or later"
	}
	return x
}

func yes(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

func (f *facts) checkProcessors() finding {
	x := finding{name: "processors", text: fmt.Sprint(f.cpus)}
	if f.cpus < 2 {
		x.text += ": reading, sealing and sending share one"
		x.fix = "run other work with nice, or use a machine with two processors or more"
	}
	return x
}

func (f *facts) checkCipher() finding {
	x := finding{name: "cipher", text: fmt.Sprintf("none; the processor has %s", f.processor)}
	if f.cipher == "none" {
		return x
	}
	x.text = fmt.Sprintf("%s, %s on one processor", f.cipher, mbit(f.sealRate))
	switch {
	case f.cipherErr != nil:
		x.text = f.cipher + ": " + f.cipherErr.Error()
		x.fix = "uftp -Y aes256-gcm"
	case !f.helped:
		x.text += ", without the help of the processor"
		x.fix = "uftp -Y aes256-gcm, on a processor with AES instructions"
	case f.sealRate < f.rate && f.cpus > 2 && f.sealRate*float64(f.cpus-1) >= f.rate:
		x.text += ", less than the rate"
		x.fix = fmt.Sprintf("uftp --workers %d", int(f.rate/f.sealRate)+1)
	case f.sealRate < f.rate:
		x.text += ", less than the rate"
		x.fix = "uftp " + kbps(0.9*f.sealRate*float64(max(1, f.cpus-1))) + ", or -Y aes128-gcm"
	}
	return x
}

func (f *facts) checkDisk() finding {
	x := finding{name: "disk", text: fmt.Sprintf("%s accepts %s", f.dest, mbit(f.diskRate))}
	switch {
	case f.diskErr != nil:
		x.text = fmt.Sprintf("%s: %s", f.dest, cli.ErrText(f.diskErr))
		x.fix = "mkdir -p " + f.dest + ", and check its permissions"
	case f.diskRate < f.rate:
		x.text += fmt.Sprintf(", less than the rate of %s", mbit(f.rate))
		x.fix = "uftp " + kbps(0.9*f.diskRate) + ", or uftpd -D on a faster disk"
	}
	return x
}
