// Package interop holds no code, only tests: live sessions between our programs
// and the stock uftp and uftpd 4.10.2, in labs of package netlab.
//
// Every scenario runs in four combinations, named sender-receiver: stock-stock,
// ours-stock, stock-ours, ours-ours. A scenario in which the test plays one side, or one
// side is absent, runs once for each implementation of the other side. stock-stock shows
// that a scenario describes what the stock programs do. Where ours differ on purpose, the
// scenario asks env.OursTx or env.OursRx.
//
//	go test ./tools/interop                             # everything
//	go test ./tools/interop -run 'TestLoss/ours-stock'  # one group, one combination
//	go test ./tools/interop -run '/.*/77'               # one scenario
//
// Tests need root, the stock programs, and the tools that netlab names. Without them they
// are skipped, or fail if CI is set in the environment.
//
// Limits. Timers of the protocol run down to 30 ms here. If the machine stops a process
// for longer, its peers take it for lost.
package interop
