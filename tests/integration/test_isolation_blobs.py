"""What brokers read of the bytes that members of a group give each other. Seen at the broker, past the gateway: no group of
one tenant may be about a topic of another, whatever the bytes say they are."""

import struct
import uuid

import pytest
from confluent_kafka import TopicPartition

from sluice_support import ApiError, Definitions, SampleApi, Tenant, Wire, known, wait_until

SECRET = "orders"
DEFINITIONS = Definitions()
OFFSET_FETCH, JOIN_GROUP, SYNC_GROUP, DESCRIBE_GROUPS, CONSUMER_GROUP_HEARTBEAT, STREAMS_GROUP_HEARTBEAT = 9, 11, 14, 15, 68, 88
COORDINATOR_LOADING = (14, 15, 16)
INIT_PRODUCER_ID, ADD_OFFSETS_TO_TXN, OFFSET_DELETE, DESCRIBE_TRANSACTIONS = 22, 25, 47, 65


def ask(wire, key, version, **tree):
    return wire.ask(DEFINITIONS.requests[key], version, tree)


def first_broker(tenant):
    """A connection to it, through the gateway."""
    return Wire(DEFINITIONS, f"127.0.0.1:{tenant.cluster.port + 2}")


@pytest.fixture(scope="module")
def sample(module_servers, kafka):
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders"))
    sample.start_gateway(module_servers)
    kafka.prepare_coordinators()
    return sample


@pytest.fixture(scope="module")
def attacker(sample):
    return Tenant(sample, "hide")


@pytest.fixture(scope="module")
def victim(sample):
    victim = Tenant(sample, "hide")
    victim.create(SECRET)
    return victim


def names(*texts):
    data = [text.encode() for text in texts]
    return struct.pack(">i", len(data)) + b"".join(struct.pack(">h", len(text)) + text for text in data)


def assignment(topic):
    return struct.pack(">h", 0) + names(topic) + struct.pack(">iii", 1, 0, -1)


# How a subscription may be written so that a broker reads its topics and a careful reader fails.
WRITTEN = {
    "as it should be": lambda topic: struct.pack(">h", 0) + names(topic) + struct.pack(">i", -1),
    "of a version that has more": lambda topic: struct.pack(">h", 1) + names(topic) + struct.pack(">i", -1),
    "of a version before the first": lambda topic: struct.pack(">h", -1) + names(topic) + struct.pack(">i", -1),
    "of a version to come": lambda topic: struct.pack(">h", 99) + names(topic) + struct.pack(">i", -1),
    "without its user data": lambda topic: struct.pack(">h", 0) + names(topic) + struct.pack(">i", -2),
    "with owned partitions": lambda topic: struct.pack(">h", 1) + names(topic) + struct.pack(">i", -2) + names(topic) +
    struct.pack(">ii", 1, 0),
    "with a name that does not fit": lambda topic: struct.pack(">h", 0) + names(topic, "x" * 32767) + struct.pack(">i", -1),
}


def ask_coordinator(*arguments, **tree):
    """Asked again while the one of this group is still loaded, as clients do."""
    def loaded():
        answer = ask(*arguments, **tree)
        return answer["ErrorCode"] not in COORDINATOR_LOADING and answer
    return wait_until(loaded, what="the group's coordinator")


def join(wire, group, metadata, protocol="consumer"):
    return ask_coordinator(wire, JOIN_GROUP, 3, GroupId=group, SessionTimeoutMs=60_000, RebalanceTimeoutMs=60_000,
                           MemberId="", ProtocolType=protocol, Protocols=[{"Name": "range", "Metadata": metadata}])


def sync(wire, group, answer, data, version=3):
    member = answer["MemberId"].decode()
    return ask(wire, SYNC_GROUP, version, GroupId=group, GenerationId=answer["GenerationId"], MemberId=member,
               Assignments=[{"MemberId": member, "Assignment": data}])


def members_at_the_broker(kafka, group):
    wire = Wire(DEFINITIONS, kafka.bootstrap_servers)
    described, = ask(wire, DESCRIBE_GROUPS, 4, Groups=[group])["Groups"]
    wire.close()
    return [member["MemberMetadata"] + member["MemberAssignment"] for member in described["Members"]]


@pytest.mark.parametrize("how", WRITTEN)
def test_no_subscription_is_to_another_tenants_topic(attacker, victim, kafka, how):
    foreign, group, wire = victim.backend(SECRET), f"g-{uuid.uuid4().hex[:8]}", first_broker(attacker)
    if how == "with a name that does not fit":
        with pytest.raises((AssertionError, ConnectionError)):
            join(wire, group, WRITTEN[how](foreign))
        assert members_at_the_broker(kafka, attacker.prefix + group) == []
        return
    answer = join(wire, group, WRITTEN[how](foreign))
    assert answer["ErrorCode"] == 0 and sync(wire, group, answer, b"")["ErrorCode"] == 0
    member, = members_at_the_broker(kafka, attacker.prefix + group)
    assert (attacker.prefix + foreign).encode() in member  # it is there, as one's own
    assert member.count(victim.prefix.encode()) == member.count((attacker.prefix + foreign).encode())


