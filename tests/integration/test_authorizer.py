"""Kafka's own authoriser and the gateway's, side by side: the same user, the same rules, the same requests of every key
that asks for a permission. Their error codes must be the same.

The rules hang on the broker as ACLs of its StandardAuthorizer and on the virtual cluster as one acl policy. Requests are
written from Kafka's own definitions. The test ends with `authoriser: N cases` and fails below the full count."""

import struct
import uuid

import pytest
from confluent_kafka import TopicCollection
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, ResourcePatternType,
                                   ResourceType)
from kafka.record.util import calc_crc32c

from sluice_support import Definitions, NativeCluster, SampleApi, Wire, record_batch, wait_until
from sluice_support.protocol import versions_of

pytestmark = pytest.mark.since("4.4", "answers differ between versions of Kafka; docs/decisions/0013 holds the gateway to 4.4")

PASSWORD = "alices-secret"
DENIALS = {29, 30, 31, 53}

# (effect, operation, kind, glob). A star at the end of a glob is the only wildcard that Kafka has.
RULES = [
    ("allow", "read", "topics", "readable"), ("allow", "write", "topics", "writable"),
    ("allow", "describe", "topics", "visible"), ("allow", "all", "topics", "own-*"),
    ("deny", "write", "topics", "own-fixed"), ("deny", "describe", "topics", "own-dark"),
    ("deny", "all", "topics", "own-closed"), ("allow", "create", "topics", "new-*"),
    ("allow", "delete", "topics", "old-*"), ("allow", "alter", "topics", "growing"),
    ("allow", "describe-configs", "topics", "settings"), ("allow", "alter-configs", "topics", "tuned"),
    ("allow", "read", "groups", "g-read"), ("allow", "describe", "groups", "g-visible"),
    ("allow", "delete", "groups", "g-old"), ("allow", "all", "groups", "g-own-*"), ("deny", "read", "groups", "g-own-dark"),
    ("allow", "write", "transactional_ids", "t-write"), ("allow", "describe", "transactional_ids", "t-visible"),
    ("allow", "all", "transactional_ids", "t-own-*"),
]
CASES = {"alice": 510, "boss": 510}
CLUSTER = ["create", "alter", "describe", "describe-configs", "alter-configs", "idempotent-write"]

TOPICS = ["readable", "writable", "visible", "own-x", "own-fixed", "own-dark", "own-closed", "growing", "settings",
          "tuned", "hidden"]
ABSENT = ["new-1", "absent"]
GROUPS = ["g-read", "g-visible", "g-old", "g-own-x", "g-own-dark", "g-hidden"]
TXNS = ["t-write", "t-visible", "t-own-x", "t-hidden"]

OPERATIONS = {"all": AclOperation.ALL, "read": AclOperation.READ, "write": AclOperation.WRITE,
              "create": AclOperation.CREATE, "delete": AclOperation.DELETE, "alter": AclOperation.ALTER,
              "describe": AclOperation.DESCRIBE, "describe-configs": AclOperation.DESCRIBE_CONFIGS,
              "alter-configs": AclOperation.ALTER_CONFIGS, "idempotent-write": AclOperation.IDEMPOTENT_WRITE}
KINDS = {"topics": ResourceType.TOPIC, "groups": ResourceType.GROUP,
         "transactional_ids": ResourceType.TRANSACTIONAL_ID}


def binding(user, effect, operation, kind, glob):
    prefixed = glob.endswith("*") and glob != "*"
    return AclBinding(KINDS.get(kind, ResourceType.BROKER), glob.rstrip("*") if prefixed else glob,
                      ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL, f"User:{user}", "*",
                      OPERATIONS[operation], AclPermissionType.ALLOW if effect == "allow" else AclPermissionType.DENY)


class Sides:
    """The broker and the gateway, with connections of one user to both."""

    def __init__(self, definitions, broker, gateway):
        self.definitions, self.ends = definitions, (broker, gateway)
        self.wires = [None, None]

    def wire(self, side):
        if self.wires[side] is None:
            self.wires[side] = Wire(self.definitions, *self.ends[side])
        return self.wires[side]

    def ask(self, definition, version, tree):
        return [self.wire(side).ask(definition, version, tree) for side in (0, 1)]

    def close(self):
        for wire in self.wires:
            if wire:
                wire.close()
        self.wires = [None, None]


