"""Two applications that see two views of one topic: chosen by application, by plan and by a claim of the token, the same
on REST, SSE and native Kafka, whoever published and by whatever way."""

import json
import time
import uuid
from contextlib import ExitStack, closing, contextmanager

import pytest
import requests
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from sluice_support import KafkaHelper, SseReader, wait_until
from sluice_support.issuer import Issuer
from sluice_support.secret_shop import SecretShop


class Caller:
    """An application that comes with tokens, on every protocol."""

    def __init__(self, shop, issuer, name, **claims):
        self.shop, self.name, self.claims, self.issuer = shop, name, claims, issuer
        lifetime_s = 300
        self.native = KafkaHelper(shop.native.bootstrap_servers, {
            "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER",
            "oauth_cb": lambda _: (issuer.token(sub=name, **claims), time.time() + lifetime_s)})

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.issuer.token(sub=self.name, **self.claims)}"}

    def request(self, method, query="", **kwargs):
        session = requests.Session()
        session.trust_env = False
        headers = {**self.headers, "Accept": "application/json", **kwargs.pop("headers", {})}
        return session.request(method, self.shop.sample.url + query, headers=headers, timeout=40, **kwargs)

    def paged(self, cursor, count):
        events = []
        while len(events) < count:
            page = self.request("GET", f"?cursor={cursor}&wait=10s").json()
            events += page["events"]
            cursor = page["next"]
        return events

    def streamed(self, cursor, count):
        with SseReader(self.shop.sample.url + f"?cursor={cursor}", self.headers) as stream:
            return [event.json() for event in stream.take(count)]

    def consumed(self, start, count):
        """Records, or the code of an error in place of what comes next."""
        consumer = Consumer({**self.native.config, "group.id": f"{self.name}.{uuid.uuid4().hex}",
                             "enable.auto.commit": False})
        with closing(consumer):
            consumer.assign([TopicPartition(self.shop.topic, 0, start)])
            found = []
            while len(found) < count:
                try:
                    record = wait_until(lambda: consumer.poll(1), what="a record")
                except KafkaException as failure:
                    return [*found, failure.args[0].code()]
                if record.error() is not None:
                    return [*found, record.error().code()]
                found.append(record)
            return found


@pytest.fixture(scope="module")
def shop(module_servers, kafka, tmp_path_factory):
    """`plain` has the plan free, `chosen` the plan gold and the group support in its tokens."""
    shop = SecretShop(module_servers, kafka, tmp_path_factory.mktemp("keys"), workers=2)
    admin, sample = shop.admin, shop.sample
    issuer = Issuer(tmp_path_factory.mktemp("issuer"), "ES256")
    admin.create("issuers", name="login", url=issuer.url, audiences=["sluice"], clock_skew="0s")
    admin.patch("virtual-clusters", sample.virtual_cluster, client_authentication=["plain", "oauthbearer"])
    admin.create("plans", product=sample.product, name="gold", operations=["publish", "read"], approval="auto")
    for name, plan in (("plain", "free"), ("chosen", "gold")):
        admin.create("applications", name=name, team=sample.team)
        admin.create("credentials", application=name, type="oidc", oidc={"issuer": "login", "value": name})
        admin.create("subscriptions", application=name, plan=f"{sample.product}.{plan}", environment="dev")
    shop.plain, shop.chosen = Caller(shop, issuer, "plain"), Caller(shop, issuer, "chosen", groups=["support"])
    for caller in (shop.plain, shop.chosen):
        wait_until(lambda: caller.request("HEAD").status_code == 200, 60, "the subscription")
        wait_until(lambda: shop.topic in caller.native.admin.list_topics(timeout=3).topics, 60, "the listener")
    yield shop
    issuer.close()


CHOICES = {"application": {"scope": {"kind": "application", "ref": "chosen"}},
           "plan": {"scope": {"kind": "plan", "ref": "orders.gold"}},
           "claim": {"condition": "has(token.groups) && 'support' in token.groups"}}


