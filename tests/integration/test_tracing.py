"""OpenTelemetry: the context goes from HTTP into records and from records to readers; spans come to a collector."""

import json
import os
import subprocess
import uuid
from pathlib import Path

import pytest
import requests
from confluent_kafka import Producer

from sluice_support import KafkaHelper, NativeCluster, SampleApi, json_lines, wait_until
from sluice_support.collector import Collector

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


@pytest.fixture(scope="module")
def collector():
    collector = Collector()
    yield collector
    collector.close()
    assert not collector.failures, collector.failures


@pytest.fixture(scope="module")
def traced(module_servers, kafka, collector, tmp_path_factory):
    """A gateway that samples nothing by itself, so that spans are those of this file's own contexts."""
    headers = tmp_path_factory.mktemp("collector") / "headers"
    headers.write_text("Authorization: Bearer for-the-collector\n")
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    sample.start_gateway(module_servers, tracing_endpoint=collector.url, tracing_sampled_per_mille=0,
                         tracing_interval="50ms", tracing_header_file=headers, node_name="gw-1")
    return sample


def _headers_of(event):
    return {header["name"]: header["value"] for header in event["headers"]}


def _event(traced, wanted):
    """As a reader sees it: a page may be a moment behind what was acknowledged."""
    def found():
        return next((e for e in traced.page("?from=earliest&limit=1000")["events"] if e["id"] == wanted), None)

    return wait_until(found, what=f"the event {wanted}")


def _published(traced, context, **more):
    """(id of the event, its headers as a reader sees them)"""
    headers = {"traceparent": context, **more} if context else more
    answer = traced.publish({"n": 1}, headers=headers)
    assert answer.status_code == 201
    event = _event(traced, answer.json()["id"])
    return event["id"], _headers_of(event)


def test_a_publish_is_a_child_of_its_caller_and_the_parent_of_what_reads_its_record(traced, collector):
    answer = traced.publish({"n": 1}, headers={"traceparent": SAMPLED, "tracestate": "vendor=a,other=b",
                                               "X-Request-Id": "req-1"})
    assert answer.status_code == 201
    [span] = wait_until(lambda: collector.find(sluice__request_id="req-1"), what="the span")
    assert (span.trace_id, span.parent_id, span.trace_state) == (TRACE, PARENT, "vendor=a,other=b")
    assert span.name == "publish orders.v1" and span.kind == 2 and span.status == 0
    assert 0 < span.end_ns - span.start_ns < 60 * 10**9
    assert span.attributes["http.response.status_code"] == 201 and span.attributes["messaging.batch.message_count"] == 1
    assert span.attributes["sluice.application"] == traced.application and span.attributes["url.path"] == "/orders/v1/events"
    assert span.resource["service.name"] == "sluice-gateway" and span.resource["service.instance.id"] == "gw-1"
    event = _event(traced, answer.json()["id"])
    assert _headers_of(event) == {"traceparent": f"00-{TRACE}-{span.span_id}-01", "tracestate": "vendor=a,other=b"}
    assert collector.headers["Authorization"] == "Bearer for-the-collector"


@pytest.mark.parametrize("way", ["page", "stream"])
def test_a_reader_links_to_the_traces_of_what_it_was_given(traced, collector, way):
    event, headers = _published(traced, SAMPLED)
    reader_context = f"00-{'a' * 31}{len(way) % 10}-{'b' * 16}-01"
    trace_id = reader_context.split("-")[1]
    if way == "page":
        def shown():
            answer = requests.get(f"{traced.url}?from=earliest", timeout=60, headers={
                "X-API-Key": traced.key, "traceparent": reader_context, "Accept": "application/json"})
            return event in [each["id"] for each in answer.json()["events"]]

        wait_until(shown, what="the event in a page")
    else:
        with traced.stream(headers={"traceparent": reader_context}, query="?from=earliest") as stream:
            while stream.take(1)[0].json()["id"] != event:
                pass
    link = (TRACE, headers["traceparent"].split("-")[2])
    [span] = wait_until(lambda: [s for s in collector.find(name="read orders.v1") if s.trace_id == trace_id and link in s.links],
                        what="the span with the link")
    assert len(span.links) <= 32
    assert span.attributes["messaging.operation.type"] == "receive"


