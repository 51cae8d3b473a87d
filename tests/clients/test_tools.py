"""Kafka's command line tools and kcat see through the gateway what they see at the broker."""

import pytest

from client_support import compare, tell
from tool_stories import STORIES

_AUTHORIZER = {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
               "super.users": "User:ANONYMOUS", "early.start.listeners": "CONTROLLER"}


@pytest.fixture(scope="module")
def broker(own_kafka):
    """With an authorizer, for the ACLs."""
    return own_kafka(config=_AUTHORIZER).helper


@pytest.mark.parametrize("name", STORIES)
def test_the_tools_see_the_same(java, targets, tmp_path, name):
    steps = STORIES[name]
    compare(steps, targets, tell(java, targets, tmp_path, steps))
