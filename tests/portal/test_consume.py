"""From an application's registration to its usage, as its developers do it, through a real gateway."""

import pytest
import requests

from portal_support import HOSTILE
from sluice_support import KafkaHelper, NativeCluster, SampleApi, wait_until


@pytest.fixture(scope="module")
def sample(module_servers, control, kafka):
    """An event API that everybody may subscribe to: at once (free), or when its owners approve (paid)."""
    sample = SampleApi(control, kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    control.admin.patch("gateway-groups", "dev", rest_url=f"http://127.0.0.1:{sample.port}")
    control.admin.create("plans", product="orders", name="paid", title=HOSTILE, operations=["read"], approval="manual")
    control.admin.create("teams", name="web", title="Web")
    sample.start_gateway(module_servers, usage_interval="1s")
    return sample


@pytest.fixture(scope="module")
def dora(people, sample):
    return people("dora", "developer", "web")


def publish(sample, key):
    session = requests.Session()
    session.trust_env = False
    return session.post(sample.url, json={"n": 1}, headers={"X-API-Key": key}, timeout=30)


def confirm(person, name, verb):
    person.page.get_by_role("button", name=name).click()
    person.page.get_by_role("dialog").get_by_role("button", name=verb, exact=True).click()
    person.page.get_by_role("dialog").wait_for(state="detached")


def shown(page, label):
    return page.locator(".notice", has_text=label).locator("code").last.inner_text()


def test_an_application_is_registered_and_subscribed_at_once(sample, dora):
    page = dora.open("/event-apis/orders/v1")
    page.get_by_role("link", name="Subscribe to free of orders").click()
    page.get_by_text("Register one first").wait_for()
    page.get_by_label("Name").fill("Not a name")
    page.get_by_role("button", name="Register").click()
    page.locator("input[name=name][aria-invalid=true]").wait_for()
    assert page.evaluate("() => document.activeElement.name") == "name"
    dora.check_access()
    page.get_by_label("Name").fill("shop-front")
    page.get_by_label("Title").fill(HOSTILE)
    page.get_by_label("What it does").fill(HOSTILE)
    page.get_by_role("button", name="Register").click()
    page.get_by_label("Environment").select_option("dev")
    dora.check_access()
    page.get_by_role("button", name="Subscribe").click()
    page.wait_for_url("**/applications/shop-front?subscribed=approved")
    dora.see("The subscription is approved")
    assert page.get_by_role("heading", level=1).inner_text() == HOSTILE
    dora.check_unharmed()


def test_credentials_are_shown_once_rotated_and_revoked(sample, dora):
    page = dora.open("/applications/shop-front")
    page.get_by_label("Where it is used").fill(HOSTILE)
    page.get_by_role("button", name="Make a credential").click()
    first = shown(page, "API key, for HTTP")
    assert first.startswith("slk_")
    page.wait_for_function("() => document.activeElement.getAttribute('aria-label') === 'New credential'")
    wait_until(lambda: publish(sample, first).status_code == 201, 60, "the gateway to take the new key")
    dora.check_access()
    dora.open("/applications/shop-front")
    assert first not in page.content()
    page.get_by_role("button", name="Rotate").click()
    page.get_by_role("dialog").wait_for()
    dora.check_access()
    page.get_by_role("dialog").get_by_role("button", name="Make a new one").click()
    second = shown(page, "API key, for HTTP")
    wait_until(lambda: publish(sample, second).status_code == 201, 60, "the gateway to take the key of the rotation")
    assert publish(sample, first).status_code == 201
    credentials = dora.http.get("/v1/credentials?application=shop-front")["items"]
    old = next(c for c in credentials if c["id"] in first)
    row = page.get_by_role("row").filter(has=page.get_by_role("button", name="Revoke")).nth(
        [c["id"] for c in credentials].index(old["id"]))
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).click()
    page.get_by_role("dialog").wait_for(state="detached")
    wait_until(lambda: publish(sample, first).status_code == 401, 60, "the gateway to refuse the revoked key")
    assert publish(sample, second).status_code == 201
    dora.check_unharmed()


def test_a_native_client_uses_the_credential_that_the_page_gave(sample, dora):
    cluster = NativeCluster(sample, "native", authentication=["plain"])
    page = dora.open("/applications/shop-front")
    page.get_by_label("Where it is used").fill("native")
    page.get_by_role("button", name="Make a credential").click()
    helper = KafkaHelper(cluster.bootstrap_servers, {
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
        "sasl.username": shown(page, "User name, for Kafka"), "sasl.password": shown(page, "Secret, for Kafka")})
    wait_until(lambda: sample.topic in helper.admin.list_topics(timeout=3).topics, 60, "the topic by native Kafka")


def test_a_plan_of_its_owners_waits_for_them(sample, dora):
    dora.http.post("/v1/applications", expect=201, name="reports", team="web")
    page = dora.open("/subscribe/orders/paid?api=orders.v1")
    page.get_by_label("Application").select_option("reports")
    page.get_by_role("button", name="Subscribe").click()
    dora.see("waits for the owners")
    page.get_by_role("cell", name="pending").wait_for()
    confirm(dora, "End the subscription", "End it")
    page.get_by_role("cell", name="pending").wait_for(state="detached")
    dora.check_access()
    dora.check_unharmed()


def test_usage_is_drawn_and_told(sample, control, dora):
    def published():  # in one hour or two
        return sum(row["events"] for row in control.admin.list("usage", by="hour", application="shop-front"))

    total = wait_until(lambda: published() >= 4 and published(), 60, "the gateway to tell its usage")
    page = dora.open("/applications/shop-front")
    page.get_by_role("img", name=f"Events (UTC): {total} published").wait_for()
    page.get_by_label("By").focus()
    page.get_by_label("By").select_option("day")
    page.locator("a[download][href*='by=day']").wait_for()  # the part is drawn anew
    page.wait_for_function("() => document.activeElement.name === 'by' && document.activeElement.value === 'day'")
    page.get_by_role("img", name=f"Events (UTC): {total} published").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert download.value.path().read_text().startswith("at,application,")
    dora.check_access()
    dora.check_unharmed()


def test_an_application_that_is_not_used_any_more_goes(sample, control, dora):
    dora.http.post("/v1/applications", expect=201, name="brief", team="web")
    dora.http.post("/v1/credentials", expect=201, application="brief", type="secret")
    page = dora.open("/applications/brief")
    page.get_by_role("button", name="Delete the application").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    dialog.get_by_text("still referred to").wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    confirm(dora, "Revoke", "Revoke")
    row = page.get_by_role("region", name="Credentials")
    row.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    dora.see("There is no credential yet.")
    dora.check_access()
    page.get_by_role("button", name="Delete the application").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url("**/applications")
    control.admin.request("GET", "/v1/applications/brief", expect=404)
    dora.check_unharmed()


def test_the_list_has_the_applications_of_ones_teams(sample, dora, people):
    page = dora.open("/applications")
    assert page.get_by_role("link", name="reports").count() == 1
    assert page.get_by_role("link", name="demo").count() == 0
    dora.check_access()
    stranger = people("stan", "developer", "platform")
    stranger.open("/applications/shop-front")
    assert stranger.page.get_by_role("button", name="Make a credential").count() == 0
    assert stranger.page.get_by_role("button", name="Revoke").count() == 0
    stranger.check_unharmed()
