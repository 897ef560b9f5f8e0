#!/usr/bin/env bash
# Runs all tests. As root it first installs the programs that the tests need (the stock
# programs, tshark, nft, ip, an emulator of arm64). Otherwise it says which are missing and
# which tests are skipped. It appends each test that failed and was run once more to the
# file that UFTP_RETRIES names.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
for tool in uftp uftpd tshark nft ip iperf3 qemu-aarch64; do
	command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "installing what the tests need: ${missing[*]}"
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -qq
		apt-get install -y -qq uftp tshark nftables iproute2 iperf3 qemu-user >/dev/null
	else
		echo "skipped: the tests that need ${missing[*]}"
		echo "(as root on Debian this script installs them)"
	fi
fi
if [ "$(id -u)" != 0 ]; then
	echo "skipped, as they need root: tests in network namespaces and on small file systems"
fi

# Some tests run programs, sockets and links in real time. When a busy machine stops a process
# for long, timers of the protocol run out and the test fails.
live=' uftp/engine uftp/engine/netio uftp/cmd/uftp uftp/cmd/uftpd uftp/bench/compare
	uftp/tools/interop uftp/tools/netlab uftp/tools/uftp-linksim uftp/tools/uftp-replay '

# run_tests tests packages with the given flags. If up to three tests of live packages fail,
# it runs each of them once more, alone, and they must pass then: a defect fails both times.
# It does not retry tests that do not compile, panic, time out or race.
run_tests() {
	local flags=$1 log status=0 failed
	shift
	log=$(mktemp)
	# shellcheck disable=SC2086 # several flags
	go test $flags "$@" 2>&1 | tee "$log" || status=$?
	# Subtests that failed stand for their test; "none" is a package that failed without naming a test.
	mapfile -t failed < <(awk '
		/^--- FAIL: / { whole[$3] = 1; n++ }
		/^    --- FAIL: / { part[$3] = 1; split($3, p, "/"); delete whole[p[1]] }
		/^FAIL\t/ {
			if (!n) print $2, "none"
			for (name in whole) print $2, name
			for (name in part) print $2, name
			delete whole; delete part; n = 0
		}' "$log")
	if [ $status -ne 0 ]; then
		if [ ${#failed[@]} -eq 0 ] || [ ${#failed[@]} -gt 3 ] || grep -qE '^(panic:|fatal error:|WARNING: DATA RACE)' "$log"; then
			return 1
		fi
		local pkg name
		for line in "${failed[@]}"; do
			read -r pkg name <<<"$line"
			case $live in *[[:space:]]"$pkg"[[:space:]]*) ;; *) return 1 ;; esac
			[ "$name" != none ] || return 1
			echo "once more, alone: $pkg $name"
			if [ -n "${UFTP_RETRIES:-}" ]; then
				echo "$pkg $name" >>"$UFTP_RETRIES"
			fi
			# shellcheck disable=SC2086
			go test $flags -count=1 -run "^${name//\//\$/^}\$" "$pkg" || return 1
		done
	fi
	rm -f "$log"
}

# The race detector runs for everything but the live runs between programs: it cannot look
# into their processes and would spoil their timing.
race=()
plain=()
for pkg in $(go list ./...); do
	case $pkg in
	uftp/tools/interop | uftp/bench*) plain+=("$pkg") ;;
	*) race+=("$pkg") ;;
	esac
done
if [ "$(go env CGO_ENABLED)" = 1 ] && command -v "$(go env CC)" >/dev/null; then
	run_tests "-race -timeout 15m" "${race[@]}"
else
	echo "skipped, as it needs a C compiler: the race detector"
	run_tests "-timeout 15m" "${race[@]}"
fi
run_tests "-timeout 20m" "${plain[@]}"

# An emulator runs the assembly for arm64; the tests compare it with the generic code.
if command -v qemu-aarch64 >/dev/null; then
	GOARCH=arm64 CGO_ENABLED=0 go test -short -exec 'qemu-aarch64 -cpu max' ./crypto/aead
fi
