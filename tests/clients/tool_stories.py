"""What is told with Kafka's command line tools: stories, each a list of steps. See client_support/story.py."""

from client_support import Step, applicable

_TOOLS = "org.apache.kafka.tools."
_AT = ["--bootstrap-server", "BOOTSTRAP"]


_UNSUPPORTED = "(?i)unsupported|not support"


def _hidden(name, arguments):
    """What is the platform's and no tenant's: where replicas are, brokers' settings."""
    if name == "ClientMetricsCommand" and "--list" in arguments:
        return r"^\s*$"
    if name == "ClientMetricsCommand" and "--describe" in arguments:
        return "doesn't exist"
    throttles = name.startswith("reassign.") and "--verify" in arguments  # it wants them gone from brokers
    if name == "ClientMetricsCommand" or name == "ConfigCommand" and "brokers" in arguments or throttles:
        return "ClusterAuthorization"
    moves = name == "LeaderElectionCommand" or name.startswith("reassign.") and "--execute" in arguments
    return _UNSUPPORTED if moves or name == "MetadataQuorumCommand" else ""


def tool(name, *arguments, at=None, **fields):
    looks = name == "GetOffsetShell" or any(word in arguments for word in ("--list", "--describe", "list", "describe"))
    return Step(_TOOLS + name, [*(_AT if at is None else at), *arguments], looks=looks, hidden=_hidden(name, arguments),
                **fields)


def topics(*arguments, **fields):
    return tool("TopicCommand", *arguments, **fields)


def create(name, partitions=1, *more):
    return topics("--create", "--topic", name, "--partitions", partitions, *more, expect=(f"Created topic {name}",))


def produce(topic, lines, *more):
    return tool("ConsoleProducer", "--topic", topic, *more, stdin="".join(f"{line}\n" for line in lines))


def consume(topic, count, *more, **fields):
    return tool("consumer.ConsoleConsumer", "--topic", topic, "--max-messages", count, "--timeout-ms", 60000, *more,
                **fields)


_GROUP = "consumer.group.ConsumerGroupCommand"
_SHARE = "consumer.group.ShareGroupCommand"


def _since(version, *arguments, **fields):
    return tool(*arguments, since=version, **fields)


def _share(*arguments, **fields):
    return _since("4.2", _SHARE, *arguments, **fields)


_MOVE = '{"version": 1, "topics": [{"topic": "NAME-moved"}]}'
_PLAN = ('{"version": 1, "partitions": [{"topic": "NAME-moved", "partition": 0, "replicas": [1], "log_dirs": ["any"]},'
         ' {"topic": "NAME-moved", "partition": 1, "replicas": [1], "log_dirs": ["any"]}]}')
_CUT = '{"version": 1, "partitions": [{"topic": "NAME-cut", "partition": 0, "offset": 7}]}'

# The thread in a line of a tool's log.
_LOG = ((r"(?m)^\[\S+ \w+\]", "[thread]"),)

