package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"uftp/cmd/cli"
	"uftp/cmd/lists"
	"uftp/cmd/version"
	"uftp/crypto/aead"
	"uftp/crypto/identity"
	"uftp/engine"
	"uftp/engine/netio"
	"uftp/engine/receiver"
	"uftp/engine/store"
	"uftp/wire"
)

// options is the command line. It is checked as far as possible without opening any files but
// lists.
type options struct {
	resolver *cli.Resolver
	host     cli.Host

	foreground bool
	logFile    string // "": not given
	logFiles   cli.LogFileOptions
	logLevel   int
	statusFile string
	pidFile    string
	priority   int
	quiet      bool // no reverse look-ups
	json       bool
	noProgress bool
	capture    cli.CaptureOptions

	dests, backups []string
	temp           string
	merge          bool
	tempFiles      bool // -t: no effect, it is always done
	outsideLinks   bool
	durable        bool
	script         string
	scriptSeconds  int  // 0: no limit
	scriptTimed    bool // scriptSeconds was given
	umask          int  // -1: keep the one that uftpd was started with
	cacheBytes     int

	listen     []netio.Choice
	public     []netip.Addr
	port       string
	uid        wire.UID
	bufBytes   int
	workers    int
	dscp       int
	net        cli.NetworkOptions
	sharePort  bool
	servers    []receiver.Server
	roaming    bool
	heartbeats []netip.AddrPort
	hbSeconds  int

	resumeDays  int // 0: keep interrupted sessions
	maxSessions int
	minSecurity identity.Strength // -E, --min-security
	rsaExchange string            // --rsa-exchange; "": as minSecurity says
	proxy       string
	keys        cli.KeyOptions
	keyLog      string
	windows     bool // -m: no effect
}

// Defaults and limits.
const (
	defaultPublic  = "230.4.4.1"
	defaultBuffer  = 16 << 20 // the stock daemon's 262144 are full within a millisecond at 10GbE
	sessionsMax    = 10_000
	serversMax     = 100
	workersMax     = 64
	checkpointTime = 2 * time.Second
)

func newOptions(host cli.Host) *options {
	return &options{
		resolver: cli.NewResolver(), host: host,
		logFiles: cli.LogFileOptions{Count: cli.LogCountDefault}, logLevel: 2,
		port: fmt.Sprint(wire.DefaultPort), bufBytes: defaultBuffer, hbSeconds: 20,
		maxSessions: receiver.DefaultMaxSessions, scriptSeconds: 3600, umask: -1,
		workers: engine.DefaultWorkers(runtime.GOMAXPROCS(0), engine.AnyCipher, aead.Accelerated(wire.CipherAES256GCM)),
	}
}

const examples = `  Receive into /srv/in and watch:
      uftpd -d -D /srv/in
  Run in the background, keep interrupted transfers, report each file to a script:
      uftpd -D /srv/in -T /srv/partial -s /usr/local/bin/arrived -L /var/log/uftpd.log
`

const exits = `   0  uftpd runs in the background
   1  an option, a list or a directory; the status or the pid file
   2  addresses, interfaces or socket
   3  keys
   4  the log file, the key log or the capture
   5  uftpd cannot run in the background
   6  SIGINT, SIGTERM or SIGQUIT
If some output could not be written, the code is not 6 but 1 for the status
file, and 4 for everything else.
`

