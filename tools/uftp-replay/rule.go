package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"

	"uftp/tools/internal/session"
	"uftp/wire"
)

// rule picks messages: all its conditions must hold.
type rule struct {
	checks  []func(*session.Message) bool
	nth     int     // every nth of those, 0 = all
	percent float64 // of those, by chance; 100 = all
	seen    int
}

const ruleHelp = `A RULE is KEY=VALUE,KEY=VALUE...; all must hold:
packet=A-B    numbers in the capture
func=NAME     message, such as FILESEG or STATUS; a sealed
              one counts if the keys open it
uid=UID       source UID, such as 0x0A500001
from=ADDRESS  source address
to=ADDRESS    destination address
file=N, section=A-B, block=A-B
              of FILESEG, DONE, STATUS, ...
nth=N         every Nth of the packets that match
percent=P     P percent of them by chance (--seed)
A-B may be one number.`

// parseRule reads a rule.
func parseRule(text string) (*rule, error) {
	r := &rule{percent: 100}
	for _, part := range strings.Split(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		check, err := r.condition(key, value)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", text, err)
		}
		if check != nil {
			r.checks = append(r.checks, check)
		}
	}
	return r, nil
}

// addRule returns a Set that adds a rule to a list.
func addRule(list *[]*rule) func(string) error {
	return func(text string) error {
		r, err := parseRule(text)
		if err == nil {
			*list = append(*list, r)
		}
		return err
	}
}

// condition reads one condition. It returns no check for nth and percent, which it keeps.
func (r *rule) condition(key, value string) (func(*session.Message) bool, error) {
	switch key {
	case "packet":
		lo, hi, err := span(value)
		return func(m *session.Message) bool { return lo <= m.Frame && m.Frame <= hi }, err
	case "func":
		for f := wire.FuncAnnounce; f <= wire.FuncCCAck; f++ {
			if f.String() == strings.ToUpper(value) {
				return func(m *session.Message) bool { return m.Head.Func == f }, nil
			}
		}
		return nil, fmt.Errorf("no message %q", value)
	case "uid":
		u, err := parseUID(value)
		return func(m *session.Message) bool { return m.Head.Src == u }, err
	case "from":
		a, err := netip.ParseAddr(value)
		return func(m *session.Message) bool { return m.Src.Addr() == a }, err
	case "to":
		a, err := netip.ParseAddr(value)
		return func(m *session.Message) bool { return m.Dst.Addr() == a }, err
	case "file", "section", "block":
		lo, hi, err := span(value)
		return func(m *session.Message) bool {
			n, ok := place(m, key)
			return ok && lo <= n && n <= hi
		}, err
	case "nth":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a number from 1 on", value)
		}
		r.nth = n
		return nil, nil
	case "percent":
		p, err := strconv.ParseFloat(value, 64)
		if err != nil || !(p >= 0 && p <= 100) {
			return nil, fmt.Errorf("%q is not a percentage", value)
		}
		r.percent = p
		return nil, nil
	}
	return nil, fmt.Errorf("no condition %q", key)
}

// matches reports whether the rule picks m, and counts it.
func (r *rule) matches(m *session.Message, rnd *rand.Rand) bool {
	for _, c := range r.checks {
		if !c(m) {
			return false
		}
	}
	r.seen++
	if r.nth > 0 && r.seen%r.nth != 0 {
		return false
	}
	return r.percent == 100 || rnd.Float64()*100 < r.percent
}

// span reads A-B or A.
func span(text string) (lo, hi int, err error) {
	a, b, two := strings.Cut(text, "-")
	if lo, err = strconv.Atoi(a); err != nil {
		return 0, 0, fmt.Errorf("%q is not a number", a)
	}
	if hi = lo; two {
		if hi, err = strconv.Atoi(b); err != nil || hi < lo {
			return 0, 0, fmt.Errorf("%q is not a range", text)
		}
	}
	return lo, hi, nil
}

// parseUID reads a UID in hex, with or without 0x.
func parseUID(text string) (wire.UID, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(text), "0x"), 16, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a UID", text)
	}
	return wire.UID(n), nil
}

// place returns the number of the file, section or block that a message is about.
func place(m *session.Message, key string) (int, bool) {
	var file, section, block = -1, -1, -1
	switch {
	case m.Msg == nil:
	case m.Head.Func == wire.FuncFileInfo:
		if x, err := wire.ParseFileInfo(m.Head.Version, m.Msg); err == nil {
			file = int(x.FileID)
		}
	case m.Head.Func == wire.FuncFileInfoAck:
		if x, err := wire.ParseFileInfoAck(m.Head.Version, m.Msg); err == nil {
			file = int(x.FileID)
		}
	case m.Head.Func == wire.FuncFileSeg:
		if x, err := wire.ParseFileSeg(m.Msg); err == nil {
			file, section, block = int(x.FileID), int(x.Section), int(x.Block)
		}
	case m.Head.Func == wire.FuncDone:
		if x, err := wire.ParseDone(m.Msg); err == nil {
			file, section = int(x.FileID), int(x.Section)
		}
	case m.Head.Func == wire.FuncStatus:
		if x, err := wire.ParseStatus(m.Head.Version, m.Msg); err == nil {
			file, section = int(x.FileID), int(x.Section)
		}
	case m.Head.Func == wire.FuncComplete:
		if x, err := wire.ParseComplete(m.Msg); err == nil {
			file = int(x.FileID)
		}
	}
	n := map[string]int{"file": file, "section": section, "block": block}[key]
	return n, n >= 0
}
