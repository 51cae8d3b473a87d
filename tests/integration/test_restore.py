"""What a restore must not bring back: keys, tokens, users and node certificates that were taken away."""

import json
import subprocess

import pytest

from sluice_support import wait_until
from sluice_support.catalog import CatalogSamples

SHORT = {"node_upkeep": "200ms", "node_ca_rotation_spread": "200ms", "node_heartbeat": "300ms"}


def _maintain(control, *arguments):
    command = [control.command[0], "--data-dir", str(control.data_dir), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, f"{done.returncode}: {done.stdout}\n{done.stderr}"
    return done.stdout


def _restore(control, *names):
    """One after the other; the report of the last."""
    control.stop()
    for name in names:
        out = _maintain(control, "--restore", control.data_dir / "backups" / name)
    control.start()
    return json.loads(out[out.index("{"):])


def _backup(control):
    return control.admin.request("POST", "/v1/backups", expect=201).json()["name"]


def test_an_older_backup_and_then_a_newer_one_make_no_key_valid_again(servers):
    control = servers.control()
    admin, samples = control.admin, CatalogSamples(control.admin)
    older = _backup(control)
    credential, user = samples.create("credentials"), samples.create("users")
    leaked = admin.create("api-tokens", name="leaked", scopes=["*"])
    newer = _backup(control)
    admin.act("credentials", credential["id"], "revoke")
    admin.delete("api-tokens", leaked["id"])
    admin.patch("users", user["name"], disabled=True)
    report = _restore(control, older, newer)
    assert report["compared"]
    assert {(entry["kind"], entry["key"], entry["what"]) for entry in report["taken_away"]} == {
        ("credentials", credential["id"], "revoked"), ("users", user["name"], "disabled"),
        ("api-tokens", leaked["id"], "deleted")}
    admin.with_token(leaked["token"]).request("GET", "/v1/self", expect=401)
    assert admin.get("credentials", credential["id"])["revoked_at"]
    assert admin.get("users", user["name"])["disabled"]


def _authorities(control):
    found = control.admin.request("GET", "/v1/node-ca", expect=200).json()["authorities"]
    return [(authority["id"], authority["state"]) for authority in found]


def _nodes_of(control, state):
    found = control.admin.request("GET", "/v1/node-ca", expect=200).json()["authorities"]
    return next(authority["nodes"] for authority in found if authority["state"] == state)


def _connected(gateway):
    return gateway.metrics()["sluice_config_connected"] == 1


@pytest.fixture
def plane(servers):
    control = servers.control(**SHORT)
    control.admin.create("gateway-groups", name="dev", environment="dev")
    return control


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
def test_a_node_ca_that_was_retired_stays_so_and_nodes_go_on_with_the_new_one(servers, plane, twice):
    older = _backup(plane)
    gateway = servers.gateway(plane.join_string("dev"), workers=1, config_reconnect_max="500ms")
    wait_until(lambda: _connected(gateway), what="the gateway to connect")
    newer = _backup(plane)
    node = json.loads((gateway.state_dir / "identity.json").read_text())["node_id"]
    plane.admin.request("POST", "/v1/node-ca/rotate", expect=200)
    wait_until(lambda: _nodes_of(plane, "retiring") == 0, what="the node to renew")
    plane.admin.request("POST", "/v1/node-ca/retire?force=true", expect=200)
    (stolen, _), (present, _) = before = _authorities(plane)
    assert [state for _, state in before] == ["retired", "active"]

    report = _restore(plane, *([older] if twice else []), newer)
    assert _authorities(plane) == before
    assert report["node_ca"] == [
        {"id": stolen, "state": "retired", "what": "retired since the backup"},
        {"id": present, "state": "active", "what": "made since the backup"}]
    trail = plane.admin.list("audit-events")
    assert {event["action"] for event in trail if event["kind"] == "node-ca" and event["actor"]["name"] == "restore"
            } >= {"retire", "create"}
    wait_until(lambda: _connected(gateway), what="the node to come back")
    assert json.loads((gateway.state_dir / "identity.json").read_text())["node_id"] == node
    wait_until(lambda: _nodes_of(plane, "active") == 1, what="its certificate to be counted")


def test_an_authority_that_is_still_retiring_goes_on_retiring(servers, plane):
    backup = _backup(plane)
    plane.admin.request("POST", "/v1/node-ca/rotate", expect=200)
    before = _authorities(plane)
    _restore(plane, backup)
    assert _authorities(plane) == before
    gateway = servers.gateway(plane.join_string("dev"), workers=1)
    wait_until(lambda: _connected(gateway), what="a gateway to join")


def test_a_lost_administrator_token_is_replaced_with_the_control_plane_stopped(servers):
    control = servers.control()
    control.admin.create("teams", name="kept")
    for token in control.admin.list("api-tokens"):
        control.admin.patch("api-tokens", token["id"], scopes=["teams:read"])
    control.admin.request("POST", "/v1/api-tokens", json={"name": "x", "scopes": ["*"]}, expect=403)
    command = [control.command[0], "--data-dir", str(control.data_dir), "--new-admin-token"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "another process uses" in refused.stderr
    control.stop()
    nowhere = subprocess.run([*command[:2], str(servers.work_dir), *command[3:]], capture_output=True, text=True, timeout=60)
    assert nowhere.returncode == 1 and "there is no catalog" in nowhere.stderr
    token = _maintain(control, "--new-admin-token").split("administrator token: ")[1].split()[0]
    control.start()
    admin = control.admin.with_token(token)
    assert admin.get("teams", "kept")
    admin.create("api-tokens", name="mine", scopes=["*"])
    made = next(event for event in admin.list("audit-events") if event["actor"]["name"] == "new-admin-token")
    assert (made["action"], made["kind"], made["actor"]["kind"]) == ("create", "api-tokens", "system")
