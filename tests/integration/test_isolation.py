"""Two tenants on one backend. For every key and version of the protocol, tenant A names what is B's in every way there is.
No answer holds a byte that A did not know, and nothing of B's has changed.

The requests are those of sluice_support/ways.py. The test ends with `isolation: N cases` and fails below the full count."""

import os
import struct
import uuid

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, ConfigResource,
                                   OffsetSpec, ResourcePatternType, ResourceType)

from sluice_support import Definitions, KafkaHelper, Reader, Tenant, Wire, Writer, frame, known, wait_until
from sluice_support.protocol import versions_of
from sluice_support.ways import API_VERSIONS, CREW, GROUP, TOPIC, TXN, Peer, Way, cases_of, named, values_of, ways_of

DESCRIBE_TRANSACTIONS, DESCRIBE_TOPIC_PARTITIONS = 65, 75
AUTHORIZER = {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
              "super.users": "User:ANONYMOUS", "early.start.listeners": "CONTROLLER",
              "auto.create.topics.enable": "true"}
OPENED = {"admin_apis": ["acls", "client-metrics"]}


@pytest.fixture(scope="module")
def kafka(own_kafka):
    """With an authorizer, so that there are ACLs."""
    return own_kafka(config=AUTHORIZER).helper


def grant(helper, principal, *resources):
    """`resources`: (type, name, literal or prefixed)."""
    bindings = [AclBinding(getattr(ResourceType, kind), name, getattr(ResourcePatternType, how), principal, "*",
                           AclOperation.ALL, AclPermissionType.ALLOW) for kind, name, how in resources]
    for result in helper.admin.create_acls(bindings).values():
        result.result(60)