@contextmanager
def policies(shop, *listed):
    """Each is (type, config, fields). All have arrived when the block begins."""
    mark = f"X-{uuid.uuid4().hex}"
    rule = {"in": "response", "action": "set", "name": mark, "value": "yes"}
    with ExitStack() as stack:
        for kind, config, fields in [*listed, ("headers", {"rules": [rule]}, {})]:
            name = f"p-{uuid.uuid4().hex[:8]}"
            scope = {"kind": "event-api", "ref": shop.sample.event_api}
            made = shop.admin.create("policies", **{"name": name, "type": kind, "config": config, "scope": scope, **fields})
            stack.callback(shop.admin.delete, "policies", name)
        shop.sample.wait_in_force(made)
        assert mark in shop.plain.request("HEAD").headers
        yield
    shop.sample.wait_in_force()


ORDERS = [{"id": 1, "card": "4111-2222"}, {"id": 2, "card": "5500-0004"}, {"id": 3, "card": "6011-0009"}]


def publish(shop, caller, way):
    if way == "native":
        caller.native.produce(shop.topic, [{"value": json.dumps(order), "headers": [("internal", b"x"), ("tag", b"t")]}
                                           for order in ORDERS], **{"linger.ms": 100, "compression.type": "lz4"})
        return
    for order in ORDERS:
        assert caller.request("POST", json=order, headers={"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s",
                                                           "ce-type": "t"}).status_code == 201


def of_events(events):
    return [(event["data"], {header["name"] for header in event["headers"]}) for event in events]


def of_records(records):
    return [(json.loads(record.value()), {name for name, _ in record.headers() or []}) for record in records]


@pytest.mark.parametrize("way", ["native", "rest"])
@pytest.mark.parametrize("by", CHOICES)
def test_two_views_of_one_topic(shop, by, way):
    hidden = "internal" if way == "native" else "ce_source"
    listed = [("mask", {"fields": [{"path": "/card", "action": "keep-last"}]}),
              ("filter", {"expression": "record.value.id != 2"}),
              ("headers", {"rules": [{"in": "read", "action": "remove", "name": hidden},
                                     {"in": "read", "action": "add", "name": "seen", "value": "yes"}]})]
    with policies(shop, *[(kind, config, CHOICES[by]) for kind, config in listed]):
        start, cursor = shop.end(), shop.sample.page("?from=latest&wait=0s")["next"]
        publish(shop, shop.chosen, way)
        plain = of_records(shop.plain.consumed(start, 3))
        assert [order for order, _ in plain] == ORDERS and all(hidden in names and "seen" not in names for _, names in plain)
        assert of_events(shop.plain.paged(cursor, 3)) == of_events(shop.plain.streamed(cursor, 3)) == plain
        chosen = of_records(shop.chosen.consumed(start, 2))
        assert [order for order, _ in chosen] == [{**order, "card": "*****" + order["card"][-4:]}
                                                  for order in ORDERS if order["id"] != 2]
        assert all(hidden not in names and "seen" in names for _, names in chosen)
        assert of_events(shop.chosen.paged(cursor, 2)) == of_events(shop.chosen.streamed(cursor, 2)) == chosen


def test_who_decrypts_is_chosen_by_a_claim_and_by_a_plan(shop):
    for decrypt_if in (CHOICES["claim"]["condition"], "plan.name == 'gold'"):
        with policies(shop, ("encrypt", {"key_ring": "local", "decrypt_if": decrypt_if}, {})):
            start, cursor = shop.end(), shop.sample.page("?from=latest&wait=0s")["next"]
            publish(shop, shop.plain, "native")
            assert [order for order, _ in of_records(shop.chosen.consumed(start, 3))] == ORDERS
            for read in (shop.chosen.paged, shop.chosen.streamed):
                assert [event["data"] for event in read(cursor, 3)] == ORDERS
            assert shop.plain.consumed(start, 3)[0] in (KafkaError.INVALID_MSG, KafkaError._BAD_MSG,
                                                        KafkaError.TOPIC_AUTHORIZATION_FAILED)
            for read in (shop.plain.paged, shop.plain.streamed):
                assert [set(event) for event in read(cursor, 3)] == [{"id", "time", "error"}] * 3
