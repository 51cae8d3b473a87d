"""Scorecard rules: what they say of event APIs, and every way to publish one that does not meet them."""

import itertools

import pytest

from sluice_support import free_port, wait_until
from sluice_support.ctl import Ctl
from sluice_support.portal import newcomer

ANYTHING = {"If-Match": "*"}
_numbers = itertools.count(1)


class Stage:
    """One blocking rule, about what has the tag "watched": so tests do not meet."""

    def __init__(self, servers):
        self.servers = servers
        self.control = servers.control()
        self.admin = self.control.admin
        for team in ("shop", "bank"):
            self.admin.create("teams", name=team)
        self.rule = self.admin.create(
            "scorecard-rules", name="documented", title="Documented", condition="size(api.description) >= 20",
            hint="Describe it in 20 characters at least.", level="silver", points=3, blocking=True, tags=["watched"])
        self.admin.create("scorecard-rules", name="example", condition="size(api.examples) > 0", hint="Add an example.",
                          level="gold", tags=["watched"])

    def body(self, **fields):
        return {"name": f"api{next(_numbers)}", "major": 1, "team": "shop", "operations": ["read"], "exposures": ["rest"],
                "tags": ["watched"], **fields}

    def api(self, **fields):
        return self.admin.create("event-apis", **self.body(**fields))

    def token(self, user):
        return self.admin.with_token(
            self.admin.create("api-tokens", name="t", owner=user, scopes=["*"])["token"])


@pytest.fixture(scope="module")
def stage(module_servers):
    return Stage(module_servers)


def _blocked(response, pointer="/lifecycle"):
    problem = response.json()
    assert response.status_code == 409 and problem["type"].endswith("/publishing-blocked"), response.text
    (error,) = problem["errors"]
    assert error["pointer"] == pointer and error["rule"] == "documented"
    assert "Describe it in 20 characters at least." in error["detail"]
    return problem


def test_a_card_says_what_is_met_and_what_to_do(stage):
    key = f"{stage.api(examples=[{'value': '{}'}])['name']}.v1"
    card = stage.admin.request("GET", f"/v1/event-apis/{key}/scorecard", expect=200).json()
    assert (card["key"], card["score"], card["level"]) == (key, 25, None)
    assert {rule["name"]: rule["met"] for rule in card["rules"]} == {"documented": False, "example": True}
    assert [rule["hint"] for rule in card["blocked_by"]] == ["Describe it in 20 characters at least."]
    stage.admin.patch("event-apis", key, description="Every order, as it happens.", lifecycle="published")
    card = stage.admin.request("GET", f"/v1/event-apis/{key}/scorecard", expect=200).json()
    assert (card["score"], card["level"], card["blocked_by"]) == (100, "gold", None)


def test_no_way_to_publish_leads_around_a_blocking_rule(stage):
    admin = stage.admin
    _blocked(admin.request("POST", "/v1/event-apis", json=stage.body(lifecycle="published")))
    api = stage.api()
    path = f"/v1/event-apis/{api['id']}"
    problem = _blocked(admin.request("PATCH", path, json={"lifecycle": "published"}, headers=ANYTHING))
    assert problem["detail"] == "1 scorecard rule must be met before it is published: documented"
    _blocked(admin.request("PATCH", path, json={"lifecycle": "deprecated"}, headers=ANYTHING))
    _blocked(admin.request("PUT", path, json={**api, "lifecycle": "published"}, headers=ANYTHING))
    assert admin.get("event-apis", api["id"])["lifecycle"] == "draft"
    admin.request("PATCH", path, expect=200, headers=ANYTHING,
                  json={"lifecycle": "published", "description": "Every order, as it happens."})


def test_a_document_that_publishes_is_refused_at_the_line(stage, tmp_path):
    body = stage.body(lifecycle="published")
    document = {"manager": "ci", "resources": {"event-apis": [body]}}
    _blocked(stage.admin.request("PUT", "/v1/config", json=document), "/resources/event-apis/0/lifecycle")
    _blocked(stage.admin.request("PUT", "/v1/config?dry_run=true", json=document), "/resources/event-apis/0/lifecycle")
    text = (f"manager: ci\nresources:\n  event-apis:\n  - name: {body['name']}\n    major: 1\n    team: shop\n"
            "    operations: [read]\n    exposures: [rest]\n    tags: [watched]\n    lifecycle: published\n")
    answer = stage.admin.request("PUT", "/v1/config", data=text, headers={"Content-Type": "application/yaml"})
    assert _blocked(answer, "/resources/event-apis/0/lifecycle")["errors"][0]["line"] == 10
    ctl = Ctl(stage.servers.build_dir, tmp_path, stage.control.admin_url, stage.control.token)
    (tmp_path / "shop.yaml").write_text(text)
    said = ctl.err("apply", "-f", tmp_path / "shop.yaml", "--yes", expect=1)
    assert "documented" in said and "Describe it in 20 characters at least." in said
    (tmp_path / "shop.yaml").write_text(text + "    description: Every order, as it happens.\n")
    ctl.out("apply", "-f", tmp_path / "shop.yaml", "--yes")


