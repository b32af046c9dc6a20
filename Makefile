# Sear. `make` lists what can be made.
export CGO_ENABLED = 0
GO      ?= go
BIN     := bin/sear
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/sear, one static binary
	$(GO) build -trimpath -ldflags '-s -w -X sear/internal/version.release=$(VERSION)' -o $(BIN) ./cmd/sear

.PHONY: demo
demo: build examples/hello-world/node_modules/.package-lock.json ## Trigger a real task and watch it run
	@sh test/tools/demo.sh

.PHONY: test
test: tools build ## Run every test, with the official SDK and CLI, on SQLite and Postgres
	$(GO) vet ./...
	$(GO) build -C test/tools/s3server -o /dev/null .
	$(GO) run ./test/tools/withpg sh -c '$(GO) test ./... && node test/sdk/index.mjs'
	$(GO) run ./test/load crash -for 30s
	$(GO) run ./test/load crash -postgres -for 30s
	$(GO) run ./test/load crash -postgres -nodes 3 -runs 1500 -for 15s -every 2s -faults kill,pause,cut,postgres,restart

.PHONY: lint
lint: ## Check format, vet, static analysis and the architecture
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	$(GO) test -run 'Architecture|ChecksFail' .

.PHONY: race
race: ## Look for data races with Go's detector, which needs a C compiler; not in what measures CPU time
	CGO_ENABLED=1 $(GO) run ./test/tools/withpg sh -c 'CGO_ENABLED=1 $(GO) test -race -timeout 40m -skip "NoCallStops|ManyLargeCalls" ./internal/engine ./internal/sqldb ./internal/store ./internal/sockio ./internal/workerapi ./internal/auth ./internal/limit ./internal/server'

.PHONY: bench
bench: build ## Measure throughput, latency and memory against ceilings of the same run
	$(GO) run ./test/load

.PHONY: crash
crash: build ## Kill nodes under load and account for every run, on SQLite and on Postgres
	$(GO) run ./test/load crash
	$(GO) run ./test/load crash -postgres
	$(GO) run ./test/load crash -postgres -nodes 3 -for 60s -every 5s
	$(GO) run ./test/load crash -postgres -nodes 3 -for 60s -every 5s -faults pause,cut,postgres,restart

.PHONY: bench-large
bench-large: build ## Measure a store of 1,000,000 finished and 200,000 queued runs beside an empty one
	$(GO) run ./test/load -phases h

.PHONY: tools
tools:
	@sh test/tools/install.sh

examples/hello-world/node_modules/.package-lock.json: examples/hello-world/package-lock.json
	npm ci --prefix examples/hello-world --no-audit --no-fund
