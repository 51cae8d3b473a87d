"""The documents of event APIs: public validators take them, they say where to go, and deprecation is told to clients."""

import itertools
import json

import pytest
import requests

from sluice_support.documents import validate

SCHEMA = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}, "total": {"$ref": "#/definitions/money"}},
    "definitions": {"money": {"type": "number", "minimum": 0}},
}


def get(sample, path):
    return requests.get(f"http://127.0.0.1:{sample.port}{path}", timeout=60)


@pytest.fixture(scope="module")
def apis(sample):
    """One event API for each way to offer one; yields their names."""
    names = []
    ways = list(itertools.product([["publish"], ["read"], ["publish", "read"]],
                                  [["rest"], ["rest", "sse"], ["rest", "kafka"], ["rest", "sse", "kafka"]]))
    schemas = [{"format": "json_schema", "definition": json.dumps(SCHEMA)},
               {"format": "avro", "definition": json.dumps({"type": "record", "name": "R", "fields": []})}, None]
    for number, (operations, exposures) in enumerate(ways):
        if "sse" in exposures and "read" not in operations:
            continue
        fields = {"name": f"way-{number}", "major": 2, "team": sample.team, "operations": operations,
                  "exposures": exposures, "lifecycle": "published", "title": f"Way {number}",
                  "description": "What *happens* to orders.", "key": {"source": "json_pointer", "pointer": "/id"}}
        if schemas[number % 3] is not None:
            fields["schema"] = schemas[number % 3]
        sample.admin.create("event-apis", **fields)
        last = sample.admin.create("deployments", event_api=f"way-{number}.v2", gateway_group=sample.group,
                                   virtual_cluster=sample.virtual_cluster, topic=sample.topic, listener=sample.listener)
        names.append(f"way-{number}")
    sample.wait_in_force(last)
    return names


def test_validators_take_every_document(sample, apis, tmp_path):
    documents = {}
    for name in apis:
        links = get(sample, f"/{name}/v2").json()["links"]
        for kind in ("openapi", "asyncapi"):
            response = get(sample, links[kind]["href"])
            assert response.status_code == 200
            documents[f"{name}-{kind}"] = response.text
    result = validate(tmp_path, documents)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_validators_do_find_mistakes(sample, apis, tmp_path):
    openapi = get(sample, f"/{apis[0]}/v2/openapi.json").json()
    asyncapi = get(sample, f"/{apis[0]}/v2/asyncapi.json").json()
    del openapi["paths"]["/events"]["post"]["responses"]
    asyncapi["operations"]["publish"]["action"] = "shout"
    result = validate(tmp_path, {"bad-openapi": json.dumps(openapi), "bad-asyncapi": json.dumps(asyncapi)})
    assert result.returncode == 1
    assert "bad-openapi" in result.stdout and "bad-asyncapi" in result.stdout


def test_media_types(sample, apis):
    response = get(sample, f"/{apis[0]}/v2/openapi.json")
    assert response.headers["Content-Type"].startswith("application/vnd.oai.openapi+json")
    response = get(sample, f"/{apis[0]}/v2/asyncapi.json")
    assert response.headers["Content-Type"].startswith("application/vnd.aai.asyncapi+json")
    response = requests.post(f"http://127.0.0.1:{sample.port}/{apis[0]}/v2/openapi.json", timeout=60)
    assert response.status_code == 405 and response.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_the_document_follows_the_configuration(sample, apis, tmp_path):
    """The server is the group's URL, the security schemes are those that policies really ask for."""
    path = f"/{apis[0]}/v2/openapi.json"
    before = get(sample, path).json()
    sample.admin.patch("gateway-groups", sample.group, rest_url="https://events.example.com/base/")
    sample.admin.create("policies", name="own-header", type="key-auth", config={"header": "X-Shop-Key", "basic": False},
                        scope={"kind": "event-api", "ref": f"{apis[0]}.v2"})
    for kind in ("oidc", "mtls"):
        last = sample.admin.create("policies", name=f"by-{kind}", type=kind,
                                   scope={"kind": "event-api", "ref": f"{apis[0]}.v2"})
    sample.wait_in_force(last)
    assert all(word in get(sample, path).text for word in ("example.com", "X-Shop-Key", "bearer", "mutualTLS"))
    after = get(sample, path).json()
    result = validate(tmp_path, {kind: get(sample, f"/{apis[0]}/v2/{kind}.json").text
                                 for kind in ("openapi", "asyncapi")})
    assert result.returncode == 0, result.stdout + result.stderr
    assert [scheme["name"] for scheme in before["components"]["securitySchemes"].values() if "name" in scheme] == [
        "X-API-Key"]
    assert after["security"] == [{"apiKey": []}, {"bearer": []}, {"certificate": []}]
    assert before["servers"] == [{"url": f"/{apis[0]}/v2"}]
    assert after["servers"] == [{"url": f"https://events.example.com/base/{apis[0]}/v2"}]


