package cli

// NetworkOptions are --no-gso, --no-gro and --portable-io.
type NetworkOptions struct {
	NoGSO, NoGRO bool
	Portable     bool
}

// Rows returns the rows of a command's table.
func (o *NetworkOptions) Rows(group string) []Option {
	return []Option{
		{Name: "no-gso", Group: group, Set: Flag(&o.NoGSO), Help: "do not let the kernel cut large sends into datagrams"},
		{Name: "no-gro", Group: group, Set: Flag(&o.NoGRO), Help: "do not let the kernel join received datagrams"},
		{Name: "portable-io", Group: group, Set: Flag(&o.Portable), Help: "use the slower network code that works on every system"},
	}
}

// LogFileOptions are -g and -n.
type LogFileOptions struct {
	SizeMB int // of a file, millions of bytes; 0: one file
	Count  int // old files that are kept
}

// LogCountDefault is the default of -n.
const LogCountDefault = 5

// Rows returns the rows of a command's table.
func (o *LogFileOptions) Rows(group string) []Option {
	return []Option{
		{Letter: 'g', Name: "log-size", Arg: "MB", Group: group, Set: Int(&o.SizeMB, 1, 1024, "Invalid max log size", "MB"),
			Help: "start a new log file after MB million bytes (1 to 1024, default: never)"},
		{Letter: 'n', Name: "log-count", Arg: "N", Group: group, Set: Int(&o.Count, 1, 1000, "Invalid max log count", "files"),
			Help: "how many old log files to keep with -g (1 to 1000, default: 5)"},
	}
}
