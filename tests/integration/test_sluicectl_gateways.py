"""sluicectl where gateways are part of it: events, nodes, promotion, rollback, explanations."""

import json
import stat
import tarfile
import threading

import pytest

from sluice_support import SampleApi, free_port, wait_until
from sluice_support.ctl import Ctl


@pytest.fixture
def plane(servers, kafka, tmp_path):
    """A control plane, a gateway and the sample event API; `ctl` is the administrator's."""
    topic = kafka.create_topic("orders", partitions=2)
    plane = SampleApi(servers.control(), kafka.bootstrap_servers, topic)
    plane.start_gateway(servers, node_name="edge-1", drain_deadline="5s")
    plane.ctl = Ctl(servers.build_dir, tmp_path, plane.control.admin_url, plane.control.token)
    plane.key_file = tmp_path / "key"
    plane.key_file.write_text(plane.key + "\n")
    plane.base = f"http://127.0.0.1:{plane.port}"
    plane.events = ("orders.v1", "--url", plane.base, "-k", plane.key_file)
    return plane


class Tail:
    """A running `events tail` whose lines are gathered."""

    def __init__(self, ctl, *arguments):
        self.process = ctl.start("events", "tail", *arguments)
        self.lines, self.said = [], []
        self.threads = [threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, ""))),
                        threading.Thread(target=lambda: self.said.extend(iter(self.process.stderr.readline, "")))]
        for thread in self.threads:
            thread.start()

    def ids(self):
        return [json.loads(line)["data"]["id"] for line in list(self.lines)]

    def end(self):
        self.process.terminate()
        self.process.wait(60)
        for thread in self.threads:
            thread.join()


def test_events_are_published_and_followed_over_a_restart(plane, tmp_path):
    ctl = plane.ctl
    assert json.loads(ctl.out("events", "publish", *plane.events, "-d", '{"id": 1}'))
    lines = tmp_path / "more.ndjson"
    lines.write_text('{"id": 2}\n{"id": 3}\n')
    ctl.run("events", "publish", *plane.events, "-f", lines)
    first = ctl.out("events", "tail", *plane.events, "--from", "earliest", "-n", "3", "--data-only").splitlines()
    assert sorted(json.loads(line)["id"] for line in first) == [1, 2, 3]

    tail = Tail(ctl, *plane.events, "--from", "earliest", "--retries", "100", "--progress")
    try:
        wait_until(lambda: len(tail.lines) == 3, what="the events so far")
        plane.gateway.stop()
        plane.gateway.start()
        plane.wait_served()
        ctl.run("events", "publish", *plane.events, "-d", '{"id": 4}')
        wait_until(lambda: 4 in tail.ids(), 60, "the event after the restart")
    finally:
        tail.end()
    assert sorted(tail.ids()) == [1, 2, 3, 4], "nothing twice, nothing missing"


def test_events_say_what_is_missing(plane):
    ctl = plane.ctl
    wrong = ctl.err("events", "publish", "orders.v1", "--url", plane.base, "-d", "1", expect=1)
    assert "401" in wrong and "SLUICE_API_KEY" in wrong
    assert "NAME.vMAJOR" in ctl.err("events", "tail", "orders", expect=1)
    assert "no rest_url" in ctl.err("events", "tail", "orders.v1", "-k", plane.key_file, expect=1)
    assert "there is no event API" in ctl.err("events", "tail", "nothing.v1", "-k", plane.key_file, expect=1)
    plane.admin.patch("gateway-groups", plane.group, rest_url=plane.base)
    ctl.run("events", "publish", "orders.v1", "-k", plane.key_file, "-d", '{"id": 9}')
    dead = f"http://127.0.0.1:{free_port()}"
    gave_up = ctl.err("events", "tail", "orders.v1", "--url", dead, "--retries", "0", expect=1)
    assert "gave up after 1 tries" in gave_up


def test_a_node_is_listed_drained_and_replaced(plane, servers):
    ctl = plane.ctl
    row = ctl.out("node", "list", "-g", plane.group).splitlines()[1].split()
    assert row[1:4] == ["edge-1", "dev", "connected"]
    with plane.stream() as stream:
        assert stream.status == 200
        assert "sse" in wait_until(lambda: "sse" in (out := ctl.out("node", "connections", "edge-1")) and out)

        join = ctl.run("node", "join", plane.group, "--expires-in", "10m")
        assert join.stdout.startswith("sluice-gateway --join sluice-join-1.") and "secret" in join.stderr
        second = servers.gateway(join.stdout.split()[-1], node_name="edge-2", ready=False)

        assert "no terminal" in ctl.err("node", "drain", "edge-1", expect=1)
        said = ctl.err("node", "drain", "edge-1", "--yes", "--wait", "60s")
        assert "drained and ended" in said
        assert plane.gateway.wait() == 0
    assert "not connected" in ctl.err("node", "drain", "edge-1", "--yes", expect=1)
    trail = ctl.json("get", "audit-events", "-l", "action=drain")
    assert [event["kind"] for event in trail] == ["gateway-nodes"]

    assert second.running()
    wait_until(lambda: "edge-2" in ctl.out("node", "list"), what="the second node to have joined")
    assert "revoked" in ctl.err("node", "revoke", "edge-2", "--yes")
    states = {node["name"]: node["state"] for node in ctl.json("node", "list")}
    assert states["edge-1"] != "connected" and states["edge-2"] == "revoked"
    assert "no node has" in ctl.err("node", "drain", "edge-3", "--yes", expect=1)


