package wire

import (
	"bytes"
	"reflect"
	"testing"
)

// FuzzParse feeds datagrams to the parser of the message they claim to be. What
// parses must append to something no longer than itself that means the same and
// appends to itself. The corpus in testdata holds every message and extension.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, p []byte) {
		line := Describe(p)
		for _, c := range line {
			if c < ' ' {
				t.Errorf("Describe lets a control character through: %q", line)
			}
		}
		h, msg, err := ParseHeader(p)
		if err != nil {
			return
		}
		if !bytes.Equal(h.Append(nil)[:HeaderLen-1], p[:HeaderLen-1]) {
			t.Errorf("common header of %x does not come back", p)
		}
		first, err := roundTrip(h.Func, msg, nil)
		if err != nil {
			return
		}
		if len(first) > len(msg) {
			t.Errorf("%x appends to %d bytes, more than it came as", p, len(first))
		}
		again, err := roundTrip(h.Func, first, nil)
		if err != nil || !bytes.Equal(again, first) {
			t.Errorf("%x: %v; appended as\n%x\nand then as\n%x", p, err, first, again)
		}
		want, _ := view(h.Func, msg)
		got, _ := view(h.Func, first)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%x means\n%+v\nbefore it is appended and\n%+v\nafter", p, want, got)
		}
		lists(want)
	})
}

// lists walks the lists of a view, which index into the packet.
func lists(x any) {
	switch x := x.(type) {
	case Announce:
		walk(x.Hosts)
	case HostList:
		walk(x.Hosts)
	case KeyInfo:
		for i := range x.Len() {
			x.At(i)
		}
	case CongCtrl:
		for i := range x.Len() {
			x.At(i)
		}
	}
}

func walk(l UIDList) {
	for i := range l.Len() {
		if !l.Contains(l.At(i)) {
			panic("a list does not contain its entry")
		}
	}
}
