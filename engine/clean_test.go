//go:build linux || darwin || freebsd

package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestReceiverCleans: what a receiver that was killed left goes when the next one has
// started, without a session.
func TestReceiverCleans(t *testing.T) {
	var left string
	startReceiver(t, func(cfg *ReceiveConfig) {
		left = filepath.Join(cfg.Sink.Dests[0], "sub", "f.~uftp-0BADCAFE-0001")
		if err := os.Mkdir(filepath.Dir(left), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(left, []byte("half of it"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(left, 0o610); err != nil { // the mark
			t.Fatal(err)
		}
	})
	eventually(t, "the file goes", func() bool {
		_, err := os.Lstat(left)
		return errors.Is(err, fs.ErrNotExist)
	})
}
