"""What is told with Java programs: groups of every protocol, transactions, Kafka Streams. See client_support/story.py."""

from client_support import Step, applicable
from tool_stories import create, tool

def _members(protocol, static, since=""):
    """A group that grows, shrinks and, with static members, sees one come back."""
    after = "the other kept its own: true" if static else "the remaining member has all"
    return [
        create("NAME-t", 4),
        Step("Members", ["BOOTSTRAP", "NAME-t", "NAME-g", protocol, str(static).lower()], since=since,
             expect=("two members have half each", after, "all is read", "records read twice: 0")),
    ]


def _streams(protocol, since=""):
    return [
        create("NAME-in", 2),
        create("NAME-out", 2),
        Step("Streams", ["BOOTSTRAP", "NAME-in", "NAME-out", "NAME-app", protocol, "FOLDER"],
             since=since,
             expect=(r"\{four=160, one=40, three=120, two=80\}",)),
        tool("TopicCommand", "--list", only=True, expect=("-changelog", "-repartition"), since=since),
        tool("TopicCommand", "--describe", "--topic", "NAME-app-counts-changelog", expect=("cleanup.policy=compact",),
             since=since),
    ]


STORIES = applicable({
    "classic group": _members("classic", False),
    "classic group, static members": _members("classic", True),
    "consumer group (KIP-848)": _members("consumer", False, "4.0"),
    "consumer group (KIP-848), static members": _members("consumer", True, "4.0"),
    "share group": [
        create("NAME-t", 3),
        tool("ConfigCommand", "--alter", "--entity-type", "groups", "--entity-name", "NAME-s", "--add-config",
             "share.auto.offset.reset=earliest", since="4.2"),
        Step("Share", ["BOOTSTRAP", "NAME-t", "NAME-s"], since="4.2", expect=("records 60, delivered twice 20, rejected 20",)),
    ],
    "telemetry (KIP-714)": [
        Step("Telemetry", ["BOOTSTRAP"], expect=("topics listed: true", "an id: null")),
    ],
    "streams": _streams("classic"),
    "streams group (KIP-1071)": _streams("streams", "4.2"),
})