def test_an_unsampled_context_is_carried_on_and_not_recorded(traced, collector):
    _, headers = _published(traced, UNSAMPLED, **{"X-Request-Id": "req-unsampled"})
    assert headers["traceparent"] == UNSAMPLED
    traced.publish({"n": 2}, headers={"traceparent": SAMPLED, "X-Request-Id": "req-after"})
    wait_until(lambda: collector.find(sluice__request_id="req-after"), what="a later span")
    assert not collector.find(sluice__request_id="req-unsampled")


@pytest.mark.parametrize("context", [
    None, "", "00", SAMPLED.upper(), SAMPLED[:-1], SAMPLED + "0", SAMPLED + "-00", "ff" + SAMPLED[2:], "zz" + SAMPLED[2:],
    f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"00_{TRACE}-{PARENT}-01", "x" * 4000])
def test_what_is_no_context_is_as_none(traced, context):
    assert "traceparent" not in _published(traced, context)[1]


def test_a_later_version_of_the_context_is_understood(traced):
    assert _published(traced, f"01-{TRACE}-{PARENT}-01-more")[1]["traceparent"].startswith(f"00-{TRACE}-")


def test_every_event_of_a_batch_has_the_context(traced):
    lines = b"\n".join(json.dumps({"batch": i}).encode() for i in range(5))
    answer = traced.publish(lines, headers={"Content-Type": "application/x-ndjson", "traceparent": SAMPLED,
                                            "Idempotency-Key": "batch-1"})
    assert answer.status_code == 201, answer.text
    events = [_event(traced, result["id"]) for result in answer.json()["results"]]
    contexts = {_headers_of(event)["traceparent"] for event in events}
    assert len(events) == 5 and len(contexts) == 1 and contexts.pop().startswith(f"00-{TRACE}-")
    assert {_headers_of(event)["idempotency-key"] for event in events} == {"batch-1"}


def test_the_access_log_names_the_trace(traced):
    traced.publish({"n": 3}, headers={"traceparent": SAMPLED, "X-Request-Id": "req-logged"})

    def line():
        return json_lines(traced.gateway.access_log, request_id="req-logged")

    [entry] = wait_until(line, what="the line")
    assert entry["trace_id"] == TRACE


# ---- native Kafka ----


def _sasl(traced):
    return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "client.id": "shop-1",
            "sasl.username": traced.credential["id"], "sasl.password": traced.credential["secret"]}


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_native_requests_have_spans_with_links_to_their_records(module_servers, kafka, collector, codec):
    own = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    prefix = f"{uuid.uuid4().hex[:8]}."
    cluster = NativeCluster(own, "shop", authentication=["plain"], namespace={"mode": "hide", "prefix": prefix})
    gateway = own.start_gateway(module_servers, tracing_endpoint=collector.url, tracing_kafka_sampled_per_mille=1000,
                                tracing_sampled_per_mille=0, tracing_interval="50ms")
    helper = KafkaHelper(cluster.bootstrap_servers, _sasl(own))
    wait_until(lambda: helper.admin.list_topics(timeout=3), 60, "the native listener")
    topic = helper.create_topic("paid", partitions=1, exact=True)
    trace = uuid.uuid4().hex
    record = f"00-{trace}-{PARENT}-01".encode()
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers, **_sasl(own), "compression.codec": codec})
    producer.produce(topic, b"x" * 1000, headers=[("traceparent", record), ("other", None)])
    assert producer.flush(60) == 0
    [read] = helper.consume_all(topic)
    assert read.headers() == [("traceparent", record), ("other", None)], "records pass as they are"

    def linked(name):
        return [s for s in collector.find(name=name, sluice__virtual_cluster="shop") if (trace, PARENT) in s.links]

    sent = wait_until(lambda: linked(f"Produce {topic}"), 60, "the span of the Produce")[0]
    got = wait_until(lambda: linked(f"Fetch {topic}"), 60, "the span of the Fetch")[0]
    for span, kind in ((sent, "send"), (got, "receive")):
        assert (span.parent_id, span.kind, span.status) == ("", 2, 0) and span.trace_id != trace
        facts = span.attributes
        assert facts["messaging.system"] == "kafka" and facts["messaging.operation.type"] == kind
        assert facts["messaging.destination.name"] == topic and facts["messaging.batch.message_count"] == 1
        assert facts["messaging.client.id"] == "shop-1" and facts["sluice.application"] == own.application
        assert 0 < facts["sluice.broker_us"] * 1000 <= span.end_ns - span.start_ns + 10**6
        assert "http.request.method" not in facts and "error.type" not in facts
    assert not any(prefix in str(s.attributes) + s.name for s in collector.spans), "names are the client's"
    gateway.stop()


