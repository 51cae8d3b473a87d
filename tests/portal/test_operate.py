"""What operators see and do: gateways, topics, versions and the way back, the audit trail; and what all of it weighs."""

import pytest

from portal_support import HOSTILE
from sluice_support import SampleApi, wait_until
from sluice_support.portal import portal_files

LARGEST = 150_000  # bytes of everything that the pages are made of, as it is transferred


@pytest.fixture(scope="module")
def control(module_servers):
    return module_servers.control(portal_sign_in_failures=0, inventory_interval="300ms", inventory_delay="0s")


@pytest.fixture(scope="module")
def sample(module_servers, control, kafka):
    sample = SampleApi(control, kafka.bootstrap_servers, kafka.create_topic("operated", partitions=3))
    sample.start_gateway(module_servers)
    return sample


@pytest.fixture(scope="module")
def ada(people, sample):
    return people("ada", "platform-admin")


def test_gateways_are_shown_as_they_are(sample, control, ada):
    (node,) = control.admin.list("gateway-nodes")
    page = ada.open("/operate")
    row = page.get_by_role("row").filter(has_text=node["name"])
    row.get_by_text("connected").wait_for()
    control.admin.patch("gateway-groups", "dev", title="Anew " + HOSTILE)
    ada.see("Anew " + HOSTILE)  # by itself
    ada.check_access()
    ada.check_unharmed()


def test_another_gateway_joins_by_what_the_page_says(sample, module_servers, control, ada):
    page = ada.open("/operate")
    page.get_by_role("link", name="Add a gateway").click()
    page.get_by_role("button", name="Make a join string").click()
    join = page.locator(".notice code").first
    join.wait_for()
    ada.check_access()
    gateway = module_servers.gateway(join.inner_text())
    page.get_by_role("link", name="Look at the gateways").click()
    wait_until(lambda: page.get_by_role("cell", name="connected").count() == 2, 60, "the new gateway to be shown")
    gateway.stop()
    module_servers.programs.remove(gateway)
    ada.check_unharmed()


def test_topics_of_backends_are_listed(sample, ada):
    wait_until(lambda: ada.http.get("/v1/backend-clusters/local/topics?search=" + sample.topic)["items"], 60,
               "the topic to be found")
    page = ada.open("/operate/topics?search=" + sample.topic)
    row = page.get_by_role("row").filter(has_text=sample.topic)
    row.first.get_by_text("orders.v1@dev").wait_for()
    ada.check_access()
    ada.open("/operate/topics?search=" + sample.topic + "&managed=false")
    ada.see("No topic was found.")
    ada.check_unharmed()


def test_versions_are_compared_and_gone_back_to(sample, control, ada):
    before = control.admin.list("config-versions", group="dev")[0]["version"]
    control.admin.patch("event-apis", "orders.v1", max_event_bytes=1000)
    wait_until(lambda: control.admin.list("config-versions", group="dev")[0]["version"] > before, 60, "the new version")
    page = ada.open("/operate/versions")
    page.get_by_role("button", name=f"Compare version {before}", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.locator("summary", has_text="event-apis/orders.v1").click()
    dialog.get_by_role("cell", name="max_event_bytes").wait_for()
    ada.check_access()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    page.get_by_role("button", name=f"Go back to version {before}", exact=True).click()
    dialog.locator("[name=reason]").fill(HOSTILE[:200])
    ada.check_access()
    dialog.get_by_role("button", name="Go back").click()
    dialog.wait_for(state="detached")
    assert control.admin.get("event-apis", "orders.v1")["max_event_bytes"] == 1048576
    wait_until(lambda: control.admin.list("config-versions", group="dev")[0].get("reason"), 60, "the version of the way back")
    ada.open("/operate/versions")
    ada.see(HOSTILE[:200])
    ada.check_unharmed()


def test_the_audit_trail_says_who_did_what(sample, control, ada):
    control.admin.create("teams", name="odd", title=HOSTILE)
    page = ada.open("/operate/audit")
    page.locator("[name=kind]").fill("teams")
    page.locator("[name=ref]").fill("odd")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/operate/audit?kind=teams&ref=odd")
    ada.settle()  # the list from before has the button too
    page.get_by_role("button", name="What changed: create odd").click()
    page.get_by_role("dialog").get_by_text(HOSTILE).wait_for()
    ada.check_access()
    ada.check_unharmed()


def test_who_may_not_operate_is_not_led_there(sample, people):
    dora = people("dora", "developer")
    page = dora.open("/")
    assert page.get_by_role("navigation", name="Main").get_by_role("link").all_inner_texts() == [
        "Start", "REST and event APIs", "Applications", "Teams"]
    dora.open("/operate/audit")
    dora.see("Not allowed")
    dora.check_access()


def test_every_page_together_is_small(sample, ada):
    files = portal_files(ada.http)
    assert len(files) > 20 and sum(files.values()) < LARGEST, files
