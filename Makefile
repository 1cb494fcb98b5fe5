# Two commands for a newcomer: `make demo` and `make test`. Both set up what they need, once.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEMO_DATA ?= demo-data
CHROMIUM = command -v chromium || command -v chromium-browser || command -v google-chrome

.PHONY: setup demo live test test-long lint types contracts unit browser screenshots clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "phasecast needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || \
	  { echo "dectris-compression is built from source: install a C++ compiler (Debian: apt-get install g++)" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	$(BIN)/phasecast demo --once --data-dir $(DEMO_DATA)

live: setup
	$(BIN)/phasecast demo --data-dir $(DEMO_DATA)

test: lint types contracts browser unit

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

# Four at a time on two cores: most tests wait for processes that they have started. Tests of one file share what they set up.
WORKERS ?= 4

unit: setup
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile -m "not long"

# Demos of two scans and of files, positions that come later, the bench of the page: before a release, and after work on these.
test-long: setup browser
	$(BIN)/pytest -m long

# A real browser and a Japanese font for the tests of the page. Without them those tests are skipped and say why;
# PHASECAST_BROWSER=required makes that a failure.
browser:
	@if { $(CHROMIUM); } >/dev/null && fc-list :lang=ja 2>/dev/null | grep -q .; then exit 0; fi; \
	why=; if ! command -v apt-get >/dev/null; then why="no apt-get here"; \
	elif [ "$$(id -u)" = 0 ]; then as=""; \
	elif sudo -n true 2>/dev/null; then as="sudo -n"; \
	else why="neither root nor sudo without a password"; fi; \
	if [ -z "$$why" ]; then \
	  echo "installing Chromium and a Japanese font for the tests of the page"; \
	  $$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk fontconfig >/dev/null \
	    || why="apt-get failed"; \
	fi; \
	if [ -n "$$why" ]; then \
	  echo "no Chromium with a Japanese font ($$why): tests of the page will be skipped"; \
	  [ "$$PHASECAST_BROWSER" != required ]; \
	fi

screenshots: setup browser
	$(BIN)/python -m phasecast.services.screenshots docs/images
	$(BIN)/python -m phasecast.services.reliability_picture bl16xu-rust docs/images/reliability-bl16xu-rust.svg

clean:
	rm -rf $(VENV) $(DEMO_DATA)
