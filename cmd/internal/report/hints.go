package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"uftp/cmd/cli"
	"uftp/engine/sender"
)

// Limits of what is remembered about hosts that did not take part.
const (
	refusalsMax = 8 // reasons
	refusedMax  = 5 // hosts named for each
)

// refusals are the reasons why hosts did not take part in a session.
type refusals []refusal

type refusal struct {
	text  string
	names []string
	more  bool // there are other hosts than those named
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

// hint gives advice after a session without receivers: the reasons of those that answered, or what
// may keep packets away.
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
		lines = append(lines, names+" did not take part: "+r.text)
	}
	if s.sendError != "" {
		lines = append(lines, "Sending failed on this machine: "+s.sendError+" (no route, or a firewall; run uftp-doctor)")
	}
	if len(lines) > 0 || s.heardFrom {
		return lines
	}
	to := s.Session.Public
	where := fmt.Sprintf("No receiver has answered packets to %v port %d", to.Addr(), to.Port())
	look := []string{fmt.Sprintf("does uftpd run there (-p %d)", to.Port())}
	if to.Addr().IsMulticast() {
		where += fmt.Sprintf(" on %v with TTL %d", s.Interface, s.TTL)
		look = []string{
			fmt.Sprintf("does uftpd run with that group and port (-M %v -p %d)", to.Addr(), to.Port()),
			fmt.Sprintf("is %s the right interface (-I)", s.Interface.Name),
			"are there routers on the way (-t), or switches that need an IGMP querier",
		}
		if s.Interface.Loopback {
			look[1] += "; no other machine receives from it"
		}
	}
	if len(s.Session.Hosts) > 0 {
		look = append(look, "does -H list the IDs of the receivers (uftpd -U)")
	}
	if s.port != 0 {
		look = append(look, fmt.Sprintf("do firewalls accept UDP port %d there, and the answers to port %d here (-u gives a fixed port)", to.Port(), s.port))
	}
	return append(lines, where, "Check: "+strings.Join(look, "? ")+"? Run uftp-doctor on both sides")
}

// refused remembers why a host did not take part.
func (s *Sender) refused(c sender.Client, known bool, text string) {
	name := c.Name
	if !known || name == "" {
		name = c.UID.String()
	}
	s.refusals.add(cli.Clean(name), cli.Clean(text))
}
