"""Finding event APIs, and what their pages show: of whatever people wrote, as text."""

import json

import pytest

from portal_support import HOSTILE, Person
from sluice_support.portal import Browser

MARKDOWN = """# Every order

Told as it *happens*. [Terms](https://example.com/terms)

| field | what |
| --- | --- |
| `id` | the order |

<script>window.pwned=4</script> <img src=x onerror="window.pwned=5">

[click](javascript:window.pwned=6) ![picture](https://pictures.example/x.png)
"""


@pytest.fixture(scope="module")
def world(control):
    admin = control.admin
    admin.create("teams", name="shop", title="The shop " + HOSTILE)
    admin.create("teams", name="bank")
    admin.create("gateway-groups", name="dev", environment="dev", title=HOSTILE, rest_url="https://dev.example/",
                 kafka_url="dev.example:19092")
    admin.create("backend-clusters", name="local", bootstrap_servers=["127.0.0.1:1"])
    admin.create("virtual-clusters", name="local", backend_cluster="local", namespace={"mode": "none"})
    admin.create("listeners", name="http", gateway_group="dev", protocol="http", address="127.0.0.1:1")
    admin.create("event-apis", name="orders", major=1, team="shop", title="Orders " + HOSTILE, description=MARKDOWN,
                 operations=["publish", "read"], exposures=["rest", "sse", "kafka"], lifecycle="published",
                 tags=["retail"], changelog="## 2 June\n\nMore *orders*. " + HOSTILE,
                 examples=[{"title": HOSTILE, "value": '{"id": 7}'}, {"value": HOSTILE}],
                 schema={"format": "json_schema", "definition": '{"title": "</script><b>"}'})
    admin.create("deployments", event_api="orders.v1", gateway_group="dev", virtual_cluster="local",
                 topic="orders", listener="http")
    admin.create("listeners", name="native", gateway_group="dev", protocol="kafka", address="127.0.0.1:2",
                 kafka={"routing": "ports", "virtual_cluster": "local",
                        "port_ranges": [{"first_node_id": 0, "last_node_id": 1, "port_base": 3}]})
    admin.create("event-apis", name="native", major=1, team="shop", operations=["read"], exposures=["kafka"])
    admin.create("deployments", event_api="native.v1", gateway_group="dev", virtual_cluster="local", topic="orders",
                 listener="native")
    admin.create("event-apis", name="secret", major=1, team="bank", operations=["read"], exposures=["rest"],
                 lifecycle="published")
    admin.create("products", name="orders", team="shop", title=HOSTILE, visibility="signed-in",
                 lifecycle="published", event_apis=["orders.v1"])
    admin.create("plans", product="orders", name="free", title=HOSTILE, operations=["read"], approval="auto")
    for i in range(45):
        admin.create("event-apis", name=f"stock{i:02}", major=1, team="shop", operations=["read"],
                     exposures=["rest"], description="How much there is.")


def test_somebody_finds_an_event_api_by_words_and_filters(world, people):
    ann = people("ann", team="bank")
    page = ann.open("/catalog")
    assert [a.get_attribute("href") for a in page.get_by_role("article").locator("h2 a").all()] == [
        "/event-apis/orders/v1", "/event-apis/secret/v1"]
    page.get_by_label("Words").fill("ord hap")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/catalog?q=ord+hap")
    ann.settle()
    assert page.get_by_role("article").count() == 1
    page.get_by_role("link", name="retail").click()
    page.wait_for_url("**/catalog?tag=retail")
    ann.settle()
    assert page.get_by_role("article").count() == 1
    ann.open("/catalog?q=nothing-like-this")
    ann.see("Nothing was found.")
    ann.check_access()
    ann.check_unharmed()


def test_a_long_list_comes_a_page_at_a_time(world, people):
    bob = people("bob", team="shop")
    page = bob.open("/catalog?team=shop")
    assert page.get_by_role("article").count() == 30
    page.get_by_role("button", name="Show more").click()
    page.wait_for_function("() => document.querySelectorAll('article').length === 47")
    assert page.get_by_role("button", name="Show more").is_hidden()
    assert page.evaluate("() => document.activeElement.closest('li') === document.querySelectorAll('main li')[30]")
    bob.check_unharmed()


