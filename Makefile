# Samaritan's front door. `make` lists the targets.
#
# A machine needs Go, make and bash; everything else comes with go.mod (tools)
# or from scripts/install-test-deps.sh (servers that tests and benchmarks run
# against).

SHELL := /bin/bash

PKG       ?= ./...
TESTFLAGS ?=
TIMEOUT   ?= 8m
# Packages that are tested at once: tests wait for servers more than they compute.
PARALLEL  ?= $(shell echo $$(($$(nproc) * 3 / 2)))
FUZZTIME  ?= 30s
BENCHARGS ?=
BENCHHOTKEYARGS ?= -docs docs
BENCHCOMPRESSIONARGS ?= -docs docs
BENCHTCPARGS ?= -docs docs
CHAOSARGS ?= -scale 4 -docs docs
ISOLATIONARGS ?= -docs docs
RESTARTARGS ?=
DEMOARGS  ?=
PREFIX    ?= /usr/local

# A tree without git or without tags is a development version. The date is the
# commit's, so that the same commit builds the same binary.
VERSION ?= $(or $(shell git describe --tags --dirty --match 'v*' 2>/dev/null),dev)
COMMIT  ?= $(or $(shell git rev-parse --short=12 HEAD 2>/dev/null),unknown)
DATE    ?= $(or $(shell git log -1 --format=%cI HEAD 2>/dev/null),$(shell date -u +%Y-%m-%dT%H:%M:%SZ))

LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)

# go build of everything that ends in bin/. The version is stamped above, so the
# go command needs no version control of its own.
GOBUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false

# The daemon does without the traces of gRPC: their pages are made with templates, for which the
# linker has to keep every exported method, which is a seventh of the binary.
DAEMONTAGS := grpcnotrace

# The race detector needs a C compiler.
RACE = $(if $(shell command -v $(firstword $(shell go env CC)) 2>/dev/null),-race)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":[^#]*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z-]*:[^#]*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'One package alone:   make test PKG=./proc/redis/...'
	@echo 'One test alone:      make test PKG=./config TESTFLAGS="-run TestLoad -v"'

##@ Build and run

.PHONY: build
build: ## build bin/samaritan
	$(GOBUILD) -tags $(DAEMONTAGS) -ldflags '$(LDFLAGS)' -o bin/samaritan ./cmd/samaritan

.PHONY: demo
demo: build ## run a three-node cluster with Samaritan in front (DEMOARGS="-dynamic")
	@$(GOBUILD) -o bin/demo ./examples/demo
	@exec bin/demo -samaritan bin/samaritan $(DEMOARGS)

.PHONY: install
install: build ## install the binary to $(DESTDIR)$(PREFIX)/bin
	install -D -m 755 bin/samaritan '$(DESTDIR)$(PREFIX)/bin/samaritan'

.PHONY: uninstall
uninstall: ## remove the installed binary
	rm -f '$(DESTDIR)$(PREFIX)/bin/samaritan'

.PHONY: version
version: ## print the version that a build is stamped with
	@echo '$(VERSION) ($(COMMIT), $(DATE))'

.PHONY: clean
clean: ## remove what make built
	rm -rf bin coverage.out coverage.html

##@ Test

.PHONY: test-deps
test-deps: ## install what the tests run against (redis-server, MariaDB, HAProxy)
	@scripts/install-test-deps.sh

.PHONY: test
test: test-deps ## run all tests under the race detector (PKG, TESTFLAGS, TIMEOUT)
	@$(if $(RACE),,echo 'WARNING: no C compiler: the tests run without the race detector')
	$(if $(RACE),CGO_ENABLED=1 )go test $(RACE) -p $(PARALLEL) -timeout $(TIMEOUT) $(TESTFLAGS) $(PKG)
	$(if $(RACE),$(if $(findstring -run,$(TESTFLAGS)),,@$(MAKE) --no-print-directory test-norace))

# Tests of what the race detector changes: it allocates, marks its own memory, and takes its
# time. They are skipped under it, and run once more without.
NORACE := Allocat|LargeBuffersAreNotLost|HotkeyKeepsItsBounds

.PHONY: test-norace
test-norace: test-deps ## run the tests that the race detector would spoil (PKG)
	go test -timeout $(TIMEOUT) $(TESTFLAGS) -run '$(NORACE)' $(PKG)

.PHONY: cover
cover: test-deps ## measure test coverage, write coverage.html
	go test -timeout $(TIMEOUT) -covermode atomic -coverprofile coverage.out $(TESTFLAGS) $(PKG)
	go tool cover -html coverage.out -o coverage.html
	@go tool cover -func coverage.out | tail -n 1

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (30s) each
	@FUZZTIME=$(FUZZTIME) scripts/fuzz.sh $(PKG)

