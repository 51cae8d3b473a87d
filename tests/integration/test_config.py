"""The configuration as a whole: declarative documents, dumps, kept versions, diff and rollback."""

import json
import threading

import pytest

from sluice_support import AdminClient, SampleApi, wait_until

YAML = {"Content-Type": "application/yaml"}


@pytest.fixture(scope="module")
def control(module_servers):
    return module_servers.control()


@pytest.fixture
def admin(control):
    return control.admin


@pytest.fixture
def name(request):
    """A prefix of the test's own: tests of this file share a control plane."""
    return request.node.originalname[5:].replace("_", "-")[:40].rstrip("-")


def _apply(admin, document, expect=200, headers=None, **query):
    parameters = {key: str(value).lower() for key, value in query.items()}
    if isinstance(document, (str, bytes)):
        body, headers = {"data": document}, headers or YAML
    else:
        body = {"json": document}
    return admin.request("PUT", "/v1/config", expect=expect, params=parameters, headers=headers, timeout=250, **body).json()


def _document(manager, **resources):
    return {"manager": manager, "resources": {kind.replace("_", "-"): objects for kind, objects in resources.items()}}


def _done(answer):
    return [f"{change['action']} {change['kind']}/{change['key']}" for change in answer["changes"]]


def _revision(admin):
    return admin.request("GET", "/health/ready", expect=200).json()["revision"]


def _places(problem):
    return [error["pointer"] for error in problem["errors"]]


# ---- documents ----

def _large(count):
    """Its answer has more than 800 bytes for each."""
    return {"manager": "large", "resources": {"teams": [
        {"name": f"large-{number}", "labels": {f"l{label}": "x" * 60 for label in range(10)}} for number in range(count)]}}


def _apply_keyed(admin, key, count):
    return admin.request("PUT", "/v1/config", json=_large(count), headers={"Idempotency-Key": key})


def test_the_answer_to_a_large_document_is_kept_for_its_key(servers):
    admin = servers.control().admin
    first = _apply_keyed(admin, "first", 1400)
    assert first.status_code == 200 and len(first.content) > 1 << 20
    again = _apply_keyed(admin, "first", 1400)
    assert again.json() == first.json() and len(again.json()["changes"]) == 1400


def test_large_answers_are_kept_within_a_bound(servers):
    admin = servers.control(admin_limits_kept_answers="256KiB").admin
    assert len(_apply_keyed(admin, "first", 140).json()["changes"]) == 140
    assert len(_apply_keyed(admin, "first", 140).json()["changes"]) == 140
    admin.request("PUT", "/v1/config?prune=true", expect=200, json=_large(0))
    assert len(_apply_keyed(admin, "second", 200).json()["changes"]) == 200
    again = _apply_keyed(admin, "first", 140)  # forgotten in its favour: done once more, which changes nothing
    assert again.status_code == 200 and not again.json()["changes"]
    assert len(_apply_keyed(admin, "second", 200).json()["changes"]) == 200
    admin.request("PUT", "/v1/config?prune=true", expect=200, json=_large(0))
    refused = _apply_keyed(admin, "third", 400)
    assert refused.status_code == 413 and "admin-limits.kept-answers" in refused.json()["detail"]
    assert admin.request("GET", "/v1/teams?limit=1", expect=200).json()["items"] == []


def test_a_dump_applied_again_changes_nothing(admin, name):
    _apply(admin, _document(name, teams=[{"name": name}], event_apis=[{
        "name": name, "major": 1, "team": name, "operations": ["read"], "exposures": ["rest"],
        "description": "# Orders\n\nno: \"yes\"  \n\ttabs, *stars* & ünïcode\n"}]))
    admin.create("teams", name=f"{name}-api", title="yes")
    before = _revision(admin)
    for manager in (None, name):
        query = {"manager": manager} if manager else {}
        dump = admin.request("GET", "/v1/config", expect=200, params=query)
        assert dump.headers["ETag"] == f'"{before}"'
        document = dump.json()
        assert document["resources"]["teams"], document
        assert _apply(admin, document)["changes"] == []
        text = admin.request("GET", "/v1/config", expect=200, params=query, headers={"Accept": "application/yaml"})
        assert text.headers["Content-Type"] == "application/yaml"
        assert _apply(admin, text.content)["changes"] == []
    assert _revision(admin) == before
    owners = {team["name"]: team.get("manager") for team in admin.request("GET", "/v1/config").json()["resources"]["teams"]}
    assert owners[name] == name and owners[f"{name}-api"] is None


