"""Sign-in by an OpenID provider, a real one, and by providers that lie."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from sluice_support.oidc_provider import OidcProvider
from sluice_support.portal import Browser, newcomer

PEOPLE = {
    "p-ann": {"email": "ann@corp.example", "email_verified": True, "preferred_username": "Ann.Lee", "name": "Ann Lee",
              "groups": ["payments", "developers"]},
    "p-bob": {"email": "bob@corp.example", "email_verified": True, "preferred_username": "bob"},
    "p-eve": {"email": "root@corp.example", "email_verified": False, "preferred_username": "eve", "groups": ["x"]},
    "p-late": {"email": "guest2@else.example", "email_verified": True, "preferred_username": "late"},
    "p-guest": {"email": "guest@else.example", "email_verified": True, "preferred_username": "<script>alert(1)</script>"},
}


class World:
    def __init__(self, servers, folder, **options):
        self.control = servers.control(portal_sign_in_provider_timeout="20s", issuer_keys_retry="5m", **options)
        self.admin = self.control.admin
        self.provider = OidcProvider(folder, {"portal": "s+cret/&"}, people=PEOPLE,
                                     redirect_uris=[f"{self.control.portal_url}/auth/providers/corp/callback"])
        self.admin.create("sign-in-providers", name="corp", title="Corporate", issuer=self.provider.url,
                          client_id="portal", client_secret="s+cret/&",
                          scopes=["openid", "profile", "email", "groups"])

    def browser(self):
        return Browser(self.control.portal_url)

    def start(self, browser, **body):
        return browser.post("/auth/providers/corp/start", **body)["location"]

    def back(self, browser, target):
        """Where the portal sends the browser at the end."""
        parts = urlsplit(target)
        response = browser.request("GET", f"{parts.path}?{parts.query}", headers={"Origin": None}, expect=303)
        return response.headers["Location"]

    def sign_in(self, account, **body):
        browser = self.browser()
        where = self.back(browser, self.provider.sign_in(self.start(browser, **body), account))
        return browser, where


@pytest.fixture(scope="module")
def worlds(module_servers, tmp_path_factory):
    made = {}

    def world(**options):
        key = json.dumps(options)
        if key not in made:
            made[key] = World(module_servers, tmp_path_factory.mktemp("provider"), **options)
        return made[key]

    yield world
    for world in made.values():
        world.provider.close()


@pytest.fixture(scope="module")
def world(worlds):
    return worlds()


def test_groups_give_teams_and_roles_for_as_long_as_somebody_is_in_them(world):
    team = world.admin.create("teams", name="payments")["id"]
    for rule in ({"group": "payments", "team": team}, {"group": "developers", "role": "developer"},
                 {"group": "admins", "role": "platform-admin"}):
        world.admin.create("sign-in-rules", provider="corp", **rule)
    browser, where = world.sign_in("p-ann", to="/profile?x=1")
    assert where == "/profile?x=1"
    session = browser.session()
    assert session["user"]["name"] == "ann-lee" and session["user"]["title"] == "Ann Lee"
    assert session["user"]["email"] == "ann@corp.example"
    assert [t["name"] for t in session["user"]["teams"]] == ["payments"] and session["user"]["roles"] == ["developer"]
    assert browser.get("/auth/sessions")["items"][0]["provider"] == "corp"
    world.admin.patch("users", "ann-lee", roles=["developer", "viewer"])  # by hand: stays
    rule = next(r for r in world.admin.list("sign-in-rules") if r["group"] == "developers")
    world.admin.delete("sign-in-rules", rule["id"])
    browser, _ = world.sign_in("p-ann")
    assert browser.session()["user"]["roles"] == ["viewer"] and browser.session()["user"]["name"] == "ann-lee"


def test_who_is_in_no_group_is_not_let_in_uninvited(world):
    browser, where = world.sign_in("p-bob")
    assert where.startswith("/sign-in?failed=denied&request=") and browser.session()["signed_in"] is False
    assert "bob" not in [user["name"] for user in world.admin.list("users")]


def test_an_invitation_is_taken_up_by_a_provider_too(world):
    invitation = world.admin.create("invitations", role="viewer")
    browser, where = world.sign_in("p-guest", invitation=invitation["token"])
    assert where == "/" and browser.session()["user"]["roles"] == ["viewer"]
    assert browser.session()["user"]["name"] == "script-alert-1-script"
    _, where = world.sign_in("p-bob", invitation=invitation["token"])
    assert where.startswith("/sign-in?failed=invitation")


def test_a_user_who_is_disabled_is_not_let_in(world):
    world.sign_in("p-ann")
    name = next(u["name"] for u in world.admin.list("users") if u.get("email") == "ann@corp.example")
    world.admin.patch("users", name, disabled=True)
    browser, where = world.sign_in("p-ann")
    assert "failed=denied" in where and browser.session()["signed_in"] is False
    world.admin.patch("users", name, disabled=False)


def test_an_address_is_no_proof_unless_the_provider_is_trusted_with_it(world):
    world.admin.create("users", name="robert", email="bob@corp.example", roles=["platform-admin"])
    world.admin.create("users", name="root", email="root@corp.example", roles=["platform-admin"])
    assert "failed=denied" in world.sign_in("p-bob")[1]
    world.admin.patch("sign-in-providers", "corp", trust_email=True)
    try:
        browser, _ = world.sign_in("p-bob")
        assert browser.session()["user"]["name"] == "robert"
        assert "failed=denied" in world.sign_in("p-eve")[1]  # not verified
        # Somebody else took the address, and waits in the account with a password of theirs.
        newcomer(world.control, "squatter", email="guest2@else.example")
        assert "failed=denied" in world.sign_in("p-late")[1]
    finally:
        world.admin.patch("sign-in-providers", "corp", trust_email=False)
    assert world.sign_in("p-bob")[0].session()["user"]["name"] == "robert"  # known from now on


def test_domains_let_in_whoever_has_a_verified_address(worlds):
    world = worlds(portal_sign_up="domain")
    world.admin.patch("sign-in-providers", "corp", domains=["corp.example"])
    browser, _ = world.sign_in("p-bob")
    assert browser.session()["user"]["roles"] == ["viewer"]
    assert "failed=denied" in world.sign_in("p-guest")[1] and "failed=denied" in world.sign_in("p-eve")[1]


# ---- what an attacker tries ----

@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)",
                                "/\r\nSet-Cookie: a=b", "profile", "/" + "a" * 900])
def test_nobody_is_sent_elsewhere_after_the_sign_in(world, to):
    world.admin.create("teams", name="redirects") if not world.admin.list("teams", name="redirects") else None
    browser, where = world.sign_in("p-ann", to=to)
    assert where == "/" and browser.session()["signed_in"] is True


def test_only_the_browser_that_began_can_end_it_and_only_once(world):
    browser, thief = world.browser(), world.browser()
    target = world.provider.sign_in(world.start(browser), "p-ann")
    assert "failed=expired" in world.back(thief, target)
    world.start(thief)  # a sign-in of its own, another state
    assert "failed=expired" in world.back(thief, target) and thief.session()["signed_in"] is False
    assert world.back(browser, target) == "/"
    assert "failed=expired" in world.back(browser, target)  # the flow is over


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x", "?code=x&state=x", "?error=access_denied", "?code=x&code=y",
                                   "?code=x&state=x&state=y", "?" + "a" * 2000])
def test_a_callback_out_of_nothing_signs_nobody_in(world, query):
    browser = world.browser()
    response = browser.request("GET", f"/auth/providers/corp/callback{query}")
    assert response.status_code in (303, 400) and browser.session()["signed_in"] is False
    forged = base64.urlsafe_b64encode(b"x" * 200).decode().rstrip("=")
    response = browser.request("GET", f"/auth/providers/corp/callback{query}", headers={"Cookie": f"sluice-sign-in={forged}"})
    assert response.status_code in (303, 400) and "sluice-session=" not in response.headers.get("Set-Cookie", "")


def test_a_changed_code_or_state_is_refused(world):
    browser = world.browser()
    target = world.provider.sign_in(world.start(browser), "p-ann")
    assert "failed=expired" in world.back(browser, target.replace("state=", "state=a"))
    target = world.provider.sign_in(world.start(browser), "p-ann")
    assert "failed=refused" in world.back(browser, target.replace("code=", "code=a"))


def test_another_page_cannot_begin_a_sign_in(world):
    response = world.browser().request("POST", "/auth/providers/corp/start", json={},
                                       headers={"Origin": "https://evil.example"})
    assert response.status_code == 403 and "Set-Cookie" not in response.headers


def test_the_secret_is_never_shown_and_the_cookie_is_closed(world):
    assert world.admin.get("sign-in-providers", "corp")["client_secret"] == {"set": True}
    browser = world.browser()
    location = world.start(browser)
    query = parse_qs(urlsplit(location).query)
    assert query["code_challenge_method"] == ["S256"] and query["response_type"] == ["code"]
    assert query["scope"] == ["openid profile email groups"] and len(query["state"][0]) == 43
    cookie = browser.cookies["sluice-sign-in"]
    assert query["state"][0].encode() not in base64.urlsafe_b64decode(cookie + "==")


def test_only_platform_administrators_say_who_vouches(world):
    world.admin.create("roles", name="half-admin", permissions=["sign-in-providers:*", "sign-in-rules:*", "teams:read"])
    half = newcomer(world.control, "half", "half-admin")
    half.post("/v1/sign-in-providers", expect=403, name="own", issuer="https://x.example", client_id="x")
    problem = half.post("/v1/sign-in-rules", expect=403, provider="corp", group="x", role="platform-admin")
    assert problem["errors"][0]["pointer"] == "/role"
    half.post("/v1/sign-in-rules", expect=400, provider="corp", group="x")


def test_a_provider_that_is_disabled_unknown_or_away(world, tmp_path):
    browser = world.browser()
    assert [p["name"] for p in browser.session()["providers"]] == ["corp"]
    browser.post("/auth/providers/nothing/start", expect=404)
    world.admin.create("sign-in-providers", name="away", issuer="http://127.0.0.1:9", client_id="x", disabled=True)
    browser.post("/auth/providers/away/start", expect=404)
    world.admin.patch("sign-in-providers", "away", disabled=False)
    assert "127.0.0.1:9" in browser.post("/auth/providers/away/start", expect=503)["detail"]
    secret = tmp_path / "secret"
    world.admin.patch("sign-in-providers", "away", client_secret={"file": str(secret)})
    browser.post("/auth/providers/away/start", expect=503)
    world.admin.delete("sign-in-providers", "away")


# ---- providers that lie ----

class Liar:
    """An issuer whose answers are whatever the test says."""

    def __init__(self):
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                body = liar.answers.get(self.path.partition("?")[0])
                body = body() if callable(body) else body
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                self._answer()

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self._answer()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.discovery = {"issuer": self.url, "authorization_endpoint": f"{self.url}/authorize",
                          "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/keys"}
        self.answers = {"/.well-known/openid-configuration": lambda: self.discovery, "/keys": {"keys": []}}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def liar(world):
    liar = Liar()
    world.admin.create("sign-in-providers", name="liar", issuer=liar.url, client_id="portal")
    yield liar
    liar.close()
    world.admin.delete("sign-in-providers", "liar")


@pytest.mark.parametrize("change", [
    {"issuer": "https://other.example"}, {"authorization_endpoint": "javascript:alert(1)"},
    {"authorization_endpoint": None}, {"token_endpoint": 7}, {"jwks_uri": "file:///etc/passwd"}])
def test_a_discovery_document_that_is_wrong_is_not_used(world, liar, change):
    liar.discovery.update(change)
    world.browser().post("/auth/providers/liar/start", expect=503)


@pytest.mark.parametrize("document", [b"", b"[]", b"{", b"\xff", b"x" * (2 << 20)])
def test_what_is_no_discovery_document(world, liar, document):
    liar.answers["/.well-known/openid-configuration"] = document
    world.browser().post("/auth/providers/liar/start", expect=503)


def test_a_provider_is_asked_once_for_what_it_says_of_itself(world, liar):
    asked = []
    document = dict(liar.discovery)
    liar.answers["/.well-known/openid-configuration"] = lambda: asked.append(1) or document
    for _ in range(3):
        world.browser().post("/auth/providers/liar/start")
    assert len(asked) == 1
    world.admin.patch("sign-in-providers", "liar", issuer=f"{liar.url}/other")  # another one is another question
    world.browser().post("/auth/providers/liar/start", expect=503)
    liar.answers["/other/.well-known/openid-configuration"] = {**document, "issuer": f"{liar.url}/other"}
    world.browser().post("/auth/providers/liar/start", expect=503)  # one that failed is left alone for a moment


def _unsigned(claims, header=None):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    return f"{part(header or {'alg': 'none'})}.{part(claims)}."


@pytest.mark.parametrize("tokens", [
    {}, {"id_token": ""}, {"id_token": "x.y.z"}, {"id_token": 1},
    {"id_token": _unsigned({"sub": "root", "iss": "x", "aud": "portal", "exp": 4e9})},
    {"id_token": _unsigned({"sub": "root"}, {"alg": "HS256"}) + "c2ln"},
    {"id_token": _unsigned({"sub": "root"}, {"alg": "ES256", "kid": "a"}) + "c2ln"}])
def test_tokens_that_nobody_signed_sign_nobody_in(world, liar, tokens):
    browser = world.browser()
    state = parse_qs(urlsplit(browser.post("/auth/providers/liar/start")["location"]).query)["state"][0]
    liar.answers["/token"] = tokens
    where = world.back(browser, f"/auth/providers/liar/callback?code=x&state={state}")
    assert "failed=refused" in where and browser.session()["signed_in"] is False
