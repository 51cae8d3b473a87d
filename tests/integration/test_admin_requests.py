"""The admin API as an HTTP server: bodies that are none, paths, methods, media types, sizes."""

import contextlib
import http.client
import json
import re
import select
import socket

import pytest

from sluice_support import exchange, resident_mib, wait_until
from sluice_support.catalog import CatalogSamples
from sluice_support.operations import of_document

JSON = {"Content-Type": "application/json"}


class Api:
    def __init__(self, servers):
        self.control = servers.control(log_level="info", admin_limits_body="64KiB")
        self.admin = self.control.admin
        self.samples = CatalogSamples(self.admin)

    def post(self, data, kind="teams", **headers):
        return self.admin.request("POST", f"/v1/{kind}", data=data, headers={**JSON, **headers})


@pytest.fixture(scope="module")
def api(module_servers):
    return Api(module_servers)


def _detail(response, status=400):
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"].startswith("application/problem+json")
    problem = response.json()
    assert problem["status"] == status and problem["instance"].startswith("urn:request:")
    assert response.headers["X-Request-Id"] in problem["instance"]
    return problem["detail"]


# ---- bodies ----

NOT_JSON = {
    "empty": b"",
    "blank": b"  \n ",
    "cut": b'{"name": "a"',
    "trailing": b'{"name": "a"} x',
    "two": b'{"name": "a"}{"name": "b"}',
    "a comma too many": b'{"name": "a",}',
    "single quotes": b"{'name': 'a'}",
    "NaN": b'{"name": NaN}',
    "a leading zero": b'{"name": 01}',
    "a number too large": b'{"name": 1e999}',
    "an integer too large": b'{"name": 99999999999999999999999}',
    "a byte order mark": b'\xef\xbb\xbf{"name": "a"}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "invalid UTF-8": b'{"name": "a", "title": "\xff\xfe"}',
    "overlong UTF-8": b'{"name": "a", "title": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"name": "a", "title": "\xed\xa0\x80"}',
    "half a surrogate pair": b'{"name": "a", "title": "\\ud800"}',
    "a NUL": b'{"name": "a", "title": "\x00"}',
    "an escaped NUL": b'{"name": "a", "title": "\\u0000"}',
    "a key twice": b'{"name": "a", "name": "b"}',
    "a key twice further in": b'{"name": "a", "labels": {"x": "1", "x": "2"}}',
    "65 levels": b'{"labels": ' * 64 + b"{}" + b"}" * 64,
    "20,000 levels": b"[" * 20000,
    "20,000 levels of objects": b'{"a":' * 10000 + b"1" + b"}" * 10000,
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_what_is_not_json_is_refused(api, body, method):
    path = "/v1/teams" if method == "POST" else f"/v1/teams/{api.samples.base('teams')}"
    assert _detail(api.admin.request(method, path, data=body, headers={**JSON, "If-Match": "*"}))


@pytest.mark.parametrize("body", [b"[]", b"1", b'"a"', b"null", b"true"])
def test_a_body_is_an_object(api, body):
    assert "object" in _detail(api.post(body))


@pytest.mark.parametrize("text", ["ünïcödé ☃ 𝄞", "a" * 200, "☃" * 200, "two  spaces", "<b>&amp;</b>", "\u2028"])
def test_text_comes_back_as_it_was_sent(api, text):
    for body in (json.dumps({"name": api.samples.name(), "title": text}).encode(),
                 json.dumps({"name": api.samples.name(), "title": text}, ensure_ascii=False).encode()):
        made = api.post(body)
        assert made.status_code == 201, made.text
        assert api.admin.request("GET", made.headers["Location"], expect=200).json()["title"] == text


def test_limits_count_characters_not_bytes(api):
    assert _detail(api.post(json.dumps({"name": api.samples.name(), "title": "☃" * 201}).encode()))


def test_a_body_over_the_limit_is_413(api):
    body = json.dumps({"name": "large", "labels": {"a": "x" * 70000}}).encode()
    assert api.post(body).status_code == 413
    api.admin.request("GET", "/v1/teams/large", expect=404)


def test_numbers_that_are_integers_in_other_clothes_pass(api):
    for number, status in (("1.0", 201), ("10e-1", 201), ("1.5", 400), ('"1"', 400), ("1e30", 400)):
        body = api.samples.body("event-apis")
        text = json.dumps({**body, "major": "?"}).replace('"?"', number)
        response = api.post(text.encode(), kind="event-apis")
        assert response.status_code == status, (number, response.text)


# ---- media types ----


@pytest.mark.parametrize("media_type", ["text/plain", "", "application/xml", "application/jsonx", "json",
                                        "application/x-www-form-urlencoded", "application/merge-patch+json"])
def test_another_media_type_is_415(api, media_type):
    headers = {"Content-Type": media_type}
    body = json.dumps({"name": "typed"}).encode()
    assert "application/json" in _detail(api.admin.request("POST", "/v1/teams", data=body, headers=headers), 415)
    api.admin.request("GET", "/v1/teams/typed", expect=404)


def test_the_media_types_that_are_taken(api):
    path = f"/v1/teams/{api.samples.create('teams')['id']}"
    title = iter(range(100))

    def send(method, content_type, text=None):
        text = text or json.dumps({"title": f"t{next(title)}"})
        return api.admin.request(method, path, data=text.encode(), headers={"Content-Type": content_type,
                                                                            "If-Match": "*"}).status_code

    for media_type in ("application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"):
        assert send("PATCH", media_type) == 200
    assert send("PUT", "application/merge-patch+json") == 415
    assert send("PATCH", "application/yaml", "title: from yaml\nlabels: {a: b}\n") == 200
    changed = api.admin.request("GET", path, expect=200).json()
    assert changed["title"] == "from yaml" and changed["labels"]["a"] == "b"
    assert send("PATCH", "application/yaml", "title: a\ntitle: b\n") == 400
    assert send("PATCH", "application/yaml", "a: &x [1]\nb: *x\n") == 400


def test_a_request_without_a_body_takes_none(api):
    path = f"/v1/teams/{api.samples.base('teams')}"
    assert _detail(api.admin.request("GET", path, data=b"{}", headers=JSON))
    assert _detail(api.admin.request("DELETE", path, data=b"{}", headers=JSON))
    api.admin.request("GET", path, expect=200)


def test_strangers_learn_nothing_from_errors(api):
    """Who may not come in gets 401 or 403, however malformed the rest is."""
    stranger = api.admin.with_token(None)
    reader = api.admin.with_token(api.admin.create("api-tokens", name="r", scopes=["users:read"])["token"])
    for client, status in ((stranger, 401), (reader, 403)):
        for headers, data in ((JSON, b"{"), ({"Content-Type": "text/plain"}, b"x"), ({**JSON, "If-Match": "x"}, b"{}"),
                              ({**JSON, "Idempotency-Key": "x" * 200}, b"{}")):
            assert _detail(client.request("POST", "/v1/teams", data=data, headers=headers), status)
        assert _detail(client.request("GET", "/v1/teams?limit=x&limit=y"), status)
        assert _detail(client.request("GET", "/v1/teams/none"), status)


@pytest.mark.parametrize("authorization", ["Basic dTpw", "Bearer", "Bearer ", "bearer x y", "sla_a_b", "Bearer " + "x" * 300,
                                           "Bearer sla__", "Bearer sla_" + "a" * 16 + "_" + "b" * 32])
def test_what_is_no_token_is_401(api, authorization):
    response = api.admin.request("GET", "/v1/teams", headers={"Authorization": authorization})
    assert _detail(response, 401)
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_scheme_is_case_insensitive_and_cookies_mean_nothing(api):
    token = api.control.token
    assert api.admin.request("GET", "/v1/teams", headers={"Authorization": f"bearer  {token}"}).status_code == 200
    stranger = api.admin.with_token(None)
    assert stranger.request("GET", "/v1/teams", headers={"Cookie": f"token={token}; session={token}"}).status_code == 401


# ---- paths and methods ----


def test_every_path_has_its_methods_and_no_other(api):
    document = api.admin.request("GET", "/openapi.json", expect=200).json()
    for path, item in document["paths"].items():
        declared = {method.upper() for method in item}
        concrete = re.sub(r"\{.*?\}", "x", path)
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - declared:
            response = api.admin.request(method, concrete)
            assert response.status_code == 405, f"{method} {concrete}: {response.status_code}"
            assert set(response.headers["Allow"].split(", ")) == declared
            assert response.content == b"" if method == "HEAD" else response.json()["status"] == 405
    assert len(of_document(document)) > 150


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1/no-such", "/v1/teams/", "/v1//teams", "//v1/teams", "/v1/Teams",
                                  "/v1/teams/a/b/c", "/v1/teams/a/approve", "/v2/teams", "/v1/teams/%2e%2e",
                                  "/v1/..%2fv1/teams", "/v1/teams/../users", "/v1/te%61ms/none", "/v1/teams;a=b",
                                  "/v1/teams/" + "k" * 199, "/v1/teams/" + "k" * 3000, "/v1/teams/%C3%A9", "/v1/teams/%FF",
                                  "/v1/teams/%F0%9D%84%9E", "/v1/teams/a%0Ab", "/v1/teams/a%20b", "/v1/teams/%25",
                                  "/v1/teams/a%2Fb", "/v1/teams/'--", "/v1/teams/%22"])
