package sender

import (
	"errors"
	"fmt"
	"strings"

	"uftp/engine/block"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/wire"
)

// The fileinfo phase (docs/protocol.md, "File phase").

// Errors of [Sender.Offer].
var (
	ErrNotAsked = errors.New("no file was asked for")
	ErrName     = errors.New("name cannot be sent")
	ErrLink     = errors.New("link target cannot be sent")
	ErrType     = errors.New("unknown file type")
)

// Offer answers NeedFile with the next file. If the file cannot be sent Offer fails with
// [ErrName], [ErrLink], [ErrType] or [block.ErrTooLarge], and another file may be offered.
// With [ErrNotAsked] the session does not wait for a file, for example because it was stopped.
func (s *Sender) Offer(now clock.Time, f File) error {
	if !s.file.asked || s.phase != BetweenFiles || s.quit.wanted {
		return ErrNotAsked
	}
	if err := checkFile(&f); err != nil {
		return err
	}
	layout, err := block.NewLayout(f.Size, s.cfg.BlockSize)
	if err != nil {
		return err
	}
	if s.file.id++; s.file.id == 0 {
		s.file.id = 1 // 0 is the session itself
	}
	s.input(now)
	s.file.asked = false
	s.file.File = f
	s.file.layout = &layout // trains of the last file may still hold the old one
	s.file.fresh, s.file.acked = false, false
	s.file.began, s.file.lastDone = 0, 0
	s.pass.number = 0
	for i := range s.roster.Len() {
		c := s.roster.At(i)
		c.naks, c.done, c.space, c.hasSpace, c.stall = 0, 0, 0, false, stall{}
		s.confirm(c) // FILEINFO takes the place of REG_CONF
		switch {
		case c.state.Failed():
		case c.proxy:
			s.setState(c, Active)
		default:
			s.setState(c, Registered)
		}
	}
	s.reports.must(FileStarted{FileID: s.file.id, File: f, Layout: layout})
	s.enter(now, FileInfo)
	return nil
}

// stepBetweenFiles keeps receivers from giving up while the host has no file to offer yet.
func (s *Sender) stepBetweenFiles(now clock.Time) progress {
	if s.confirmsLate(now) {
		s.confirmRegisters(s.cycle.lateConfirms)
		return moved
	}
	if !s.timers.Due(timerCycle, now) {
		return waiting
	}
	s.keepAlive()
	s.timers.Set(timerCycle, now.Add(s.silence(aliveShare)))
	return moved
}

// keepAlive sends a DONE that lists nobody. No client answers, and clients that wait between
// files start their wait again.
func (s *Sender) keepAlive() { s.queue(round{fn: wire.FuncDone, bare: true}) }

// EndOfFiles answers NeedFile when there are no more files.
func (s *Sender) EndOfFiles(now clock.Time) {
	if !s.file.asked || s.phase != BetweenFiles || s.quit.wanted {
		return
	}
	s.file.asked = false
	s.input(now)
	s.enter(now, Finishing)
}

// checkFile checks f and clears the fields that its type does not carry.
func checkFile(f *File) error {
	switch {
	case f.Type > wire.TypeFreeSpace:
		return fmt.Errorf("%w %d", ErrType, f.Type)
	case f.Name == "":
		return fmt.Errorf("%w: it is empty", ErrName)
	case len(f.Name) > wire.MaxNameLen:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrName, len(f.Name), wire.MaxNameLen)
	case strings.IndexByte(f.Name, 0) >= 0:
		return fmt.Errorf("%w: %q holds a NUL byte", ErrName, f.Name)
	case f.Type == wire.TypeDelete && (f.Name == "." || f.Name == ".."):
		return fmt.Errorf("%w: deleting %q would empty the destination", ErrName, f.Name)
	}
	if f.Type == wire.TypeLink {
		switch {
		case f.Link == "":
			return fmt.Errorf("%w: it is empty", ErrLink)
		case len(f.Link) > wire.MaxNameLen:
			return fmt.Errorf("%w: %d bytes, at most %d", ErrLink, len(f.Link), wire.MaxNameLen)
		case strings.IndexByte(f.Link, 0) >= 0:
			return fmt.Errorf("%w: %q holds a NUL byte", ErrLink, f.Link)
		}
	} else {
		f.Link = ""
	}
	if f.Type != wire.TypeFile {
		f.Size, f.MTime = 0, 0
	}
	return nil
}

