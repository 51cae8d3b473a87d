"""The portal's server: how people come in, what a session is, and what other sites cannot do with it."""

import re
import subprocess
import threading

import pytest

from sluice_support import wait_until
from sluice_support.ctl import Ctl
from sluice_support.portal import PASSWORD, Browser, newcomer

ANYTHING = {"If-Match": "*"}


@pytest.fixture(scope="module")
def control(module_servers):
    return module_servers.control(portal_sign_in_failures=0)  # every test comes from the same address


@pytest.fixture(scope="module")
def ann(control):
    """Her sessions come and go: who needs one signs in."""
    browser = newcomer(control, "ann", "developer", title="Ann", email="ann@example.com")
    browser.request("POST", "/auth/sign-out", expect=204)
    return "ann"


@pytest.fixture
def browser(control):
    return Browser(control.portal_url)


@pytest.fixture
def signed_in(ann, browser):
    browser.sign_in(ann)
    return browser


# ---- coming in ----

def test_an_invitation_makes_one_account_with_what_it_promises(control, browser):
    control.admin.create("teams", name="payments")
    invitation = control.admin.create("invitations", role="developer", team="payments", email="eve@example.com")
    assert invitation["link"] == f"{control.portal_url}/invitation#{invitation['token']}"
    assert browser.post("/auth/invitation", token=invitation["token"]) == {
        "email": "eve@example.com", "team": "payments", "role": "developer", "expires_at": invitation["expires_at"]}
    answer = browser.accept(invitation, "eve", title="Eve <b>", email="other@example.com")
    assert answer["user"]["teams"][0]["name"] == "payments" and answer["user"]["roles"] == ["developer"]
    assert answer["user"]["email"] == "eve@example.com" and answer["user"]["title"] == "Eve <b>"
    assert control.admin.get("users", "eve")["manager"] == "portal"
    assert Browser(control.portal_url).sign_in("eve@example.com")["user"]["name"] == "eve"
    for path in ("/auth/invitation", "/auth/invitation/accept"):
        body = {"token": invitation["token"], **({"name": "eve2", "password": PASSWORD} if "accept" in path else {})}
        assert "ask for another" in Browser(control.portal_url).post(path, expect=404, **body)["detail"]


