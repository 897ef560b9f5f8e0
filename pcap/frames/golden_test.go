package frames

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/ip4defrag"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"uftp/pcap"
)

const vectors = "../testdata/v4"

func captures(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(vectors, "*.pcap"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no captures in %s: %v", vectors, err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(name)] = b
	}
	return all
}

// readAll returns the datagrams up to the first error, nil for a clean end.
func readAll(b []byte) ([]pcap.Datagram, Stats, error) {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, Stats{}, err
	}
	var list []pcap.Datagram
	for {
		d, err := r.Next()
		if err == io.EOF {
			return list, r.Stats(), nil
		}
		if err != nil {
			return list, r.Stats(), err
		}
		list = append(list, d)
	}
}

// oracle reads a classic capture with gopacket's own decoders.
func oracle(t *testing.T, b []byte) []pcap.Datagram {
	t.Helper()
	r, err := pcapgo.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defrag := ip4defrag.NewIPv4Defragmenter()
	var list []pcap.Datagram
	for n := 1; ; n++ {
		data, ci, err := r.ReadPacketData()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.Default)
		udp, _ := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok {
			whole, err := defrag.DefragIPv4(ip)
			if err != nil {
				t.Fatal(err)
			}
			if whole == nil {
				continue
			}
			udp = &layers.UDP{}
			if err := udp.DecodeFromBytes(whole.Payload, gopacket.NilDecodeFeedback); err != nil {
				t.Fatal(err)
			}
		}
		list = append(list, pcap.Datagram{Time: ci.Timestamp, Frame: n, Payload: udp.Payload})
	}
}

func TestCapturesAgreeWithGopacket(t *testing.T) {
	for name, b := range captures(t) {
		got, stats, err := readAll(b)
		if err != nil {
			t.Errorf("%s: %v, want a clean end", name, err)
			continue
		}
		if stats.Other+stats.Broken+stats.Unmade != 0 || stats.Datagrams != len(got) {
			t.Errorf("%s: %+v; want nothing skipped, the captures hold UDP only", name, stats)
		}
		want := oracle(t, b)
		if len(got) != len(want) {
			t.Errorf("%s: %d datagrams, want %d", name, len(got), len(want))
			continue
		}
		for i := range got {
			g, w := got[i], want[i]
			if !g.Time.Equal(w.Time) || g.Frame != w.Frame || !bytes.Equal(g.Payload, w.Payload) {
				t.Errorf("%s datagram %d: frame %d at %v with %d bytes, want frame %d at %v with %d bytes",
					name, i+1, g.Frame, g.Time, len(g.Payload), w.Frame, w.Time, len(w.Payload))
				break
			}
		}
	}
}

// TestJumboSessionInFragments sends the session with 8800-byte blocks over a link
// of 1500 bytes, the parts of neighbouring datagrams interleaved.
func TestJumboSessionInFragments(t *testing.T) {
	want, _, err := readAll(captures(t)["plain-jumbo.pcap"])
	if err != nil {
		t.Fatal(err)
	}
	var frames []stamped
	for pair := 0; pair < len(want); pair += 2 {
		var parts [2][]stamped
		for k := range min(2, len(want)-pair) {
			whole := udp(want[pair+k].Payload)
			for from := 0; from < len(whole); from += 1480 {
				to := min(from+1480, len(whole))
				parts[k] = append(parts[k], stamped{0, fragment4(uint16(pair+k), from, to < len(whole), whole[from:to])})
			}
		}
		for len(parts[0])+len(parts[1]) > 0 {
			for k := range parts {
				if len(parts[k]) > 0 {
					frames = append(frames, parts[k][0])
					parts[k] = parts[k][1:]
				}
			}
		}
	}
	b := classic(t, layers.LinkTypeEthernet, frames)
	got, stats, err := readAll(b)
	if err != nil || stats.Unmade != 0 || stats.Fragments < 20 {
		t.Fatalf("%v, %+v; want many fragments and none left over", err, stats)
	}
	again := oracle(t, b)
	if len(got) != len(want) || len(again) != len(want) {
		t.Fatalf("%d datagrams, gopacket %d, want %d", len(got), len(again), len(want))
	}
	for i, d := range got {
		if d.Frame != again[i].Frame || !bytes.Equal(d.Payload, again[i].Payload) {
			t.Errorf("datagram %d, complete with frame %d, is not what gopacket makes of it with frame %d", i+1, d.Frame, again[i].Frame)
		}
	}
}

// TestFramesAndAddresses holds the captures against what is known of their
// packets from elsewhere: frame number, sender, bytes.
func TestFramesAndAddresses(t *testing.T) {
	type packet struct {
		Pcap, Ciphertext string
		Frame            int
	}
	var derived struct{ Sessions []struct{ Packets []packet } }
	b, err := os.ReadFile(filepath.Join(vectors, "derived.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &derived); err != nil {
		t.Fatal(err)
	}
	all := captures(t)
	n := 0
	for _, s := range derived.Sessions {
		frames := map[int][]byte{}
		last := ""
		for _, p := range s.Packets {
			if p.Pcap != last {
				list, _, err := readAll(all[p.Pcap])
				if err != nil {
					t.Fatalf("%s: %v", p.Pcap, err)
				}
				clear(frames)
				for _, d := range list {
					frames[d.Frame] = d.Payload
				}
				last = p.Pcap
			}
			want, err := hex.DecodeString(p.Ciphertext)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasSuffix(frames[p.Frame], want) {
				t.Errorf("%s frame %d does not end in the ciphertext known of it", p.Pcap, p.Frame)
			}
			n++
		}
	}
	if n == 0 {
		t.Fatal("no packets to compare with")
	}

	for name, want := range map[string]string{
		"plain-1file.pcap": "10.80.0.1 10.80.0.11",
		"plain-ipv6.pcap":  "fd80::a:1 fd80::b:11",
	} {
		list, _, _ := readAll(all[name])
		answer := list[0]
		for _, d := range list {
			if d.Src.Port() == 1044 {
				answer = d
				break
			}
		}
		if got := list[0].Src.Addr().String() + " " + answer.Src.Addr().String(); got != want ||
			list[0].Dst.Port() != 1044 || answer.Dst != list[0].Src {
			t.Errorf("%s: sender and receiver are %s, ANNOUNCE to %v, answer to %v; want %s, port 1044 and the sender",
				name, got, list[0].Dst, answer.Dst, want)
		}
	}
}
