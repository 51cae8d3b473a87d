"""What is on a backend: found by one gateway of the group, told upstream, shown with what deployments and grants make of
it."""

import uuid

import pytest
from confluent_kafka import TopicPartition

from sluice_support import NativeCluster, SampleApi, free_port, wait_until

QUICK = {"inventory_interval": "300ms", "inventory_delay": "0s", "inventory_timeout": "5s"}


@pytest.fixture(scope="module")
def stage(module_servers, kafka):
    topic = kafka.create_topic("listed", partitions=3, config={"retention.ms": "7200000", "cleanup.policy": "compact,delete"})
    stage = SampleApi(module_servers.control(**QUICK), kafka.bootstrap_servers, topic)
    stage.start_gateway(module_servers)
    stage.servers = module_servers
    return stage


def ask(stage, what, client=None, backend=None, **query):
    return (client or stage.admin).request("GET", f"/v1/backend-clusters/{backend or stage.backend}/{what}", expect=200,
                                           params=query).json()


def topic_of(stage, name, **query):
    return next((t for t in ask(stage, "topics", search=name, **query)["items"] if t["name"] == name), None)


def test_topics_are_listed_as_they_are(stage):
    topic = wait_until(lambda: topic_of(stage, stage.topic), 60, "the topic to be found")
    assert topic["partitions"] == 3 and topic["replication"] == 1
    assert topic["retention_ms"] == 7200000 and topic["cleanup_policy"] == "compact,delete"
    assert topic["managed"] and topic["deployments"] == [f"{stage.event_api}@{stage.group}"]
    answer = wait_until(lambda: (a := ask(stage, "topics")).get("reachable") and a, 60, "the end of an inventory")
    assert answer["seen_at"] and answer["node"] and answer["backend"] == stage.backend


def test_topics_come_and_go(stage, kafka):
    name = kafka.create_topic("passing")
    topic = wait_until(lambda: topic_of(stage, name), 60, "the new topic")
    assert not topic["managed"] and topic["deployments"] == []
    assert topic_of(stage, name, managed="true") is None and topic_of(stage, name, managed="false")
    kafka.delete_topic(name)
    wait_until(lambda: topic_of(stage, name) is None, 60, "the topic to be gone")


def test_pages_hold_every_topic_once(stage, kafka):
    prefix = f"page{uuid.uuid4().hex[:6]}"
    names = sorted(kafka.create_topic(prefix) for _ in range(7))
    wait_until(lambda: len(ask(stage, "topics", search=prefix)["items"]) == 7, 60, "all of them")
    found, cursor = [], None
    while True:
        page = ask(stage, "topics", search=prefix.upper(), limit=3, **({"cursor": cursor} if cursor else {}))
        found += [topic["name"] for topic in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert found == names


def test_groups_are_listed_with_their_lag(stage, kafka):
    group = f"g-{uuid.uuid4().hex[:8]}"
    kafka.produce(stage.topic, [{"value": b"x", "key": b"k", "partition": 0} for _ in range(10)])
    kafka.commit(group, TopicPartition(stage.topic, 0, 4))

    def found():
        return next((g for g in ask(stage, "groups", search=group)["items"] if g.get("lag") == 6), None)
    assert wait_until(found, 60, "the group with its lag")["topics"] == [{"topic": stage.topic, "lag": 6}]


def test_owners_see_what_grants_give_them(stage, kafka):
    prefix = f"{uuid.uuid4().hex[:8]}."
    NativeCluster(stage, "tenant", namespace={"mode": "hide", "prefix": prefix})
    stage.admin.create("teams", name="owners")
    stage.admin.create("grants", team="owners", virtual_cluster="tenant", topic="orders-*", operations=["read"])
    ours, other = kafka.create_topic(prefix + "orders-a"), kafka.create_topic(prefix + "bills-a")
    wait_until(lambda: topic_of(stage, other) and topic_of(stage, ours), 60, "both topics")
    assert topic_of(stage, ours)["teams"] == ["owners"] and topic_of(stage, other)["teams"] == []

    def client(name, role):
        stage.admin.create("users", name=name, teams=["owners"], roles=[role])
        return stage.admin.with_token(stage.admin.create("api-tokens", name=name, owner=name, scopes=["*"])["token"])
    owner, viewer = client("ona", "api-owner"), client("vic", "viewer")
    assert [topic["name"] for topic in ask(stage, "topics", owner)["items"]] == [ours]
    assert {ours, other} <= {topic["name"] for topic in ask(stage, "topics", viewer, search=prefix)["items"]}
    owner.request("GET", f"/v1/backend-clusters/{stage.backend}/groups", expect=403)


def test_a_backend_that_cannot_be_reached_says_so(stage):
    stage.admin.create("backend-clusters", name="away", bootstrap_servers=[f"127.0.0.1:{free_port()}"])
    stage.admin.create("virtual-clusters", name="away", backend_cluster="away", namespace={"mode": "none"})
    assert "reachable" not in ask(stage, "topics", backend="away")
    NativeCluster(stage, "far", backend="away")  # so that the group has it
    away = wait_until(lambda: (lambda a: a if a.get("reachable") is False else None)(ask(stage, "topics", backend="away")),
                      60, "the error")
    assert away["error"] and away["error_since"] and away["items"] == []
    since = away["error_since"]
    wait_until(lambda: topic_of(stage, stage.topic)["seen_at"] > since, 60, "the other backend to be looked at again")
    assert ask(stage, "topics", backend="away")["error_since"] == since


def test_one_gateway_takes_inventory_and_another_follows(stage, kafka):
    first = ask(stage, "topics")["node"]
    other = stage.servers.gateway(stage.control.join_string(stage.group))
    nodes = {node["id"] for node in stage.admin.list("gateway-nodes")}
    wait_until(lambda: len([n for n in stage.admin.list("gateway-nodes") if n["state"] == "connected"]) == 2,
               what="both to be connected")
    wait_until(lambda: ask(stage, "topics")["node"] == min(nodes), 60, "the lowest to take it")
    (gateway,) = [stage.gateway] if min(nodes) == first else [other]
    gateway.stop()
    rest = max(nodes)
    wait_until(lambda: ask(stage, "topics")["node"] == rest, 60, "the other to take over")
    name = kafka.create_topic("later")
    wait_until(lambda: topic_of(stage, name), 60, "what was made since")