class Victim:
    """B: topics, groups, a running member, an open transaction, ACLs; and what of it must not be seen."""

    def __init__(self, tenant, kafka):
        self.tenant, self.kafka, self.prefix = tenant, kafka, tenant.prefix
        self.vault, self.cellar = (f"{name}{uuid.uuid4().hex[:10]}" for name in ("vault", "cellar"))
        for topic in (TOPIC, self.vault, self.cellar):
            tenant.create(topic, partitions=2)
        self.marker, self.note = uuid.uuid4().hex.encode(), uuid.uuid4().hex
        tenant.helper.produce(TOPIC, [{"value": self.marker, "key": self.marker, "partition": 0}] * 5)
        for group in (GROUP, self.cellar):
            self._commit_offsets(group)
        self._begin_transaction()
        self._join()
        self.friend, self.operator = f"User:f{uuid.uuid4().hex}", f"User:o{uuid.uuid4().hex}"
        grant(tenant.helper, self.friend, ("TOPIC", TOPIC, "LITERAL"), ("TOPIC", "or", "PREFIXED"),
              ("TOPIC", self.vault, "LITERAL"), ("GROUP", GROUP, "LITERAL"), ("GROUP", "*", "LITERAL"),
              ("TRANSACTIONAL_ID", TXN, "LITERAL"))
        # The platform's own, which concern all tenants.
        grant(kafka, self.operator, ("TOPIC", "*", "LITERAL"), ("GROUP", self.prefix[:1], "PREFIXED"),
              ("BROKER", "kafka-cluster", "LITERAL"))
        wait_until(lambda: len(self._listed()) == 9, what="all ACLs at the broker, which learns of them later")
        self.ids = {name: self._topic_id(name) for name in (TOPIC, self.vault, self.cellar)}
        self.member, = wait_until(lambda: [member.member_id for member in self._members(self.prefix + CREW)],
                                  what="the member at the broker")
        self.mover = self._mover()

    def _members(self, group):
        return self.kafka.admin.describe_consumer_groups([group])[group].result(60).members

    def _mover(self):
        """The id and the epoch of the one with the open transaction."""
        definitions = Definitions()
        wire = Wire(definitions, self.kafka.bootstrap_servers)
        found, = wire.ask(definitions.requests[DESCRIBE_TRANSACTIONS], 0,
                          {"TransactionalIds": [self.prefix + TXN]})["TransactionStates"]
        wire.close()
        assert found["ProducerId"] >= 0
        return found["ProducerId"], found["ProducerEpoch"]

    def _commit_offsets(self, group):
        self.tenant.helper.commit(group, TopicPartition(TOPIC, 0, 3, metadata=self.note))

    def _begin_transaction(self):
        self.producer = Producer({**self.tenant.config, "transactional.id": TXN, "transaction.timeout.ms": 600_000})
        self.producer.init_transactions(60)
        self.producer.begin_transaction()
        self.producer.produce(self.vault, self.marker)
        assert self.producer.flush(60) == 0

    def _join(self):
        self.assignments = []
        self.client_id = f"c{uuid.uuid4().hex}"
        self.consumer = Consumer({**self.tenant.config, "group.id": CREW, "client.id": self.client_id,
                                  "enable.auto.commit": False, "max.poll.interval.ms": 600_000,
                                  "session.timeout.ms": 120_000})
        self.consumer.subscribe([TOPIC], on_assign=lambda _, partitions: self.assignments.append(len(partitions)))
        wait_until(lambda: self.consumer.poll(0.2) is not None or self.assignments, 60, "B's member")

    def _topic_id(self, name):
        return self.kafka.topic_id(self.prefix + name)

    def secrets(self):
        """What no answer may hold unless A has said it. The cellar is never said by A in any way."""
        names = [self.prefix, self.vault, self.cellar, self.note, self.client_id, self.friend, self.operator]
        return [name.encode() for name in names] + [self.marker] + list(self.ids.values())

    def state(self):
        """All of it, as the backend has it."""
        admin, topics = self.kafka.admin, {}
        for name, topic in admin.list_topics(timeout=60).topics.items():
            if not name.startswith(self.prefix):
                continue
            partitions = [TopicPartition(name, n) for n in topic.partitions]
            ends = [{p.partition: r.result(60).offset for p, r in admin.list_offsets({p: spec for p in partitions}).items()}
                    for spec in (OffsetSpec.earliest(), OffsetSpec.latest())]
            config = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)])
            settings, = ({key: entry.value for key, entry in c.result(60).items()} for c in config.values())
            topics[name] = (len(partitions), ends, settings, self._topic_id(name.removeprefix(self.prefix)))
        groups = {g.group_id: str(g.state) for g in admin.list_consumer_groups().result(60).valid
                  if g.group_id.startswith(self.prefix)}
        offsets = {group: self._offsets(group) for group in groups}
        members = {group: [(m.member_id, m.client_id) for m in described.result(60).members]
                   for group, described in admin.describe_consumer_groups(list(groups)).items()}
        return topics, groups, offsets, members, self._acls()

    def _acls(self):
        found = self._listed()
        assert len(found) == 9
        return found

    def _listed(self):
        """B's ACLs and the platform's; A may make its own."""
        anything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY,
                                    AclPermissionType.ANY)
        found = sorted((str(acl.restype), acl.name, str(acl.resource_pattern_type), acl.principal)
                       for acl in self.kafka.admin.describe_acls(anything).result(60))
        return [acl for acl in found if acl[1].startswith(self.prefix) or acl[3] in (self.friend, self.operator)]

    def _offsets(self, group):
        result = self.kafka.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(60)
        return sorted((p.topic, p.partition, p.offset, p.metadata) for p in result.topic_partitions)

    def finish(self):
        """Its member was never disturbed and its transaction ends well."""
        self.consumer.poll(1)
        assert len(self.assignments) == 1, self.assignments
        self.producer.commit_transaction(60)
        self.consumer.close()
        records = self.tenant.helper.consume_all(self.vault)
        assert [r.value() for r in records] == [self.marker]


# ---- the other tenant ----

def make(tenant, topic):
    """If it is not there: the controller says so, where a broker may still list what was deleted."""
    try:
        tenant.create(topic, partitions=2)
    except KafkaException as refused:
        assert refused.args[0].name() == "TOPIC_ALREADY_EXISTS", refused


