package session

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"slices"

	"uftp/engine/block"
	"uftp/pcap"
	"uftp/pcap/frames"
	"uftp/wire"
)

// ErrForeign says that a datagram is not UFTP version 4.
var ErrForeign = errors.New("not UFTP version 4")

// Message is one datagram of a capture.
type Message struct {
	pcap.Datagram
	Head      wire.Header // with the function of what was inside, if it was opened
	Msg       []byte      // from the function byte on; nil if there is an error
	Sealed    bool        // it came inside ENCRYPTED
	Counter   uint64      // of ENCRYPTED
	Unchecked bool        // its signature was not checked
	Session   *Session    // nil for heartbeats and foreign datagrams
	Err       error       // why Msg is nil
}

// Decoder takes the messages out of one capture. Not for concurrent use.
type Decoder struct {
	// Ended is called for a session that is removed because there are too many.
	Ended func(*Session)

	r        *frames.Reader
	keys     *Keys
	sessions map[ID]*Session
}

// NewDecoder reads the head of a capture; its errors are those of package pcap.
func NewDecoder(r io.Reader, keys *Keys) (*Decoder, error) {
	p, err := frames.NewReader(r)
	if err != nil {
		return nil, err
	}
	return &Decoder{r: p, keys: keys, sessions: map[ID]*Session{}}, nil
}

// Stats returns what was found in the capture so far.
func (d *Decoder) Stats() frames.Stats { return d.r.Stats() }

// Sessions returns the sessions known at present, by their first messages.
func (d *Decoder) Sessions() []*Session {
	return slices.SortedFunc(maps.Values(d.sessions), func(a, b *Session) int {
		if c := a.First.Compare(b.First); c != 0 {
			return c
		}
		if c := cmp.Compare(a.Group, b.Group); c != 0 {
			return c
		}
		return int(a.Instance) - int(b.Instance)
	})
}

// Next returns the next message. It fails as [frames.Reader.Next] does: with io.EOF
// at the end, and after [frames.ErrSuper] it can be called again.
func (d *Decoder) Next() (Message, error) {
	dg, err := d.r.Next()
	if err != nil {
		return Message{}, err
	}
	m := Message{Datagram: dg}
	h, msg, err := wire.ParseHeader(dg.Payload)
	if err != nil {
		m.Err = ErrForeign
		if err == wire.ErrShort {
			m.Err = err
		}
		return m, nil
	}
	m.Head, m.Msg = h, msg
	if h.Group != 0 {
		m.Session = d.session(&m)
	}
	if h.Func == wire.FuncEncrypted {
		m.Msg, m.Sealed = nil, true
		x, err := wire.ParseEncrypted(msg)
		if err != nil {
			m.Err = err
			return m, nil
		}
		m.Counter = x.Counter
		if m.Session == nil {
			m.Err = ErrNoKeys
			return m, nil
		}
		if m.Msg, m.Unchecked, m.Err = m.Session.vault.open(dg.Payload, &x); m.Err != nil {
			return m, nil
		}
		m.Head.Func = wire.Func(m.Msg[0])
	} else if wire.Func(msg[0]) != h.Func {
		m.Msg, m.Err = nil, wire.ErrFunc
		return m, nil
	}
	if m.Session != nil {
		m.Session.learn(&m)
	}
	return m, nil
}

// session finds or begins the session of m.
func (d *Decoder) session(m *Message) *Session {
	id := ID{m.Head.Group, m.Head.Instance}
	s := d.sessions[id]
	if s == nil {
		if len(d.sessions) >= sessionsMax {
			d.evict()
		}
		s = &Session{ID: id, First: m.Time, layouts: map[uint16]*block.Layout{}}
		if d.keys != nil {
			s.vault.private = d.keys.Private
			for _, x := range d.keys.logged[id] {
				s.vault.add(x)
			}
		}
		d.sessions[id] = s
	}
	s.Last = m.Time
	return s
}

func (d *Decoder) evict() {
	var oldest *Session
	for _, s := range d.sessions {
		if oldest == nil || s.Last.Before(oldest.Last) {
			oldest = s
		}
	}
	delete(d.sessions, oldest.ID)
	if d.Ended != nil {
		d.Ended(oldest)
	}
}

// learn notes what is needed to parse later messages.
func (s *Session) learn(m *Message) {
	switch m.Head.Func {
	case wire.FuncAnnounce:
		if x, err := wire.ParseAnnounce(m.Head.Version, m.Msg); err == nil {
			s.announce(m, &x)
		}
	case wire.FuncRegister:
		if x, err := wire.ParseRegister(m.Head.Version, m.Msg); err == nil {
			s.vault.register(m.Head.Src, &x)
		}
	case wire.FuncClientKey:
		if x, err := wire.ParseClientKey(m.Msg); err == nil {
			s.vault.addPeer(m.Head.Src, x.PublicKey)
		}
	case wire.FuncProxyKey:
		if x, err := wire.ParseProxyKey(m.Head.Version, m.Msg); err == nil {
			s.vault.addPeer(m.Head.Src, x.PublicKey)
		}
	case wire.FuncKeyInfo:
		if x, err := wire.ParseKeyInfo(m.Head.Version, m.Msg); err == nil {
			s.vault.keyInfo(m.Head.Src, &x)
		}
	case wire.FuncFileInfo:
		if x, err := wire.ParseFileInfo(m.Head.Version, m.Msg); err == nil {
			s.fileInfo(&x)
		}
	}
}
