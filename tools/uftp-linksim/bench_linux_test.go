package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"uftp/tools/netlab"
)

// BenchmarkForward sends UDP datagrams of 8800 bytes through a link that imposes
// nothing, of either kind, and through a plain bridge, with sender and receiver on
// the same processors: what arrives is what all of them together can do.
func BenchmarkForward(b *testing.B) {
	netlab.Require(b, "go", "iperf3")
	for _, rate := range []string{"2500M", "4000M"} {
		for _, through := range []string{"bridge", kindTap, kindVeth} {
			b.Run(fmt.Sprintf("through=%s/rate=%s", through, rate), func(b *testing.B) {
				var lab *netlab.Lab
				if through == "bridge" {
					lab = netlab.New(b, netlab.Config{Receivers: 1, MTU: 9000})
				} else {
					s := start(b, "-k", through, "-m", "9000")
					lab = netlab.Around([]netlab.Place{{Namespace: s.hub, IPv4: netip.MustParseAddr(hub4)}, {Namespace: s.remote, IPv4: netip.MustParseAddr(remote4)}})
				}
				for b.Loop() {
					if err := forward(b, lab, rate); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// forward runs iperf3 from the sender to the first receiver of a lab for 3 s.
func forward(b *testing.B, lab *netlab.Lab, rate string) error {
	to := lab.Receiver(0)
	srv, err := to.Start(netlab.Spec{Argv: []string{"iperf3", "-s", "-1", "--forceflush"}})
	if err != nil {
		return err
	}
	defer srv.Kill()
	if err := srv.WaitLog("Server listening", 10*time.Second); err != nil {
		return err
	}
	res, err := lab.Sender().Run(time.Minute, "iperf3", "-c", to.IPv4.String(), "-u", "-J", "-l", "8800", "-b", rate, "-t", "3", "-w", "8M")
	if err != nil {
		return err
	}
	var report struct {
		Error string
		End   struct {
			Received struct {
				Bits float64 `json:"bits_per_second"`
				Lost float64 `json:"lost_percent"`
			} `json:"sum_received"`
		}
	}
	if err := json.Unmarshal([]byte(res.Stdout), &report); err != nil {
		return err
	}
	if report.Error != "" {
		return errors.New(report.Error)
	}
	b.ReportMetric(report.End.Received.Bits/1e9, "Gbit/s")
	b.ReportMetric(report.End.Received.Lost, "%lost")
	b.ReportMetric(0, "ns/op") // the time was chosen
	return nil
}
