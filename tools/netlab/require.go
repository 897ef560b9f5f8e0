//go:build linux

package netlab

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Missing names what this machine lacks to build a lab and to run programs;
// nil when nothing is missing.
func Missing(programs ...string) []string {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, p := range append([]string{"ip", "bridge", "nft", "tc", "tcpdump"}, programs...) {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	return missing
}

// Require skips the test, saying what is missing, if this machine cannot build
// a lab or lacks one of the programs. Where the environment sets CI it fails
// the test instead: there a skip would hide that nothing was tested.
// With -short it skips the test in any case.
func Require(t testing.TB, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs programs in network namespaces")
	}
	missing := Missing(programs...)
	if len(missing) == 0 {
		return
	}
	text := fmt.Sprintf("netlab: not run, missing: %s", strings.Join(missing, ", "))
	if os.Getenv("CI") != "" {
		t.Fatal(text)
	}
	t.Skip(text)
}
