package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"uftp/pcap"
	"uftp/pcap/frames"
)

// change writes a capture again, each datagram through fn, which may return several.
func change(t *testing.T, name string, fn func(d pcap.Datagram) []pcap.Datagram) string {
	t.Helper()
	in, err := os.Open(vectors + name + ".pcap")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r, err := frames.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := pcap.NewWriter(&b, pcap.NG)
	if err != nil {
		t.Fatal(err)
	}
	for d, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range fn(d) {
			if err := w.Write(d); err != nil {
				t.Fatal(err)
			}
		}
	}
	out := filepath.Join(t.TempDir(), "changed.pcapng")
	if err := os.WriteFile(out, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAnomalies puts one thing wrong into a capture at a time.
func TestAnomalies(t *testing.T) {
	const announce, register, fileSeg, done, status, complete, sealed = 1, 2, 9, 10, 11, 12, 18
	without := func(gone func(payload []byte) bool) func(pcap.Datagram) []pcap.Datagram {
		return func(d pcap.Datagram) []pcap.Datagram {
			if gone(d.Payload) {
				return nil
			}
			return []pcap.Datagram{d}
		}
	}
	edit := func(fn byte, do func(msg []byte)) func(pcap.Datagram) []pcap.Datagram {
		once := false
		return func(d pcap.Datagram) []pcap.Datagram {
			if d.Payload[1] == fn && !once {
				once = true
				do(d.Payload[16:])
			}
			return []pcap.Datagram{d}
		}
	}
	for _, x := range []struct {
		why, capture string
		fn           func(pcap.Datagram) []pcap.Datagram
		says         string // "" for no anomaly
	}{
		{"nothing", "plain-loss3", func(d pcap.Datagram) []pcap.Datagram { return []pcap.Datagram{d} }, ""},
		{"a datagram twice", "enc-loss", func(d pcap.Datagram) []pcap.Datagram { return []pcap.Datagram{d, d} }, ""},
		{"a counter twice", "enc-loss", func(d pcap.Datagram) []pcap.Datagram {
			if d.Payload[1] != sealed {
				return []pcap.Datagram{d}
			}
			e := d
			e.Payload = bytes.Clone(d.Payload)
			e.Payload[len(e.Payload)-1] ^= 1
			return []pcap.Datagram{d, e}
		}, "was used before, for another datagram"},
		{"a section that is not there", "plain-loss3", edit(fileSeg, func(m []byte) { m[5] = 7 }), "FILESEG of block 0 of section 7, which file 1 has not"},
		{"a block that is not there", "plain-loss3", edit(fileSeg, func(m []byte) { m[6] = 9 }), "FILESEG of block 2304 of section 0, which file 1 has not"},
		{"a DONE of no section", "plain-loss3", edit(done, func(m []byte) { m[5] = 7 }), "DONE for section 7"},
		{"a STATUS of no section", "plain-loss3", edit(status, func(m []byte) { m[5] = 7 }), "STATUS of 0x0A50000C for section 7"},
		{"a block of another file", "plain-loss3", edit(fileSeg, func(m []byte) { m[3] = 9 }), "FILESEG of file 9 without its FILEINFO"},
		{"a short block", "plain-loss3", func(d pcap.Datagram) []pcap.Datagram {
			if d.Payload[1] == fileSeg {
				d.Payload = d.Payload[:100]
			}
			return []pcap.Datagram{d}
		}, "FILESEG with 76 bytes of block"},
		{"a message cut short", "plain-loss3", func(d pcap.Datagram) []pcap.Datagram {
			if d.Payload[1] == status {
				d.Payload = d.Payload[:20]
			}
			return []pcap.Datagram{d}
		}, "STATUS of 20 bytes: wire: packet shorter"},
		{"no end", "plain-loss3", func(d pcap.Datagram) []pcap.Datagram {
			if d.Payload[1] == 13 {
				return nil
			}
			return []pcap.Datagram{d}
		}, "does not end within the capture"},
		{"a receiver that never answers", "plain-loss3", without(func(m []byte) bool { return m[7] == 0x0B }), "receiver 0x0A50000B never answers"},
		{"a receiver that never completes", "plain-loss3", without(func(m []byte) bool { return m[7] == 0x0B && m[1] == complete }), "receiver 0x0A50000B takes 1 files and completes 0"},
		{"a receiver that takes nothing", "plain-loss3", without(func(m []byte) bool { return m[7] == 0x0B && m[1] != register }), "receiver 0x0A50000B is asked to take files and does not answer"},
		{"no beginning", "plain-loss3", without(func(m []byte) bool { return m[1] == announce }), "no ANNOUNCE within the capture"},
		{"a STATUS with rubbish behind the section, which proxies send", "plain-loss3", func(d pcap.Datagram) []pcap.Datagram {
			if d.Payload[1] == status {
				d.Payload = append(d.Payload, 1, 2, 3, 4)
			}
			return []pcap.Datagram{d}
		}, ""},
	} {
		out := want(t, 0, "inspect", "--summary", change(t, x.capture, x.fn))
		if x.says == "" && strings.Contains(out, "anomaly") || !strings.Contains(out, x.says) {
			t.Errorf("%s: want %q\n%s", x.why, x.says, out)
		}
	}
}

// TestSuperPackets joins the blocks of a session as a sender's kernel does: they
// are split, and the file comes out. Pieces that cannot be split are reported.
func TestSuperPackets(t *testing.T) {
	var train *pcap.Datagram
	joined := change(t, "plain-1file", func(d pcap.Datagram) []pcap.Datagram {
		isData := d.Payload[1] == 9
		if isData && train != nil {
			train.Payload = append(train.Payload, d.Payload...)
			return nil
		}
		if isData {
			train = &d
			return nil
		}
		if train != nil {
			whole := *train
			train = nil
			return []pcap.Datagram{whole, d}
		}
		return []pcap.Datagram{d}
	})
	dir := t.TempDir()
	want(t, 0, "extract", joined, dir)
	got, _ := sums(t, dir)
	if h := got[filepath.Join("8b69467a", "one.bin")]; h != "8daa15eb29212710585f4912f78d42328ea779c818cdaced21a6072d7e4de0f9" {
		t.Errorf("%v, want the file with its sum", got)
	}
	if out := want(t, 0, "inspect", "--summary", joined); !strings.Contains(out, "1 super-packets split") || !strings.Contains(out, "FILESEG 31") {
		t.Errorf("%s, want one super-packet with 31 blocks", out)
	}

	torn := change(t, "plain-1file", func(d pcap.Datagram) []pcap.Datagram {
		if d.Payload[1] == 9 {
			binary.BigEndian.PutUint32(d.Payload[4:], 7)
			d.Payload = append(d.Payload, make([]byte, 9000)...)
		}
		return []pcap.Datagram{d}
	})
	code, out, errs := replay(t, "inspect", "--summary", torn)
	if code != 0 || !strings.Contains(errs, "packet 25 at offset ") || !strings.Contains(errs, "cannot be split") || !strings.Contains(out, "DONE_CONF 1") || !strings.Contains(out, "31 refused") || strings.Count(errs, "\n") != reportedMax+1 {
		t.Errorf("exit code %d, want the pieces refused and the rest shown\n%s%s", code, out, errs)
	}
}