def test_an_invitation_is_used_once_however_many_try_at_once(control):
    invitation = control.admin.create("invitations", role="viewer")
    statuses = []

    def accept(name):
        response = Browser(control.portal_url).request("POST", "/auth/invitation/accept", json={
            "token": invitation["token"], "name": name, "password": PASSWORD})
        statuses.append(response.status_code)

    threads = [threading.Thread(target=accept, args=(f"racer{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] + [404] * 5
    assert len([u for u in control.admin.list("users") if u["name"].startswith("racer")]) == 1


def test_an_invitation_holds_no_longer_than_who_sent_it(control, browser):
    control.admin.create("roles", name="host", permissions=["invitations:write", "users:read", "teams:read"])
    control.admin.create("roles", name="guest", permissions=["teams:read"])
    team = control.admin.create("teams", name="hosted")["id"]
    host = newcomer(control, "host", "host", team="hosted")
    host.post("/v1/invitations", expect=403, role="guest", team=team)  # a member, and no owner
    control.admin.patch("users", "host", owned_teams=["hosted"])
    invitation = host.post("/v1/invitations", expect=201, role="guest", team=team)
    host.post("/v1/invitations", expect=403, role="developer", team=team)
    host.post("/v1/invitations", expect=403, role="guest")
    second = host.post("/v1/invitations", expect=201, role="guest", team=team)
    assert [i["id"] for i in host.get("/v1/teams/hosted/members")["invitations"]] == [invitation["id"], second["id"]]
    control.admin.patch("users", "host", roles=["viewer"])
    control.admin.patch("roles", "guest", permissions=["teams:read", "users:write"])
    body = {"name": "late", "password": PASSWORD}
    browser.post("/auth/invitation/accept", expect=404, token=invitation["token"], **body)
    control.admin.patch("users", "host", disabled=True)
    browser.post("/auth/invitation/accept", expect=404, token=second["token"], **body)
    control.admin.patch("users", "host", disabled=False, roles=["host"], owned_teams=[])
    browser.post("/auth/invitation/accept", expect=404, token=second["token"], **body)
    control.admin.patch("users", "host", owned_teams=["hosted"])
    control.admin.patch("roles", "guest", permissions=["teams:read"])
    browser.post("/auth/invitation/accept", expect=201, token=second["token"], name="in-time", password=PASSWORD)
    assert "late" not in [user["name"] for user in control.admin.list("users")]


@pytest.mark.parametrize("token", ["", "x", "sli_" + "0" * 16 + "_" + "0" * 32, "sla_" + "0" * 16 + "_" + "0" * 32])
def test_what_is_no_invitation_makes_no_account(browser, token):
    response = browser.request("POST", "/auth/invitation/accept",
                               json={"token": token, "name": "nobody", "password": PASSWORD})
    assert response.status_code == (400 if token == "" else 404)


@pytest.mark.parametrize("fields, pointer", [
    ({"name": "Not A Name"}, "/name"), ({"name": "ann"}, None), ({"email": "no address"}, "/email"),
    ({"password": "short"}, "/password"), ({"password": "x" * 300}, "/password"), ({"title": "x" * 201}, "/title"),
    ({"name": "newperson1", "password": "newperson123"}, "/password"), ({"roles": ["platform-admin"]}, None),
])
def test_a_newcomer_is_told_what_is_wrong_and_may_try_again(control, ann, browser, fields, pointer):
    invitation = control.admin.create("invitations", role="viewer")
    body = {"token": invitation["token"], "name": "bad-name-1", "password": PASSWORD, **fields}
    response = browser.request("POST", "/auth/invitation/accept", json=body)
    assert response.status_code in (400, 409), response.text
    if pointer:
        assert response.json()["errors"][0]["pointer"] == pointer
    browser.post("/auth/invitation", token=invitation["token"])


def test_nobody_signs_up_uninvited(browser):
    body = {"name": "stranger", "email": "s@example.com", "password": PASSWORD}
    assert "portal.sign-up" in browser.post("/auth/sign-up", expect=403, **body)["detail"]


def test_sign_in_by_name_or_address(ann, browser):
    for name in ("ann", "ann@example.com", "Ann@Example.com"):
        assert browser.sign_in(name)["user"]["title"] == "Ann"


@pytest.mark.parametrize("name, password", [("ann", "wrong"), ("nobody", PASSWORD), ("ann' --", PASSWORD), ("ann", "")])
def test_wrong_names_and_passwords_are_told_apart_by_nothing(ann, browser, name, password):
    response = browser.request("POST", "/auth/sign-in", json={"name": name, "password": password})
    assert response.status_code == (400 if password == "" else 401)
    if password:
        assert response.json()["detail"] == "name or password is wrong" and "Set-Cookie" not in response.headers


def test_sign_ins_are_counted(control, ann, browser):
    def counts():
        lines = control.admin.request("GET", "/metrics").text.splitlines()
        return {line.partition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines
                if line.startswith("sluice_portal_sign_ins")}

    before = counts()
    browser.sign_in(ann)
    browser.request("POST", "/auth/sign-in", json={"name": ann, "password": "wrong"}, expect=401)
    for result in ("ok", "refused"):
        name = f'sluice_portal_sign_ins_total{{by="password",result="{result}"}}'
        assert counts()[name] == before.get(name, 0) + 1


def test_a_user_without_a_password_cannot_sign_in(control, browser):
    control.admin.create("users", name="nopass", roles=["platform-admin"])
    for password in ("", "x", PASSWORD):
        assert browser.request("POST", "/auth/sign-in",
                               json={"name": "nopass", "password": password}).status_code in (400, 401)


# ---- sessions ----

def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(ann, browser):
    response = browser.request("POST", "/auth/sign-in", json={"name": ann, "password": PASSWORD})
    cookie = response.headers["Set-Cookie"]
    assert re.fullmatch(r"sluice-session=[\w-]{43}; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800", cookie)
    assert response.headers["Cache-Control"] == "no-store"


def test_the_database_has_no_secret_of_a_session(control, signed_in):
    secret = signed_in.cookies["sluice-session"]
    files = [path for path in control.data_dir.iterdir() if path.name.startswith("catalog.db")]
    assert files and not any(secret.encode() in path.read_bytes() or PASSWORD.encode() in path.read_bytes()
                             for path in files)
    assert secret not in control.log().decode() and PASSWORD not in control.log().decode()


def test_a_session_that_somebody_planted_is_not_the_one_that_is_signed_in(ann, browser):
    browser.cookies.set("sluice-session", "A" * 43, domain="127.0.0.1", path="/")
    browser.sign_in(ann)
    assert [cookie.value for cookie in browser.cookies][-1] != "A" * 43
    first = browser.with_same_cookies()
    browser.sign_in(ann)
    assert first.session()["signed_in"] is False  # signing in again ends what the browser had
    assert browser.session()["signed_in"] is True


def test_two_cookies_of_one_name_are_nobodys(signed_in):
    secret = signed_in.cookies["sluice-session"]
    other = Browser(signed_in.base_url)
    answer = other.get("/auth/session", headers={"Cookie": f"sluice-session={secret}; sluice-session={'A' * 43}"})
    assert answer["signed_in"] is False
    answer = other.get("/auth/session", headers={"Cookie": f"a=b; sluice-session={secret}; c"})
    assert answer["signed_in"] is True


@pytest.mark.parametrize("secret", ["", "x", "A" * 43, "A" * 500, "'; DROP TABLE sessions; --"])
def test_what_is_no_session_is_asked_to_sign_in(browser, secret):
    response = browser.request("GET", "/v1/teams", headers={"Cookie": f"sluice-session={secret}"})
    assert response.status_code == 401 and "sign in" in response.json()["detail"]
    assert "WWW-Authenticate" not in response.headers  # a browser would show a window of its own


def test_sign_out_ends_the_session_on_the_server(signed_in):
    thief = signed_in.with_same_cookies()
    assert "Max-Age=0" in signed_in.request("POST", "/auth/sign-out", expect=204).headers["Set-Cookie"]
    assert thief.session()["signed_in"] is False and thief.request("GET", "/v1/me").status_code == 401


def test_own_sessions_are_listed_and_ended_one_by_one_or_all(ann, control, signed_in):
    elsewhere = Browser(control.portal_url)
    elsewhere.sign_in(ann)
    elsewhere_id = elsewhere.session()["session"]["id"]
    items = signed_in.get("/auth/sessions")["items"]
    assert {item["id"]: item["current"] for item in items}[elsewhere_id] is False
    assert sum(item["current"] for item in items) == 1 and all("secret" not in item for item in items)
    signed_in.request("DELETE", f"/auth/sessions/{elsewhere_id}", expect=204)
    assert elsewhere.session()["signed_in"] is False
    signed_in.request("DELETE", f"/auth/sessions/{elsewhere_id}", expect=404)
    elsewhere.sign_in(ann)
    signed_in.request("DELETE", "/auth/sessions", expect=204)
    assert elsewhere.session()["signed_in"] is False and len(signed_in.get("/auth/sessions")["items"]) == 1


def test_nobody_ends_or_sees_the_sessions_and_tokens_of_others(control, signed_in):
    mallory = newcomer(control, "mallory", "platform-admin")
    session = signed_in.session()["session"]["id"]
    token = signed_in.post("/auth/tokens", expect=201, name="mine", scopes=["teams:read"])["id"]
    assert session not in [item["id"] for item in mallory.get("/auth/sessions")["items"]]
    assert token not in [item["id"] for item in mallory.get("/auth/tokens")["items"]]
    mallory.request("DELETE", f"/auth/sessions/{session}", expect=404)
    mallory.request("DELETE", f"/auth/tokens/{token}", expect=404)
    assert signed_in.session()["signed_in"] is True


def test_a_user_who_is_disabled_is_signed_out_for_good(control):
    gone = newcomer(control, "gone", "viewer")
    control.admin.patch("users", "gone", disabled=True)
    assert gone.request("GET", "/v1/teams").status_code == 401
    assert gone.request("POST", "/auth/sign-in", json={"name": "gone", "password": PASSWORD}).status_code == 401
    control.admin.patch("users", "gone", disabled=False)
    assert gone.request("GET", "/v1/teams").status_code == 401
    assert Browser(control.portal_url).sign_in("gone")["signed_in"] is True


def test_a_changed_password_ends_every_other_session(control):
    mover = newcomer(control, "mover", "viewer")
    thief, other = mover.with_same_cookies(), Browser(control.portal_url)
    other.sign_in("mover")
    body = {"current": "wrong", "password": "a longer secret than before"}
    assert mover.request("PUT", "/auth/password", json=body).status_code == 403
    mover.request("PUT", "/auth/password", json={**body, "current": PASSWORD, "password": "short"}, expect=400)
    mover.request("PUT", "/auth/password", json={**body, "current": PASSWORD}, expect=200)
    assert mover.session()["signed_in"] is True
    assert thief.session()["signed_in"] is False and other.session()["signed_in"] is False
    assert other.request("POST", "/auth/sign-in", json={"name": "mover", "password": PASSWORD}).status_code == 401
    other.sign_in("mover", body["password"])


# ---- a password that is lost ----

def test_when_no_administrator_can_come_in_the_machine_lets_one_in(servers, tmp_path):
    """As docs/operations.md says: a new token with the control plane stopped, and with it the account, or another one."""
    control = servers.control()
    newcomer(control, "chief", "platform-admin")
    control.admin.patch("users", "chief", disabled=True)
    for token in control.admin.list("api-tokens"):
        control.admin.patch("api-tokens", token["id"], scopes=["teams:read"])
    control.stop()
    made = subprocess.run([control.command[0], "--data-dir", str(control.data_dir), "--new-admin-token"], check=True,
                          capture_output=True, text=True, timeout=100).stdout
    control.start()
    ctl = Ctl(servers.build_dir, tmp_path, control.admin_url, made.split("administrator token: ")[1].split()[0])
    ctl.run("update", "user", "chief", "disabled=false")
    browser = Browser(control.portal_url)
    link = ctl.json("act", "user", "chief", "reset-password")["link"]
    assert browser.post("/auth/reset/accept", token=link.partition("#")[2], password=PASSWORD)["user"]["name"] == "chief"
    assert Browser(control.portal_url).sign_in("chief")["user"]["roles"] == ["platform-admin"]
    link = ctl.json("create", "invitation", "role=platform-admin")["link"]
    assert Browser(control.portal_url).accept({"token": link.partition("#")[2]}, "deputy")["user"]["roles"] == [
        "platform-admin"]


def reset(control, name, **body):
    return control.admin.request("POST", f"/v1/users/{name}/reset-password", json=body or None, expect=200).json()


def test_a_link_for_a_new_password_ends_the_old_one_and_every_session(control, browser):
    thief = newcomer(control, "rosa", "developer")
    made = reset(control, "rosa", expires_in="2h")
    assert made["link"] == f"{control.portal_url}/reset#{made['token']}" and made["name"] == "rosa"
    assert thief.request("GET", "/v1/me").status_code == 401
    browser.post("/auth/sign-in", expect=401, name="rosa", password=PASSWORD)
    shown = browser.post("/auth/reset", token=made["token"])
    assert shown["name"] == "rosa" and set(shown) == {"name", "expires_at"}
    problem = browser.post("/auth/reset/accept", expect=400, token=made["token"], password="short")
    assert problem["errors"][0]["pointer"] == "/password"
    answer = browser.post("/auth/reset/accept", token=made["token"], password="another way to the stream")
    assert answer["user"]["name"] == "rosa" and browser.get("/v1/me")["user"]["name"] == "rosa"
    Browser(control.portal_url).sign_in("rosa", "another way to the stream")
    for path, body in (("/auth/reset", {}), ("/auth/reset/accept", {"password": PASSWORD})):
        assert "ask an administrator" in browser.post(path, expect=404, token=made["token"], **body)["detail"]
    actions = [e["action"] for e in control.admin.list("audit-events", kind="users", ref="rosa")]
    assert {"reset-password", "set-password"} <= set(actions)
    assert made["token"] not in str(control.admin.get("users", "rosa")) + str(control.admin.list("audit-events", kind="users", ref="rosa"))
    assert made["token"].rpartition("_")[2].encode() not in b"".join(f.read_bytes() for f in control.data_dir.glob("catalog.db*"))


def test_another_link_replaces_the_one_before(control, browser):
    control.admin.create("users", name="ruth")  # who has no password yet gets one the same way
    first, second = reset(control, "ruth")["token"], reset(control, "ruth")["token"]
    browser.post("/auth/reset", expect=404, token=first)
    browser.post("/auth/reset/accept", token=second, password=PASSWORD)
    Browser(control.portal_url).sign_in("ruth")


@pytest.mark.parametrize("token", ["", "x", "slp_0123456789abcdef_" + "0" * 32, "sli_0123456789abcdef_" + "0" * 32, "x" * 101])
def test_what_is_no_link_sets_no_password(browser, token):
    expect = 400 if len(token) not in range(1, 101) else 404
    browser.post("/auth/reset", expect=expect, token=token)
    browser.post("/auth/reset/accept", expect=expect, token=token, password=PASSWORD)


def test_who_is_disabled_gets_no_link_and_uses_none(control, browser):
    newcomer(control, "rolf", "viewer")
    token = reset(control, "rolf")["token"]
    control.admin.patch("users", "rolf", disabled=True)
    browser.post("/auth/reset/accept", expect=404, token=token, password=PASSWORD)
    control.admin.request("POST", "/v1/users/rolf/reset-password", expect=409)


def test_nobody_takes_over_an_account_that_has_more_rights(control):
    newcomer(control, "boss", "platform-admin")
    newcomer(control, "peer", "viewer")
    control.admin.create("roles", name="helpdesk", permissions=["users:read", "users:reset-password", "event-apis:read"])
    control.admin.create("roles", name="reader", permissions=["event-apis:read"])
    helper = newcomer(control, "helga", "helpdesk")
    newcomer(control, "reed", "reader")
    helper.post("/v1/users/boss/reset-password", expect=403)
    helper.post("/v1/users/peer/reset-password", expect=403)
    assert helper.post("/v1/users/reed/reset-password")["token"].startswith("slp_")
    newcomer(control, "wendy", "reader").post("/v1/users/reed/reset-password", expect=403)


def test_links_that_are_guessed_are_slowed_down(servers):
    guesser = Browser(servers.control(portal_sign_in_failures=3).portal_url)
    guess = {"token": "slp_0123456789abcdef_" + "0" * 32, "password": PASSWORD}
    statuses = [guesser.request("POST", "/auth/reset/accept", json=guess).status_code for _ in range(5)]
    assert statuses == [404, 404, 404, 429, 429]


def test_a_role_that_is_taken_away_is_felt_by_the_next_request(control):
    demoted = newcomer(control, "demoted", "api-owner")
    demoted.get("/v1/products")
    control.admin.patch("users", "demoted", roles=[])
    assert "products:read" in demoted.get("/v1/products", expect=403)["detail"]


# ---- other sites ----

def test_a_change_needs_the_token_of_this_very_session(control, signed_in):
    body = {"name": "csrf-app", "team": control.admin.create("teams", name="csrf")["id"]}
    control.admin.patch("users", "ann", teams=["csrf"])
    other = newcomer(control, "other-csrf", "developer")
    for token in (None, "", "0" * 64, other.csrf):
        headers = {"X-CSRF-Token": token} if token is not None else {}
        response = signed_in.request("POST", "/v1/applications", csrf=False, json=body, headers=headers)
        assert response.status_code == 403 and response.json()["type"].endswith("/cross-site")
    signed_in.request("POST", "/v1/applications", json=body, expect=201)
    for method, path in (("PATCH", "/v1/applications/csrf-app"), ("DELETE", "/v1/applications/csrf-app"),
                         ("POST", "/auth/sign-out"), ("DELETE", "/auth/sessions"), ("PUT", "/auth/password"),
                         ("POST", "/auth/tokens")):
        assert signed_in.request(method, path, csrf=False, headers=ANYTHING, json={}).status_code == 403, path


@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:1"}, {"Origin": None, "Sec-Fetch-Site": "cross-site"},
    {"Origin": None, "Sec-Fetch-Site": "same-site"}])
def test_a_page_of_another_site_changes_nothing_and_signs_nobody_in(ann, control, signed_in, headers):
    response = signed_in.request("POST", "/auth/tokens", headers=headers, json={"name": "x", "scopes": ["teams:read"]})
    assert response.status_code == 403 and response.json()["type"].endswith("/cross-site")
    stranger = Browser(control.portal_url)
    response = stranger.request("POST", "/auth/sign-in", headers=headers, json={"name": ann, "password": PASSWORD})
    assert response.status_code == 403 and "Set-Cookie" not in response.headers


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])
def test_forms_of_other_sites_cannot_send_what_is_taken(ann, browser, content_type):
    response = browser.request("POST", "/auth/sign-in", headers={"Content-Type": content_type},
                               data='{"name": "ann", "password": "x"}')
    assert response.status_code == 415