def test_a_dump_makes_the_same_in_an_empty_catalog(admin, servers):
    dump = admin.request("GET", "/v1/config").json()
    other = servers.control().admin
    _apply(other, dump)
    assert other.request("GET", "/v1/config").json() == dump


def test_a_dry_run_tells_everything_and_changes_nothing(admin, name):
    before = _revision(admin)
    newest = admin.request("GET", "/v1/audit-events", params={"limit": 1}).json()["items"]
    document = _document(name, teams=[{"name": name}], applications=[{"name": name, "team": name}])
    planned = _apply(admin, document, dry_run=True)
    assert planned["dry_run"] is True and planned["revision"] == before
    assert _done(planned) == [f"create teams/{name}", f"create applications/{name}"]
    assert _revision(admin) == before
    assert admin.request("GET", "/v1/audit-events", params={"limit": 1}).json()["items"] == newest
    admin.request("GET", f"/v1/teams/{name}", expect=404)
    done = _apply(admin, document)
    assert done["changes"] == planned["changes"] and done["revision"] == before + 1


def test_pruning_deletes_only_the_managers_own(admin, name):
    _apply(admin, _document(f"{name}-1", teams=[{"name": f"{name}-a"}, {"name": f"{name}-b"}]))
    _apply(admin, _document(f"{name}-2", teams=[{"name": f"{name}-c"}]))
    admin.create("teams", name=f"{name}-d")
    left = _document(f"{name}-1", teams=[{"name": f"{name}-b"}])
    assert _apply(admin, left)["changes"] == []
    assert _done(_apply(admin, left, prune=True)) == [f"delete teams/{name}-a"]
    assert {f"{name}-b", f"{name}-c", f"{name}-d"} <= {team["name"] for team in admin.list("teams")}
    admin.create("applications", name=name, team=f"{name}-b")
    problem = _apply(admin, _document(f"{name}-1"), prune=True, expect=409)
    assert [(r["kind"], r["key"]) for r in problem["referrers"]] == [("applications", name)]


def test_another_managers_object_is_refused_unless_it_is_adopted(admin, name):
    admin.create("teams", name=name)
    document = _document(name, teams=[{"name": f"{name}-new"}, {"name": name, "title": "Mine"}])
    problem = _apply(admin, document, expect=409)
    assert _places(problem) == ["/resources/teams/1"] and "manager api" in problem["detail"]
    admin.request("GET", f"/v1/teams/{name}-new", expect=404)
    assert _done(_apply(admin, document, adopt=True)) == [f"create teams/{name}-new", f"adopt teams/{name}"]
    assert admin.get("teams", name)["manager"] == name


def test_base_revision_and_if_match_hold_the_document_to_what_it_was_based_on(admin, name):
    before = _revision(admin)
    document = _document(name, teams=[{"name": name}])
    assert _apply(admin, {**document, "base_revision": before})["revision"] == before + 1
    problem = _apply(admin, {**document, "base_revision": before}, expect=412)
    assert _places(problem) == ["/base_revision"]
    _apply(admin, document, expect=412, headers={"If-Match": f'"{before}"'})
    _apply(admin, document, headers={"If-Match": f'"{before + 1}"'})


def test_an_absent_secret_keeps_its_value(admin, name):
    cluster = {"name": name, "bootstrap_servers": ["127.0.0.1:1"],
               "authentication": {"mechanism": "PLAIN", "username": "u", "password": "first"}}
    _apply(admin, _document(name, backend_clusters=[cluster]))
    del cluster["authentication"]["password"]
    assert _apply(admin, _document(name, backend_clusters=[cluster]))["changes"] == []
    assert admin.get("backend-clusters", name)["authentication"]["password"] == {"set": True}
    cluster["authentication"]["password"] = "second"
    [change] = _apply(admin, _document(name, backend_clusters=[cluster]))["changes"]
    assert change["changes"] == {"authentication": {"secret": "changed"}}
    text = admin.request("GET", "/v1/config", params={"manager": name}).text
    assert "first" not in text and "second" not in text and "sealed" not in text