def test_the_page_of_an_event_api_shows_what_people_wrote_as_text(world, people):
    ann = people("ann", team="bank")
    page = ann.open("/event-apis/orders/v1")
    assert page.get_by_role("heading", level=1).inner_text() == "Orders " + HOSTILE
    assert page.get_by_role("heading", name="Every order").count() == 1
    assert page.get_by_role("link", name="Terms").get_attribute("href") == "https://example.com/terms"
    assert page.locator(".prose table td").first.inner_text() == "id"
    assert page.locator("main img, main script, main svg, main [onerror], main [onload]").count() == 0
    assert not any("javascript" in (a.get_attribute("href") or "").lower() for a in page.locator("main a").all())
    assert page.get_by_role("heading", name="2 June").count() == 1
    assert '"id": 7' in page.locator("figure", has_text="window.pwned=3").first.inner_text()
    assert "</script><b>" in page.locator("main").inner_text()
    ann.check_access()
    ann.check_unharmed()


def test_first_steps_have_the_addresses_of_the_environment(world, people):
    ann = people("ann", team="bank")
    page = ann.open("/event-apis/orders/v1")
    page.get_by_role("tab", name="curl").focus()
    for language, wanted in (("curl", "https://dev.example/orders/v1/events"), ("JavaScript", "fetch(url"),
                             ("Python", "requests.post"), ("Kafka", "-b dev.example:19092")):
        assert page.evaluate("() => document.activeElement.textContent") == language
        assert wanted in page.get_by_role("tabpanel").inner_text()
        page.keyboard.press("ArrowRight")
    assert page.get_by_role("link", name="AsyncAPI").get_attribute("href") == "https://dev.example/orders/v1/asyncapi.json"


def test_what_is_reached_by_kafka_alone_has_an_asyncapi_document_of_the_catalog(world, people):
    """To read and to keep; no gateway is asked."""
    ben = people("ben", "developer", "shop")
    page = ben.open("/event-apis/native/v1")
    link = page.get_by_role("link", name="AsyncAPI", exact=True)
    assert link.get_attribute("href") == "/v1/catalog/native.v1/asyncapi?gateway_group=dev"
    page.get_by_role("button", name="show here: AsyncAPI of dev").click()
    page.locator("figure.code", has_text="asyncapi").get_by_text('"dev.example:19092"').wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "native.v1-dev-asyncapi.json"
    document = json.loads(download.value.path().read_text())
    assert document == ben.http.get("/v1/catalog/native.v1/asyncapi?gateway_group=dev")
    assert document["servers"]["kafka"]["protocol"] == "kafka" and list(document["operations"]) == ["consume"]
    ben.check_access()
    ben.check_unharmed()


def test_what_is_reached_by_kafka_alone_has_no_address_of_another_kind(world, people):
    ben = people("ben", "developer", "shop")
    page = ben.open("/event-apis/native/v1")
    assert page.get_by_role("tab").all_inner_texts() == ["Kafka"]
    assert "-b dev.example:19092" in page.get_by_role("tabpanel").inner_text()
    assert "https://dev.example" not in page.content()
    assert page.get_by_role("link", name="OpenAPI").count() == 0
    assert page.get_by_role("link", name="Try it").count() == 0
    ben.open("/event-apis/native/v1/try")
    ben.see("native Kafka alone")
    ben.check_access()
    ben.check_unharmed()


def test_what_is_not_visible_is_not_there(world, people):
    bob = people("bob", team="shop")
    bob.open("/event-apis/secret/v1")
    bob.see("there is no event API secret")
    assert bob.http.get("/v1/catalog?q=secret")["items"] == []


def test_the_profile_shows_what_others_could_write(control, people):
    pat = people("pat", "viewer")
    thief = Browser(control.portal_url)
    thief._session.headers["User-Agent"] = HOSTILE
    thief.sign_in("pat")
    pat.http.post("/auth/tokens", expect=201, name=HOSTILE[:100], scopes=["event-apis:read"])
    pat.http.request("PATCH", "/auth/profile", expect=200, json={"title": HOSTILE})
    pat.open("/profile")
    pat.page.get_by_role("cell", name=HOSTILE[:100], exact=True).wait_for()
    pat.page.get_by_role("cell", name=HOSTILE, exact=True).wait_for()
    pat.check_access()
    pat.open("/")
    pat.see("Welcome, " + HOSTILE)
    pat.check_access()
    pat.check_unharmed()


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up", "/nothing", "/catalog"])
def test_whoever_is_not_signed_in_has_pages_too(chromium, control, path):
    guest = Person(chromium, control, "guest")
    guest.open(path)
    guest.check_access()
    guest.check_unharmed()
    guest.leave()
