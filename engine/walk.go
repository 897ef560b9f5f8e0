package engine

import (
	"uftp/engine/machine"
	"uftp/engine/ring"
	"uftp/engine/store"
	"uftp/wire"
)

// offer is a file ready to be announced, or what is to be told in its place.
type offer struct {
	entry store.Entry
	src   *source
	note  machine.Event // Entered, Skipped or SourceFailed; then there is no file
}

// walkLoop finds and opens files one ahead of the session, so that a slow disk
// does not hold up the next FILEINFO. It closes offers at the end.
func walkLoop(w *store.Walker, offers chan<- offer, wake chan struct{}, quit <-chan struct{}) {
	defer ring.Poke(wake)
	defer close(offers)
	for {
		e, skip, more := w.Next()
		if skip == nil && !more {
			return
		}
		o := prepare(e, skip)
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
