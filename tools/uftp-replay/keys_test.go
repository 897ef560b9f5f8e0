package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"uftp/crypto/identity"
)

// privateKeys returns the options that name every private key of the captured
// hosts: their key files, and a file with the ECDH keys of the sessions.
func privateKeys(t testing.TB) (args []string) {
	t.Helper()
	files, err := filepath.Glob(pems + "*.pem")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: no keys", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := identity.ParsePEM(text); err == nil { // not on curves we refuse
			args = append(args, "--key", f)
		}
	}
	text, err := os.ReadFile(vectors + "derived.json")
	if err != nil {
		t.Fatal(err)
	}
	var derived struct {
		Sessions []struct {
			Ephemeral map[string][]struct {
				Curve   identity.Curve
				Private string
			}
		}
	}
	if err := json.Unmarshal(text, &derived); err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, s := range derived.Sessions {
		for _, list := range s.Ephemeral {
			for _, e := range list {
				b, err := hex.DecodeString(e.Private)
				if err != nil {
					t.Fatal(err)
				}
				k, err := identity.NewEC(e.Curve, b)
				if err != nil {
					continue
				}
				pem, err := k.MarshalPEM()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, pem...)
			}
		}
	}
	name := filepath.Join(t.TempDir(), "exchange.pem")
	if err := os.WriteFile(name, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return append(args, "--key", name)
}
