# Two commands do all set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA := $(or $(TRAINTWICE_DATA),$(HOME)/.cache/traintwice)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo data test check fuzz oldest newest sdist audit bench docs clean

demo: $(VENV)/.demo  ## train 7 recipes on real data, print the table, write the report (under three minutes)
	$(BIN)/traintwice run digits

# Tests start dozens of processes, each of which would compile the package anew where Python is told to write no bytecode.
test: $(VENV)/.dev check  ## lint, types, tests
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto

check: $(VENV)/.dev  ## lint and types only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

SECONDS_OF_FUZZING ?= 600

fuzz: $(VENV)/.dev  ## random bytes for every reader, ten minutes in all; what is found is kept in fuzz-findings/
	$(INSTALL) atheris
	$(BIN)/python tests/fuzz.py $(SECONDS_OF_FUZZING) $(READERS)

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

docs: $(VENV)/.dev  ## the public names as HTML in site/, and the numbers in README and docs from their studies
	$(BIN)/python -m traintwice_reproduction refresh
	$(BIN)/pdoc --output-directory site traintwice

clean:  ## remove the environment; stores and reports stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

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

$(VENV)/.data: $(VENV)/.demo
	$(INSTALL) --editable '.[data]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(INSTALL) --editable '.[dev]'
	@touch $@