class Attacker:
    def __init__(self, sample, mode, victim):
        self.tenant, self.secrets, self.found = Tenant(sample, mode, OPENED), victim.secrets(), []
        if mode == "hide":
            self.secrets += [self.tenant.prefix.encode(), b"__transaction_state"]
        self.peer, self.cases, self.answered, self.silent = Peer(self.tenant.cluster.port + 2), 0, 0, []

    def attempt(self, definition, version, way):
        writer = Writer(definition, version, values_of(way), way.tags)
        request = frame(definition, version, writer, correlation=self.cases)
        # Kafka 3.9 fails while it counts the errors of an answer without groups, and never sends it.
        hangs = (definition["name"], way.label) == ("OffsetFetchRequest", "all") and version >= 8 and not known("4.0")
        self.secrets = [secret for secret in self.secrets if secret not in request]
        try:
            answer = self.peer.ask(request, timeout=1 if hangs else 30)
        except TimeoutError:
            assert hangs, f"no answer to {definition['name']} version {version} ({way.label})"
            answer = b""
            self.peer.close()
        self.found += [(definition["name"], version, way.label, s) for s in self.secrets if s in answer]
        if answer:
            assert struct.unpack(">i", answer[:4])[0] == self.cases
            self.answered += 1
        elif not hangs:
            self.silent.append((definition["apiKey"], version, way.label))
        self.cases += 1
        return answer

    def offered(self, definitions):
        """The versions of each key."""
        definition = definitions.requests[API_VERSIONS]
        answer = self.peer.ask(frame(definition, 2, Writer(definition, 2, lambda *_: NotImplemented)))
        keys = Reader(definitions.responses[API_VERSIONS], 2, answer[4:]).body["ApiKeys"]
        return {key["ApiKey"]: range(key["MinVersion"], key["MaxVersion"] + 1) for key in keys}

    def restore(self):
        """A's own topic of the same name, which its requests may have deleted."""
        make(self.tenant, TOPIC)


@pytest.fixture(scope="module")
def victim(sample, kafka):
    return Victim(Tenant(sample, "hide", OPENED), kafka)


@pytest.mark.parametrize("mode", ["hide", "enforce"])
def test_nothing_of_another_tenant_is_seen_or_changed(sample, victim, mode, capsys):
    attacker, definitions, last = Attacker(sample, mode, victim), Definitions(), None
    ways = ways_of(victim, attacker.tenant.prefix)
    expected, before = sum(1 for _ in cases_of(definitions, ways)), victim.state()
    for definition, version, way in cases_of(definitions, ways):
        if last in (None, "DeleteTopicsRequest") and definition["name"] != last:
            attacker.restore()
        last = definition["name"]
        attacker.attempt(definition, version, way)
    assert not attacker.found, attacker.found[:20]
    assert victim.state() == before
    assert attacker.cases == expected > 3000
    offered = attacker.offered(definitions)
    unanswered = [case for case in attacker.silent if case[1] in offered.get(case[0], ())]
    assert len(offered) > 40 and not unanswered, unanswered[:20]
    with capsys.disabled():
        print(f"\nisolation: {attacker.cases} cases ({mode}; {attacker.answered} answered)")


def comparable(value, instead):
    """An answer without what differs from one to the next, and with other names instead of some."""
    if isinstance(value, dict):
        return {key: comparable(item, instead) for key, item in value.items() if key not in VARIES}
    if isinstance(value, list):
        return [comparable(item, instead) for item in value]
    if isinstance(value, bytes):
        for name, other in instead.items():
            value = value.replace(name, other)
    return value


class Ghost:
    """A tenant that there is not. What is long in the victim's names is as long in its."""

    def __init__(self, victim):
        self.prefix, self.vault, self.cellar = (f"{uuid.uuid4().hex[:8]}.", f"vault{uuid.uuid4().hex[:10]}",
                                                f"cellar{uuid.uuid4().hex[:10]}")
        self.ids = {name: uuid.uuid4().bytes for name in (TOPIC, self.vault)}
        self.member = f"c{uuid.uuid4().hex}-{uuid.uuid4()}"
        self.mover = (victim.mover[0] + 1_000_000, victim.mover[1])
        self.instead = {getattr(victim, name).encode(): getattr(self, name).encode() for name in ("prefix", "vault", "member")}



