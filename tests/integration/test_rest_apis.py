"""REST APIs imported from OpenAPI documents: in the catalog beside event APIs, whatever their documents hold, and seen by
those who may, signed in or not."""

import json

import pytest
import yaml

from sluice_support.catalog import openapi
from sluice_support.portal import Browser, newcomer

SCRIPT = '"><script>window.pwned=1</script>'


@pytest.fixture(scope="module")
def control(module_servers):
    control = module_servers.control(portal_public_catalog=True, portal_sign_in_failures=0)
    for team in ("shop", "bank"):
        control.admin.create("teams", name=team)
    return control


@pytest.fixture(scope="module")
def admin(control):
    return control.admin


def _import(admin, name, document=None, **fields):
    return admin.create("rest-apis", name=name, team="shop", document=document or openapi(), **fields)


# ---- importing ----

def test_what_the_document_says_is_listed_and_follows_it(admin):
    made = _import(admin, "follow", openapi("Stock", {"/items": {"get": {"summary": "All", "operationId": "all"}, "x-a": 1}}))
    assert made["title"] == "Stock" and made["version"] == "1.0" and made["openapi"] == "3.1.0"
    assert made["operations"] == [{"method": "get", "path": "/items", "summary": "All", "operation_id": "all"}]
    assert made["servers"] == [{"url": "https://stock.example"}] and made["operation_count"] == 1
    answer = admin.request("GET", "/v1/rest-apis/follow", expect=200)
    body = {"name": "follow", "team": "shop", "document": openapi("Warehouse", {"/a": {"get": {}, "put": {}}})}
    admin.request("PUT", "/v1/rest-apis/follow", expect=428, json=body)
    admin.request("PUT", "/v1/rest-apis/follow", expect=412, json=body, headers={"If-Match": '"1"'})
    again = admin.request("PUT", "/v1/rest-apis/follow", expect=200, json=body, headers={"If-Match": answer.headers["ETag"]})
    assert again.json()["title"] == "Warehouse" and again.json()["operation_count"] == 2
    assert again.headers["ETag"] != answer.headers["ETag"]
    same = admin.request("PUT", "/v1/rest-apis/follow", expect=200, json=body)
    assert same.headers["ETag"] == again.headers["ETag"]
    listed = next(item for item in admin.list("rest-apis") if item["name"] == "follow")
    assert "document" not in listed and "operations" not in listed and listed["operation_count"] == 2
    found = admin.request("GET", "/v1/catalog?kind=rest-apis&q=ware", expect=200).json()["items"]
    assert [(item["kind"], item["key"], item["served"]) for item in found] == [("rest-apis", "follow", False)]


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_document_is_given_back_as_it_came(admin, form):
    text = openapi() if form == "json" else yaml.safe_dump(json.loads(openapi()), sort_keys=False) + "# the end\n"
    _import(admin, f"back-{form}", text)
    answer = admin.request("GET", f"/v1/catalog/back-{form}/document", expect=200)
    assert answer.text == text and answer.headers["Content-Type"] == f"application/{form}"
    admin.request("GET", "/v1/catalog/nothing/document", expect=404)


def test_a_declarative_document_has_them_too(admin):
    document = {"manager": "git", "resources": {"rest-apis": [
        {"name": "declared", "team": "shop", "document": openapi("Declared"), "lifecycle": "published"}]}}
    path = "/v1/config"
    assert [change["action"] for change in admin.request("PUT", path, expect=200, json=document).json()["changes"]] == ["create"]
    assert admin.request("PUT", path, expect=200, json=document).json()["changes"] == []
    dump = admin.request("GET", path + "?manager=git", expect=200).json()
    assert json.loads(dump["resources"]["rest-apis"][0]["document"])["info"]["title"] == "Declared"
    assert admin.request("PUT", path, expect=200, json=dump).json()["changes"] == []
    document["resources"]["rest-apis"][0]["document"] = openapi("Other")
    dry = admin.request("PUT", path + "?dry_run=true", expect=200, json=document).json()
    assert dry["changes"][0]["changes"]["title"] == {"from": "Declared", "to": "Other"}
    assert dry["changes"][0]["changes"]["document"]["to"].startswith("SHA-256 ")


# ---- hostile documents ----