def test_the_admin_api_ignores_cookies_and_the_portal_ignores_tokens(control, signed_in):
    cookie = {"Cookie": f"sluice-session={signed_in.cookies['sluice-session']}", "X-CSRF-Token": signed_in.csrf}
    assert control.admin.with_token(None).request("GET", "/v1/teams", headers=cookie).status_code == 401
    assert control.admin.with_token(None).request("GET", "/auth/session", headers=cookie).status_code == 404
    bearer = {"Authorization": f"Bearer {control.token}"}
    assert Browser(control.portal_url).request("GET", "/v1/teams", headers=bearer).status_code == 401
    for path in ("/metrics", "/openapi.json", "/health/ready"):
        assert not Browser(control.portal_url).request("GET", path).headers["Content-Type"].startswith("text/plain")


# ---- the same handlers ----

def test_who_asks_is_told_the_same_on_both_ports(control, signed_in):
    token = signed_in.post("/auth/tokens", expect=201, name="me", scopes=["teams:read"])
    here, there = signed_in.get("/v1/me"), control.admin.with_token(token["token"]).request("GET", "/v1/me").json()
    assert here["user"] == there["user"] and here["user"]["name"] == "ann"
    assert there["rights"] == ["teams:read"] and there["session"] is None
    assert set(there["rights"]) < set(here["rights"]) and here["token"] is None
    assert control.admin.request("GET", "/v1/me").json()["user"] is None


