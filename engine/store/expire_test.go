package store

import (
	"testing"
	"time"
)

// TestExpire: Expire removes what has not changed for long, and nothing else.
func TestExpire(t *testing.T) {
	const old, limit, fresh = 1_000_000, 2_000_000, 3_000_000
	h := newHall(t, withTemp)
	g := func(rest string) string { return "temp/_group_" + rest }
	for _, x := range []struct {
		name  string // a directory if it ends with a slash
		stamp int64
	}{
		{g("0000000A/d/"), old}, // all of it is old, whatever its sender's clock says
		{g("0000000A/d/whole"), fresh},
		{g("0000000A/d/part" + ".~uftp-0000000A-0001"), old},
		{g("0000000A_restart"), old},
		{g("0000000A/"), old},

		{g("0000000B/"), old}, // the record was written a moment ago
		{g("0000000B_restart"), fresh},

		{g("0000000C/d/"), fresh}, // something came into a directory
		{g("0000000C/"), old},

		{g("0000000D/f.~uftp-0000000D-0001"), fresh}, // a file is being received
		{g("0000000D/"), old},

		{g("0000000E_restart"), old}, // records alone
		{g("0000000F_restart"), fresh},

		{g("00000010_expired/f"), fresh}, // the receiver that removed it was killed

		{g("00000011_done/f"), old}, // is moved at the next start
		{g("00000011_done/"), old},

		{"temp/mine/_group_00000012_restart", old}, // not ours
		{"temp/mine/", old},
		{"temp/_group_12/", old},
		{"temp/_group_0000000G/", old},
		{"temp/_group_00000013", old}, // no directory
	} {
		if x.name[len(x.name)-1] == '/' {
			h.mkdir(x.name)
			h.stamp(x.name, x.stamp)
			continue
		}
		h.write(x.name, "x", x.stamp)
	}
	// Creating the entries has changed the directories.
	for name, stamp := range map[string]int64{"0000000A/d": old, "0000000A": old, "0000000B": old, "0000000C/d": fresh, "0000000C": old, "0000000D": old} {
		h.stamp(g(name), stamp)
	}
	h.link("mine", g("00000014"))

	gone := map[string]bool{}
	for _, x := range h.k.Expire(time.Unix(limit, 0)) {
		if x.Err != nil {
			t.Error(x.Path, x.Err)
		}
		gone[x.Path] = true
	}
	for _, name := range []string{"0000000A", "0000000E_restart", "00000010_expired"} {
		if !gone[h.at(g(name))] {
			t.Errorf("%s was not reported: %v", name, gone)
		}
	}
	if len(gone) != 3 {
		t.Errorf("reported %v, want three", gone)
	}
	h.wantTree("temp", "what is left",
		"_group_0000000B/", "_group_0000000B_restart = x",
		"_group_0000000C/", "_group_0000000C/d/",
		"_group_0000000D/", "_group_0000000D/f.~uftp-0000000D-0001 = x",
		"_group_0000000F_restart = x",
		"_group_00000011_done/", "_group_00000011_done/f = x",
		"_group_0000000G/", "_group_12/", "_group_00000013 = x", "_group_00000014 -> mine",
		"mine/", "mine/_group_00000012_restart = x")
}

// TestExpireLetsSessionsBe: a session under way is not touched, and one that was cut a
// moment ago is resumed as usual.
func TestExpireLetsSessionsBe(t *testing.T) {
	h := newHall(t, withTemp)
	text := body(4 * testBlock)
	f, left := h.cut(h.file("f", text), text, 1)
	if list := h.k.Expire(time.Now().Add(-time.Hour)); len(list) != 0 {
		t.Errorf("%v of a session under way", list)
	}
	if err := f.Abandon(left); err != nil {
		t.Fatal(err)
	}
	h.end(false)
	if list := h.k.Expire(time.Now().Add(-time.Hour)); len(list) != 0 {
		t.Errorf("%v of a session that was just cut", list)
	}
	h.begin(1)
	req := h.resume(h.file("f", text))
	a, f := h.s.Open(req)
	if f == nil || !a.Partial {
		t.Fatalf("%+v, want the part that is here", a)
	}
	h.finishRest(a, f, req, text)
	h.end(true)
	h.wantTree("dest", "the session is whole", "f = 4000 bytes")
}
