"""The headers policy: fields of HTTP, headers of records, on REST, SSE and native Kafka."""

from contextlib import contextmanager

import pytest
import requests
from confluent_kafka import Consumer, KafkaError, TopicPartition

from sluice_support import KafkaHelper, SampleApi, free_ports, wait_until


@pytest.fixture(scope="module")
def shop(module_servers, kafka):
    """The sample event API, also as kafka, with a native listener that takes its application."""
    topic = kafka.create_topic("orders")
    shop = SampleApi(module_servers.control(), kafka.bootstrap_servers, topic, exposures=["rest", "sse", "kafka"])
    shop.start_gateway(module_servers)
    port = free_ports(5)
    shop.admin.patch("virtual-clusters", shop.virtual_cluster, client_authentication=["plain"])
    shop.admin.create("listeners", name="kafka", gateway_group=shop.group, protocol="kafka", address=f"127.0.0.1:{port}",
                      kafka={"routing": "ports", "virtual_cluster": shop.virtual_cluster,
                             "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": port + 1}]})
    shop.native = KafkaHelper(f"127.0.0.1:{port}", {
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": shop.credential["id"],
        "sasl.password": shop.credential["secret"]})
    wait_until(lambda: topic in shop.native.admin.list_topics(timeout=3).topics, 20, "the listener")
    return shop


@contextmanager
def rules(shop, *listed, name="h", **fields):
    fields = {"scope": {"kind": "event-api", "ref": shop.event_api}, **fields}
    shop.admin.create("policies", name=name, type="headers", config={"rules": list(listed)}, **fields)
    try:
        yield
    finally:
        shop.admin.delete("policies", name)


def ask(shop, method="POST", **headers):
    session = requests.Session()
    session.trust_env = False
    body = {"json": {"n": 1}} if method == "POST" else {}
    return session.request(method, shop.url, headers={"X-API-Key": shop.key, **headers}, timeout=30, **body)


def probe(header):
    """A rule that shows that its policy has arrived, and the field by which it does."""
    return {"in": "response", "action": "set", "name": header, "value": "yes"}


def arrived(shop, header, there=True):
    wait_until(lambda: (header in ask(shop, "HEAD").headers) == there, what="the policy")


def stored(kafka, shop):
    return kafka.consume_all(shop.topic)[-1].headers() or []


def test_what_is_published_is_stamped(shop, kafka):
    stamp = {"in": "publish", "action": "set", "name": "ce_tenant", "value": "${application.name}/${plan.name}"}
    with rules(shop, stamp, {"in": "publish", "action": "add", "name": "via", "value": "a"},
               {"in": "publish", "action": "add", "name": "via", "value": "b"},
               {"in": "publish", "action": "remove", "name": "idempotency-key"},
               {"in": "request", "action": "rename", "name": "X-Event-Id", "to": "ce-id"}, probe("X-Stamped")):
        arrived(shop, "X-Stamped")
        answer = ask(shop, **{"ce-specversion": "1.0", "X-Event-Id": "7", "ce-source": "/t", "ce-type": "t",
                              "ce-tenant": "forged", "Idempotency-Key": "k"})
        assert answer.status_code == 201, answer.text
        headers = stored(kafka, shop)
        assert [value for name, value in headers if name == "ce_tenant"] == [f"{shop.application}/free".encode()]
        assert [value for name, value in headers if name == "via"] == [b"a", b"b"]
        assert ("ce_id", b"7") in headers and "idempotency-key" not in dict(headers)
    arrived(shop, "X-Stamped", False)


