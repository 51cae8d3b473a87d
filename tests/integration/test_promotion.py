"""Promoting a deployment to another gateway group: what a dry run tells, what is refused, and who looked at something else."""

import pytest

from sluice_support.catalog import CatalogSamples
from sluice_support.portal import newcomer


class World:
    """An event API of the team a on the group dev, and a group prod with a listener. `person` is an owner in the team."""

    def __init__(self, control):
        self.admin = admin = control.admin
        self.samples = CatalogSamples(admin)
        self.team = self.samples.base("teams")
        for name in ("dev", "prod"):
            admin.create("gateway-groups", name=name, environment=name)
            admin.create("listeners", name=f"{name}-http", gateway_group=name, protocol="http", address="127.0.0.1:1")
        admin.create("backend-clusters", name="local", bootstrap_servers=["127.0.0.1:1"])
        for name in ("dev", "prod"):
            admin.create("virtual-clusters", name=name, backend_cluster="local", namespace={"mode": "none"})
            admin.create("grants", team=self.team, virtual_cluster=name, topic="orders", operations=["publish", "read"])
        admin.create("event-apis", **{**self.samples.body("event-apis"), "name": "orders"})
        self.deployment = admin.create("deployments", event_api="orders.v1", gateway_group="dev", virtual_cluster="dev",
                                       topic="orders", listener="dev-http", labels={"cost": "7"})["id"]
        self.person = newcomer(control, "olga", "api-owner", self.team)

    def promote(self, expect, query="", if_match=None, **body):
        headers = {"If-Match": if_match} if if_match else {}
        return self.person.request("POST", f"/v1/deployments/{self.deployment}/promote{query}", json=body, headers=headers,
                                   expect=expect)

    def there(self):
        return self.admin.list("deployments", gateway_group="prod")


PROD = {"gateway_group": "prod", "listener": "prod-http", "virtual_cluster": "prod"}


@pytest.fixture(scope="module")
def world(module_servers):
    return World(module_servers.control(portal_sign_in_failures=0))


def test_a_dry_run_tells_what_is_made_and_makes_nothing(world):
    answer = world.promote(200, "?dry_run=true", **PROD).json()
    (change,) = answer["changes"]
    assert answer["dry_run"] and (change["action"], change["key"]) == ("create", "orders.v1@prod")
    assert {name: c["to"] for name, c in change["changes"].items() if name in PROD or name == "topic"} == {**PROD, "topic": "orders"}
    assert world.there() == []


@pytest.mark.parametrize("body, status, pointer", [
    ({"gateway_group": "nowhere"}, 400, "/gateway_group"),
    ({}, 400, "/gateway_group"),
    ({"gateway_group": "prod", "listener": "prod-http"}, 400, "/virtual_cluster"),
    ({"gateway_group": "prod", "virtual_cluster": "prod"}, 400, "/listener"),
    ({**PROD, "listener": "dev-http"}, 400, "/listener"),
    ({**PROD, "listener": "none"}, 400, "/listener"),
    ({**PROD, "topic": "of-others"}, 403, "/topic"),
    ({**PROD, "topic": "not a topic"}, 400, "/topic"),
    ({**PROD, "topic": 7}, 400, "/topic"),
    ({**PROD, "colour": "red"}, 400, "/colour"),
])
@pytest.mark.parametrize("query", ["?dry_run=true", ""])
def test_what_is_refused_is_refused_in_a_dry_run_too(world, query, body, status, pointer):
    problem = world.promote(status, query, **body).json()
    assert [error["pointer"] for error in problem.get("errors", [])] == [pointer], problem
    assert world.there() == []


def test_it_is_made_changed_and_then_nothing_is_left_to_do(world):
    seen = world.promote(200, "?dry_run=true", **PROD).headers["ETag"]
    assert world.promote(200, if_match=seen, **PROD).json()["changes"]
    (made,) = world.there()
    assert (made["topic"], made["manager"], made["labels"]) == ("orders", "portal", {"cost": "7"})
    assert world.promote(412, if_match=seen, **PROD).json()["status"] == 412
    assert world.promote(200, gateway_group="prod").json()["changes"] == []
    (change,) = world.promote(200, "?dry_run=true", gateway_group="prod", virtual_cluster="dev").json()["changes"]
    assert change["action"] == "update" and change["changes"]["virtual_cluster"] == {"from": "prod", "to": "dev"}
    seen = world.promote(200, "?dry_run=true", gateway_group="prod", virtual_cluster="dev").headers["ETag"]
    world.admin.patch("deployments", world.deployment, labels={"cost": "8"})
    world.promote(412, if_match=seen, gateway_group="prod", virtual_cluster="dev")
    world.promote(200, gateway_group="prod", virtual_cluster="dev")
    assert world.there()[0]["virtual_cluster"] == "dev"
    assert [e["action"] for e in world.admin.list("audit-events", kind="deployments", ref="orders.v1@prod")] == ["update", "create"]


def test_who_is_not_of_the_team_promotes_nothing(world, module_servers):
    stranger = newcomer(module_servers.programs[0], "sam", "api-owner")
    for query in ("?dry_run=true", ""):
        stranger.request("POST", f"/v1/deployments/{world.deployment}/promote{query}", json=PROD, expect=403)
