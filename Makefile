PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
INSTALLED := .venv/installed
DEVELOPED := .venv/developed
KEEP ?= 1
# An index to install torch from, such as PyTorch's index of CPU wheels. Empty: where pip looks for all packages.
TORCH_INDEX ?=

.PHONY: install demo serve prior check format test faults fuzz bench gpu containers lock clean

# Everything but torch is installed by the hashes of a lock file.
install: $(INSTALLED)

$(INSTALLED): pyproject.toml requirements/all.txt requirements/torch.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements/all.txt
	$(PIP) $(if $(TORCH_INDEX),--index-url '$(TORCH_INDEX)') -r requirements/torch.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(DEVELOPED): $(INSTALLED) requirements/dev.txt
	$(PIP) --require-hashes -r requirements/dev.txt
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
	$(BIN)/pip check

format: $(DEVELOPED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# All tests, two files at a time: they wait as much as they compute.
# TESTS passes options to pytest in place of these: make test TESTS='tests/app -k idempotency'
TESTS ?= --numprocesses 2 --dist loadfile
test: $(DEVELOPED)
	$(BIN)/pytest $(TESTS)

# Trains the four priors that fewshot jobs start from, two hours each. PRIOR passes other options; on a GPU minutes will do:
# make prior DEVICE=cuda PRIOR='--seconds 300 --cuda-graph'
DEVICE ?= cpu
PROCESSES ?= 2
PRIORS := models/presets/fewshot/priors
PRIOR ?= --seconds 7200
prior: $(INSTALLED)
	mkdir -p $(PRIORS)
	for side in 64 128; do \
	  $(BIN)/python -m flawsmith.worker.prior_training --resolution $$side --channels 1 --device $(DEVICE) \
	    --processes $(PROCESSES) $(PRIOR) --out $(PRIORS)/$$side-gray.safetensors && \
	  $(BIN)/python -m flawsmith.worker.prior_training --resolution $$side --channels 3 --device $(DEVICE) \
	    --processes $(PROCESSES) $(PRIOR) --from $(PRIORS)/$$side-gray.safetensors \
	    --out $(PRIORS)/$$side-color.safetensors || exit 1; \
	done
	rm $(PRIORS)/*.state.safetensors

# The fault tests at full length, with measured times: more than an hour. Needs root.
faults: $(DEVELOPED)
	$(BIN)/pytest tests/faults --full-faults --timeout 1800

# Every route and every parser with what strangers send, at full length, with the memory that it takes: 20 minutes.
fuzz: $(DEVELOPED)
	$(BIN)/pytest tests/fuzz --full-faults --timeout 1800

# Measures serving against other servers and at its limits, for docs/benchmarks.md: half an hour on two idle cores.
bench: $(DEVELOPED) .venv-peers/installed
	$(BIN)/python -m benchmarks.serving

# On a machine with a GPU: the tests marked gpu, speed and memory of training and sampling, and a whole job, as tables;
# some minutes. make gpu DEVICE=cpu runs the same code, small, without one.
gpu: DEVICE = cuda
gpu: $(DEVELOPED)
	$(BIN)/python -m benchmarks.gpu --device $(DEVICE) $(if $(filter cpu,$(DEVICE)),--small)

.venv-peers/installed: benchmarks/serving/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Builds the images and drives the compose stack on a private Docker engine with stand-ins for the base images: some
# minutes, as root. make containers ENGINE=running takes the engine that runs here and the real base images.
ENGINE ?= private
containers: $(DEVELOPED)
	TORCH_INDEX='$(TORCH_INDEX)' docker/check.sh $(if $(filter running,$(ENGINE)),--running)

# Writes the lock files anew from pyproject.toml, for every Python and processor that Flawsmith runs on. It keeps the
# locked versions that still fit; make lock UPGRADE=1 takes the newest that fit.
lock: .venv-lock/bin/uv
	$(call LOCK,dev,$(if $(UPGRADE),--upgrade))
	$(call LOCK,all,--constraint requirements/dev.txt)
	$(call LOCK,api,--extra s3 --constraint requirements/dev.txt)
	$(call LOCK,worker,--extra s3 --extra gpu --constraint requirements/dev.txt)

# $(1): the extra of pyproject.toml, $(2): more options.
LOCK = $< pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
  --extra $(1) --group build --no-emit-package torch --constraint requirements/torch.txt $(2) \
  --custom-compile-command 'make lock' --output-file requirements/$(1).txt

.venv-lock/bin/uv:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'

clean:
	rm -rf .venv .venv-lock .venv-peers out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
