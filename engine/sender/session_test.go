package sender

import (
	"testing"

	"uftp/wire"
)

func TestWholeSession(t *testing.T) {
	r := newRig(t, hosts(1, 2))
	r.wantWire("the first ANNOUNCE leaves at once and lists all that are missing", "0 ANNOUNCE [1 2]")
	r.advance(2 * ms)
	r.register(1, 2*ms)
	r.advance(1 * ms)
	r.register(2, 3*ms)
	r.wantWire("when the last one is in, all are confirmed at once", "3 REG_CONF [1 2]")
	r.advance(9900 * 1000)
	r.wantWire("1·G is left for those that did not hear it")
	r.wantPhase("1·G is not over", Announcing)
	r.advance(ms)
	r.wantPhase("1·G later the files start", BetweenFiles)
	want[NeedFile](r, "the host is asked for a file")
	r.offer("f", 4500)
	r.wantWire("FILEINFO follows", "13.9 FILEINFO f1 f [1 2]")
	r.ack(1, 1, 0, false)
	r.ack(2, 1, 0, false)
	r.advance(5 * ms)
	r.wantWire("the blocks leave one interval apart, then DONE",
		"13.9 TRAIN f1 0", "14.9 TRAIN f1 1", "15.9 TRAIN f1 2", "16.9 TRAIN f1 3", "17.9 TRAIN f1 4", "18.9 DONE f1 s0 [1 2]")
	r.complete(1, 1, wire.StatusNormal)
	r.complete(2, 1, wire.StatusOverwrite)
	e := want[FileEnded](r, "the file is over when all have it")
	if e.Elapsed != 5*ms || len(e.Results) != 2 || e.Results[1].Status != wire.StatusOverwrite || e.Results[0].State != Done {
		t.Errorf("the outcome is %+v", e)
	}
	r.endOfFiles()
	r.advance(ms)
	r.wantWire("then the group is asked, when the last DONE has had its share of the rate", "18.96 DONE f0 s0 [1 2]")
	r.complete(1, 0, wire.StatusNormal)
	r.complete(2, 0, wire.StatusNormal)
	r.advance(60 * ms)
	r.wantWire("a client that has completed is confirmed, twice", "19.9 DONE_CONF [1 2]", "39.9 DONE_CONF [1 2]")
	r.wantExit("a whole session", ExitOK)
	st := r.s.Stats()
	if st.Counters.DataPackets != 5 || st.Counters.DataBytes != 4500 || st.Counters.RepairPackets != 0 || st.Counters.Control != 7 {
		t.Errorf("counters %+v", st.Counters)
	}
}
