package cli

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uftp/wire"
)

// offline is a resolver that knows two names and nothing else.
func offline() *Resolver {
	return &Resolver{lookup: func(_ context.Context, network, host string) ([]netip.Addr, error) {
		switch {
		case host == "clienta" && network != "ip6":
			return []netip.Addr{netip.MustParseAddr("10.88.0.7")}, nil
		case host == "both":
			return []netip.Addr{netip.MustParseAddr("fd88::7"), netip.MustParseAddr("10.88.0.8")}, nil
		case host == "broken":
			return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
		}
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}}
}

func TestIPv4Number(t *testing.T) {
	tests := []struct{ in, want string }{
		{"10.88.0.1", "10.88.0.1"}, {"10.1", "10.0.0.1"}, {"10.1.2", "10.1.0.2"}, {"0x0A580001", "10.88.0.1"}, {"012", "0.0.0.10"},
		{"12345678", "0.188.97.78"}, {"0", "0.0.0.0"}, {"0xffffffff", "255.255.255.255"}, {"0x1b.0.0.1", "27.0.0.1"}, {"4294967295", "255.255.255.255"},
		{"4294967296", ""}, {"300.1.1.1", ""}, {"1.2.3.4.5", ""}, {"1.2.3.", ""}, {"", ""}, {"abc", ""}, {"08", ""}, {"0b1", ""}, {"0o7", ""}, {"1_0", ""}, {"-1", ""}, {" 1", ""},
	}
	for _, tt := range tests {
		a, ok := IPv4Number(tt.in)
		if ok != (tt.want != "") || ok && a.String() != tt.want {
			t.Errorf("IPv4Number(%q) = %v, %v, want %q", tt.in, a, ok, tt.want)
		}
	}
}

// TestHostUID shows the UIDs that the stock sender makes of IDs, and where ours differs.
func TestHostUID(t *testing.T) {
	tests := []struct {
		id   string
		want wire.UID
		ok   bool
		warn bool
	}{
		{"10.1.2.3", 0x0A010203, true, false},
		{"0x0A580001", 0x0A580001, true, false},
		{"0xbeef", 0xbeef, true, false},
		{"0A580001", 0x0A580001, true, false},
		{"deadBEEF", 0xdeadbeef, true, false},
		{"abc", 0xabc, true, false},
		{"12345678", 0x00BC614E, true, true},
		{"012", 10, true, true},
		{"7", 7, true, false},
		{"0", 0, true, false},
		{"0xffffffff", 0xffffffff, true, false},
		{"clienta", 0x0A580007, true, false},
		{" 0x0A580001 ", 0x0A580001, true, false},
		{"fd88::1", 0x01000000, true, false},
		{"beach1", 0, false, false},
		{"beef-node", 0, false, false},
		{"0xbeefg", 0, false, false},
		{"zz", 0, false, false},
		{"ffffffffx", 0, false, false},
		{"0x123456789", 0, false, false},
		{"", 0, false, false},
		{"99999999999999999999", 0, false, false},
	}
	for _, tt := range tests {
		r := offline()
		got, ok := r.HostUID(tt.id)
		if got != tt.want || ok != tt.ok || (len(r.Warnings) > 0) != tt.warn {
			t.Errorf("HostUID(%q) = %v, %v, warnings %q, want %v, %v, a warning: %v", tt.id, got, ok, r.Warnings, tt.want, tt.ok, tt.warn)
		}
	}
}

func TestHosts(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return "@" + p
	}
	list := file("list", "# receivers\n\n0x11\r\n 0x12 |AA:BB rest\nclienta\n")
	long := file("long", strings.Repeat("1", 80)+"\n")
	tests := []struct {
		value string
		want  string // names and UIDs, or the error
	}{
		{"0x1,,0x2,", "0x1=0x00000001 0x2=0x00000002"},
		{"", ""},
		{list, "0x11=0x00000011  0x12 =0x00000012 clienta=0x0A580007"},
		{long, "Hostlist: name too long"},
		{"@/no/such", "Couldn't open destination list /no/such: No such file or directory"},
		{"0x1,zz", "Invalid UID zz"},
		{"0x0", "Invalid UID 0x0"},
	}
	for _, tt := range tests {
		var hosts []ListedHost
		err := offline().Hosts(&hosts)(tt.value)
		var got []string
		for _, h := range hosts {
			got = append(got, h.Name+"="+h.UID.String())
		}
		text := strings.Join(got, " ")
		if err != nil {
			text = err.Error()
		}
		if err == nil && text != tt.want || err != nil && !strings.HasPrefix(text, tt.want) || err != nil && tt.want == "" {
			t.Errorf("Hosts(%q) = %q, want %q", tt.value, text, tt.want)
		}
	}
}

