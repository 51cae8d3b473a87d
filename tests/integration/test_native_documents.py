"""AsyncAPI documents of event APIs that are reached by native Kafka: the catalog gives them out, public validators take
them, and a client that knows nothing else gets in by what they say."""

import json
import re

import pytest
from confluent_kafka import Consumer, Producer

from sluice_support import SampleApi, free_ports, wait_until
from sluice_support.documents import validate

SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
AVRO = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}
MECHANISMS = {"plain": "PLAIN", "scramSha256": "SCRAM-SHA-256", "scramSha512": "SCRAM-SHA-512"}
QUICK = {"inventory_interval": "300ms", "inventory_delay": "0s", "inventory_timeout": "5s"}


@pytest.fixture(scope="module")
def shop(module_servers, kafka):
    """An event API that is exposed as kafka alone, in a namespace that clients see as its prefix and an alias."""
    shop = SampleApi(module_servers.control(**QUICK), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    shop.start_gateway(module_servers)
    shop.port = free_ports(5)
    shop.backend_topic = kafka.create_topic("retail", partitions=3)
    shop.admin.patch("gateway-groups", shop.group, kafka_url=f"127.0.0.1:{shop.port}",
                     rest_url="https://dev.example")
    shop.admin.create("virtual-clusters", name="native", backend_cluster=shop.backend,
                      client_authentication=["plain", "scram"],
                      namespace={"mode": "enforce", "prefix": "demo.",
                                 "aliases": [{"name": "demo.orders", "topic": shop.backend_topic}]})
    shop.admin.create("listeners", name="native", gateway_group=shop.group, protocol="kafka",
                      address=f"127.0.0.1:{shop.port}",
                      kafka={"routing": "ports", "virtual_cluster": "native",
                             "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": shop.port + 1}]})
    publish(shop, "native", ["publish", "read"], ["kafka"], "demo.orders", "native",
            schema={"format": "json_schema", "definition": json.dumps(SCHEMA)},
            key={"source": "json_pointer", "pointer": "/id"})
    publish(shop, "both", ["publish", "read"], ["rest", "sse", "kafka"], "demo.orders", shop.listener)
    shop.admin.create("subscriptions", application=shop.application, plan="native.free", environment="dev")
    shop.wait_in_force()
    return shop


def publish(shop, name, operations, exposures, topic, listener, **fields):
    """An event API on the sample's group, with a plan for it."""
    shop.admin.create("event-apis", name=name, major=1, team=shop.team, operations=operations, exposures=exposures,
                      lifecycle="published", **fields)
    shop.admin.create("deployments", event_api=f"{name}.v1", gateway_group=shop.group, virtual_cluster="native",
                      topic=topic, listener=listener)
    shop.admin.create("products", name=name, team=shop.team, visibility="public", lifecycle="published",
                      event_apis=[f"{name}.v1"])
    shop.admin.create("plans", product=name, name="free", operations=operations, approval="auto")


def document_of(shop, name, expect=200):
    path = f"/v1/catalog/{name}.v1/asyncapi?gateway_group={shop.group}"
    return shop.admin.request("GET", path, expect=expect)


def test_a_client_gets_in_by_what_the_document_says(shop):
    document = document_of(shop, "native").json()
    server, channel = document["servers"]["kafka"], document["channels"]["topic"]
    schemes = [document["components"]["securitySchemes"][way["$ref"].rsplit("/", 1)[1]]["type"]
               for way in server["security"]]
    assert sorted(schemes) == sorted(MECHANISMS)
    group_id = document["operations"]["consume"]["bindings"]["kafka"]["groupId"]
    assert re.match(group_id["pattern"], f"{shop.application}.audit") and not re.match(group_id["pattern"], "demo-audit")
    for number, scheme in enumerate(schemes):
        config = {"bootstrap.servers": server["host"], "security.protocol": {"kafka": "SASL_PLAINTEXT"}[server["protocol"]],
                  "sasl.mechanism": MECHANISMS[scheme], "sasl.username": shop.credential["id"],
                  "sasl.password": shop.credential["secret"]}
        producer = Producer(config)
        producer.produce(channel["address"], key=f"k{number}", value=json.dumps({"id": f"k{number}"}))
        assert producer.flush(60) == 0
        consumer = Consumer({**config, "group.id": f"{shop.application}.audit-{scheme}", "auto.offset.reset": "earliest"})
        consumer.subscribe([channel["address"]])
        keys = set()

        def read():
            record = consumer.poll(0.5)
            if record is not None and record.error() is None:
                keys.add(record.key().decode())
            return f"k{number}" in keys

        wait_until(read, 60, f"the record that was produced by {scheme}")
        consumer.close()


