"""How gateways get, keep and lose their identity: join strings, renewal, rotation of the node CA, revocation."""

import base64
import json

import pytest

from sluice_support import wait_until

# Short enough to be seen. A certificate lives for twice node.clock-skew at least, which has to be long enough for a slow
# machine: a request that takes longer to arrive is one of a node whose clock differs.
SHORT = {"node_upkeep": "200ms", "node_ca_rotation_spread": "200ms", "node_heartbeat": "300ms"}


def _node_of(gateway):
    return json.loads((gateway.state_dir / "identity.json").read_text())


def _authorities(control):
    """By state."""
    found = control.admin.request("GET", "/v1/node-ca", expect=200).json()["authorities"]
    return {authority["state"]: authority for authority in found}


def _rotate(control):
    return control.admin.request("POST", "/v1/node-ca/rotate", expect=200).json()["authorities"]


def _pin(join):
    text = join.removeprefix("sluice-join-1.")
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))["ca"]


def _said(gateway, message, reason):
    """How often, for a reason that has these words. A busy machine may have other reasons first."""
    return sum(reason in entry["reason"] for entry in gateway.entries(message))


def _connected(gateway):
    return gateway.metrics()["sluice_config_connected"] == 1


@pytest.fixture
def plane(servers):
    control = servers.control(**SHORT)
    control.admin.create("gateway-groups", name="dev", environment="dev")
    return control


def _gateway(servers, plane, join=None, **options):
    gateway = servers.gateway(join or plane.join_string("dev"), workers=1, config_reconnect_max="500ms", **options)
    wait_until(lambda: _connected(gateway), what="the gateway to connect")
    return gateway


def test_rotation_moves_every_node_to_the_new_authority_and_drops_no_stream(servers, plane):
    old_join = plane.join_string("dev", uses=10)
    gateways = [_gateway(servers, plane, old_join) for _ in range(3)]
    away = gateways[2]
    away.kill()
    former = _authorities(plane)["active"]
    assert former["sha256"] == _pin(old_join)
    _rotate(plane)
    states = _authorities(plane)
    assert states["retiring"]["id"] == former["id"]
    # A second rotation, and a retirement that would shut nodes out, are refused.
    assert plane.admin.request("POST", "/v1/node-ca/rotate").status_code == 409
    wait_until(lambda: _authorities(plane)["retiring"]["nodes"] == 1, what="the connected nodes to renew")
    refused = plane.admin.request("POST", "/v1/node-ca/retire")
    assert refused.status_code == 409 and "1 nodes hold certificates" in refused.json()["detail"]
    # Both pins admit during the overlap, and the node that was away comes back and follows.
    new_join = plane.join_string("dev", uses=10)
    assert _pin(new_join) == states["active"]["sha256"] != _pin(old_join)
    late, early = _gateway(servers, plane, new_join), _gateway(servers, plane, old_join)
    away.start()
    wait_until(lambda: _authorities(plane)["retiring"]["nodes"] == 0, what="every node to renew")
    nodes = plane.admin.list("gateway-nodes")
    assert {node["certificate_authority"] for node in nodes} == {states["active"]["id"]}
    retired = plane.admin.request("POST", "/v1/node-ca/retire", expect=200).json()["authorities"]
    assert [authority["state"] for authority in retired] == ["retired", "active"]
    # Trust in the former one is gone from the nodes as well.
    wait_until(lambda: all(_node_of(g)["bundle_pem"].count("BEGIN") == 1 for g in [*gateways, late, early]),
               what="the nodes to drop the former authority")
    for gateway in gateways[:2]:
        assert len(gateway.entries("configuration stream open")) == 1
        assert not gateway.entries("configuration stream ended") and not gateway.entries("configuration stream cut")
        assert _connected(gateway)
    # Whoever restarts now meets a server certificate of the new authority.
    late.stop()
    late.start()
    wait_until(lambda: _connected(late), what="the gateway to reconnect")
    # The old join string fails with a word about why.
    stranger = servers.gateway(old_join, ready=False, workers=1)
    wait_until(lambda: _said(stranger, "enrolment failed", "its CA was replaced since: make a new join string"),
               what="the old join string to fail")
    actions = [(e["action"], e["kind"]) for e in plane.admin.list("audit-events")]
    assert ("rotate", "node-ca") in actions and ("retire", "node-ca") in actions


# ---- lives and ends of certificates ----


def test_a_revoked_node_is_cut_off_and_stays_out(servers, plane):
    join = plane.join_string("dev", uses=5)
    gateway = _gateway(servers, plane, join)
    node = _node_of(gateway)["node_id"]
    plane.admin.act("gateway-nodes", node, "revoke")
    wait_until(lambda: not _connected(gateway), what="the stream to be cut")
    refused = lambda: _said(gateway, "configuration stream ended", "the node was revoked")
    wait_until(lambda: refused() >= 2, what="the node to be refused")
    # Not even its join string, which has uses left, lets it in again by itself.
    gateway.stop()
    gateway.start()
    before = refused()
    wait_until(lambda: refused() >= before + 2, what="the node to be refused")
    assert [n["id"] for n in plane.admin.list("gateway-nodes")] == [node]
    assert plane.admin.get("gateway-nodes", node)["state"] == "revoked"


