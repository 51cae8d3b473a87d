# The quickstart's sample event API, made through the admin API as anybody would. Uses the quickstart's variables.
# shellcheck shell=bash disable=SC2154

# admin_call METHOD PATH [BODY] [CURL ARGUMENT]...: the answer's body is left in $admin_body, its status in
# $admin_status. The token travels in a file, so that it is in no process list.
admin_call() {
    local method=$1 path=$2 body=${3:-} arguments=() answer
    shift $(($# < 3 ? $# : 3))
    [ -z "$body" ] || arguments=(-d "$body" -H 'Content-Type: application/json')
    answer=$(curl -sS -X "$method" "http://$admin/v1/$path" -H "@$state/authorization" -w '\n%{http_code}' \
        ${arguments[@]+"${arguments[@]}"} "$@") || die "the admin API does not answer"
    admin_status=${answer##*$'\n'}
    admin_body=${answer%$'\n'*}
}

# admin_post KIND BODY: creates an object and prints it.
admin_post() {
    admin_call POST "$1" "$2"
    [ "$admin_status" = 201 ] || die "creating in $1 was refused ($admin_status): $admin_body"
    printf '%s\n' "$admin_body"
}

# ensure KIND KEY BODY: creates the object, or brings the one that an earlier run left to the same content.
ensure() {
    local kind=$1 key=$2 body=$3 etag
    admin_call POST "$kind" "$body"
    [ "$admin_status" != 201 ] || return 0
    [ "$admin_status" = 409 ] || die "creating $kind/$key was refused ($admin_status): $admin_body"
    etag=$(curl -sS -o /dev/null -D - "http://$admin/v1/$kind/$key" -H "@$state/authorization" |
        tr -d '\r' | sed -n 's/^[Ee][Tt][Aa][Gg]: //p')
    admin_call PATCH "$kind/$key" "$body" -H "If-Match: $etag" -H 'Content-Type: application/merge-patch+json'
    [ "$admin_status" = 200 ] || die "updating $kind/$key was refused ($admin_status): $admin_body"
}

# The bootstrap servers as a JSON array.
bootstrap_json() {
    jq -cn --arg servers "$bootstrap_servers" '$servers | split(",")'
}

provision_sample() {
    step "making the sample event API through the admin API"
    (umask 077 && printf 'Authorization: Bearer %s\n' "$(cat "$state/administrator-token")" >"$state/authorization")

    say "gateway group, Kafka backend, listener"
    ensure gateway-groups dev "{\"name\":\"dev\",\"environment\":\"dev\",\"rest_url\":\"http://$http\"}"
    ensure backend-clusters local "{\"name\":\"local\",\"bootstrap_servers\":$(bootstrap_json)}"
    ensure virtual-clusters local '{"name":"local","backend_cluster":"local","namespace":{"mode":"none"}}'
    ensure listeners http "{\"name\":\"http\",\"gateway_group\":\"dev\",\"protocol\":\"http\",\"address\":\"$http\"}"

    say "team, event API orders.v1, its deployment on topic $topic"
    ensure teams platform '{"name":"platform","title":"Platform team"}'
    ensure event-apis orders.v1 '{"name":"orders","major":1,"title":"Orders","team":"platform","lifecycle":"published",
        "description":"Every order of the shop, as it is placed.","operations":["publish","read"],"exposures":["rest","sse"]}'
    ensure deployments orders.v1@dev "{\"event_api\":\"orders.v1\",\"gateway_group\":\"dev\",\"virtual_cluster\":\"local\",
        \"topic\":\"$topic\",\"listener\":\"http\"}"

    say "product, plan, application, subscription, API key"
    ensure products orders '{"name":"orders","title":"Orders","team":"platform","visibility":"public","lifecycle":"published",
        "event_apis":["orders.v1"]}'
    ensure plans orders.free '{"product":"orders","name":"free","title":"Free","operations":["publish","read"],
        "approval":"auto"}'
    ensure applications demo '{"name":"demo","title":"Demo","team":"platform"}'
    ensure_subscription
    ensure_api_key
}

# A subscription has no name of its own; one that lives already is answered with 409, and is what is wanted.
ensure_subscription() {
    admin_call POST subscriptions '{"application":"demo","plan":"orders.free","environment":"dev"}'
    [ "$admin_status" = 201 ] || [ "$admin_status" = 409 ] ||
        die "subscribing was refused ($admin_status): $admin_body"
}

# A key is shown once, so an earlier run's is kept beside the data that knows its hash.
ensure_api_key() {
    if [ ! -s "$state/api-key" ]; then
        (umask 077 && new_api_key demo >"$state/api-key")
    fi
    api_key=$(cat "$state/api-key")
}

# new_api_key APPLICATION: prints the key of a new credential.
new_api_key() {
    admin_post credentials "{\"application\":\"$1\",\"type\":\"secret\"}" | jq -er .api_key
}

# A stream that is answered with 200 shows that the key, the subscription and the topic are known to the gateway.
sample_is_served() {
    [ "$(curl -s -o /dev/null -m 1 -w '%{http_code}' "http://$http/orders/v1/events" -H "X-API-Key: $api_key" \
        -H 'Accept: text/event-stream')" = 200 ]
}
