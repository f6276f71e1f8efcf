# Two commands do all set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENGINES := .venv-engines
DATA := $(or $(TRAINTWICE_DATA),$(HOME)/.cache/traintwice)
# Python compiles what is imported when it is imported first; pip would compile all of 16,000 files, one after the other.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

FRAMEWORKS := .venv-frameworks

.PHONY: demo data test run-tests test-engines test-frameworks check lint types fuzz kills oldest newest sdist audit bench docs pictures clean

demo: $(VENV)/.demo  ## train 7 recipes on real data, print the table, write the report (under three minutes)
	PYTHONDONTWRITEBYTECODE= $(BIN)/traintwice run digits

# Types are checked while the tests run: mypy works on one core, for less than a minute.
test: lint  ## lint, types, tests
	$(MAKE) --no-print-directory --jobs=2 types run-tests

# Tests start dozens of processes, each of which would compile the package anew where Python is told to write no bytecode.
run-tests: $(VENV)/.dev
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto

# In an environment of their own, so that `make test` needs none of these libraries.
test-frameworks: $(FRAMEWORKS)/.done  ## Ray, JAX, Flax, Keras, XGBoost, LightGBM, CatBoost, transformers, Lightning, trackers, torchrun, guides, kills, commands of pages; half an hour
	TRAINTWICE_FRAMEWORKS=1 PYTHONDONTWRITEBYTECODE= $(FRAMEWORKS)/bin/python -m pytest tests/integrations \
	  tests/replication tests/study tests/losses tests/predictions/test_array_files.py tests/test_docs_data.py tests/test_page_commands.py src/traintwice/integrations
# Real servers on the loopback, in an environment of their own, without torch. What the system lacks (PostgreSQL, Java, npm) is named and skipped.
test-engines: $(ENGINES)/.ready  ## tests against S3, Google, Azure, Hugging Face, web, Delta, Iceberg, PostgreSQL and Spark
	PYTHONDONTWRITEBYTECODE= $(ENGINES)/bin/python -m pytest --confcutdir tests/engines tests/engines

check: lint types  ## lint and types only

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

SECONDS_OF_FUZZING ?= 600

fuzz: $(VENV)/.dev  ## random bytes for every reader, ten minutes in all; what is found is kept in fuzz-findings/
	$(INSTALL) atheris
	$(BIN)/python tests/fuzz.py $(SECONDS_OF_FUZZING) $(READERS)

kills: $(VENV)/.demo  ## kills `replicate` a hundred times at random and compares the predictions with an undisturbed run, about five minutes
	$(BIN)/python tests/kills.py

oldest: ## tests of the measure wing with the lowest versions that pyproject.toml allows
	.ci/versions lowest-direct

newest: ## the same with the newest versions
	.ci/versions highest

sdist: $(VENV)/.dev  ## builds the source distribution and runs tests of the measure wing from it
	.ci/sdist

audit: $(VENV)/.dev  ## known vulnerabilities of what is installed; without an advisory database in reach it says so and passes
	.ci/audit $(BIN)/python

bench: $(VENV)/.dev  ## the benchmarks, one after the other
	for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script || exit; done

# Debian and Ubuntu have Fashion-MNIST as a package, which a mirror may offer where the internet is out of reach. No root is needed.
data: $(VENV)/.data  ## Fashion-MNIST into TRAINTWICE_DATA or ~/.cache/traintwice: downloaded, or else out of the Debian package
	$(BIN)/traintwice fetch FashionMNIST || { \
	  echo "make: trying the Debian package dataset-fashion-mnist instead" >&2; \
	  unpacked=$$(mktemp -d) && trap 'rm -rf "$$unpacked"' EXIT && (cd "$$unpacked" && apt-get download dataset-fashion-mnist && \
	  dpkg-deb -x dataset-fashion-mnist_*.deb .) && mkdir -p "$(DATA)/FashionMNIST" && \
	  cp "$$unpacked"/usr/share/datasets/fashion-mnist/*.gz "$(DATA)/FashionMNIST/" && $(BIN)/traintwice fetch FashionMNIST; }

docs: $(VENV)/.docs  ## the documentation site in site/, without a dead link; open site/index.html through `python -m http.server -d site`
	$(BIN)/python -m traintwice_reproduction site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --config-file build/site/mkdocs.yml

pictures: $(VENV)/.demo  ## the pictures of docs/pictures from real runs: terminal, pages (needs Chromium; trains the study of make demo where it is missing)
	$(BIN)/python -m traintwice_reproduction pictures

clean:  ## remove the environment; stores and reports stay
	rm -rf $(VENV) $(FRAMEWORKS) .mypy_cache .pytest_cache .ruff_cache .hypothesis $(ENGINES)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1), Python 3.11 or newer is needed; try make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# torch first and by its constraint, so that nothing takes another build of it.
$(VENV)/.demo: $(BIN)/python pyproject.toml reproduction/pyproject.toml constraints.txt
	@echo "Setting up the environment in $(VENV) (about a minute) ..."
	$(INSTALL) torch
	$(INSTALL) --editable '.[torch,report,demo]' --editable ./reproduction
	@touch $@

$(ENGINES)/.ready: pyproject.toml
	$(PYTHON) -m venv $(ENGINES)
	$(ENGINES)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[engines]'
	if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --prefix $(ENGINES) azurite; \
	else echo "make: npm is not installed, so tests of Azure are skipped" >&2; fi
	@touch $@

$(VENV)/.data: $(VENV)/.demo
	$(INSTALL) --editable '.[data]'
	@touch $@

$(VENV)/.docs: $(VENV)/.demo
	$(INSTALL) --editable '.[docs]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(INSTALL) --editable '.[dev]'
	@touch $@

$(FRAMEWORKS)/.done: pyproject.toml constraints.txt
	@echo "Setting up the environment in $(FRAMEWORKS) (several minutes) ..."
	$(PYTHON) -m venv $(FRAMEWORKS)
	$(FRAMEWORKS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(FRAMEWORKS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[frameworks]' --editable ./reproduction
	@touch $@
