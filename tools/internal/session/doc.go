// Package session finds the sessions in a capture: it takes datagrams apart,
// assigns them to sessions, opens what is sealed as far as keys are known, and
// names every field of every message.
//
// # Contract
//
// [NewDecoder] reads a capture and [Decoder.Next] yields one [Message] after the
// other, in the order of capture, whatever is wrong with it: what cannot be parsed
// or opened says so in Message.Err. Only damage of the capture itself is an error
// of Next. [Fields] and its kin turn a message into named values.
//
// Memory is bounded, whatever the capture: [sessionsMax] sessions, of each the
// layout of the last [layoutsMax] files, and the keys of at most [peersMax] hosts.
// A session more pushes out the one that was silent for longest, which is told
// first.
//
// # Keys
//
// A session is opened with its entry of a key log (docs/keylog.md), or, if its
// key exchange is RSA, with the private key that its premasters were encrypted
// for. With ECDH the exchange keys are gone, and only the key log helps.
//
// # Limits
//
// Protocol version 4. Signatures of hosts whose keys the capture does not show, or
// that cannot be used here, are not checked; Message.Unchecked tells.
package session
