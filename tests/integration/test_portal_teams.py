"""Whose is whose in the portal: every cell of portal_teams.txt, and what owners of a team can do."""

import itertools
import re
from pathlib import Path

import pytest

from sluice_support import wait_until
from sluice_support.catalog import CatalogSamples
from sluice_support.operations import of_document
from sluice_support.portal import Browser, newcomer

WHO = ["owner", "member", "rival", "viewer"]
ANYTHING = {"If-Match": "*"}


def _read_matrix():
    matrix = {}
    for line in (Path(__file__).parent / "portal_teams.txt").read_text().splitlines():
        words = line.partition("#")[0].split()
        if words:
            assert len(words) == 2 + len(WHO) and f"{words[0]} {words[1]}" not in matrix, line
            matrix[f"{words[0]} {words[1]}"] = dict(zip(WHO, map(int, words[2:])))
    return matrix


MATRIX = _read_matrix()


class Teams:
    """Two teams and who is in them. `make(kind)` makes something of the team A, which nothing refers to."""

    def __init__(self, control):
        self.control, self.admin = control, control.admin
        self.names = (f"x{n}" for n in itertools.count(1))
        self.samples = CatalogSamples(self.admin, prefix="a-")
        self.a, self.b = (self.admin.create("teams", name=name)["id"] for name in ("team-a", "team-b"))
        self.samples._bases["teams"] = self.a
        self.browsers = {}
        for name, team, roles in (("owner", "team-a", ["api-owner", "developer"]),
                                  ("member", "team-a", ["api-owner", "developer"]),
                                  ("rival", "team-b", ["api-owner", "developer"]), ("viewer", "team-a", ["viewer"])):
            self.browsers[name] = newcomer(control, name, "viewer", team=team)
            owned = [team] if name in ("owner", "rival") else []
            self.admin.patch("users", name, roles=roles, owned_teams=owned)
        self.admin.create("roles", name="guest", permissions=["teams:read"])
        self.samples.create("grants", topic="*")
        self.samples.base("gateway-groups")  # subscriptions are for an environment that there is

    SPECIAL = {
        "user": lambda self: self.admin.create("users", name=next(self.names), teams=[self.a])["id"],
        "team": lambda self: self.a,
        "token": lambda self: self.samples.create("api-tokens")["id"],
        "policy": lambda self: self.samples.create("policies")["id"],
        "draft": lambda self: self.samples.create("event-apis", lifecycle="draft")["id"],
        "invitation": lambda self: self.admin.create("invitations", team=self.a, role="guest")["id"],
    }

    def make(self, word):
        if word in self.SPECIAL:
            return self.SPECIAL[word](self)
        return self.samples.create(f"{word}s")["id"]

    # What an action starts from, beside what was just made.
    BEFORE = {"suspend": ["approve"], "resume": ["approve", "suspend"]}

    def theirs(self, kind):
        """Something of the rival's, for what would be put upon the team A."""
        return self.samples.create(kind, team=self.b)["id"]

    def elsewhere(self):
        """Another gateway group to promote to."""
        group = self.samples.create("gateway-groups")["name"]
        return {"gateway_group": group, "listener": self.samples.create("listeners", gateway_group=group)["name"],
                "virtual_cluster": self.samples.base("virtual-clusters")}

    def request(self, operation):
        method, _, path = operation.partition(" ")
        kind, *rest = path.split("/")
        if method == "TAKE":  # the rival's own thing becomes the team A's
            return "PATCH", f"/v1/{kind}/{self.theirs(kind)}", {"team": self.a}
        parts = ["/v1", kind, *(self.make(part[1:-1]) if part.startswith("{") else part for part in rest)]
        if kind == "invitations" and method == "POST":
            return method, "/v1/invitations", {"role": "guest", "team": self.a}
        for step in self.BEFORE.get(parts[-1], ()):
            self.admin.act(kind, parts[2], step)
        if method == "POST" and not rest:
            return method, "/v1/" + kind, self.samples.body(kind)
        if parts[-1] in ("add-member", "remove-member"):
            return method, "/".join(parts), {"user": self.make("user")}
        if parts[-1] == "promote":
            return method, "/".join(parts), self.elsewhere()
        if method == "MOVE":
            return "PATCH", "/".join(parts), {"team": self.b}
        body = {"PATCH": lambda: {"email": f"{next(self.names)}@x.example"} if kind == "users" else self.samples.change(kind)}
        return method, "/".join(parts), body.get(method, lambda: None)()


@pytest.fixture(scope="module")
def teams(module_servers):
    return Teams(module_servers.control(portal_sign_in_failures=0))