// command is the table of options.
func (o *options) command() *cli.Command {
	const (
		where   = "Files"
		network = "Network"
		who     = "Senders"
		run     = "Running"
		output  = "Output"
		crypt   = "Encryption"
	)
	return &cli.Command{
		Name: "uftpd", Version: version.Version,
		Purpose:  "Receives files and directories that uftp sends. Runs in the background unless -d is given.",
		Examples: examples, Exits: exits,
		Options: slices.Concat([]cli.Option{
			{Letter: 'D', Name: "dest", Arg: "DIR[,DIR...]", Group: where, Set: cli.List(&o.dests),
				Help: "directories for received files, absolute; names that are not absolute\ngo to the first (default: " + defaultDest + ")"},
			{Letter: 'T', Name: "temp", Arg: "DIR", Group: where, Set: o.setTemp,
				Help: "collect the files of a session here and move them at its end; files of\nan interrupted session stay here until the sender resumes it"},
			{Name: "resume-days", Arg: "DAYS", Group: where, Set: cli.Int(&o.resumeDays, 1, 36500, "Invalid resume days", "days"),
				Help: "with -T, remove the files of an interrupted session after DAYS days\n(1 to 36500, default: never)"},
			{Letter: 'i', Name: "merge", Group: where, Set: cli.Flag(&o.merge),
				Help: "with -T, merge directories instead of replacing them"},
			{Letter: 'A', Name: "backup", Arg: "DIR[,DIR...]", Group: where, Set: cli.List(&o.backups),
				Help: "move replaced and deleted files here; one directory for each of -D"},
			{Letter: 't', Name: "temp-files", Group: where, Set: o.setTempFiles,
				Help: "give a file its name only when it is complete (always done)"},
			{Letter: 's', Name: "script", Arg: "PATH", Group: where, Set: o.setScript,
				Help: "run PATH -I GROUP FILE... for received files"},
			{Name: "script-timeout", Arg: "SECONDS", Group: where, Set: o.setScriptTimeout,
				Help: "end a script, and all that it has started, after SECONDS seconds\n(0 to 31536000, 0: never; default: 3600)"},
			{Name: "umask", Arg: "OCTAL", Group: where, Set: o.setUmask,
				Help: "permissions that files and directories, and files of scripts, must not\nhave (0 to 777; default: as uftpd was started)"},
			{Name: "durable", Group: where, Set: cli.Flag(&o.durable),
				Help: "write each file to the disk before confirming it (slower; always done\nwith -T)"},
			{Name: "allow-outside-links", Group: where, Set: cli.Flag(&o.outsideLinks),
				Help: "accept symbolic links that point out of the destination"},
			{Letter: 'c', Name: "cache", Arg: "BYTES", Group: where, Set: cli.Int(&o.cacheBytes, 10240, 20971520, "Invalid cache size", "bytes"),
				Help: "memory between network and disk (10240 to 20971520;\ndefault: 16777216)"},

			{Letter: 'M', Name: "public-address", Arg: "ADDRESS[,ADDRESS...]", Group: network, Set: o.setPublic,
				Help: "multicast addresses to listen on; an IPv6 one with %INTERFACE only on\nthat interface (default: 230.4.4.1)"},
			{Letter: 'p', Name: "port", Arg: "PORT", Group: network, Set: o.setPort,
				Help: "UDP port (default: 1044)"},
			{Letter: 'I', Name: "interface", Arg: "INTERFACE[,...]", Group: network, Set: o.setInterfaces,
				Help: "name or index, with /4 or /6 for the family, or address; uftpd waits\nfor an interface that does not exist yet (default: all but loopback,\nincluding those that appear later)"},
			{Letter: 'U', Name: "uid", Arg: "UID", Group: network, Set: cli.UID(&o.uid),
				Help: "ID of this receiver, hex (default: from the address of the first\ninterface)"},
			{Letter: 'B', Name: "buffer", Arg: "BYTES", Group: network,
				Set:  cli.Int(&o.bufBytes, 65536, 104857600, "Invalid buffer size", "bytes"),
				Help: "receive buffer of the socket (65536 to 104857600, default: 16777216)"},
			{Name: "workers", Arg: "N", Group: network, Set: cli.Int(&o.workers, 0, workersMax, "Invalid number of workers", ""),
				Help: "extra threads that decrypt packets (0 to 64; default: depends on the\nnumber of processors)"},
			{Letter: 'Q', Name: "dscp", Arg: "N", Group: network, Set: cli.AnyBase(&o.dscp, 0, 63, "Invalid dscp", ""),
				Help: "differentiated services code point of answers (0 to 63, default: 0)"},
			{Name: "share-port", Group: network, Set: cli.Flag(&o.sharePort),
				Help: "let several receivers on this host, each with its own -U, use the port"},
		}, o.net.Rows(network), []cli.Option{

			{Letter: 'S', Name: "server-list", Arg: "FILE", Group: who, Set: o.setServers,
				Help: "accept only the senders in FILE, one UID|ADDRESS or\nUID|ADDRESS|FINGERPRINT a line; needs source-specific multicast\naddresses in -M"},
			{Letter: 'E', Name: "encrypted-only", Group: who, Set: o.setEncrypted,
				Help: "refuse sessions that are not encrypted"},
			{Name: "max-sessions", Arg: "N", Group: who, Set: cli.Int(&o.maxSessions, 1, sessionsMax, "Invalid number of sessions", "sessions"),
				Help: "number of sessions at the same time (1 to 10000, default: 100)"},
			{Name: "roaming", Group: who, Set: cli.Flag(&o.roaming),
				Help: "accept a sender's packets from any address; for networks that translate\naddresses. In clear sessions anybody who knows the UID can then forge\nthem"},
			{Letter: 'R', Name: "proxy", Arg: "HOST[/FINGERPRINT]", Group: who, Set: o.setProxy,
				Help: "answer through this response proxy (not supported yet)"},
			{Letter: 'H', Name: "heartbeat", Arg: "HOST[:PORT][,...]", Group: who, Set: o.setHeartbeats,
				Help: "announce this receiver to these proxies regularly"},
			{Letter: 'h', Name: "heartbeat-interval", Arg: "SECONDS", Group: who,
				Set:  cli.Int(&o.hbSeconds, 1, 3600, "Invalid heartbeat interval", "seconds"),
				Help: "how often (1 to 3600, default: 20)"},

			{Letter: 'd', Name: "foreground", Group: run, Set: cli.Flag(&o.foreground),
				Help: "stay in the foreground and log to standard error"},
			{Letter: 'P', Name: "pid-file", Arg: "FILE", Group: run, Set: cli.String(&o.pidFile),
				Help: "write the process ID to FILE, and remove FILE at the end (not with -d)"},
			{Letter: 'N', Name: "nice", Arg: "N", Group: run, Set: cli.Int(&o.priority, -20, 19, "Invalid priority value", ""),
				Help: "add N to the nice value of the process (-20 to 19, default: 0)"},
			{Letter: 'm', Name: "windows-crypto", Group: run, Set: cli.Flag(&o.windows),
				Help: "no effect; accepted because scripts for Windows use it"},

			{Letter: 'x', Name: "log-level", Arg: "N", Group: output, Set: cli.Int(&o.logLevel, 0, math.MaxInt, "Invalid log level", ""),
				Help: "0 errors, 1 warnings, 2 normal, 3 details, 4 addresses,\n5 and above every datagram (default: 2)"},
			{Letter: 'L', Name: "log", Arg: "FILE", Group: output, Set: cli.String(&o.logFile),
				Help: "append the log to FILE, reopened at SIGHUP (default:\n" + defaultLog + "; not with -d)"},
		}, o.logFiles.Rows(output), []cli.Option{
			{Letter: 'F', Name: "status-file", Arg: "FILE", Group: output, Set: cli.String(&o.statusFile),
				Help: "append results for scripts to FILE, reopened at SIGHUP; @LOG writes\nthem to the log"},
			{Letter: 'q', Name: "no-lookup", Group: output, Set: cli.Flag(&o.quiet),
				Help: "do not look up the names of senders"},
			{Name: "json", Group: output, Set: cli.Flag(&o.json),
				Help: "write each event to standard output, one JSON object a line (needs -d)"},
			{Name: "no-progress", Group: output, Set: cli.Flag(&o.noProgress),
				Help: "on a terminal, write log lines instead of the live display"},
		}, o.capture.Rows(output), []cli.Option{
			{Letter: 'k', Name: "key-file", Arg: "FILE[,FILE...]", Group: crypt, Set: o.keys.AddFiles,
				Help: "private keys for senders that authenticate receivers (default: a new\nkey when a sender asks, lost at the end)"},
			{Letter: 'K', Name: "new-key", Arg: "TYPE[,TYPE...]", Group: crypt, Set: o.keys.AddNew,
				Help: "create new keys, rsa:BITS or ec:CURVE; with -k, store them there"},
			{Name: "min-security", Arg: "LEVEL", Group: crypt, Set: o.setMinSecurity,
				Help: "refuse sessions whose weakest part is below none, legacy, medium or\nstrong (default: none, which accepts sessions in clear)"},
			{Name: "rsa-exchange", Arg: "WITH", Group: crypt, Set: o.setRSAExchange,
				Help: "any or listed: in an RSA exchange, which proves neither the sender's key\nnor its announcement, prove our keys to any sender, or only to those\nwith a fingerprint in -S, without sync and preview mode (default: any;\nlisted with --min-security medium or strong)"},
			{Name: "keylog", Arg: "FILE", Group: crypt, Set: cli.String(&o.keyLog),
				Help: "append the secrets of encrypted sessions to FILE; with it anybody can\ndecrypt captures of them"},
		}),
	}
}

