"""Rules for event APIs: an administrator writes one and tries it, an owner sees what it asks and cannot publish before."""

import pytest

from portal_support import HOSTILE

LONG = "Every order that a customer places, as it happens. " * 5


@pytest.fixture(scope="module")
def world(control):
    admin = control.admin
    for team in ("shop", "bank"):
        admin.create("teams", name=team, title=f"{team} {HOSTILE}")
    for name, fields in (("orders", {"title": HOSTILE}), ("stock", {"description": LONG}), ("returns", {})):
        admin.create("event-apis", name=name, major=1, team="shop", operations=["read"], exposures=["rest"], **fields)
    return admin


@pytest.fixture(scope="module")
def ada(people, world):
    return people("ada", "platform-admin")


@pytest.fixture(scope="module")
def olga(people, world):
    return people("olga", "api-owner", "shop")


def test_without_rules_nobody_sees_scorecards(world, olga):
    olga.open("/own/event-apis/orders/v1")
    assert olga.page.get_by_role("heading", name="Scorecard").count() == 0
    olga.open("/own")
    assert olga.page.get_by_role("heading", name="Scorecards of").count() == 0


def test_an_administrator_tries_a_rule_and_makes_it(world, ada):
    page = ada.open("/operate/scorecards")
    ada.see("There are no rules")
    ada.check_access()
    page.get_by_role("link", name="New rule").click()
    page.get_by_label("Begin with").select_option(label="Has documentation")
    page.locator("[name=name]").fill("documented")
    page.locator("[name=title]").fill("Documented " + HOSTILE[:150])
    page.locator("[name=hint]").fill("Write more " + HOSTILE[:150])
    page.get_by_label("Must be met before").check()
    page.get_by_role("button", name="Try it on all event APIs").click()
    ada.see("3 event APIs were looked at. The rule is about 3; 2 do not meet it; 2 drafts could not be published.")
    rows = page.get_by_role("region", name="What does not meet the rule").get_by_role("row")
    assert rows.count() == 3 and rows.nth(1).get_by_role("link").inner_text() == HOSTILE
    ada.check_access()
    assert world.list("scorecard-rules") == []
    page.locator("[name=condition]").fill("size(api.nothing) > 0")
    page.get_by_role("button", name="Try it on all event APIs").click()
    page.get_by_role("alert").get_by_text("/condition").wait_for()
    page.get_by_role("button", name="Make the rule").click()
    page.locator("[name=condition][aria-invalid=true]").wait_for()
    page.locator("[name=condition]").fill("size(api.description) >= 200")
    page.get_by_role("button", name="Make the rule").click()
    page.wait_for_url("**/operate/scorecards")
    ada.see("Documented " + HOSTILE[:150])
    (rule,) = world.list("scorecard-rules")
    assert rule["blocking"] and rule["enabled"] and rule["hint"] == "Write more " + HOSTILE[:150]
    ada.check_access()
    ada.check_unharmed()


def test_an_owner_sees_what_to_do_and_publishes_after_it(world, olga):
    olga.open("/own")
    section = olga.page.locator("section", has=olga.page.get_by_role("heading", name="Scorecards of shop"))
    assert section.get_by_text("cannot be published").count() == 2
    assert section.get_by_text("100 %, bronze").count() == 1
    olga.check_access()
    page = olga.open("/own/event-apis/orders/v1")
    olga.see("It cannot be published before these rules are met:")
    assert page.get_by_text("Write more " + HOSTILE[:150]).count() >= 2
    olga.check_access()
    page.get_by_role("button", name="Publish", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Publish", exact=True).click()
    dialog.get_by_text("1 scorecard rule must be met before it is published: documented").wait_for()
    dialog.get_by_text("Write more").wait_for()
    olga.check_access()
    page.keyboard.press("Escape")
    assert world.get("event-apis", "orders.v1")["lifecycle"] == "draft"
    page.locator("[name=description]").fill(LONG)
    page.get_by_role("button", name="Save").click()
    olga.see("100 %, bronze")
    olga.settle()
    olga.confirm("Publish", "Publish")
    assert world.get("event-apis", "orders.v1")["lifecycle"] == "published"
    olga.check_unharmed()


def test_the_card_stands_on_the_page_for_everybody_who_sees_it(world, people):
    world.create("products", name="orders", team="shop", visibility="signed-in", lifecycle="published",
                 event_apis=["orders.v1"])
    bob = people("bob", "developer", "bank")
    bob.open("/event-apis/orders/v1")
    bob.see("100 %, bronze")
    bob.open("/operate/scorecards/new")
    bob.page.locator("[name=name]").fill("mine")
    bob.page.locator("[name=condition]").fill("true")
    bob.page.locator("[name=hint]").fill("None.")
    bob.page.get_by_role("button", name="Make the rule").click()
    bob.see("scorecard-rules:write")
    bob.check_unharmed()


def test_an_administrator_changes_and_deletes_a_rule(world, ada):
    page = ada.open("/operate/scorecards")
    page.get_by_role("link", name="Change documented").click()
    page.locator("[name=points]").fill("7")
    page.get_by_text("Only about some").click()
    page.get_by_label("With one of these tags").fill("retail eu")
    page.get_by_role("checkbox", name="published", exact=True).check()
    ada.check_access()
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/operate/scorecards")
    ada.see("tags: retail, eu; states: published")
    rule = world.get("scorecard-rules", "documented")
    assert (rule["points"], rule["tags"], rule["lifecycles"]) == (7, ["retail", "eu"], ["published"])
    ada.confirm("Delete documented", "Delete")
    ada.see("There are no rules")
    assert world.list("scorecard-rules") == []
    ada.check_unharmed()
