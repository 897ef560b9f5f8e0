package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/lists"
	"uftp/cmd/version"
	"uftp/crypto/aead"
	"uftp/crypto/handshake"
	"uftp/crypto/identity"
	"uftp/engine"
	"uftp/engine/netio"
	"uftp/engine/sender"
	"uftp/wire"
)

// options is the command line. It is checked as far as possible without opening any files but
// lists.
type options struct {
	resolver *cli.Resolver
	host     cli.Host

	// Files and names.
	operands  []string
	fileLists int // -i given
	listed    []string
	destName  string
	destIsDir bool
	bases     []string
	exclude   []string
	followLnk bool

	// Receivers.
	hosts         []cli.ListedHost
	pins          map[wire.UID]identity.Fingerprint // of the hosts and of the restart file
	hostLists     int                               // -H given
	proxies       []cli.ListedHost
	proxyLists    int
	restart       bool // -f
	restartName   string
	resume        lists.SendRestart
	registerCount int
	registerQuiet time.Duration
	registerWait  time.Duration
	roaming       bool
	quitOnError   bool
	sync, preview bool

	// Network.
	iface      *netio.Choice
	public     string
	private    string
	port       string
	sourcePort string
	uid        wire.UID
	ttl, dscp  int
	bufBytes   int
	net        cli.NetworkOptions
	workers    int

	// Protocol.
	rate        int64 // bytes/s; 0: no limit
	rateAuto    cli.RateAuto
	blockSize   int
	robust      int
	grtt        [3]time.Duration // initial, least, greatest
	maxPasses   int
	stallPasses int
	maxNAKPct   int
	maxNAKCount int
	txWeight    int
	tfmcc       bool
	ccText      string
	cryptOptions
	windows    bool // -y: no effect, as in the stock sender on systems other than Windows
	logFile    string
	logFiles   cli.LogFileOptions
	logLevel   int
	stamps     bool
	statusFile string
	capture    cli.CaptureOptions
	json       bool
	noProgress bool
}

// Defaults, those of stock but where a comment says otherwise.
const (
	defaultPublic  = "230.4.4.1"
	defaultPrivate = "230.5.5.x"
	defaultRate    = 1000 * 1024 / 8 // bytes/s
	defaultBuffer  = 4 << 20         // stock's 262144 overflow when many receivers answer at once
	defaultRobust  = 20
	defaultPasses  = 65535
	defaultStall   = 20
	maxDestName    = wire.MaxNameLen - 1
)

func newOptions(host cli.Host) *options {
	return &options{
		resolver: cli.NewResolver(), host: host,
		public: defaultPublic, private: defaultPrivate, port: fmt.Sprint(wire.DefaultPort), sourcePort: "0",
		ttl: 1, bufBytes: defaultBuffer,
		workers: -1, rate: defaultRate, blockSize: wire.DefaultBlockSize, robust: defaultRobust,
		grtt:      [3]time.Duration{500 * time.Millisecond, 10 * time.Millisecond, 15 * time.Second},
		maxPasses: defaultPasses, stallPasses: defaultStall, maxNAKPct: 100, maxNAKCount: 1,
		cryptOptions: cryptOptions{cipher: "none"}, logLevel: 2, logFiles: cli.LogFileOptions{Count: cli.LogCountDefault},
	}
}

const examples = `  Send a file at 100 Mbit/s to every receiver that listens:
      uftp -R 100M disk.img
  Send a directory to two receivers only and leave a file to resume from:
      uftp -R 100M -f -H 10.0.0.5,10.0.0.6 photos/
  Send it encrypted, to receivers whose keys are known (hosts: lines of ID|FINGERPRINT):
      uftp -Y aes256-gcm -c -H @hosts disk.img
  Send the rest to those that did not get everything:
      uftp -R 100M -F _group_1A2B3C4D_restart
  Delete a file at the receivers, and ask them how much space they have then (see -S, --json):
      uftp @DELETE:disk.img @FREESPACE
`

