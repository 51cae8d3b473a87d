"""The fixtures of these tests are in sluice_support/fixtures.py, which tests/integration uses too."""

from sluice_support.fixtures import *  # noqa: F401,F403