def _bomb():
    """Each line has the one before nine times: 9^9 texts if it were ever followed."""
    lines = ["a0: &a0 [lol]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    return "\n".join(lines) + "\nopenapi: 3.1.0\ninfo: {title: a}\npaths: {}\n"


def _deep(opening, count=100_000):
    return '{"openapi": "3.1.0", "info": {"title": "a"}, "paths": {}, "x": ' + opening * count


REFUSED = {
    "bomb": (_bomb(), "anchors are not supported"),
    "merge": ("base: {<<: {a: 1}}\nopenapi: 3.1.0\n", "merge keys are not supported"),
    "deep-json": (_deep("["), "is not JSON"),
    "deep-closed": (_deep("[", 500) + "]" * 500 + "}", "nested deeper than"),
    "deep-yaml": ("x: " + "[" * 100_000, "nested deeper than"),
    "deep-blocks": ("- " * 5000, "nested deeper than"),
    "tag": ("openapi: !!python/object/apply:os.system [id]\n", "is not supported here"),
    "two": ("openapi: 3.1.0\n---\nopenapi: 3.1.0\n", "more than one document"),
    "html": ("<!doctype html><script>alert(1)</script>", "must be an object"),
    "large": (openapi(**{"x-filler": "a" * (1 << 20)}), "over the limit"),
    "swagger": ('{"swagger": "2.0"}', "convert it to OpenAPI 3"),
    "many": (openapi(paths={f"/{i}": {"get": {}} for i in range(5001)}), "more than 5000 operations"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_hostile_document_is_refused_with_a_reason(admin, case):
    text, why = REFUSED[case]
    answer = admin.request("POST", "/v1/rest-apis", json={"name": f"bad-{case}", "team": "shop", "document": text}, expect=400)
    error = answer.json()["errors"][0]
    assert error["pointer"] == "/document" and why in error["detail"], error
    admin.request("GET", f"/v1/rest-apis/bad-{case}", expect=404)
    admin.request("GET", "/health/ready", expect=200)


def test_references_lead_nowhere_and_scripts_are_text(admin):
    paths = {"/" + SCRIPT: {"$ref": "#/paths/~1a", "get": {"summary": SCRIPT, "operationId": SCRIPT}},
             "/loop": {"$ref": "#/paths/~1loop"}, "/b": {"post": {"$ref": "file:///etc/passwd"}}}
    made = _import(admin, "scripts", openapi(SCRIPT, paths, components={"schemas": {"A": {"$ref": "#/components/schemas/A"}}}))
    assert made["title"] == SCRIPT
    assert [operation["path"] for operation in made["operations"]] == ["/" + SCRIPT, "/b"]
    page = admin.request("GET", "/v1/catalog/scripts", expect=200)
    assert page.headers["Content-Type"] == "application/json" and page.json()["operations"] == made["operations"]
    markdown = _import(admin, "markdown", openapi("Markdown", description="x"), description=f"{SCRIPT} [a](javascript:alert(1))")
    html = admin.request("GET", f"/v1/catalog/{markdown['id']}", expect=200).json()["description_html"]
    assert "<script" not in html and "javascript:" not in html


# ---- who sees what ----

# Who sees it in the catalog, by hand: what is of the team shop, by visibility and lifecycle.
SEEN = {
    #                          visitor  bank   shop   admin
    ("public", "published"):  (True,    True,  True,  True),
    ("public", "deprecated"): (True,    True,  True,  True),
    ("public", "draft"):      (False,   False, True,  True),
    ("public", "retired"):    (False,   False, True,  True),
    ("signed-in", "published"): (False, True,  True,  True),
    ("teams", "published"):   (False,   False, True,  True),
    ("bank", "published"):    (False,   True,  True,  True),  # visible to the teams bank
    ("bank", "draft"):        (False,   False, True,  True),
}
LOOKERS = ["visitor", "bank", "shop", "admin"]
WORD = "zebrafish"


def _visibility(level):
    return {"visibility": "teams", "visible_to": ["bank"]} if level == "bank" else {"visibility": level}


@pytest.fixture(scope="module")
def zoo(control, admin):
    """A REST API and an event API of each combination, all found by one word; and who looks."""
    for level, lifecycle in SEEN:
        name = f"zoo-{level}-{lifecycle}"
        _import(admin, name, title=WORD, lifecycle=lifecycle, **_visibility(level))
        admin.create("event-apis", name=name, major=1, team="shop", title=WORD, lifecycle=lifecycle, operations=["read"],
                     exposures=["rest"], labels={"internal": "yes"})
        admin.create("products", name=name, team="shop", lifecycle="published", event_apis=[f"{name}.v1"], **_visibility(level))
    return {"visitor": Browser(control.portal_url), "bank": newcomer(control, "bob", "api-owner", "bank"),
            "shop": newcomer(control, "ann", "api-owner", "shop"), "admin": newcomer(control, "root", "platform-admin")}


@pytest.mark.parametrize("looker", LOOKERS)
def test_everybody_sees_what_they_may_and_nothing_else(zoo, looker):
    browser, place = zoo[looker], LOOKERS.index(looker)
    expected = {(kind, f"zoo-{level}-{lifecycle}" + end) for (level, lifecycle), seen in SEEN.items() if seen[place]
                for kind, end in (("rest-apis", ""), ("event-apis", ".v1"))}
    for query in (f"q={WORD}&limit=1000", f"q={WORD}&team=shop&limit=1000"):
        answer = browser.get(f"/v1/catalog?{query}")
        assert {(item["kind"], item["key"]) for item in answer["items"]} == expected and answer["next"] is None
    listed, cursor = [], ""
    while cursor is not None:  # a page at a time, so that what is hidden leaves no gap
        page = browser.get(f"/v1/catalog?limit=2{cursor and '&cursor=' + cursor}")
        assert len(page["items"]) == 2 or page["next"] is None
        listed += [(item["kind"], item["key"]) for item in page["items"] if item["key"].startswith("zoo-")]
        cursor = page["next"]
    assert sorted(listed) == sorted(expected)
    for level, lifecycle in SEEN:
        for kind, end in (("rest-apis", ""), ("event-apis", ".v1")):
            key = f"zoo-{level}-{lifecycle}{end}"
            seen = (kind, key) in expected
            browser.get(f"/v1/catalog/{key}", expect=200 if seen else 404)
            if kind == "rest-apis":
                browser.request("GET", f"/v1/catalog/{key}/document", expect=200 if seen else 404)
                if looker != "visitor":
                    browser.request("GET", f"/v1/rest-apis/{key}", expect=200 if seen else 404)
    if looker != "visitor":
        kept = {item["key"] if "key" in item else item["name"] for item in browser.get("/v1/rest-apis?limit=1000")["items"]
                if item["name"].startswith("zoo-")}
        assert kept == {key for kind, key in expected if kind == "rest-apis"}


def test_what_somebody_may_not_know_of_cannot_be_touched(zoo):
    for method, body in (("PATCH", {"title": "x"}), ("DELETE", None)):
        zoo["bank"].request(method, "/v1/rest-apis/zoo-teams-published", expect=404, json=body, headers={"If-Match": "*"})
        zoo["bank"].request(method, "/v1/rest-apis/zoo-signed-in-published", expect=403, json=body, headers={"If-Match": "*"})
    zoo["shop"].request("PATCH", "/v1/rest-apis/zoo-teams-published", expect=200, json={"title": "mine"}, headers={"If-Match": "*"})


def test_visitors_have_no_more_than_the_public_part(control, admin, zoo):
    visitor = zoo["visitor"]
    admin.create("gateway-groups", name="inner", environment="inner-dev", rest_url="https://inner.example", kafka_url="inner.example:9")
    admin.create("backend-clusters", name="inner", bootstrap_servers=["127.0.0.1:1"])
    admin.create("virtual-clusters", name="inner", backend_cluster="inner", namespace={"mode": "none"})
    admin.create("listeners", name="inner", gateway_group="inner", protocol="http", address="127.0.0.1:1")
    admin.create("schema-registries", name="inner", url="http://inner.example")
    admin.patch("event-apis", "zoo-public-published.v1", exposures=["rest", "kafka"],
                schema={"format": "json_schema", "registry": "inner"})
    admin.create("deployments", event_api="zoo-public-published.v1", gateway_group="inner", virtual_cluster="inner", topic="inner",
                 listener="inner")
    admin.create("plans", product="zoo-public-published", name="free", operations=["read"], labels={"inner": "inner"})
    admin.create("products", name="inner", team="shop", lifecycle="published", event_apis=["zoo-public-published.v1"])
    for path in ("/v1/catalog?limit=1000", "/v1/catalog/zoo-public-published.v1", "/v1/catalog/zoo-public-published"):
        text = visitor.request("GET", path, expect=200).text
        for inner in ("inner", "internal", "manager", '"id"', "revision", "created_at", "updated_at", "labels", "visible_to"):
            assert inner not in text.replace("operation_id", ""), (path, inner)
    page = visitor.get("/v1/catalog/zoo-public-published.v1")
    assert [plan["name"] for plan in page["products"][0]["plans"]] == ["free"] and page["deployments"] == []
    assert "inner" in zoo["bank"].request("GET", "/v1/catalog/zoo-public-published.v1", expect=200).text
    visitor.request("GET", "/v1/catalog?environment=inner-dev", expect=400)
    for path in ("/v1/event-apis", "/v1/rest-apis", "/v1/rest-apis/zoo-public-published", "/v1/teams", "/v1/products", "/v1/me"):
        visitor.request("GET", path, expect=401)
    for method, path in (("POST", "/v1/rest-apis"), ("DELETE", "/v1/rest-apis/zoo-public-published")):
        visitor.request(method, path, expect=401)
    admin.with_token(None).request("GET", "/v1/catalog", expect=401)  # the portal alone lets visitors in


def test_without_the_setting_nobody_looks_without_signing_in(servers):
    control = servers.control(portal_sign_in_failures=0)
    control.admin.create("teams", name="shop")
    _import(control.admin, "stock", visibility="public", lifecycle="published")
    visitor = Browser(control.portal_url)
    assert visitor.get("/auth/session")["public_catalog"] is False
    for path in ("/v1/catalog", "/v1/catalog/stock", "/v1/catalog/stock/document"):
        visitor.request("GET", path, expect=401)
    viewer = newcomer(control, "vic", "viewer")
    assert [item["key"] for item in viewer.get("/v1/catalog")["items"]] == ["stock"]
    viewer.request("POST", "/auth/sign-out", expect=204)
    viewer.request("GET", "/v1/catalog", expect=401)