VARIES = {"ThrottleTimeMs", "Host", "Port", "Brokers", "Records", "TopicId", "MemberId", "Leader", "ProducerId",
          "TotalBytes", "UsableBytes", "PartitionSize", "ClientInstanceId", "SubscriptionId"}
NAMING = {"prefixed", "id", "vault id", "vault"}


@pytest.mark.parametrize("mode", ["hide", "enforce"])
def test_what_is_anothers_is_answered_as_what_is_nobodys(sample, victim, mode):
    """Offsets, errors and numbers tell as much as names do."""
    attacker, definitions, ghost = Attacker(sample, mode, victim), Definitions(), Ghost(victim)
    ways = [way for way in ways_of(victim, attacker.tenant.prefix) if way.label in NAMING]
    nobodys = {way.label: way for way in ways_of(ghost, attacker.tenant.prefix)}
    cases = list(cases_of(definitions, ways))

    def ask(definition, version, way):
        answer = attacker.attempt(definition, version, way)
        if not answer:
            return None
        return comparable(Reader(definitions.responses[definition["apiKey"]], version, answer[4:]).body, ghost.instead)

    for definition, version, way in cases:
        # What a request makes, such as a topic of A's own by that name, is not there at once.
        wait_until(lambda: ask(definition, version, way) == ask(definition, version, nobodys[way.label]), 30,
                   f"the same answer to {definition['name']} version {version} ({way.label})")
    assert len(cases) > 600 and attacker.answered > len(cases)


NAMELESS = {"ListGroupsRequest", "ListTransactionsRequest", "ListConfigResourcesRequest"}


def ready(attacker, topic):
    """Can be written. Its id."""
    tenant = attacker.tenant
    make(tenant, topic)
    tenant.helper.produce(topic, [{"value": b"first", "partition": n} for n in range(2)])
    return tenant.helper.topic_id(topic)


def alike(prefix, hidden_id, open_id):
    """The same in a namespace, and without one in names that begin with the prefix."""
    pattern = f"{prefix[:-1]}\\.ord.*"
    yield Way("id", ids=hidden_id), Way("id", named(prefix), ids=open_id)
    yield Way("regex", pattern="ord.*"), Way("regex", named(prefix), pattern=pattern)
    yield (Way("group resource", {"resource": GROUP}, resource=32, coordinator=1),
           Way("group resource", named(prefix, resource=prefix + GROUP), resource=32, coordinator=1))
    yield Way("short"), Way("long", named(prefix))


def test_a_namespace_is_a_kafka_of_its_own(sample, victim):
    """Whoever asks for short names in it, and whoever asks for long ones without it, are told the same: else some field of
    a request or an answer is not mapped, and perhaps only the other direction keeps it in."""
    hidden, open_, definitions = Attacker(sample, "hide", victim), Attacker(sample, "none", victim), Definitions()
    prefix, count, offered = f"{uuid.uuid4().hex[:8]}.", 0, hidden.offered(definitions)
    blobs = (struct.pack(">h", len(name)) + name.encode() for name in (prefix + TOPIC, TOPIC))
    instead = {next(blobs): next(blobs), prefix.encode(): b""}

    def ask(attacker, definition, version, way):
        answer = attacker.attempt(definition, version, way)
        return comparable(Reader(definitions.responses[definition["apiKey"]], version, answer[4:]).body, instead)

    for short, long in alike(prefix, ready(hidden, TOPIC), ready(open_, prefix + TOPIC)):
        ready(hidden, TOPIC), ready(open_, prefix + TOPIC)
        for definition, version, _ in cases_of(definitions, [short]):
            acls = "Acls" in definition["name"] and short.resource == 32  # no such ACL, and each says so as it does
            if version in offered.get(definition["apiKey"], ()) and definition["name"] not in NAMELESS and not acls:
                wait_until(lambda: ask(hidden, definition, version, short) == ask(open_, definition, version, long), 30,
                           f"the same answer to {definition['name']} version {version} ({short.label})")
                count += 1
    assert count > 150