def test_the_order_of_changes_does_not_matter(admin, name):
    """What depends on each other shrinks and grows together, though each step alone would break a rule."""
    def world(operations):
        return _document(name, teams=[{"name": name}],
                         event_apis=[{"name": name, "major": 1, "team": name, "operations": operations,
                                      "exposures": ["rest"]}],
                         products=[{"name": name, "team": name, "visibility": "public", "event_apis": [f"{name}.v1"]}],
                         plans=[{"product": name, "name": "free", "operations": operations, "approval": "auto"}])
    _apply(admin, world(["publish", "read"]))
    assert sorted(_done(_apply(admin, world(["read"])))) == [f"update event-apis/{name}.v1", f"update plans/{name}.free"]
    assert len(_apply(admin, world(["publish", "read"]))["changes"]) == 2


def test_the_permission_of_each_kind_is_needed_too(admin, name):
    token = admin.create("api-tokens", name=name, scopes=["config:apply", "teams:write"])["token"]
    limited = admin.with_token(token)
    _apply(limited, _document(name, teams=[{"name": name}]))
    document = _document(name, teams=[{"name": name, "title": "T"}], applications=[{"name": name, "team": name}])
    problem = _apply(limited, document, expect=403)
    assert "applications:write" in problem["detail"]
    _apply(limited, document, expect=403, dry_run=True)
    admin.request("GET", f"/v1/applications/{name}", expect=404)
    assert "title" not in admin.get("teams", name)
    limited.request("GET", "/v1/config", expect=403)
    _apply(AdminClient(admin.base_url), document, expect=401)


def test_grants_bind_documents_as_they_bind_single_writes(admin, name):
    base = _document(name, teams=[{"name": name}], gateway_groups=[{"name": name, "environment": "dev"}],
                     backend_clusters=[{"name": name, "bootstrap_servers": ["127.0.0.1:1"]}],
                     virtual_clusters=[{"name": name, "backend_cluster": name, "namespace": {"mode": "none"}}],
                     listeners=[{"name": name, "gateway_group": name, "protocol": "http", "address": "127.0.0.1:1"}],
                     event_apis=[{"name": name, "major": 1, "team": name, "operations": ["read"], "exposures": ["rest"]}])
    _apply(admin, base)
    token = admin.create("api-tokens", name=name, scopes=["config:apply", "deployments:write"])["token"]
    deployments = _document(name, deployments=[{"event_api": f"{name}.v1", "gateway_group": name,
                                                "virtual_cluster": name, "topic": "orders", "listener": name}])
    problem = _apply(admin.with_token(token), deployments, expect=403)
    assert _places(problem) == ["/resources/deployments/0/topic"]
    admin.create("grants", team=name, virtual_cluster=name, topic="ord*", operations=["read"])
    _apply(admin.with_token(token), deployments)


