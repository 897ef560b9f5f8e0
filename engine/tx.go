package engine

import (
	"errors"
	"net"
	"time"

	"uftp/engine/cc"
	"uftp/engine/clock"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/ring"
	"uftp/engine/tap"
	"uftp/wire"
)

const (
	// A transmitter that fills trains itself does so for fillMost, and then sends those
	// that are ready.
	fillMost = time.Millisecond
	// A train may leave up to together before its time, with one that is due. At high rates
	// that saves a wake-up, here and at the receivers, for most trains. It is far less
	// than the burst of one train that lasts 1 ms.
	together = 150 * time.Microsecond
	catchUp  = time.Millisecond // of the rate that may leave at once after a stall
)

// transmitter is the last stage of a sender.
type transmitter struct {
	wall   wall
	conn   netio.Conn
	notes  *ring.Mailbox[machine.Event]
	tap    *tap.Lane // nil: nothing is captured
	filler *filler   // fills trains here; nil: others do
	trace  bool
	quit   <-chan struct{}
	// bucket limits the rate a second time: when this goroutine did not run for a while,
	// trains that are overdue must not leave all at once.
	bucket cc.Bucket
	rate   int64 // of the bucket, bytes/s
	packet int   // bytes that the rate counts for a block

	timer  *time.Timer
	trains [txBatch]netio.TxTrain

	urgent [1]netio.TxTrain // of runUrgent

	// turn holds a token during a send, where run and runUrgent share conn, tap and what
	// follows; nil where there is only run.
	turn       chan struct{}
	lastErr    string // of the last send, to report each kind once
	reportedAt clock.Time
}

func (t *transmitter) run(h *ring.Hand[txSlot]) {
	t.timer = time.NewTimer(time.Hour)
	defer t.timer.Stop()
	if t.filler != nil {
		defer t.filler.packer.Wipe()
	}
	for ready(h, t.quit) {
		k, n := t.gather(h)
		if k == 0 {
			return
		}
		t.send(t.trains[:n])
		// While most of the ring waits for us, waking the core does not pay: it would plan
		// one train and sleep again.
		h.Pass(k)
		if !h.Crowded() {
			h.WakeNext()
		}
	}
}

// gather takes the slots that are due, at least one: k slots with n trains to
// send. It waits for the departure of the first one. k is 0 when the run is over.
func (t *transmitter) gather(h *ring.Hand[txSlot]) (k, n int) {
	now := t.wall.now()
	began := now
	for k < txBatch && h.Ahead(k) {
		s := h.Peek(k)
		if t.filler != nil && s.state == slotPlanned {
			if k > 0 && t.wall.now().Sub(began) > fillMost {
				return k, n
			}
			t.filler.fill(s)
			if over(t.quit) {
				return 0, 0
			}
		}
		if s.src != nil {
			if s.train.Rate != t.rate {
				t.rate = s.train.Rate
				t.bucket.SetRate(t.rate, catchUp)
			}
			due := max(s.train.Depart, t.bucket.Next(now))
			if due > now {
				now = t.wall.now()
			}
			if k > 0 && due > now.Add(together) {
				return k, n
			}
			if k == 0 && due > now {
				if !t.waitUntil(due) {
					return 0, 0
				}
				now = t.wall.now()
				began = now
			}
			t.bucket.Take(now, s.train.N*t.packet)
		}
		if s.state == slotFilled {
			t.trains[n] = netio.TxTrain{Buf: s.buf[:s.n], Seg: s.seg, To: s.to}
			n++
			if t.trace {
				t.traceSlot(s)
			}
		}
		k++
	}
	return k, n
}

// waitUntil sleeps until at. It returns false when the run is over.
func (t *transmitter) waitUntil(at clock.Time) bool {
	for {
		d := at.Sub(t.wall.now())
		if d <= 0 {
			return true
		}
		if d < 2*time.Millisecond {
			t.wall.shortSleep(d)
			continue
		}
		t.timer.Reset(d - time.Millisecond)
		select {
		case <-t.timer.C:
		case <-t.quit:
			return false
		}
	}
}

// runUrgent sends urgent packets. It shares the socket with run, but waits neither for the
// disk nor for departures, as run may.
func (t *transmitter) runUrgent(h *ring.Hand[txSlot]) {
	for ready(h, t.quit) {
		s := h.Slot()
		t.urgent[0] = netio.TxTrain{Buf: s.buf[:s.n], To: s.to}
		if t.trace {
			t.traceSlot(s)
		}
		t.send(t.urgent[:])
		h.Done(1)
	}
}

// ready waits until the current slot of h can be worked on. It returns false when quit is closed.
func ready[T any](h *ring.Hand[T], quit <-chan struct{}) bool {
	for !h.Ready() {
		select {
		case <-h.Wake():
		case <-quit:
			return false
		}
	}
	return true
}

// send sends trains. It reports what the system refuses to send, which is lost like any datagram.
func (t *transmitter) send(trains []netio.TxTrain) {
	if t.turn != nil {
		t.turn <- struct{}{}
		defer func() { <-t.turn }()
	}
	for len(trains) > 0 {
		t.tap.Begin()
		sent, err := t.conn.WriteBatch(trains)
		t.tap.Sent(trains[:sent])
		if err == nil {
			t.lastErr = ""
			return
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		bad := trains[sent]
		trains = trains[sent+1:]
		now := t.wall.now()
		if msg := err.Error(); msg != t.lastErr || now.Sub(t.reportedAt) > time.Second {
			t.lastErr, t.reportedAt = msg, now
			t.notes.Put(SendFailed{bad.To, err})
		}
	}
}

func (t *transmitter) traceSlot(s *txSlot) {
	step := s.n
	if s.seg > 0 {
		step = s.seg
	}
	for at := 0; at < s.n; at += step {
		t.notes.Put(Traced{Peer: s.to, Text: wire.Describe(s.buf[at:min(at+step, s.n)])})
	}
}
