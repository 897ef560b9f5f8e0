//go:build linux

package interop

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/tools/netlab"
	"uftp/wire"
)

// stockKeys makes a stock receiver one that takes every key a sender may show:
// it wants one of the same size.
const stockKeys = "rsa:512,rsa:1024,rsa:2048,ec:prime256v1,ec:secp384r1,ec:secp521r1,ec:secp224r1,ec:secp256k1"

const encrypted = 18

// cryptSend is our sender with stock receivers.
var cryptSend = []scenario{
	// Every cipher that stock can run, with every hash.
	{id: "L1", run: func(t *testing.T, e *env) {
		var list []string
		for _, cipher := range []string{"3des", "aes128-cbc", "aes256-cbc", "aes128-gcm", "aes256-gcm", "aes128-ccm", "aes256-ccm"} {
			for _, hash := range []string{"sha1", "sha256", "sha384", "sha512"} {
				list = append(list, fmt.Sprintf("-Y %s -h %s -e ecdh_ecdsa", cipher, hash))
			}
		}
		e.sealed(list)
	}},
	// Every key exchange and size, with every way to sign packets.
	{id: "L2", run: func(t *testing.T, e *env) {
		var list []string
		for _, exchange := range []string{
			"-e rsa -K 512", "-e rsa -K 1024", "-e rsa -K 2048", "-e ecdh_rsa -K 512", "-e ecdh_rsa:secp384r1 -K 1024",
			"-e ecdh_ecdsa:secp521r1 -K secp224r1", "-e ecdh_ecdsa -K secp384r1",
			"-e ecdh_ecdsa:secp224r1 -K secp521r1", "-e ecdh_ecdsa:secp256k1 -K secp256k1",
		} {
			for _, cipher := range []string{"aes256-gcm", "aes128-cbc", "aes128-cbc -w keyex"} {
				for _, auth := range []string{"", " -c"} {
					list = append(list, "-Y "+cipher+" "+exchange+auth)
				}
			}
		}
		e.sealed(list)
	}},
	// What the README says about receivers without options about keys.
	{id: "L3", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A)
		e.txCode(7, "-Y", "aes256-gcm", hA, "f")
		for _, line := range []string{"-Y aes256-gcm -K 512", "-Y aes256-cbc -K 512 -c", "-Y aes256-cbc -e rsa -K 512 -h sha1"} {
			e.sealedOnce(line)
		}
	}},
	// Single DES, which must be enabled in the receiver's library.
	{id: "L4", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		conf := e.write(`openssl_conf = init
[init]
providers = providers
[providers]
default = on
legacy = on
[on]
activate = 1
`, "openssl.cnf")
		argv := []string{"env", "OPENSSL_CONF=" + conf, e.bin.path("uftpd", false), "-d", "-q", "-I", netlab.Device, "-D", e.dest(e.A), "-K", "rsa:1024,ec:prime256v1"}
		e.ok(e.start(e.A, e.dir, argv...).WaitLog(ready, startMax))
		for _, line := range []string{"-Y des", "-Y des -w keyex", "-Y des -h sha1 -e rsa -K 1024 -c", "-Y des -h sha512 -e ecdh_rsa -K 1024 -w keyex"} {
			e.sealedOnce(line)
		}
	}},
	// Loss in both directions, three receivers, every way to sign packets.
	{id: "L5", run: func(t *testing.T, e *env) {
		all := []*netlab.Host{e.A, e.B, e.C}
		for _, h := range all {
			e.rx(h, "-K", "rsa:1024,ec:prime256v1")
		}
		for _, h := range append(all, e.S) {
			e.drop(h, netlab.Match{}, netlab.Percent(10))
		}
		for i, line := range []string{"-Y aes256-gcm", "-Y aes128-cbc", "-Y aes256-cbc -w keyex", "-Y aes128-cbc -w keyex -e ecdh_rsa -K 1024", "-Y aes128-ccm -c -e rsa -K 1024"} {
			name := fmt.Sprint("f", i)
			e.file(name, 400_000)
			e.txCode(0, append(strings.Fields(line), "-s", "40", hABC, name)...)
			e.got(name, all...)
		}
		e.dropped(e.S)
	}},
	// Fingerprints of receivers.
	{id: "L6", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		rx := e.rx(e.A, "-K", "ec:prime256v1")
		var print []string
		if !e.await(func() bool { // it logs that it is ready before it logs its keys
			print = regexp.MustCompile(`fingerprint ((?:[0-9A-F]{2}:){19}[0-9A-F]{2})`).FindStringSubmatch(rx.Stderr())
			return print != nil
		}, soon) {
			t.Fatal("the receiver does not print its fingerprint")
		}
		good := e.write(uidA+"|"+print[1]+"\n", "good")
		other := "00"
		if print[1][:2] == other {
			other = "01"
		}
		bad := e.write(uidA+"|"+other+print[1][2:]+"\n", "bad")
		e.txCode(0, "-Y", "aes256-gcm", "-c", "-H@"+good, "f")
		e.got("f", e.A)
		res := e.txCode(7, "-Y", "aes256-gcm", "-c", "-H@"+bad, "f")
		e.want(strings.Contains(res.Stderr, "Rejecting CLIENT_KEY from "+uidA), "the log says why, got %s", res.Stderr)
		res = e.txCode(0, "-Y", "aes256-gcm", "-H@"+bad, "f")
		e.want(strings.Contains(res.Stderr, "fingerprints are compared only with -c"), "a warning that the list is not looked at")
	}},
	// Restart, sync, the ways to give up.
	{id: "L7", run: func(t *testing.T, e *env) {
		e.file("f", 3_000_000)
		e.key("sk", "ec:prime256v1")
		a := e.rx(e.A, "-K", "ec:prime256v1", "-T", e.mkdir("tA"))
		e.rx(e.B, "-K", "ec:prime256v1", "-T", e.mkdir("tB"))
		p := e.txStart("-Y", "aes256-gcm", "-k", e.in("sk"), "-R", "6000", "-f", hAB, "f") // takes 4 s
		e.log(p, "Sending section 0")
		e.arrive(p, e.A, 600_000)
		p.Signal(syscall.SIGINT)
		e.want(e.end(p).Code == 6, "exit code 6 after a signal")
		e.log(a, "Server quit, aborting all")
		files, _ := os.ReadDir(e.in("src"))
		restart := ""
		for _, f := range files {
			if strings.HasSuffix(f.Name(), "_restart") {
				restart = f.Name()
			}
		}
		c := e.capture(e.S)
		e.txCode(0, "-Y", "aes256-gcm", "-k", e.in("sk"), "-F", restart) // receivers resume for this key
		e.got("f", e.A, e.B)
		blocks := e.packets(c).of(encrypted).from(e.S).where(func(p netlab.Packet) bool { return len(p.Payload) > 1300 })
		e.want(len(blocks) < 2200, "a resumed session sends what is missing of 2308 blocks, got %d", len(blocks))
		e.fresh()
		e.rx(e.C, "-K", "ec:prime256v1") // one that can keep a copy up to date: without -T
		e.txCode(0, "-Y", "aes256-ccm", "-z", "-R", "100000", "-H"+uidC, "f")
		e.result(uidC, "f", "copy")
		e.fresh()
		e.txCode(0, "-Y", "aes256-ccm", "-z", "-H"+uidC, "f")
		e.result(uidC, "f", "skipped")
		e.fresh()
		e.file("g", 3_000_000)
		p = e.txStart("-Y", "aes256-cbc", "-q", hAB, "g")
		e.log(p, "Sending section 0")
		a.Signal(syscall.SIGTERM)
		e.want(e.end(p).Code == 9, "exit code 9 when one of them goes and -q was given")
	}},
	// Unicast and IPv6 change what the keys are bound to.
	{id: "L8", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A, "-K", "ec:prime256v1,rsa:1024")
		e.rx(e.B, "-K", "ec:prime256v1,rsa:1024", "-I", "eth0/6", "-M", "ff02::1:2:3")
		for _, line := range []string{"-Y aes256-gcm", "-Y aes128-cbc -w keyex -e rsa -K 1024"} {
			e.txCode(0, append(strings.Fields(line), "-M", e.A.IPv4.String(), hA, "f")...)
			e.txCode(0, append(strings.Fields(line), "-I", "eth0/6", "-M", "ff02::1:2:3", "-P", "ff02::4:5:x", "-H0x02000000", "f")...)
			e.got("f", e.A, e.B)
			os.Remove(e.dest(e.A, "f"))
			os.Remove(e.dest(e.B, "f"))
		}
	}},
	// What a key log holds opens everything that was sent.
	{id: "L9", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A, "-K", "ec:prime256v1")
		log := e.in("keys")
		c := e.capture(e.S)
		e.txCode(0, "-Y", "aes256-gcm", "--keylog", log, hA, "f")
		text, err := os.ReadFile(log)
		e.ok(err)
		f := strings.Fields(string(text)) // docs/keylog.md
		if len(f) != 6 || f[0] != "UFTP4" || f[3] != "aes256-gcm:sha256:authenc:ecdh_ecdsa" {
			t.Fatalf("the key log is %q, want one session", text)
		}
		random, err := hex.DecodeString(f[4])
		e.ok(err)
		master, err := hex.DecodeString(f[5])
		e.ok(err)
		suite := handshake.Suite{Cipher: wire.CipherAES256GCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA}
		keys := suite.GroupKeys(master, random)
		o, err := aead.NewOpener(aead.Keys{Cipher: suite.Cipher, SigType: suite.SigType, Hash: suite.Hash, Key: keys.Key, Salt: keys.Salt}, nil)
		e.ok(err)
		found := map[wire.Func]int{}
		counters := map[uint64]bool{}
		for _, p := range e.packets(c).of(encrypted) {
			msg, counter, err := o.Open(bytes.Clone(p.Payload))
			e.ok(err)
			found[wire.Func(msg[0])]++
			if p.Src.Addr() == e.S.IPv4 {
				e.want(!counters[counter], "counter %d is used once", counter)
				counters[counter] = true
			}
		}
		for _, fn := range []wire.Func{wire.FuncKeyInfoAck, wire.FuncFileInfo, wire.FuncFileInfoAck, wire.FuncFileSeg, wire.FuncDone, wire.FuncComplete, wire.FuncDoneConf} {
			e.want(found[fn] > 0, "%v was sent sealed", fn)
		}
	}},
}

func TestCryptSend(t *testing.T) {
	netlab.Require(t, "uftp", "uftpd", "tshark")
	c := combo{oursTx: true}
	for _, s := range cryptSend {
		t.Run(c.String()+"/"+s.id, func(t *testing.T) {
			t.Parallel()
			run(t, c, s)
		})
	}
}

// sealed sends a file in one session for each command line, to a receiver with
// keys of all kinds.
func (e *env) sealed(lines []string) {
	e.t.Helper()
	e.file("f", 20_000)
	e.rx(e.A, "-K", stockKeys)
	for _, line := range lines {
		e.sealedOnce(line)
	}
}

// sealedOnce sends f in one session and wants it there.
func (e *env) sealedOnce(line string) {
	e.t.Helper()
	os.Remove(e.dest(e.A, "f"))
	res := e.tx(append(strings.Fields(line), hA, "f")...)
	if res.Code != 0 {
		e.t.Errorf("want: uftp %s sends a file; it ends with %d:\n%s", line, res.Code, res.Stderr)
		return
	}
	e.got("f", e.A)
}
