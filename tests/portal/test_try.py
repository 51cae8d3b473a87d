"""Trying an event API in its page: live events and publishing, as the visitor's own application, by a real gateway."""

import json

import pytest

from portal_support import HOSTILE
from sluice_support import SampleApi, wait_until


@pytest.fixture(scope="module")
def sample(module_servers, control, kafka):
    sample = SampleApi(control, kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    control.admin.patch("gateway-groups", "dev", rest_url=f"http://127.0.0.1:{sample.port}")
    control.admin.create("teams", name="web")
    sample.start_gateway(module_servers)
    return sample


def subscribed(sample, person, name):
    person.http.post("/v1/applications", expect=201, name=name, team="web")
    person.http.post("/v1/subscriptions", expect=201, application=name, plan=sample.plan, environment="dev")


def live_credentials(person, name):
    return [c for c in person.http.get(f"/v1/credentials?application={name}")["items"] if not c.get("revoked_at")]


def allow_pages(sample, control):
    """As the platform team does it; pages of the portal may call the gateways of the group then."""
    policy = control.admin.create("policies", name="portal", type="cors", scope={"kind": "group", "ref": "dev"},
                                  config={"origins": [control.portal_url]})
    wait_until(lambda: sample.gateway.metrics()["sluice_config_applied_version"] >= policy["revision"], 60,
               "the gateway to have the policy")


def test_who_has_no_subscription_is_told_what_to_do(sample, people):
    guest = people("gus", "developer", "web")
    guest.open("/event-apis/orders/v1/try")
    guest.see("you need an application")
    guest.check_access()
    guest.check_unharmed()


def test_an_application_without_a_subscription_is_told_so(sample, people):
    gus = people("gus", "developer", "web")
    gus.http.post("/v1/applications", expect=201, name="idle", team="web")
    page = gus.open("/event-apis/orders/v1/try")
    page.get_by_role("button", name="Start").click()
    gus.see("idle has no approved subscription to orders in dev.")
    assert live_credentials(gus, "idle") == []
    gus.http.request("DELETE", "/v1/applications/idle", expect=204)


def test_a_gateway_that_pages_may_not_call_is_explained(sample, control, people):
    dora = people("dora", "developer", "web")
    subscribed(sample, dora, "early")
    page = dora.open("/event-apis/orders/v1/try")
    page.get_by_role("button", name="Start").click()
    page.get_by_text(f'a policy "cors" with the origin {control.portal_url}').wait_for()
    page.get_by_role("button", name="Stop").click()
    dora.see("Stopped")
    assert live_credentials(dora, "early") == []


def test_events_are_published_and_seen_live_as_text(sample, control, people):
    allow_pages(sample, control)
    eva = people("eva", "developer", "web")
    subscribed(sample, eva, "trial")
    page = eva.open("/event-apis/orders/v1")
    page.get_by_role("link", name="Try it").click()
    page.get_by_label("As the application").select_option("trial")
    page.get_by_role("button", name="Start").click()
    eva.see("The stream is open.")
    page.get_by_label("Event (JSON)").fill("{")
    page.get_by_role("button", name="Publish").click()
    eva.see("This is not JSON")
    page.get_by_label("Event (JSON)").fill(json.dumps({"note": HOSTILE}))
    page.get_by_role("button", name="Publish").click()
    eva.see("Stored as")
    page.get_by_role("log").get_by_text("window.pwned=3").wait_for()
    assert sample.publish({"from": "elsewhere"}).status_code == 201
    page.get_by_role("log").get_by_text("elsewhere").wait_for()
    assert len(live_credentials(eva, "trial")) == 1
    eva.check_access()
    page.get_by_role("link", name="Event APIs").click()
    wait_until(lambda: live_credentials(eva, "trial") == [], 60, "the credential to be revoked when somebody leaves")
    eva.check_unharmed()


def test_a_page_from_before_a_gateway_had_its_address_goes_on_by_itself(sample, control, people):
    eva = people("eva", "developer", "web")
    control.admin.patch("gateway-groups", "dev", rest_url="https://elsewhere.example")
    wait_until(lambda: "https://elsewhere.example" in eva.http.request("GET", "/").headers["Content-Security-Policy"],
               60, "pages to have the old address")
    page = eva.open("/event-apis/orders/v1")
    control.admin.patch("gateway-groups", "dev", rest_url=f"http://127.0.0.1:{sample.port}")
    page.get_by_role("link", name="Try it").click()
    page.get_by_label("As the application").select_option("trial")
    page.get_by_role("button", name="Start").click()
    eva.see("The stream is open.")
    page.get_by_role("button", name="Stop").click()
    eva.see("Stopped")
    wait_until(lambda: live_credentials(eva, "trial") == [], 60, "the credentials of all tries to be revoked")
    eva.trouble.clear()  # what the policy kept the page from is in the console


def test_the_documents_of_the_gateway_are_read_and_kept(sample, people):
    eva = people("eva", "developer", "web")
    page = eva.open("/event-apis/orders/v1")
    page.get_by_role("button", name="show here: AsyncAPI of dev").click()
    page.locator("figure.code", has_text="asyncapi").get_by_text('"3.0.0"').wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert json.loads(download.value.path().read_text())["asyncapi"] == "3.0.0"
    assert download.value.suggested_filename == "orders.v1-dev-asyncapi.json"
    eva.check_access()
    eva.check_unharmed()


def test_the_policy_of_the_page_names_gateways_and_nobody_else(sample, control, people):
    eva = people("eva", "developer", "web")
    control.admin.create("gateway-groups", name="odd", environment="odd", rest_url="https://[::1]:9000/x")

    def sources():
        policy = eva.http.request("GET", "/catalog", expect=200).headers["Content-Security-Policy"]
        return policy.rpartition("connect-src ")[2].split()

    wait_until(lambda: sources() == ["'self'", f"http://127.0.0.1:{sample.port}"], 60, "the group's address")
    control.admin.patch("gateway-groups", "odd", rest_url="https://odd.example:8443/x")
    wait_until(lambda: "https://odd.example:8443" in sources(), 60, "another group's address")
