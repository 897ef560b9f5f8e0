package pcap

// Link types that are read, as numbered in both formats: what a frame begins with.
// Some systems write the number of raw IP as 12 or 14 into classic captures.
const (
	LinkNull     = 0   // BSD loopback, address family in the byte order of the writer
	LinkEthernet = 1   //
	LinkRawBSD   = 12  // raw IP
	LinkRawOpen  = 14  // raw IP
	LinkRaw      = 101 // raw IP
	LinkLoop     = 108 // OpenBSD loopback, address family in network order
	LinkSLL      = 113 // Linux cooked
	LinkIPv4     = 228
	LinkIPv6     = 229
	LinkSLL2     = 276 // Linux cooked, version 2
)

func knownLink(link uint16) bool {
	switch link {
	case LinkNull, LinkEthernet, LinkRawBSD, LinkRawOpen, LinkRaw, LinkLoop, LinkSLL, LinkIPv4, LinkIPv6, LinkSLL2:
		return true
	}
	return false
}
