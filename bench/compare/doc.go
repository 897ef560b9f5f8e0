//go:build linux

// Command compare runs our programs, the stock ones and iperf3 side by side, each in
// network namespaces of its own, and measures how fast they are.
//
//	go run ./bench/compare                              every case, 5 rounds
//	go run ./bench/compare -blocks 8800 -rounds 3       some of them
//	go run ./bench/compare -pacing                      how evenly our sender sends
//	go run ./bench/compare -geo                         over a satellite
//
// # What is compared
//
// A case is a block size, a cipher, a number of receivers and a loss. Each case runs our
// programs and the stock ones, both with their default socket buffers and with
// -B 104857600; our sender with one stock receiver ("mixed"), without loss and cipher; and
// iperf3 over UDP with datagrams of the same size, to one receiver, without cipher and
// loss, since it can do no more.
//
// First each program runs once at each rate, from slow to fast, to find its best rate.
// Then come the rounds: every program once at its best rate, one after the other, again
// and again, so that other work of the machine affects all of them alike. A round counts
// only if the sender ended with 0 and every receiver has every byte.
//
// The time is that which the sender reports for the file, from the start of its data to
// the last COMPLETE; the time of the whole command is printed as well. With -files 10000
// there are 10000 files of 4 KiB instead of one, and the time is that of the whole
// command; files/s is printed too. sender-MiB and receiver-MiB are the peaks of their
// memory. For iperf3 the speed is what its server received per second.
//
// # Over a satellite
//
// -geo puts uftp-linksim between a sender and 20 receivers: preset geo, and on each
// downlink bursts of its own, in which nothing arrives for 5 ms in the mean, 2 % of
// the time. Our sender and the stock one send the same file to ours and to stock
// receivers, in alternating rounds, all at one rate below that of the link; with their
// defaults, and tuned: with the round trip time given, and receive buffers of 16 MiB. All
// runs of a round have bursts of the same seed, though at different moments of the
// session. The receivers know the sender's Ethernet address, as the modem of a routed link
// would. Bytes are those of Ethernet frames, counted by the link. Passes, NAKs and
// repeated blocks come from a capture at the sender. "no room" counts datagrams for which
// receivers were too slow. A run counts only if the link lost no other frames than those
// that the model chose.
//
// # Output
//
// One line a run in the format of Go benchmarks, for benchstat; then a table with
// the median, the lowest and the highest of each program, and the medians as
// multiples of stock's. With -results both go to a file named after the day too.
//
// # Limits
//
// Linux, root, and what package netlab needs. Sender, receivers and the network between
// them share the processors of one machine: a figure is the cost of all of them, not the
// speed of two machines. Files lie in memory. In cases with loss, the sender's kernel cuts
// large sends into datagrams before the network, because the rules would else drop whole
// trains of ours and single datagrams of others. This makes our sender slower, and our
// receiver gets no joined datagrams.
package main
