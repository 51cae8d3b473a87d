# The Python environment of the tests: in the cache, named after the pins, so that another checkout finds it too.
# Needs common.sh.
# shellcheck shell=bash

_requirements=$SLUICE_ROOT/tests/requirements.txt

# base_python: the distribution's own, for which python3-venv is installed, before any other in PATH.
base_python() {
    if [ -x /usr/bin/python3 ]; then
        printf '/usr/bin/python3\n'
    else
        command -v python3
    fi
}

# venv_dir: prints where the environment is or will be.
venv_dir() {
    local key
    key=$({ base_python && "$(base_python)" --version && cat "$_requirements"; } | sha256sum | cut -c 1-16)
    printf '%s/venv/%s\n' "$SLUICE_CACHE_DIR" "$key"
}

# ensure_venv: makes it unless it is there. An environment cannot be moved, so a mark inside says that it is complete.
ensure_venv() {
    local venv
    venv=$(venv_dir)
    [ ! -e "$venv/complete" ] || return 0
    mkdir -p "$SLUICE_CACHE_DIR/venv"
    exec 8>"$SLUICE_CACHE_DIR/venv/lock"
    flock 8
    if [ ! -e "$venv/complete" ]; then
        step "preparing the tests' Python packages"
        rm -rf "$venv"
        run "$(base_python)" -m venv "$venv" 8>&- || die "could not make a Python environment in $venv"
        run "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$_requirements" \
            8>&- || die "could not install tests/requirements.txt"
        touch "$venv/complete"
    fi
    exec 8>&-
}
