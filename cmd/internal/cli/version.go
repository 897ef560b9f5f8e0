package cli

// Version is the version of the commands.
const Version = "0.1.0"

// Banner is the first line of a log, in the shape that readers of stock logs know.
const Banner = "UFTP version " + Version + "  (protocol version 4)"
