package seal

import (
	"bytes"
	"testing"

	"uftp/crypto/aead"
	"uftp/wire"
)

// member is a source in a session, with a key of its own.
type member struct {
	group    uint32
	instance uint8
	source   wire.UID
	number   uint64
	keys     aead.Keys
}

// members are two sources in each of three sessions, two of which have the same group.
func members() (list []member) {
	for i, k := range []string{"GCM", "CCM", "CBC", "GCM", "CCM", "CBC"} {
		keys := suites[k]
		keys.Key = bytes.Clone(keys.Key)
		keys.Key[0] = byte(i + 1)
		list = append(list, member{uint32(testGroup + i/4), uint8(i / 2), wire.UID(7 + i%2), uint64(i + 1), keys})
	}
	return list
}

func (m *member) key(t testing.TB) *Key {
	return &Key{Number: m.number, Group: m.group, Instance: m.instance, Source: m.source, Opener: openerOf(t, m.keys)}
}

// packets returns a train of the member.
func (m *member) packets(t testing.TB) [][]byte {
	x := testTrain(t, wire.FuncFileSeg)
	x.Head.Group, x.Head.Instance, x.Head.Src = m.group, m.instance, m.source
	pkts, _ := pack(t, NewPacker(sealerOf(t, m.keys), blockSize, false), x)
	return pkts
}

// TestUnsealerKeepsApart has several keys in a session come and go: each packet is opened
// with the key of its session and source, and is left alone without one.
func TestUnsealerKeepsApart(t *testing.T) {
	u := new(Unsealer)
	all := members()
	for i := range all {
		u.Add(all[i].key(t))
	}
	gone := map[uint8]bool{}
	for _, remove := range []int{-1, 1, 0, 2} {
		if remove >= 0 {
			u.Remove(all[2*remove].group, all[2*remove].instance)
			u.Remove(all[2*remove].group, all[2*remove].instance)
			gone[all[2*remove].instance] = true
		}
		var pkts, before [][]byte
		var from []*member
		trains := make([][][]byte, len(all))
		for i := range all {
			trains[i] = all[i].packets(t)
		}
		for n := range trains[0] {
			for i := range all { // runs of one and two
				take := 1 + (n+i)%2
				for _, pkt := range trains[i][:min(take, len(trains[i]))] {
					pkts, from = append(pkts, pkt), append(from, &all[i])
				}
				trains[i] = trains[i][min(take, len(trains[i])):]
			}
		}
		for _, pkt := range pkts {
			before = append(before, bytes.Clone(pkt))
		}
		marks := make([]Mark, len(pkts))
		u.Unseal(pkts, marks)
		for i, m := range marks {
			switch f := from[i]; {
			case gone[f.instance] && (m.Key != 0 || !bytes.Equal(pkts[i], before[i])):
				t.Fatalf("a packet of %x/%d was touched after its keys were removed", f.group, f.instance)
			case !gone[f.instance] && (m.Key != f.number || m.Msg == nil || wire.Func(m.Msg[0]) != wire.FuncFileSeg):
				t.Fatalf("a packet of %v in %x/%d: tried with key %d, want %d and that it opens", f.source, f.group, f.instance, m.Key, f.number)
			}
		}
	}
	if u.Len() != 0 || len(u.place) != 0 || u.recent != nil {
		t.Errorf("%d keys left, want none", u.Len())
	}
}

// TestUnsealerLeavesAlone: what has been tried, what is no sealed packet, and what comes from
// a source without a key stays as it is. What is not authentic is marked.
func TestUnsealerLeavesAlone(t *testing.T) {
	m := members()[0]
	u := new(Unsealer)
	u.Add(m.key(t))
	good := m.packets(t)
	clear, _ := pack(t, NewPacker(nil, blockSize, false), testTrain(t, wire.FuncFileSeg))
	stranger := bytes.Clone(good[0])
	stranger[7]++
	bad := bytes.Clone(good[1])
	bad[len(bad)-1]++
	tried := Mark{Key: 99}
	pkts := [][]byte{clear[0], stranger, bytes.Clone(good[2]), bad, good[3][:wire.HeaderLen], nil, good[4]}
	marks := []Mark{{}, {}, tried, {}, {}, {}, {}}
	u.Unseal(pkts, marks)
	for i, want := range []uint64{0, 0, 99, m.number, 0, 0, m.number} {
		if marks[i].Key != want || (marks[i].Msg != nil) != (i == 6) {
			t.Errorf("packet %d: tried with key %d, opened %v; want key %d, and the last one opened", i, marks[i].Key, marks[i].Msg != nil, want)
		}
	}
	if !bytes.Equal(pkts[2], good[2]) {
		t.Error("a packet that was tried before has changed")
	}
}

// TestReplayIsNotOpened: a key with a window leaves counters alone that have come before.
func TestReplayIsNotOpened(t *testing.T) {
	m := members()[0]
	u := new(Unsealer)
	k := m.key(t)
	k.Replay = new(aead.Window)
	u.Add(k)
	pkts := m.packets(t)
	counter, ok := wire.Counter(pkts[2])
	if !ok || counter != 79 {
		t.Fatalf("counter %d, %v; want 79", counter, ok)
	}
	k.Replay.Mark(counter)
	marks := make([]Mark, len(pkts))
	u.Unseal(pkts, marks)
	for i := range marks {
		if opened := marks[i].Msg != nil; opened != (i != 2) {
			t.Errorf("packet %d is opened: %v, want all but the one whose counter has come", i, opened)
		}
	}
}

// TestReplacedKey: a new key takes the place of the old one of the same source.
func TestReplacedKey(t *testing.T) {
	m := members()[0]
	u := new(Unsealer)
	u.Add(m.key(t))
	m.number, m.keys.Key = 50, bytes.Repeat([]byte{9}, 32)
	u.Add(m.key(t))
	marks := make([]Mark, 1)
	u.Unseal(m.packets(t)[:1], marks)
	if u.Len() != 1 || marks[0].Key != 50 || marks[0].Msg == nil {
		t.Errorf("%d keys, %d was used; want the new one alone", u.Len(), marks[0].Key)
	}
}

// TestUnsealAllocatesNothing: it opens as long as sessions last.
func TestUnsealAllocatesNothing(t *testing.T) {
	all := members()
	u := new(Unsealer)
	var pkts [][]byte
	for i := range all {
		u.Add(all[i].key(t))
		pkts = append(pkts, all[i].packets(t)...)
	}
	marks := make([]Mark, len(pkts))
	if n := testing.AllocsPerRun(20, func() {
		clear(marks)
		u.Unseal(pkts, marks) // after the first time nothing is authentic, which takes as long
	}); n != 0 {
		t.Errorf("%v allocations for %d packets, want none", n, len(pkts))
	}
}
