//go:build linux

package main

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"uftp/engine/block"
	"uftp/pcap"
	"uftp/wire"
)

// flood writes a capture of many sessions, each with one file, into w and calls
// each now and then.
func flood(w *os.File, sessions int, size int64, each func()) error {
	const blockSize = 8800
	b := bufio.NewWriterSize(w, 1<<16)
	out, err := pcap.NewWriter(b, pcap.Classic)
	if err != nil {
		return err
	}
	var (
		from    = netip.MustParseAddrPort("192.0.2.1:40000")
		host    = netip.MustParseAddrPort("192.0.2.2:1044")
		public  = netip.MustParseAddrPort("230.4.4.1:1044")
		private = netip.MustParseAddrPort("230.5.5.1:1044")
		now     = time.Unix(1_700_000_000, 0)
		seq     uint16
		data    [blockSize]byte
		hosts   = wire.AppendUID(nil, 2)
	)
	layout, err := block.NewLayout(size, blockSize)
	if err != nil {
		return err
	}
	for group := range sessions {
		put := func(src, dst netip.AddrPort, uid wire.UID, msg []byte) {
			h := wire.Header{Version: wire.Version4, Func: wire.Func(msg[0]), Seq: seq, Src: uid, Group: uint32(group + 1)}
			if uid == 1 {
				seq++
			}
			now = now.Add(time.Microsecond)
			if werr := out.Write(pcap.Datagram{Time: now, Src: src, Dst: dst, Payload: append(h.Append(nil), msg...)}); err == nil {
				err = werr
			}
		}
		put(from, public, 1, (&wire.Announce{Robust: 20, BlockSize: blockSize, Public: public.Addr(), Private: private.Addr()}).Append(wire.Version4, nil))
		put(host, from, 2, (&wire.Register{}).Append(wire.Version4, nil))
		put(from, private, 1, (&wire.HostList{Func: wire.FuncRegConf, Hosts: hosts}).Append(nil))
		put(from, private, 1, (&wire.FileInfo{FileID: 1, Size: size, Name: []byte("big"), Hosts: hosts}).Append(wire.Version4, nil))
		put(host, from, 2, (&wire.FileInfoAck{FileID: 1}).Append(wire.Version4, nil))
		for i := range layout.Blocks {
			section, n := layout.Section(i)
			put(from, private, 1, (&wire.FileSeg{FileID: 1, Section: uint16(section), Block: uint16(n), Data: data[:layout.Len(i)]}).Append(nil))
			if i%2000 == 0 {
				each()
			}
		}
		put(from, private, 1, (&wire.Done{FileID: 1, Hosts: hosts}).Append(nil))
		put(host, from, 2, (&wire.Complete{FileID: 1}).Append(nil))
		put(from, private, 1, (&wire.HostList{Func: wire.FuncDoneConf, Hosts: hosts}).Append(nil))
		each()
		if err != nil {
			return err
		}
	}
	return b.Flush()
}

// TestLargeCaptures streams captures through a pipe: their size must not show in
// the memory, neither that of files nor the number of sessions.
func TestLargeCaptures(t *testing.T) {
	for _, x := range []struct {
		why      string
		sessions int
		size     int64
		heapMax  uint64 // bytes
		says     []string
	}{
		{"one file", 1, 100 << 20, 16 << 20, []string{"11916 packets for 11916 blocks in 1 passes", "11924 datagrams"}},
		{"many sessions", 3000, 4000, 64 << 20, []string{"session 00000001/0", "session 00000bb8/0", "27000 datagrams"}},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		peak, calls := uint64(0), 0
		done := make(chan error, 1)
		go func() {
			defer w.Close()
			done <- flood(w, x.sessions, x.size, func() {
				if calls++; calls%50 != 0 {
					return
				}
				var now runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			})
		}()
		out := want(t, 0, "inspect", "--summary", fmt.Sprintf("/dev/fd/%d", r.Fd()))
		r.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for _, s := range x.says {
			if !strings.Contains(out, s) {
				t.Errorf("%s: %q is not in what is said", x.why, s)
			}
		}
		if grown := peak - min(peak, before.HeapAlloc); grown > x.heapMax {
			t.Errorf("%s: %d bytes of memory, want at most %d", x.why, grown, x.heapMax)
		}
	}
}
