# Two commands matter: `make demo` and `make test`. Both set the machine up first.
.DEFAULT_GOAL := help
PREFIX ?= /usr/local
TIDEMARK := target/release/tidemark

.PHONY: help setup build demo test test-slow bench-workload bench-judge bench-evidence bench-jepsen bench-faults soak-faults soak-kills fuzz mutants install

help:
	@echo "make demo            the main job on a real Kafka 3.0.0, in the local lab"
	@echo "make test            all tests, a short run on real brokers included"
	@echo "make test-slow       the long ones too: more whole runs, a hundred thousand random cases"
	@echo "make bench-workload  our recorded producers against Kafka's ProducerPerformance"
	@echo "make bench-judge     the judge's operations per second and bytes per operation, 10^5 to 10^7, and with duplicates"
	@echo "make bench-evidence  reading segments, against DumpLogSegments on the same files"
	@echo "make bench-jepsen    Jepsen's rules on a million operations; with large offsets, gaps, duplicates"
	@echo "make bench-faults    from the decision to the fault in force: 100 kills, pauses and cuts in the local lab"
	@echo "make soak-faults     1 000 random faults, healed; the hosts compared with before (an hour; goes on where it was ended)"
	@echo "make soak-kills      100 runs whose controller is killed or cut off in the storm (an hour; goes on likewise)"
	@echo "make fuzz            ten minutes of any bytes at each reader (nightly Rust, cargo-fuzz)"
	@echo "make mutants         changes to the judge, drawn by lot, that no test notices (cargo-mutants; hours)"
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
# So many records stand twice, in runs of a million operations.
COPIES ?= 15 150 1500
BENCH_RUNS := target/bench-judge

bench-judge: build
	cargo build --release --locked -p checkers --example judge
	@rm -rf $(BENCH_RUNS) && mkdir -p $(BENCH_RUNS)
	@for n in $(SIZES); do $(TIDEMARK) synth --operations $$n $(SYNTH) --to $(BENCH_RUNS)/$$n >/dev/null || exit; done
	@for n in $(COPIES); do $(TIDEMARK) synth --operations 1000000 $(SYNTH) --plant duplicate-in-log=$$n \
	  --to $(BENCH_RUNS)/$$n-copies >/dev/null || exit; done
	@target/release/examples/judge $(addprefix $(BENCH_RUNS)/,$(SIZES) $(addsuffix -copies,$(COPIES)))
	@rm -rf $(BENCH_RUNS)

bench-evidence: setup
	cargo run --release --locked -p evidence --example bench

bench-jepsen: setup
	cargo run --release --locked -p checkers --example jepsen_speed -- 1000000

bench-faults: setup
	$(SUDO) env "PATH=$$PATH" cargo test --locked -p cluster --test live_guard -- --ignored --nocapture how_fast

# Another call goes on after the last cycle in the file.
CYCLES ?= 1000
KAFKA ?= 50
COUNTS ?= target/soak-faults.jsonl

soak-faults: build
	$(SUDO) $(TIDEMARK) soak-faults --cycles $(CYCLES) --kafka $(KAFKA) --counts $(COUNTS)

TIMES ?= 100
DEATHS ?= target/soak-kills.jsonl

soak-kills: build
	$(SUDO) $(TIDEMARK) soak-kills --times $(TIMES) --counts $(DEATHS)

FUZZ_SECONDS ?= 600
FUZZ_TARGETS := segment side checkpoint frames lines foreign

fuzz:
	cd harness/fuzz && for target in $(FUZZ_TARGETS); do \
	  cargo +nightly fuzz run --fuzz-dir . $$target -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 || exit; done

# Another seed draws other places.
SEED ?= 1071

mutants:
	checkers/tests/mutants/sample.sh $(SEED)

install: build
	install -D -m 755 $(TIDEMARK) $(DESTDIR)$(PREFIX)/bin/tidemark
