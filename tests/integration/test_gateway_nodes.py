"""What the control plane says about gateways is true: what they run, what they refused, who is connected to them, and
when they are lost."""

import http.client
import os
import signal
import socket
import threading

import pytest

from sluice_support import SampleApi, wait_until

QUICK = {"node_heartbeat": "200ms", "node_lost_after": "1500ms"}


def _node(admin, node_id):
    return admin.get("gateway-nodes", node_id)


def _node_ids(admin):
    return {node["id"] for node in admin.list("gateway-nodes")}


class Fleet:
    """A control plane that is quick to notice, and gateways of one group, each with its own node id."""

    def __init__(self, servers, kafka, **options):
        self.servers = servers
        self.sample = SampleApi(servers.control(**{**QUICK, **options}), kafka.bootstrap_servers,
                                kafka.create_topic("orders", partitions=1))
        self.admin = self.sample.admin

    def add(self, **options):
        before = _node_ids(self.admin)
        gateway = self.servers.gateway(self.sample.control.join_string(self.sample.group),
                                       **{"config_reconnect_max": "300ms", "config_retry_min": "100ms",
                                          "config_retry_max": "300ms", **options})
        (gateway.node_id,) = _node_ids(self.admin) - before
        return gateway

    def node(self, gateway):
        return _node(self.admin, gateway.node_id)

    def wait_state(self, gateway, state):
        wait_until(lambda: self.node(gateway)["state"] == state, what=f"{gateway.name} to be {state}")

    def version(self):
        """Of the newest configuration."""
        return max(v["version"] for v in wait_until(lambda: self.admin.list("config-versions"), what="a version"))

    def wait_applied(self, gateway, version):
        wait_until(lambda: self.node(gateway)["applied_version"] >= version, what=f"{gateway.name} on {version}")


@pytest.fixture
def fleet(servers, kafka):
    return Fleet(servers, kafka)


@pytest.fixture
def patient(servers, kafka):
    """Where no loss is to be noticed, a slow machine is none."""
    return Fleet(servers, kafka, node_lost_after="45s", node_question_timeout="20s")


def _change(fleet, n=[0]):
    """A change that every gateway gets; returns its version."""
    n[0] += 1
    changed = fleet.admin.patch("event-apis", fleet.sample.event_api, title=f"change {n[0]}")
    wait_until(lambda: fleet.version() >= changed["revision"], what="a new version")
    return fleet.version()


def test_a_killed_a_stopped_and_a_revoked_gateway_are_told_apart(fleet):
    killed, stopped, revoked = fleet.add(), fleet.add(), fleet.add()
    for gateway in (killed, stopped, revoked):
        fleet.wait_state(gateway, "connected")
        fleet.wait_applied(gateway, fleet.version())

    killed.kill()
    fleet.wait_state(killed, "lost")

    stopped.signal(signal.SIGSTOP)
    fleet.wait_state(stopped, "lost")
    version = _change(fleet)
    fleet.wait_applied(revoked, version)
    assert fleet.node(stopped)["applied_version"] < version
    stopped.signal(signal.SIGCONT)
    fleet.wait_state(stopped, "connected")
    fleet.wait_applied(stopped, version)

    fleet.admin.act("gateway-nodes", revoked.node_id, "revoke")
    assert fleet.node(revoked)["state"] == "revoked"
    wait_until(lambda: revoked.metrics()["sluice_config_connected"] == 0, what="the revoked gateway to be cut")
    killed.start(ready=False)
    fleet.wait_state(killed, "connected")
    fleet.wait_applied(killed, version)


def test_a_control_plane_that_starts_again_learns_what_gateways_run(fleet):
    gateway = fleet.add()
    version = fleet.version()
    fleet.wait_applied(gateway, version)
    fleet.sample.control.kill()
    for name in os.listdir(fleet.sample.control.data_dir):
        if name.startswith("usage.db"):
            (fleet.sample.control.data_dir / name).unlink()
    fleet.sample.control.start()
    fleet.wait_state(gateway, "connected")
    fleet.wait_applied(gateway, version)
    node = fleet.node(gateway)
    assert node["applied_version"] == version
    assert node["version"] and node["last_seen"]


