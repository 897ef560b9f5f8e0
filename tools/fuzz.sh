#!/usr/bin/env bash
# Runs every fuzz target for a short time (FUZZTIME, default 5s each).
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Go's fuzzer may report the end of its own time as a failure ("context deadline
# exceeded") when a worker is busy at that moment. A real failure names the input
# that it wrote, or happens before the fuzzing.
run() {
	if go test -run '^$' -fuzz "^$2\$" -fuzztime "${FUZZTIME:-5s}" -fuzzminimizetime 1x "$1" >"$log" 2>&1; then
		tail -n 2 "$log"
		return
	fi
	cat "$log"
	grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input written' "$log"
}

n=0
for pkg in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
		echo "$target"
		run "$pkg" "$target"
		n=$((n + 1))
	done
done
[ "$n" -gt 0 ]
echo "fuzz: $n targets"
