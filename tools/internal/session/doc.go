// Package session finds the sessions in a capture: it parses datagrams, assigns them to
// sessions, opens sealed ones if the keys are known, and names every field of every
// message.
//
// # Contract
//
// [NewDecoder] reads a capture, and [Decoder.Next] returns one [Message] after the other in
// the order of capture. Message.Err says why a message could not be parsed or opened. Next
// fails only if the capture itself is damaged. [Message.HeadFields] and
// [Message.BodyFields] turn a message into named values.
//
// Memory is bounded for any capture: [sessionsMax] sessions, the layout of the last
// [layoutsMax] files of each, and the keys of at most [peersMax] hosts. One session more
// removes the one that was silent for longest; Decoder.Ended is called for it.
//
// # Keys
//
// A session is opened with its entry of a key log (docs/keylog.md), or, if its
// key exchange is RSA, with the private key that its premasters were encrypted
// for. With ECDH the exchange keys are lost, and only the key log helps.
//
// # Limits
//
// Protocol version 4. A signature is not checked if the capture does not show the host's
// key or the key cannot be used here; Message.Unchecked says so.
package session
