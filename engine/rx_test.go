package engine

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/ring"
	"uftp/engine/seal"
)

// TestArrival has a core that is late: each datagram of a slot must reach the machine with
// the addresses and the mark that the socket gave it, and with the time at which it was read.
func TestArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w, quit := newFakeConn(), newWall(), make(chan struct{})
		in := ring.New(8, func(_ int, s *rxSlot) {
			s.buf, s.opened = make([]byte, 3000), make([]seal.Mark, machine.MaxJoined)
		}, 1, 1)
		overflow := ring.New(1, func(int, *rxSlot) {}, 1, 1)
		r := &receiveRun{
			host: &host{wall: w}, cfg: &ReceiveConfig{}, m: receiver.New(receiver.Config{MaxSessions: 1}, w.now()),
			rx: in.Hand(1, 0), overflow: overflow.Hand(1, 0),
		}
		go newReader(w, c, in.Hand(0, 0), overflow.Hand(0, 0), ring.NewMailbox[machine.Event](make(chan struct{}, 1)), nil, quit).run()

		from := netip.MustParseAddrPort("10.0.0.1:1044")
		group := netip.MustParseAddr("230.4.4.1")
		var want []machine.Datagram
		for _, ecn := range []machine.ECN{machine.NotECT, machine.ECT1, machine.ECT0, machine.CE} {
			time.Sleep(time.Second)
			c.in <- netio.RxSlot{Buf: []byte("xxxyyyz"), Seg: 3, From: from, To: group, TOS: 0xb8 | uint8(ecn)}
			synctest.Wait()
			want = append(want, machine.Datagram{From: from, To: group, ECN: ecn, At: w.now()})
		}
		time.Sleep(time.Minute)
		for i := range want {
			if !r.rx.Ahead(i) {
				t.Fatalf("%d slots were filled, want %d", i, len(want))
			}
			s := r.rx.Peek(i)
			r.handleSlot(w.now(), s, uint64(i))
			got := s.head
			if string(got.Data) != "z" {
				t.Errorf("slot %d: the last datagram handed in is %q, want z", i, got.Data)
			}
			got.Data = nil
			if got.From != want[i].From || got.To != want[i].To || got.ECN != want[i].ECN || got.At != want[i].At {
				t.Errorf("slot %d: arrived as %+v, want %+v", i, got, want[i])
			}
		}
		close(quit)
		c.Close()
	})
}
