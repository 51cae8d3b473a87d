"""Who may do what: every cell of admin_matrix.txt, and rights that change while a token is in use."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from sluice_support import wait_until
from sluice_support.admin_requests import AdminRequests
from sluice_support.catalog import CatalogSamples
from sluice_support.operations import of_document

ROLES = ["none", "expired", "disabled", "narrow", "viewer", "developer", "owner", "stranger", "admin"]


def _read_matrix():
    matrix = {}
    for line in (Path(__file__).parent / "admin_matrix.txt").read_text().splitlines():
        words = line.partition("#")[0].split()
        if words:
            assert len(words) == 2 + len(ROLES) and f"{words[0]} {words[1]}" not in matrix, line
            matrix[f"{words[0]} {words[1]}"] = dict(zip(ROLES, map(int, words[2:])))
    return matrix


MATRIX = _read_matrix()


class Platform:
    """A control plane with a caller of each role."""

    def __init__(self, servers):
        self.control = servers.control(log_level="info")
        self.admin = self.control.admin
        self.samples = CatalogSamples(self.admin)
        self.requests = AdminRequests(self.samples, lambda g: servers.gateway(self.control.join_string(g)))
        self.team = self.samples.base("teams")
        self.samples.create("grants", topic="*")
        self.clients = {"none": self.admin.with_token(None), "expired": self._expired()}
        for name, role in (("viewer", "viewer"), ("developer", "developer"), ("owner", "api-owner"),
                           ("admin", "platform-admin"), ("disabled", "platform-admin")):
            self.clients[name] = self.client(self.user(name, role), "*")
        self.admin.patch("users", "owner", owned_teams=[self.team])
        elsewhere = self.samples.create("teams")["id"]
        self.clients["stranger"] = self.client(self.user("stranger", "developer", "api-owner", team=elsewhere), "*")
        self.clients["narrow"] = self.client("admin", "event-apis:read")
        self.admin.patch("users", "disabled", disabled=True)

    def user(self, name, *roles, team=None):
        return self.admin.create("users", name=name, roles=list(roles), teams=[team or self.team])["name"]

    def client(self, user, *scopes, **fields):
        token = self.admin.create("api-tokens", name="matrix", owner=user, scopes=list(scopes), **fields)
        return self.admin.with_token(token["token"])

    def _expired(self):
        def in_seconds(count):
            return (datetime.now(timezone.utc) + timedelta(seconds=count)).isoformat().replace("+00:00", "Z")

        token = self.admin.create("api-tokens", name="short", scopes=["*"], expires_at=in_seconds(3600))
        client = self.admin.with_token(token["token"])
        client.request("GET", "/v1/self", expect=200)
        self.admin.patch("api-tokens", token["id"], expires_at=in_seconds(2))
        wait_until(lambda: client.request("GET", "/v1/self").status_code == 401, what="the token to expire")
        return client


@pytest.fixture(scope="module")
def platform(module_servers):
    return Platform(module_servers)


def test_every_operation_has_a_row(platform):
    documented = set(of_document(platform.admin.request("GET", "/openapi.json", expect=200).json()))
    assert not documented - set(MATRIX), "operations without a row in admin_matrix.txt"
    assert not set(MATRIX) - documented, "rows of admin_matrix.txt without an operation"


@pytest.mark.parametrize("operation", MATRIX)
def test_each_role_gets_what_the_matrix_says(platform, operation):
    expected = MATRIX[operation]
    wrong = []
    request = platform.requests.prepare(operation)
    for role in sorted(ROLES, key=lambda role: expected[role] < 300):  # first those who must not change anything
        if expected[role] < 300 and request is None:
            request = platform.requests.prepare(operation)
        response = request.send(platform.clients[role])
        if response.status_code != expected[role]:
            wrong.append(f"{role}: {response.status_code} instead of {expected[role]}: {response.text[:300]}")
        if response.status_code in (401, 403):
            problem = response.json()
            assert problem["status"] == response.status_code and response.headers["Content-Type"].startswith(
                "application/problem+json")
        if response.status_code < 300:
            request = None
    assert not wrong, "\n".join(wrong)


def test_refusals_say_which_permission_is_missing(platform):
    response = platform.clients["viewer"].request("POST", "/v1/teams", json={"name": "x"})
    assert "teams:write" in response.json()["detail"]
    response = platform.clients["none"].request("GET", "/v1/teams")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_role_that_is_taken_away_is_felt_by_the_next_request(platform):
    client = platform.client(platform.user("demoted", "viewer", "developer"), "*")
    client.request("POST", "/v1/applications", expect=201, json=platform.samples.body("applications"))
    platform.admin.patch("users", "demoted", roles=["viewer"])
    client.request("POST", "/v1/applications", expect=403, json=platform.samples.body("applications"))
    client.request("GET", "/v1/applications", expect=200)
    platform.admin.patch("users", "demoted", roles=[])
    client.request("GET", "/v1/applications", expect=403)


def test_a_role_that_loses_a_permission_takes_it_from_its_holders(platform):
    platform.admin.create("roles", name="team-writer", permissions=["teams:*"])
    client = platform.client(platform.user("writer", "team-writer"), "*")
    client.request("POST", "/v1/teams", expect=201, json=platform.samples.body("teams"))
    platform.admin.patch("roles", "team-writer", permissions=["teams:read"])
    client.request("POST", "/v1/teams", expect=403, json=platform.samples.body("teams"))
    client.request("GET", "/v1/teams", expect=200)


def test_a_token_has_no_more_than_its_scopes_and_its_owner_both_allow(platform):
    viewer = platform.client("viewer", "teams:*", "users:read")
    viewer.request("GET", "/v1/teams", expect=200)
    viewer.request("POST", "/v1/teams", expect=403, json={"name": "x"})  # a scope, not a right of the owner
    viewer.request("GET", "/v1/users", expect=403)
    viewer.request("GET", "/v1/products", expect=403)  # a right of the owner, not a scope


def test_scopes_that_are_cut_are_felt_at_once(platform):
    token = platform.admin.create("api-tokens", name="cut", scopes=["teams:read", "users:read"])
    client = platform.admin.with_token(token["token"])
    client.request("GET", "/v1/users", expect=200)
    platform.admin.patch("api-tokens", token["id"], scopes=["teams:read"])
    client.request("GET", "/v1/users", expect=403)
    client.request("GET", "/v1/teams", expect=200)


def test_a_disabled_user_is_let_in_again_when_enabled(platform):
    client = platform.client(platform.user("paused", "viewer"), "*")
    for disabled, status in ((True, 401), (False, 200)):
        platform.admin.patch("users", "paused", disabled=disabled)
        client.request("GET", "/v1/teams", expect=status)


def test_who_asks_sees_their_own_rights(platform):
    for role, user in (("viewer", "viewer"), ("narrow", "admin")):
        assert platform.clients[role].request("GET", "/v1/self", expect=200).json()["user"] == user
    assert platform.admin.request("GET", "/v1/self", expect=200).json()["user"] is None


# ---- rights do not grow ----

def _refused(response, *places, says=""):
    problem = response.json()
    assert response.status_code == 403, response.text
    assert [error["pointer"] for error in problem["errors"]] == list(places)
    assert says in problem["errors"][0]["detail"]


@pytest.fixture(scope="module")
def clerk(platform):
    """Administers people, and nothing else."""
    platform.admin.create("roles", name="clerk", permissions=["users:*", "roles:*", "api-tokens:*", "config:apply"])
    return platform.client(platform.user("clerk", "clerk"), "*")


def test_nobody_makes_a_token_with_more_than_they_hold(clerk):
    body = {"name": "t", "owner": "clerk", "scopes": ["users:read", "teams:read"]}
    _refused(clerk.request("POST", "/v1/api-tokens", json=body), "/scopes/1", says="teams:read")
    _refused(clerk.request("POST", "/v1/api-tokens", json={**body, "scopes": ["*"]}), "/scopes/0")
    _refused(clerk.request("POST", "/v1/api-tokens", json={"name": "t", "scopes": ["users:read"]}), "/owner")
    _refused(clerk.request("POST", "/v1/api-tokens", json={"name": "t", "owner": "admin", "scopes": ["users:read"]}),
             "/owner")
    made = clerk.request("POST", "/v1/api-tokens", expect=201, json={**body, "scopes": ["users:read"]})
    path, anything = made.headers["Location"], {"If-Match": "*"}
    _refused(clerk.request("PATCH", path, json={"scopes": ["*"]}, headers=anything), "/scopes/0")
    _refused(clerk.request("PUT", path, json={**body, "scopes": ["teams:*"]}, headers=anything), "/scopes/0")
    narrow = clerk.with_token(made.json()["token"])
    narrow.request("GET", "/v1/users", expect=200)
    narrow.request("GET", "/v1/roles", expect=403)


def test_a_narrow_token_cannot_widen_itself(platform):
    token = platform.admin.create("api-tokens", name="minter", scopes=["api-tokens:write"])
    minter = platform.admin.with_token(token["token"])
    _refused(minter.request("PATCH", f"/v1/api-tokens/{token['id']}", json={"scopes": ["*"]}, headers={"If-Match": "*"}),
             "/owner", "/scopes/0")
    _refused(minter.request("POST", "/v1/api-tokens", json={"name": "x", "scopes": ["*"]}), "/owner", "/scopes/0")


def test_nobody_gives_a_role_or_a_team_beyond_their_own(platform, clerk):
    elsewhere = platform.samples.create("teams")["name"]
    anything = {"If-Match": "*"}
    _refused(clerk.request("PATCH", "/v1/users/clerk", json={"roles": ["clerk", "platform-admin"]}, headers=anything),
             "/roles/1", says="permission *")
    _refused(clerk.request("POST", "/v1/users", json={"name": "puppet", "roles": ["viewer"], "teams": [elsewhere]}),
             "/roles/0", "/teams/0")
    _refused(clerk.request("PATCH", "/v1/roles/clerk", json={"permissions": ["users:*", "event-apis:write"]},
                           headers=anything), "/permissions/1", says="event-apis:write")
    _refused(clerk.request("POST", "/v1/roles", json={"name": "all", "permissions": ["*"]}), "/permissions/0")
    clerk.request("POST", "/v1/roles", expect=201, json={"name": "reader", "permissions": ["users:read"]})
    clerk.request("POST", "/v1/users", expect=201, json={"name": "colleague", "roles": ["reader"]})


def test_a_document_gives_no_more_either(clerk):
    document = {"manager": "clerk", "resources": {
        "roles": [{"name": "everything", "permissions": ["*"]}],
        "users": [{"name": "heir", "roles": ["platform-admin"]}]}}
    _refused(clerk.request("PUT", "/v1/config", json=document),
             "/resources/roles/0/permissions/0", "/resources/users/0/roles/0")
    document["resources"] = {"users": [{"name": "heir", "roles": ["clerk"]}]}
    clerk.request("PUT", "/v1/config", expect=200, json=document)


# ---- what teams were granted ----

class Deployed:
    """An event API of a team of its own, deployed by its owner on payments-1, which the only grant allows."""

    def __init__(self, platform, name):
        self.admin, samples = platform.admin, platform.samples
        self.team = samples.create("teams", name=name)["id"]
        self.owner = platform.client(platform.user(name, "api-owner", team=self.team), "*")
        self.api = samples.create("event-apis", team=self.team, exposures=["rest"])
        self.grant = samples.create("grants", team=self.team, topic="payments-*", operations=["publish", "read"])
        self.body = {**samples.body("deployments"), "event_api": self.api["id"], "topic": "payments-1"}
        self.path = self.owner.request("POST", "/v1/deployments", expect=201, json=self.body).headers["Location"]


def test_an_owner_deploys_only_what_the_team_was_granted(platform):
    samples = platform.samples
    team = samples.create("teams")["id"]
    owner = platform.client(platform.user("deployer", "api-owner", team=team), "*")
    api = samples.create("event-apis", team=team)["id"]
    body = {**samples.body("deployments"), "event_api": api, "topic": "payments-1"}
    assert "grant" in owner.request("POST", "/v1/deployments", expect=403, json=body).json()["detail"]
    grant = samples.create("grants", team=team, topic="payments-*", operations=["read"])
    owner.request("POST", "/v1/deployments", expect=403, json=body)  # the API publishes, too
    platform.admin.patch("grants", grant["id"], operations=["publish", "read"])
    owner.request("POST", "/v1/deployments", expect=403, json={**body, "topic": "orders"})
    platform.clients["owner"].request("POST", "/v1/deployments", expect=403, json=body)  # of another team
    path = owner.request("POST", "/v1/deployments", expect=201, json=body).headers["Location"]
    owner.request("PATCH", path, expect=403, json={"topic": "orders"}, headers={"If-Match": "*"})
    owner.request("PATCH", path, expect=200, json={"topic": "payments-2"}, headers={"If-Match": "*"})
    platform.admin.request("PATCH", path, expect=200, json={"topic": "orders"}, headers={"If-Match": "*"})


def test_an_event_api_does_not_take_its_deployments_where_nothing_was_granted(platform):
    deployed = Deployed(platform, "mover")
    second = platform.samples.create("teams")["id"]
    platform.admin.patch("users", "mover", teams=[deployed.team, second])
    path, anything = f"/v1/event-apis/{deployed.api['id']}", {"If-Match": "*"}
    _refused(deployed.owner.request("PATCH", path, json={"team": second}, headers=anything), "/team",
             says="payments-1")
    platform.samples.create("grants", team=second, topic="payments-1", operations=["publish", "read"])
    deployed.owner.request("PATCH", path, expect=200, json={"team": second}, headers=anything)


def test_a_grant_stays_while_a_deployment_rests_on_it(platform):
    deployed = Deployed(platform, "resting")
    grant, anything = f"/v1/grants/{deployed.grant['id']}", {"If-Match": "*"}
    problem = platform.admin.request("DELETE", grant, expect=409).json()
    assert [(r["kind"], r["key"].partition("@")[0]) for r in problem["referrers"]] == [
        ("deployments", f"{deployed.api['name']}.v1")]
    problem = platform.admin.request("PATCH", grant, expect=409, json={"operations": ["read"]}, headers=anything).json()
    assert [e["pointer"] for e in problem["errors"]] == ["/operations"] and deployed.api["name"] in problem["detail"]
    api = f"/v1/event-apis/{deployed.api['id']}"
    deployed.owner.request("PATCH", api, expect=200, json={"operations": ["read"]}, headers=anything)
    platform.admin.request("PATCH", grant, expect=200, json={"operations": ["read"]}, headers=anything)
    _refused(deployed.owner.request("PATCH", api, json={"operations": ["publish", "read"]}, headers=anything),
             "/operations")
    deployed.owner.request("DELETE", deployed.path, expect=204)
    platform.admin.request("DELETE", grant, expect=204)