def test_certificates_renew_at_half_life_under_an_open_stream(servers):
    control = servers.control(**SHORT, node_clock_skew="10s", node_certificate_lifetime="20s")
    control.admin.create("gateway-groups", name="dev", environment="dev")
    gateway = _gateway(servers, control)
    first = control.admin.list("gateway-nodes")[0]["certificate_serial"]
    wait_until(lambda: control.admin.list("gateway-nodes")[0]["certificate_serial"] != first, what="a renewal")
    assert len(gateway.entries("configuration stream open")) == 1


def test_an_expired_node_renews_within_the_window_and_enrols_again_after_it(servers):
    control = servers.control(**SHORT, node_clock_skew="7s", node_certificate_lifetime="14s", node_renewal_window="1h")
    control.admin.create("gateway-groups", name="dev", environment="dev")
    join = control.join_string("dev", uses=50)
    gateway = _gateway(servers, control, join)
    node = _node_of(gateway)["node_id"]
    gateway.stop()
    expiry = lambda: control.admin.request("GET", "/v1/node-ca").json()["authorities"][0]["nodes_with_valid_certificate"]
    wait_until(lambda: expiry() == 0, what="the certificate to expire")
    gateway.start()
    wait_until(lambda: _connected(gateway), what="the expired node to renew and connect")
    assert _node_of(gateway)["node_id"] == node
    gateway.stop()
    control.stop()
    control.command += ["--node-renewal-window", "0s"]
    control.start()
    wait_until(lambda: expiry() == 0, what="the certificate to expire")
    gateway.start()
    wait_until(lambda: _connected(gateway), what="the node to enrol again by its join string")
    assert _node_of(gateway)["node_id"] != node
    wait_until(lambda: _said(gateway, "the certificate could not be renewed", "expired too long ago"),
               what="the reason in the log")


def test_who_was_away_for_too_long_serves_on_and_says_what_it_needs(servers):
    """Its join string has no use left: it works from what is on its disk until it is given another. A certificate lives
    for ten seconds, and a try may take as long: on a busy machine less would be too little to connect with."""
    control = servers.control(**SHORT, node_clock_skew="10s", node_certificate_lifetime="20s", node_renewal_window="1h")
    control.admin.create("gateway-groups", name="dev", environment="dev")
    gateway = _gateway(servers, control, control.join_string("dev"))
    node = _node_of(gateway)["node_id"]
    wait_until((gateway.state_dir / "cache" / "manifest").exists, what="the configuration on its disk")
    gateway.stop()
    control.stop()
    control.command += ["--node-renewal-window", "0s"]
    control.start()
    valid = lambda: control.admin.request("GET", "/v1/node-ca").json()["authorities"][0]["nodes_with_valid_certificate"]
    wait_until(lambda: valid() == 0, what="the certificate to expire")
    gateway.start()  # and is ready
    wait_until(lambda: _said(gateway, "the certificate could not be renewed", "expired too long ago to be renewed: enrol again "
                             "with a new join string"), what="the reason in the log")
    wait_until(lambda: _said(gateway, "enrolment failed", "used up"), what="the join string to be tried once more")
    assert gateway.ready() and _node_of(gateway)["node_id"] == node
    gateway.stop()
    gateway.command[gateway.command.index("--join") + 1] = control.join_string("dev", uses=50)  # certificates end soon
    gateway.start()
    wait_until(lambda: _connected(gateway), what="the node to enrol again")
    assert _node_of(gateway)["node_id"] != node


def test_retirement_by_force_shuts_out_who_has_not_renewed_until_it_is_told_the_new_pin(servers):
    control = servers.control(**{**SHORT, "node_ca_rotation_spread": "7d"})
    control.admin.create("gateway-groups", name="dev", environment="dev")
    gateway = _gateway(servers, control, control.join_string("dev", uses=9))
    node = _node_of(gateway)["node_id"]
    _rotate(control)
    wait_until(lambda: _node_of(gateway)["bundle_pem"].count("BEGIN") == 2, what="the trust bundle")
    control.admin.request("POST", "/v1/node-ca/retire?force=true", expect=200)
    wait_until(lambda: not _connected(gateway), what="the node to be cut")
    wait_until(lambda: _said(gateway, "configuration stream ended", "retired"), what="the end in the log")
    wait_until(lambda: gateway.entries("enrolment failed"), what="the old join string to fail")
    gateway.stop()
    gateway.command[gateway.command.index("--join") + 1] = control.join_string("dev")
    gateway.start()
    wait_until(lambda: _connected(gateway), what="the node to enrol again")
    assert _node_of(gateway)["node_id"] != node


def test_an_unused_authority_is_retired_by_itself(servers):
    control = servers.control(**SHORT, node_ca_retire_after="1s")
    control.admin.create("gateway-groups", name="dev", environment="dev")
    gateway = _gateway(servers, control)
    _rotate(control)
    wait_until(lambda: "retired" in _authorities(control), what="the former authority to be retired")
    assert _connected(gateway) and len(gateway.entries("configuration stream open")) == 1
    rotated = _rotate(control)  # and the next rotation may begin
    assert [authority["state"] for authority in rotated] == ["retired", "retiring", "active"]


def test_times_that_contradict_each_other_are_refused_at_the_start(servers):
    control = servers._add(type(servers.control()), "control", start=None,
                           node_certificate_lifetime="10m", node_clock_skew="10m")
    with pytest.raises(AssertionError):
        control.start()
    assert b"give them at least twice that" in control.log()
    control._expected_status = control.process.poll()