def test_groups_and_their_gateways_are_found_by_label(plane, servers):
    ctl, admin = plane.ctl, plane.admin
    for name, region in (("paris", "eu"), ("dublin", "eu"), ("tokyo", "ap")):
        admin.create("gateway-groups", name=name, environment="prod", labels={"region": region, "city": name})
        servers.gateway(plane.control.join_string(name), ready=False, node_name=f"edge-{name}", workers=1)
    assert ctl.out("get", "gateway-groups", "-l", "label=region=eu", "-o", "name").split() == [
        "gateway-groups/dublin", "gateway-groups/paris"]

    def found(label):
        nodes = json.loads(ctl.out("node", "list", "--label", label, "-o", "json"))
        return sorted(node["name"] for node in nodes)

    wait_until(lambda: found("region=eu") == ["edge-dublin", "edge-paris"], what="the gateways of both groups")
    assert found("region=eu,city=paris") == ["edge-paris"] and found("region=us") == []
    assert "KEY=VALUE" in ctl.err("node", "list", "--label", "region", expect=1)


def test_a_deployment_is_promoted_with_its_difference_shown(plane):
    ctl, admin = plane.ctl, plane.admin
    admin.create("gateway-groups", name="prod", environment="prod")
    admin.create("listeners", name="prod-http", gateway_group="prod", protocol="http", address=f"127.0.0.1:{free_port()}")
    admin.create("virtual-clusters", name="prod", backend_cluster=plane.backend, namespace={"mode": "none"})
    source = f"orders.v1@{plane.group}"
    asked = ctl.err("promote", source, "--to", "prod", expect=1)
    assert "--virtual-cluster" in asked and "prod" in asked
    shown = ctl.out("promote", source, "--to", "prod", "--virtual-cluster", "prod", "--dry-run")
    assert "create  deployments/orders.v1@prod" in shown and 'listener: "prod-http"' in shown
    document = ctl.out("promote", source, "--to", "prod", "--virtual-cluster", "prod", "--dry-run", "-o", "yaml")
    assert "manager: api" in document
    assert ctl.err("promote", source, "--to", "prod", "--virtual-cluster", "prod", expect=1).count("no terminal") == 1
    ctl.run("promote", source, "--to", "prod", "--virtual-cluster", "prod", "--yes")
    assert ctl.out("diff", "-f", "-", input=document) == ""

    admin.patch("deployments", source, topic="orders-2")
    assert "no changes" in ctl.err("promote", source, "--to", "prod", "--yes")  # what the target has stays
    changed = ctl.out("promote", source, "--to", "prod", "--topic", "orders-2", "--yes")
    assert f'topic: "{plane.topic}" -> "orders-2"' in changed
    assert ctl.json("get", "deployment", "orders.v1@prod")["virtual_cluster"] == "prod"


def test_a_rollback_is_shown_first(plane):
    ctl = plane.ctl
    version = ctl.json("get", "config-versions", "--limit", "1")[0]
    plane.admin.patch("gateway-groups", plane.group, max_staleness="3h")
    number = str(int(version["id"]))
    assert 'max_staleness: "3h" -> (none)' in ctl.out("rollback", number, "--dry-run")
    assert "no terminal" in ctl.err("rollback", number, expect=1)
    assert ctl.json("get", "gateway-group", plane.group)["max_staleness"] == "3h"
    ctl.run("rollback", number, "--yes", "--reason", "a mistake")
    assert ctl.json("get", "gateway-group", plane.group).get("max_staleness") is None
    assert "404" in ctl.err("rollback", "999999999", "--yes", expect=1)


def test_decisions_are_explained(plane):
    ctl = plane.ctl
    question = ("explain", "-g", plane.group, "-e", "orders.v1", "--operation", "publish")
    allowed = ctl.out(*question, "-a", plane.application)
    assert allowed.startswith("allowed: ") and "PHASE" in allowed
    assert ctl.out(*question, expect=1).startswith("denied: ")
    assert ctl.json(*question, "-a", plane.application)["allowed"] is True
    assert "there is no application nobody" in ctl.err(*question, "-a", "nobody", expect=2)
    assert "TYPE/NAME" in ctl.err(*question, "--resource", "orders", expect=2)


def test_a_debug_bundle_has_what_helps_and_no_secret(plane, tmp_path):
    ctl, admin = plane.ctl, plane.admin
    admin.create("backend-clusters", name="secured", bootstrap_servers=["127.0.0.1:1"],
                 authentication={"mechanism": "PLAIN", "username": "u", "password": "very-secret-password"})
    join = admin.create("enrolment-tokens", group=plane.group)
    admin.patch("applications", plane.application, description=f"by mistake {plane.key} {plane.control.token} {join['join']}")
    path = tmp_path / "bundle.tar.gz"
    said = ctl.err("debug", "--out", path, "--gateway", plane.gateway.observe_url, "--gateway", f"http://127.0.0.1:{free_port()}")
    assert "4 could not be had" in said and stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as archive:
        files = {member.name.split("/", 1)[1]: archive.extractfile(member).read().decode() for member in archive}
    assert "sluice_admin_requests_total" in files["control/metrics.txt"]
    assert "orders" in files["control/configuration.yaml"] and "sluice_" in files["gateway-1/metrics.txt"]
    assert json.loads(files["control/gateway-nodes.json"])["items"][0]["name"] == "edge-1"
    assert "gateway-2/health-ready.txt: left out" in files["notes.txt"]
    everything = "".join(files.values())
    for secret in ("very-secret-password", plane.key, plane.control.token, join["token"], join["join"]):
        assert secret not in everything and secret.rpartition("_")[2] not in everything
    assert "by mistake slk_" in everything
    assert "exists" in ctl.err("debug", "--out", path, expect=1)
