# uftp: `make demo` and `make test` are all a newcomer needs.

GO      ?= go
BIN     := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X uftp/cmd/version.Version=$(VERSION)

.PHONY: all build demo test check cross fuzz bench compare geo clean

all: build

# Static binaries in bin/.
build:
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/... ./tools/uftp-linksim ./tools/uftp-replay

# Three receivers and one sender on this machine, without root.
demo: build
	$(GO) run ./tools/demo -bin $(BIN)

# Installs what the tests need (as root), then runs them all.
test:
	bash tools/test.sh

# gofmt, vet, staticcheck.
check:
	bash tools/check.sh

# Compiles for the systems we do not run on.
cross:
	bash tools/cross.sh

# A short run of every fuzz target.
fuzz:
	bash tools/fuzz.sh

bench:
	$(GO) test -run '^$$' -bench . ./...

# Ours, the stock programs and iperf3 side by side, as root; results of the day
# are kept. COMPARE="-rounds 3 -blocks 8800" restricts it.
compare:
	@mkdir -p bench/results
	$(GO) run ./bench/compare -results bench/results $(COMPARE)

# Ours and the stock programs over a satellite with 20 receivers, as root.
geo:
	@mkdir -p bench/results
	$(GO) run ./bench/compare -geo -results bench/results $(GEO)

clean:
	rm -rf $(BIN)