@pytest.mark.parametrize("version", range(5))
def test_no_assignment_is_of_another_tenants_topic(attacker, victim, kafka, version):
    """In the versions that do not say the protocol's type; also not when the connection has joined a group of another
    protocol before."""
    foreign, group = victim.backend(SECRET), f"g-{uuid.uuid4().hex[:8]}"
    member, other = first_broker(attacker), first_broker(attacker)
    answer = join(member, group, WRITTEN["as it should be"]("orders"))
    assert join(other, f"{group}-connect", b"anything", protocol="connect")["ErrorCode"] == 0
    assert sync(other, group, answer, assignment(foreign), version)["ErrorCode"] == 0
    member, = members_at_the_broker(kafka, attacker.prefix + group)
    assert (attacker.prefix + foreign).encode() in member
    assert member.count(victim.prefix.encode()) == member.count((attacker.prefix + foreign).encode())


def test_other_protocols_pass_as_they_are(attacker, kafka):
    group, data = f"g-{uuid.uuid4().hex[:8]}", b"\0\1\0\0\0\x16connect-1-of-all-workers\0\x15http://127.0.0.1:8083"
    wire = first_broker(attacker)
    answer = join(wire, group, data, protocol="connect")
    assert sync(wire, group, answer, data)["Assignment"] == data
    assert members_at_the_broker(kafka, attacker.prefix + group) == [data + data]


@pytest.mark.since("4.0", "patterns are evaluated by brokers since 4.0")
def test_no_text_repeats_a_pattern_with_anothers_names(sample, victim):
    """RE2 takes \\C, the broker's engine does not and says what it was sent."""
    tenant = Tenant(sample, "hide", {"aliases": [{"name": "shared", "topic": victim.backend(SECRET)}]})
    answer = ask_coordinator(first_broker(tenant), CONSUMER_GROUP_HEARTBEAT, 1, GroupId="patterns", MemberId=str(uuid.uuid4()),
                 MemberEpoch=0, RebalanceTimeoutMs=5000, SubscribedTopicNames=[], SubscribedTopicRegex="(shared|\\Cx)",
                 TopicPartitions=[])
    assert answer["ErrorCode"] == 128  # INVALID_REGULAR_EXPRESSION
    assert b"regular expression" in answer["ErrorMessage"]
    for other in (tenant, victim):
        assert other.prefix.rstrip(".").encode() not in answer["ErrorMessage"]


@pytest.mark.since("4.2", "streams groups are new in 4.2")
def test_a_streams_topology_is_of_ones_own_topics(attacker, victim):
    """The broker says which source topics are missing."""
    own, wire = attacker.create(f"source-{uuid.uuid4().hex[:8]}"), first_broker(attacker)

    def missing(topic):
        topology = {"SubtopologyId": "0", "SourceTopics": [topic], "SourceTopicRegex": [], "StateChangelogTopics": [],
                    "RepartitionSinkTopics": [], "RepartitionSourceTopics": [], "CopartitionGroups": []}
        answer = ask_coordinator(wire, STREAMS_GROUP_HEARTBEAT, 0, GroupId=f"g-{uuid.uuid4().hex[:8]}", MemberId=str(uuid.uuid4()),
                     MemberEpoch=0, EndpointInformationEpoch=0, RebalanceTimeoutMs=5000, ProcessId="p",
                     Topology={"Epoch": 0, "Subtopologies": [topology]}, ActiveTasks=[], StandbyTasks=[], WarmupTasks=[],
                     ClientTags=[])
        assert answer["ErrorCode"] == 0, answer
        return [status["StatusDetail"] for status in answer["Status"] if status["StatusCode"] == 1]

    wait_until(lambda: not missing(own), 60, "the new topic to be known")
    for foreign in (victim.backend(SECRET), attacker.backend(own)):
        text, = missing(foreign)
        assert foreign.encode() in text


@pytest.mark.since("4.2", "streams groups are new in 4.2")
def test_a_streams_topologys_patterns_are_looked_at(attacker):
    """Before a broker may read them: this one would end the prefix's part and begin another one."""
    topology = {"SubtopologyId": "0", "SourceTopics": [], "SourceTopicRegex": ["x)|(?:.*"], "StateChangelogTopics": [],
                "RepartitionSinkTopics": [], "RepartitionSourceTopics": [], "CopartitionGroups": []}
    answer = ask_coordinator(first_broker(attacker), STREAMS_GROUP_HEARTBEAT, 0, GroupId=f"g-{uuid.uuid4().hex[:8]}",
                 MemberId=str(uuid.uuid4()), MemberEpoch=0, EndpointInformationEpoch=0, RebalanceTimeoutMs=5000,
                 ProcessId="p", Topology={"Epoch": 0, "Subtopologies": [topology]}, ActiveTasks=[], StandbyTasks=[],
                 WarmupTasks=[], ClientTags=[])
    assert answer["ErrorCode"] == 128, answer  # INVALID_REGULAR_EXPRESSION


