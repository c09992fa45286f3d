# Two commands suffice on a fresh machine: `make reproduce` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: install reproduce test check format parity benchmark requirements clean

install: $(VENV)/.installed

# Made anew whenever the pins or the package's metadata change.
$(VENV)/.installed: requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

reproduce: install
	$(BIN)/python experiments/reproduce.py

test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Regenerates the PyTorch comparisons and compares live, with torch and PEFT in the environment.
parity: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "peft>=0.21"
	$(BIN)/python scripts/parity.py

# Throughput and memory, ours and PEFT's in turns; about half an hour on a quiet machine.
benchmark: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "peft>=0.21"
	$(BIN)/python scripts/benchmark.py

# Pins for every supported Python; no index addresses are recorded.
requirements:
	uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-header \
		pyproject.toml -o requirements.txt

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
