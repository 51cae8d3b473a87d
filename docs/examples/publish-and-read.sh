#!/bin/sh
# Publishes an event with curl, reads a page from the beginning, and asks behind it. A gateway learns of an event with its
# next fetch, a moment after the publisher has its answer: while a topic has no other events, `wait` is for that.
set -eu

curl --fail --silent --show-error -H "X-API-Key: $SLUICE_KEY" -H 'Content-Type: application/json' \
    -d '{"order": 1, "total": 9.5}' "$SLUICE_URL"
echo

page=$(curl --fail --silent --show-error -H "X-API-Key: $SLUICE_KEY" "$SLUICE_URL?from=earliest&limit=100&wait=5")
echo "$page"

# `next` is where reading goes on, at any time and at any gateway. `wait` saves asking again and again.
next=$(echo "$page" | jq -r .next)
curl --fail --silent --show-error -G -H "X-API-Key: $SLUICE_KEY" --data-urlencode "cursor=$next" -d wait=1 "$SLUICE_URL"
echo
