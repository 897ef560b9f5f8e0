package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"uftp/cmd/cli"
	"uftp/engine/sender"
)

// Limits of what is kept and told about hosts that stayed out.
const (
	refusalsMax = 8 // reasons
	refusedMax  = 5 // hosts named for each
)

// refusals are the reasons for which hosts stayed out of a session.
type refusals []refusal

type refusal struct {
	text  string
	names []string
	more  bool // hosts than are named
}

func (r *refusals) add(name, text string) {
	i := slices.IndexFunc(*r, func(x refusal) bool { return x.text == text })
	if i < 0 {
		if len(*r) == refusalsMax {
			return
		}
		i = len(*r)
		*r = append(*r, refusal{text: text})
	}
	switch x := &(*r)[i]; {
	case slices.Contains(x.names, name):
	case len(x.names) == refusedMax:
		x.more = true
	default:
		x.names = append(x.names, name)
	}
}

// hint says what to look at after a session that nobody took part in: the reasons of those
// who were heard, else what may keep packets away.
func (s *Sender) hint(at time.Time) {
	for _, line := range s.hintLines() {
		s.logf(Warnings, at, "%s", line)
		s.JSON.write(jsonText{head: newHead(at, "hint", s.where), Text: line})
	}
}

func (s *Sender) hintLines() (lines []string) {
	for _, r := range s.refusals {
		names := strings.Join(r.names, ", ")
		if r.more {
			names += " and others"
		}
		lines = append(lines, names+" stayed out: "+r.text)
	}
	if s.sendError != "" {
		lines = append(lines, "Sending has failed here: "+s.sendError+" (no route, or a firewall of this machine; uftp-doctor tells)")
	}
	if len(lines) > 0 || s.heardFrom {
		return lines
	}
	to := s.Session.Public
	where := fmt.Sprintf("Nobody has answered what was sent to %v port %d", to.Addr(), to.Port())
	look := []string{fmt.Sprintf("does uftpd run there (-p %d)", to.Port())}
	if to.Addr().IsMulticast() {
		where += fmt.Sprintf(" on %v with TTL %d", s.Interface, s.TTL)
		look = []string{
			fmt.Sprintf("does uftpd run with that group and port (-M %v -p %d)", to.Addr(), to.Port()),
			fmt.Sprintf("is %s the right interface (-I)", s.Interface.Name),
			"are there routers between, or switches that want an IGMP querier (-t)",
		}
		if s.Interface.Loopback {
			look[1] += "; no other machine hears it"
		}
	}
	if len(s.Session.Hosts) > 0 {
		look = append(look, "are the IDs in -H those of the receivers (uftpd -U)")
	}
	if s.port != 0 {
		look = append(look, fmt.Sprintf("do firewalls let UDP port %d in there, and the answers to port %d in here (-u makes that port a fixed one)", to.Port(), s.port))
	}
	return append(lines, where, "Look at: "+strings.Join(look, "? ")+"? uftp-doctor tells, here and there")
}

// refused keeps why a host stayed out.
func (s *Sender) refused(c sender.Client, known bool, text string) {
	name := c.Name
	if !known || name == "" {
		name = c.UID.String()
	}
	s.refusals.add(cli.Clean(name), cli.Clean(text))
}
