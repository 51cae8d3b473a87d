"""REST APIs beside event APIs: imported, found, kept and deleted, whatever their documents hold; and visitors."""

import json

import pytest

from portal_support import HOSTILE, Person
from sluice_support.catalog import openapi


@pytest.fixture(scope="module")
def control(module_servers):
    return module_servers.control(portal_public_catalog=True, portal_sign_in_failures=0)


@pytest.fixture(scope="module")
def world(control):
    admin = control.admin
    for team in ("shop", "bank"):
        admin.create("teams", name=team)
    paths = {f"/items/{i}": {"get": {"summary": f"Item {i}"}} for i in range(210)}
    paths["/" + HOSTILE] = {"post": {"summary": HOSTILE, "deprecated": True}}
    document = openapi(HOSTILE, paths, servers=[{"url": "javascript:window.pwned=9", "description": HOSTILE}])
    admin.create("rest-apis", name="hostile", team="shop", document=document, lifecycle="published", visibility="public",
                 description=f"Read *this*. {HOSTILE} [click](javascript:window.pwned=8)", changelog=HOSTILE, tags=["retail"])
    admin.create("rest-apis", name="inside", team="shop", document=openapi("Inside"), lifecycle="published")
    admin.create("event-apis", name="orders", major=1, team="shop", title="Orders", operations=["read"], exposures=["rest"],
                 lifecycle="published")
    admin.create("products", name="orders", team="shop", visibility="public", lifecycle="published", event_apis=["orders.v1"])
    admin.create("plans", product="orders", name="free", operations=["read"])


def _cards(page):
    return [a.get_attribute("href") for a in page.get_by_role("article").locator("h2 a").all()]


def test_an_owner_imports_publishes_and_deletes_a_rest_api(world, people, tmp_path):
    ann = people("ann", "api-owner", "shop")
    page = ann.open("/own")
    page.get_by_role("link", name="Import a REST API").click()
    page.get_by_label("Name").wait_for()
    ann.check_access()
    page.get_by_label("Name").fill("stock")
    page.get_by_label("OpenAPI document").fill("openapi: 3.1.0\ninfo: &a {title: *a}\n")
    page.get_by_role("button", name="Make a draft").click()
    ann.see("anchors are not supported")
    file = tmp_path / "openapi.json"
    file.write_text(openapi("Stock levels"))
    page.get_by_label("File").set_input_files(file)
    page.wait_for_function("() => document.querySelector('textarea').value.includes('Stock levels')")
    page.get_by_role("button", name="Make a draft").click()
    page.wait_for_url("**/own/rest-apis/stock")
    ann.settle()
    ann.check_access()
    assert page.get_by_role("heading", level=1).inner_text() == "Stock levels"
    ann.confirm("Publish", "Publish")
    page.get_by_label("Description (Markdown)").fill("How *much* there is.")
    with page.expect_response(lambda response: response.request.method == "PATCH") as saved:
        page.get_by_role("button", name="Save").click()
    assert saved.value.ok
    ann.open("/own/rest-apis/stock")
    page.get_by_text("Replace it").click()
    page.get_by_label("OpenAPI document").fill(openapi("Stock, anew", {"/a": {"get": {}}, "/b": {"put": {}}}))
    page.get_by_role("button", name="Import").click()
    page.get_by_role("heading", level=1, name="Stock, anew").wait_for()
    bob = people("bob", "developer", "bank")
    seen = bob.open("/catalog?kind=rest-apis&q=stock")
    assert _cards(seen) == ["/rest-apis/stock"]
    bob.see("not served by this gateway yet")
    seen.get_by_role("article").get_by_role("link", name="Stock, anew").click()
    bob.see("PUT")
    bob.see("Nobody subscribes to it here")
    with seen.expect_download() as download:
        seen.get_by_role("link", name="Download").click()
    with open(download.value.path()) as kept:
        assert json.load(kept)["info"]["title"] == "Stock, anew"
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url("**/own")
    bob.open("/rest-apis/stock")
    bob.see("there is no REST API stock")
    ann.check_unharmed()
    bob.check_unharmed()


def test_what_a_document_holds_is_shown_as_text(world, people):
    bob = people("bob", "developer", "bank")
    page = bob.open("/catalog?tag=retail")
    assert _cards(page) == ["/rest-apis/hostile"]
    bob.check_access()
    page = bob.open("/rest-apis/hostile")
    assert page.get_by_role("heading", level=1).inner_text() == HOSTILE
    assert page.locator("main tbody tr").count() == 200
    page.get_by_role("button", name="Show all 211").click()
    assert page.locator("main tbody tr").count() == 211
    assert HOSTILE in page.locator("main tbody tr").last.inner_text()
    assert page.locator("main img, main script, main svg, main [onerror], main [onload]").count() == 0
    assert not any("javascript" in (a.get_attribute("href") or "").lower() for a in page.locator("main a").all())
    bob.check_access()
    bob.check_unharmed()


def test_visitors_look_around_and_are_asked_to_sign_in_for_more(world, chromium, control):
    guest = Person(chromium, control, "guest")
    page = guest.open("/sign-in")
    page.get_by_role("link", name="Look around").click()
    page.wait_for_url("**/catalog")
    guest.settle()
    assert sorted(_cards(page)) == ["/event-apis/orders/v1", "/rest-apis/hostile"]
    guest.check_access()
    guest.open("/event-apis/orders/v1")
    guest.see("to see addresses and first steps")
    guest.see("free")
    assert page.get_by_role("link", name="Subscribe").count() == 0
    guest.check_access()
    guest.open("/rest-apis/hostile")
    guest.check_access()
    guest.open("/rest-apis/inside")
    guest.see("there is no REST API inside")
    for path in ("/", "/applications", "/own/rest-apis/hostile"):
        page.goto(path)
        page.wait_for_url("**/sign-in**")
    guest.check_unharmed()
    guest.leave()
