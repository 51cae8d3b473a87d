"""The page of everybody with an account: who is invited, what they may, who has lost a password, and who may come in no more."""

import pytest

from portal_support import HOSTILE, Person
from sluice_support.portal import Browser

PASSWORD = "a long way to the stream"


@pytest.fixture(scope="module")
def ada(control, people):
    for team in ("shop", "bank"):
        control.admin.create("teams", name=team, title=f"{team} {HOSTILE}")
    return people("ada", "platform-admin")


@pytest.fixture
def visitor(chromium, control):
    """Somebody else's browser."""
    person = Person(chromium, control, "visitor")
    yield person
    person.leave()


def row(person, account):
    return person.page.get_by_role("region", name="People").get_by_role("row").filter(
        has=person.page.get_by_role("cell", name=account, exact=True))


def press(person, account, button):
    row(person, account).get_by_role("button", name=button).click()
    dialog = person.page.get_by_role("dialog")
    dialog.wait_for()
    return dialog


def confirm(person, dialog, verb):
    dialog.get_by_role("button", name=verb, exact=True).click()
    dialog.wait_for(state="detached")


def signed_in(control, name, password):
    return Browser(control.portal_url).request("POST", "/auth/sign-in", json={"name": name, "password": password}).status_code


def invite(person, **fields):
    """The link that the page shows once."""
    page = person.open("/operate/people")
    page.locator("select[name=role]").select_option(fields["role"])
    page.locator("select[name=team]").select_option(fields.get("team", ""))
    page.get_by_label("Email address").fill(fields.get("email", ""))
    page.get_by_role("button", name="Make an invitation").click()
    link = page.locator(".notice code")
    link.wait_for()
    return link.inner_text()


def test_somebody_is_invited_and_makes_an_account_by_the_link(control, ada, visitor):
    link = invite(ada, role="developer", team="shop", email="dora@shop.example")
    ada.page.get_by_role("button", name="Take back the invitation of dora@shop.example").wait_for()
    ada.check_access()
    page = visitor.page
    page.goto(link)
    visitor.settle()
    visitor.see("dora@shop.example")
    page.get_by_label("Account name").fill("dora")
    page.get_by_label("Your name").fill("Dora " + HOSTILE)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make my account").click()
    visitor.see("Welcome, Dora")
    ada.open("/operate/people")
    assert [row(ada, "dora").get_by_role("cell").nth(i).inner_text() for i in range(5)] == [
        "Dora " + HOSTILE, "dora", "dora@shop.example", "developer", "shop"]
    assert ada.page.get_by_role("button", name="Take back the invitation of dora@shop.example").count() == 0
    visitor.check_unharmed()
    ada.check_access()
    ada.check_unharmed()


def test_an_invitation_that_is_taken_back_opens_nothing(ada, visitor):
    link = invite(ada, role="viewer", email="eve@shop.example")
    ada.page.get_by_role("button", name="Take back the invitation of eve@shop.example").click()
    confirm(ada, ada.page.get_by_role("dialog"), "Take back")
    ada.see("Nobody is invited now.")
    visitor.page.goto(link)
    visitor.settle()
    assert visitor.page.get_by_role("button", name="Make my account").count() == 0
    assert visitor.page.get_by_role("alert").count() == 1
    ada.check_unharmed()


