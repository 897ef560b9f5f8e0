//go:build linux

// Command compare runs our programs, the stock ones and iperf3 side by side, each
// in network namespaces of its own, and tells how fast they were.
//
//	go run ./bench/compare                              every case, 5 rounds
//	go run ./bench/compare -blocks 8800 -rounds 3       some of them
//	go run ./bench/compare -pacing                      how evenly our sender sends
//	go run ./bench/compare -geo                         over a satellite
//
// # What is compared
//
// A case is a block size, a cipher, a number of receivers and a loss. In each
// case run: our programs and the stock ones, both with the socket buffers they
// take by themselves and with -B 104857600; our sender with stock receivers ("mixed"),
// where there is one without loss and cipher; and iperf3 over UDP with datagrams of
// the same size, where there is one receiver and neither cipher nor loss, for that
// is all it can do.
//
// First each program is run once at each rate, from slow to fast, to find the rate
// at which it is best. Then come the rounds: every program once at its best rate,
// one after the other, again and again, so that whatever else the machine does
// meets all of them alike. A round counts only if the sender ended with 0 and every
// receiver has every byte.
//
// The time is what the sender reports for the file, from the start of its data to
// the last COMPLETE; the whole command is told besides. With -files 10000 it is so many
// files of 4 KiB instead of one, and the time is that of the whole command; files/s says the rest.
// sender-MiB and receiver-MiB are the most memory that they held. For iperf3 it is what
// its server received per second.
//
// # Over a satellite
//
// -geo puts uftp-linksim between a sender and 20 receivers: preset geo, and on each
// downlink bursts of its own, in which nothing arrives for 5 ms in the mean, 2 % of
// the time. Our sender and the stock one send the same file to ours and to stock
// receivers, in alternating rounds, all at one rate below that of the link; with
// what they choose by themselves, and tuned: with the round trip time that the user
// tells, and receive buffers of 16 MiB. All of a round meet bursts of the same seed,
// though at other moments of their own. The receivers know the sender's Ethernet
// address, as the modem of a routed link would. Bytes are those of Ethernet frames,
// counted by the link; passes, NAKs and what was sent again come from a capture at
// the sender. "no room" counts datagrams that receivers were too slow for. A run counts
// only if the link lost nothing but what it was asked to.
//
// # Output
//
// One line a run in the format of Go benchmarks, for benchstat; then a table with
// the median, the lowest and the highest of each program, and the medians as
// multiples of stock's. With -results both go to a file named after the day too.
//
// # Limits
//
// Linux, root, and what package netlab needs. Sender, receivers and the
// network between them share the processors of one machine: a figure says what
// the whole costs, not what two machines would do. Files lie in memory. Where there
// is loss, the sender's kernel cuts large sends into datagrams before the network,
// as a line would, because rules would else lose whole trains of ours and single
// datagrams of others; this costs our sender speed and takes joined datagrams from
// our receiver.
package main
