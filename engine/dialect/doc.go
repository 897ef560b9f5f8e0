// Package dialect is how one session speaks: which of its messages travel inside ENCRYPTED, how
// they are sealed and opened, and which messages count in clear although there are keys. The
// machines decide what to say and when; they ask a dialect how.
//
// A session has two sides. A [Server] is that of a sender, or of a relay towards its receivers; a
// [Client] is that of a receiver, or of a relay towards the sender. Each wraps its side of package
// handshake, and speaks one of
//
//	version 4 in clear    no handshake: nothing is sealed, everything counts
//	version 4 encrypted   one key for the whole group, from the handshake of version 4
//
//	             Server                        Client
//	clear        ANNOUNCE, REG_CONF, KEYINFO   REGISTER, CLIENT_KEY
//	either       ABORT                         ABORT
//	sealed       everything else               everything else, once there are keys
//
// The machine begins a packet with Begin, appends the message, and completes it with Finish. It
// passes sealed packets to Open and decides what the message means. Each side counts all packets
// that it seals in one sequence, in the order in which they leave.
//
// # Keys of a client
//
// KEYINFO is in clear and proves nothing, so a client may hold several sets of keys that contradict
// each other. The first packet of the sender that one of them opens proves that set; the others
// are wiped. [Client.Proved] says so.
//
// # Keys for each source
//
// In version 4 the packets of all members open with the same key; only signatures have one for each
// host. [Server.Open] takes the state of the host that is said to have sent the packet, and finds
// there what it needs. Where each host has its own keys (version 5, relays) a session has an opener
// for each source: package seal finds keys by session and source already.
//
// # Version 5
//
// Version 5 is not built. Its key schedule belongs in package handshake. Here and in the machines it
// changes this:
//
//   - A Peer gets openers of its own. CLIENT_KEY comes sealed, before its host has the keys of the
//     session, so the sender must hand Open what comes from any host that has registered.
//   - KEYINFO is signed: Finish signs it as it does ANNOUNCE, and [Client.TakeKeyInfo], which has
//     the datagram, verifies it. That proves the keys, before a packet has opened with them.
//   - The client seals CLIENT_KEY with keys of the handshake: sealing gives it another set.
//   - Both machines must drop a datagram of another version than that of its session.
//   - An opened packet proves which host has sent it, as signatures do in version 4; but opening
//     costs little. The sender asks Signed about both, so that becomes two questions.
//
// # Limits
//
//   - A member of a group can pretend to be another one, unless packets are signed (KEYEX): the
//     key proves that a member sealed a packet. The machines check addresses as well.
//   - Public-key work is not limited here. [Client.FailureCostUs] and the costs of package handshake
//     let a machine limit it.
//   - A dialect belongs to the goroutine of its machine; only [Server.NewPacker] and
//     [Client.NewOpener] make something for other goroutines.
package dialect