def test_a_collector_that_is_busy_is_asked_again_and_one_that_refuses_is_not(traced, collector):
    outcome = 'sluice_trace_spans_total{{outcome="{}"}}'.format
    traced.publish({"n": 4}, headers={"traceparent": SAMPLED, "X-Request-Id": "req-before"})
    wait_until(lambda: collector.find(sluice__request_id="req-before"), what="what was to be told before")
    before = traced.gateway.metrics()[outcome("failed")]
    collector.statuses[:] = [503]
    traced.publish({"n": 4}, headers={"traceparent": SAMPLED, "X-Request-Id": "req-busy"})
    wait_until(lambda: collector.find(sluice__request_id="req-busy"), what="the span at the second try")
    assert traced.gateway.metrics()[outcome("failed")] == before
    collector.statuses[:] = [400]
    traced.publish({"n": 5}, headers={"traceparent": SAMPLED, "X-Request-Id": "req-refused"})
    wait_until(lambda: traced.gateway.metrics()[outcome("failed")] == before + 1, what="the refusal to be counted")
    assert not collector.find(sluice__request_id="req-refused")


def test_without_a_collector_events_flow_and_spans_are_lost_and_counted(module_servers, kafka):
    alone = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    gateway = alone.start_gateway(module_servers, tracing_endpoint="http://127.0.0.1:1/v1/traces", tracing_sampled_per_mille=1000,
                                  tracing_queue=2, tracing_batch=2, tracing_interval="20ms", tracing_timeout="200ms")
    for n in range(20):
        assert alone.publish({"n": n}).status_code == 201
    lost = 'sluice_trace_spans_total{{outcome="{}"}}'.format
    wait_until(lambda: gateway.metrics()[lost("dropped")] > 0 and gateway.metrics()[lost("failed")] > 0, 60, "spans to be lost")
    assert gateway.metrics()[lost("exported")] == 0
    wait_until(lambda: b"spans could not be exported" in gateway.log(), what="the word in the log")


def test_a_wrong_endpoint_is_told_at_the_start(tmp_path):
    program = Path(os.environ["SLUICE_BUILD_DIR"]) / "dataplane" / "sluice-gateway"
    done = subprocess.run([program, "--state-dir", tmp_path, "--observe-address", "127.0.0.1:0", "--tracing-endpoint",
                           "collector:4318"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "tracing.endpoint must be a URL such as http://collector:4318/v1/traces, not collector:4318" in done.stderr


def test_off_is_off(module_servers, kafka):
    plain = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    plain.start_gateway(module_servers)
    answer = plain.publish({"n": 1}, headers={"traceparent": SAMPLED})
    assert _event(plain, answer.json()["id"])["headers"] == []
