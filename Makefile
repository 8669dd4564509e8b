# `make demo` and `make test` need Python >= 3.11 and internet access to PyPI or
# a mirror; each makes .venv on its first run and starts at once on the next.
PYTHON ?= python3
BIN := .venv/bin
DEMO := results/SynthEmo/random/fbank/pts_snn/1

.PHONY: demo test

demo: .venv/installed
	$(BIN)/ptssnn train SynthEmo --backbone=fbank --number_of_epochs=10
	$(BIN)/ptssnn classify $(DEMO)/fold_1/model \
		data/SynthEmo/f1/f1_de_02_angry.wav
	@echo 'To try it with your own voice (docs/demo.md):'
	@echo "  source .venv/bin/activate; pip install -e '.[demo]'; ptssnn demo"

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -n 2 --dist=worksteal

.venv/installed: setup.cfg
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -e .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install -e '.[test]'
	touch $@
