package main

import (
	"testing"

	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/sender"
	"uftp/engine/store"
)

// TestLeavers: receivers that left when a file was given up get the others in a
// new session, as long as there are others and each session gives up another file.
func TestLeavers(t *testing.T) {
	offered := func(path string, given bool) []machine.Event {
		return []machine.Event{engine.Offered{Entry: store.Entry{Path: path}}, sender.FileEnded{GivenUp: given}}
	}
	res := &engine.SendResult{SessionEnded: sender.SessionEnded{
		Clients: []sender.Client{{UID: 1, Name: "a"}, {UID: 2, Name: "b"}}, Left: []int{1},
	}}
	for _, c := range []struct {
		why    string
		events []machine.Event
		again  *leavers
		res    *engine.SendResult
		want   int // paths left out; 0 = no session
	}{
		{"a file was given up, another one is there", append(offered("x", true), offered("y", false)...), nil, res, 1},
		{"the others were not tried", append(offered("x", true), engine.NotTried{Path: "y"}), nil, res, 1},
		{"there is no other file", offered("x", true), nil, res, 0},
		{"nothing was given up", offered("y", false), nil, res, 0},
		{"nobody has left", append(offered("x", true), offered("y", false)...), nil, &engine.SendResult{}, 0},
		{"again, another one", append(offered("x", true), offered("y", false)...), &leavers{without: map[string]bool{"w": true}}, res, 2},
		{"again, none", offered("y", false), &leavers{without: map[string]bool{"w": true}}, res, 0},
	} {
		g := newGivenUp(c.again)
		for _, ev := range c.events {
			g.hear(ev)
		}
		x := g.leavers(c.res)
		switch {
		case c.want == 0 && x != nil:
			t.Errorf("%s: another session for %v", c.why, x.hosts)
		case c.want > 0 && (x == nil || len(x.without) != c.want || !x.without["x"] || len(x.hosts) != 1 || x.hosts[0].UID != 2):
			t.Errorf("%s: %+v", c.why, x)
		}
	}
}

// TestVerdict: the first session gives the exit code. That everybody has left with a file
// that was given up is no lack of answers.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		first sender.Exit
		left  *leavers
		want  sender.Exit
	}{
		{sender.ExitOK, nil, sender.ExitOK},
		{sender.ExitOK, new(leavers), sender.ExitOK},
		{sender.ExitNoFileInfo, nil, sender.ExitNoFileInfo},
		{sender.ExitNoFileInfo, new(leavers), sender.ExitNoFile},
		{sender.ExitNoFile, new(leavers), sender.ExitNoFile},
	} {
		if got := verdict(int(c.first), c.left); got != int(c.want) {
			t.Errorf("%v, left %v: exit code %d, want %d", c.first, c.left != nil, got, c.want)
		}
	}
}