func TestAddr(t *testing.T) {
	tests := []struct{ family, host, want string }{
		{"ip", "230.4.4.1", "230.4.4.1"}, {"ip", "ff02::1", "ff02::1"}, {"ip", "both", "10.88.0.8"}, {"ip6", "both", "fd88::7"},
		{"ip4", "ff02::1", "Address family for hostname not supported"}, {"ip6", "10.1.1.1", "Address family for hostname not supported"},
		{"ip", "300.1.1.1", textNotKnown}, {"ip", "no", textNotKnown}, {"ip", "", textNotKnown}, {"ip", "broken", textTemporary},
	}
	for _, tt := range tests {
		a, err := offline().Addr(tt.family, tt.host)
		got := a.String()
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("Addr(%s, %q) = %q, want %q", tt.family, tt.host, got, tt.want)
		}
	}
}

func TestLookupsEnd(t *testing.T) {
	r := &Resolver{lookup: func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("a look-up has no time limit")
		}
		return nil, context.DeadlineExceeded
	}}
	r.spent = budgetMax - time.Millisecond
	if _, err := r.Addr("ip", "slow"); err == nil {
		t.Error("a look-up that failed gave an address")
	}
	r.spent = budgetMax
	asked := false
	r.lookup = func(context.Context, string, string) ([]netip.Addr, error) { asked = true; return nil, nil }
	if _, err := r.Addr("ip", "slow"); err == nil || err.Error() != textTemporary || asked {
		t.Errorf("past the budget: %v, asked %v, want a temporary failure and no question", err, asked)
	}
}

func TestPorts(t *testing.T) {
	r := offline()
	for _, tt := range []struct {
		text string
		want string
	}{
		{"1044", "10.88.0.7:1044"}, {"65535", "10.88.0.7:65535"}, {"65536", "Port out of range"}, {"66580", "Port out of range"}, {"-1", "Port out of range"}, {"99999999999999999999", textNotKnown}, {"99x", textNotKnown}, {"", textNotKnown},
	} {
		a, err := r.HostPort("clienta:"+tt.text, 1)
		got := a.String()
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("HostPort(clienta:%s) = %s, want %s", tt.text, got, tt.want)
		}
	}
	for text, want := range map[string]string{
		"[fe80::1%e0]:1055": "[fe80::1%e0]:1055", "[fd88::1]": "[fd88::1]:1", "fe80::1%e0": "[fe80::1%e0]:1", "[10.0.0.1]:7": "10.0.0.1:7",
		"[fd88::1]x": "", "[fd88::1]:99x": "", "[fd88::1": "", "[]:7": "", "[clienta]:7": "",
	} {
		if a, err := r.HostPort(text, 1); (err == nil) != (want != "") || err == nil && a.String() != want {
			t.Errorf("HostPort(%s) = %v, %v, want %q", text, a, err, want)
		}
	}
	if a, err := r.HostPort("fd88::1", 1044); err != nil || a.String() != "[fd88::1]:1044" {
		t.Errorf("HostPort(fd88::1) = %v, %v, want the address with the default port", a, err)
	}
}

// FuzzHostUID checks that any ID gives a UID or a refusal, and that an ID in the form of a UID
// gives that UID.
func FuzzHostUID(f *testing.F) {
	for _, s := range []string{"10.1.2.3", "0x0A580001", "12345678", "012", "zz", "beach1", "::1", "0x", "1.2", "0x1.0x2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		r := offline()
		u, ok := r.HostUID(id)
		if !ok && u != 0 {
			t.Errorf("HostUID(%q) refuses and yet gives %v", id, u)
		}
		for _, w := range r.Warnings {
			if Clean(w) != w {
				t.Errorf("HostUID(%q) warns with control characters: %q", id, w)
			}
		}
		if len(u.String()) != 10 {
			t.Errorf("HostUID(%q) gives %v", id, u)
		}
		if again, ok2 := r.HostUID(u.String()); ok && (!ok2 || again != u) {
			t.Errorf("HostUID(%q) = %v, but that is read as %v, %v", id, u, again, ok2)
		}
	})
}
