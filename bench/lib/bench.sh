# What every bench/NAME does first: reads the arguments, builds, and has a real Kafka run. Sets `bench_arguments`, SLUICE_BUILD_DIR
# and SLUICE_TEST_KAFKA.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib/common.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib/install.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib/venv.sh"

bench_options() {
    cat <<'END'
  --quick           under a minute: sees that it works; the figures mean nothing
  --strict          ends with status 1 when a target is missed
  --build-dir DIR   uses what is built there instead of building the release preset
  --yes             install missing packages without asking
  -h, --help        this text

With SLUICE_TEST_KAFKA=HOST:PORT that Kafka is used; otherwise one is started, and stopped at the end.
END
}

# prepare_bench "$@"
prepare_bench() {
    bench_arguments=()
    local build_dir=''
    while [ $# -gt 0 ]; do
        case $1 in
        --quick | --strict) bench_arguments+=("$1") && shift ;;
        --tls) [[ " ${bench_more_options-} " == *" $1 "* ]] || die "unknown argument $1 (see --help)"
            bench_arguments+=("$1") && shift ;;
        --build-dir) need_value "$1" "$@" && build_dir=$(cd "$2" && pwd) && shift 2 ;;
        --yes) ASSUME_YES=yes && shift ;;
        --help | -h) usage; bench_options; exit 0 ;;
        *) die "unknown argument $1 (see --help)" ;;
        esac
    done
    ensure_packages build test kafka
    ensure_venv
    cd "$SLUICE_ROOT"
    if [ -z "$build_dir" ]; then
        step "building the release preset"
        build_dir=$SLUICE_ROOT/build/release
        mkdir -p "$build_dir"
        run cmake --preset release >"$build_dir/configure.log" 2>&1 || die "configuring failed; see $build_dir/configure.log"
        run cmake --build --preset release --target sluice-control sluice-gateway "${bench_programs[@]}" >&2 ||
            die "building failed"
    fi
    export SLUICE_BUILD_DIR=$build_dir
    [ "${bench_without_kafka:-no}" = yes ] || [ -n "${SLUICE_TEST_KAFKA:-}" ] || start_bench_kafka
}

start_bench_kafka() {
    kafka_dir=$(mktemp -d "${TMPDIR:-/tmp}/sluice-bench-kafka.XXXXXX")
    at_exit stop_bench_kafka
    step "starting Apache Kafka"
    KAFKA_OPTS=${kafka_java_options:-} "$SLUICE_ROOT/scripts/kafka" start --dir "$kafka_dir" >/dev/null || die "Kafka did not start"
    SLUICE_TEST_KAFKA=$(cat "$kafka_dir/address")
    export SLUICE_TEST_KAFKA
}

stop_bench_kafka() {
    "$SLUICE_ROOT/scripts/kafka" stop --dir "$kafka_dir"
    rm -rf "$kafka_dir"
}

# measure NAME: runs bench/lib/NAME.py, which prints the table and, last, one JSON object.
measure() {
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$SLUICE_ROOT/tests/integration:$SLUICE_ROOT/bench/lib \
        run "$(venv_dir)/bin/python" "$SLUICE_ROOT/bench/lib/$1.py" ${bench_arguments[@]+"${bench_arguments[@]}"}
}