func (s *Sender) fileInfoRound() {
	s.cycle.attempt++
	s.queue(round{fn: wire.FuncFileInfo, number: s.cycle.attempt})
	s.timers.SetWhenSent(timerCycle)
}

func (s *Sender) appendFileInfo(now clock.Time, b []byte) []byte {
	m := wire.FileInfo{
		FileID: s.file.id,
		Type:   s.file.Type,
		Size:   s.file.Size,
		MTime:  s.file.MTime,
		Time:   wire.Stamp(now.Micros()),
		Name:   []byte(s.file.Name),
		Link:   []byte(s.file.Link),
	}
	return m.Append(s.dialect.Version(), b)
}

func (s *Sender) stepFileInfo(now clock.Time) progress {
	switch {
	case s.in(Registered) == 0:
		s.endFileInfo(now)
	case s.timers.Due(timerCycle, now):
		if s.cycle.attempt >= s.cfg.Robust {
			s.endFileInfo(now)
			break
		}
		s.updateGRTT()
		s.fileInfoRound()
	default:
		return waiting
	}
	return moved
}

func (s *Sender) endFileInfo(now clock.Time) {
	s.updateGRTT()
	s.grtt.NextPhase()
	s.lose(Registered, LostFileInfo)
	switch {
	case s.in(Active) == 0 && s.in(Done) == 0:
		s.reports.must(Notice{AnnounceTimedOut})
		s.endFile(now, "nobody answered FILEINFO")
		s.end(now, ExitNoFileInfo)
	case s.cfg.QuitOnError && s.failed() > 0:
		s.dropAll(now, ExitNoFileInfo)
	case s.in(Active) == 0:
		s.endFile(now, "")
		s.enter(now, BetweenFiles)
	default:
		s.enter(now, Data)
	}
}

// dropAll ends a session with QuitOnError in the middle of a file because a client failed.
func (s *Sender) dropAll(now clock.Time, exit Exit) {
	const text = "A client dropped out, aborting all"
	s.abortAll(0, text)
	s.failUnfinished(Aborted)
	s.endFile(now, text)
	for i := range s.roster.Len() {
		if c := s.roster.At(i); !c.state.Failed() {
			s.setState(c, Aborted)
		}
	}
	s.end(now, exit)
}

// handleFileInfoAck takes a FILEINFO_ACK of client i.
func (s *Sender) handleFileInfoAck(now clock.Time, i int, msg []byte) machine.Drop {
	m, err := wire.ParseFileInfoAck(s.dialect.Version(), msg)
	if err != nil {
		return machine.DropMalformed
	}
	c := s.roster.At(i)
	switch {
	case len(m.Clients) > 0:
		s.refuse(now, wire.FuncFileInfoAck, i, noProxies)
		return machine.DropFunction
	case s.phase != FileInfo || c.state.Failed():
		if s.phase == Data {
			s.refuse(now, wire.FuncFileInfoAck, i, "invalid message")
		}
		return machine.DropPhase
	case m.FileID != s.file.id && c.givenUp && c.abortedAgain != s.cycle.attempt:
		// It has not heard that its file was given up.
		c.abortedAgain = s.cycle.attempt
		s.abortClientWith(i, wire.AbortCurrentFile, "The file was given up")
		return machine.DropFile
	case m.FileID != s.file.id:
		s.refuse(now, wire.FuncFileInfoAck, i, fmt.Sprintf("invalid file ID %04X, expected %04X", m.FileID, s.file.id))
		return machine.DropFile
	}
	repeat := c.state != Registered
	c.givenUp = false
	if !repeat {
		s.setState(c, Active)
	}
	s.file.acked = true
	s.file.fresh = s.file.fresh || !m.Partial
	s.reportHeard(Heard{
		Func: wire.FuncFileInfoAck, Client: s.client(i), Repeat: repeat, Partial: m.Partial,
		RTT: s.measure(now, c, m.Time), FileID: m.FileID,
	})
	return machine.DropNone
}

// reportHeard reports an answer; the report of a repeated one may be dropped at a limit.
func (s *Sender) reportHeard(h Heard) {
	if h.Repeat {
		s.report(h)
	} else {
		s.reports.must(h)
	}
}
