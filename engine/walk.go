package engine

import (
	"uftp/engine/machine"
	"uftp/engine/ring"
	"uftp/engine/store"
	"uftp/wire"
)

// offer is a file ready to be announced.
type offer struct {
	entry store.Entry
	src   *source
}

// walkLoop finds and opens files one ahead of the session, so that a slow disk
// does not hold up the next FILEINFO. It closes offers at the end.
func walkLoop(w *store.Walker, offers chan<- offer, notes *mailbox[machine.Event], wake chan struct{}, quit <-chan struct{}) {
	defer ring.Poke(wake)
	defer close(offers)
	for {
		select {
		case <-quit:
			return
		default:
		}
		e, skip, more := w.Next()
		if skip != nil {
			notes.put(Skipped{*skip})
		}
		if !more {
			return
		}
		if skip != nil {
			continue
		}
		o := offer{entry: e, src: &source{path: e.Path}}
		if e.Type == wire.TypeFile {
			s, err := store.OpenSource(e)
			if err != nil {
				notes.put(SourceFailed{e.Path, err})
				continue
			}
			o.src.src = s
		}
		select {
		case offers <- o:
			ring.Poke(wake)
		case <-quit:
			if o.src.src != nil {
				o.src.src.Close()
			}
			return
		}
	}
}
