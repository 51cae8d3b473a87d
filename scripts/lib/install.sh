# Installs the Debian packages that a command needs: says which, asks first, and does nothing when none is missing.
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=packages
. "$(dirname "${BASH_SOURCE[0]}")/packages"

# missing_packages SET...: prints the packages of these sets that are not installed.
missing_packages() {
    local set name
    for set in "$@"; do
        local -n names=PACKAGES_$set
        for name in "${names[@]}"; do
            [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || printf '%s\n' "$name"
        done
    done | sort -u
}

# confirm_install: asks on the terminal. ASSUME_YES=yes (the flag --yes) and CI=true answer for the user.
confirm_install() {
    local answer
    if [ "${ASSUME_YES:-no}" = yes ] || [ "${CI:-}" = true ]; then
        return 0
    fi
    [ -t 0 ] || die "packages are missing and there is no terminal to ask on; install them, or pass --yes"
    read -r -p '       Install them now? [y/N] ' answer || answer=n
    case $answer in
    y | Y | yes | Yes) return 0 ;;
    *) die "not installed, as you chose; nothing was changed" ;;
    esac
}

# ensure_packages SET...: all packages of these sets are installed when it returns.
ensure_packages() {
    local missing root=()
    if ! command -v dpkg-query >/dev/null; then
        say "this is not a Debian system: make sure yourself that what scripts/lib/packages lists ($*) is installed"
        return 0
    fi
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0

    step "packages are missing"
    say "will install: ${missing[*]}"
    confirm_install
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "installing packages needs root, and sudo is not here; install them as root"
        root=(sudo)
    fi
    # Not through `run`: sudo may have to ask for a password on the terminal.
    ${root[@]+"${root[@]}"} apt-get update -q >&2 || die "apt-get update failed"
    ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}" >&2 || die "apt-get install failed"
}