// parse reads the command line and checks options against each other.
func (o *options) parse(cmd *cli.Command, args []string) error {
	operands, err := cmd.Parse(args)
	if err != nil {
		return err
	}
	if len(operands) > 0 {
		o.resolver.Warnings = append(o.resolver.Warnings, cli.Clean("Warning: ignoring "+strings.Join(operands, " ")))
	}
	if err := o.keys.Check(); err != nil {
		return err
	}
	switch {
	case o.proxy != "":
		return cli.Unsupported("-R", o.proxy, "response proxies are")
	case o.resumeDays > 0 && o.temp == "":
		return cli.Fail("--resume-days needs -T")
	case o.scriptTimed && o.script == "":
		return cli.Fail("--script-timeout needs -s")
	case o.json && !o.foreground:
		return cli.Fail("--json needs -d: a background process has no standard output")
	}
	if len(o.dests) == 0 {
		o.dests = []string{defaultDest}
	}
	if o.foreground && o.logFile != "" {
		o.resolver.Warnings = append(o.resolver.Warnings, cli.Clean("Warning: -L "+o.logFile+" has no effect with -d: the log goes to standard error"))
	}
	if o.foreground && o.pidFile != "" {
		o.resolver.Warnings = append(o.resolver.Warnings, cli.Clean("Warning: -P "+o.pidFile+" has no effect with -d"))
	}
	if o.logFile == "" {
		o.logFile = defaultLog
	}
	if err := o.capture.Check(o.logFile, o.statusFile, o.pidFile, o.keyLog); err != nil {
		return err
	}
	if slices.ContainsFunc(o.dests, o.capture.Within) {
		o.resolver.Warnings = append(o.resolver.Warnings, cli.Clean("Warning: senders can replace "+o.capture.Path+": it is in a destination directory (--pcap)"))
	}
	return nil
}

