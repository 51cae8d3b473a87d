"""What HTTP clients see when Kafka, or a gateway, fails under them or refuses: nothing that was acknowledged is lost, nothing is
claimed that is not so, and readers go on where they were."""

import collections
import copy
import json

import pytest
import requests
from confluent_kafka.admin import AclBinding, AclBindingFilter, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from sluice_support import Publishers, SampleApi, free_port, wait_until

DEADLINE = "2s"
# Where each publication counts, none may be given up because the machine is slow.
patient = pytest.mark.parametrize("world", ["50s"], indirect=True)


@pytest.fixture(scope="module")
def broker(own_kafka):
    """Ready for idempotent producers, which a new broker is not at once."""
    broker = own_kafka(config={"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                               "allow.everyone.if.no.acl.found": "true"})
    broker.helper.produce(broker.helper.create_topic("first"), [b"1"], **{"enable.idempotence": True})
    return broker


@pytest.fixture
def world(servers, broker, request):
    """A gateway in front of the broker that the test will hurt. The parameter is the deadline of publishing."""
    topic = broker.helper.create_topic("orders", partitions=2)
    world = SampleApi(servers.control(), broker.bootstrap_servers, topic)
    world.start_gateway(servers, publish_deadline=getattr(request, "param", DEADLINE))
    return world


def in_kafka(broker, topic):
    """How often each number is stored."""
    return collections.Counter(json.loads(record.value())["n"] for record in broker.helper.consume_all(topic))


def refused(publishers):
    return [answer for answer in publishers.so_far().values() if answer[0] != 201]


def test_kafka_killed_while_publishing(world, broker):
    with world.stream() as stream, Publishers(world) as publishers:
        publishers.wait(201, 40)
        broker.kill()
        # Each of them: one may still have to read a 201 of before.
        wait_until(lambda: publishers.clients_answered(lambda status: status != 201) == set(range(4)), 60,
                   "the publishers to be told")
        before = publishers.stored()
        wait_until(lambda: sum(publishers.statuses()[status] for status in (503, 504)) >= 8, 60, "refusals")
        assert publishers.stored() == before, "a 201 without a broker"
        broker.start()
        publishers.wait(201, 40)
        kinds = {answer for answer in refused(publishers)}
        assert kinds <= {(503, "not-persisted"), (503, "backend-unavailable"), (504, "outcome-unknown")}, kinds
        publishers.__exit__()

        seen, events = collections.Counter(), []
        expected = publishers.stored()
        while not expected <= set(seen):
            event = stream.next(60)
            assert event is not None, "the stream ended"
            events.append(event)
            if event.event == "message":
                seen[event.json()["data"]["n"]] += 1
    assert [event for event in events if event.event == "error"], "the reader was told nothing"
    assert not [event for event in events if event.event == "gap"]
    assert max(seen.values()) == 1, "the stream repeated an event"
    stored = in_kafka(broker, world.topic)
    assert expected <= set(stored)
    # What was refused as certainly not stored is not.
    certain = {n for n, (status, _) in publishers.answers.items() if status == 503}
    assert not certain & set(stored)


def test_kafka_that_answers_nothing(world, broker):
    with Publishers(world) as publishers:
        publishers.wait(201, 20)
        broker.freeze()
        try:
            wait_until(lambda: sum(publishers.statuses()[status] for status in (503, 504)) >= 8, 60, "refusals")
        finally:
            broker.thaw()
        publishers.wait(201, 20)
    stored = in_kafka(broker, world.topic)
    assert publishers.stored() <= set(stored)
    certain = {n for n, (status, _) in publishers.answers.items() if status == 503}
    assert not certain & set(stored)
    assert set(publishers.statuses()) <= {201, 503, 504}


@patient
def test_pages_while_kafka_is_away(world, broker):
    answers = [world.publish({"n": n}) for n in range(5)]
    assert [answer.status_code for answer in answers] == [201] * 5, [answer.text for answer in answers]
    ids = [answer.json()["id"] for answer in answers]
    session = requests.Session()
    headers = {"X-API-Key": world.key}
    page = session.get(world.url, params={"from": "earliest", "limit": 2}, headers=headers, timeout=25).json()
    left = 5 - len(page["events"])  # a page is no fuller than what the gateway has by then
    broker.kill()
    try:
        away = session.get(world.url, params={"cursor": page["next"]}, headers=headers, timeout=25)
        wait_until(lambda: session.get(world.url, params={"from": "latest"}, headers=headers, timeout=25).status_code == 503,
                   what="the end of the stream not to be told")
    finally:
        broker.start()
    # Events that are still in memory may be served; an outage may never look like the end of the stream.
    if away.status_code == 200:
        assert len(away.json()["events"]) == left or not away.json()["caught_up"], away.text
    else:
        assert away.status_code == 503 and away.headers["Retry-After"], away.text

    def rest():
        answer = session.get(world.url, params={"cursor": page["next"]}, headers=headers, timeout=25)
        events = answer.json()["events"] if answer.status_code == 200 else []
        return len(events) == left and events

    found = page["events"] + wait_until(rest, 60, "pages to be served again")
    assert sorted(event["id"] for event in found) == sorted(ids)


def told(events):
    """The messages among them. A busy broker may be out of reach for a moment, of which readers are told, too."""
    assert {event.event for event in events} <= {"message", "error"}
    return [event for event in events if event.event == "message"]


def test_every_201_of_a_killed_gateway_is_in_kafka(world, broker):
    """And its reader goes on where it was, with nothing lost and nothing twice."""
    with world.stream() as stream, Publishers(world, count=8) as publishers:
        publishers.wait(201, 60)
        world.gateway.kill()
        wait_until(lambda: publishers.statuses()[None] > 0, 60, "the publishers to notice")
        seen = told(stream.wait_end())

    world.gateway.start()
    world.wait_served()
    stored = in_kafka(broker, world.topic)  # the broker has read by now what the gateway had sent
    assert publishers.stored() <= set(stored)
    # An event counts when it came whole: its id, not one whose data was cut off.
    with world.stream(headers={"Last-Event-ID": seen[-1].id} if seen else {}, query="?from=earliest") as stream:
        while len(seen) < sum(stored.values()):
            seen += told(stream.take(1))
    assert collections.Counter(event.json()["data"]["n"] for event in seen) == stored


def test_a_reader_moves_between_gateways(world, broker, servers):
    """Each part is read at the other gateway: by pages, and by streams with Last-Event-ID."""
    second = second_gateway(world, servers)
    urls = [world.url, second.url]
    headers = {"X-API-Key": world.key}
    with Publishers(world, count=2) as publishers:
        publishers.wait(201, 20)
        cursor, seen = None, []
        for turn in range(8):
            params = {"cursor": cursor, "wait": "5", "limit": 7} if cursor else {"from": "earliest", "limit": 7}
            page = requests.get(urls[turn % 2], params=params, headers=headers, timeout=25).json()
            seen += [event["data"]["n"] for event in page["events"]]
            cursor = page["next"]
        for turn in range(4):
            with second.stream(headers={"Last-Event-ID": cursor}) if turn % 2 else world.stream(
                    headers={"Last-Event-ID": cursor}) as stream:
                events = []
                while len(events) < 5:
                    events += told(stream.take(1))
                seen += [event.json()["data"]["n"] for event in events]
                cursor = events[-1].id

    # A gateway learns of the other's last event with its next fetch, so the first page that is caught up may lack it.
    def rest():
        nonlocal cursor, turn
        turn += 1
        page = requests.get(urls[turn % 2], params={"cursor": cursor}, headers=headers, timeout=25).json()
        seen.extend(event["data"]["n"] for event in page["events"])
        cursor = page["next"]
        return page["caught_up"] and publishers.stored() <= set(seen)

    wait_until(rest, 60, "the reader to have every event")
    assert len(seen) == len(set(seen)), "an event came twice"
    unknown = {n for n, (status, _) in publishers.answers.items() if status in (504, None)}  # slow; stored or not
    assert publishers.stored() <= set(seen) <= publishers.stored() | unknown


def forbid(broker, topic, operation):
    acls = [AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", *right)
            for right in ((AclOperation.ALL, AclPermissionType.ALLOW), (operation, AclPermissionType.DENY))]
    for result in broker.helper.admin.create_acls(acls).values():
        result.result(60)
    listed = AclBindingFilter(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, None, None, AclOperation.ANY,
                              AclPermissionType.ANY)
    wait_until(lambda: len(broker.helper.admin.describe_acls(listed).result(60)) == len(acls),
               what="the ACLs at the broker, which learns of them later")


def problem_of(text):
    return json.loads(text)["type"].rsplit("/", 1)[1]


@patient
def test_a_topic_that_may_not_be_written_is_502_and_can_be_read(world, broker):
    broker.helper.produce(world.topic, [b"1"])
    forbid(broker, world.topic, AclOperation.WRITE)
    answer = world.publish({"n": 1})
    assert (answer.status_code, problem_of(answer.text)) == (502, "backend-refused"), answer.text
    assert world.topic not in answer.text
    wait_until(lambda: [event["data"] for event in world.page("?from=earliest&wait=5s")["events"]] == [1], what="the event")


@patient
def test_a_topic_that_may_not_be_read_is_told_and_can_be_written(world, broker):
    forbid(broker, world.topic, AclOperation.READ)
    with world.stream(query="?from=earliest") as stream:
        (event,) = stream.take(1)
        assert (event.event, problem_of(event.data)) == ("error", "backend-refused"), event

    def refusal():  # in a list, since a response of an error counts as false
        page = requests.get(world.url, params={"from": "earliest"}, headers={"X-API-Key": world.key}, timeout=25)
        return page.status_code == 502 and [page]

    [page] = wait_until(refusal, 60, "pages to say so")
    assert problem_of(page.text) == "backend-refused" and world.topic not in page.text
    assert world.publish({"n": 2}).status_code == 201


def second_gateway(world, servers):
    """The same event API on a gateway of another group."""
    second = copy.copy(world)
    second.group, second.port = "other", free_port()
    second.url = f"http://127.0.0.1:{second.port}/{world.name}/v1/events"
    world.admin.create("gateway-groups", name="other", environment="dev")
    world.admin.create("listeners", name="other", gateway_group="other", protocol="http",
                       address=f"127.0.0.1:{second.port}")
    world.admin.create("deployments", event_api=world.event_api, gateway_group="other",
                       virtual_cluster=world.virtual_cluster, topic=world.topic, listener="other")
    second.start_gateway(servers)
    return second
