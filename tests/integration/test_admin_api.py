"""The admin API as its clients see it: rights, conditions, conflicts, retries; and what a gateway makes of a change."""

import pytest

from sluice_support import AdminClient, wait_until


def _assert_problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"].startswith("application/problem+json")
    problem = response.json()
    assert problem["status"] == status and problem["title"] and problem["type"]
    return problem


@pytest.fixture
def team(sample, request):
    """A team of the test's own; its name."""
    name = request.node.name.replace("_", "-").lower()[:60].rstrip("-")
    sample.admin.create("teams", name=name, title="First")
    return name


def test_without_a_token_or_with_a_wrong_one_it_is_401(sample):
    for token in (None, "nonsense", sample.control.token[:-4] + "aaaa"):
        response = AdminClient(sample.control.admin_url, token).request("GET", "/v1/teams")
        _assert_problem(response, 401)
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_may_do_what_its_scopes_say_and_no_more(sample):
    token = sample.admin.create("api-tokens", name="reader", scopes=["teams:read"])
    reader = sample.admin.with_token(token["token"])
    assert sample.team in [team["name"] for team in reader.list("teams")]
    _assert_problem(reader.request("POST", "/v1/teams", json={"name": "forbidden"}), 403)
    _assert_problem(reader.request("GET", "/v1/applications"), 403)
    _assert_problem(reader.request("DELETE", f"/v1/teams/{sample.team}"), 403)
    sample.admin.request("GET", "/v1/teams/forbidden", expect=404)
    assert "token" not in sample.admin.get("api-tokens", token["id"])
    sample.admin.delete("api-tokens", token["id"])
    _assert_problem(reader.request("GET", "/v1/teams"), 401)


def test_what_is_created_has_a_location_and_an_etag(sample):
    response = sample.admin.request("POST", "/v1/teams", expect=201, json={"name": "located", "title": "T"})
    created = response.json()
    assert response.headers["ETag"] == f'"{created["revision"]}"'
    again = sample.admin.request("GET", response.headers["Location"], expect=200)
    assert again.json() == created
    assert again.headers["ETag"] == response.headers["ETag"]
    assert sample.admin.get("teams", "located") == created


def test_a_second_one_of_the_same_name_is_409(sample, team):
    _assert_problem(sample.admin.request("POST", "/v1/teams", json={"name": team}), 409)


def test_what_is_wrong_with_a_body_is_told_by_pointer(sample):
    response = sample.admin.request("POST", "/v1/teams", json={"name": "pointed", "colour": "red"})
    assert [error["pointer"] for error in _assert_problem(response, 400)["errors"]] == ["/colour"]
    response = sample.admin.request("POST", "/v1/policies", json={
        "name": "p", "type": "cors", "scope": {"kind": "event-api", "ref": sample.event_api},
        "config": {"origins": ["*"], "max_age": -1}})
    assert [error["pointer"] for error in _assert_problem(response, 400)["errors"]] == ["/config/max_age"]
    response = sample.admin.request("POST", "/v1/teams", data=b"{", headers={"Content-Type": "application/json"})
    _assert_problem(response, 400)
    response = sample.admin.request("POST", "/v1/teams", data=b"{}", headers={"Content-Type": "text/plain"})
    _assert_problem(response, 415)
    sample.admin.request("GET", "/v1/teams/pointed", expect=404)


def test_a_change_needs_the_etag_of_what_it_changes(sample, team):
    path, change = f"/v1/teams/{team}", {"name": team, "title": "Second"}
    old = sample.admin.request("GET", path, expect=200).headers["ETag"]
    _assert_problem(sample.admin.request("PUT", path, json=change), 428)
    _assert_problem(sample.admin.request("PUT", path, json=change, headers={"If-Match": '"999999"'}), 412)
    assert sample.admin.get("teams", team)["title"] == "First"
    response = sample.admin.request("PUT", path, expect=200, json=change, headers={"If-Match": old})
    assert response.json()["title"] == "Second"
    assert response.headers["ETag"] != old
    _assert_problem(sample.admin.request("PUT", path, json={"name": team}, headers={"If-Match": old}), 412)


def test_putting_what_is_there_changes_nothing(sample, team):
    before = sample.admin.request("GET", f"/v1/teams/{team}", expect=200)
    response = sample.admin.request("PUT", f"/v1/teams/{team}", expect=200, json={"name": team, "title": "First"})
    assert response.headers["ETag"] == before.headers["ETag"]
    assert response.json() == before.json()


def test_what_is_referred_to_cannot_be_deleted(sample):
    problem = _assert_problem(sample.admin.request("DELETE", f"/v1/teams/{sample.team}"), 409)
    assert problem["referrers"]
    assert {"applications", "event-apis", "products"} <= {referrer["kind"] for referrer in problem["referrers"]}
    assert sample.admin.get("teams", sample.team)