def test_a_path_that_is_nothing_is_404(api, path):
    response = _raw(api, "GET", path)
    assert response.status == 404, response.read()
    problem = json.loads(response.read())
    assert problem["status"] == 404 and problem["type"].endswith("/not-found")


def _raw(api, method, path):
    """A path as it is: other clients tidy it up."""
    connection = http.client.HTTPConnection("127.0.0.1", api.control.admin_port, timeout=60)
    connection.putrequest(method, path, skip_accept_encoding=True)
    connection.putheader("Authorization", f"Bearer {api.control.token}")
    connection.endheaders()
    return connection.getresponse()


@pytest.mark.parametrize("path, status", [("/v1/teams/%00", 400), ("/v1/teams/a%00b", 400), ("/v1/teams/a%zz", 404),
                                          ("/v1/teams/%", 404), ("/v1/teams/" + "k" * 40000, 431),
                                          ("/v1/teams?a=" + "k" * 40000, 431)])
def test_a_path_that_is_broken_is_refused(api, path, status):
    response = _raw(api, "GET", path)
    assert response.status == status
    assert json.loads(response.read())["status"] == status


def test_keys_may_be_percent_encoded(api):
    deployment = api.samples.create("deployments")
    event_api = deployment["event_api"]
    assert re.fullmatch(r".+\.v1", event_api)
    key = f"{event_api}@{deployment['gateway_group']}"
    for path in (f"/v1/deployments/{key}", f"/v1/deployments/{key.replace('@', '%40').replace('.', '%2E')}",
                 f"/v1/deployments/{deployment['id']}", "/v1/deployments/" + "".join(f"%{b:02x}" for b in key.encode())):
        response = _raw(api, "GET", path)
        assert response.status == 200, path
        assert json.loads(response.read())["id"] == deployment["id"]