const exits = `   0  the session is complete; a receiver took a file and confirmed the session
   1  an option or a list; a restart or status file
   2  addresses, interface or socket
   3  keys
   4  the log file, the key log or the capture
   6  SIGINT, SIGTERM, SIGQUIT or SIGHUP
   7  no receiver registered; with -q: a receiver is missing
   8  no receiver answered the announcement of a file; with -q: one did not
   9  no receiver finished a file, or it could not be read to its end;
      with -q: one did not finish it
  10  the session is complete, but no receiver accepted a file and confirmed
      the session; with -q: one did not confirm it
If some output could not be written, the code is not 0 but 1 for the status or
restart file, and 4 for everything else.
`

// command is the table of options.
func (o *options) command() *cli.Command {
	const (
		what    = "Files and their names"
		who     = "Receivers"
		network = "Network"
		pace    = "Rate, repair and limits"
		secret  = "Encryption"
		ignored = " (ignored without -Y)"
		output  = "Output"
	)
	return &cli.Command{
		Name: "uftp", Version: version.Version, About: "cipher instructions: " + aead.Features(),
		Purpose:  "Sends files and directories to any number of receivers (uftpd) at once.",
		Operands: "{ -i list_file | file... }",
		Examples: examples, Exits: exits,
		Options: slices.Concat([]cli.Option{
			{Letter: 'i', Name: "file-list", Arg: "FILE", Group: what, Set: o.setFileList,
				Help: "send the paths in FILE, one a line; - is standard input (at most\n10000 lines; operands are ignored)"},
			{Letter: 'D', Name: "dest-name", Arg: "NAME", Group: what, Set: o.setDestName,
				Help: "name at the receivers; for several files, of a directory\n(default: the last part of each path)"},
			{Letter: 'o', Name: "dest-is-dir", Group: what, Set: cli.Flag(&o.destIsDir),
				Help: "the name of -D is that of a directory even for a single file"},
			{Letter: 'E', Name: "base-dir", Arg: "DIR[,DIR...]", Group: what, Set: cli.List(&o.bases),
				Help: "remove DIR from the paths and use the rest as the name; skip\npaths outside DIR"},
			{Letter: 'X', Name: "exclude", Arg: "FILE", Group: what, Set: o.setExclude,
				Help: "do not send the paths in FILE, one a line (at most 500)"},
			{Letter: 'l', Name: "follow-links", Group: what, Set: cli.Flag(&o.followLnk),
				Help: "send the files that symbolic links point to (default: the links)"},
			{Letter: 'z', Name: "sync", Group: what, Set: cli.Flag(&o.sync),
				Help: "send only files that are newer than those of a receiver"},
			{Letter: 'Z', Name: "sync-preview", Group: what,
				Set:  func(string) error { o.sync, o.preview = true, true; return nil },
				Help: "like -z, but only report what would be sent"},

			{Letter: 'H', Name: "hosts", Arg: "ID[,ID...] | @FILE", Group: who, Set: o.setHosts,
				Help: "send only to these receivers: 0x and hex digits, IP address or host\nname; @FILE lists them, one a line (default: all that answer)"},
			{Letter: 'j', Name: "proxy-list", Arg: "FILE", Group: who, Set: o.setProxies,
				Help: "send through the proxies in FILE (not supported yet)"},
			{Letter: 'f', Name: "restart", Group: who, Set: cli.Flag(&o.restart),
				Help: "write _group_ID_restart here if a receiver did not get everything\n(with -Y use the same -k each time: receivers resume for that key)"},
			{Letter: 'F', Name: "resume", Arg: "FILE", Group: who, Set: o.setResume,
				Help: "send the rest of the session that wrote the restart file FILE\n(implies -f; not with -H, -j or -z; replaces -i)"},
			{Name: "register-count", Arg: "N", Group: who,
				Set:  cli.Int(&o.registerCount, 1, sender.MaxClients, "Invalid register count", "receivers"),
				Help: "begin as soon as N receivers have registered (1 to 100000), or when\nthe time for registration is over; signal USR2 begins at once"},
			{Name: "register-quiet", Arg: "SECONDS", Group: who, Set: o.setRegisterQuiet,
				Help: "begin when no new receiver has registered for SECONDS seconds\n(0.001 to 3600)"},
			{Name: "register-wait", Arg: "SECONDS", Group: who, Set: o.setRegisterWait,
				Help: "how long to wait for receivers: for N of them, for all of -H, or for\nany (0 to 86400; default: 0, as the stock sender: -s rounds, about\n2 s on a local network, 30 s if no receiver answers)"},
			{Name: "roaming", Group: who, Set: cli.Flag(&o.roaming),
				Help: "accept a receiver's packets from any address; for networks that\ntranslate addresses. In clear sessions anybody who knows the UID can\nthen forge them, in encrypted ones every receiver"},
			{Letter: 'q', Name: "quit-on-error", Group: who, Set: cli.Flag(&o.quitOnError),
				Help: "end as soon as a receiver is missing, is lost or aborts"},

			{Letter: 'M', Name: "public-address", Arg: "ADDRESS", Group: network, Set: cli.String(&o.public),
				Help: "address of announcements: a multicast address, or the unicast or\nbroadcast address for everything (default: 230.4.4.1)"},
			{Letter: 'P', Name: "private-address", Arg: "ADDRESS", Group: network, Set: cli.String(&o.private),
				Help: "multicast address for the data; each x is replaced by a random part\n(default: 230.5.5.x; must be given with an IPv6 -M)"},
			{Letter: 'p', Name: "port", Arg: "PORT", Group: network, Set: cli.String(&o.port),
				Help: "UDP port of the receivers (default: 1044)"},
			{Letter: 'u', Name: "source-port", Arg: "PORT", Group: network, Set: cli.String(&o.sourcePort),
				Help: "UDP port to send from (default: 0, any free one)"},
			{Letter: 'I', Name: "interface", Arg: "INTERFACE", Group: network, Set: o.setInterface,
				Help: "name or index, with /4 or /6 for the family, or address; the family is\nthat of -M (default: one with a carrier, if possible that of the route)"},
			{Letter: 'U', Name: "uid", Arg: "UID", Group: network, Set: cli.UID(&o.uid),
				Help: "ID of this sender, hex (default: from the interface's address)"},
			{Letter: 't', Name: "ttl", Arg: "N", Group: network, Set: cli.Int(&o.ttl, 1, 255, "Invalid ttl", "hops"),
				Help: "hops that multicast may take (1 to 255, default: 1)"},
			{Letter: 'Q', Name: "dscp", Arg: "N", Group: network, Set: cli.AnyBase(&o.dscp, 0, 63, "Invalid dscp", ""),
				Help: "differentiated services code point (0 to 63, default: 0)"},
			{Letter: 'B', Name: "buffer", Arg: "BYTES", Group: network,
				Set:  cli.Int(&o.bufBytes, 65536, 104857600, "Invalid receive buffer size", "bytes"),
				Help: "socket buffers (65536 to 104857600, default: 4194304)"},
			{Name: "workers", Arg: "N", Group: network, Set: cli.Int(&o.workers, 0, 64, "Invalid number of workers", ""),
				Help: "extra threads that read and encrypt (0 to 64; default: 0, or chosen\nautomatically for slow ciphers)"},
		}, o.net.Rows(network), []cli.Option{

			{Letter: 'R', Name: "rate", Arg: "RATE", Group: pace, Set: o.setRate,
				Help: "a number is Kbps of 1024 bit/s (1 to 1073741824; default: 1000); with\nk, M or G behind it, bit/s: 100M, 2.5G; -1: as fast as the interface\ncan send; auto[:init=RATE][:max=RATE]: as fast as the receivers can\nreceive without losing much"},
			{Letter: 'b', Name: "block-size", Arg: "BYTES", Group: pace,
				Set:  cli.Int(&o.blockSize, wire.MinBlockSize, wire.MaxBlockSize, "Invalid blocksize", "bytes"),
				Help: "bytes of the file in a datagram (512 to 8800, default: 1300)"},
			{Letter: 's', Name: "robustness", Arg: "N", Group: pace,
				Set:  cli.Int(&o.robust, 10, 50, "Invalid robustness factor", ""),
				Help: "how often a message is repeated before a receiver counts as lost\n(10 to 50, default: 20)"},
			{Letter: 'r', Name: "grtt", Arg: "INIT[:MIN:MAX]", Group: pace, Set: o.setGRTT,
				Help: "initial group round-trip time and its limits, seconds\n(each 0.001 to 1000, default: 0.5:0.01:15)"},
			{Letter: 'a', Name: "max-passes", Arg: "N", Group: pace,
				Set:  cli.Int(&o.maxPasses, 1, 65535, "Invalid max passes", "passes"),
				Help: "give up receivers that still miss blocks after N passes over a file\n(1 to 65535, default: 65535)"},
			{Name: "stall-passes", Arg: "N", Group: pace,
				Set:  cli.Int(&o.stallPasses, 0, 65535, "Invalid stall passes", "passes"),
				Help: "give up a receiver whose missing blocks do not become a quarter fewer\nin N passes in a row and 40 seconds (0 to 65535, 0: never;\ndefault: 20)"},
			{Letter: 'N', Name: "max-nak-percent", Arg: "PERCENT", Group: pace,
				Set:  cli.Int(&o.maxNAKPct, 0, 100, "Invalid max_nak_pct", "percent"),
				Help: "share of a section above which a receiver has too many NAKs\n(0 to 100, default: 100, never)"},
			{Letter: 'm', Name: "max-nak-count", Arg: "N", Group: pace,
				Set:  cli.Int(&o.maxNAKCount, 1, 1000, "Invalid max nak count", ""),
				Help: "give up a receiver after N sections with too many NAKs\n(1 to 1000, default: 1)"},
			{Letter: 'W', Name: "max-time", Arg: "PERCENT", Group: pace,
				Set:  cli.Int(&o.txWeight, 110, 10000, "Invalid txweight", "percent"),
				Help: "time limit for a file, percent of the time for its size at rate -R\n(110 to 10000, default: no limit)"},
			{Letter: 'C', Name: "congestion-control", Arg: "TYPE", Group: pace, Set: o.setCC,
				Help: "none or tfmcc[:min=RATE][:init=RATE][:max=RATE], which is not supported\nyet (default: none)"},

			{Letter: 'Y', Name: "cipher", Arg: "CIPHER", Group: secret, Set: cli.OneOf(&o.cipher, cli.Ciphers, "Invalid keytype"),
				Help: strings.Join(cli.Ciphers[:5], ", ") + ",\n" + strings.Join(cli.Ciphers[5:], ", ") + ";\naes256-gcm is a good choice (default: none)"},
			{Letter: 'h', Name: "hash", Arg: "HASH", Group: secret, Set: cli.OneOf(&o.hash, cli.Hashes, "Invalid hashtype"),
				Help: strings.Join(cli.Hashes, ", ") + ignored + "\n(default: sha256)"},
			{Letter: 'w', Name: "signature", Arg: "TYPE", Group: secret, Set: cli.OneOf(&o.signature, cli.Signatures, "Invalid sigtype"),
				Help: "hmac, or keyex: sign each datagram with the private key, slow\n(ignored without -Y and with GCM and CCM; default: hmac)"},
			{Letter: 'e', Name: "key-exchange", Arg: "TYPE[:CURVE]", Group: secret, Set: cli.Exchange(&o.exchange),
				Help: strings.Join(cli.Exchanges, ", ") + ignored + "; CURVE one of\n" + identity.CurveNames() +
					"\n(default: ecdh_ecdsa:prime256v1, or ecdh_rsa with an RSA key)"},
			{Letter: 'c', Name: "client-auth", Group: secret, Set: cli.Flag(&o.clientAuth),
				Help: "require receivers to prove a key (the one whose fingerprint -H lists,\nif any; ignored without -Y)"},
			{Letter: 'k', Name: "key-file", Arg: "FILE", Group: secret, Set: cli.String(&o.keyFile),
				Help: "private key of this sender, PEM (ignored without -Y; default: a new\nkey, lost at the end)"},
			{Letter: 'K', Name: "new-key", Arg: "BITS|CURVE", Group: secret, Set: cli.String(&o.newKey),
				Help: "create a new key: 512 to 2048 bits of RSA, or a curve; with -k, store\nit there (ignored without -Y; default: prime256v1, 2048 for RSA)"},
			{Name: "allow-large-rsa", Group: secret, Set: cli.Flag(&o.largeRSA),
				Help: "accept RSA keys of up to 4096 bits, which crash stock receivers"},
			{Name: "keylog", Arg: "FILE", Group: secret, Set: cli.String(&o.keyLog),
				Help: "append the secrets of this session to FILE; with it anybody can\ndecrypt captures of the session"},

			{Letter: 'x', Name: "log-level", Arg: "N", Group: output, Set: cli.Int(&o.logLevel, 0, math.MaxInt, "Invalid log level", ""),
				Help: "0 errors, 1 warnings, 2 normal, 3 round-trip times and repair,\n4 addresses, 5 and above every datagram (default: 2)"},
			{Letter: 'T', Name: "timestamps", Group: output, Set: cli.Flag(&o.stamps),
				Help: "write time and session before each log line"},
			{Letter: 'L', Name: "log", Arg: "FILE", Group: output, Set: cli.String(&o.logFile),
				Help: "append the log to FILE, with -T (default: standard error)"},
		}, o.logFiles.Rows(output), []cli.Option{
			{Letter: 'S', Name: "status-file", Arg: "FILE", Group: output, Set: cli.String(&o.statusFile),
				Help: "append results for scripts to FILE; @LOG writes them to the log"},
			{Name: "json", Group: output, Set: cli.Flag(&o.json),
				Help: "write each event to standard output, one JSON object a line"},
			{Name: "no-progress", Group: output, Set: cli.Flag(&o.noProgress),
				Help: "on a terminal, write log lines instead of the live display"},
			{Letter: 'y', Name: "windows-cng", Group: output, Set: cli.Flag(&o.windows),
				Help: "no effect; accepted because scripts for Windows use it"},
		}, o.capture.Rows(output)),
	}
}

