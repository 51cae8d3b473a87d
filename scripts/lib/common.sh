# Shared by every command in scripts/: messages, processes that are always stopped, free ports, bounded waits.
# Source it after `set -euo pipefail`; it sets the EXIT, INT and TERM traps.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for the commands that source this
SLUICE_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SLUICE_CACHE_DIR=${SLUICE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice}
export SLUICE_CACHE_DIR

# Messages ----------------------------------------------------------------------------------------------------

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
    _bold=$'\e[1m' _red=$'\e[31m' _green=$'\e[32m' _plain=$'\e[0m'
else
    _bold='' _red='' _green='' _plain=''
fi

# step TEXT: the next thing that happens, with the seconds since the command began.
step() {
    printf '%s[%3ds] %s%s\n' "$_bold" "$SECONDS" "$*" "$_plain" >&2
}

# say TEXT: a detail below a step.
say() {
    printf '       %s\n' "$*" >&2
}

# passed TEXT, failed TEXT: the outcome of one check.
passed() {
    printf '  %sok%s   %s\n' "$_green" "$_plain" "$*" >&2
}

failed() {
    printf '  %sFAIL%s %s\n' "$_red" "$_plain" "$*" >&2
}

# die TEXT: one clear sentence, then the end (and with it the cleanup).
die() {
    printf '%s%s: %s%s\n' "$_red" "${0##*/}" "$*" "$_plain" >&2
    exit 1
}

# Processes and cleanup ---------------------------------------------------------------------------------------

_cleanup_commands=() # run in reverse order at exit
_background_pids=()  # each is the leader of its own process group

# at_exit COMMAND ARGS...: run when the script ends, however it ends; the latest first.
at_exit() {
    local quoted
    printf -v quoted '%q ' "$@"
    _cleanup_commands+=("$quoted")
}

# start_background COMMAND ARGS...: starts it in a process group of its own and leaves its id in STARTED_PID.
# It is stopped at exit. Without a group of its own, its children would outlive it.
start_background() {
    set -m
    "$@" </dev/null &
    STARTED_PID=$!
    set +m
    _background_pids+=("$STARTED_PID")
}

# run COMMAND ARGS...: like calling it, but a signal to this script is acted on at once and stops it too (the
# shell would otherwise wait for the command first). Standard input is /dev/null. Returns its status.
run() {
    local status=0
    start_background "$@"
    wait "$STARTED_PID" || status=$?
    forget_background "$STARTED_PID"
    return "$status"
}

forget_background() {
    local pid kept=()
    for pid in ${_background_pids[@]+"${_background_pids[@]}"}; do
        [ "$pid" = "$1" ] || kept+=("$pid")
    done
    _background_pids=(${kept[@]+"${kept[@]}"})
}

# stop_background PID [SECONDS]: TERM to its group, then KILL when it has not gone after SECONDS (default 10).
stop_background() {
    local pid=$1 tries=$((${2:-10} * 20))
    kill -TERM -- "-$pid" 2>/dev/null || true
    while kill -0 -- "-$pid" 2>/dev/null && [ $((tries--)) -gt 0 ]; do
        sleep 0.05
    done
    kill -KILL -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    forget_background "$pid"
}

_cleanup() {
    local status=$? i
    trap - EXIT
    trap '' INT TERM HUP # a second Ctrl-C must not leave half of it running
    set +e
    for ((i = ${#_background_pids[@]} - 1; i >= 0; i--)); do
        stop_background "${_background_pids[i]}"
    done
    for ((i = ${#_cleanup_commands[@]} - 1; i >= 0; i--)); do
        eval "${_cleanup_commands[i]}"
    done
    exit "$status"
}
trap _cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# Waiting and ports -------------------------------------------------------------------------------------------

# wait_until SECONDS WHAT COMMAND ARGS...: tries COMMAND until it succeeds. Fails, saying WHAT, after SECONDS.
wait_until() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            printf '%s: gave up waiting: %s\n' "${0##*/}" "$what" >&2
            return 1
        fi
        sleep 0.1
    done
}

# port_is_open ADDRESS PORT: something listens there.
port_is_open() {
    (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}

# free_port: prints a port of the loopback address on which nothing listens. It is taken below the kernel's
# ephemeral range, so that no outgoing connection can take it before its user does.
free_port() {
    local port
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        port_is_open 127.0.0.1 "$port" || break
    done
    printf '%s\n' "$port"
}

# need_value OPTION "$@": dies unless an option has its value.
need_value() {
    [ $# -ge 3 ] || die "$1 needs a value (see --help)"
}