// receiveConfig checks directories (exit code 1) and addresses (exit code 2) and
// fills the engine's configuration.
func (o *options) receiveConfig() (engine.ReceiveConfig, error) {
	var cfg engine.ReceiveConfig
	sink := store.SinkConfig{
		Dests: o.dests, Backups: o.backups, Temp: o.temp, Merge: o.merge,
		Durable: o.durable, AllowOutsideLinks: o.outsideLinks,
	}
	if _, err := store.NewSink(sink); err != nil {
		return cfg, cli.Fail("%s", err)
	}
	public, err := o.publicAddresses()
	if err != nil {
		return cfg, err
	}
	port, err := o.resolver.Port(o.port)
	switch {
	case err != nil:
		return cfg, &cli.Error{Code: cli.ExitNet, Text: "Error getting bind address: " + err.Error() + " (-p " + o.port + ")", Allowed: allowedPort}
	case port == 0:
		return cfg, &cli.Error{Text: "Invalid port: -p " + o.port, Allowed: allowedPort}
	}
	six := slices.ContainsFunc(public, netip.Addr.Is6)
	for _, h := range o.heartbeats {
		if h.Addr().Is6() && !six {
			return cfg, &cli.Error{Text: fmt.Sprintf("Invalid heartbeat address %s: Address family for hostname not supported (-H)", h.Addr()),
				Allowed: "IPv4 addresses, unless -M lists an IPv6 one"}
		}
	}
	cfg = engine.ReceiveConfig{
		Receiver: receiver.Config{
			UID: o.uid, MaxSessions: o.maxSessions, Public: public,
			MinSecurity: o.minSecurity, GuardRSA: o.guardRSA(), MakeKeys: len(o.keys.Files)+len(o.keys.New) == 0, Restart: o.temp != "",
			Servers: o.servers, Roaming: o.roaming,
			Heartbeats: o.heartbeats, HeartbeatEvery: time.Duration(o.hbSeconds) * time.Second,
		},
		Net: netio.Config{
			Port: port, IPv6: six, RcvBuf: o.bufBytes, TOS: o.dscp << 2,
			SharePort: o.sharePort, Portable: o.net.Portable, NoGSO: o.net.NoGSO, NoGRO: o.net.NoGRO,
		},
		Interfaces: o.listen,
		Sink:       sink,
		CacheBytes: o.cacheBytes,
		Workers:    o.workers,
		Trace:      o.logLevel >= 5,
		Capture:    o.capture.Config("uftpd " + version.Version),
	}
	if o.temp != "" {
		cfg.Receiver.CheckpointEvery = checkpointTime
		cfg.ResumeFor = time.Duration(o.resumeDays) * 24 * time.Hour
	}
	return cfg, nil
}

