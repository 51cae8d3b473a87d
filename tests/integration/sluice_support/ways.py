"""How one tenant can name what is another's, in requests of every key and version. They are written from Kafka's own
definitions (protocol.py), so a key that Sluice's table lacks is tried as well."""

import socket
import struct
import uuid

from kafka.record.memory_records import MemoryRecordsBuilder

from .protocol import all_fields, in_range, versions_of

API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
LOCAL = {API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE}  # no names; answered by the gateway
TOPIC, GROUP, CREW, TXN = "orders", "crew", "active", "mover"


class Way:
    """How A names what is B's. `name(kind)` for topics, groups and transactional ids."""

    def __init__(self, label, names=None, ids=None, pattern=None, everything=False, tags=b"", protocol="consumer",
                 resource=2, coordinator=0, acl_pattern=3, member=None, producer=(-1, -1)):
        self.label, self.names, self.ids, self.pattern = label, names or {}, ids, pattern
        self.everything, self.tags, self.protocol = everything, tags, protocol
        self.resource, self.coordinator, self.acl_pattern = resource, coordinator, acl_pattern
        self.member, self.producer = member, producer

    def name(self, kind):
        return self.names.get(kind, {"topic": TOPIC, "group": GROUP, "txn": TXN}[kind])


def named(prefix, **others):
    return {"topic": prefix + TOPIC, "group": prefix + GROUP, "txn": prefix + TXN, **others}


def ways_of(victim, own):
    b = victim.prefix
    silent = [
        Way("short"),
        Way("empty", {"topic": "", "group": "", "txn": ""}),
        Way("all", everything=True),
        Way("regex", pattern=".*"),
        Way("regex injection", pattern="x)|(?:.*"),
        Way("regex quotation", pattern="x\\Q)|(?:.*"),
        Way("group resource", {"resource": GROUP}, resource=32, coordinator=1),
        Way("broker resource", {"resource": "1"}, resource=4, coordinator=2),
        Way("client metrics", {"resource": GROUP}, resource=16, coordinator=2),
        Way("any ACL", {"resource": None}, resource=1, acl_pattern=1),
        Way("any topic's ACL", {"resource": None}, resource=2, acl_pattern=4),
        Way("matching ACLs", {"resource": TOPIC}, resource=2, acl_pattern=2),
        Way("every name's ACL", {"resource": "*"}, resource=2),
        Way("every group's ACL", {"resource": "*"}, resource=3, acl_pattern=1),
        Way("everything's ACL", {"resource": ""}, resource=3, acl_pattern=4),
        Way("short ACL", {"resource": TXN}, resource=5),
        Way("cluster ACL", {"resource": "kafka-cluster"}, resource=4),
        Way("internal", {"topic": "__consumer_offsets", "group": CREW}),
    ]
    return silent + [
        Way("prefixed", named(b)),
        Way("own prefix", named(own + b)),
        Way("void", named("\x1f" + b)),
        Way("own void", named(own + "\x1f" + b)),
        Way("relative", named("../" + b)),
        Way("NUL", named("\0" + b)),
        Way("not UTF-8", {kind: b"\xff\xfe" + name.encode() for kind, name in named(b).items()}),
        Way("id", ids=victim.ids[TOPIC]),
        Way("regex prefix", pattern=b.replace(".", "\\.") + ".*"),
        Way("other protocol", named(b), protocol="connect"),
        Way("group named", named(b), resource=32, coordinator=1),
        Way("prefix ACL", {**named(b), "resource": b}, resource=2, acl_pattern=4),
        Way("prefixed ACL", {**named(b), "resource": b + TXN}, resource=5),
        Way("first letter's ACL", {**named(b), "resource": b[:1]}, resource=3, acl_pattern=4),
        Way("all below the prefix", {**named(b), "resource": b + GROUP}, resource=3, acl_pattern=2),
        Way("vault id", named(b), ids=victim.ids[victim.vault]),
        Way("unknown tags", named(b), tags=(b + victim.vault).encode()),
        Way("vault", named(b, topic=b + victim.vault, group=b + CREW), member=victim.member, producer=victim.mover),
    ]


IDS = {"id", "vault id"}
PATTERNS = {"regex", "regex injection", "regex quotation", "regex prefix"}
RESOURCES = {"group resource", "broker resource", "client metrics", "group named"}
ACLS = {"any ACL", "any topic's ACL", "matching ACLs", "every name's ACL", "every group's ACL", "everything's ACL",
        "short ACL", "cluster ACL", "prefix ACL", "prefixed ACL", "first letter's ACL", "all below the prefix"}


def applies(way, definition, version):
    """Would the way change anything in this message?"""
    fields = all_fields(definition, version)
    if way.label in IDS:
        return any(field["name"] == "TopicId" for field in fields)
    if way.label in PATTERNS:
        return any("Regex" in field["name"] or "Pattern" in field["name"] and field["type"] == "string"
                   for field in fields)
    if way.label in RESOURCES:
        return any(field["name"] in ("ResourceType", "KeyType", "ResourceTypeFilter") for field in fields)
    if way.label in ACLS:
        return any(field["name"] in ("ResourcePatternType", "PatternTypeFilter") for field in fields)
    if way.label == "other protocol":
        return any(field["name"] == "ProtocolType" for field in fields)
    if way.label == "all":
        return any(field["type"].startswith("[]") for field in fields)
    if way.label == "unknown tags":
        return in_range(definition.get("flexibleVersions"), version)
    return True


