package main

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"uftp/engine"
	"uftp/engine/machine"
	"uftp/engine/netio"
	"uftp/engine/sender"
	"uftp/engine/store"
)

// send sends files to the receiver at PORT: send FILE...
func send(ts *testscript.TestScript, _ bool, args []string) {
	port, err := strconv.Atoi(ts.Getenv("PORT"))
	ts.Check(err)
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	var files []string
	for _, f := range args {
		files = append(files, ts.MkAbs(f))
	}
	res, err := engine.Send(context.Background(), engine.SendConfig{
		Session: sender.Config{
			UID: 0x7F000002, Group: uint32(time.Now().UnixNano()), Public: to, Private: to, Unicast: true,
			BlockSize: 1300, Robust: 50, Rate: 1 << 24, LowerLayers: 28,
			GRTT: 100 * time.Millisecond, MinGRTT: 100 * time.Millisecond, MaxGRTT: 15 * time.Second,
			RegisterCount: 1, MaxNAKPct: 100, MaxNAKCount: 1, MaxPasses: 65535,
		},
		Net:  netio.Config{RcvBuf: 1 << 20, SndBuf: 1 << 20},
		Walk: store.WalkConfig{Operands: files},
	}, func(time.Time, machine.Event) {})
	ts.Check(err)
	if res.Exit != 0 {
		ts.Fatalf("send: %v", res.Exit)
	}
}