const allowedPort = "1 to 65535"

// publicAddresses checks the addresses of -M: all must be multicast, and source-specific with -S.
// It leaves out, with a warning, those of a family that no interface can have; at least one must
// remain.
func (o *options) publicAddresses() ([]netip.Addr, error) {
	public := o.public
	if len(public) == 0 {
		public = []netip.Addr{netip.MustParseAddr(defaultPublic)}
	}
	const allowed = "232.0.0.0/8 or ff3x::/32, because -S lists senders"
	var list []netip.Addr
	var skipped []string
	for _, a := range public {
		if !a.IsMulticast() {
			return nil, &cli.Error{Code: cli.ExitNet, Text: fmt.Sprintf("Error joining multicast group: Invalid argument: -M %s", a),
				Allowed: "multicast addresses"}
		}
		if len(o.servers) > 0 && !sourceSpecific(a) {
			if len(o.public) == 0 {
				return nil, &cli.Error{Text: fmt.Sprintf("Default multicast address %s invalid for source specific multicast", a), Allowed: "-M with " + allowed}
			}
			return nil, &cli.Error{Text: fmt.Sprintf("Invalid source specific multicast address: %s", a), Allowed: allowed}
		}
		switch {
		case len(o.listen) > 0 && !slices.ContainsFunc(o.listen, func(c netio.Choice) bool { return c.Takes(a.Is6()) }):
			skipped = append(skipped, fmt.Sprintf("Warning: %s is not joined: -I names no interface with its address family", a))
		case a.Is6() && !netio.IPv6():
			skipped = append(skipped, fmt.Sprintf("Warning: %s is not joined: this system has no IPv6", a))
		default:
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return nil, &cli.Error{Code: cli.ExitNet, Text: fmt.Sprintf("Error joining multicast group %s: no interface of its address family", public[0]),
			Allowed: "-M and -I of the same family"}
	}
	o.resolver.Warnings = append(o.resolver.Warnings, skipped...)
	return list, nil
}

// sourceSpecific reports whether a is in 232/8 or ff3x::/32.
func sourceSpecific(a netip.Addr) bool {
	if a.Is4() {
		return a.As4()[0] == 232
	}
	b := a.As16()
	return b[0] == 0xff && b[1]>>4 == 3 && b[2] == 0 && b[3] == 0
}

func (o *options) setTemp(v string) error {
	if o.tempFiles {
		return cli.Fail("Cannot specify both -t and -T")
	}
	o.temp = v
	return nil
}

func (o *options) setTempFiles(string) error {
	if o.temp != "" {
		return cli.Fail("Cannot specify both -t and -T")
	}
	o.tempFiles = true
	return nil
}

func (o *options) setScript(v string) error {
	if !filepath.IsAbs(v) {
		return cli.Fail("ERROR: must specify absolute pathname for postreceive script")
	}
	info, err := os.Stat(v)
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("not a file that can be run")
	case runtime.GOOS == "windows" && batchFile(v):
		// The interpreter would run parts of names from the network as commands.
		return &cli.Error{Text: "Invalid postreceive script: a batch file cannot take file names safely", Allowed: "an executable program"}
	default:
		err = runnable(v)
	}
	if err != nil {
		return &cli.Error{Text: "Invalid postreceive script: " + cli.ErrText(err), Allowed: "a file that can be run"}
	}
	o.script = v
	return nil
}

// batchFile reports whether Windows runs a file with its command interpreter. It ignores dots and
// blanks at the end of a name.
func batchFile(path string) bool {
	ext := strings.ToLower(filepath.Ext(strings.TrimRight(path, ". ")))
	return ext == ".bat" || ext == ".cmd"
}

func (o *options) setScriptTimeout(v string) error {
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil || n > 31536000 {
		return &cli.Error{Text: "Invalid script timeout", Allowed: "0 to 31536000 seconds, 0: none"}
	}
	o.scriptSeconds, o.scriptTimed = int(n), true
	return nil
}

func (o *options) setUmask(v string) error {
	n, err := strconv.ParseUint(v, 8, 16)
	if err != nil || n > 0o777 {
		return &cli.Error{Text: "Invalid umask", Allowed: "octal, 0 to 777"}
	}
	o.umask = int(n)
	return nil
}

func (o *options) setPort(v string) error {
	if n, ok := cli.Number(v, 10); !ok || n < 1 || n > math.MaxUint16 {
		return &cli.Error{Text: "Invalid port", Allowed: allowedPort}
	}
	o.port = v
	return nil
}

