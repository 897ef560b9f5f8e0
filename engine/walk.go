package engine

import (
	"uftp/engine/machine"
	"uftp/engine/ring"
	"uftp/engine/store"
	"uftp/wire"
)

// offer is a file ready to be announced, or an event to report in its place.
type offer struct {
	entry store.Entry
	src   *source
	note  machine.Event // Entered, Skipped or SourceFailed; then there is no file
}

// walkLoop finds and opens files one ahead of the session, so that a slow disk
// does not hold up the next FILEINFO. The turn of a file may come long after that: when
// wants says so, walkLoop checks the file again. It closes offers at the end.
func walkLoop(w *store.Walker, without map[string]bool, wants <-chan struct{}, offers chan<- offer, wake chan struct{}, hold func(), quit <-chan struct{}) {
	defer ring.Poke(wake)
	defer close(offers)
	asked := false
	for {
		if hold != nil {
			hold()
		}
		e, skip, more := w.Next()
		if skip == nil && !more {
			return
		}
		if skip == nil && without[e.Path] {
			skip = &store.Skip{Path: e.Path, Level: 1, Reason: "Left out, it was given up before: " + e.Path}
		}
		o := prepare(e, skip)
		if o.note == nil {
			if !asked {
				select {
				case <-wants:
				case <-quit:
					o.src.close()
					return
				}
			}
			asked = false
			if err := o.src.check(); err != nil {
				o.src.close()
				o = offer{note: SourceFailed{o.entry.Path, err}}
				asked = true // still
			}
		}
		select {
		case offers <- o:
			ring.Poke(wake)
		case <-quit:
			o.src.close()
			return
		}
		if !more {
			return
		}
	}
}

// closeLoop closes files that have been sent. That can take as long as anything on a disk.
func closeLoop(box *ring.Mailbox[*source], notes *ring.Mailbox[machine.Event], quit <-chan struct{}) {
	for {
		closeSources(box, notes)
		select {
		case <-box.Wake():
		case <-quit:
			closeSources(box, notes)
			return
		}
	}
}

func closeSources(box *ring.Mailbox[*source], notes *ring.Mailbox[machine.Event]) {
	for _, s := range box.Take() {
		if err := s.close(); err != nil && !s.failed {
			notes.Put(SourceFailed{s.path, err})
		}
	}
}

// closeAll closes the files that the end of a session has left open, when no filler reads
// them any more.
func closeAll(current *source, offers <-chan offer, box *ring.Mailbox[*source], notes *ring.Mailbox[machine.Event]) {
	closeSources(box, notes)
	current.close()
	for o := range offers {
		o.src.close()
	}
}

// prepare opens what the walk has found.
func prepare(e store.Entry, skip *store.Skip) offer {
	if skip != nil && skip.Dir {
		return offer{note: Entered{skip.Path}}
	}
	if skip != nil {
		return offer{note: Skipped{*skip}}
	}
	o := offer{entry: e, src: &source{path: e.Path}}
	if e.Type == wire.TypeFile {
		s, err := store.OpenSource(e)
		if err != nil {
			return offer{note: SourceFailed{e.Path, err}}
		}
		o.src.src = s
	}
	return o
}
