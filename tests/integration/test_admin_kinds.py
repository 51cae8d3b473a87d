"""What holds for every kind of entity alike: conditions, errors, lists, filters, retries, references.

The kinds and their fields come from the OpenAPI document, valid values from sluice_support/catalog.py."""

import base64
import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from sluice_support import wait_until
from sluice_support.admin_requests import AdminRequests
from sluice_support.catalog import CatalogSamples
from sluice_support.operations import of_document

KINDS = CatalogSamples.kinds()
FIXED = {"enrolment-tokens", "invitations"}  # cannot be changed
CHANGEABLE = [kind for kind in KINDS if kind not in FIXED]
LISTED = KINDS + ["gateway-nodes", "config-versions", "audit-events"]

# What cannot change after creation, by hand.
IMMUTABLE = {
    "teams": ["name"], "roles": ["name"], "users": ["name"], "api-tokens": ["owner"],
    "sign-in-providers": ["name"], "sign-in-rules": ["provider", "group"],
    "grants": ["team", "virtual_cluster", "topic"], "gateway-groups": ["name"], "backend-clusters": ["name"],
    "virtual-clusters": ["name"], "listeners": ["name", "gateway_group", "protocol"], "issuers": ["name"],
    "enrolment-rules": ["name"], "webhooks": ["name", "team"], "scorecard-rules": ["name"], "schema-registries": ["name"], "key-rings": ["name", "provider"], "trust-bundles": ["name"],
    "event-apis": ["name", "major"], "deployments": ["event_api", "gateway_group"], "products": ["name"], "rest-apis": ["name"],
    "plans": ["product", "name"], "policies": ["name", "type"], "applications": ["name"],
    "credentials": ["application", "type"], "subscriptions": ["application", "plan", "environment"],
}


class World:
    def __init__(self, servers):
        self.control = servers.control(log_level="info")
        self.admin = self.control.admin
        self.samples = CatalogSamples(self.admin)
        self.requests = AdminRequests(self.samples, lambda g: servers.gateway(self.control.join_string(g)))
        self.document = self.admin.request("GET", "/openapi.json", expect=200).json()
        self.operations = of_document(self.document)

    def fields(self, kind):
        """The schema of each field that a creation may set."""
        return {name: schema for name, schema in self.schema(kind)["properties"].items()
                if not schema.get("readOnly")}

    def schema(self, kind):
        content = self.operations[f"POST /v1/{kind}"]["requestBody"]["content"]["application/json"]["schema"]
        return self.document["components"]["schemas"][content["$ref"].rpartition("/")[2]]

    def post(self, kind, body, **headers):
        return self.admin.request("POST", f"/v1/{kind}", json=body, headers=headers)

    def some(self, kind):
        """One of the kind: a new one, or for what only exists by other means the newest."""
        return self.admin.get(kind, self.requests._entity(kind)["id"])


@pytest.fixture(scope="module")
def world(module_servers):
    return World(module_servers)


