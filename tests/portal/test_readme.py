"""The README's section "For the people who use your streams" does what it says, with the addresses of a test, as far as the pages."""

import re

import pytest

from portal_support import Person
from sluice_support import SampleApi, wait_until
from sluice_support.readme import Shell, commands


@pytest.fixture(scope="module")
def sample(module_servers, control, kafka):
    """As the quickstart has it: the group dev with an address, and an event API with a plan."""
    sample = SampleApi(control, kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    control.admin.patch("gateway-groups", "dev", rest_url=f"http://127.0.0.1:{sample.port}")
    sample.start_gateway(module_servers)
    return sample


@pytest.fixture
def shell(control, tmp_path):
    return Shell(tmp_path, {"http://127.0.0.1:8001": control.admin_url, "http://127.0.0.1:8002": control.portal_url},
                 SLUICE_TOKEN=control.token)


@pytest.fixture
def you(chromium, control):
    person = Person(chromium, control, "you")
    yield person
    person.leave()


def test_the_commands_lead_to_an_administrator_who_tries_an_event_api(sample, control, shell, you):
    invite, allow = commands("For the people who use your streams")
    link = shell(invite).strip()
    assert re.fullmatch(re.escape(control.portal_url) + r"/invitation#\S+", link)
    page = you.page
    page.goto(link)
    you.settle()
    page.get_by_label("Account name").fill("you")
    page.get_by_label("Password").fill("a long way to the stream")
    page.get_by_role("button", name="Make my account").click()
    you.see("Welcome, you")
    assert control.admin.get("users", "you")["roles"] == ["platform-admin"]
    policy = shell(allow)
    assert '"status":4' not in policy and '"name":"portal"' in policy, policy
    wait_until(lambda: sample.gateway.metrics()["sluice_config_applied_version"]
               >= control.admin.get("policies", "portal")["revision"], 60, "the gateway to have the policy")
    control.admin.patch("users", "you", teams=[sample.team])
    you.open(f"/event-apis/{sample.name}/v1/try")
    page.get_by_label("As the application").select_option(sample.application)
    page.get_by_role("button", name="Start").click()
    you.see("The stream is open.")
    page.get_by_label("Event (JSON)").fill('{"from": "the page"}')
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("log").get_by_text("the page").wait_for()