@pytest.mark.parametrize("document, places", [
    ({"resources": {}}, ["/manager"]),
    ({"manager": "system", "resources": {}}, ["/manager"]),
    ({"manager": "m"}, ["/resources"]),
    ({"manager": "m", "resources": {}, "colour": 1}, ["/colour"]),
    ({"manager": "m", "resources": {"rockets": []}}, ["/resources/rockets"]),
    ({"manager": "m", "resources": {"api-tokens": []}}, ["/resources/api-tokens"]),
    ({"manager": "m", "resources": {"teams": {}}}, ["/resources/teams"]),
    ({"manager": "m", "resources": {"teams": [7, None]}}, ["/resources/teams/0", "/resources/teams/1"]),
    ({"manager": "m", "resources": {"teams": [{"name": "bad-1", "colour": "red"}, {"name": "Bad"}]}},
     ["/resources/teams/0/colour", "/resources/teams/1/name"]),
    ({"manager": "m", "resources": {"teams": [{"name": "bad-1"}, {"name": "bad-1"}]}}, ["/resources/teams/1"]),
    ({"manager": "m", "resources": {"teams": [{"name": "bad-1", "manager": "system"}]}}, ["/resources/teams/0/manager"]),
    ({"manager": "m", "resources": {"applications": [{"name": "bad-1", "team": "nobody"}]}},
     ["/resources/applications/0/team"]),
    # A reference to something that failed itself is no news; an unrelated field is.
    ({"manager": "m", "resources": {"teams": [{"name": "bad-1", "title": 7}],
                                    "applications": [{"name": "bad-2", "team": "bad-1", "title": []}]}},
     ["/resources/teams/0/title", "/resources/applications/0/title"]),
])
def test_what_is_wrong_with_a_document_is_told_by_pointer_and_nothing_is_done(admin, document, places):
    before = _revision(admin)
    document.setdefault("resources", {}) if places == ["/manager"] else None
    if isinstance(document.get("resources"), dict):
        document["resources"].setdefault("roles", []).append({"name": "bad-role", "permissions": ["teams:read"]})
    assert _places(_apply(admin, document, expect=422)) == places
    assert _revision(admin) == before
    admin.request("GET", "/v1/roles/bad-role", expect=404)


def test_problems_of_a_yaml_document_have_lines(admin):
    text = "manager: m\nresources:\n  teams:\n  - name: fine\n  - name: Wrong\n    title: 7\n"
    problem = _apply(admin, text, expect=422)
    assert [(e["pointer"], e["line"]) for e in problem["errors"]] == [("/resources/teams/1/name", 5),
                                                                      ("/resources/teams/1/title", 6)]


BOMB = "a: &a [x, x, x, x]\n" + "".join(f"{c}: &{c} [*{p}, *{p}, *{p}, *{p}]\n" for p, c in zip("abcdefgh", "bcdefghi"))


@pytest.mark.parametrize("text, status, says", [
    (BOMB, 400, "anchors"),
    ("manager: *m\n", 400, "aliases"),
    ("[" * 5000, 400, "deeper"),
    ("a: " * 200 + "1", 400, "line"),
    ("manager: !!python/object:os.system m\n", 400, "tag"),
    ("manager: m\nmanager: n\n", 400, "twice"),
    ("manager: m\n--- \nmanager: n\n", 400, "more than one document"),
    (b"manager: \xff\xfe\n", 400, "byte"),
    ("manager: m\nresources: {teams: [\n", 400, "line"),
    ("%YAML 3.0\n---\nmanager: m\n", 400, "line"),
    ("<<: {manager: m}\n", 400, "merge"),
    ("", 400, ""),
    ("- manager\n", 400, "object"),
])
def test_hostile_yaml_is_refused_with_its_place(admin, text, status, says):
    before = _revision(admin)
    assert says in _apply(admin, text, expect=status)["detail"]
    assert _revision(admin) == before


@pytest.mark.parametrize("text", [b'{"manager": "m", "resources": {}', b'{"manager": "\xff", "resources": {}}',
                                  b'{"manager": "m", "manager": "n", "resources": {}}', b"[" * 100000,
                                  b'{"manager": "m\\u0000", "resources": {}}'])
def test_json_that_cannot_be_read_is_400(admin, text):
    _apply(admin, text, expect=400, headers={"Content-Type": "application/json"})


def test_a_document_over_the_limit_is_413_and_a_misspelt_parameter_400(admin, name):
    _apply(admin, b"#" * (17 << 20), expect=413)
    problem = _apply(admin, _document(name, teams=[{"name": name}]), expect=400, dryrun=True)
    assert "dryrun" in problem["detail"]
    _apply(admin, _document(name, teams=[{"name": name}]), expect=400, dry_run="maybe")
    admin.request("GET", f"/v1/teams/{name}", expect=404)


@pytest.mark.timeout(900)
def test_five_thousand_entities_go_in_one_document(admin, name):
    def entities(title):
        return _document(name, teams=[{"name": f"{name}-{n}"} for n in range(1000)], event_apis=[
            {"name": f"{name}-{n}", "major": 1, "team": f"{name}-{n % 1000}", "operations": ["read"],
             "exposures": ["rest"], "title": title if n == 2345 else "Same"} for n in range(4000)])
    assert len(_apply(admin, entities("Same"))["changes"]) == 5000
    assert _apply(admin, entities("Same"))["changes"] == []
    assert _done(_apply(admin, entities("Other"))) == [f"update event-apis/{name}-2345.v1"]
    assert len(_apply(admin, _document(name), prune=True)["changes"]) == 5000