// parse reads the command line and checks options against each other.
func (o *options) parse(cmd *cli.Command, args []string) error {
	operands, err := cmd.Parse(args)
	if err != nil {
		return err
	}
	if o.restart && o.sync {
		return &cli.Error{Text: "Error: Cannot use restart mode and sync mode together", Allowed: "-f or -F without -z and -Z"}
	}
	if err := o.checkFeatures(); err != nil {
		return err
	}
	switch {
	case o.restartName != "": // scripts add -F to the options of the first attempt
		o.operands = o.resume.Operands
		if o.fileLists > 0 {
			o.resolver.Warnings = append(o.resolver.Warnings, "Warning: ignoring -i: the restart file lists the files to send")
		}
	case len(o.listed) > 0:
		o.operands = o.listed
	default:
		o.operands = operands
		operands = nil
	}
	if len(o.operands) == 0 {
		return &cli.UsageError{}
	}
	if slices.Contains(o.operands, "") {
		return cli.Fail("An operand is empty; use . for the current directory")
	}
	if len(operands) > 0 {
		o.resolver.Warnings = append(o.resolver.Warnings, "Warning: ignoring paths specified on command line")
	}
	if len(o.operands) > lists.MaxOperands {
		return cli.Fail("Exceeded maximum file count: %d operands (allowed: at most %d)", len(o.operands), lists.MaxOperands)
	}
	if o.rateAuto.On && o.txWeight > 0 {
		return &cli.Error{Text: "Error: -W needs a fixed rate, not -R auto", Allowed: "-W with a fixed rate"}
	}
	if o.logFiles.SizeMB > 0 && o.logFile == "" {
		o.resolver.Warnings = append(o.resolver.Warnings, "Warning: -g has no effect without -L")
	}
	if err := o.capture.Check(append([]string{o.logFile, o.statusFile, o.keyLog}, o.operands...)...); err != nil {
		return err
	}
	if slices.ContainsFunc(o.operands, o.capture.Within) {
		o.resolver.Warnings = append(o.resolver.Warnings, cli.Clean("Warning: "+o.capture.Path+" changes while it is sent: it is in a directory that is sent (--pcap)"))
	}
	return o.gatherPins()
}

