// Package interop holds no code, only tests: live sessions between our programs
// and the stock uftp and uftpd 4.10.2, in labs of package netlab.
//
// Every scenario runs in four combinations, named sender-receiver: stock-stock,
// ours-stock, stock-ours, ours-ours. Scenarios in which one side is absent or
// played by the test run once for each implementation of the other side. The
// number of a scenario is its number in the list of interop scenarios;
// stock-stock shows that the scenario says what the stock programs do, and
// where ours differ on purpose the scenario asks env.OursTx or env.OursRx.
//
//	go test ./tools/interop                             # everything
//	go test ./tools/interop -run 'TestLoss/ours-stock'  # one group, one combination
//	go test ./tools/interop -run '/.*/77'               # one scenario
//
// Tests need root, the stock programs, and the tools that netlab names. Without
// them they are skipped, or fail where the environment sets CI.
//
// Limits. Timers of the protocol run down to 30 ms here, so a machine that
// starves its processes for longer makes receivers look lost.
package interop