func (o *options) setInterfaces(v string) error {
	for _, text := range cli.SplitList(v) {
		c, err := o.resolver.LaterInterface(o.host, text)
		if err != nil {
			return err
		}
		o.listen = append(o.listen, c)
	}
	return nil
}

func (o *options) setPublic(v string) error {
	for _, text := range cli.SplitList(v) {
		a, err := o.resolver.Addr("ip", text)
		if err != nil {
			return &cli.Error{Text: fmt.Sprintf("Invalid multicast address %s: %s", text, err), Allowed: "multicast addresses"}
		}
		o.public = append(o.public, a)
	}
	return nil
}

func (o *options) setHeartbeats(v string) error {
	for _, text := range cli.SplitList(v) {
		a, err := o.resolver.HostPort(text, wire.DefaultPort)
		if err != nil {
			return &cli.Error{Text: fmt.Sprintf("Invalid heartbeat address %s: %s", text, err), Allowed: "host or host:port"}
		}
		o.heartbeats = append(o.heartbeats, a)
	}
	return nil
}

// setProxy does not look up the name: an option that is not supported should not fail because of a
// missing name server.
func (o *options) setProxy(v string) error {
	if host, _, _ := strings.Cut(v, "/"); host == "" {
		return &cli.Error{Text: "Invalid host name", Allowed: "host or host/fingerprint"}
	}
	o.proxy = v
	return nil
}

const securityLevels = "none, legacy, medium or strong"

func (o *options) setMinSecurity(v string) error {
	level, ok := identity.StrengthByName(v)
	if !ok {
		return &cli.Error{Text: "Invalid security level", Allowed: securityLevels}
	}
	o.minSecurity = max(o.minSecurity, level)
	return nil
}

// setEncrypted is --min-security legacy.
func (o *options) setEncrypted(string) error {
	o.minSecurity = max(o.minSecurity, identity.Legacy)
	return nil
}

func (o *options) setRSAExchange(v string) error {
	if v != rsaAny && v != rsaListed {
		return &cli.Error{Text: "Invalid RSA exchange", Allowed: rsaAny + " or " + rsaListed}
	}
	o.rsaExchange = v
	return nil
}

// Values of --rsa-exchange.
const (
	rsaAny    = "any"
	rsaListed = "listed"
)

// guardRSA reports whether --rsa-exchange is listed.
func (o *options) guardRSA() bool {
	if o.rsaExchange == "" {
		return o.minSecurity >= identity.Medium
	}
	return o.rsaExchange == rsaListed
}

// setServers reads lines of UID|ADDRESS[|FINGERPRINT]. Unlike the stock daemon it refuses a text
// that is no fingerprint.
func (o *options) setServers(v string) error {
	lines, err := lists.ReadHostList(v)
	if err != nil {
		return cli.Fail("Couldn't open server list %s: %s", v, cli.ErrText(err))
	}
	if len(lines) == 0 {
		o.resolver.Warnings = append(o.resolver.Warnings, cli.Clean("Warning: "+v+" lists no sender, so all may send (-S)"))
	}
	const allowed = "lines of UID|ADDRESS or UID|ADDRESS|FINGERPRINT"
	for _, l := range lines {
		var uid wire.UID
		if err := cli.UID(&uid)(l.Name); err != nil || uid == 0 || uid == 0xffffffff {
			return &cli.Error{Text: "Invalid server UID " + l.Name, Allowed: allowed}
		}
		host, print, pinned := strings.Cut(l.Fingerprint, "|")
		a, err := o.resolver.Addr("ip", host)
		if err != nil {
			return &cli.Error{Text: fmt.Sprintf("Invalid server name/address %s: %s", host, err), Allowed: allowed}
		}
		if len(o.servers) == serversMax {
			return &cli.Error{Text: "Exceeded maximum server count", Allowed: fmt.Sprintf("at most %d", serversMax)}
		}
		s := receiver.Server{UID: uid, Addr: o.host.NamedZone(a)}
		if pinned && print != "" {
			f, err := identity.ParseFingerprint(print)
			if err != nil {
				return &cli.Error{Text: fmt.Sprintf("Invalid server fingerprint %s: %s", print, err), Allowed: allowed}
			}
			s.Fingerprint = &f
		}
		o.servers = append(o.servers, s)
	}
	return nil
}
