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
	"uftp/crypto/identity"
	"uftp/tools/netlab"
	"uftp/wire"
)

// crypt holds the scenarios of encryption that run in all combinations.
var crypt = []scenario{
	{id: "36", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		server, client := e.key("sk", "rsa:1024"), e.key("ck", "rsa:1024")
		e.rx(e.A, "-k", e.in("ck"))
		print := client.Public().Fingerprint().String()
		wrong := server.Public().Fingerprint().String()
		with := []string{"-Y", "aes256-cbc", "-h", "sha256", "-e", "rsa", "-k", e.in("sk")}
		send := func(code int, print string, args ...string) netlab.Result {
			list := e.write(uidA+"|"+print+"\n", "list")
			return e.txCode(code, append(append(append([]string{}, with...), args...), "-H", "@"+list, "f")...)
		}
		send(0, print, "-c")
		e.got("f", e.A)
		res := send(7, wrong, "-c")
		e.want(strings.Contains(res.Stderr, "CLIENT_KEY"), "the log mentions CLIENT_KEY")
		send(0, strings.ToLower(print), "-c")
		send(0, wrong)
	}},
	{id: "37", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		server := e.key("sk", "ec:prime256v1")
		e.key("ck", "ec:prime256v1")
		print := server.Public().Fingerprint().String()
		for _, c := range []struct {
			uid, print string
			code       int
		}{
			{uidS, print, 0},
			{uidS, otherPrint(print), 7},
			{"0x999", print, 7},
		} {
			os.Remove(e.dest(e.A, "f"))
			list := e.write(c.uid+"|10.88.0.100|"+c.print+"\n", "servers")
			p := e.rx(e.A, "-S", list, "-M", "232.1.1.1", "-k", e.in("ck"))
			e.txCode(c.code, "-Y", "aes256-gcm", "-h", "sha256", "-e", "ecdh_ecdsa", "-k", e.in("sk"), "-M", "232.1.1.1", "-P", "232.2.2.x", hA, "f")
			if c.code == 0 {
				e.got("f", e.A)
			} else {
				e.log(p, "Failed to verify server key fingerprint")
				e.want(!e.exists(e.dest(e.A, "f")), "nothing is received")
			}
			e.stop(p)
		}
	}},
	{id: "38", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		p := e.rx(e.A, "-K", "rsa:512")
		args := []string{"-Y", "aes128-cbc", "-h", "sha256", "-e", "rsa", "-K", "1024", hA, "f"}
		if e.OursRx { // nobody asks for its key
			e.txCode(0, args...)
			e.got("f", e.A)
			return
		}
		e.txCode(7, args...)
		e.log(p, "No client key compatible with server key")
	}},
	{id: "81", run: func(t *testing.T, e *env) {
		e.file("f", 300_000)
		e.rx(e.A, "-K", "ec:prime256v1")
		e.drop(e.A, netlab.Match{}, netlab.EveryNth(3))
		e.drop(e.S, netlab.Match{}, netlab.EveryNth(3))
		e.txCode(0, "-Y", "aes128-gcm", "-h", "sha256", "-e", "ecdh_ecdsa", "-s", "40", hA, "f")
		e.got("f", e.A)
		e.dropped(e.A)
	}},
	{id: "124", run: lossy("-Y aes256-gcm -h sha512 -e ecdh_ecdsa")},
	{id: "125", run: lossy("-Y aes128-ccm -h sha256 -e ecdh_rsa -K 512")},
	{id: "126", run: lossy("-Y 3des -h sha1 -e rsa -K 512 -w keyex")},
	{id: "127", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		p := e.rx(e.A, "-K", "rsa:512,ec:prime256v1")
		code := 7 // a 512-bit key has no room for this hash
		if e.OursRx {
			code = 0 // the other key can sign it
		}
		e.txCode(code, "-Y", "aes256-cbc", "-h", "sha384", "-e", "rsa", "-K", "512", "-c", hA, "f")
		e.stop(p)
		e.rx(e.A, "-K", "rsa:1024")
		e.txCode(0, "-Y", "aes256-cbc", "-h", "sha384", "-e", "rsa", "-K", "1024", "-c", hA, "f")
		e.got("f", e.A)
	}},
}

func TestCrypt(t *testing.T) { runGroup(t, crypt) }

// key makes a key file.
func (e *env) key(name, spec string) *identity.PrivateKey {
	e.t.Helper()
	s, err := identity.ParseSpec(spec)
	e.ok(err)
	k, err := identity.Generate(s)
	e.ok(err)
	text, err := k.MarshalPEM()
	e.ok(err)
	e.ok(os.WriteFile(e.in(name), text, 0o600))
	return k
}

