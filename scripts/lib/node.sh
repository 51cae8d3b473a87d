# Node.js and the tests' packages for it: in the cache, named after the lock file, so that another checkout finds them
# too. Needs common.sh and install.sh.
# shellcheck shell=bash

# ensure_node: a Node.js of 18 or newer with npm. One that is there, from wherever, is taken; else Debian's.
ensure_node() {
    if command -v node >/dev/null && command -v npm >/dev/null; then
        local major
        major=$(node --version | sed -E 's/^v([0-9]+)\..*/\1/')
        [ "$major" -ge 18 ] || die "the tests need Node.js 18 or newer, and $(command -v node) is $(node --version)"
        return 0
    fi
    ensure_packages node
}

# node_dir: prints where the packages are or will be.
node_dir() {
    local key
    key=$(cat "$SLUICE_ROOT/tests/node/package-lock.json" | sha256sum | cut -c 1-16)
    printf '%s/node/%s\n' "$SLUICE_CACHE_DIR" "$key"
}

# ensure_node_packages: installs them unless they are there. A mark inside says that they are complete.
ensure_node_packages() {
    local dir
    dir=$(node_dir)
    [ ! -e "$dir/complete" ] || return 0
    mkdir -p "$SLUICE_CACHE_DIR/node"
    exec 7>"$SLUICE_CACHE_DIR/node/lock"
    flock 7
    if [ ! -e "$dir/complete" ]; then
        step "preparing the tests' JavaScript packages"
        rm -rf "$dir"
        mkdir -p "$dir"
        cp "$SLUICE_ROOT/tests/node/package.json" "$SLUICE_ROOT/tests/node/package-lock.json" "$dir/"
        (cd "$dir" && run npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) 7>&- ||
            die "could not install tests/node/package.json"
        touch "$dir/complete"
    fi
    exec 7>&-
}
