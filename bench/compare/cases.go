//go:build linux

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// bufMax is the largest socket buffer that -B of the stock programs takes, bytes.
const bufMax = 104857600

// testCase is a transfer that all programs do.
type testCase struct {
	block     int    // file bytes of a datagram
	cipher    string // of -Y
	receivers int
	lossPct   float64 // of the datagrams that arrive at each receiver
	files     int     // 1: one file of -size; more: so many of smallBytes
}

// smallBytes is the size of a file when there are many.
const smallBytes = 4096

// String is the case in the form of a benchmark's name.
func (c testCase) String() string {
	s := fmt.Sprintf("block=%d/cipher=%s/receivers=%d/loss=%g", c.block, c.cipher, c.receivers, c.lossPct)
	if c.files > 1 {
		s += fmt.Sprintf("/files=%d", c.files)
	}
	return s
}

// Bytes around a block: UFTP headers in clear, and the other headers of a packet.
const (
	headerBytes = 24
	ipUDPBytes  = 28
	sealedBytes = 64 // more than any cipher here adds
)

// mtu is that of the network on which the case runs.
func (c testCase) mtu() int {
	if c.block+headerBytes+ipUDPBytes+sealedBytes <= 1500 {
		return 1500
	}
	return 9000
}

type kind int

const (
	ours  kind = iota
	mixed      // our sender to stock receivers
	stock
	iperf
)

// variant is a program with its settings.
type variant struct {
	kind   kind
	buffer int // of -B, bytes; 0 = the default of the program
}

func (v variant) String() string {
	name := [...]string{"ours", "mixed", "stock", "iperf3"}[v.kind]
	if v.buffer > 0 {
		name += fmt.Sprintf("-B%dM", v.buffer>>20)
	}
	return name
}

// buffers returns -B, if it must be given.
func (v variant) buffers() []string {
	if v.buffer == 0 {
		return nil
	}
	return []string{"-B", strconv.Itoa(v.buffer)}
}

// can reports whether the variant is able to do the case.
func (v variant) can(c testCase) bool {
	simple := c.receivers == 1 && c.lossPct == 0
	switch v.kind {
	case iperf:
		return simple && c.cipher == "none" && c.files == 1
	case mixed: // a stock receiver accepts no key exchange that ours chooses by default
		return simple && c.cipher == "none"
	}
	return true
}

var variants = []variant{{ours, 0}, {ours, bufMax}, {mixed, 0}, {mixed, bufMax}, {stock, 0}, {stock, bufMax}, {iperf, 0}}

// product makes the cases of all combinations.
func product(blocks []int, ciphers []string, receivers []int, losses []float64, files []int) []testCase {
	var list []testCase
	for _, b := range blocks {
		for _, y := range ciphers {
			for _, n := range receivers {
				for _, l := range losses {
					for _, f := range files {
						list = append(list, testCase{b, y, n, l, f})
					}
				}
			}
		}
	}
	return list
}

var errNumber = errors.New("not a list of numbers in range")

// numbers reads a comma-separated list of numbers from lo to hi.
func numbers(text string, lo, hi float64) ([]float64, error) {
	var list []float64
	for _, part := range strings.Split(text, ",") {
		f, err := strconv.ParseFloat(part, 64)
		if err != nil || !(f >= lo && f <= hi) {
			return nil, fmt.Errorf("%w: %q (allowed: %g to %g)", errNumber, part, lo, hi)
		}
		list = append(list, f)
	}
	return list, nil
}

// whole is numbers without fractions.
func whole(text string, lo, hi int) ([]int, error) {
	floats, err := numbers(text, float64(lo), float64(hi))
	if err != nil {
		return nil, err
	}
	var list []int
	for _, f := range floats {
		if f != float64(int(f)) {
			return nil, fmt.Errorf("%w: %g", errNumber, f)
		}
		list = append(list, int(f))
	}
	return list, nil
}
