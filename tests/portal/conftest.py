"""The fixtures of tests/integration, and a browser."""

import os

import pytest
from playwright.sync_api import sync_playwright

from portal_support import Person
from sluice_support.fixtures import *  # noqa: F401,F403

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium; where the tests run as root it cannot have its sandbox."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM,
                                             args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def control(module_servers):
    return module_servers.control(portal_sign_in_failures=0)  # every test comes from the same address


@pytest.fixture(scope="module")
def people(chromium, control):
    """people(name, role, team) is somebody with an account, signed in, and a tab of a browser; a name comes once."""
    all_people = {}

    def somebody(name, role="developer", team=None):
        if name not in all_people:
            all_people[name] = Person(chromium, control, name, role, team)
        return all_people[name]

    yield somebody
    for person in all_people.values():
        person.leave()
