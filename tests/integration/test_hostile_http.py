"""Clients that mean harm, or behave as if: bounded memory, the right status, and others are served."""

import contextlib
import json
import os
import re
import socket
import time

import pytest

from sluice_support import Crowd, SampleApi, exchange, raise_file_limit, resident_mib, wait_until

# A sanitizer keeps freed memory for a while, which says nothing about the gateway's own.
SANITIZER = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=1") + ":quarantine_size_mb=4"}
READERS = 1000
RETURNED_EVENTS = 150
IDLE_CONNECTIONS = 10_000


@pytest.fixture(scope="module")
def hostile(module_servers, kafka):
    raise_file_limit(IDLE_CONNECTIONS + 2000)
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=3))
    sample.start_gateway(module_servers, env=SANITIZER, http_request_timeout="3s", stream_stalled_write="5s",
                         feed_prefill="0s", feed_ring_limit="64KiB", page_total_size="7MiB")
    return sample


def head(sample, *fields, method="POST", target=None):
    lines = [f"{method} {target or '/orders/v1/events'} HTTP/1.1", f"X-API-Key: {sample.key}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def publish_request(sample, body=b'{"smuggled":true}'):
    return head(sample, "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}") + body


def status_of(answer):
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer.split(b" ", 2)[1])


def events_in(kafka, sample):
    return sum(kafka.end_offsets(sample.topic).values())


def still_serves(sample):
    assert sample.publish({"still": "serves"}).status_code == 201


# Framing ------------------------------------------------------------------------------------------------------

