"""Who may do what: every cell of admin_matrix.txt, and rights that change while a token is in use."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from sluice_support import wait_until
from sluice_support.admin_requests import AdminRequests
from sluice_support.catalog import CatalogSamples
from sluice_support.operations import of_document

ROLES = ["none", "expired", "disabled", "narrow", "viewer", "developer", "owner", "admin"]


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
        self.clients["narrow"] = self.client("admin", "event-apis:read")
        self.admin.patch("users", "disabled", disabled=True)

    def user(self, name, *roles):
        return self.admin.create("users", name=name, roles=list(roles), teams=[self.team])["name"]

    def client(self, user, *scopes, **fields):
        token = self.admin.create("api-tokens", name="matrix", owner=user, scopes=list(scopes), **fields)
        return self.admin.with_token(token["token"])

    def _expired(self):
        soon = (datetime.now(timezone.utc) + timedelta(seconds=2)).isoformat().replace("+00:00", "Z")
        token = self.admin.create("api-tokens", name="short", scopes=["*"], expires_at=soon)
        client = self.admin.with_token(token["token"])
        client.request("GET", "/v1/self", expect=200)
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


def test_an_owner_deploys_only_what_the_team_was_granted(platform):
    owner, samples = platform.clients["owner"], platform.samples
    other_team = samples.create("teams")["id"]
    api = samples.create("event-apis", team=other_team)["id"]
    body = {**samples.body("deployments"), "event_api": api, "topic": "payments-1"}
    assert "grant" in owner.request("POST", "/v1/deployments", expect=403, json=body).json()["detail"]
    grant = samples.create("grants", team=other_team, topic="payments-*", operations=["read"])
    owner.request("POST", "/v1/deployments", expect=403, json=body)  # the API publishes, too
    platform.admin.patch("grants", grant["id"], operations=["publish", "read"])
    owner.request("POST", "/v1/deployments", expect=403, json={**body, "topic": "orders"})
    made = owner.request("POST", "/v1/deployments", expect=201, json=body)
    path = made.headers["Location"]
    owner.request("PATCH", path, expect=403, json={"topic": "orders"}, headers={"If-Match": "*"})
    owner.request("PATCH", path, expect=200, json={"topic": "payments-2"}, headers={"If-Match": "*"})
    platform.admin.request("PATCH", path, expect=200, json={"topic": "orders"}, headers={"If-Match": "*"})