def test_rules_are_declared_and_read_like_everything_else(stage, tmp_path):
    rule = {"name": "declared", "condition": "api.tags.size() > 0", "hint": "Tag it.", "tags": ["nothing-has-this"]}
    document = {"manager": "rules", "resources": {"scorecard-rules": [rule]}}
    assert stage.admin.request("PUT", "/v1/config", expect=200, json=document).json()["changes"][0]["key"] == "declared"
    assert stage.admin.request("PUT", "/v1/config", expect=200, json=document).json()["changes"] == []
    dump = stage.admin.request("GET", "/v1/config?manager=rules", expect=200).json()
    assert dump["resources"]["scorecard-rules"][0]["condition"] == rule["condition"]
    ctl = Ctl(stage.servers.build_dir, tmp_path, stage.control.admin_url, stage.control.token)
    assert "declared" in ctl.out("get", "scorecard-rules", "-o", "name")
    stage.admin.delete("scorecard-rules", "declared")


def test_a_rule_is_tried_on_everything_before_it_is_made(stage):
    for _ in range(3):
        stage.api(tags=["trial"])
    stage.api(tags=["trial"], title="Titled")
    rule = {"name": "titled", "condition": "api.title != ''", "hint": "Give it a title.", "tags": ["trial"],
            "blocking": True}
    checked, applies, failing, cursor = 0, 0, [], ""
    while cursor is not None:
        page = stage.admin.request("POST", f"/v1/scorecards/preview?limit=2{cursor and '&cursor=' + cursor}",
                                   expect=200, json=rule).json()
        checked, applies, cursor = checked + page["checked"], applies + page["applies"], page["next"]
        failing += page["items"]
    assert checked == len(stage.admin.list("event-apis")) and applies == 4
    assert len(failing) == 3 and all(item["blocked"] for item in failing)
    assert "titled" not in [made["name"] for made in stage.admin.list("scorecard-rules")]
    problem = stage.admin.request("POST", "/v1/scorecards/preview", expect=400,
                                  json={**rule, "condition": "api.titel != ''"}).json()
    assert problem["errors"][0]["pointer"] == "/condition"


def test_cards_are_for_those_who_may_know_of_the_event_api(stage):
    key = f"{stage.api()['name']}.v1"
    stage.admin.create("users", name="sue", teams=["shop"], roles=["viewer"])
    stage.admin.create("users", name="bill", teams=["bank"], roles=["api-owner"])
    sue, bill = stage.token("sue"), stage.token("bill")

    def listed(client):
        return [item["key"] for item in client.request("GET", "/v1/scorecards?team=shop&limit=1000", expect=200).json()["items"]]

    assert key in listed(sue) and key not in listed(bill)
    sue.request("GET", f"/v1/event-apis/{key}/scorecard", expect=200)
    bill.request("GET", f"/v1/event-apis/{key}/scorecard", expect=404)
    for client in (sue, bill):
        client.request("GET", "/v1/scorecard-rules/documented", expect=200)
        client.request("PATCH", "/v1/scorecard-rules/documented", expect=403, json={"blocking": False}, headers=ANYTHING)
        client.request("DELETE", "/v1/scorecard-rules/documented", expect=403)


def test_an_owner_in_the_portal_is_refused_alike(stage):
    ola = newcomer(stage.control, "ola", "api-owner", "shop")
    path = f"/v1/event-apis/{stage.api()['name']}.v1"
    _blocked(ola.request("PATCH", path, json={"lifecycle": "published"}, headers=ANYTHING))
    assert ola.request("GET", f"{path}/scorecard").json()["blocked_by"][0]["name"] == "documented"


def test_rules_change_nothing_for_gateways_and_rollbacks_pass_them(stage):
    admin = stage.admin
    admin.create("gateway-groups", name="edge", environment="dev")
    gateway = stage.servers.gateway(stage.control.join_string("edge"))
    api = stage.api(tags=["later"], lifecycle="published")

    def versions():
        return admin.list("config-versions", group="edge")

    def change_something():
        before = len(versions())
        admin.create("listeners", name=f"l{next(_numbers)}", gateway_group="edge", protocol="http",
                     address=f"127.0.0.1:{free_port()}")
        wait_until(lambda: len(versions()) > before, 60, "a new version")

    wait_until(versions, 60, "the first version")
    change_something()
    count = len(versions())
    admin.create("scorecard-rules", name="strict", condition="false", hint="Nothing helps.", blocking=True, tags=["later"])
    change_something()
    assert len(versions()) == count + 1
    gateway.stop()
    stage.servers.programs.remove(gateway)
    published = versions()[0]
    admin.patch("event-apis", api["id"], lifecycle="retired")
    admin.request("POST", f"/v1/config-versions/{published['id']}/rollback", expect=200)
    assert admin.get("event-apis", api["id"])["lifecycle"] == "published"
    admin.delete("scorecard-rules", "strict")