# Kinds that belong to teams. Reading is not bound to them, and PUT is PATCH with all fields.
TEAMS_THINGS = {"applications", "credentials", "subscriptions", "event-apis", "deployments", "products", "plans", "policies",
                "teams", "invitations"}


def test_every_change_of_what_teams_have_has_a_row(teams):
    document = teams.admin.request("GET", "/openapi.json", expect=200).json()
    wanted = {re.sub(r"\{.*?\}", "{}", operation).replace("/v1/", "") for operation in of_document(document)
              if operation.partition("/v1/")[2].partition("/")[0] in TEAMS_THINGS and "{" in operation and not operation.startswith(("GET ", "PUT "))}
    rows = {re.sub(r"\{.*?\}", "{}", operation) for operation in MATRIX}
    assert len(wanted) > 20 and not wanted - rows, sorted(wanted - rows)


@pytest.mark.parametrize("operation", MATRIX)
def test_each_gets_what_the_matrix_says(teams, operation):
    wrong = []
    for who in WHO:
        method, path, body = teams.request(operation)
        response = teams.browsers[who].request(method, path, json=body, headers=ANYTHING if method != "POST" else {})
        if response.status_code != MATRIX[operation][who]:
            wrong.append(f"{who}: {response.status_code} instead of {MATRIX[operation][who]}: {response.text[:300]}")
    assert not wrong, "\n".join(wrong)


def test_an_owner_takes_in_promotes_and_puts_out(teams):
    owner = teams.browsers["owner"]
    user = teams.admin.create("users", name="joiner", email="joiner@x.example")["id"]
    path = f"/v1/teams/{teams.a}"

    def member():
        return {m["name"]: m["owner"] for m in owner.get(f"{path}/members?limit=1000")["items"]}.get("joiner")

    owner.post(f"{path}/add-member", user="joiner")
    assert member() is False and teams.admin.get("users", user)["teams"] == ["team-a"]
    owner.post(f"{path}/add-member", user=user, owner=True)
    assert member() is True and teams.admin.get("users", user)["owned_teams"] == ["team-a"]
    owner.post(f"{path}/add-member", user=user)
    assert member() is False
    owner.post(f"{path}/remove-member", user=user)
    assert member() is None and "teams" not in teams.admin.get("users", user)
    owner.post(f"{path}/add-member", expect=400, user="nobody-at-all")
    owner.post(f"{path}/add-member", expect=400)
    events = teams.admin.list("audit-events", kind="users", ref="joiner")
    assert [e["actor"]["name"] for e in events][:4] == ["owner"] * 4


def test_who_is_no_member_owns_no_team(teams):
    problem = teams.admin.request("POST", "/v1/users", json={"name": "odd", "owned_teams": ["team-a"]}, expect=400).json()
    assert problem["errors"][0]["pointer"] == "/owned_teams/0"


def test_members_are_listed_in_pages(teams):
    for n in range(5):
        teams.admin.create("users", name=f"page-{n}", teams=[teams.a])
    seen, cursor = [], ""
    while cursor is not None:
        page = teams.browsers["member"].get(f"/v1/teams/team-a/members?limit=2&cursor={cursor}")
        seen += [member["name"] for member in page["items"]]
        cursor = page["next"]
    assert seen == sorted(set(seen)) and {f"page-{n}" for n in range(5)} <= set(seen)
    teams.browsers["member"].get("/v1/teams/team-a/members?nothing=1", expect=400)


def test_a_token_that_is_used_says_when(teams):
    browser = teams.browsers["member"]
    token = browser.post("/auth/tokens", expect=201, name="used", scopes=["teams:read"])
    assert "last_used_at" not in token
    client = teams.admin.with_token(token["token"])

    def used():
        client.request("GET", "/v1/teams", expect=200)
        return next(t for t in browser.get("/auth/tokens")["items"] if t["id"] == token["id"]).get("last_used_at")

    assert wait_until(used, what="the use to be noted")
    etag = teams.admin.request("GET", f"/v1/api-tokens/{token['id']}", expect=200).headers["ETag"]
    assert etag == f'"{token["revision"]}"'  # a use is no change


def test_the_rights_of_a_browser_are_those_of_the_person_at_this_moment(teams):
    browser = newcomer(teams.control, "fleeting", "viewer", team="team-a")
    other = Browser(teams.control.portal_url)
    body = teams.samples.body("applications")
    browser.post("/v1/applications", expect=403, **body)
    teams.admin.patch("users", "fleeting", roles=["developer"])
    browser.post("/v1/applications", expect=201, **body)
    teams.admin.patch("users", "fleeting", teams=[])
    browser.post("/v1/applications", expect=403, **teams.samples.body("applications"))
    assert other.request("GET", "/v1/applications").status_code == 401
