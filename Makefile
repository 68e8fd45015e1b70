# One word a task. Every target does its own set-up; `make install` is the set-up alone.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.locked
APT_TEST := influxdb victoria-metrics nginx-light chromium libmodbus5
APT_BENCH := stress-ng

.PHONY: demo install test test-long accept nights interlock-tables bench-realtime lint lock clean system-tests \
  unhurried-tests real-time-tests node-peers grafana-shots
demo: install
	$(BIN)/fermloop demo

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("fermloop needs Python 3.11 or newer")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get update -q && apt-get install -y -q python3-venv; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	touch $@

# The real servers and the browser that tests need; a missing one fails its test, it never skips.
system-tests:
	@missing=; for p in $(APT_TEST); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; fi

# Tests in real time look at the clock on the wall: nothing else runs beside them. They mostly wait, so
# two at a time find a core each. Beside all the others, even at their lowest priority, one in some
# thousand is late.
NORMAL := not hardware and not bench and not long

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

unhurried-tests: install system-tests
	$(BIN)/pytest -n 2 --dist loadfile -m "$(NORMAL) and not real_time"

real-time-tests: install system-tests
	$(BIN)/pytest -n 2 --dist loadfile -m "$(NORMAL) and real_time"

# What one of them speaks to; it takes its time to be fetched, so it is fetched beside the others.
node-peers: install
	$(BIN)/python -m tests.drivers.opcua.node_peer
	$(BIN)/python -m tests.dashboards.schema.install

test: install system-tests
	@echo "At once, each shown when it has ended: lint, unhurried-tests; then real-time-tests"
	@$(MAKE) --no-print-directory --jobs=2 --output-sync lint unhurried-tests node-peers
	@$(MAKE) --no-print-directory real-time-tests
	@echo "lint, unhurried-tests and real-time-tests: all well"

test-long: install
	@$(MAKE) --no-print-directory system-tests APT_TEST="$(APT_TEST) $(APT_BENCH)"
	$(BIN)/pytest -m long

# Every shipped recipe on plants that no search has seen, judged by its [accept] limits. Hours on two
# cores; it goes on where it was stopped. PLANT:RECIPE:HOURS:SEEDS
ACCEPT := ecoli_5l:ecoli:24:1000-1040 ecoli_100m3:ecoli_100m3:28:1000-1040 \
  yeast_300l:yeast:20:1000-1040 penicillin_100m3:penicillin:230:1000-1008
accept: install
	@worst=0; for all in $(ACCEPT); do IFS=: read -r plant recipe hours seeds <<< "$$all"; \
	$(BIN)/fermloop campaign sim/plants/$$plant.toml --recipe sim/recipes/$$recipe.toml --hours $$hours \
	--seeds $${seeds/-/:} --report data/accept/$$plant --accept || { code=$$?; worst=$$((code > worst ? code : worst)); }; \
	done; exit $$worst

# The nights of the release report, 20 seeds each on every plant: an hour or so on two cores. It goes on
# where it was stopped; what the software, a plant or a recipe has changed is played again.
nights: install
	$(BIN)/python -m tests.nights.play --seeds 0:20 --report data/nights

# Every interlock and limit of the shipped plants, in the controller's README.
interlock-tables: install
	$(BIN)/python -m fermloop.commands.check_interlocks controller/README.md

# How punctual the scan is: 100 reactors at 1 Hz, and one at 10 Hz beside stress-ng, 20 minutes each on a
# machine with nothing else to do. It goes on where it was stopped; without those files it begins anew.
bench-realtime: install
	@$(MAKE) --no-print-directory system-tests APT_TEST="$(APT_BENCH)"
	$(BIN)/python tests/bench/bench_realtime.py many 1200 data/bench_realtime_many.jsonl
	$(BIN)/python tests/bench/bench_realtime.py fast 1200 data/bench_realtime_fast.jsonl

# A picture of every board by Grafana's own components on four simulated batches, in
# data/grafana-shots: a look for a person, no test. The first time fetches 450 MB and takes a quarter of an hour.
grafana-shots: install system-tests
	$(BIN)/python -m tests.dashboards.shots.shots

lock:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q pip-tools
	$(BIN)/pip-compile -q --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --strip-extras --extra dev --all-build-deps -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) data build dist
