package clock

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestQueueAgainstModel pushes and pops at random and compares with a sorted list.
func TestQueueAgainstModel(t *testing.T) {
	type item struct {
		at  Time
		num int
	}
	rapid.Check(t, func(t *rapid.T) {
		var q Queue[int]
		var model []item // sorted by time, then number
		num := 0
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "what") > 0 {
				at := Time(rapid.IntRange(0, 20).Draw(t, "at"))
				q.Push(at, num)
				i := slices.IndexFunc(model, func(x item) bool { return x.at > at })
				if i < 0 {
					i = len(model)
				}
				model = slices.Insert(model, i, item{at, num})
				num++
			} else if len(model) > 0 {
				next := q.Next()
				at, v := q.Pop()
				if at != next || (item{at, v}) != model[0] {
					t.Fatalf("value %d of %d, announced for %d; want %d of %d", v, at, next, model[0].num, model[0].at)
				}
				model = model[1:]
			}
			if q.Len() != len(model) || len(model) == 0 && q.Next() != Never {
				t.Fatalf("%d values, next at %d; want %d", q.Len(), q.Next(), len(model))
			}
		}
	})
}

func TestQueueAllocatesNothing(t *testing.T) {
	q := NewQueue[int32](4)
	if n := testing.AllocsPerRun(100, func() {
		for i := range int32(4) {
			q.Push(Time(9-i), i)
		}
		for q.Len() > 0 {
			q.Pop()
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none within the capacity", n)
	}
}
