#!/usr/bin/env bash
# Runs all tests. As root it first installs the judges (the stock programs, tshark,
# nft, ip); otherwise it says which are missing and what is skipped for it.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
for tool in uftp uftpd tshark nft ip iperf3; do
	command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "installing what the tests need: ${missing[*]}"
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -qq
		apt-get install -y -qq uftp tshark nftables iproute2 iperf3 >/dev/null
	else
		echo "skipped for want of ${missing[*]}: the tests against the stock programs"
		echo "(as root on Debian this script installs them)"
	fi
fi
if [ "$(id -u)" != 0 ]; then
	echo "skipped without root: tests in network namespaces and on small file systems"
fi

# The race detector watches everything but the live runs between programs, whose
# processes it could not see into and whose timing it would spoil.
race=()
plain=()
for pkg in $(go list ./...); do
	case $pkg in
	uftp/tools/interop) ;; # below
	uftp/bench*) plain+=("$pkg") ;;
	*) race+=("$pkg") ;;
	esac
done
if [ "$(go env CGO_ENABLED)" = 1 ] && command -v "$(go env CC)" >/dev/null; then
	go test -race -timeout 15m "${race[@]}"
else
	echo "skipped without a C compiler: the race detector"
	go test -timeout 15m "${race[@]}"
fi
go test -timeout 20m "${plain[@]}"

# The live scenarios run side by side in real time, and the timers of the protocol do
# not stand a process that a busy machine starves. So up to three that fail are run
# once more, one at a time, and have to pass then: a defect fails both times.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! go test -timeout 20m ./tools/interop 2>&1 | tee "$log"; then
	# A test that has failing parts is named by them.
	mapfile -t failed < <(awk '
		/^--- FAIL: / { whole[$3] = 1 }
		/^    --- FAIL: / { print $3; split($3, part, "/"); delete whole[part[1]] }
		END { for (name in whole) print name }' "$log")
	if [ ${#failed[@]} -eq 0 ] || [ ${#failed[@]} -gt 3 ] || grep -qE '^(panic:|fatal error:)' "$log"; then
		exit 1
	fi
	for name in "${failed[@]}"; do
		echo "once more, alone: $name"
		go test -timeout 20m -count=1 -run "^${name//\//\$/^}\$" ./tools/interop
	done
fi
