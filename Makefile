# Two commands matter: `make demo` and `make test`. Both set the machine up first.
.DEFAULT_GOAL := help
PREFIX ?= /usr/local
TIDEMARK := target/release/tidemark

.PHONY: help setup build demo test test-slow bench-workload bench-judge install clean-runs

help:
	@echo "make demo            the main job on a real Kafka 3.0.0, in the local lab"
	@echo "make test            all tests, a short run on real brokers included"
	@echo "make test-slow       the long ones too: both canaries, ten seeds of the demo"
	@echo "make bench-workload  our recorded producers against Kafka's ProducerPerformance"
	@echo "make bench-judge     the judge's operations per second and bytes per operation, 10^5 to 10^7"
	@echo "make install         the tidemark binary to $(PREFIX)/bin"

setup:
	@./harness/setup.sh

build: setup
	cargo build --release --locked -p cli

# The lab needs root for network namespaces; everything else does not.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E)

demo: build
	$(SUDO) $(TIDEMARK) run demo

test: setup
	$(SUDO) env "PATH=$$PATH" cargo test --workspace --locked

test-slow: setup
	$(SUDO) env "PATH=$$PATH" cargo test --workspace --locked -- --include-ignored

bench-workload: build
	$(SUDO) $(TIDEMARK) bench-workload

# SIZES=100000000 SYNTH=--no-images: the largest, whose images would not fit.
SIZES ?= 100000 1000000 10000000
SYNTH ?= --partitions 3
BENCH_RUNS := target/bench-judge

bench-judge: build
	cargo build --release --locked -p checkers --example judge
	@rm -rf $(BENCH_RUNS) && mkdir -p $(BENCH_RUNS)
	@for n in $(SIZES); do $(TIDEMARK) synth --operations $$n $(SYNTH) --to $(BENCH_RUNS)/$$n >/dev/null || exit; done
	@target/release/examples/judge $(addprefix $(BENCH_RUNS)/,$(SIZES))
	@rm -rf $(BENCH_RUNS)

install: build
	install -D -m 755 $(TIDEMARK) $(DESTDIR)$(PREFIX)/bin/tidemark