// checkFeatures refuses features of the protocol that this version does not have.
func (o *options) checkFeatures() error {
	if err := o.cryptOptions.check(); err != nil {
		return err
	}
	if o.tfmcc {
		return cli.Unsupported("-C", o.ccText, "congestion control is")
	}
	proxies := len(o.proxies)
	for _, c := range o.resume.Clients {
		if c.IsProxy {
			proxies++
		}
	}
	if proxies > 0 {
		return cli.Unsupported("proxies", "", "sessions through proxies are")
	}
	return nil
}

func (o *options) setRate(v string) error {
	auto, ok, err := cli.ParseRateAuto(v)
	if o.rateAuto = auto; ok {
		return err
	}
	if n, isNumber := cli.Number(v, 10); isNumber && n == -1 {
		o.rate = 0
		return nil
	}
	n, ok := cli.ParseRate(v)
	if !ok {
		return &cli.Error{Text: "Invalid rate", Allowed: cli.AllowedRates + "; -1 for as fast as possible, or auto"}
	}
	o.rate = n
	return nil
}

// autoInit is the initial rate of -R auto, bytes/s. 10 Mbit/s are harmless on most networks, and
// with a few receivers the rate can grow 1000 times within a second or two.
const autoInit = 10_000_000 / 8

// unlimitedLoss is the share of lost blocks up to which -R -1 has no limit.
const unlimitedLoss = 0.2

