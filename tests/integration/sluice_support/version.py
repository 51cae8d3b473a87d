"""The version of the broker that the tests run against."""

import os

BROKER_VERSION = os.environ.get("SLUICE_TEST_KAFKA_VERSION", "4.4.0")


def known(since, version=BROKER_VERSION):
    """Does the broker know what came with a version? Empty: all do."""
    def numbers(text):
        return [int(part) for part in text.split(".")]
    return not since or numbers(version) >= numbers(since)
