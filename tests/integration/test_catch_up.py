"""Reading what is behind the records in memory, against a real Kafka."""

import json

import pytest

from sluice_support import SampleApi

EVENTS = 16_000
VALUE_BYTES = 400


@pytest.fixture(scope="module")
def old(module_servers, kafka):
    """A topic of 6 MB of which memory holds 64 KiB; catching up fetches 64 KiB at a time and pauses at 64 KiB."""
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=2))
    filler = "x" * (VALUE_BYTES - 30)
    kafka.produce(sample.topic, (json.dumps({"n": n, "filler": filler}).encode() for n in range(EVENTS)),
                  **{"linger.ms": 20, "batch.num.messages": 20})  # a batch comes whole, so it must be small
    sample.start_gateway(module_servers, feed_prefill="0s", feed_ring_limit="64KiB", feed_fetch_size="64KiB",
                         feed_catchup_window="64KiB")
    return sample


def catch_up_bytes(sample):
    return sample.gateway.metrics()["sluice_catchup_fetched_bytes_total"]


def walk(sample, limit):
    numbers, pages, query = [], 0, f"?from=earliest&limit={limit}&wait=10s"
    while True:
        page = sample.page(query)
        numbers += [event["data"]["n"] for event in page["events"]]
        pages += 1
        if page["caught_up"]:
            return numbers, pages
        query = f"?limit={limit}&wait=10s&cursor={page['next']}"


def test_a_stream_from_the_beginning_gets_everything(old):
    """This topic is a hundred prefetches; that each goes on at once is tested by tests/unit (regression 2)."""
    with old.stream(query="?from=earliest") as stream:
        assert sorted(event.json()["data"]["n"] for event in stream.take(EVENTS, 90)) == list(range(EVENTS))


def test_pages_go_on_with_the_consumer_that_the_last_page_left(old):
    """A consumer for each page would fetch a whole window for each: many times the topic."""
    before = catch_up_bytes(old)
    numbers, pages = walk(old, 200)
    assert sorted(numbers) == list(range(EVENTS))
    assert pages >= EVENTS / 200
    assert catch_up_bytes(old) - before < 2 * EVENTS * (VALUE_BYTES + 200)
