package sender

import (
	"fmt"
	"testing"

	"uftp/engine/machine"
	"uftp/wire"
)

// BenchmarkStatus is what NAKs cost: one operation is one STATUS from every
// receiver for one section, each of which misses a tenth of it.
func BenchmarkStatus(b *testing.B) {
	for _, receivers := range []int{1, 100, 1000} {
		for _, c := range []struct{ block, section int }{{1300, 800}, {1300, 10400}, {8800, 60000}} {
			b.Run(fmt.Sprintf("receivers=%d/block=%d/section=%d", receivers, c.block, c.section), func(b *testing.B) {
				benchStatus(b, receivers, c.block, c.section)
			})
		}
	}
}

func benchStatus(b *testing.B, receivers, blockSize, section int) {
	var uids []wire.UID
	for i := range receivers {
		uids = append(uids, wire.UID(i+1))
	}
	r := newRig(&testing.T{}, with(hosts(uids...), func(c *Config) { c.BlockSize, c.Rate = blockSize, 100_000_000 }))
	// What lists all hosts may take several datagrams; nothing goes on before they have left.
	const parts = 200 * ms
	r.hold = true
	r.advance(parts)
	for _, u := range uids {
		r.register(u, 0)
	}
	r.advance(parts)
	r.offer("f", int64(section)*int64(blockSize))
	r.advance(parts)
	for _, u := range uids {
		r.ack(u, 1, 0, false)
	}
	r.advance(parts)
	if r.s.phase != Data || r.s.file.layout.Sections != 1 {
		b.Fatalf("phase %v, %d sections, want the data of one section", r.s.phase, r.s.file.layout.Sections)
	}
	// The pass is over, everything was sent once.
	r.s.pass.walking, r.s.pass.inFlight = false, 0
	r.s.pass.need.Reset(section, false)

	var messages [][]byte
	bytes := 0
	for _, u := range uids {
		var missing []int
		for i := int(u) % 10; i < section; i += 10 {
			missing = append(missing, i)
		}
		messages = append(messages, r.statusOf(u, 1, 0, missing...))
		bytes += len(messages[len(messages)-1])
	}
	all := func() {
		for i, u := range uids {
			if v := r.s.Handle(r.now, arrived(addr(u), messages[i])); v.Drop != machine.DropNone {
				b.Fatalf("the STATUS of %v was refused: %v", u, v.Drop)
			}
		}
	}
	all()
	if got, want := r.s.pass.need.Count(), section*min(receivers, 10)/10; got != want {
		b.Fatalf("%d blocks are needed, want %d", got, want)
	}
	for range maxReports/receivers + 1 {
		all() // the queue of reports has grown as far as it may
	}
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	for b.Loop() {
		all()
	}
}

// BenchmarkPlan is what a planned block costs, from the set of needed ones to the
// train, when all are needed and when one of ten is.
func BenchmarkPlan(b *testing.B) {
	const blocks = 10400
	for _, c := range []struct {
		name string
		step int
	}{{"all", 1}, {"tenth", 10}} {
		b.Run(c.name, func(b *testing.B) {
			r := begin(&testing.T{}, func(c *Config) { c.Rate, c.TrainBlocks = 0, machine.MaxTrainBlocks }, blocks*1000, 1)
			r.s.Departed(r.now, len(r.depart))
			need := &r.s.pass.need
			refill := func() {
				need.Reset(blocks, c.step == 1)
				for i := 0; i < blocks; i += c.step {
					need.Add(i)
				}
				r.s.pass.next = 0
			}
			refill()
			planned := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				for need.Count() < machine.MaxTrainBlocks {
					refill()
				}
				switch k := r.s.Poll(r.now, &r.out); k {
				case machine.TrainKind:
					planned += int64(r.out.Train.N)
					r.s.Departed(r.now, 1)
				case machine.EventKind:
				default:
					b.Fatalf("Poll says %v in the middle of a pass", k)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(planned), "ns/block")
		})
	}
}