def transactional(batch):
    """The same batch as a transaction's."""
    batch = bytearray(batch)
    batch[22] |= 0x10
    batch[17:21] = struct.pack(">I", calc_crc32c(bytes(batch[21:])))
    return bytes(batch)


# ---- the requests: (label, tree) of each key. `ids` has the topics' ids. ----

ALL_TOPICS = TOPICS + ABSENT
PRODUCER = {"ProducerId": 12345, "ProducerEpoch": 0}


def named(ids, names, **fields):
    """An element for each topic, by whichever name this version has."""
    return [{"Name": name, "Topic": name, "TopicName": name, "TopicId": ids.get(name, bytes(16)), **fields} for name in names]


def produce(ids):
    plain = named(ids, ALL_TOPICS, PartitionData=[{"Index": 0, "Records": record_batch()}])
    yield "plain", {"Acks": -1, "TimeoutMs": 5000, "TopicData": plain}
    marked = named(ids, ["writable", "hidden"], PartitionData=[{"Index": 0, "Records": transactional(record_batch())}])
    for txn in TXNS:
        yield txn, {"TransactionalId": txn, "Acks": -1, "TimeoutMs": 5000, "TopicData": marked}


def fetch(ids):
    partition = {"Partition": 0, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 1 << 20, "LastFetchedEpoch": -1,
                 "LogStartOffset": -1}
    yield "all", {"ReplicaId": -1, "MaxBytes": 1 << 20, "SessionEpoch": -1,
                  "Topics": named(ids, ALL_TOPICS, Partitions=[partition])}


def metadata(ids):
    more = {"AllowAutoTopicCreation": False, "IncludeTopicAuthorizedOperations": True,
            "IncludeClusterAuthorizedOperations": True}
    yield "named", {"Topics": [{"Name": name} for name in ALL_TOPICS], **more}
    yield "all", {"Topics": None, **more}


def metadata_by_id(ids):
    yield "ids", {"Topics": [{"Name": None, "TopicId": ids[name]} for name in TOPICS],
                  "IncludeTopicAuthorizedOperations": True}


def offset_commit(ids):
    partitions = [{"PartitionIndex": 0, "CommittedOffset": 1, "CommittedLeaderEpoch": -1}]
    for group in GROUPS:
        yield group, {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "Topics": named(ids, ALL_TOPICS, Partitions=partitions)}


def offset_fetch(ids):
    for topics in (named(ids, ALL_TOPICS, PartitionIndexes=[0]), None):
        for group in GROUPS:
            of_group = {"GroupId": group, "MemberEpoch": -1, "Topics": topics}
            yield f"{group} {topics is None}", {**of_group, "Groups": [of_group]}
        yield "groups", {"GroupId": GROUPS[0], "Topics": topics,
                         "Groups": [{"GroupId": group, "MemberEpoch": -1, "Topics": topics} for group in GROUPS]}


def find_coordinator(ids):
    for kind, keys in enumerate((GROUPS, TXNS)):
        for key in keys:
            yield key, {"Key": key, "KeyType": kind, "CoordinatorKeys": [key]}
        yield str(kind), {"Key": keys[0], "KeyType": kind, "CoordinatorKeys": keys}


def of_groups(**fields):
    def requests(ids):
        for group in GROUPS:
            yield group, {"GroupId": group, **fields}
    return requests


def of_txns(**fields):
    def requests(ids):
        for txn in TXNS:
            yield txn, {"TransactionalId": txn, **PRODUCER, **fields}
    return requests


def of_topics(names=None, more=None, key="Topics", **fields):
    def requests(ids):
        yield "all", {key: named(ids, names or ALL_TOPICS, **fields), **(more or {})}
    return requests


def once(**tree):
    return lambda ids: [("once", tree)]


def init_producer_id(ids):
    for txn in [None, *TXNS]:
        yield txn, {"TransactionalId": txn, "TransactionTimeoutMs": 60_000, "ProducerId": -1, "ProducerEpoch": -1}


def add_partitions(ids):
    for txn in TXNS:
        for topics in (["writable"], ["writable", "hidden"], ["own-fixed"]):
            yield f"{txn} {topics}", {"V3AndBelowTransactionalId": txn, "V3AndBelowProducerId": 12345,
                                      "V3AndBelowTopics": named(ids, topics, Partitions=[0])}


