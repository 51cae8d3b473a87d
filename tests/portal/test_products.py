"""Products and plans as an owner makes them from an event API's page."""

import pytest

from portal_support import HOSTILE


@pytest.fixture(scope="module")
def olga(control, people):
    control.admin.create("teams", name="shop")
    control.admin.create("event-apis", name="orders", major=1, team="shop", operations=["publish", "read"],
                         exposures=["rest"], lifecycle="published")
    return people("olga", "api-owner", "shop")


def test_a_product_whose_plan_is_refused_is_not_half_made(control, olga):
    page = olga.open("/own/event-apis/orders/v1")
    page.get_by_text("New product").click()
    form = page.locator("form", has=page.get_by_role("button", name="Make the product"))
    form.locator("[name=product_title]").fill(HOSTILE)
    form.locator("[name=plan]").fill("Not a name")
    form.get_by_role("button", name="Make the product").click()
    form.locator("input[name=plan][aria-invalid=true]").wait_for()
    olga.check_access()
    assert control.admin.list("products") == []
    form.locator("[name=plan]").fill("standard")
    form.get_by_role("button", name="Make the product").click()
    page.get_by_text("standard (asks you)").wait_for()
    olga.check_unharmed()


def test_a_product_has_more_plans(control, olga):
    page = olga.open("/own/event-apis/orders/v1")
    page.get_by_text("New plan").click()
    form = page.locator("form", has=page.get_by_role("button", name="Make the plan"))
    form.locator("[name=plan]").fill("fast")
    form.locator("[name=approval]").select_option("auto")
    form.get_by_role("checkbox", name="publish").uncheck()
    olga.check_access()
    form.get_by_role("button", name="Make the plan").click()
    page.get_by_text("fast (at once)").wait_for()
    plan = control.admin.get("plans", "orders.fast")
    assert (plan["operations"], plan["approval"]) == (["read"], "auto")
    olga.check_unharmed()


def test_many_consumers_come_a_page_at_a_time(control, olga):
    control.admin.create("teams", name="crowd")
    control.admin.create("gateway-groups", name="dev", environment="dev")
    for i in range(101):
        control.admin.create("applications", name=f"app{i:03}", team="crowd")
        control.admin.create("subscriptions", application=f"app{i:03}", plan="orders.fast", environment="dev")
    page = olga.open("/own/event-apis/orders/v1")
    rows = page.get_by_role("region", name="Consumers of").locator("tbody tr")
    assert rows.count() == 100
    page.get_by_role("button", name="Show more").click()
    page.wait_for_function("() => document.querySelectorAll('[aria-label^=\"Consumers of\"] tbody tr').length === 101")
    assert page.evaluate("() => document.activeElement.closest('tr').rowIndex") == 101
    olga.check_access()
    olga.check_unharmed()
