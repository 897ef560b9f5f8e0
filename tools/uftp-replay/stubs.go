package main

import "fmt"

// notThere is the answer of commands that are not there yet.
func notThere(name string) error {
	return fmt.Errorf("%w: %s is not there yet", errUsage, name)
}

func replaySender(*tool, []string) error { return notThere("sender") }