def _race(admin, documents):
    """Applies all of them at once; the answers in their order."""
    answers, gate = [None] * len(documents), threading.Barrier(len(documents))

    def run(index):
        client = admin.with_token(admin.token)
        gate.wait()
        answers[index] = client.request("PUT", "/v1/config", json=documents[index], timeout=110)
    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(documents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_of_two_appliers_on_the_same_revision_one_wins(admin, name):
    for attempt in range(5):
        base = _revision(admin)
        documents = [{**_document(name, teams=[{"name": name, "title": f"{attempt}-{n}"}]), "base_revision": base}
                     for n in range(2)]
        answers = _race(admin, documents)
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        winner = [answer.status_code for answer in answers].index(200)
        assert admin.get("teams", name)["title"] == f"{attempt}-{winner}"


def test_appliers_at_once_come_one_after_the_other(admin, name):
    # The same manager: whoever came later stands, as a whole.
    documents = [_document(name, teams=[{"name": f"{name}-{n}", "title": str(k)} for n in range(20)]) for k in range(4)]
    answers = _race(admin, documents)
    assert [answer.status_code for answer in answers] == [200] * 4
    revisions = [answer.json()["revision"] for answer in answers]
    assert len(set(revisions)) == 4
    last = revisions.index(max(revisions))
    assert {admin.get("teams", f"{name}-{n}")["title"] for n in range(20)} == {str(last)}
    # Different managers want the same object: one has it, the others are told.
    answers = _race(admin, [_document(f"{name}-{k}", teams=[{"name": f"{name}-one"}]) for k in range(3)])
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]


def test_the_openapi_document_describes_parameters_and_bodies(admin):
    document = admin.request("GET", "/openapi.json", expect=200).json()
    apply, dump = document["paths"]["/v1/config"]["put"], document["paths"]["/v1/config"]["get"]
    assert {"dry_run", "prune", "adopt", "If-Match"} <= {p["name"] for p in apply["parameters"]}
    assert {"application/json", "application/yaml"} == apply["requestBody"]["content"].keys()
    assert "application/yaml" in dump["responses"]["200"]["content"] and apply["x-permission"] == "config:apply"
    rollback = document["paths"]["/v1/config-versions/{key}/rollback"]["post"]
    assert rollback["requestBody"]["required"] is False and {"409", "410", "422"} <= rollback["responses"].keys()
    assert "event-apis" in document["components"]["schemas"]["ConfigDocument"]["properties"]["resources"]["properties"]


# ---- versions ----

class World:
    """A gateway group with a cluster that has a password; versions appear as its configuration changes."""

    def __init__(self, admin, name):
        self.admin, self.name = admin, name
        admin.create("gateway-groups", name=name, environment="dev")
        admin.create("teams", name=name)
        self.make_cluster()
        admin.create("virtual-clusters", name=name, backend_cluster=name, namespace={"mode": "none"})
        admin.create("listeners", name=name, gateway_group=name, protocol="http", address="127.0.0.1:1")
        admin.create("event-apis", name=name, major=1, team=name, operations=["read"], exposures=["rest"],
                     lifecycle="published", title="First")
        admin.create("deployments", event_api=f"{name}.v1", gateway_group=name, virtual_cluster=name, topic="t",
                     listener=name)

    def make_cluster(self):
        self.admin.create("backend-clusters", name=self.name, bootstrap_servers=["127.0.0.1:1"],
                          authentication={"mechanism": "PLAIN", "username": "u", "password": "secret-1"})

    def version(self):
        """The version that has everything up to now; one is made for the purpose."""
        changed = self.admin.patch("gateway-groups", self.name, max_staleness=f"{_revision(self.admin)}h")
        return self.kept(changed["revision"])

    def kept(self, revision):
        """The version that was compiled from this revision or a later one."""
        def newest():
            items = self.admin.request("GET", "/v1/config-versions", params={"group": self.name, "limit": 1}).json()["items"]
            return items[0] if items and items[0]["version"] >= revision else None
        return wait_until(newest, what="the version to be kept")

    def diff(self, version, expect=200, **query):
        return self.admin.request("GET", f"/v1/config-versions/{version['id']}/diff", expect=expect, params=query).json()

    def rollback(self, version, expect=200, body=None, **query):
        return self.admin.request("POST", f"/v1/config-versions/{version['id']}/rollback", expect=expect, json=body,
                                  params={key: str(value).lower() for key, value in query.items()}).json()