def test_tickets_and_binary_cloudevents_are_described(sample, apis):
    document = get(sample, "/orders/v1/openapi.json").json()
    read, publish = document["paths"]["/events"]["get"], document["paths"]["/events"]["post"]
    assert {"ticket": []} in read["security"] and {"apiKey": []} in read["security"]
    assert "security" not in publish and {"ticket": []} not in document["security"]
    fields = {parameter["name"]: "x" for reference in publish["parameters"]
              for parameter in [document["components"]["parameters"][reference["$ref"].rsplit("/", 1)[1]]]
              if parameter["name"].startswith("ce-")}
    fields.update({"ce-specversion": "1.0", "ce-time": "2026-01-31T12:00:00Z"})
    answer = requests.post(f"http://127.0.0.1:{sample.port}/orders/v1/events", data=b"\x00", timeout=60,
                           headers={"X-API-Key": sample.key, "Content-Type": "image/png", **fields})
    assert answer.status_code == 201 and "*/*" in publish["requestBody"]["content"]
    assert "ticket" not in get(sample, f"/{apis[0]}/v2/openapi.json").json()["components"]["securitySchemes"]


def test_what_is_answered_is_in_the_document(sample, apis):
    document = get(sample, "/orders/v1/openapi.json").json()
    asked = [
        ("/events", "get", "", {}, None, 200), ("/events", "get", "?limit=0", {}, None, 400),
        ("/events", "get", "?cursor=x", {}, None, 400), ("/events", "get", "", {"Accept": "text/html"}, None, 406),
        ("/events", "get", "", {"X-API-Key": "x"}, None, 401), ("/events", "post", "", {}, "{}", 201),
        ("/events", "post", "", {"Prefer": "respond-async"}, "{}", 202), ("/events", "post", "", {}, "{", 400),
        ("/events", "post", "", {"Content-Type": "text/plain"}, "{}", 415),
        ("/events", "post", "", {"Content-Type": "application/x-ndjson"}, "1\n{", 207),
        ("/events", "post", "", {"Content-Type": "application/cloudevents+json"}, "{}", 422),
        ("/events", "post", "", {}, '"' + "x" * (1 << 20) + '"', 413),
        ("/events/tickets", "post", "", {}, "{}", 201), ("/events/tickets", "post", "", {}, "[]", 400),
        ("/events/tickets", "post", "", {}, '{"origin": "x"}', 422),
    ]
    for path, method, query, headers, body, status in asked:
        answer = requests.request(method, f"http://127.0.0.1:{sample.port}/orders/v1{path}{query}", data=body, timeout=60,
                                  headers={"X-API-Key": sample.key, "Content-Type": "application/json", **headers})
        described = document["paths"][path][method]["responses"]
        assert answer.status_code == status, answer.text
        assert str(status) in described, f"{method} {path}: {status} is not described"
        media_type = answer.headers["Content-Type"].split(";")[0]
        target = described[str(status)]
        target = document["components"]["responses"][target["$ref"].rsplit("/", 1)[1]] if "$ref" in target else target
        assert media_type in target["content"]


def test_deprecation_is_told_with_every_answer(sample, apis):
    name = apis[-1]
    url = f"http://127.0.0.1:{sample.port}/{name}/v2/events"
    assert "Deprecation" not in requests.get(url, timeout=60).headers
    sample.wait_in_force(sample.admin.patch("event-apis", f"{name}.v2", lifecycle="deprecated",
                                            sunset_at="2031-02-03T04:05:06Z"))
    answer = requests.get(url, timeout=60)
    stored = sample.admin.get("event-apis", f"{name}.v2")
    assert stored["deprecated_at"]
    assert answer.status_code == 401
    assert answer.headers["Deprecation"].startswith("@") and int(answer.headers["Deprecation"][1:]) > 1_700_000_000
    assert answer.headers["Sunset"] == "Mon, 03 Feb 2031 04:05:06 GMT"
    document = get(sample, f"/{name}/v2/openapi.json").json()
    assert document["paths"]["/events"]["get"]["deprecated"] is True