def test_a_query_may_be_percent_encoded_and_is_not_read_twice(api):
    team = api.samples.create("teams")["name"]
    encoded = "".join(f"%{b:02x}" for b in team.encode())
    for query in (f"name={encoded}", f"n%61me={team}", f"name={team}&limit=5"):
        response = _raw(api, "GET", f"/v1/teams?{query}")
        assert [item["name"] for item in json.loads(response.read())["items"]] == [team], query
    for query in (f"name={team}&name={team}", "limit=1&limit=1", f"name={team}&n%61me=x", f"name={team}%00x",
                  f"name={team}&%00=x"):
        response = _raw(api, "GET", f"/v1/teams?{query}")
        assert response.status == 400, query


def test_bodies_of_strangers_are_bounded_in_total(servers):
    """A body is held before anybody has looked at its token: together they may not be more than is said."""
    control = servers.control(admin_limits_bodies="4MiB", admin_limits_body="2MiB")
    head = (b"PUT /v1/config HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
            b"Content-Length: 2000000\r\n\r\n")
    before, socks = resident_mib(control.pid), []
    for _ in range(3):
        socks.append(socket.create_connection(("127.0.0.1", control.admin_port), timeout=60))
        with contextlib.suppress(ConnectionError):  # refused while it sends
            socks[-1].sendall(head + b"x" * 1_900_000)
    (refused,), _, _ = select.select(socks, [], [], 60)
    answer = b""
    with contextlib.suppress(ConnectionError):
        while part := refused.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 5\r\n" in answer, answer
    assert resident_mib(control.pid) - before < 40
    assert control.admin.create("teams", name="small")["name"] == "small"
    for sock in socks:
        sock.close()

    def heard():
        return exchange(control.admin_port, head + b"x" * 1_999_999 + b"}", timeout=60).startswith(b"HTTP/1.1 401 ")

    wait_until(heard, what="a large body to be taken again")