// fillWorkers returns the number of workers that read and encrypt.
func (o *options) fillWorkers() int {
	if o.workers >= 0 {
		return o.workers
	}
	cipher, _ := handshake.CipherByName(o.cipher) // a wrong name was refused before; none is CipherNone
	return engine.DefaultWorkers(runtime.GOMAXPROCS(0), cipher, aead.Accelerated(cipher))
}

// pace returns the rate of the session, bytes/s, 0 for no limit, and how it adapts.
func (o *options) pace() (rate int64, adapt sender.Adapt) {
	switch a := o.rateAuto; {
	case a.On:
		init := a.Init
		if init == 0 {
			init = autoInit
		}
		if a.Most > 0 {
			init = min(init, a.Most)
		}
		return init, sender.Adapt{On: true, Most: a.Most, MaxLoss: sender.DefaultMaxLoss}
	case o.rate > 0:
		return o.rate, sender.Adapt{}
	}
	return 0, sender.Adapt{On: true, MaxLoss: unlimitedLoss}
}

func (o *options) setCC(v string) error {
	o.ccText = v
	return cli.CongestionControl(&o.tfmcc)(v)
}

// setGRTT reads init[:min:max]; empty fields do not count.
func (o *options) setGRTT(v string) error {
	const allowed = "init[:min:max], each 0.001 to 1000 seconds, min ≤ init ≤ max"
	fields := strings.FieldsFunc(v, func(r rune) bool { return r == ':' })
	switch len(fields) {
	case 0:
		return &cli.Error{Text: "Invalid grtt", Allowed: allowed}
	case 1, 3:
	case 2:
		return &cli.Error{Text: "Missing max_grtt", Allowed: allowed}
	default:
		return &cli.Error{Text: "Invalid max_grtt", Allowed: allowed}
	}
	g := o.grtt
	for i, text := range []string{"Invalid grtt", "Invalid min_grtt", "Invalid max_grtt"} {
		if i >= len(fields) {
			break
		}
		s, ok := cli.Decimal(fields[i])
		if !ok || s < 0.001 || s > 1000 {
			return &cli.Error{Text: text, Allowed: allowed}
		}
		g[i] = time.Duration(math.Round(s * 1e9))
	}
	if len(fields) > 2 && (g[1] > g[0] || g[0] > g[2]) {
		return &cli.Error{Text: "Invalid min_grtt/max_grtt", Allowed: allowed}
	}
	o.grtt = g
	return nil
}

