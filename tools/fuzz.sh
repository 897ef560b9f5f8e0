#!/usr/bin/env bash
# Runs every fuzz target for a short time (FUZZTIME, default 5s each).
set -euo pipefail
cd "$(dirname "$0")/.."
n=0
for pkg in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-5s}" "$pkg"
		n=$((n + 1))
	done
done
[ "$n" -gt 0 ]
echo "fuzz: $n targets"