def test_what_people_do_is_in_the_audit_trail_under_their_name(control, signed_in):
    team = control.admin.create("teams", name="audited")["id"]
    control.admin.patch("users", "ann", teams=["audited"])
    signed_in.post("/v1/applications", expect=201, name="audited-app", team=team)
    event = control.admin.list("audit-events", kind="applications", ref="audited-app")[0]
    assert event["actor"]["kind"] == "user" and event["actor"]["name"] == "ann"
    assert control.admin.get("applications", "audited-app")["manager"] == "portal"
    assert {"sign-in", "create"} <= {e["action"] for e in control.admin.list("audit-events", kind="users")}


def test_own_tokens_have_no_more_than_their_owner(control, signed_in):
    made = signed_in.post("/auth/tokens", expect=201, name="mine", scopes=["teams:read"],
                          expires_at="2099-01-01T00:00:00Z")
    assert made["owner"] == "ann" and control.admin.with_token(made["token"]).request("GET", "/v1/teams").ok
    problem = signed_in.post("/auth/tokens", expect=403, name="more", scopes=["teams:read", "users:write"])
    assert problem["errors"][0]["pointer"] == "/scopes/1"
    signed_in.post("/auth/tokens", expect=400, name="other", scopes=["teams:read"], owner="other")
    assert "token" not in signed_in.get("/auth/tokens")["items"][0]
    signed_in.request("DELETE", f"/auth/tokens/{made['id']}", expect=204)
    assert control.admin.with_token(made["token"]).request("GET", "/v1/teams").status_code == 401


