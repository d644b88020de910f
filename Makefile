# make          the packages that Job Jar needs (psutil, filelock), in .venv
# make demo     a throw-away jar, some workers, and a computation in stages from beginning to end
# make test     all tests; the jars that they use are their own
# make faults   the fault campaign in its full form: half an hour to an hour, its figures at the end (make test has a short form)
# make bench    how fast it is beside the least that this machine needs for the same: a quarter of an hour, and a table
# make simulate up to 10,000 workers on one jar, simulated: some minutes, and a table (docs/scale.md)
# make clean    removes what make and Python have made here, and nothing else

# The first of these that is new enough is used; `make PYTHON=/path/of/python3` uses another.
PYTHON = python3 python3.14 python3.13 python3.12 python3.11
ENOUGH = import sys; sys.exit(sys.version_info < (3, 11))
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check

# All paths are relative, so the checkout may lie anywhere and be moved, also to a name with blanks.
.PHONY: venv demo test faults bench simulate clean
venv: .venv/made

# The packages are listed in setup.cfg alone. What could not be finished is taken up again by the next make; what is
# there already is not fetched again.
.venv/made: setup.cfg
	@if ! .venv/bin/python -c '$(ENOUGH)' 2>/dev/null; then $(MAKE_VENV); fi
	@$(call install,install_requires)
	@touch $@

.venv/made-tests: .venv/made
	@$(call install,test)
	@touch $@

define MAKE_VENV
for python in $(PYTHON); do \
    if $$python -c '$(ENOUGH)' 2>/dev/null; then break; fi; python=; \
done; \
if [ -z "$$python" ]; then \
    echo "make: no Python 3.11 or newer among $(PYTHON): install one, or name it with make PYTHON=/its/path" >&2; \
    exit 1; \
fi; \
if ! $$python -c 'import venv, ensurepip; ensurepip.version' 2>/dev/null; then \
    echo "make: $$python cannot make a .venv without its modules venv and ensurepip:" \
        "install them (Debian, Ubuntu: the package python3-venv)" >&2; \
    exit 1; \
fi; \
echo "Making .venv with $$($$python --version) ..."; \
$$python -m venv --clear .venv
endef

# The packages of one list in setup.cfg.
install = sed -n '/^$(1) =/,/^[^ ]*$$/s/^    //p' setup.cfg > .venv/packages && $(PIP) -r .venv/packages || { \
    echo "make: pip could not install $$(xargs < .venv/packages): is there a network (or https_proxy)?" >&2; exit 1; }

demo: .venv/made
	@.venv/bin/python docs/examples/demo

test: .venv/made-tests
	@if [ "$$(id -u)" = 0 ]; then echo "Root tests: JJ_ALLOW_ROOT=1 is set for the tests' own jars alone."; fi
	@.venv/bin/python tests/lanes.py

# SEED=N strikes at other places; PUBLISH=--publish writes the figures into docs/reliability.md.
faults: .venv/made-tests
	@.venv/bin/python tests/lanes.py tests/faults --full $(if $(SEED),--seed $(SEED)) $(PUBLISH)

# BENCH="drain ends --rounds 3" measures these alone (docs/performance.md lists them); PUBLISH=--publish writes the table
# into that page.
bench: .venv/made
	@.venv/bin/python tests/bench $(BENCH) $(PUBLISH)

# SIMULATE="--workers 1000 --length 5" is one run (SIMULATE=--help lists what can be chosen).
simulate: .venv/made
	@.venv/bin/python tests/bench/simulate.py $(SIMULATE) $(PUBLISH)

clean:
	rm -rf .venv .pytest_cache
	find jobjar bin tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
