"""A configuration that some gateways cannot take: they say so, go on with the old one, and come after by themselves."""

import socket
import subprocess

import pytest

from sluice_support import SampleApi, free_port, wait_until

# The key is read on each gateway, from its own working directory: who has the file can serve the listener.
KEY_FILE = "/proc/self/cwd/edge.key"


class Fleet:
    """Gateways of one group, each in a folder of its own, that share the listener's port by SO_REUSEPORT."""

    def __init__(self, servers, kafka):
        self.servers = servers
        self.sample = SampleApi(servers.control(node_heartbeat="200ms"), kafka.bootstrap_servers,
                                kafka.create_topic("orders"))
        self.admin = self.sample.admin

    def add(self):
        before = self._ids()
        gateway = self.servers.gateway(self.sample.control.join_string(self.sample.group), own_folder=True,
                                       config_retry_min="100ms", config_retry_max="300ms",
                                       config_reconnect_max="300ms")
        (gateway.node_id,) = self._ids() - before
        return gateway

    def _ids(self):
        return {node["id"] for node in self.admin.list("gateway-nodes")}

    def node(self, gateway):
        return self.admin.get("gateway-nodes", gateway.node_id)

    def version(self):
        return max(v["version"] for v in wait_until(lambda: self.admin.list("config-versions"), what="a version"))

    def change(self, change):
        """Runs it; returns the version that it made."""
        change()
        revision = self.admin.revision()
        return wait_until(lambda: (v := self.version()) >= revision and v, what="a new version")

    def wait_applied(self, gateway, version):
        wait_until(lambda: self.node(gateway)["applied_version"] == version, what=f"{gateway.name} to run {version}")

    def wait_refused(self, gateway, version):
        return wait_until(lambda: (n := self.node(gateway).get("last_nack")) and n["version"] == version and n,
                          what=f"{gateway.name} to refuse {version}")


@pytest.fixture
def fleet(servers, kafka):
    return Fleet(servers, kafka)


def _key_pair(folder):
    certificate, key = folder / "edge.pem", folder / "edge.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=edge"],
                   check=True, capture_output=True)
    return certificate.read_text(), key.read_bytes()


def test_half_of_the_gateways_refuse_and_come_after(fleet, tmp_path):
    certificate, key = _key_pair(tmp_path)
    able, unable = [fleet.add(), fleet.add()], [fleet.add(), fleet.add()]
    for gateway in able:
        (gateway.cwd / "edge.key").write_bytes(key)
    old = fleet.version()
    for gateway in able + unable:
        fleet.wait_applied(gateway, old)

    new = fleet.change(lambda: fleet.admin.create(
        "listeners", name="edge", gateway_group=fleet.sample.group, protocol="http",
        address=f"127.0.0.1:{free_port()}", tls={"certificate_pem": certificate, "key_pem": {"file": KEY_FILE}}))
    for gateway in able:
        fleet.wait_applied(gateway, new)
        assert "last_nack" not in fleet.node(gateway)
    for gateway in unable:
        nack = fleet.wait_refused(gateway, new)
        assert nack["entity"] == "listener/edge" and "edge.key" in nack["message"] and nack["at"]
        node = fleet.node(gateway)
        assert node["applied_version"] == old and node["state"] == "connected"
        assert gateway.ready()
    fleet.sample.gateway = unable[0]
    fleet.sample.wait_served()

    # The cause goes at one of them: it comes after by itself, and nobody has to touch anything.
    (unable[0].cwd / "edge.key").write_bytes(key)
    fleet.wait_applied(unable[0], new)
    assert "last_nack" not in fleet.node(unable[0])
    assert fleet.node(unable[1])["applied_version"] == old
    # What it took is on its disk: it starts with it, without the control plane.
    # The other one gets a configuration without that listener.
    newer = fleet.change(lambda: fleet.admin.delete("listeners", "edge"))
    for gateway in able + unable:
        fleet.wait_applied(gateway, newer)
        assert "last_nack" not in fleet.node(gateway)
    metrics = fleet.admin.request("GET", "/metrics", expect=200).text
    assert "sluice_control_nacks_total 2" in metrics


def _occupy():
    """A port that somebody else has, who does not share it."""
    occupant, port = socket.socket(), free_port()
    occupant.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    occupant.bind(("127.0.0.1", port))
    occupant.listen()
    return occupant, port


def _kept(gateway):
    """Which file holds the configuration on the gateway's disk: another one a moment after a version is acknowledged. Its
    time says nothing: that is when the control plane was heard of last."""
    file = gateway.state_dir / "cache" / "manifest"
    return file.exists() and file.stat().st_ino


def test_a_port_that_becomes_free_is_taken_and_kept(fleet):
    gateway = fleet.add()
    occupant, port = _occupy()
    new = fleet.change(lambda: fleet.admin.create("listeners", name="edge", gateway_group=fleet.sample.group,
                                                  protocol="http", address=f"127.0.0.1:{port}"))
    nack = fleet.wait_refused(gateway, new)
    assert nack["entity"] == "listener/edge" and str(port) in nack["message"]
    before = wait_until(lambda: _kept(gateway), what="the old configuration on the gateway's disk")
    occupant.close()
    fleet.wait_applied(gateway, new)
    assert "last_nack" not in fleet.node(gateway)
    socket.create_connection(("127.0.0.1", port), timeout=30).close()

    # It is in the cache too: the node starts with it when nobody can be asked.
    wait_until(lambda: _kept(gateway) != before, what="the configuration on the gateway's disk")
    fleet.sample.control.kill()
    gateway.kill()
    gateway.start()
    wait_until(lambda: gateway.metrics()["sluice_config_applied_version"] == new, what="what it refused at first to be in force")


def test_a_port_that_is_taken_at_a_cold_start_is_waited_for(fleet):
    gateway = fleet.add()
    version = fleet.version()
    fleet.wait_applied(gateway, version)
    wait_until(lambda: _kept(gateway), what="the configuration on the gateway's disk")
    fleet.sample.control.kill()
    gateway.kill()
    with socket.socket() as occupant:
        occupant.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        occupant.bind(("127.0.0.1", fleet.sample.port))
        occupant.listen()
        gateway.start(ready=False)
        wait_until(lambda: b"will be tried again" in gateway.log(), what="the refusal")
        assert not gateway.ready()
    wait_until(gateway.ready, what="the gateway to serve from its cache")
    wait_until(lambda: gateway.metrics()["sluice_config_applied_version"] == version, what="the version to be told")


def test_another_reason_is_told(fleet, tmp_path):
    certificate, key = _key_pair(tmp_path)
    gateway = fleet.add()
    occupant, port = _occupy()
    new = fleet.change(lambda: fleet.admin.create(
        "listeners", name="edge", gateway_group=fleet.sample.group, protocol="http", address=f"127.0.0.1:{port}",
        tls={"certificate_pem": certificate, "key_pem": {"file": KEY_FILE}}))
    assert "edge.key" in fleet.wait_refused(gateway, new)["message"]
    (gateway.cwd / "edge.key").write_bytes(key)
    wait_until(lambda: str(port) in fleet.node(gateway)["last_nack"]["message"], what="the second reason")
    occupant.close()
    fleet.wait_applied(gateway, new)
