PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
DEVELOPED := .venv/developed
KEEP ?= 1

.PHONY: install demo serve check format test faults bench clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	@touch $@

$(DEVELOPED): $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# make demo DATA=path/to/your.zip trains on your own photographs; KEEP=0 stops the service afterwards.
demo: $(INSTALLED)
	$(BIN)/flawsmith demo $(if $(DATA),--data '$(DATA)') $(if $(filter 0,$(KEEP)),--no-keep)

serve: $(INSTALLED)
	$(BIN)/flawsmith serve

check: $(DEVELOPED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEVELOPED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(DEVELOPED)
	$(BIN)/pytest

# The faults at full length, every figure printed: about half an hour.
faults: $(DEVELOPED)
	$(BIN)/pytest tests/faults --full-faults --timeout 1800

# What serving costs, beside its peers and at its limits, into docs/benchmarks.md: half an hour on two idle cores.
bench: $(DEVELOPED) .venv-peers/installed
	$(BIN)/python -m benchmarks.serving

.venv-peers/installed: benchmarks/serving/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

clean:
	rm -rf .venv .venv-peers out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