def add_offsets(ids):
    for txn in TXNS:
        for group in ("g-read", "g-hidden"):
            yield f"{txn} {group}", {"TransactionalId": txn, **PRODUCER, "GroupId": group}


def txn_offset_commit(ids):
    partitions = [{"PartitionIndex": 0, "CommittedOffset": 1, "CommittedLeaderEpoch": -1}]
    for txn in TXNS:
        for group in ("g-read", "g-hidden"):
            yield f"{txn} {group}", {"TransactionalId": txn, **PRODUCER, "GroupId": group, "GenerationId": -1,
                                     "Topics": named(ids, ALL_TOPICS, Partitions=partitions)}


def configs(ids, **fields):
    for kind, names in ((2, ALL_TOPICS), (4, ["1"]), (32, GROUPS), (16, ["metrics"])):
        yield str(kind), {"ValidateOnly": True, "Resources": [
            {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": None} for name in names], **fields}


def heartbeat(ids):
    for group in GROUPS:
        for topics in (None, ["readable"], ["readable", "hidden"]):
            yield f"{group} {topics}", {"GroupId": group, "MemberId": "nobody", "MemberEpoch": 5,
                                        "RebalanceTimeoutMs": -1, "SubscribedTopicNames": topics}


def share_fetch(ids):
    for group in GROUPS:
        yield group, {"GroupId": group, "MemberId": str(uuid.UUID(int=7)), "ShareSessionEpoch": 3, "MaxBytes": 1 << 20,
                      "MaxRecords": 10, "BatchSize": 10,
                      "Topics": named(ids, TOPICS, Partitions=[{"PartitionIndex": 0, "AcknowledgementBatches": []}])}


def share_offsets(ids):
    yield "all", {"Groups": [{"GroupId": group, "Topics": named(ids, ALL_TOPICS, Partitions=[0])} for group in GROUPS]}
    yield "null", {"Groups": [{"GroupId": group, "Topics": None} for group in GROUPS]}


def group_topics(**partition):
    def requests(ids):
        for group in GROUPS:
            yield group, {"GroupId": group, "Topics": named(ids, ALL_TOPICS, Partitions=[{"PartitionIndex": 0, **partition}])}
    return requests


ACL = {"ResourceType": 2, "ResourceName": "other", "ResourcePatternType": 3, "Principal": "User:other", "Host": "*",
       "Operation": 3, "PermissionType": 3}
ACL_FILTER = {"ResourceTypeFilter": 2, "ResourceNameFilter": "nothing", "PatternTypeFilter": 3, "PrincipalFilter": "User:none",
              "HostFilter": "*", "Operation": 3, "PermissionType": 3}

REQUESTS = {
    0: produce, 1: fetch, 3: metadata, 8: offset_commit, 9: offset_fetch, 10: find_coordinator,
    2: of_topics(Partitions=[{"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": -1, "MaxNumOffsets": 1}],
                 more={"ReplicaId": -1}),
    11: of_groups(SessionTimeoutMs=10_000, RebalanceTimeoutMs=10_000, MemberId="nobody", ProtocolType="consumer",
                  Protocols=[{"Name": "range", "Metadata": b""}]),
    12: of_groups(GenerationId=1, MemberId="nobody"),
    13: of_groups(MemberId="nobody", Members=[{"MemberId": "nobody"}]),
    14: of_groups(GenerationId=1, MemberId="nobody", ProtocolType="consumer", ProtocolName="range"),
    15: once(Groups=GROUPS, IncludeAuthorizedOperations=True),
    16: once(),
    19: of_topics(["new-1", "absent", "readable", "own-y", "own-closed", "hidden"], NumPartitions=1, ReplicationFactor=1,
                  more={"timeoutMs": 5000, "validateOnly": True}),
    20: lambda ids: [("all", {"TopicNames": GONE, "Topics": [{"Name": name} for name in GONE], "TimeoutMs": 5000})],
    21: of_topics(Partitions=[{"PartitionIndex": 0, "Offset": 0}], more={"TimeoutMs": 5000}),
    22: init_producer_id,
    23: of_topics(Partitions=[{"Partition": 0, "CurrentLeaderEpoch": -1, "LeaderEpoch": 0}], more={"ReplicaId": -1}),
    24: add_partitions, 25: add_offsets, 26: of_txns(Committed=True), 28: txn_offset_commit,
    29: once(**ACL_FILTER), 30: once(Creations=[ACL]), 31: once(Filters=[ACL_FILTER]),
    32: configs, 33: configs, 44: configs,
    35: of_topics(Partitions=[0]),
    37: of_topics(Count=3, more={"TimeoutMs": 5000, "ValidateOnly": True}),
    42: once(GroupsNames=["g-old", "g-own-gone", "g-visible", "g-hidden"]),
    43: of_topics(["readable", "hidden"], Partitions=[0], key="TopicPartitions", more={"TimeoutMs": 5000}),
    45: of_topics(["readable"], Partitions=[{"PartitionIndex": 0, "Replicas": None}], more={"TimeoutMs": 5000}),
    46: of_topics(["readable", "hidden"], PartitionIndexes=[0], more={"TimeoutMs": 5000}),
    47: group_topics(),
    55: once(Topics=[{"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]),
    60: once(IncludeClusterAuthorizedOperations=True, EndpointType=1),
    61: of_topics(PartitionIndexes=[0]),
    65: once(TransactionalIds=TXNS), 66: once(DurationFilter=-1),
    68: heartbeat, 69: once(GroupIds=GROUPS, IncludeAuthorizedOperations=True),
    74: once(), 75: of_topics(more={"ResponsePartitionLimit": 2000}),
    76: heartbeat, 77: once(GroupIds=GROUPS, IncludeAuthorizedOperations=True),
    78: share_fetch, 79: share_fetch,
    88: of_groups(MemberId="nobody", MemberEpoch=5, RebalanceTimeoutMs=-1),
    89: once(GroupIds=GROUPS, IncludeAuthorizedOperations=True),
    90: share_offsets, 91: group_topics(StartOffset=0), 92: group_topics(),
}
GONE = ["old-1", "own-gone", "readable", "visible", "own-closed", "hidden", "absent"]


NAMES = ("Name", "TopicName", "TopicId", "GroupId", "Key", "ResourceName", "TransactionalId", "PartitionIndex", "Partition",
         "PartitionId")


def outcomes(body, path=()):
    """All error codes and authorised operations, each with the names that it belongs to; lists in any order. Not compared:
    who has made a topic sees its configuration, which Kafka hides from those who may not describe it."""
    keys = [key for key in NAMES if isinstance(body.get(key), (bytes, int))]
    if len(keys) > 1 and "TopicId" in keys:  # a topic that is denied by its name has no id
        keys.remove("TopicId")
    names = tuple(str(body[key]) for key in keys)
    found = []
    for key, value in body.items():
        if "ErrorCode" in key and key != "TopicConfigErrorCode" or key.endswith("AuthorizedOperations"):
            found.append((*path, *names, key, value))
        elif isinstance(value, dict):
            found += outcomes(value, (*path, *names, key))
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    found += outcomes(item, (*path, *names, key))
    return sorted(found, key=repr)


# ---- both sides ----

@pytest.fixture(scope="module")
def definitions():
    return Definitions()


LOADING = {14, 15, 16}


def coordinators_loaded(kafka, definitions):
    """Those of all groups and transactional ids. Until then a broker says so, whatever the rights."""
    wire = Wire(definitions, kafka.bootstrap_servers)
    try:
        groups = wire.ask(definitions.requests[15], 4, {"Groups": GROUPS + ["g-own-gone"]})["Groups"]
        txns = wire.ask(definitions.requests[65], 0, {"TransactionalIds": TXNS})["TransactionStates"]
        return not LOADING & {found["ErrorCode"] for found in [*groups, *txns]}
    finally:
        wire.close()


@pytest.fixture(scope="module")
def broker(own_kafka, definitions):
    """Its plaintext listener is the gateway's and ours, and may everything."""
    kafka = own_kafka(config={"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                              "super.users": "User:ANONYMOUS"}, users={"alice": PASSWORD, "boss": PASSWORD})
    bindings = [binding("alice", *rule) for rule in RULES]
    bindings += [binding("boss", "allow", operation, "cluster", "kafka-cluster") for operation in CLUSTER]
    for result in kafka.helper.admin.create_acls(bindings).values():
        result.result(60)
    anything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY,
                                AclPermissionType.ANY)
    wait_until(lambda: len(kafka.helper.admin.describe_acls(anything).result(60)) == len(bindings),
               what="the ACLs at the broker, which learns of them later")
    kafka.helper.prepare_coordinators()
    for topic in TOPICS:
        kafka.helper.create_topic(topic, exact=True)
    wait_until(lambda: coordinators_loaded(kafka, definitions), what="the coordinators")
    return kafka


def rules_of(rules):
    by_kind = [{"effect": effect, "operations": [operation], kind: [glob]} for effect, operation, kind, glob in rules]
    return {"rules": by_kind}


@pytest.fixture(scope="module")
def stage(module_servers, broker):
    """A gateway before the broker; applications named as the broker's users are, with the same rules."""
    sample = SampleApi(module_servers.control(), broker.bootstrap_servers, "readable")
    sample.start_gateway(module_servers)
    sample.native = NativeCluster(sample, "native", authentication=["plain"], everything=False,
                                  namespace={"mode": "none", "admin_apis": ["acls"]})
    sample.credentials = {}
    for name in ("alice", "boss"):
        sample.new_application(name)
        sample.admin.create("subscriptions", application=name, plan=sample.plan, environment="dev")
        sample.credentials[name] = sample.new_credential(name)
    sample.admin.create("policies", name="alice", type="acl", config=rules_of(RULES),
                        scope={"kind": "application", "ref": "alice"})
    last = sample.admin.create("policies", name="boss", type="acl",
                               config={"rules": [{"operations": CLUSTER, "cluster": True}]},
                               scope={"kind": "application", "ref": "boss"})
    sample.native.wait_served()
    sample.wait_in_force(last)
    return sample


@pytest.fixture(scope="module")
def ids(definitions, broker):
    """Of the topics, and one that nobody has for those that are not there."""
    described = broker.helper.admin.describe_topics(TopicCollection(TOPICS))
    known = {name: future.result(60).topic_id for name, future in described.items()}
    pair = {name: (i.get_most_significant_bits() % (1 << 64), i.get_least_significant_bits() % (1 << 64))
            for name, i in known.items()}
    return {**{name: struct.pack(">QQ", *p) for name, p in pair.items()}, **{name: uuid.uuid4().bytes for name in ABSENT}}


def sides_of(definitions, broker, stage, user):
    credential = stage.credentials[user]
    return Sides(definitions, (broker.sasl, user, PASSWORD),
                 (f"127.0.0.1:{stage.native.port + 2}", credential["id"], credential["secret"]))


def chosen_versions(served):
    """The first, the last, and where messages change most."""
    versions = list(served)
    return sorted({versions[0], versions[len(versions) // 2], versions[-1]})


def served_versions(wire):
    """What the gateway serves of each key."""
    body = wire.ask(wire.definitions.requests[18], 3, {"ClientSoftwareName": "test", "ClientSoftwareVersion": "1"})
    return {key["ApiKey"]: range(key["MinVersion"], key["MaxVersion"] + 1) for key in body["ApiKeys"]}


@pytest.mark.parametrize("user", ["alice", "boss"])
def test_error_codes_are_those_of_kafkas_authoriser(definitions, broker, stage, ids, user):
    sides = sides_of(definitions, broker, stage, user)
    served, cases, denials, wrong = served_versions(sides.wire(1)), 0, 0, []
    for key, requests in sorted(REQUESTS.items()):
        definition = definitions.requests[key]
        for version in chosen_versions(v for v in versions_of(definition["validVersions"]) if v in served[key]):
            for label, tree in requests(ids):
                direct, through = (outcomes(body) for body in sides.ask(definition, version, tree))
                cases += 1
                denials += sum(code in DENIALS for *_, name, code in direct if "ErrorCode" in name)
                if key == 92:  # the first one deletes what there was
                    direct, through = ([(*o[:-1], o[-1] if o[-1] in DENIALS else 0) for o in side]
                                       for side in (direct, through))
                if direct != through:
                    wrong.append((definition["name"], version, label, [o for o in direct if o not in through],
                                  [o for o in through if o not in direct]))
    sides.close()
    print(f"authoriser: {cases} cases, {denials} denials")
    assert not wrong, "\n".join(f"{case[:3]} kafka {case[3][:4]} gateway {case[4][:4]}" for case in wrong)
    assert cases == CASES[user], "a key or a version is missing"
