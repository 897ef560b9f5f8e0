package cli

import (
	"os"
	"runtime"

	"golang.org/x/term"
)

// IsTerminal reports whether f is a terminal that understands ANSI sequences. A Windows console
// would need a mode for that, which we do not set.
func IsTerminal(f *os.File) bool {
	return runtime.GOOS != "windows" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// Width returns the columns of the terminal f, 80 if they are unknown.
func Width(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
}