func (o *options) setRegisterQuiet(v string) error {
	s, ok := cli.Decimal(v)
	if !ok || s < 0.001 || s > 3600 {
		return &cli.Error{Text: "Invalid register quiet time", Allowed: "0.001 to 3600 seconds"}
	}
	o.registerQuiet = time.Duration(math.Round(s * 1e9))
	return nil
}

func (o *options) setRegisterWait(v string) error {
	s, ok := cli.Decimal(v)
	if !ok || s < 0 || s > 86400 {
		return &cli.Error{Text: "Invalid register wait time", Allowed: "0 to 86400 seconds"}
	}
	o.registerWait = time.Duration(math.Round(s * 1e9))
	return nil
}

func (o *options) setInterface(v string) error {
	c, err := o.resolver.Interface(o.host, v)
	if err != nil {
		return err
	}
	o.iface = &c
	return nil
}

func (o *options) setDestName(v string) error {
	if len(v) > maxDestName {
		return &cli.Error{Text: "Destination name too long", Allowed: fmt.Sprintf("at most %d bytes", maxDestName)}
	}
	o.destName = v
	return nil
}

func (o *options) setFileList(v string) error {
	if o.fileLists > 0 || o.restartName != "" {
		return cli.Fail("Can't specify both -i and -F")
	}
	o.fileLists++
	list, err := lists.ReadList(v, lists.MaxOperands)
	switch {
	case errors.Is(err, lists.ErrTooMany):
		return &cli.Error{Text: "Exceeded maximum file count", Allowed: fmt.Sprintf("at most %d", lists.MaxOperands)}
	case err != nil:
		return cli.Fail("Couldn't open file list %s: %s", v, cli.ErrText(err))
	}
	o.listed = list
	return nil
}

