"""The first event, end to end: published over HTTP, stored in Kafka, read as a stream; and every way to be refused."""

import json
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from sluice_support import SampleApi, SseReader, free_port

ORIGIN = "https://shop.example"


def _request(method, url, **kwargs):
    session = requests.Session()
    session.trust_env = False
    return session.request(method, url, timeout=60, **kwargs)


def _assert_problem(response, status, problem_type=None):
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"].startswith("application/problem+json")
    problem = response.json()
    assert problem["status"] == status and problem["title"] and problem["type"]
    if problem_type:
        assert problem["type"].endswith("/" + problem_type), problem
    return problem


def test_an_event_is_stored_byte_for_byte_and_arrives_on_an_open_stream(sample, kafka):
    body = '{ "order" : 1,\t"note":"caf\\u00e9 é 😀", "total":1.10,"big":12345678901234567890 }'.encode()
    with sample.stream() as stream:
        assert stream.status == 200
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        response = sample.publish(body)
        assert response.status_code == 201, response.text
        record_id = response.json()["id"]
        [event] = stream.find(1, lambda event: event.json()["id"] == record_id)
    assert event.id
    assert event.json()["data"] == json.loads(body)
    assert '"total":1.10' in event.data and "12345678901234567890" in event.data
    stored = [r for r in kafka.consume_all(sample.topic) if r.value() == body]
    assert [f"{r.partition()}-{r.offset()}" for r in stored] == [record_id]


def test_a_resumed_stream_has_exactly_the_later_events(sample):
    with sample.stream() as stream:
        ids = [sample.publish({"n": n}).json()["id"] for n in range(6)]
        seen = stream.find(6, lambda event: event.json()["id"] in ids)
    assert sorted(e.json()["id"] for e in seen) == sorted(ids)
    later = sorted(e.json()["id"] for e in seen[2:])
    with sample.stream(headers={"Last-Event-ID": seen[1].id}) as resumed:
        assert sorted(e.json()["id"] for e in resumed.take(4)) == later
        last = sample.publish({"n": "last"}).json()["id"]
        assert resumed.next().json()["id"] == last


def test_from_earliest_has_every_event(sample, kafka):
    for n in range(3):
        assert sample.publish({"earliest": n}).status_code == 201
    stored = sorted(f"{r.partition()}-{r.offset()}" for r in kafka.consume_all(sample.topic))
    with sample.stream(query="?from=earliest") as stream:
        assert sorted(e.json()["id"] for e in stream.take(len(stored))) == stored


def test_events_written_past_the_gateway_arrive_too(sample, kafka):
    with sample.stream() as stream:
        kafka.produce(sample.topic, [{"value": b'{"from":"kafka"}', "key": b"k", "headers": [("trace", b"abc")]}])
        [event] = stream.find(1, lambda event: event.json()["data"] == {"from": "kafka"})
    event = event.json()
    assert event["key"] == "k"
    assert event["headers"] == [{"name": "trace", "value": "abc"}]


def test_without_a_key_and_with_a_wrong_one_it_is_401(sample):
    wrong = sample.key[:-1] + ("a" if sample.key[-1] != "a" else "b")
    for key in ("", wrong, "nonsense"):
        response = sample.publish({}, key=key)
        _assert_problem(response, 401)
        assert response.headers["WWW-Authenticate"]
    with sample.stream(key=wrong) as stream:
        assert stream.status == 401
        assert stream.headers["Content-Type"].startswith("application/problem+json")


def test_without_a_subscription_it_is_403(sample):
    key = sample.new_application("stranger")
    sample.wait_in_force()
    _assert_problem(sample.publish({}, key=key), 403, "not-subscribed")


@pytest.mark.parametrize("path", ["/nothing/v1/events", "/orders/v2/events", "/orders/v1/other", "/"])
def test_an_unknown_event_api_is_404(sample, path):
    response = _request("GET", f"http://127.0.0.1:{sample.port}{path}", headers={"X-API-Key": sample.key})
    _assert_problem(response, 404, "not-found")


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH"])
def test_a_wrong_method_is_405_and_told_the_right_ones(sample, method):
    response = _request(method, sample.url, headers={"X-API-Key": sample.key})
    _assert_problem(response, 405)
    assert {"GET", "POST"} <= {name.strip() for name in response.headers["Allow"].split(",")}


