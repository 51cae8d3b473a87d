# scripts/quickstart --check: tries what was printed, and what a platform engineer would try next.
# shellcheck shell=bash disable=SC2154

_check_failures=0

# expect WHAT EXPECTED SEEN: one check by comparison.
expect() {
    if [ "$2" = "$3" ]; then
        passed "$1: $3"
    else
        failed "$1: expected $2, saw $3"
        _check_failures=$((_check_failures + 1))
    fi
}

# expect_soon WHAT SECONDS COMMAND...: one check that may take a moment.
expect_soon() {
    local what=$1 seconds=$2
    shift 2
    if wait_until "$seconds" "$what" "$@"; then
        passed "$what"
    else
        failed "$what"
        _check_failures=$((_check_failures + 1))
    fi
}

# publish_status KEY BODY: the status of a publish.
publish_status() {
    curl -s -o /dev/null -m 30 -w '%{http_code}' -X POST "$events_url" -H "X-API-Key: $1" \
        -H 'Content-Type: application/json' -d "$2"
}

# url_status URL: the status of a GET.
url_status() {
    curl -s -o /dev/null -m 30 -w '%{http_code}' "$1"
}

# start_reader FILE: the printed read command, its output in FILE, until the end. Returns when the stream is open.
start_reader() {
    start_background bash -c "exec $read_command" >"$1" 2>&1
    wait_until 60 "the stream to open" grep -q '^:' "$1" || die "the printed read command shows no stream: $(cat "$1")"
}

check_first_event() {
    local answer
    start_reader "$state/reader.out"
    passed "the printed read command has an open stream"

    answer=$(bash -c "$publish_command") || die "the printed publish command failed"
    if jq -e '[.. | objects | select(has("id"))] | length > 0' >/dev/null 2>&1 <<<"$answer"; then
        passed "the printed publish command answers $answer"
    else
        failed "the printed publish command answers $answer"
        _check_failures=$((_check_failures + 1))
    fi
    expect_soon "the event arrives over server-sent events" 60 grep -q '"item":"tea"' "$state/reader.out"
    say "$(grep -m 1 '"item":"tea"' "$state/reader.out" || true)"
    expect_soon "the printed kcat command finds it in Kafka" 60 \
        bash -c "$kafka_command 2>/dev/null | grep -q '\"item\":\"tea\"'"
}

check_denials() {
    local stranger
    expect "publishing with a wrong key" 401 "$(publish_status "${api_key%?????}wrong" '{"order":2}')"
    expect "reading without a key" 401 "$(url_status "$events_url")"

    ensure applications stranger '{"name":"stranger","title":"No subscription","team":"platform"}'
    stranger=$(new_api_key stranger)
    # Until the new credential has reached the gateway's workers, one after the other, it is a wrong key.
    expect_soon "publishing without a subscription: 403" 60 is_forbidden "$stranger"
}

is_forbidden() {
    [ "$(publish_status "$1" '{"order":3}')" = 403 ]
}

check_surfaces() {
    local url
    for url in "${urls[@]}"; do
        url=${url%% *}
        expect "GET $url" 200 "$(url_status "$url")"
    done
    expect "the OpenAPI document's version" 3.1 \
        "$(curl -s "http://$admin/openapi.json" | jq -r '.openapi' | cut -d . -f 1,2)"
    expect "the printed admin command lists" orders \
        "$(bash -c "$admin_command" | jq -r '.items[] | select(.name == "orders") | .name')"
}

# The gateway outlives its control plane: the open stream, a new one, and publishing.
check_without_control() {
    kill -KILL -- "-$control_pid"
    wait "$control_pid" 2>/dev/null || true
    forget_background "$control_pid"
    expect "after kill -9 of the control plane, its admin API" 000 "$(url_status "http://$admin/health/ready")"
    start_reader "$state/second-reader.out"
    passed "a new stream opens without the control plane"
    expect "publishing without the control plane" 201 "$(publish_status "$api_key" '{"order":4,"item":"coffee"}')"
    expect_soon "the open stream goes on" 60 grep -q '"item":"coffee"' "$state/reader.out"
    expect_soon "the new stream has it too" 60 grep -q '"item":"coffee"' "$state/second-reader.out"
}

check_stop() {
    local status=0
    kill -TERM "$gateway_pid"
    wait_until 60 "the gateway to end" gateway_ended || true
    wait "$gateway_pid" || status=$?
    expect "the gateway's status after SIGTERM" 0 "$status"
    forget_background "$gateway_pid"
}

# A child that has ended but was not waited for still exists: its state tells.
gateway_ended() {
    ! kill -0 "$gateway_pid" 2>/dev/null || grep -q '^State:.Z' "/proc/$gateway_pid/status"
}

run_checks() {
    step "checking everything that was printed"
    check_first_event
    check_denials
    check_surfaces
    check_without_control
    check_stop
    if [ "$_check_failures" -gt 0 ]; then
        show_logs >&2
        die "$_check_failures checks failed"
    fi
    step "all checks passed"
}
