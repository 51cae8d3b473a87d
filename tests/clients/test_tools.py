"""Kafka's command line tools and kcat see through the gateway what they see at the broker."""

import re
from pathlib import Path

import pytest

from client_support import compare, tell
from tool_stories import STORIES

_AUTHORIZER = {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
               "super.users": "User:ANONYMOUS", "early.start.listeners": "CONTROLLER"}


@pytest.fixture(scope="module")
def broker_config():
    """With an authorizer, for the ACLs."""
    return _AUTHORIZER


@pytest.mark.parametrize("name", STORIES)
def test_the_tools_see_the_same(java, targets, tmp_path, name):
    steps = STORIES[name]
    compare(steps, targets, tell(java, targets, tmp_path, steps))


def _usable(java, target):
    """What kafka-broker-api-versions prints: {key: (first, last)}."""
    outcome = java.run("org.apache.kafka.tools.BrokerApiVersionsCommand", "--bootstrap-server", target.bootstrap_servers)
    assert outcome.status == 0, outcome.errors
    found = re.findall(r"\w+\((\d+)\): (\d+)(?: to (\d+))? \[usable", outcome.output)
    return {int(key): (int(first), int(last or first)) for key, first, last in found}


def _served():
    """The table of docs/kafka-api.md: what a virtual cluster offers that opens ACLs."""
    table = (Path(__file__).resolve().parents[2] / "docs" / "kafka-api.md").read_text()
    rows = re.findall(r"^\| (\d+) \| \w+ \| [^|]*\| (\d+)(?:-(\d+))? \| [^|]*\| (\w+) \|", table, re.M)
    rows = [row for row in rows if row[3] in ("rewrite", "local") or row[0] in ("29", "30", "31")]
    return {int(key): (int(first), int(last or first)) for key, first, last, _ in rows}


def test_api_versions_are_what_is_documented_and_the_broker_has(java, targets):
    direct, gateway = (_usable(java, target) for target in targets[:2])
    served = _served()
    assert set(gateway) == set(direct) & set(served)
    local = {17, 18, 36}  # answered by the gateway itself
    for key in set(gateway) - local:
        assert gateway[key][1] == min(direct[key][1], served[key][1]), key
        assert gateway[key][0] == max(direct[key][0], 0 if key == 0 else served[key][0]), key
