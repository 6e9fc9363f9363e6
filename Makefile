# GNU make 3.81 (the one macOS ships) and a POSIX shell are enough. `make help` lists the targets.

# Variables to set on the command line, each of them optional:
#   PYTHON=python3.12   the interpreter to make .venv with
#   PORT=8600           another port for `make app`
#   ARGS="..."          more arguments for `streamlit run` or pytest
PYTHON ?=
PORT =
ARGS =

VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
APP_STAMP := $(VENV)/.installed-app
DEV_STAMP := $(VENV)/.installed-dev
INSTALL := $(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check -c constraints.txt
BROWSER_TESTS := $(wildcard tests/browser/*.py tests/test_browser*.py)

# The CPython versions that the pinned TensorFlow has wheels for; on a Mac, for Apple silicon only.
SUPPORTED := import platform, sys; \
	sys.exit(not (sys.implementation.name == "cpython" and sys.maxsize > 2**32 \
	and (3, 11) <= sys.version_info[:2] <= (3, 13) \
	and (sys.platform, platform.machine()) != ("darwin", "x86_64")))

# Shell functions for the recipes below.

# apt_install PACKAGE: as root or through sudo; fails where there is no apt-get or no right to use it.
APT_INSTALL := apt_install() { \
	command -v apt-get >/dev/null || return 1; \
	if [ "$$(id -u)" -eq 0 ]; then sudo=; \
	elif ! command -v sudo >/dev/null; then return 1; \
	elif [ -t 0 ]; then sudo=sudo; \
	else sudo="sudo -n"; fi; \
	echo "Installing the Debian package $$1 ..."; \
	$$sudo apt-get update -qq || true; \
	$$sudo env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends "$$1" >/dev/null; \
	}

# find_python: prints the first suitable interpreter.
FIND_PYTHON := find_python() { \
	for candidate in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
		if "$$candidate" -c '$(SUPPORTED)' 2>/dev/null; then \
			command -v "$$candidate"; return 0; \
		fi; \
	done; \
	return 1; \
	}

# find_browser: prints the path of a Chrome or Chromium.
FIND_BROWSER := find_browser() { \
	for candidate in "$$NDMIXER_CHROME" \
		google-chrome google-chrome-stable chromium chromium-browser \
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" \
		"/Applications/Chromium.app/Contents/MacOS/Chromium" \
		"$$HOME/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" \
		"$$HOME/Applications/Chromium.app/Contents/MacOS/Chromium"; do \
		if [ -n "$$candidate" ] && command -v "$$candidate"; then return 0; fi; \
	done; \
	return 1; \
	}

.DEFAULT_GOAL := help
.PHONY: help app test lint format lock browser screenshots findings clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

app: $(APP_STAMP) ## install what the app needs, then open it on 127.0.0.1:8501
	@$(VENV_PYTHON) -m streamlit run app.py $(if $(PORT),--server.port=$(PORT)) $(ARGS)

test: $(DEV_STAMP) $(if $(BROWSER_TESTS),browser) ## install what the tests need, then run all of them
	@$(FIND_BROWSER); NDMIXER_CHROME="$$(find_browser || true)" TF_CPP_MIN_LOG_LEVEL=2 \
		$(VENV_PYTHON) -m pytest -n 2 --dist loadfile --durations=10 $(ARGS)

lint: $(DEV_STAMP) ## check style, formatting and types
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy ndmixer $(wildcard app.py pages/*.py)

format: $(DEV_STAMP) ## format the code and mend what ruff can mend
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .

lock: $(VENV_PYTHON) ## pin the newest versions within the bounds in constraints.txt
	@$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade uv
	@$(VENV_PYTHON) -m uv pip compile --no-config --quiet --system-certs --upgrade --universal \
		--python-version 3.11 --fork-strategy fewest --no-emit-index-url \
		--custom-compile-command "make lock" \
		--output-file constraints.txt requirements.txt requirements-dev.txt \
		requirements-benchmarks.txt

browser: ## find Chrome or Chromium for the browser tests, or install it
	@$(APT_INSTALL); $(FIND_BROWSER); \
	find_browser >/dev/null \
		|| apt_install chromium \
		|| { command -v brew >/dev/null \
			&& { brew install --cask chromium || brew install --cask google-chrome; }; }; \
	find_browser || { \
		echo "No Chrome or Chromium was found, and none could be installed."; \
		echo "Install one with the system's package manager (on Debian, as root:"; \
		echo "apt-get install chromium), or set NDMIXER_CHROME to the path of its program."; \
		exit 1; \
	} >&2

screenshots: $(DEV_STAMP) browser ## take the pictures of docs/images anew
	@$(FIND_BROWSER); NDMIXER_CHROME="$$(find_browser)" PYTHONPATH=. $(VENV_PYTHON) docs/screenshots.py

findings: $(DEV_STAMP) browser ## write docs/findings.md and its pictures anew
	@$(FIND_BROWSER); NDMIXER_CHROME="$$(find_browser)" PYTHONPATH=. $(VENV_PYTHON) docs/findings.py

clean: ## remove the virtual environment and the caches; keeps runs/
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV_PYTHON):
	@$(APT_INSTALL); $(FIND_PYTHON); \
	python=$$(find_python) || { \
		echo "No suitable Python was found: TensorFlow has packages for 64-bit CPython 3.11, 3.12"; \
		echo "and 3.13 (on a Mac, for Apple silicon only). Install one of these (on Debian, as root:"; \
		echo "apt-get install python3; with Homebrew: brew install python@3.13), or name it:"; \
		echo "make app PYTHON=/path/to/python3.13"; \
		exit 1; \
	} >&2; \
	"$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
		package=$$("$$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		apt_install "$$package" || { \
			echo "$$python cannot make virtual environments. On Debian or Ubuntu, as root, type:"; \
			echo "apt-get install $$package"; \
			exit 1; \
		} >&2; \
	}; \
	echo "Making $(VENV) with $$python ..."; \
	trap 'rm -rf $(VENV); exit 1' HUP INT TERM; \
	"$$python" -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(APP_STAMP): $(VENV_PYTHON) pyproject.toml requirements.txt constraints.txt
	@echo "Installing what the app needs in $(VENV) (the first time this takes a few minutes) ..."
	@$(INSTALL) -e .
	@touch $@

$(DEV_STAMP): $(VENV_PYTHON) pyproject.toml requirements.txt requirements-dev.txt constraints.txt
	@echo "Installing what the tests need in $(VENV) (the first time this takes a few minutes) ..."
	@$(INSTALL) -e ".[dev]"
	@touch $(APP_STAMP) $@