@pytest.mark.parametrize("body", [b"{", b"nonsense", b'{"a":1} x', b'"\xff"', b"[" * 100000])
def test_a_body_that_is_not_json_is_400(sample, kafka, body):
    before = kafka.end_offsets(sample.topic)
    _assert_problem(sample.publish(body), 400, "invalid-json")
    assert kafka.end_offsets(sample.topic) == before


def test_an_empty_body_is_400(sample):
    _assert_problem(sample.publish(b""), 400, "empty-body")


def test_an_oversized_event_is_413(sample):
    _assert_problem(sample.publish(json.dumps("x" * (2 << 20)).encode()), 413)


def test_a_body_above_the_limit_of_the_gateway_is_413(sample):
    _assert_problem(sample.publish(json.dumps("x" * (9 << 20)).encode()), 413)


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "json"])
def test_another_media_type_is_415(sample, media_type):
    _assert_problem(sample.publish(b"{}", headers={"Content-Type": media_type}), 415, "unsupported-media-type")


def test_a_cors_policy_answers_preflights_before_authentication(sample):
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "x-api-key,content-type"}
    sample.wait_in_force(sample.admin.create(
        "policies", name="shop-cors", type="cors", scope={"kind": "event-api", "ref": sample.event_api},
        config={"origins": [ORIGIN], "methods": ["GET", "POST"], "headers": ["X-API-Key", "Content-Type"],
                "max_age": 600}))
    response = _request("OPTIONS", sample.url, headers=preflight)
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "X-API-Key" in response.headers["Access-Control-Allow-Headers"]
    assert response.headers["Access-Control-Max-Age"] == "600"
    assert response.content == b""

    published = sample.publish({}, headers={"Origin": ORIGIN})
    assert published.status_code == 201
    assert published.headers["Access-Control-Allow-Origin"] == ORIGIN
    refused = sample.publish({}, key="", headers={"Origin": ORIGIN})
    _assert_problem(refused, 401)
    assert refused.headers["Access-Control-Allow-Origin"] == ORIGIN
    other = _request("OPTIONS", sample.url, headers={**preflight, "Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers


def _self_signed(folder):
    """A certificate for 127.0.0.1: (certificate file, key file)."""
    certificate, key = folder / "server.pem", folder / "server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return certificate, key


def test_an_https_listener_that_is_added_while_running_serves(sample, kafka, tmp_path):
    certificate, key = _self_signed(tmp_path)
    port = free_port()
    sample.admin.create("listeners", name="https", gateway_group=sample.group, protocol="http",
                        address=f"127.0.0.1:{port}",
                        tls={"certificate_pem": certificate.read_text(), "key_pem": key.read_text()})
    topic = kafka.create_topic("secure")
    secure = SampleApi(sample.control, kafka.bootstrap_servers, topic, prefix="tls-", group=sample.group,
                       listener=("https", port))
    secure.url = secure.url.replace("http://", "https://")
    sample.wait_in_force(secure.subscription)
    assert secure.publish({"first": True}, verify=str(certificate)).status_code == 201
    context = ssl.create_default_context(cafile=certificate)
    with SseReader(secure.url + "?from=earliest", {"X-API-Key": secure.key}, context=context) as stream:
        assert stream.status == 200
        assert stream.next().json()["data"] == {"first": True}
        assert secure.publish({"second": True}, verify=str(certificate)).status_code == 201
        assert stream.next().json()["data"] == {"second": True}
    with pytest.raises(requests.exceptions.SSLError):
        secure.publish({}, verify=True)
    assert sample.admin.get("listeners", "https")["tls"]["key_pem"] == {"set": True}


def test_both_workers_serve_every_stream_and_publisher(sample):
    """Connections are spread over the two workers: with as many as these, both have some."""
    streams = [sample.stream() for _ in range(12)]
    try:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: sample.publish({"worker-test": n}), range(40)))
        assert [a.status_code for a in answers] == [201] * 40
        ids = sorted(a.json()["id"] for a in answers)
        for stream in streams:
            assert sorted(e.json()["id"] for e in stream.find(40, lambda e: e.json()["id"] in ids)) == ids
    finally:
        for stream in streams:
            stream.close()