// dropAnswers loses a share of what receivers send, REGISTER excepted: a CLIENT_KEY
// without the REGISTER before it makes the stock sender crash (docs/protocol.md,
// "CLIENT_KEY").
func (e *env) dropAnswers(percent float64) {
	e.t.Helper()
	e.drop(e.S, netlab.Match{}.Func(3), netlab.Percent(percent))
	e.drop(e.S, netlab.Match{}.Func(encrypted), netlab.Percent(percent))
}

// otherPrint is a fingerprint with another last digit.
func otherPrint(print string) string {
	n := len(print) - 1
	if print[n] == '0' {
		return print[:n] + "1"
	}
	return print[:n] + "0"
}

// lossy is a line of section I: 3 % loss both ways.
func lossy(line string) func(t *testing.T, e *env) {
	return func(t *testing.T, e *env) {
		e.file("f", 600_000)
		e.rx(e.A, "-K", "rsa:512,ec:prime256v1")
		e.drop(e.A, netlab.Match{}, netlab.Percent(3))
		e.dropAnswers(3)
		e.txCode(0, append(strings.Fields(line), "-s", "40", hA, "f")...)
		e.got("f", e.A)
		e.dropped(e.A)
	}
}

// cryptRecv is our receiver with both senders.
var cryptRecv = []scenario{
	// Every cipher that stock can run, with every hash; keys are made when asked for.
	{id: "M1", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A)
		for _, cipher := range []string{"3des", "aes128-cbc", "aes256-cbc", "aes128-gcm", "aes256-gcm", "aes128-ccm", "aes256-ccm"} {
			for _, hash := range []string{"sha1", "sha256", "sha384", "sha512"} {
				e.sealedOnce(fmt.Sprintf("-Y %s -h %s -e ecdh_ecdsa", cipher, hash))
			}
		}
	}},
	// Every exchange and size, every way to sign packets, with and without -c.
	{id: "M2", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A)
		e.sealedOnce("-Y aes128-cbc -h sha256 -w keyex -e rsa -K 1024 -s 50") // waits for an RSA key to be made
		for _, exchange := range []string{
			"-e rsa -K 512", "-e rsa -K 1024", "-e rsa -K 2048", "-e ecdh_rsa -K 512", "-e ecdh_rsa:secp384r1 -K 1024",
			"-e ecdh_ecdsa:secp521r1 -K secp224r1", "-e ecdh_ecdsa:prime256v1 -K secp384r1",
			"-e ecdh_ecdsa:secp224r1 -K secp521r1", "-e ecdh_ecdsa:secp256k1 -K secp256k1",
		} {
			for _, cipher := range []string{"aes256-gcm", "aes128-cbc", "aes128-cbc -w keyex"} {
				for _, auth := range []string{"", " -c"} {
					e.sealedOnce("-h sha256 -Y " + cipher + " " + exchange + auth)
				}
			}
		}
	}},
	// Keys of all kinds and sizes shown to senders with others; kept in files.
	{id: "M3", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		for i, keys := range []string{"rsa:512", "rsa:2048", "ec:secp521r1", "ec:secp224r1,rsa:1024"} {
			var files []string
			for j := range strings.Split(keys, ",") {
				files = append(files, e.in(fmt.Sprintf("key%d-%d", i, j)))
			}
			list := strings.Join(files, ",")
			print := ""
			for _, args := range [][]string{{"-k", list, "-K", keys}, {"-k", list}} {
				p := e.rx(e.A, args...)
				var prints []string
				e.await(func() bool { // it listens before it says with which keys
					prints = fingerprints.FindAllString(p.Stderr(), -1)
					return len(prints) == len(files)
				}, soon)
				now := fmt.Sprint(prints)
				e.want(print == "" || print == now, "the stored keys have the fingerprints of those that were made: %s, then %s", print, now)
				print = now
				e.sealedOnce("-h sha256 -Y aes256-gcm -c -e rsa -K 1024")
				e.sealedOnce("-h sha256 -Y aes256-gcm -c -e ecdh_ecdsa")
				e.stop(p)
			}
			for _, f := range files {
				info, err := os.Stat(f)
				e.ok(err)
				e.want(info.Mode().Perm() == 0o600, "a key file only its owner can read, got %v", info.Mode())
			}
		}
		p := e.start(e.A, e.dir, e.bin.path("uftpd", true), "-d", "-k", e.in("key0-0"), "-K", "rsa:512", "-D", e.dest(e.A))
		e.want(e.end(p).Code == 3, "exit code 3 when a key file is there already")
	}},
	// Single DES, which must be enabled in the library of the stock sender.
	{id: "M4", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		p := e.rx(e.A)
		conf := e.write("openssl_conf = init\n[init]\nproviders = providers\n[providers]\ndefault = on\nlegacy = on\n[on]\nactivate = 1\n", "openssl.cnf")
		for _, line := range []string{"-Y des -h sha256 -e ecdh_ecdsa", "-Y des -h sha256 -e ecdh_ecdsa -w keyex", "-Y des -h sha1 -e rsa -K 1024 -c"} {
			os.Remove(e.dest(e.A, "f"))
			argv := append([]string{"env", "OPENSSL_CONF=" + conf, e.bin.path("uftp", e.OursTx)}, e.txArgs(append(strings.Fields(line), hA, "f"))...)
			if res := e.end(e.start(e.S, e.in("src"), argv...)); res.Code != 0 {
				t.Errorf("want: %s works, exit code %d", line, res.Code)
			}
			e.got("f", e.A)
		}
		e.log(p, "weak encryption: DES keys can be searched")
	}},
	// Loss in both directions, three receivers, every way to sign packets.
	{id: "M5", run: func(t *testing.T, e *env) {
		all := []*netlab.Host{e.A, e.B, e.C}
		for _, h := range all {
			e.rx(h, "-K", "rsa:1024,ec:prime256v1")
		}
		for _, h := range all {
			e.drop(h, netlab.Match{}, netlab.Percent(10))
		}
		e.dropAnswers(10)
		for i, line := range []string{"-Y aes256-gcm -e ecdh_ecdsa", "-Y aes128-ccm -e ecdh_rsa -K 1024 -c", "-Y aes128-cbc -e rsa -K 1024", "-Y aes256-cbc -w keyex -e ecdh_ecdsa", "-Y aes128-cbc -w keyex -e rsa -K 1024"} {
			name := fmt.Sprint("f", i)
			e.file(name, 300_000)
			e.txCode(0, append(strings.Fields(line), "-h", "sha256", "-s", "40", hABC, name)...)
			e.got(name, all...)
		}
		e.dropped(e.S)
	}},
	// What a receiver accepts at least.
	{id: "M6", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		const (
			clear  = "-x 2"
			legacy = "-Y aes256-gcm -h sha256 -e rsa -K 512"
			medium = "-Y 3des -h sha256 -e ecdh_ecdsa"
			strong = "-Y aes256-gcm -h sha256 -e ecdh_ecdsa"
		)
		for _, c := range []struct {
			option string
			least  int
		}{{"-q", 0}, {"-E", 1}, {"--min-security=legacy", 1}, {"--min-security=medium", 2}, {"--min-security=strong", 3}} {
			p := e.rx(e.A, c.option)
			for level, line := range []string{clear, legacy, medium, strong} {
				code := 0
				if level < c.least {
					code = 7
				}
				e.txCode(code, append(strings.Fields(line), hA, "f")...)
			}
			e.stop(p)
		}
	}},
	// What a key log of the receiver holds opens everything that was sent.
	{id: "M7", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		log := e.in("keys")
		p := e.rx(e.A, "--keylog", log)
		e.log(p, "Warning: with "+log+" anybody can decrypt")
		c := e.capture(e.S)
		e.txCode(0, "-Y", "aes128-ccm", "-h", "sha256", "-e", "ecdh_ecdsa", hA, "f")
		e.stop(p)
		text, err := os.ReadFile(log)
		e.ok(err)
		f := strings.Fields(string(text)) // docs/keylog.md
		if len(f) != 6 || f[0] != "UFTP4" || f[3] != "aes128-ccm:sha256:authenc:ecdh_ecdsa" {
			t.Fatalf("the key log is %q, want one session", text)
		}
		random, err := hex.DecodeString(f[4])
		e.ok(err)
		master, err := hex.DecodeString(f[5])
		e.ok(err)
		suite := handshake.Suite{Cipher: wire.CipherAES128CCM, Hash: wire.HashSHA256, SigType: wire.SigAuthEnc, KeyExch: wire.KeyExchECDHECDSA}
		keys := suite.GroupKeys(master, random)
		o, err := aead.NewOpener(aead.Keys{Cipher: suite.Cipher, SigType: suite.SigType, Hash: suite.Hash, Key: keys.Key, Salt: keys.Salt}, nil)
		e.ok(err)
		found := map[wire.Func]int{}
		counters := map[uint64]bool{}
		all := e.packets(c)
		for _, p := range all.of(encrypted) {
			msg, counter, err := o.Open(bytes.Clone(p.Payload))
			e.ok(err)
			found[wire.Func(msg[0])]++
			if p.Src.Addr() == e.A.IPv4 {
				e.want(!counters[counter], "counter %d is used once", counter)
				counters[counter] = true
			}
		}
		for _, fn := range []wire.Func{wire.FuncKeyInfoAck, wire.FuncFileInfo, wire.FuncFileInfoAck, wire.FuncFileSeg, wire.FuncDone, wire.FuncComplete, wire.FuncDoneConf} {
			e.want(found[fn] > 0, "%v was sent sealed", fn)
		}
		for _, p := range all.from(e.A) {
			e.want(p.Func() == register || p.Func() == encrypted, "our answers are REGISTER and sealed packets, got %d", p.Func())
		}
	}},
	// Interrupted and resumed, stopped, killed and started again within a session.
	{id: "M8", run: func(t *testing.T, e *env) {
		e.file("f", 3_000_000)
		a := e.rx(e.A, "-T", e.mkdir("tA"))
		e.key("sk", "ec:prime256v1")
		key := []string{"-Y", "aes256-gcm", "-h", "sha256", "-e", "ecdh_ecdsa", "-k", e.in("sk")} // a session is resumed for its key only
		p := e.txStart(append(key, "-R", "6000", "-f", hA, "f")...)                               // takes 4 s
		e.log(a, "FILEINFO_ACK sent")
		e.arrive(p, e.A, 600_000)
		p.Signal(syscall.SIGINT)
		e.want(e.end(p).Code == 6, "exit code 6 after a signal")
		e.log(a, "Transfer aborted by server: Server quit, aborting all")
		files, _ := os.ReadDir(e.in("src"))
		restart := ""
		for _, f := range files {
			if strings.HasSuffix(f.Name(), "_restart") {
				restart = f.Name()
			}
		}
		c := e.capture(e.S)
		e.txCode(0, append(key, "-F", restart)...)
		e.got("f", e.A)
		blocks := e.packets(c).of(encrypted).from(e.S).where(func(p netlab.Packet) bool { return len(p.Payload) > 1300 })
		e.want(len(blocks) < 2250, "a resumed session sends what is missing of 2308 blocks, got %d", len(blocks))

		e.fresh()
		e.rx(e.B)
		e.file("g", 4_000_000)
		p = e.txStart("-Y", "aes256-cbc", "-h", "sha256", "-e", "ecdh_ecdsa", hAB, "g")
		e.log(a, "Name of file to receive: g")
		e.arrive(p, e.A, 300_000)
		e.stop(a)
		e.want(e.end(p).Code == 0, "the other one goes on")
		e.got("g", e.B)
		e.result(uidA, "g", "aborted")
	}},
	// Unicast and IPv6 change what the keys are bound to.
	{id: "M9", run: func(t *testing.T, e *env) {
		e.file("f", 20_000)
		e.rx(e.A)
		e.rx(e.B, "-I", "eth0/6", "-M", "ff02::1:2:3", "-K", "rsa:1024")
		for _, line := range []string{"-h sha256 -Y aes256-gcm -e ecdh_ecdsa", "-h sha256 -Y aes128-cbc -w keyex -e rsa -K 1024 -s 50"} {
			e.txCode(0, append(strings.Fields(line), "-M", e.A.IPv4.String(), hA, "f")...)
			e.got("f", e.A)
			os.Remove(e.dest(e.A, "f"))
		}
		e.txCode(0, "-h", "sha256", "-Y", "aes128-cbc", "-w", "keyex", "-e", "rsa", "-K", "1024",
			"-I", "eth0/6", "-M", "ff02::1:2:3", "-P", "ff02::4:5:x", "-H0x02000000", "f")
		e.got("f", e.B)
	}},
}

var fingerprints = regexp.MustCompile(`(?:[0-9A-F]{2}:){19}[0-9A-F]{2}`)

func TestCryptRecv(t *testing.T) {
	netlab.Require(t, "uftp", "uftpd", "tshark")
	for _, c := range combos {
		for _, s := range cryptRecv {
			if !c.oursRx {
				continue
			}
			t.Run(c.String()+"/"+s.id, func(t *testing.T) {
				t.Parallel()
				run(t, c, s)
			})
		}
	}
}
