# Works with GNU make 3.81 and bash 3.2, as macOS has them.
SHELL := /bin/bash

GO ?= go
FUZZTIME ?= 10s

BIN := $(CURDIR)/.bin
GOLANGCI_LINT := $(BIN)/golangci-lint-v2.15.0

# Every module of the repository, and those that users import.
MODULES := . test otelredlock
IMPORTED := . otelredlock

# The results of the tests, for the counts at the end.
RESULTS := $(BIN)/results
COUNTS = COUNTS=$(RESULTS) $(BIN)/counts

# The race detector needs a C compiler.
RACE = $(shell [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v $$($(GO) env CC) >/dev/null && echo -race)

SUBMAKE = $(MAKE) --no-print-directory

.PHONY: help test unit otel simulate integration images lint vuln fuzz bench bench-check controls cross clean counts

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' Makefile

test: ## Run every test that this machine can run
	@mkdir -p $(BIN) && rm -f $(RESULTS)
	@status=0; \
	$(SUBMAKE) unit || status=1; \
	$(SUBMAKE) otel || status=1; \
	$(SUBMAKE) integration || status=1; \
	$(COUNTS) total || status=1; \
	exit $$status

unit: counts ## Run the tests of the library itself, which need no server
	@[ -n "$(RACE)" ] || echo "There is no C compiler here: the tests run without -race."
	@$(COUNTS) run redlock $(GO) test -json -count=1 -shuffle=on $(RACE) ./...

otel: counts ## Run the tests of otelredlock, which need no server
	@cd otelredlock && $(COUNTS) run redlock/otelredlock \
		$(GO) test -json -count=1 -shuffle=on $(RACE) ./...

simulate: ## Run the simulations in fake time, 500 rounds each
	$(GO) test -count=1 -run '^(TestTwentyManagersAtOnce|TestTheFirstHolderKnows)' ./redlock -rounds 500

integration: counts ## Run the tests of the test module, most of them on real servers
	@$(SUBMAKE) images || echo "A server without an image runs as an installed program, or not at all."
	@cd test && $(COUNTS) run redlock/test \
		$(GO) test -json -count=1 -shuffle=on -timeout=20m -p=1 -parallel=6 $(RACE) ./...

images: ## Pull the servers' images, or build them from Debian packages
	@test/images/build.sh --pull

lint: $(GOLANGCI_LINT) vuln ## Check style, formatting, go.mod files and known vulnerabilities
	@status=0; \
	unformatted=$$(gofmt -l .); \
	[ -z "$$unformatted" ] || { echo "not gofmt-ed: $$unformatted"; status=1; }; \
	for module in $(MODULES); do \
		echo "lint $$module"; \
		(cd $$module && $(GO) mod tidy -diff) || status=1; \
		(cd $$module && $(GO) vet ./...) || status=1; \
		(cd $$module && $(GOLANGCI_LINT) run ./...) || status=1; \
	done; \
	exit $$status

# It exits with 3 for a finding, and otherwise if it cannot get its data.
vuln: ## Look for known vulnerabilities in what users import
	@status=0; \
	out=$$(GOBIN=$(BIN) $(GO) install golang.org/x/vuln/cmd/govulncheck@v1.9.0 2>&1 && \
		for module in $(IMPORTED); do (cd $$module && $(BIN)/govulncheck ./... 2>&1) || exit; done) || \
		status=$$?; \
	case $$status in \
	0) echo "govulncheck: nothing found" ;; \
	3) echo "$$out"; exit 1 ;; \
	*) echo "govulncheck did not run, it could not be had or has no data: $$(echo "$$out" | tail -n 1)" ;; \
	esac

fuzz: ## Run each fuzz target for FUZZTIME (10s)
	@for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

bench: ## Run the benchmarks on five local servers
	cd test && $(GO) test -run '^$$' -bench . ./bench

bench-check: ## Compare with other libraries and fail where a bound is missed
	cd test && $(GO) test -run '^$$' -bench Bounds -benchtime 1x -timeout 20m ./bench/check

controls: ## Take each safety rule out and see that its test fails
	test/controls/run.sh

cross: ## Build what users import for every system that it supports
	@for target in linux/amd64 linux/arm64 linux/386 darwin/amd64 darwin/arm64 \
		windows/amd64 windows/arm64 windows/386; do \
		echo "build $$target"; \
		for module in $(IMPORTED); do \
			(cd $$module && CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build ./...) || exit 1; \
		done; \
	done

clean: ## Remove containers of killed test runs, and the tools that make has built
	@containers=$$(docker ps -aq --filter label=org.redlock.test 2>/dev/null); \
	[ -z "$$containers" ] || docker rm -f $$containers
	rm -rf $(BIN)

counts: ## Build what counts the results of the tests
	@cd test && $(GO) build -o $(BIN)/counts ./cmd/counts

$(GOLANGCI_LINT):
	GOBIN=$(BIN) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(BIN)/golangci-lint $@