def test_people_say_how_others_see_them_and_nothing_else(control):
    shy = newcomer(control, "shy")
    answer = shy.request("PATCH", "/auth/profile", expect=200, json={"title": "<img src=x onerror=alert(1)>"}).json()
    assert answer["user"]["title"] == control.admin.get("users", "shy")["title"] == "<img src=x onerror=alert(1)>"
    for body in ({"roles": ["platform-admin"]}, {"email": "root@example.com"}, {"title": "x" * 201}, {"title": 1}):
        shy.request("PATCH", "/auth/profile", expect=400, json=body)
    assert shy.request("PATCH", "/auth/profile", expect=200, json={"title": None}).json()["user"]["title"] is None


def test_a_repeated_request_is_done_once(control, signed_in):
    team = control.admin.create("teams", name="repeated")["id"]
    control.admin.patch("users", "ann", teams=["repeated"])
    body, headers = {"name": "once-app", "team": team}, {"Idempotency-Key": "k1"}
    first = signed_in.request("POST", "/v1/applications", json=body, headers=headers, expect=201).json()
    assert signed_in.request("POST", "/v1/applications", json=body, headers=headers, expect=201).json() == first


# ---- bad input ----

@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b'{"name": "\\u0000"}', b'{"name": 1, "password": []}',
                                  b'{"name": "ann", "name": "bob"}', b'{"name": "\xff", "password": "x"}'])