func (o *options) setExclude(v string) error {
	list, err := lists.ReadList(v, lists.MaxExclude)
	switch {
	case errors.Is(err, lists.ErrTooMany), err == nil && len(o.exclude)+len(list) > lists.MaxExclude:
		return &cli.Error{Text: "Exceeded maximum exclude file count", Allowed: fmt.Sprintf("at most %d", lists.MaxExclude)}
	case err != nil:
		return cli.Fail("Couldn't open exclude list %s: %s", v, cli.ErrText(err))
	}
	o.exclude = append(o.exclude, list...)
	return nil
}

func (o *options) setHosts(v string) error {
	if o.restartName != "" {
		return cli.Fail("Can't specify both -H and -F")
	}
	o.hostLists++
	return o.resolver.Hosts(&o.hosts)(v)
}

func (o *options) setProxies(v string) error {
	if o.restartName != "" {
		return cli.Fail("Can't specify both -j and -F")
	}
	o.proxyLists++
	return o.resolver.Proxies(&o.proxies)(v)
}

func (o *options) setResume(v string) error {
	switch {
	case o.hostLists > 0 || o.proxyLists > 0:
		return cli.Fail("Can't specify both -H and -F")
	case o.restartName != "":
		return cli.Fail("Can't specify -F twice")
	}
	x, err := lists.ReadSendRestart(v)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			return cli.Fail("Failed to open restart file: %s", cli.ErrText(err))
		}
		return err
	}
	o.restart, o.restartName, o.resume = true, v, x
	return nil
}
