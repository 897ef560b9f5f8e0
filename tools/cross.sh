#!/usr/bin/env bash
# Compiles everything for the other systems and processors.
set -euo pipefail
cd "$(dirname "$0")/.."
for target in linux/arm64 linux/arm linux/riscv64 darwin/arm64 freebsd/amd64 windows/amd64; do
	export GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0
	go build ./...
	echo "cross: $target compiles"
done