def test_what_it_says_is_what_there_is(shop):
    answer = document_of(shop, "native")
    assert answer.headers["Content-Type"].startswith("application/vnd.aai.asyncapi+json")
    document = answer.json()
    assert list(document["servers"]) == ["kafka"] and list(document["channels"]) == ["topic"]
    assert {name: operation["action"] for name, operation in document["operations"].items()} == {
        "produce": "receive", "consume": "send"}
    assert "bindings" not in document["operations"]["produce"]
    assert document["components"]["messages"] == {"Record": {
        "name": "record", "title": "Record", "summary": "The value is the event.", "contentType": "application/json",
        "payload": {"$ref": "#/components/schemas/EventData"},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The key is `/id` of the event (JSON pointer)."},
                               "bindingVersion": "0.5.0"}}}}
    assert document["components"]["schemas"] == {"EventData": SCHEMA}
    assert shop.backend_topic not in answer.text and "dev.example" not in answer.text


def test_partitions_come_when_a_gateway_has_found_them(shop):
    def binding():
        return document_of(shop, "native").json()["channels"]["topic"]["bindings"]["kafka"]
    wait_until(lambda: "partitions" in binding(), 60, "the inventory")
    assert binding() == {"topic": "demo.orders", "partitions": 3, "bindingVersion": "0.5.0"}


def test_one_document_has_both_ways(shop):
    document = document_of(shop, "both").json()
    assert document["servers"]["http"]["host"] == "dev.example"
    assert document["servers"]["kafka"]["host"] == f"127.0.0.1:{shop.port}"
    assert sorted(document["operations"]) == ["consume", "produce", "publish", "read"]


def each_way_in(shop):
    """Documents of event APIs that are reached by Kafka alone, by name: of each way to sign in, with Avro too."""
    documents = {}
    for number, ways in enumerate((["scram"], ["oauthbearer", "mtls"], ["anonymous"], ["passthrough"])):
        shop.admin.create("virtual-clusters", name=f"way-{number}", backend_cluster=shop.backend, client_authentication=ways)
        port = free_ports(2)
        shop.admin.create("listeners", name=f"way-{number}", gateway_group=shop.group, protocol="kafka",
                          address=f"127.0.0.1:{port}",
                          kafka={"routing": "ports", "virtual_cluster": f"way-{number}",
                                 "port_ranges": [{"first_node_id": 0, "last_node_id": 0, "port_base": port + 1}]})
        name = f"way-{number}"
        operations = [["publish"], ["read"], ["publish", "read"], ["read"]][number]
        schema = {"schema": {"format": "avro", "definition": json.dumps(AVRO)}} if number % 2 else {}
        shop.admin.create("event-apis", name=name, major=1, team=shop.team, operations=operations, exposures=["kafka"], **schema)
        shop.admin.create("deployments", event_api=f"{name}.v1", gateway_group=shop.group, virtual_cluster=name,
                          topic="anything", listener=name)
        documents[name] = document_of(shop, name).text
    return documents


def test_validators_take_every_document_and_find_the_mistake(shop, tmp_path):
    """In one run: to start them takes longer than to ask them."""
    documents = {**each_way_in(shop), **{name: document_of(shop, name).text for name in ("native", "both")}}
    wrong = json.loads(documents["native"])
    wrong["channels"]["topic"]["bindings"]["kafka"]["partitions"] = "many"
    result = validate(tmp_path, {**documents, "mistaken": json.dumps(wrong)})
    found = result.stdout.splitlines()
    assert result.returncode == 1 and found and all("mistaken.json" in line for line in found), result.stdout + result.stderr
    assert "partitions" in result.stdout


def test_without_an_address_or_a_deployment_there_is_none(shop):
    shop.admin.create("event-apis", name="nowhere", major=1, team=shop.team, operations=["read"], exposures=["kafka"])
    assert "not deployed" in document_of(shop, "nowhere", expect=404).json()["detail"]
    problem = shop.admin.request("GET", "/v1/catalog/native.v1/asyncapi", expect=400).json()
    assert "gateway_group" in json.dumps(problem)
    shop.admin.create("gateway-groups", name="mute", environment="mute")
    port = free_ports(2)
    shop.admin.create("listeners", name="mute", gateway_group="mute", protocol="kafka", address=f"127.0.0.1:{port}",
                      kafka={"routing": "ports", "virtual_cluster": "native",
                             "port_ranges": [{"first_node_id": 0, "last_node_id": 0, "port_base": port + 1}]})
    shop.admin.create("deployments", event_api="native.v1", gateway_group="mute", virtual_cluster="native",
                      topic="demo.orders", listener="mute")
    problem = shop.admin.request("GET", "/v1/catalog/native.v1/asyncapi?gateway_group=mute", expect=404).json()
    assert "kafka_url" in problem["detail"]