@pytest.mark.parametrize("mode", ["hide", "enforce"])
def test_no_page_ends_at_another_tenants_topic(sample, victim, mode):
    """A broker's pages hold all topics in order, and say where the next one begins."""
    attacker, definitions, cursor, seen = Attacker(sample, mode, victim), Definitions(), None, []
    own = {attacker.tenant.create(name).encode() for name in ("aa", "mm", "zz")}
    wire = Wire(definitions, f"127.0.0.1:{attacker.tenant.cluster.port + 2}")
    for _ in range(200):
        answer = wire.ask(definitions.requests[DESCRIBE_TOPIC_PARTITIONS], 0,
                          {"Topics": [], "ResponsePartitionLimit": 1, "Cursor": cursor})
        seen += [topic["Name"] for topic in answer["Topics"]]
        cursor = answer["NextCursor"]
        said = repr([answer["Topics"], cursor]).encode()
        assert not [secret for secret in attacker.secrets if secret in said or repr(secret)[2:-1].encode() in said], answer
        if cursor is None:
            break
    assert cursor is None and set(seen) == own
    wire.close()


def listed(tenant, pattern=ResourcePatternType.ANY, name=None, kind=ResourceType.ANY):
    every = AclBindingFilter(kind, name, pattern, None, None, AclOperation.ANY, AclPermissionType.ANY)
    return {(acl.restype.name, acl.name, acl.resource_pattern_type.name, acl.principal)
            for acl in tenant.admin.describe_acls(every).result(60)}


def lists(tenant, expected):
    """The controller answers a change of ACLs, and the broker that lists them learns of it later."""
    def same():
        found = listed(tenant)
        assert found == expected, found
        return True
    wait_until(same, what="the ACLs to be listed")


def remove(tenant, kind, name, pattern):
    narrow = AclBindingFilter(kind, name, pattern, None, None, AclOperation.ANY, AclPermissionType.ANY)
    deleted, = tenant.admin.delete_acls([narrow]).values()
    return {(acl.name, acl.resource_pattern_type.name) for acl in deleted.result(60)}


def test_tenants_have_acls_of_the_same_names(sample, kafka):
    one, two = Tenant(sample, "hide", OPENED), Tenant(sample, "hide", OPENED)
    third = Tenant(sample, "enforce", OPENED)
    resources = (("TOPIC", "orders", "LITERAL"), ("TOPIC", "*", "LITERAL"), ("GROUP", "team-", "PREFIXED"),
                 ("TRANSACTIONAL_ID", "mover", "LITERAL"))
    grant(one.helper, "User:one", *resources)
    grant(two.helper, "User:two", *resources)
    grant(third.helper, "User:three", ("TOPIC", third.prefix, "PREFIXED"))
    lists(one, {(*resource, "User:one") for resource in resources})
    lists(two, {(*resource, "User:two") for resource in resources})
    lists(third, {("TOPIC", third.prefix, "PREFIXED", "User:three")})
    assert listed(one, ResourcePatternType.MATCH, "orders", ResourceType.TOPIC) == {
        ("TOPIC", name, "LITERAL", "User:one") for name in ("orders", "*")}
    theirs = {acl[:3] for acl in listed(kafka) if acl[3] == "User:one"}
    assert theirs == {("TOPIC", one.prefix + "orders", "LITERAL"), ("TOPIC", one.prefix, "PREFIXED"),
                      ("GROUP", one.prefix + "team-", "PREFIXED"), ("TRANSACTIONAL_ID", one.prefix + "mover", "LITERAL")}
    assert remove(one, ResourceType.TOPIC, "*", ResourcePatternType.LITERAL) == {("*", "LITERAL")}
    assert remove(one, ResourceType.GROUP, "team-", ResourcePatternType.ANY) == {("team-", "PREFIXED")}
    lists(one, {(*resource, "User:one") for resource in (resources[0], resources[3])})
    assert len(listed(two)) == 4
    for kind, name, pattern in ((ResourceType.TOPIC, None, ResourcePatternType.ANY),
                                (ResourceType.TOPIC, "orders", ResourcePatternType.MATCH)):
        with pytest.raises(KafkaException) as refused:
            remove(two, kind, name, pattern)
        assert refused.value.args[0].name() == "CLUSTER_AUTHORIZATION_FAILED"
    with pytest.raises(KafkaException) as refused:
        grant(two.helper, "User:two", ("BROKER", "kafka-cluster", "LITERAL"))
    assert refused.value.args[0].name() == "CLUSTER_AUTHORIZATION_FAILED"
    with pytest.raises(KafkaException):
        grant(third.helper, "User:three", ("TOPIC", "*", "LITERAL"))
    assert len(listed(two)) == 4 and len(listed(third)) == 1