def test_roles_and_teams_change_and_are_felt_at_once(control, ada, people):
    carl = people("carl", "viewer")
    assert "event-apis:write" not in carl.http.get("/v1/me")["rights"]
    ada.open("/operate/people")
    dialog = press(ada, "carl", "Roles and teams")
    dialog.get_by_role("group", name="Owns the teams").get_by_label("bank").check()
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_role("alert").get_by_text("must be one of the user's teams").wait_for()
    ada.check_access()
    dialog.get_by_role("group", name="In the teams").get_by_label("bank").check()
    dialog.get_by_role("checkbox", name="viewer", exact=True).uncheck()
    dialog.get_by_role("checkbox", name="api-owner", exact=True).check()
    confirm(ada, dialog, "Save")
    row(ada, "carl").get_by_role("cell", name="api-owner").wait_for()
    user = control.admin.get("users", "carl")
    assert (user["roles"], user["teams"], user["owned_teams"]) == (["api-owner"], ["bank"], ["bank"])
    assert "event-apis:write" in carl.http.get("/v1/me")["rights"]
    dialog = press(ada, "carl", "Roles and teams")
    assert dialog.get_by_role("checkbox", name="api-owner", exact=True).is_checked()
    dialog.get_by_role("group", name="Owns the teams").get_by_label("bank").uncheck()
    dialog.get_by_role("group", name="In the teams").get_by_label("bank").uncheck()
    confirm(ada, dialog, "Save")
    row(ada, "carl").get_by_role("cell", name="bank").wait_for(state="detached")
    assert not control.admin.get("users", "carl").get("teams")
    ada.check_unharmed()


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(control, ada, people):
    people("cora", "viewer")
    ada.open("/operate/people")
    control.admin.patch("users", "cora", teams=["shop"])
    dialog = press(ada, "cora", "Roles and teams")
    dialog.get_by_role("checkbox", name="developer", exact=True).check()
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_role("alert").wait_for()
    user = control.admin.get("users", "cora")
    assert (user["roles"], user["teams"]) == (["viewer"], ["shop"])
    ada.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def test_who_lost_a_password_gets_a_link_from_the_page(control, ada, people, visitor):
    people("lena", "developer")
    ada.open("/operate/people")
    dialog = press(ada, "lena", "New password")
    ada.check_access()
    dialog.get_by_role("button", name="Make the link").click()
    link = ada.page.get_by_role("dialog", name="A new password").locator("code")
    link.wait_for()
    ada.check_access()
    assert signed_in(control, "lena", "correct horse battery staple") == 401
    page = visitor.page
    page.goto(link.inner_text())
    visitor.settle()
    visitor.see("For the account lena")
    page.get_by_label("New password").fill("short")
    page.get_by_role("button", name="Set the password").click()
    page.locator("input[name=password][aria-invalid=true]").wait_for()
    visitor.check_access()
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    visitor.see("Welcome, lena")
    assert signed_in(control, "lena", PASSWORD) == 200
    ada.page.keyboard.press("Escape")
    visitor.check_unharmed()
    ada.check_unharmed()


def test_who_is_disabled_is_signed_out_until_enabled_again(control, ada, people):
    nils = people("nils", "developer")
    ada.open("/operate/people")
    assert row(ada, "ada").get_by_role("button", name="Disable").count() == 0  # nobody shuts themselves out
    dialog = press(ada, "nils", "Disable")
    ada.check_access()
    confirm(ada, dialog, "Disable")
    row(ada, "nils (disabled)").wait_for()
    nils.page.goto("/applications")
    nils.page.wait_for_url("**/sign-in?to=*")
    assert signed_in(control, "nils", "correct horse battery staple") == 401
    assert row(ada, "nils (disabled)").get_by_role("button", name="New password").count() == 0
    confirm(ada, press(ada, "nils (disabled)", "Enable"), "Enable")
    row(ada, "nils").wait_for()
    assert signed_in(control, "nils", "correct horse battery staple") == 200
    ada.check_unharmed()


def test_who_may_only_look_has_no_buttons_and_others_no_page(control, ada, people):
    control.admin.create("roles", name="auditor", permissions=["users:read", "gateway-nodes:read", "roles:read", "teams:read"])
    page = people("otto", "auditor").open("/operate/people")
    people("otto").see("ada")
    assert page.locator("main").get_by_role("button").count() == 0
    page = people("dave", "developer").open("/operate/people")
    people("dave").see("Not allowed")


def test_a_button_that_is_refused_says_why(control, ada, people):
    olga, otis = people("olga", "developer", "bank"), people("otis", "developer", "bank")
    control.admin.patch("users", "olga", owned_teams=["bank"])
    page = olga.open("/teams")
    button = page.get_by_role("button", name="Make owner: otis")
    button.wait_for()
    control.admin.patch("users", "olga", owned_teams=[])
    button.click()
    page.get_by_role("alert").get_by_text("owner").wait_for()
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "alert"
    olga.check_access()
    olga.check_unharmed()
    assert otis.http.get("/v1/me")["user"]["name"] == "otis" and not control.admin.get("users", "otis").get("owned_teams")
