package cli

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A process with keys is in no core file, and no debugger can read it.
func TestNoCores(t *testing.T) {
	var before, after unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Setrlimit(unix.RLIMIT_CORE, &before)
		unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	})
	if err := NoCores(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &after); err != nil || after.Cur != 0 || after.Max != before.Max {
		t.Errorf("limit %+v, %v, want a soft limit of 0 and the hard one as it was, %d", after, err, before.Max)
	}
	if n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || n != 0 {
		t.Errorf("dumpable %d, %v, want 0", n, err)
	}
}