def test_what_is_not_opened_is_not_there(sample):
    """Clients take it for a broker that cannot."""
    for mode in ("none", "hide"):
        tenant = Tenant(sample, mode)
        for ask in (lambda: listed(tenant), lambda: tenant.admin.describe_user_scram_credentials(["x"])["x"].result(60)):
            with pytest.raises(KafkaException) as refused:
                ask()
            assert refused.value.args[0].name() in ("UNSUPPORTED_FEATURE", "_UNSUPPORTED_FEATURE")
    opened = Tenant(sample, "none", {"admin_apis": ["scram", "quotas"]})
    with pytest.raises(KafkaException) as unknown:
        opened.admin.describe_user_scram_credentials(["x"])["x"].result(60)
    assert unknown.value.args[0].name() == "RESOURCE_NOT_FOUND"


def test_topics_are_not_made_by_asking_for_them_where_that_is_limited(sample, kafka):
    free = Tenant(sample, "hide")
    limited = Tenant(sample, "hide", {"limits": {"topics": 5}}, extra_topics=[f"shared-{free.prefix}*"])
    outside = f"shared-{free.prefix}x"
    free.helper.produce("by-itself", [b"x"])
    for topic in ("by-itself", outside):
        with pytest.raises(AssertionError):
            limited.helper.produce(topic, [b"x"], **{"message.timeout.ms": 1500})
    topics = set(kafka.admin.list_topics(timeout=60).topics)
    assert free.prefix + "by-itself" in topics and not {limited.prefix + "by-itself", outside} & topics


def test_one_gateway_leads_to_several_backends(sample, kafka):
    """With the same prefix and the same names."""
    elsewhere = KafkaHelper(os.environ["SLUICE_TEST_KAFKA"])
    sample.admin.create("backend-clusters", name="elsewhere", bootstrap_servers=[elsewhere.bootstrap_servers])
    here = Tenant(sample, "hide")
    there = Tenant(sample, "hide", {"prefix": here.prefix}, backend="elsewhere")
    for tenant, value in ((here, b"here"), (there, b"there")):
        tenant.create(TOPIC)
        tenant.helper.produce(TOPIC, [value])
    assert [r.value() for r in here.helper.consume_all(TOPIC)] == [b"here"]
    assert [r.value() for r in there.helper.consume_all(TOPIC)] == [b"there"]
    assert [r.value() for r in elsewhere.consume_all(here.prefix + TOPIC)] == [b"there"]
    assert [r.value() for r in kafka.consume_all(here.prefix + TOPIC)] == [b"here"]


LISTS = {"MetadataRequest", "ListGroupsRequest", "ListTransactionsRequest", "DescribeLogDirsRequest",
         "DescribeTopicPartitionsRequest"} | ({"ListConfigResourcesRequest"} if known("4.1") else set())
READS = {"MetadataRequest", "FetchRequest", "OffsetFetchRequest"}


def test_without_a_namespace_the_same_requests_find_it_all(sample, victim):
    """Or the test above would prove nothing."""
    attacker, definitions = Attacker(sample, "none", victim), Definitions()
    ways = {way.label: way for way in ways_of(victim, "x")}
    for label, names in (("all", LISTS), ("prefixed", READS), ("id", READS), ("any ACL", {"DescribeAclsRequest"})):
        attacker.secrets = victim.secrets()
        for definition in definitions.requests.values():
            for version in versions_of(definition["validVersions"] if definition["name"] in names else None):
                attacker.attempt(definition, version, ways[label])
    assert {name for name, *_ in attacker.found} >= LISTS | {"FetchRequest", "OffsetFetchRequest",
                                                             "DescribeAclsRequest"}
    assert victim.marker in {secret for *_, secret in attacker.found}


def test_the_other_tenant_was_not_disturbed(victim):
    victim.finish()