def _keep_alive(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    return connection


def _connections(fleet, gateway, **query):
    path = f"/v1/gateway-nodes/{gateway.node_id}/connections"
    return fleet.admin.request("GET", path, expect=200, params=query).json()


def test_connections_are_listed_with_who_and_what(patient):
    gateway, sample = patient.add(), patient.sample
    sample.gateway = gateway
    sample.wait_served()
    publisher = _keep_alive(sample.port)
    publisher.request("POST", f"/{sample.name}/v1/events", b"{}",
                      {"X-API-Key": sample.key, "Content-Type": "application/json"})
    assert publisher.getresponse().read() and publisher.sock
    silent = _keep_alive(sample.port)
    address, quiet = ("127.0.0.1:%d" % each.sock.getsockname()[1] for each in (publisher, silent))
    with sample.stream():
        def listed():
            found = {c["client_address"]: c for c in _connections(patient, gateway)["connections"]}
            streams = [c for c in found.values() if c["protocol"] == "sse"]  # one that was closed may still be there
            return found if {address, quiet} <= set(found) and len(streams) == 1 else None

        by_address = wait_until(listed, what="three connections")
        published = by_address[address]
        assert published["protocol"] == "http" and published["operation"] == "publish"
        assert published["application"] == "demo" and published["event_api"] == "orders.v1"
        assert published["credential"] == sample.credential["id"] and published["listener"] == "http"
        assert published["bytes_in"] > 50 and published["bytes_out"] > 50 and published["opened_at"]
        streaming = [c for c in by_address.values() if c["protocol"] == "sse"]
        assert [c["operation"] for c in streaming] == ["read"]
        nobody = by_address[quiet]
        assert "application" not in nobody and nobody["bytes_in"] == 0
        text = patient.admin.request("GET", f"/v1/gateway-nodes/{gateway.node_id}/connections").text
        assert sample.key not in text and sample.key.split("_")[-1] not in text
        one = _connections(patient, gateway, limit=1)
        assert len(one["connections"]) == 1 and one["truncated"] and one["total"] >= 3
    publisher.close()
    silent.close()


def test_a_thousand_connections_are_listed_and_the_rest_counted(patient):
    gateway = patient.add()
    sockets = [socket.create_connection(("127.0.0.1", patient.sample.port)) for _ in range(1100)]
    answer = wait_until(lambda: (a := _connections(patient, gateway))["total"] == 1100 and a, what="1,100 connections")
    assert len(answer["connections"]) == 1000 and answer["truncated"]
    opened = [c["opened_at"] for c in answer["connections"]]
    assert opened == sorted(opened, reverse=True)
    assert len({c["client_address"] for c in answer["connections"]}) == 1000
    statuses = []

    def ask():
        statuses.append(patient.admin.with_token(patient.admin.token).request(
            "GET", f"/v1/gateway-nodes/{gateway.node_id}/connections", params={"limit": 3}).status_code)

    askers = [threading.Thread(target=ask) for _ in range(20)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(60)
    assert statuses == [200] * 20
    for sock in sockets:
        sock.close()


def test_a_node_that_cannot_answer_is_a_clear_error(servers, kafka):
    fleet = Fleet(servers, kafka, node_question_timeout="300ms", node_lost_after="20s")
    gateway = fleet.add()
    path = f"/v1/gateway-nodes/{gateway.node_id}/connections"
    gateway.signal(signal.SIGSTOP)
    assert fleet.admin.request("GET", path).status_code == 504
    gateway.signal(signal.SIGCONT)
    wait_until(lambda: fleet.admin.request("GET", path).status_code == 200, what="an answer")
    gateway.kill()
    wait_until(lambda: fleet.admin.request("GET", path).status_code == 409, what="the loss to be noticed")
    assert fleet.admin.request("GET", "/v1/gateway-nodes/nobody/connections").status_code == 404
    assert fleet.admin.request("GET", path, params={"limit": "x"}).status_code == 400
    reader = fleet.admin.create("api-tokens", name="teams-only", scopes=["teams:read"])["token"]
    assert fleet.admin.with_token(reader).request("GET", path).status_code == 403