NUMBERS = {"ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "PartitionMaxBytes": 1 << 20,
           "SessionEpoch": -1, "CurrentLeaderEpoch": -1, "Timestamp": -2, "Acks": -1, "TimeoutMs": 1000,
           "timeoutMs": 1000, "GenerationId": -1, "GenerationIdOrMemberEpoch": -1, "SessionTimeoutMs": 10_000,
           "RebalanceTimeoutMs": 1, "NumPartitions": 1, "ReplicationFactor": 1, "TransactionTimeoutMs": 60_000,
           "Count": 3, "ResponsePartitionLimit": 1000, "MaxRecords": 10,
           "BatchSize": 10, "CommittedOffset": 1, "Offset": -1, "MaxNumOffsets": 1, "MemberEpoch": 0, "Operation": 2,
           "PermissionType": 3, "ShareSessionEpoch": 0}


def records():
    builder = MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=1 << 16)
    builder.append(timestamp=1, key=None, value=b"from A", headers=[])
    builder.close()
    return bytes(builder.buffer())


def subscription(topic):
    data = topic if isinstance(topic, bytes) else topic.encode()
    name = struct.pack(">h", len(data)) + data
    return struct.pack(">hi", 1, 1) + name + struct.pack(">i", -1) + struct.pack(">i", 1) + name + struct.pack(">ii", 1, 0)


def assignment(topic):
    data = topic if isinstance(topic, bytes) else topic.encode()
    return struct.pack(">hi", 0, 1) + struct.pack(">h", len(data)) + data + struct.pack(">iii", 1, 0, -1)


def values_of(way):
    """The content of every field, for sluice_support.protocol.Writer."""

    def text(path, field, version):
        name, entity = field["name"], field.get("entityType")
        if entity == "topicName" or name in ("TopicName", "SourceTopics", "SubscribedTopicNames"):
            return way.name("topic")
        if entity == "groupId" or name in ("GroupId", "GroupIds"):
            return way.name("group")
        if entity == "transactionalId":
            return way.name("txn")
        if name in ("ResourceName", "ResourceNameFilter"):
            return way.names.get("resource", way.name("group" if way.resource == 32 else "topic"))
        if name in ("Key", "CoordinatorKeys") and "Topology" not in path:
            share = f"{way.name('group')}:{uuid.UUID(bytes=way.ids or bytes(16))}:0" if way.coordinator == 2 else None
            return share or way.name("txn" if way.coordinator else "group")
        if "Regex" in name or name.endswith("Pattern"):
            return way.pattern
        if name == "MemberId" and path == ("MemberId",):
            # Old versions join at once and then wait for each other; one of them is enough.
            return way.member or ("nobody" if version < 3 else "")
        return {"ProtocolType": way.protocol, "ProtocolName": "range", "MemberId": way.member or "nobody",
                "Principal": "User:x", "Host": "*", "Reason": "none", "PrincipalFilter": None,
                "HostFilter": None}.get(name, NotImplemented)

    def value(path, field, version):
        name, kind = field["name"], field["type"]
        if kind.startswith("[]"):
            if way.everything:
                return None
            return 1 if kind != "[]int32" or "artition" in name else []
        if kind == "string":
            chosen = text(path, field, version)
            return (NotImplemented if chosen is None and not in_range(field.get("nullableVersions"), version) else
                    chosen)
        if kind == "uuid":
            return way.ids if way.ids and name == "TopicId" else NotImplemented
        if kind == "records":
            return records()
        if kind == "bytes":
            return {"Metadata": subscription, "Assignment": assignment}.get(name, lambda _: b"")(way.name("topic"))
        if name in ("ResourceType", "ResourceTypeFilter"):
            return way.resource
        if name in ("ResourcePatternType", "PatternTypeFilter"):
            return way.acl_pattern
        if name == "KeyType":
            return way.coordinator
        if name in ("ProducerId", "ProducerEpoch"):
            return way.producer[name == "ProducerEpoch"]
        if name in ("Cursor", "Topology", "TopologyDescription"):
            return NotImplemented if way.everything else {}
        return NUMBERS.get(name, NotImplemented)

    return value


# ---- asking ----

class Peer:
    """A's connection, opened again when the gateway closed it."""

    def __init__(self, port):
        self.port, self.socket = port, None

    def ask(self, data, timeout=30):
        """The answer; empty when the gateway closes instead."""
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.socket.settimeout(timeout)
        try:
            self.socket.sendall(data)
            size = self._receive(4)
            return self._receive(struct.unpack(">i", size)[0])
        except (ConnectionError, struct.error):
            self.close()
            return b""

    def _receive(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionResetError
            data += part
        return data

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None


def cases_of(definitions, ways):
    """Those first that say nothing of B."""
    for way in ways:
        for key, definition in sorted(definitions.requests.items()):
            if key in LOCAL:
                continue
            for version in versions_of(definition["validVersions"]):
                if applies(way, definition, version):
                    yield definition, version, way
