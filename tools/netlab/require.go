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

// Require skips the test if this machine cannot build a lab or lacks one of the programs,
// and names what is missing. If CI is set in the environment it fails the test instead,
// since a skip would hide that nothing was tested. With -short it always skips the test.
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