def test_what_is_read_loses_and_gains_headers_everywhere(shop, kafka):
    """Pages, new streams, and a stream that was open before."""
    start = shop.page("?from=latest&wait=0s")["next"]
    before = {"headers": [("internal", b"x"), ("tag", b"1"), ("tag", b"2")], "value": b"1"}
    after = [{"name": "label", "value": "1"}, {"name": "label", "value": "2"}, {"name": "seen", "value": "yes"}]
    kafka.produce(shop.topic, [before])
    with shop.stream(query=f"?cursor={start}") as old:
        assert [header["name"] for header in old.next().json()["headers"]] == ["internal", "tag", "tag"]
        with rules(shop, {"in": "read", "action": "remove", "name": "internal"},
                   {"in": "read", "action": "rename", "name": "tag", "to": "label"},
                   {"in": "read", "action": "add", "name": "seen", "value": "yes"}, probe("X-Read")):
            arrived(shop, "X-Read")
            kafka.produce(shop.topic, [before])
            assert old.next().json()["headers"] == after
            with shop.stream(query=f"?cursor={start}") as new:
                assert [event.json()["headers"] for event in new.take(2)] == [after, after]
            page = wait_until(lambda: shop.page(f"?cursor={start}&wait=1s")["events"], what="a page")
            assert [event["headers"] for event in page] == [after, after]
        arrived(shop, "X-Read", False)
        kafka.produce(shop.topic, [before])
        assert old.next().json()["headers"][0]["name"] == "internal"


def test_answers_are_changed_also_when_they_refuse(shop):
    with rules(shop, probe("X-Answered"), {"in": "response", "action": "remove", "name": "Retry-After"}):
        arrived(shop, "X-Answered")
        assert "X-Answered" in ask(shop, **{"X-API-Key": "wrong"}).headers
        with shop.stream() as reader:
            assert reader.headers["X-Answered"] == "yes"
    arrived(shop, "X-Answered", False)


def test_rules_of_a_plan_or_with_a_condition_concern_their_requests(shop):
    with rules(shop, probe("X-Plan"), scope={"kind": "plan", "ref": shop.plan}):
        arrived(shop, "X-Plan")
        assert "X-Plan" not in ask(shop, **{"X-API-Key": "wrong"}).headers
    with rules(shop, probe("X-Condition"), condition="'x-ask' in request.headers"):
        wait_until(lambda: "X-Condition" in ask(shop, **{"X-Ask": "1"}).headers, what="the policy")
        assert "X-Condition" not in ask(shop).headers
    refused = shop.admin.request("POST", "/v1/policies", expect=400, json={
        "name": "r", "type": "headers", "scope": {"kind": "plan", "ref": shop.plan},
        "config": {"rules": [{"in": "read", "action": "remove", "name": "x"}]}}).json()
    assert refused["errors"][0]["pointer"] == "/scope/kind", refused


def refused_natively(shop):
    try:
        shop.native.produce(shop.topic, [b"1"], **{"message.timeout.ms": 5000})
        return False
    except AssertionError as error:
        assert "TOPIC_AUTHORIZATION_FAILED" in str(error), error
        return True


def read_natively(shop):
    """The first record of the topic, or the error that a consumer gets."""
    consumer = Consumer({**shop.native.config, "group.id": f"{shop.application}.readers", "enable.auto.commit": False})
    consumer.assign([TopicPartition(shop.topic, 0, 0)])
    try:
        return wait_until(lambda: consumer.poll(0.5), 30, "a record or an error")
    finally:
        consumer.close()


def test_native_clients_do_not_get_past_rules_for_records(shop):
    """Their batches pass as they are: rather than that, they are refused. A condition leaves them alone."""
    stamp = {"in": "publish", "action": "add", "name": "via", "value": "a"}
    with rules(shop, stamp, probe("X-Native"), condition="request.protocol == 'http'"):
        arrived(shop, "X-Native")
        assert not refused_natively(shop)
    with rules(shop, stamp):
        wait_until(lambda: refused_natively(shop), what="the policy")
        assert '"reason":"headers h: its rules for records that are published' in shop.gateway.log().decode()
        assert read_natively(shop).error() is None
    wait_until(lambda: not refused_natively(shop), what="the policy to be gone")
    with rules(shop, {"in": "read", "action": "remove", "name": "x"}):
        def refused():
            error = read_natively(shop).error()
            return error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        wait_until(refused, what="the policy")
        assert not refused_natively(shop)