def test_offsets_of_ones_own_topic_are_deleted(sample, kafka):
    """And of nobody else's of that name: the backend has one, which the group has read as well."""
    tenant, group, topic = Tenant(sample, "hide"), "g", kafka.create_topic("offsets")
    tenant.create(topic)
    tenant.helper.commit(group, TopicPartition(topic, 0, 7))
    kafka.commit(tenant.prefix + group, TopicPartition(topic, 0, 7))

    def kept():
        wire = Wire(DEFINITIONS, kafka.bootstrap_servers)
        answer = ask(wire, OFFSET_FETCH, 5, GroupId=tenant.prefix + group, Topics=None)
        wire.close()
        return {found["Name"].decode() for found in answer["Topics"]}

    assert kept() == {topic, tenant.backend(topic)}
    answer = ask(first_broker(tenant), OFFSET_DELETE, 0, GroupId=group,
                 Topics=[{"Name": topic, "Partitions": [{"PartitionIndex": 0}]}])
    assert answer["ErrorCode"] == 0 and answer["Topics"][0]["Partitions"][0]["ErrorCode"] == 0
    assert kept() == {topic}


def java_hash(text):
    code = 0
    for letter in text:
        code = (31 * code + ord(letter)) & 0xffffffff
    return code - (1 << 32) if code >> 31 else code  # an int has a sign


def test_a_transaction_is_about_the_offsets_of_ones_own_group(sample, kafka):
    """Which group it is shows in the partition of the offsets' topic that the transaction gets."""
    partitions = len(kafka.admin.list_topics(timeout=60).topics["__consumer_offsets"].partitions)
    place = lambda name: abs(java_hash(name)) % partitions
    tenant = next(tenant for tenant in (Tenant(sample, "hide") for _ in range(20)) if place(tenant.prefix + "g") != place("g"))
    group, wire = "g", first_broker(tenant)

    def begun():
        made = ask(wire, INIT_PRODUCER_ID, 0, TransactionalId="mover", TransactionTimeoutMs=60_000)
        return made["ErrorCode"] == 0 and made
    mover = wait_until(begun, 60, "the coordinator")
    added = lambda: ask(wire, ADD_OFFSETS_TO_TXN, 0, TransactionalId="mover", ProducerId=mover["ProducerId"],
                        ProducerEpoch=mover["ProducerEpoch"], GroupId=group)["ErrorCode"] == 0
    wait_until(added, 60, "the group in the transaction")
    direct = Wire(DEFINITIONS, kafka.bootstrap_servers)
    state, = ask(direct, DESCRIBE_TRANSACTIONS, 0, TransactionalIds=[tenant.prefix + "mover"])["TransactionStates"]
    direct.close()
    found = {topic["Topic"].decode(): topic["Partitions"] for topic in state["Topics"]}
    assert found == {"__consumer_offsets": [place(tenant.prefix + group)]}


def test_a_group_keeps_no_ids_of_topics_that_have_left(sample, kafka):
    tenant = Tenant(sample, "hide", namespace={"topic_filter": ["stays", "leaves"]})
    ids = {name: kafka.topic_id(tenant.backend(tenant.create(name))) for name in ("stays", "leaves")}
    tenant.helper.commit("g", *(TopicPartition(name, 0, 1) for name in ids))
    sample.wait_in_force(sample.admin.patch("virtual-clusters", tenant.cluster.name, namespace={"topic_filter": ["stays"]}))
    wait_until(lambda: "leaves" not in tenant.admin.list_topics(timeout=10).topics, what="the topic to leave")
    wire = first_broker(tenant)
    for version in (8, 10) if known("4.1") else (8,):
        group, = ask(wire, OFFSET_FETCH, version, RequireStable=False, Groups=[
            {"GroupId": "g", "MemberId": None, "MemberEpoch": -1, "Topics": None}])["Groups"]
        shown, = (topic.get("TopicId") or topic["Name"] for topic in group["Topics"])
        assert shown in (ids["stays"], b"stays")


def test_a_deployed_topic_does_not_lose_its_name(sample):
    """Or gateways would take no configuration at all any more, not even other tenants'."""
    tenant = Tenant(sample, "hide", namespace={"topic_filter": ["public-*"]})
    sample.admin.create("event-apis", name="kept", major=1, team=sample.team, operations=["read"], exposures=["rest"])
    deployment = {"event_api": "kept.v1", "gateway_group": sample.group, "virtual_cluster": tenant.cluster.name,
                  "listener": sample.listener}
    with pytest.raises(ApiError, match="400"):
        sample.admin.create("deployments", topic="secret", **deployment)
    sample.admin.create("deployments", topic="public-one", **deployment)
    with pytest.raises(ApiError, match="409"):
        sample.admin.patch("virtual-clusters", tenant.cluster.name, namespace={"topic_filter": ["other"]})
    Tenant(sample, "hide")  # is served