def test_a_list_has_everything_once_over_its_pages(sample):
    names = [f"page-{n}" for n in range(5)]
    for name in names:
        sample.admin.create("teams", name=name)
    everything = [team["name"] for team in sample.admin.list("teams")]
    assert set(names) <= set(everything)
    first = sample.admin.request("GET", "/v1/teams?limit=2", expect=200).json()
    assert len(first["items"]) == 2 and first["next"]
    assert [team["name"] for team in sample.admin.list("teams", limit=2)] == everything
    _assert_problem(sample.admin.request("GET", "/v1/teams?limit=0"), 400)
    _assert_problem(sample.admin.request("GET", "/v1/teams?cursor=nonsense"), 400)


def test_a_retry_with_the_same_idempotency_key_is_answered_the_same(sample):
    sample.admin.create("applications", name="retrying", team=sample.team)
    body, headers = {"application": "retrying", "type": "secret"}, {"Idempotency-Key": "retry-1"}
    first = sample.admin.request("POST", "/v1/credentials", expect=201, json=body, headers=headers)
    second = sample.admin.request("POST", "/v1/credentials", expect=201, json=body, headers=headers)
    assert second.json() == first.json() and first.json()["api_key"]
    assert second.headers["Location"] == first.headers["Location"]
    assert len(sample.admin.list("credentials", application="retrying")) == 1
    other = sample.admin.request("POST", "/v1/credentials", json={**body, "title": "other"}, headers=headers)
    _assert_problem(other, 422)


def test_a_dry_run_does_not_use_up_the_key_of_the_real_thing(sample):
    document, headers = {"manager": "keyed", "resources": {"teams": [{"name": "keyed"}]}}, {"Idempotency-Key": "dry"}
    dry = sample.admin.request("PUT", "/v1/config?dry_run=true", expect=200, json=document, headers=headers)
    assert dry.json()["dry_run"]
    _assert_problem(sample.admin.request("PUT", "/v1/config", json=document, headers=headers), 422)
    sample.admin.request("GET", "/v1/teams/keyed", expect=404)


def test_the_openapi_document_describes_what_is_there(sample):
    document = AdminClient(sample.control.admin_url).request("GET", "/openapi.json", expect=200).json()
    assert document["openapi"].startswith("3.")
    assert {"get", "post"} <= document["paths"]["/v1/teams"].keys()
    assert "/v1/gateway-nodes" in document["paths"]
    assert "post" not in document["paths"]["/v1/gateway-nodes"]


def test_every_change_is_in_the_audit_log(sample, team):
    sample.admin.patch("teams", team, title="Second")
    sample.admin.delete("teams", team)
    events = sample.admin.request("GET", f"/v1/audit-events?kind=teams&ref={team}", expect=200).json()["items"]
    assert [event["action"] for event in events] == ["delete", "update", "create"]
    assert events[1]["changes"]["title"] == {"from": "First", "to": "Second"}
    assert all(event["actor"] and event["request_id"] and event["at"] for event in events)
    assert events[0]["revision"] > events[1]["revision"] > events[2]["revision"]
    _assert_problem(sample.admin.request("DELETE", f"/v1/audit-events/{events[0]['id']}"), 405)


def test_a_secret_is_shown_once_and_never_audited(sample):
    credential = sample.new_credential(sample.application)
    shown = sample.admin.request("GET", f"/v1/credentials/{credential['id']}", expect=200).text
    audited = sample.admin.request("GET", f"/v1/audit-events?entity_id={credential['id']}", expect=200)
    assert audited.json()["items"]
    for text in (shown, audited.text):
        assert credential["secret"] not in text and credential["api_key"] not in text


def test_a_node_is_seen_connected_and_on_the_version_that_it_applied(sample):
    def seen():
        [node] = sample.admin.list("gateway-nodes", group=sample.group)
        return node["state"] == "connected" and node["applied_version"] > 0 and node

    node = wait_until(seen, what="the node to be connected, on a version")
    before = node["applied_version"]
    sample.new_application("newer-version")

    def newer():
        now = sample.admin.get("gateway-nodes", node["id"])
        return now if now["applied_version"] > before else None

    now = wait_until(newer, what="the node to report the newer version")
    assert now["applied_version"] <= sample.gateway.metrics()["sluice_config_applied_version"]
    assert "last_nack" not in now or now["last_nack"] is None


def test_a_revoked_credential_is_refused_and_its_streams_end(sample):
    credential = sample.new_credential(sample.application)
    key = credential["api_key"]
    sample.wait_in_force(credential)
    assert sample.publish({}, key=key).status_code == 201
    with sample.stream(key=key) as revoked, sample.stream() as other:
        assert revoked.status == 200
        sample.admin.act("credentials", credential["id"], "revoke")
        wait_until(lambda: sample.publish({}, key=key).status_code == 401, what="the key to be refused")
        events = revoked.wait_end()
        assert events[-1].event == "error"
        assert events[-1].json()["type"].endswith("/access-revoked")
        assert sample.publish({"still": "here"}).status_code == 201
        assert other.find(1, lambda event: event.json()["data"] == {"still": "here"})  # the other stream goes on