STORIES = applicable({
    "topics": [
        create("NAME-a", 3, "--config", "retention.ms=86400000", "--config", "cleanup.policy=compact"),
        create("NAME-b"),
        topics("--list", only=True, expect=("NAME-a", "NAME-b")),
        topics("--describe", "--topic", "NAME-a", expect=("PartitionCount: 3", "retention.ms=86400000")),
        topics("--alter", "--topic", "NAME-a", "--partitions", 5),
        topics("--describe", "--topic", "NAME-.*", expect=("PartitionCount: 5", "Topic: NAME-b"),
               ordered=False),
        topics("--describe", "--unavailable-partitions"),
        topics("--create", "--topic", "NAME-a", status=1, expect=("already exists",),
               replace=_LOG),
        topics("--create", "--topic", "NAME a", status=1, expect=("Topic name is invalid",), replace=_LOG),
        topics("--create", "--topic", "NAME-c", "--replication-factor", 9, status=1,
               expect=("replication factor",), replace=_LOG),
        topics("--create", "--topic", "NAME-c", "--config", "no.such=1", status=1,
               expect=("no.such",), replace=_LOG),
        topics("--describe", "--topic", "NAME-none", status=1, expect=("does not exist",), replace=_LOG),
        topics("--delete", "--topic", "NAME-b"),
        topics("--list", only=True, expect=("NAME-a",), absent=("NAME-b",)),
    ],
    "configs": [
        create("NAME-t"),
        tool("ConfigCommand", "--alter", "--entity-type", "topics", "--entity-name", "NAME-t", "--add-config",
             "max.message.bytes=2000000,retention.ms=1000", expect=("Completed updating",)),
        tool("ConfigCommand", "--alter", "--entity-type", "topics", "--entity-name", "NAME-t", "--delete-config",
             "retention.ms", expect=("Completed updating",)),
        tool("ConfigCommand", "--describe", "--entity-type", "topics", "--entity-name", "NAME-t",
             expect=("max.message.bytes=2000000",), absent=("retention.ms=1000",)),
        tool("ConfigCommand", "--describe", "--entity-type", "topics", "--entity-name", "NAME-t", "--all",
             expect=("retention.ms=-1",)),
        tool("ConfigCommand", "--alter", "--entity-type", "topics", "--entity-name", "NAME-none", "--add-config",
             "retention.ms=1", status=1, expect=("UnknownTopicOrPartition",), replace=((r"\(\S+:\d+\)", ""),)),
        tool("ConfigCommand", "--describe", "--entity-type", "brokers", "--entity-name", "1", "--all",
             expect=("auto.create.topics.enable=false",), tells_broker=True),
        tool("ConfigCommand", "--alter", "--entity-type", "groups", "--entity-name", "NAME-g", "--add-config",
             "consumer.session.timeout.ms=50000", expect=("Completed updating",), since="4.0"),
        tool("ConfigCommand", "--describe", "--entity-type", "groups", "--entity-name", "NAME-g",
             expect=("consumer.session.timeout.ms=50000",), since="4.0"),
        tool("ClientMetricsCommand", "--alter", "--name", "NAME-m", "--metrics", "org.apache.kafka.consumer.",
             "--interval", 60000, expect=("Altered client metrics",)),
        tool("ClientMetricsCommand", "--describe", "--name", "NAME-m", expect=("interval.ms=60000",)),
        tool("ClientMetricsCommand", "--list", only=True, expect=("NAME-m",)),
        tool("ClientMetricsCommand", "--delete", "--name", "NAME-m"),
        tool("ConfigCommand", "--describe", "--entity-type", "clients", "--entity-default",
             refused="UnsupportedVersion"),
        tool("ConfigCommand", "--describe", "--entity-type", "users", "--entity-name", "NAME-u",
             refused="UnsupportedVersion"),
    ],
    "acls": [
        tool("AclCommand", "--add", "--allow-principal", "User:NAME-u", "--operation", "Read", "--operation", "Describe",
             "--topic", "NAME-t", "--group", "NAME-g", expect=("ALLOW",), ordered=False),
        tool("AclCommand", "--add", "--deny-principal", "User:NAME-v", "--deny-host", "192.0.2.1", "--operation",
             "Write", "--topic", "NAME-", "--resource-pattern-type", "prefixed", expect=("DENY",), ordered=False),
        tool("AclCommand", "--add", "--allow-principal", "User:NAME-u", "--transactional-id", "NAME-x", "--operation",
             "Write", ordered=False),
        tool("AclCommand", "--list", "--topic", "NAME-t", "--resource-pattern-type", "match",
             expect=("NAME-u", "NAME-v"), ordered=False, replace=((r"ResourcePattern.*principal", ""),)),
        tool("AclCommand", "--list", "--principal", "User:NAME-u", expect=("TRANSACTIONAL_ID",), ordered=False),
        tool("AclCommand", "--remove", "--force", "--topic", "NAME-t"),
        tool("AclCommand", "--list", "--topic", "NAME-t", absent=("NAME-u",)),
        tool("AclCommand", "--remove", "--force", "--topic", "NAME-", "--resource-pattern-type", "prefixed"),
        tool("AclCommand", "--remove", "--force", "--group", "NAME-g"),
        tool("AclCommand", "--remove", "--force", "--transactional-id", "NAME-x"),
    ],
    "console": [
        create("NAME-t"),
        produce("NAME-t", ["a:1|one", "b:2|two", "|three"], "--property", "parse.headers=true", "--property",
                "parse.key=true", "--property", "headers.delimiter=|", "--property", "key.separator==", "--property",
                "ignore.error=true"),
        consume("NAME-t", 3, "--from-beginning", "--property", "print.headers=true", "--property", "print.partition=true",
                "--property", "print.offset=true", ordered=False, expect=("one", "three")),
        produce("NAME-t", ["four", "five"], "--compression-codec", "zstd", "--producer-property", "acks=1"),
        produce("NAME-t", ["six"], "--producer-property", "acks=0"),
        consume("NAME-t", 6, "--from-beginning", "--isolation-level", "read_committed", ordered=False, expect=("six",)),
        create("NAME-one"),
        produce("NAME-one", ["seven", "eight"]),
        consume("NAME-one", 1, "--partition", 0, "--offset", 1, expect=("eight",)),
    ],
    "consumer groups": [
        create("NAME-t"),
        produce("NAME-t", range(10)),
        consume("NAME-t", 10, "--from-beginning", "--group", "NAME-g", ordered=False),
        tool(_GROUP, "--list", only=True, expect=("NAME-g",)),
        tool("GroupsCommand", "--list", only=True, expect=("NAME-g Classic|NAME-g Consumer",)),
        tool(_GROUP, "--describe", "--group", "NAME-g", expect=("NAME-g NAME-t 0",), ordered=False),
        tool(_GROUP, "--describe", "--group", "NAME-g", "--state", expect=("Empty",)),
        tool(_GROUP, "--describe", "--group", "NAME-g", "--members"),
        tool(_GROUP, "--reset-offsets", "--group", "NAME-g", "--topic", "NAME-t", "--to-offset", 2, "--execute",
             expect=("NAME-g NAME-t 0 2",)),
        tool(_GROUP, "--reset-offsets", "--group", "NAME-g", "--all-topics", "--to-datetime",
             "2024-01-01T00:00:00.000", "--dry-run", ordered=False),
        tool(_GROUP, "--delete-offsets", "--group", "NAME-g", "--topic", "NAME-t:0", expect=("Successful",)),
        tool(_GROUP, "--describe", "--group", "NAME-g", "--offsets", ordered=False),
        tool(_GROUP, "--delete", "--group", "NAME-g", expect=("Deletion of requested|GroupIdNotFound",)),
        tool(_GROUP, "--describe", "--group", "NAME-g", expect=("GroupIdNotFoundException|does not exist",)),
        tool(_GROUP, "--delete", "--group", "NAME-none", expect=("GroupIdNotFound|does not exist|not found",)),
    ],
    "share groups": [
        create("NAME-t"),
        tool("ConfigCommand", "--alter", "--entity-type", "groups", "--entity-name", "NAME-s", "--add-config",
             "share.auto.offset.reset=earliest", since="4.2"),
        produce("NAME-t", range(10)),
        _since("4.2", "consumer.ConsoleShareConsumer", "--topic", "NAME-t", "--group", "NAME-s", "--max-messages", 10,
             "--timeout-ms", 60000, ordered=False, expect=("9",)),
        _share("--list", only=True, expect=("NAME-s",)),
        _share("--describe", "--group", "NAME-s", ordered=False, expect=("NAME-s NAME-t 0",)),
        _share("--describe", "--group", "NAME-s", "--state", expect=("Empty",)),
        _share("--describe", "--group", "NAME-s", "--members", "--verbose"),
        _share("--reset-offsets", "--group", "NAME-s", "--topic", "NAME-t", "--to-earliest", "--execute",
             ordered=False),
        _share("--delete-offsets", "--group", "NAME-s", "--topic", "NAME-t"),
        _share("--delete", "--group", "NAME-s"),
        _share("--list", only=True, absent=("NAME-s",)),
    ],
    "transactions": [
        create("NAME-t"),
        Step("Transact", ["BOOTSTRAP", "NAME-t", "NAME-x"], expect=("committed 5",)),
        tool("TransactionsCommand", "list", only=True, expect=("NAME-x.*Complete",), replace=((r" \d+ (?=\d+ Complete)", " ID "),
             (r"\s\d+\s+Complete", " PRODUCER Complete"))),
        tool("TransactionsCommand", "list", "--transactional-id-pattern", "NAME-.*", only=True, expect=("NAME-x.*Complete",),
             replace=((r"\s\d+\s+Complete", " PRODUCER Complete"),), since="4.1"),
        tool("TransactionsCommand", "describe", "--transactional-id", "NAME-x", expect=("NAME-x.*Complete",),
             replace=((r"NAME-x\s+\d+", "NAME-x PRODUCER"), (r"\d+(?=\s*$)", "DURATION"))),
        tool("TransactionsCommand", "describe-producers", "--topic", "NAME-t", "--partition", 0,
             replace=((r"(?m)^\d+", "PRODUCER"),)),
        tool("TransactionsCommand", "find-hanging", "--broker-id", 1),
    ],
    "reassign partitions": [
        create("NAME-moved", 2),
        tool("reassign.ReassignPartitionsCommand", "--generate", "--topics-to-move-json-file", "FOLDER/move.json",
             "--broker-list", "1", expect=("NAME-moved",), files={"move.json": _MOVE}),
        tool("reassign.ReassignPartitionsCommand", "--execute", "--reassignment-json-file", "FOLDER/plan.json",
             expect=("Successfully started",), files={"plan.json": _PLAN}),
        tool("reassign.ReassignPartitionsCommand", "--verify", "--reassignment-json-file", "FOLDER/plan.json",
             expect=("is completed",)),
        tool("reassign.ReassignPartitionsCommand", "--list", expect=("No partition reassignments",)),
        tool("LeaderElectionCommand", "--election-type", "preferred", "--topic", "NAME-moved", "--partition", 0,
             expect=("Valid replica already elected",)),
    ],
    "records and offsets": [
        create("NAME-cut"),
        produce("NAME-cut", range(10)),
        tool("GetOffsetShell", "--topic", "NAME-cut", expect=("NAME-cut:0:10",)),
        tool("DeleteRecordsCommand", "--offset-json-file", "FOLDER/cut.json", expect=("low_watermark: 7",),
             files={"cut.json": _CUT}),
        tool("GetOffsetShell", "--topic", "NAME-cut", "--time", "-2", expect=("NAME-cut:0:7",)),
        tool("GetOffsetShell", "--topic", "NAME-cut", "--time", "-3", expect=("NAME-cut:0:",), same=False),
        tool("GetOffsetShell", "--topic", "NAME-cut", "--time", "-4"),
        tool("GetOffsetShell", "--topic-partitions", "NAME-.*:0", "--time", "1"),
        tool("GetOffsetShell", "--topic", "NAME-none", status=1, expect=("Could not match",)),
        # How large records are depends on the times between them.
        tool("LogDirsCommand", "--describe", "--topic-list", "NAME-cut", expect=('"NAME-cut-0","size":SIZE',),
             replace=((r'"size":[1-9]\d*', '"size":SIZE'),)),
        consume("NAME-cut", 3, "--from-beginning", expect=("^7$",)),
    ],
    "cluster": [
        tool("ClusterTool", at=["cluster-id", *_AT], expect=("Cluster ID: ",)),
        tool("ClusterTool", at=["list-endpoints", *_AT], expect=("ADDRESS|127.0.0.1",), replace=((r"127.0.0.1\s+\d+", "ADDRESS"),)),
        tool("ClusterTool", "--id", 9, at=["unregister", *_AT], status=1, refused="(?i)unsupported|not support",
             expect=("BrokerIdNotRegistered",)),
        tool("FeatureCommand", "describe", expect=("metadata.version",), replace=((r"Epoch: \d+", "EPOCH"),)),
        tool("FeatureCommand", "upgrade", "--feature", "group.version=1", expect=("was upgraded",),
             refused="(?i)unsupported|not support", since="4.0"),
        tool("MetadataQuorumCommand", "describe", "--replication", expect=("Leader",), same=False),
        tool("MetadataQuorumCommand", "describe", "--status", expect=("LeaderId: 1",), same=False),
    ],
    "performance": [
        create("NAME-p", 6),
        # A broker that still takes the partitions up may hold the first records back until they time out.
        tool("GetOffsetShell", "--topic", "NAME-p", expect=("NAME-p:5:0",)),
        tool("ProducerPerformance", "--topic", "NAME-p", "--num-records", 5000, "--record-size", 1000, "--throughput",
             -1, "--producer-props", "bootstrap.servers=BOOTSTRAP", "acks=all", at=[], expect=("5000 records sent",),
             same=False),
        tool("ConsumerPerformance", "--topic", "NAME-p", "--num-records", 5000, "--timeout", 60000,
             expect=(", 5000,",), same=False),
        tool("ConfigCommand", "--alter", "--entity-type", "groups", "--entity-name", "NAME-s", "--add-config",
             "share.auto.offset.reset=earliest", since="4.2"),
        tool("ShareConsumerPerformance", "--topic", "NAME-p", "--num-records", 5000, "--group", "NAME-s", "--timeout",
             60000, expect=("5000",), same=False, since="4.2"),
        tool("GetOffsetShell", "--topic", "NAME-p", same=False, expect=("NAME-p:5",)),
    ],
    "kcat": [
        create("NAME-k", 3),
        Step("kcat", ["-b", "BOOTSTRAP", "-P", "-t", "NAME-k", "-p", "1", "-K", ":", "-H", "h=v", "-z", "lz4"],
             stdin="k1:one\nk2:two\n"),
        Step("kcat", ["-q", "-b", "BOOTSTRAP", "-C", "-t", "NAME-k", "-e", "-o", "beginning", "-f",
                      "%p %o %k %s %h\\n"], expect=("1 0 k1 one h=v",), ordered=False),
        Step("kcat", ["-b", "BOOTSTRAP", "-L", "-t", "NAME-k"], expect=("3 partitions",),
             replace=((r"from broker [^)]*", "from broker"),)),
        Step("kcat", ["-b", "BOOTSTRAP", "-Q", "-t", "NAME-k:1:1"], expect=("NAME-k",)),
        Step("kcat", ["-b", "BOOTSTRAP", "-G", "NAME-g", "-X", "auto.offset.reset=earliest", "-c", "2", "NAME-k"],
             expect=("one", "two"), ordered=False, replace=((r"(?m)^% .*$", ""),)),
    ],
})