def test_bodies_that_are_none_are_refused(browser, body):
    response = browser.request("POST", "/auth/sign-in", headers={"Content-Type": "application/json"}, data=body)
    assert response.status_code in (400, 415), response.text


def test_oversized_requests_are_refused(browser, signed_in):
    big = b'{"name": "' + b"a" * (5 << 20) + b'"}'
    response = browser.request("POST", "/auth/sign-in", headers={"Content-Type": "application/json"}, data=big)
    assert response.status_code == 413
    assert browser.request("GET", "/auth/session", headers={"X-Long": "a" * 20000}).status_code == 431


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/auth/nothing", 404), ("GET", "/auth", 404), ("GET", "/v1", 404), ("DELETE", "/auth/session", 405),
    ("GET", "/auth/sign-in", 405), ("POST", "/", 405), ("GET", "/missing.js", 404), ("GET", "/assets/x", 404),
    ("GET", "/assets/x/../index.html", 404), ("GET", "/assets/x/%2e%2e/main.js", 404), ("TRACE", "/", 405)])
def test_paths_and_methods_that_are_not_there(browser, method, path, status):
    assert browser.request(method, path).status_code == status


# ---- the pages ----

def test_pages_are_served_with_a_strict_policy_and_nothing_inline(browser):
    for path in ("/", "/sign-in", "/profile"):
        response = browser.request("GET", path, expect=200)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|style=|https?://", response.text)
    for path in ("/v1/teams", "/auth/session", "/missing.js"):
        headers = browser.request("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff" and "default-src 'none'" in headers["Content-Security-Policy"]


def test_files_are_kept_for_ever_under_their_version_and_compressed(browser):
    index = browser.request("GET", "/", expect=200)
    script = re.search(r'src="(/assets/[0-9a-f]{16}/main\.js)"', index.text)[1]
    plain = browser.request("GET", script, expect=200, headers={"Accept-Encoding": "identity"})
    assert "immutable" in plain.headers["Cache-Control"] and plain.headers["Content-Type"].startswith("text/javascript")
    packed = browser.request("GET", script, headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and packed.content == plain.content
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"])
    again = browser.request("GET", script, expect=304, headers={"If-None-Match": plain.headers["ETag"]})
    assert again.content == b""
    assert browser.request("GET", "/assets/_/main.js", expect=200).headers["Cache-Control"] == "no-cache"
    assert index.headers["Cache-Control"] == "no-cache"
    head = browser.request("HEAD", script, expect=200)
    assert head.content == b"" and int(head.headers["Content-Length"]) > 0


# ---- with other settings ----

def test_guesses_are_slowed_down_for_the_address_and_the_account(servers):
    control = servers.control(portal_sign_in_failures=3, portal_sign_in_window="10m")
    browser = newcomer(control, "target")
    for _ in range(3):
        assert browser.request("POST", "/auth/sign-in", json={"name": "guess", "password": "x"}).status_code == 401
    for name, password in (("guess", "x"), ("another", PASSWORD)):
        response = browser.request("POST", "/auth/sign-in", json={"name": name, "password": password})
        assert response.status_code == 429 and response.json()["type"].endswith("/too-many-failures")
        assert 0 < int(response.headers["Retry-After"]) <= 600
    assert browser.session()["signed_in"] is True


def test_a_trusted_proxy_names_the_client_and_nobody_else_does(servers):
    def failures(control, *forwarded):
        browser = Browser(control.portal_url)
        headers = {"X-Forwarded-For": ", ".join(forwarded)} if forwarded else {}
        return browser.request("POST", "/auth/sign-in", json={"name": "x", "password": "x"}, headers=headers).status_code

    trusting = servers.control(portal_sign_in_failures=2, portal_trusted_proxies="127.0.0.0/8, 10.0.0.0/8")
    for _ in range(2):
        assert failures(trusting, "192.0.2.1") == 401
    assert failures(trusting, "192.0.2.1") == 429 and failures(trusting, "1.1.1.1", "192.0.2.1", "10.0.0.7") == 429
    assert failures(trusting, "192.0.2.1", "192.0.2.2") == 401
    shown = newcomer(trusting, "shown")
    assert shown.get("/auth/sessions", headers={"X-Forwarded-For": "junk"})["items"][0]["address"] == "127.0.0.1"
    plain = servers.control(portal_sign_in_failures=2)
    assert [failures(plain, f"192.0.2.{n}") for n in range(3)] == [401, 401, 429]


def test_sessions_end_when_idle_and_when_old(servers):
    control = servers.control(portal_session_idle="10s", portal_session_lifetime="1h")
    idle, busy = newcomer(control, "idle"), newcomer(control, "busy")

    def used():
        return busy.get("/auth/sessions")["items"][0]["used_at"]  # uses are noted, so that who works stays

    began = used()
    wait_until(lambda: used() > began, what="the use to be noted")

    def is_over():  # without using idle's session, which would keep it
        assert busy.session()["signed_in"] is True
        other = Browser(control.portal_url)
        other.sign_in("idle")
        return len(other.get("/auth/sessions")["items"]) == 1 or other.request("POST", "/auth/sign-out") is None

    wait_until(is_over, what="the idle session to be over")
    assert idle.session()["signed_in"] is False
    control = servers.control(portal_session_idle="1h", portal_session_lifetime="2s")
    old = newcomer(control, "old")
    wait_until(lambda: old.session()["signed_in"] is False, what="the session to end though it is used")


def test_the_portal_by_tls(servers, tmp_path):
    from sluice_support.catalog import certificate
    cert, key = certificate()
    (tmp_path / "cert.pem").write_text(cert)
    (tmp_path / "key.pem").write_text(key)
    control = servers.control(portal_tls_certificate_file=tmp_path / "cert.pem", portal_tls_key_file=tmp_path / "key.pem",
                              portal_public_url="https://portal.example.com/")
    invitation = control.admin.create("invitations", role="viewer")
    assert invitation["link"].startswith("https://portal.example.com/invitation#sli_")
    browser = Browser(control.portal_url.replace("http:", "https:"))
    browser._session.verify = False
    body = {"token": invitation["token"], "name": "tess", "password": PASSWORD}
    response = browser.request("POST", "/auth/invitation/accept", json=body)
    assert response.status_code == 403 and "https://portal.example.com" in response.json()["detail"]
    response = browser.request("POST", "/auth/invitation/accept", expect=201, json=body,
                               headers={"Origin": "https://portal.example.com"})
    assert response.headers["Set-Cookie"].startswith("__Host-sluice-session=") and "; Secure" in response.headers["Set-Cookie"]
    assert "max-age" in response.headers["Strict-Transport-Security"]


def test_open_sign_up_makes_viewers_and_not_too_many(servers):
    control = servers.control(portal_sign_up="open", portal_sign_ups=2)
    for name in ("first", "second"):
        browser = Browser(control.portal_url)
        answer = browser.post("/auth/sign-up", expect=201, name=name, email=f"{name}@example.com", password=PASSWORD)
        assert answer["user"]["roles"] == ["viewer"] and answer["user"]["teams"] == []
    browser = Browser(control.portal_url)
    browser.post("/auth/sign-up", expect=429, name="third", email="third@example.com", password=PASSWORD)


def test_the_portal_can_be_off_and_sign_up_too(servers):
    control = servers.control(no_portal_enabled=True)
    assert "link" not in control.admin.create("invitations", role="viewer")
    with pytest.raises(Exception):
        Browser(control.portal_url).session()
    control = servers.control(portal_sign_up="off")
    invitation = control.admin.create("invitations", role="viewer")
    browser = Browser(control.portal_url)
    assert browser.session()["sign_up"] == "off"
    browser.post("/auth/invitation/accept", expect=403, token=invitation["token"], name="x", password=PASSWORD)


def test_a_password_is_hashed_anew_when_its_cost_changes(servers):
    control = servers.control()
    newcomer(control, "costly")
    control.stop()
    control.command += ["--portal-password-passes", "2"]
    control.start()
    for _ in range(2):
        Browser(control.portal_url).sign_in("costly")