.PHONY: chaos
chaos: build test-deps ## break a real cluster under load and check every reply, for minutes (CHAOSARGS)
	$(GOBUILD) -o bin/chaos ./internal/chaos/cmd/chaos
	bin/chaos -samaritan bin/samaritan $(CHAOSARGS)

.PHONY: isolation
isolation: build test-deps ## measure what clients of two masters feel of what happens at the third (ISOLATIONARGS)
	$(GOBUILD) -o bin/chaos ./internal/chaos/cmd/chaos
	bin/chaos -isolation -samaritan bin/samaritan $(ISOLATIONARGS)

.PHONY: chaos-restart
chaos-restart: build test-deps ## restart under load again and again, let restarts go wrong, print a table (RESTARTARGS)
	$(GOBUILD) -o bin/chaos ./internal/chaos/cmd/chaos
	$(GOBUILD) -o bin/misbehave ./internal/chaos/restart/misbehave
	bin/chaos -restart -samaritan bin/samaritan -misbehave bin/misbehave $(RESTARTARGS)

.PHONY: bench
bench: build ## compare with other proxies: CPU, latency, memory (BENCHARGS)
	@scripts/install-test-deps.sh bench
	$(GOBUILD) -o bin/bench ./bench
	bin/bench $(BENCHARGS)

.PHONY: bench-hotkey
bench-hotkey: ## measure how right hot keys are and what they cost, write docs/hotkeys.md (BENCHHOTKEYARGS)
	$(GOBUILD) -o bin/bench-hotkey ./bench/hotkeys
	bin/bench-hotkey $(BENCHHOTKEYARGS)

.PHONY: bench-compression
bench-compression: build test-deps ## measure what compression gains and costs, write docs/compression.md (BENCHCOMPRESSIONARGS)
	$(GOBUILD) -o bin/bench-compression ./bench/compression
	bin/bench-compression $(BENCHCOMPRESSIONARGS)

.PHONY: bench-tcp
bench-tcp: build test-deps ## compare TCP services with HAProxy, measure dynamic services, write docs/benchmark-tcp.md (BENCHTCPARGS)
	$(GOBUILD) -o bin/bench-tcp ./bench/tcp
	bin/bench-tcp $(BENCHTCPARGS)

##@ Check

.PHONY: check
check: check-fmt check-mod check-vet check-staticcheck check-rules check-proto check-vuln check-fuzz ## all that CI runs apart from the tests

.PHONY: check-fmt
check-fmt: ## formatting: gofumpt has nothing to change
	@echo '--- formatting: gofumpt has nothing to change'
	@diff=$$(go tool gofumpt -d .) && test -z "$$diff" || { echo "$$diff"; echo 'gofumpt: run make fmt'; exit 1; }

.PHONY: check-mod
check-mod: ## go.mod: tidy, and the downloaded modules are unchanged
	@echo '--- go.mod: tidy, and the downloaded modules are unchanged'
	@go mod tidy -diff
	@go mod verify

.PHONY: check-vet
check-vet: ## go vet
	@echo '--- go vet'
	@go vet ./...

.PHONY: check-staticcheck
check-staticcheck: ## staticcheck
	@echo '--- staticcheck'
	@go tool staticcheck ./...

.PHONY: check-rules
check-rules: ## house rules: scripts/house-rules.sh
	@echo '--- house rules: scripts/house-rules.sh'
	@scripts/house-rules.sh

.PHONY: check-proto
check-proto: ## generated code is up to date (where protoc is installed)
	@echo '--- generated code is up to date (where protoc is installed)'
	@if command -v protoc >/dev/null; then scripts/genproto.sh check; \
	else echo 'WARNING: GENERATED CODE WAS NOT CHECKED: protoc is not installed'; fi

.PHONY: check-vuln
check-vuln: ## known vulnerabilities: govulncheck
	@echo '--- known vulnerabilities: govulncheck'
	@scripts/vulncheck.sh

.PHONY: check-fuzz
check-fuzz: ## run every fuzz target for a moment
	@echo '--- run every fuzz target for a moment'
	@FUZZTIME=1s scripts/fuzz.sh

##@ Maintain

.PHONY: fmt
fmt: ## format the code with gofumpt
	go tool gofumpt -l -w .

.PHONY: tidy
tidy: ## tidy go.mod and go.sum
	go mod tidy

.PHONY: proto
proto: ## generate the code of api/ from its .proto files
	scripts/genproto.sh