def pointers(response, status=400):
    """Where a problem document says that something is wrong."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"].startswith("application/problem+json")
    problem = response.json()
    assert problem["status"] == status and problem["title"] and problem["type"].startswith("https://")
    assert all(error["detail"] for error in problem.get("errors", []))
    return {error["pointer"] for error in problem.get("errors", [])}


def refused_parameter(response):
    assert response.status_code == 400, response.text
    return {error["parameter"] for error in response.json()["errors"]}


# ---- conditions ----


def test_every_kind_that_can_be_created_has_a_sample(world):
    creatable = {name.split("/")[2] for name, operation in world.operations.items()
                 if name.startswith("POST /v1/") and name.count("/") == 2
                 and "requestBody" in operation and "201" in operation["responses"]}
    assert creatable == set(KINDS)
    assert set(IMMUTABLE) == set(CHANGEABLE)


@pytest.mark.parametrize("kind", CHANGEABLE)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_is_bound_to_what_it_changes(world, kind, method):
    created = world.post(kind, world.samples.body(kind))
    path, old = created.headers["Location"], created.headers["ETag"]
    body = world.admin.request("GET", path, expect=200).json()
    assert old == f'"{body["revision"]}"'
    change = world.samples.change(kind)
    changed = {**body, **change} if method == "PUT" else change

    def send(expect, content=changed, **headers):
        return world.admin.request(method, path, expect=expect, json=content, headers=headers)

    assert send(428).json()["type"].endswith("/stale")
    for stale in ('"1"', '"999999999"', "old", '"', f"W/{old}", f"{old}, {old}"):
        send(412, **{"If-Match": stale})
    assert world.admin.request("GET", path, expect=200).json() == body
    same = send(200, body if method == "PUT" else {}, **{})
    assert same.headers["ETag"] == old and same.json() == body
    new = send(200, **{"If-Match": old})
    assert new.headers["ETag"] != old
    assert all(new.json()[name] != body.get(name) for name in change)
    assert new.json()["updated_at"] >= body["updated_at"] and new.json()["created_at"] == body["created_at"]
    send(200)  # sent again it changes nothing, so it needs no condition
    assert send(200, **{"If-Match": old}).headers["ETag"] == new.headers["ETag"]
    send(200, **{"If-Match": "*"})
    labelled = {**new.json(), "labels": {"a": "b"}} if method == "PUT" else {"labels": {"a": "b"}}
    send(412, labelled, **{"If-Match": old})
    assert send(200, labelled, **{"If-Match": "*"}).json()["labels"]["a"] == "b"


@pytest.mark.parametrize("kind", KINDS)
def test_a_deletion_honours_a_condition(world, kind):
    created = world.post(kind, world.samples.body(kind))
    path = created.headers["Location"]
    world.admin.request("DELETE", path, expect=412, headers={"If-Match": '"1"'})
    world.admin.request("DELETE", path, expect=204, headers={"If-Match": created.headers["ETag"]})
    for method in ("GET", "DELETE"):
        assert world.admin.request(method, path, expect=404).json()["type"].endswith("/not-found")
    gone = world.post(kind, world.samples.body(kind)).headers["Location"]
    assert world.admin.request("DELETE", gone, expect=204, headers={"If-Match": "*"}).content == b""


# ---- errors ----

WRONG = {"string": 12345, "integer": "many", "boolean": "perhaps", "array": "none", "object": [1]}


def _type_of(schema):
    types = schema.get("type", "object")
    return next(t for t in (types if isinstance(types, list) else [types]) if t != "null")


@pytest.mark.parametrize("kind", KINDS)
def test_every_wrong_type_is_pointed_at_in_one_answer(world, kind):
    fields = world.fields(kind)
    body = {name: WRONG[_type_of(schema)] for name, schema in fields.items()}
    response = world.post(kind, {**body, "no-such-field": 1, "a/b~c": 2})
    assert pointers(response) == {f"/{name}" for name in fields} | {"/no-such-field", "/a~1b~0c"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_missing_field_is_pointed_at_in_one_answer(world, kind):
    required = set(world.schema(kind)["required"])
    assert pointers(world.post(kind, {})) == {f"/{name}" for name in required}
    assert pointers(world.post(kind, dict.fromkeys(required))) == {f"/{name}" for name in required}


def _beyond(schema):
    """A value just beyond a limit of the schema, or None when it has none."""
    if "maxLength" in schema:
        return "a" * (schema["maxLength"] + 1)
    if "maximum" in schema:
        return schema["maximum"] + 1
    if "maxItems" in schema:
        return [f"a{n}" for n in range(schema["maxItems"] + 1)]
    if "maxProperties" in schema:
        return {f"a{n}": "b" for n in range(schema["maxProperties"] + 1)}
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_every_limit_holds(world, kind):
    beyond = {name: _beyond(schema) for name, schema in world.fields(kind).items()}
    beyond = {name: value for name, value in beyond.items() if value is not None}
    assert "labels" in beyond
    response = world.post(kind, {**world.samples.body(kind), **beyond})
    assert pointers(response) == {f"/{name}" for name in beyond}
    minimal = {name: schema["minimum"] - 1 for name, schema in world.fields(kind).items() if "minimum" in schema}
    if minimal:
        response = world.post(kind, {**world.samples.body(kind), **minimal})
        assert pointers(response) == {f"/{name}" for name in minimal}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_inside_an_object_is_pointed_at(world, kind):
    objects = {name: schema["properties"] for name, schema in world.fields(kind).items() if "properties" in schema}
    bad = {name: {**{inner: WRONG[_type_of(s)] for inner, s in inners.items()}, "no-such-field": 1}
           for name, inners in objects.items()}
    bad["labels"] = {"": "x", "k": 5, "l" * 101: "x", "m": "x" * 501}
    found = pointers(world.post(kind, {**world.samples.body(kind), **bad}))
    for name, inners in objects.items():
        # What a reference means depends on a sibling that is wrong itself: one problem is enough.
        expected = set(inners) - ({"ref"} if kind == "policies" and name == "scope" else set())
        assert {f"/{name}/{inner}" for inner in expected | {"no-such-field"}} <= found
    assert len([pointer for pointer in found if pointer.startswith("/labels/")]) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_control_characters_and_bad_times_are_refused(world, kind):
    bad = {}
    for name, schema in world.fields(kind).items():
        if schema.get("format") == "date-time":
            bad[name] = "2026-13-45T00:00:00Z"
        elif _type_of(schema) == "string" and "enum" not in schema and "pem" not in name:
            bad[name] = "a\x01b"
    if bad:
        assert pointers(world.post(kind, {**world.samples.body(kind), **bad})) == {f"/{name}" for name in bad}


@pytest.mark.parametrize("kind", CHANGEABLE)
def test_what_is_fixed_cannot_be_changed(world, kind):
    created = world.post(kind, world.samples.body(kind)).json()
    other = world.post(kind, world.samples.body(kind)).json()
    properties = world.schema(kind)["properties"]
    bad = {name: other[name] if other.get(name) not in (None, created.get(name)) else "other"
           for name in IMMUTABLE[kind]}
    for name in IMMUTABLE[kind]:
        if _type_of(properties[name]) == "integer":
            bad[name] = created[name] + 1
        elif "enum" in properties[name]:
            bad[name] = next(v for v in properties[name]["enum"] if v != created[name])
    bad.update({"id": "other", "manager": "me", "created_at": "2020-01-01T00:00:00Z"})
    headers = {"If-Match": "*"}
    path = f"/v1/{kind}/{created['id']}"
    response = world.admin.request("PATCH", path, json=bad, headers=headers)
    assert pointers(response) == {f"/{name}" for name in bad}
    response = world.admin.request("PATCH", path, json=dict.fromkeys(IMMUTABLE[kind]), headers=headers)
    assert pointers(response) == {f"/{name}" for name in IMMUTABLE[kind] if created.get(name) is not None}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if IMMUTABLE.get(kind, [None])[0] == "name"])
def test_a_second_one_of_the_same_name_points_to_the_name(world, kind):
    body = world.samples.body(kind)
    world.post(kind, body)
    again = {**world.samples.body(kind), "name": body["name"]}
    if kind == "event-apis":
        world.admin.request("POST", "/v1/event-apis", expect=201, json={**again, "major": 2})
    assert pointers(world.post(kind, again), 409) == {"/name"}


# ---- lists ----


@pytest.mark.parametrize("kind", KINDS)
def test_pages_stay_in_place_while_rows_come_and_go(world, kind):
    made = [world.samples.create(kind)["id"] for _ in range(6)]
    before = [item["id"] for item in world.admin.list(kind, limit=1000)]
    added, removed, seen, cursor = set(), set(), [], None
    for number in itertools.count():
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = world.admin.request("GET", f"/v1/{kind}", expect=200, params=query).json()
        assert len(page["items"]) <= 2 and set(page) == {"items", "next"}
        seen += [item["id"] for item in page["items"]]
        if number < 3:
            added.add(world.samples.create(kind)["id"])
            gone = seen[-1] if seen[-1] in made and number == 1 else made[number]
            if world.admin.request("DELETE", f"/v1/{kind}/{gone}").status_code == 204:
                removed.add(gone)
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)), "shown twice"
    stayed = [i for i in before if i not in removed]
    assert [i for i in seen if i in stayed] == stayed
    assert set(seen) <= set(before) | added
    assert removed


@pytest.mark.parametrize("kind", LISTED)
def test_bad_pages_and_filters_are_named(world, kind):
    path = f"/v1/{kind}"

    def forged(key):  # for an ordinary kind any key is a place
        log = kind in ("audit-events", "config-versions")
        return base64.urlsafe_b64encode(f"1 {kind} {key if log else ''}".encode()).decode().rstrip("=")

    for limit in ("0", "1001", "-1", "x", "", "1.5", "+5", " 5", "99999999999999999999"):
        assert refused_parameter(world.admin.request("GET", path, params={"limit": limit})) == {"limit"}
    other = "users" if kind == "teams" else "teams"
    world.samples.create(other), world.samples.create(other)
    foreign = world.admin.request("GET", f"/v1/{other}?limit=1").json()["next"]
    for cursor in ("", "x", "!!!", foreign, foreign[:-3], "A" * 5000, "MSB0ZWFtcyA=", forged("zz"), forged("")):
        assert refused_parameter(world.admin.request("GET", path, params={"cursor": cursor})) == {"cursor"}
    assert refused_parameter(world.admin.request("GET", path, params={"no-such": "1"})) == {"no-such"}
    assert refused_parameter(world.admin.request("GET", path, params={"labels": "1"})) == {"labels"}
    assert world.admin.request("GET", f"{path}?manager=%ff").status_code == 400
    assert refused_parameter(world.admin.request("GET", f"{path}?limit=1&limit=2")) == {"limit"}
    for parameter in world.operations[f"GET {path}"]["parameters"]:
        name, schema = parameter["name"], parameter["schema"]
        if name in ("limit", "cursor") or schema.get("type") == "string" and not {"enum", "$comment"} & set(schema):
            continue
        for value in ("no-such-thing", ""):
            assert refused_parameter(world.admin.request("GET", path, params={name: value})) == {name}


@pytest.mark.parametrize("kind", LISTED)
def test_every_filter_finds_what_matches_and_nothing_else(world, kind):
    filters = [parameter["name"] for parameter in world.operations[f"GET /v1/{kind}"]["parameters"]
               if parameter["name"] not in ("limit", "cursor")]
    assert filters
    chosen = world.some(kind)["id"]

    def each_finds_its_own():
        entity, matching = world.admin.get(kind, chosen), {}
        for name in filters:
            value = entity.get(name)
            if value is None:
                continue
            text = str(value).lower() if isinstance(value, bool) else value
            matching[name] = text
            found = world.admin.list(kind, **{name: text})
            assert entity["id"] in [item["id"] for item in found], name
            assert all(item[name] == value for item in found), name
            everything = world.admin.list(kind)
            assert len(found) == sum(item.get(name) == value for item in everything), name
        assert matching
        assert entity["id"] in [item["id"] for item in world.admin.list(kind, **matching)]
        return True

    if kind in KINDS:
        each_finds_its_own()
    else:  # versions, states of nodes and what upkeep notes come by themselves, also between two lists
        wait_until(each_finds_its_own, what=f"lists of {kind} with nothing in between")


def test_a_reference_can_be_filtered_by_id_and_by_key(world):
    event_api = world.samples.create("event-apis")
    team = world.admin.get("teams", event_api["team"])
    assert world.admin.list("event-apis", team=team["id"]) == world.admin.list("event-apis", team=team["name"])


# ---- retries ----


@pytest.mark.parametrize("kind", KINDS)
def test_a_creation_that_is_retried_happens_once(world, kind):
    key, body = f"retry-{kind}", world.samples.body(kind)
    bad = world.post(kind, {**body, "no-such-field": 1}, **{"Idempotency-Key": key})
    assert bad.status_code == 400  # is not kept
    count = len(world.admin.list(kind))
    with ThreadPoolExecutor(4) as pool:
        clients = [world.admin.with_token(world.admin.token) for _ in range(4)]
        answers = list(pool.map(lambda client: client.request("POST", f"/v1/{kind}", json=body,
                                                              headers={"Idempotency-Key": key}), clients))
    assert [answer.status_code for answer in answers] == [201] * 4, [answer.text for answer in answers]
    for answer in answers[1:]:
        assert answer.json() == answers[0].json()
        for header in ("ETag", "Location"):
            assert answer.headers[header] == answers[0].headers[header]
    assert len(world.admin.list(kind)) == count + 1
    other = world.post(kind, {**body, "labels": {"other": "body"}}, **{"Idempotency-Key": key})
    assert other.status_code == 422 and other.json()["type"].endswith("/conflict")
    elsewhere = "users" if kind == "teams" else "teams"
    assert world.post(elsewhere, body, **{"Idempotency-Key": key}).status_code == 422


@pytest.mark.parametrize("kind", CHANGEABLE)
def test_a_change_and_a_deletion_that_are_retried_happen_once(world, kind):
    created = world.post(kind, world.samples.body(kind))
    path = created.headers["Location"]
    headers = {"If-Match": created.headers["ETag"], "Idempotency-Key": f"change-{kind}"}
    body = world.samples.change(kind)
    first, second = (world.admin.request("PATCH", path, expect=200, json=body, headers=headers) for _ in range(2))
    assert second.json() == first.json() and second.headers["ETag"] == first.headers["ETag"]
    for _ in range(2):
        world.admin.request("DELETE", path, expect=204, headers={"Idempotency-Key": f"delete-{kind}"})
    world.admin.request("DELETE", path, expect=404)


def test_an_idempotency_key_belongs_to_its_token(world):
    token = world.admin.create("api-tokens", name="other", scopes=["*"])["token"]
    body = world.samples.body("applications")
    first = world.post("applications", body, **{"Idempotency-Key": "shared"})
    other = world.admin.with_token(token).request("POST", "/v1/applications", json=body,
                                                  headers={"Idempotency-Key": "shared"})
    assert first.status_code == 201 and other.status_code == 409  # done again: the name is taken
    for key in ("", "x" * 129):
        assert world.post("applications", world.samples.body("applications"), **{"Idempotency-Key": key}
                          ).status_code == 400


# ---- references ----

OWNED = {("enrolment-tokens", "gateway-groups"), ("invitations", "teams"), ("invitations", "roles"), ("sign-in-rules", "sign-in-providers")}  # go with what they belong to


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_referred_to_stays_and_names_who_refers_to_it(world, kind):
    samples = CatalogSamples(world.admin, prefix=f"ref-{kind}-")  # bases of its own: few refer to them
    entity = samples.create(kind)
    shown = world.admin.get(kind, entity["id"])
    bases = samples.bases()
    body = [value for values in samples.body(kind).values()
            for value in (values if isinstance(values, list) else values.values() if isinstance(values, dict)
                          else [values])]
    for base_kind, base in bases.items():
        if base not in body or (kind, base_kind) in OWNED:
            continue
        problem = world.admin.request("DELETE", f"/v1/{base_kind}/{base}", expect=409).json()
        key = shown.get("name") if kind not in ("api-tokens", "plans", "event-apis", "deployments") else None
        mine = [r for r in problem["referrers"] if r["kind"] == kind and r["field"]]
        assert mine, problem
        assert key is None or key in [r["key"] for r in mine], problem
        assert world.admin.get(base_kind, base)["id"] == base
    world.admin.delete(kind, entity["id"])


def test_what_nothing_refers_to_any_more_can_go(world):
    """Everything of a subscription's world, from the last to the first that was made."""
    samples = CatalogSamples(world.admin, prefix="chain-")
    made = []
    create = samples.create

    def create_and_note(kind, **fields):
        entity = create(kind, **fields)
        made.append((kind, entity["id"]))
        return entity

    samples.create = create_and_note
    samples.create("deployments"), samples.create("policies"), samples.create("subscriptions")
    assert len(made) > 10
    for kind, entity in reversed(made):
        world.admin.delete(kind, entity)


def test_what_belongs_to_a_group_goes_with_it(world):
    group = world.samples.create("gateway-groups")["id"]
    token = world.samples.create("enrolment-tokens", group=group)["id"]
    world.admin.delete("gateway-groups", group)
    world.admin.request("GET", f"/v1/enrolment-tokens/{token}", expect=404)