@pytest.fixture
def world(admin, name):
    return World(admin, name)


def test_a_diff_says_what_changed_and_keeps_secrets(world, admin, name):
    first = world.version()
    admin.patch("event-apis", f"{name}.v1", title="Second")
    admin.patch("backend-clusters", name, authentication={"password": "secret-2"})
    admin.create("policies", name=name, type="cors", scope={"kind": "event-api", "ref": f"{name}.v1"},
                 config={"origins": ["https://a.example"]})
    second = world.version()
    answer = world.diff(first, to=second["id"])
    assert answer["from"] == {"id": first["id"], "group": name, "version": first["version"]}
    changes = {f"{c['action']} {c['kind']}": c["changes"] for c in answer["changes"]}
    assert changes["update event-apis"] == {"title": {"from": "First", "to": "Second"}}
    assert changes["update backend-clusters"] == {"authentication": {"secret": "changed"}}
    assert changes["create policies"]["config"]["to"] == {"origins": ["https://a.example"]}
    assert "secret-" not in json.dumps(answer) and "sealed" not in json.dumps(answer)
    back = world.diff(second, to=first["id"])
    assert "delete policies" in _done(back)[-1] and len(back["changes"]) == len(answer["changes"])
    assert world.diff(second)["changes"] == [] and world.diff(second, to="current")["to"]["id"] == "current"
    world.diff(first, to="nothing", expect=404)
    world.diff({"id": "0000000000000000"}, expect=404)


def test_a_rollback_brings_the_configuration_back(world, admin, name):
    admin.create("policies", name=name, type="cors", scope={"kind": "event-api", "ref": f"{name}.v1"},
                 config={"origins": ["https://a.example"]})
    ids = {kind: admin.get(kind, key)["id"] for kind, key in (("policies", name), ("listeners", name))}
    then = world.version()
    admin.delete("policies", name)
    admin.delete("deployments", f"{name}.v1@{name}")
    admin.delete("listeners", name)
    admin.patch("event-apis", f"{name}.v1", title="Second", lifecycle="deprecated")
    admin.create("listeners", name=f"{name}-new", gateway_group=name, protocol="http", address="127.0.0.1:1")
    before = _revision(admin)
    world.kept(before)
    wanted = {f"create policies/{name}", f"create deployments/{name}.v1@{name}", f"create listeners/{name}",
              f"update event-apis/{name}.v1", f"delete listeners/{name}-new"}
    planned = world.rollback(then, dry_run=True)
    assert set(_done(planned)) == wanted and planned["dry_run"] is True and _revision(admin) == before
    done = world.rollback(then, body={"reason": "that was a mistake"})
    assert done["changes"] == planned["changes"] and done["revision"] == before + 1 == _revision(admin)
    api = admin.get("event-apis", f"{name}.v1")
    assert api["title"] == "First" and api["lifecycle"] == "published"
    assert {kind: admin.get(kind, name)["id"] for kind in ids} == ids
    admin.request("GET", f"/v1/listeners/{name}-new", expect=404)
    assert world.diff(then)["changes"] == []
    assert world.rollback(then)["changes"] == [] and _revision(admin) == before + 1
    newest = admin.request("GET", "/v1/audit-events", params={"limit": 20}).json()["items"]
    events = [event for event in newest if event["revision"] == before + 1]
    assert {f"{e['action']} {e['kind']}/{e['ref']}" for e in events} == wanted | {f"rollback config-versions/{then['id']}"}
    assert events[0]["changes"]["rollback"] == {"version": then["version"], "reason": "that was a mistake"}
    assert world.kept(before + 1)["reason"] == f"rollback config-versions/{then['id']}: that was a mistake"


def test_a_rollback_never_takes_away_what_people_made(world, admin, name):
    then = world.version()
    admin.create("products", name=name, team=name, visibility="public", lifecycle="published", event_apis=[f"{name}.v1"])
    admin.create("plans", product=name, name="free", operations=["read"], approval="auto")
    admin.create("applications", name=name, team=name)
    subscription = admin.create("subscriptions", application=name, plan=f"{name}.free", environment="dev")
    before = _revision(admin)
    problem = world.rollback(then, expect=409)
    assert {(r["kind"], r["key"], r["refers_to"]) for r in problem["referrers"]} == {
        ("subscriptions", subscription["id"], f"plans/{name}.free"), ("subscriptions", subscription["id"], f"products/{name}")}
    assert _revision(admin) == before
    admin.act("subscriptions", subscription["id"], "revoke")
    admin.delete("subscriptions", subscription["id"])
    assert set(_done(world.rollback(then))) == {f"delete plans/{name}.free", f"delete products/{name}"}
    assert admin.get("applications", name)


def test_a_rollback_keeps_secrets_and_asks_for_those_that_are_gone(world, admin, name):
    then = world.version()
    admin.patch("backend-clusters", name, authentication={"username": "v", "password": "secret-2"})
    [change] = [c for c in world.rollback(then)["changes"] if c["kind"] == "backend-clusters"]
    assert change["changes"] == {"authentication": {"from": {"mechanism": "PLAIN", "username": "v", "password": {"set": True}},
                                                    "to": {"mechanism": "PLAIN", "username": "u", "password": {"set": True}}}}
    admin.delete("deployments", f"{name}.v1@{name}")
    admin.delete("virtual-clusters", name)
    admin.delete("backend-clusters", name)
    before = _revision(admin)
    for query in ({}, {"dry_run": True}):
        problem = world.rollback(then, expect=422, **query)
        assert problem["type"].endswith("/secrets-needed")
        assert _places(problem) == [f"/secrets/backend-clusters~1{name}/authentication/password"]
    secrets = {f"backend-clusters/{name}": {"authentication": {"password": "secret-3"}}}
    wrong = {**secrets, "backend-clusters/other": {}}
    assert _places(world.rollback(then, expect=422, body={"secrets": wrong})) == ["/secrets/backend-clusters~1other"]
    wrong = {f"backend-clusters/{name}": {"authentication": {"username": "x", "password": "y"}}}
    assert _places(world.rollback(then, expect=422, body={"secrets": wrong})) == [
        f"/secrets/backend-clusters~1{name}/authentication/username"]
    assert _revision(admin) == before
    assert f"create backend-clusters/{name}" in _done(world.rollback(then, body={"secrets": secrets}))
    assert admin.get("backend-clusters", name)["authentication"]["password"] == {"set": True}
    admin.create("key-rings", name=name, provider="vault", config={"url": "https://v", "token": {"env": "T"}, "key": "k"})
    then = world.version()
    admin.delete("key-rings", name)
    world.rollback(then)
    assert admin.get("key-rings", name)["config"]["token"] == {"env": "T"}


def test_a_rollback_needs_its_own_permission_and_refuses_what_it_does_not_know(world, admin, name):
    then = world.version()
    token = admin.create("api-tokens", name=name, scopes=["config:apply", "config-versions:read"])["token"]
    limited = admin.with_token(token)
    limited.request("GET", f"/v1/config-versions/{then['id']}/diff", expect=200)
    limited.request("POST", f"/v1/config-versions/{then['id']}/rollback", expect=403)
    assert _places(world.rollback(then, expect=422, body={"because": "x"})) == ["/because"]
    assert _places(world.rollback(then, expect=422, body={"secrets": []})) == ["/secrets"]
    world.rollback({"id": "0000000000000000"}, expect=404)
    world.rollback(then, expect=400, dryrun=True)


def test_a_rollback_needs_the_permission_of_each_kind_that_it_changes(world, admin, name):
    then = world.version()
    issuer = admin.create("issuers", name=name, url="https://id.example.com")
    grant = admin.create("grants", team=name, virtual_cluster=name, topic="other", operations=["read"])
    admin.patch("event-apis", f"{name}.v1", title="Second")

    def attempt(*scopes, query=""):
        token = admin.create("api-tokens", name=name, scopes=["config:rollback", *scopes])["token"]
        return admin.with_token(token).request("POST", f"/v1/config-versions/{then['id']}/rollback{query}")

    for query in ("", "?dry_run=true"):
        answer = attempt("issuers:*", query=query)
        assert answer.status_code == 403 and set(answer.json()["missing"]) == {"grants:write", "event-apis:write"}
        assert ":write" in answer.json()["detail"]
    assert admin.get("issuers", issuer["id"]) and admin.get("grants", grant["id"])
    assert admin.get("event-apis", f"{name}.v1")["title"] == "Second"
    answer = attempt("issuers:write", "grants:write", "event-apis:write")
    assert answer.status_code == 200, answer.text
    admin.request("GET", f"/v1/issuers/{issuer['id']}", expect=404)


def test_an_administrator_brings_back_what_was_deployed_before_the_grant(world, admin, name):
    then = world.version()
    admin.create("grants", team=name, virtual_cluster=name, topic="t", operations=["read"])
    [grant] = admin.list("grants", team=name)
    admin.request("DELETE", f"/v1/grants/{grant['id']}", expect=409)  # the deployment rests on it now
    assert [change.partition("/")[0] for change in _done(world.rollback(then))] == ["delete grants"]


def test_what_rolls_back_without_its_subject_is_left_away(world, admin, name):
    admin.create("teams", name=f"{name}-gone")
    grant = admin.create("grants", team=f"{name}-gone", virtual_cluster=name, topic="*", operations=["read"])
    then = world.version()
    admin.delete("grants", grant["id"])
    admin.delete("teams", f"{name}-gone")
    answer = world.rollback(then)
    assert [(s["kind"], s["key"]) for s in answer["skipped"]] == [("grants", f"{name}-gone {name} *")]
    assert answer["changes"] == []


def test_a_version_from_before_the_history_says_so(module_servers, servers):
    """As in a catalog that an earlier program wrote."""
    import sqlite3
    control = servers.control()
    world = World(control.admin, "old")
    old = world.version()
    control.stop()
    with sqlite3.connect(control.data_dir / "catalog.db") as db:
        db.execute("DELETE FROM entity_history")
        db.execute("DELETE FROM catalog_meta WHERE name = 'history_since'")
        db.execute("UPDATE catalog_meta SET int_value = int_value + 1 WHERE name = 'revision'")
    db.close()
    control.start()
    for answer in (world.diff(old, expect=410), world.rollback(old, expect=410)):
        assert answer["type"].endswith("/version-too-old") and "begins at revision" in answer["detail"]
    now = world.version()
    control.admin.patch("event-apis", "old.v1", title="Second")
    assert _done(world.rollback(now)) == ["update event-apis/old.v1"]


def test_a_revoked_credential_stays_revoked_after_a_rollback(module_servers, kafka):
    """A real gateway: access never comes back with the configuration, and what was taken off the air does."""
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("rollback"))
    sample.start_gateway(module_servers)
    admin = sample.admin
    other = sample.new_credential(sample.application)["api_key"]
    wait_until(lambda: sample.publish({}, key=other).status_code == 201, what="the second key")
    then = wait_until(lambda: admin.list("config-versions", group=sample.group), what="a version")[0]
    admin.act("credentials", sample.credential["id"], "revoke")
    wait_until(lambda: sample.publish({}).status_code == 401, what="the key to be refused")
    admin.delete("deployments", f"{sample.event_api}@{sample.group}")
    wait_until(lambda: sample.publish({}, key=other).status_code == 404, what="the API to go")
    back = admin.request("POST", f"/v1/config-versions/{then['id']}/rollback", expect=200).json()
    sample.wait_in_force(back)
    wait_until(lambda: sample.publish({}, key=other).status_code == 201, what="the API to come back")
    assert sample.publish({}).status_code == 401
    assert "revoked_at" in admin.get("credentials", sample.credential["id"])