TYPE = "Content-Type: application/json"
AMBIGUOUS = {
    "length and chunked": (["Host: x", TYPE, "Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    "chunked and length": (["Host: x", TYPE, "Transfer-Encoding: chunked", "Content-Length: 4"], b"0\r\n\r\n"),
    "two lengths": (["Host: x", TYPE, "Content-Length: 2", "Content-Length: 0"], b"{}"),
    "one length twice": (["Host: x", TYPE, "Content-Length: 2", "Content-Length: 2"], b"{}"),
    "a list of lengths": (["Host: x", TYPE, "Content-Length: 2, 2"], b"{}"),
    "a signed length": (["Host: x", TYPE, "Content-Length: +2"], b"{}"),
    "a negative length": (["Host: x", TYPE, "Content-Length: -2"], b"{}"),
    "a hexadecimal length": (["Host: x", TYPE, "Content-Length: 0x2"], b"{}"),
    "another coding": (["Host: x", TYPE, "Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
    "two codings": (["Host: x", TYPE, "Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n"),
    "coding twice": (["Host: x", TYPE, "Transfer-Encoding: chunked", "Transfer-Encoding: identity"], b"0\r\n\r\n"),
    "space before the colon": (["Host: x", TYPE, "Transfer-Encoding : chunked"], b"0\r\n\r\n"),
    "a name that is none": (["Host: x", TYPE, "Content-Length: 2", "Bad(Name): 1"], b"{}"),
    "no host": ([TYPE, "Content-Length: 2"], b"{}"),
    "two hosts": (["Host: x", "Host: y", TYPE, "Content-Length: 2"], b"{}"),
    "a nul": (["Host: x", TYPE, "Content-Length: 2", "X-A: a\0b"], b"{}"),
}


@pytest.mark.parametrize("shape", AMBIGUOUS)
def test_what_two_servers_could_read_in_two_ways_is_refused_with_all_that_follows(hostile, kafka, shape):
    fields, body = AMBIGUOUS[shape]
    before = events_in(kafka, hostile)
    answer = exchange(hostile.port, head(hostile, *fields) + body + publish_request(hostile))
    assert status_of(answer) == 400, answer
    assert len(re.findall(rb"HTTP/1\.1 \d\d\d ", answer)) == 1, "the request behind it was answered"
    assert b"application/problem+json" in answer
    assert events_in(kafka, hostile) == before


CHUNKS = {
    "a size that is none": b"zz\r\n{}\r\n0\r\n\r\n",
    "a negative size": b"-2\r\n{}\r\n0\r\n\r\n",
    "a size beyond all numbers": b"ffffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "a size beyond the limit": b"7fffffff\r\n{}",
    "an endless size": b"1" * 100_000,
    "a line without its end": b"2{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("abuse", CHUNKS)
def test_chunks_that_are_none_are_refused(hostile, kafka, abuse):
    before = events_in(kafka, hostile)
    answer = exchange(hostile.port, head(hostile, "Host: x", TYPE, "Transfer-Encoding: chunked") + CHUNKS[abuse])
    assert answer == b"" or status_of(answer) in (400, 413, 431), answer
    assert events_in(kafka, hostile) == before
    still_serves(hostile)


# Sizes and contents -------------------------------------------------------------------------------------------


def test_what_is_too_large_is_refused_before_it_is_held(hostile):
    before = resident_mib(hostile.gateway.pid)
    told = head(hostile, "Host: x", TYPE, "Content-Length: 1000000000")
    assert status_of(exchange(hostile.port, told + b"x" * 100_000)) == 413
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    assert status_of(exchange(hostile.port, head(hostile, "Host: x", TYPE, "Transfer-Encoding: chunked") + chunk * 12)) == 413
    assert status_of(exchange(hostile.port, head(hostile, "Host: x", "X-Large: " + "a" * 40_000))) == 431
    assert status_of(exchange(hostile.port, head(hostile, "Host: x", *[f"X-{i}: 1" for i in range(5000)]))) == 431
    assert status_of(exchange(hostile.port, head(hostile, "Host: x", target="/" + "a" * 40_000))) == 431
    assert resident_mib(hostile.gateway.pid) - before < 64
    still_serves(hostile)


BAD_JSON = [b"{", b"[1,]", b'{"a":1,}', b"nul", b"01", b'"\xff"', b'"\\ud800"', b"{}{}", b"\xef\xbb\xbf{}", b"[" * 100_000,
            b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"[" * 65 + b"]" * 65]


@pytest.mark.parametrize("body", BAD_JSON, ids=lambda body: repr(body[:12]))
def test_what_is_not_json_or_too_deep_is_refused_and_nothing_else(hostile, kafka, body):
    assert hostile.publish(body).status_code == 400
    lines = hostile.publish(b'{"n":1}\n' + body.replace(b"\n", b" ") + b'\n{"n":2}',
                            headers={"Content-Type": "application/x-ndjson"})
    assert lines.status_code == 207
    results = lines.json()["results"]
    assert ["id" in result for result in results] == [True, False, True]
    assert results[1]["type"].endswith("/invalid-json")


# Patience -----------------------------------------------------------------------------------------------------


def test_requests_that_never_end_are_cut_while_others_are_served(hostile):
    unfinished = b"POST /orders/v1/events HTTP/1.1\r\nHost: x\r\nX-A: "
    body = head(hostile, "Host: x", TYPE, "Content-Length: 1000") + b'{"a":"'
    with Crowd(hostile.port, [unfinished, body] * 150) as crowd:
        deadline = time.monotonic() + 90
        while crowd.open_count():
            assert time.monotonic() < deadline, f"{crowd.open_count()} slow requests are still open"
            crowd.send(b"a")
            still_serves(hostile)
            crowd.poll(0.1)
        answers = {status_of(member.received) for member in crowd.members if member.received}
        assert answers <= {408, 400}


def test_readers_that_never_read_are_cut_and_cost_little(hostile, kafka):
    before = resident_mib(hostile.gateway.pid)
    request = head(hostile, "Host: x", "Accept: text/event-stream", method="GET")
    with hostile.stream() as attentive, Crowd(hostile.port, [request] * 50, receive_buffer=4096) as crowd:
        crowd.read(lambda member: b"retry:" in member.received, what="the streams to open")
        values = [json.dumps({"n": n, "filler": "x" * 20_000}).encode() for n in range(300)]
        kafka.produce(hostile.topic, values)
        events = attentive.find(300, lambda event: '"filler"' in event.data)
        assert sorted(event.json()["data"]["n"] for event in events) == list(range(300))

        def only_one_is_left():
            streams = hostile.gateway.metrics()['sluice_streams{event_api="orders.v1"}']
            assert streams == 1, streams
            return True

        wait_until(only_one_is_left, 90, "those who do not read to be cut")
        assert resident_mib(hostile.gateway.pid) - before < 64


def test_pages_that_nobody_takes_are_bounded_and_end(hostile, kafka):
    kafka.produce(hostile.topic, [json.dumps({"n": n, "filler": "x" * 30_000}).encode() for n in range(300)])

    def ask():
        return exchange(hostile.port, head(hostile, "Host: x", "Connection: close", method="GET",
                                           target="/orders/v1/events?limit=1"))

    assert status_of(ask()) == 200
    before = resident_mib(hostile.gateway.pid)
    request = head(hostile, "Host: x", method="GET", target="/orders/v1/events?limit=1000")
    with contextlib.ExitStack() as readers:
        def take_none():
            sock = readers.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(60)
            sock.connect(("127.0.0.1", hostile.port))
            sock.sendall(request)
            assert status_of(sock.recv(12, socket.MSG_PEEK)) in (200, 503)

        def refusal():
            take_none()  # the one before may have been cut
            answer = ask()
            return status_of(answer) == 503 and answer

        for _ in range(40):  # one after the other: those that are collected at once share what there is
            take_none()
        refused = wait_until(refusal, what="a refusal")
        assert b"/too-many-pages" in refused and b"Retry-After: " in refused
        assert resident_mib(hostile.gateway.pid) - before < 96  # 40 such pages are 320 MiB
        still_serves(hostile)
        wait_until(lambda: {status_of(ask()) for _ in range(8)} == {200}, what="those who do not read to be cut")


def test_thousands_of_idle_connections_cost_little_and_others_are_served(hostile):
    before = resident_mib(hostile.gateway.pid)
    with Crowd(hostile.port, [None] * IDLE_CONNECTIONS) as crowd:
        assert crowd.open_count() == IDLE_CONNECTIONS
        still_serves(hostile)
        per_connection_kib = (resident_mib(hostile.gateway.pid) - before) * 1024 / IDLE_CONNECTIONS
        assert per_connection_kib < 16
        crowd.read(lambda _: False, what="idle connections to be closed")
    still_serves(hostile)


def test_a_thousand_readers_that_return_at_once_go_on_where_they_were(hostile, kafka):
    """All of them behind what memory holds: they share the few consumers that catch up."""
    page = hostile.page("?from=latest")  # what was published just before may still follow: only the filler counts
    kafka.produce(hostile.topic, [json.dumps({"n": n, "filler": "x" * 500}).encode() for n in range(RETURNED_EVENTS)])
    places = [(page["next"], RETURNED_EVENTS)]
    while len(places) < 10:
        page = hostile.page(f"?limit=10&wait=10s&cursor={page['next']}")
        read = sum("filler" in event["data"] for event in page["events"])
        places.append((page["next"], places[-1][1] - read))
    hostile.gateway.stop()
    hostile.gateway.start()
    hostile.wait_served()
    before = resident_mib(hostile.gateway.pid)
    requests = [head(hostile, "Host: x", "Accept: text/event-stream", f"Last-Event-ID: {places[n % len(places)][0]}",
                     method="GET") for n in range(READERS)]
    last = hostile.publish({"n": "last"}).json()["id"].encode()
    with Crowd(hostile.port, requests) as crowd:
        still_serves(hostile)
        for n, member in enumerate(crowd.members):
            member.wanted = places[n % len(places)][1]
        crowd.read(lambda member: b'"id":"' + last + b'"' in member.received
                   and member.received.count(b'"filler":') >= member.wanted, 100, "every reader to have caught up")
        ended = [(len(member.received), member.received[:200], member.received[-400:])
                 for member in crowd.members if member.closed]
        assert not ended, (len(ended), ended[:3])
        assert resident_mib(hostile.gateway.pid) - before < 200
        for member in crowd.members:
            assert status_of(member.received) == 200
            numbers = re.findall(rb'"data":{"n":(\d+)', member.received.replace(b'": ', b'":'))
            assert (len(numbers), len(set(numbers))) == (member.wanted, member.wanted)
            assert b"event: gap" not in member.received
        still_serves(hostile)
