package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/outfile"
	"uftp/tools/internal/session"
	"uftp/wire"
)

// inspector is one run of inspect.
type inspector struct {
	t        *tool
	json     bool
	quiet    bool   // no messages
	plot     string // file of the drawing
	start    time.Time
	sums     map[*session.Session]*summary
	done     []*summary // ended, to be drawn
	guard    ivGuard
	foreign  int // datagrams that are not UFTP
	refused  int // super-packets that could not be split
	anything bool
}

func inspect(t *tool) job {
	in := &inspector{t: t, sums: map[*session.Session]*summary{}}
	return job{
		options: []cli.Option{
			{Name: "json", Set: cli.Flag(&in.json), Help: "write one JSON object a line: messages, then sessions"},
			{Letter: 's', Name: "summary", Set: cli.Flag(&in.quiet), Help: "write sessions only, no messages"},
			{Name: "plot", Arg: "FILE.svg", Set: in.setPlot, Help: "draw rate, NAKs and passes over time"},
		},
		run: in.run,
	}
}

func (in *inspector) setPlot(name string) error {
	if !strings.HasSuffix(name, ".svg") {
		return &cli.Error{Text: "Only SVG can be drawn", Allowed: "FILE.svg; rsvg-convert or a browser makes other formats of it"}
	}
	in.plot = name
	return nil
}

func (in *inspector) run(names []string) error {
	var dec *session.Decoder
	first := true
	rerr := in.t.read(names[0], &dec, func(m *session.Message) error {
		if first {
			dec.Ended = func(s *session.Session) { in.end(s) }
			first = false
		}
		return in.message(m)
	}, func(error) { in.refused++ })
	if dec == nil {
		return rerr
	}
	for _, s := range dec.Sessions() {
		if err := in.end(s); err != nil {
			return err
		}
	}
	if err := in.total(dec); err != nil {
		return err
	}
	if in.plot != "" {
		if err := in.draw(); err != nil {
			return err
		}
	}
	return rerr
}

// draw writes the drawing.
func (in *inspector) draw() (err error) {
	f, err := outfile.Create(in.plot, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	return draw(in.done).writeTo(f)
}

// message shows one message and counts it.
func (in *inspector) message(m *session.Message) error {
	if !in.t.wanted(m.Session) {
		return nil
	}
	if in.start.IsZero() {
		in.start = m.Time
	}
	if errors.Is(m.Err, session.ErrForeign) || errors.Is(m.Err, wire.ErrShort) && len(m.Payload) < wire.MinDatagram {
		in.foreign++
		return nil
	}
	body, unknown, err := m.BodyFields()
	if m.Session != nil {
		sum := in.sums[m.Session]
		if sum == nil {
			sum = newSummary(m.Session, &in.guard)
			in.sums[m.Session] = sum
		}
		sum.message(m, unknown, err)
	}
	if in.quiet {
		return nil
	}
	head := m.HeadFields()
	var tail session.Fields
	if unknown > 0 {
		tail = append(tail, session.Field{Name: "unknown_bytes", Value: unknown})
	}
	if err == nil {
		err = m.Err
	}
	if err != nil {
		tail = append(tail, session.Field{Name: "error", Value: err.Error()})
	}
	if in.json {
		all := session.Fields{
			{Name: "kind", Value: "message"}, {Name: "packet", Value: m.Frame}, {Name: "offset", Value: m.Offset},
			{Name: "time", Value: m.Time.Format(time.RFC3339Nano)}, {Name: "src", Value: m.Src.String()}, {Name: "dst", Value: m.Dst.String()},
			{Name: "func", Value: m.Head.Func.String()}, {Name: "sealed", Value: m.Sealed},
		}
		return in.writeJSON(append(append(append(all, head...), body...), tail...))
	}
	sealed := ""
	if m.Sealed && m.Msg != nil {
		sealed = "*"
	}
	_, werr := fmt.Fprintf(in.t.out, "#%d +%s %v > %v %v%s %s\n", m.Frame, seconds(m.Time.Sub(in.start)), m.Src, m.Dst,
		m.Head.Func, sealed, append(append(head, body...), tail...).Text())
	return werr
}

func (in *inspector) writeJSON(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = in.t.out.Write(append(cli.CleanJSON(b), '\n'))
	}
	return err
}

// end shows the summary of a session.
func (in *inspector) end(s *session.Session) error {
	sum := in.sums[s]
	if sum == nil {
		return nil
	}
	delete(in.sums, s)
	sum.finish()
	if in.plot != "" && len(in.done) < plotsMax {
		in.done = append(in.done, sum)
	}
	if in.json {
		return in.writeJSON(sum.picture())
	}
	if !in.quiet || in.anything {
		fmt.Fprintln(in.t.out)
	}
	in.anything = true
	return sum.write(in.t.out)
}

// total prints what else was in the capture.
func (in *inspector) total(dec *session.Decoder) error {
	st := dec.Stats()
	if in.json {
		return in.writeJSON(session.Fields{
			{Name: "kind", Value: "capture"}, {Name: "frames", Value: st.Frames}, {Name: "datagrams", Value: st.Datagrams},
			{Name: "fragments", Value: st.Fragments}, {Name: "super_packets", Value: st.Super}, {Name: "super_refused", Value: in.refused}, {Name: "not_udp", Value: st.Other},
			{Name: "broken", Value: st.Broken}, {Name: "fragments_lost", Value: st.Unmade}, {Name: "not_uftp", Value: in.foreign},
		})
	}
	_, err := fmt.Fprintf(in.t.out, "\n%d frames, %d datagrams; %d super-packets split, %d refused, %d fragments; skipped: %d not UDP, %d broken, %d incomplete, %d not UFTP 4\n",
		st.Frames, st.Datagrams, st.Super, in.refused, st.Fragments, st.Other, st.Broken, st.Unmade, in.foreign)
	return err
}

// seconds writes a time with microseconds.
func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }
