"""Certificates of listeners that are files of the gateways: renewed under their feet, as cert-manager does it."""

import json
import os
import signal
import socket
import ssl

import pytest

from sluice_support import Authority, NativeCluster, SampleApi, free_port, wait_until

STAYS = "the certificate of a listener stays as it was"


class Mounted:
    """A Secret as Kubernetes mounts it: tls.crt and tls.key lead to a folder that one link names, which is replaced."""

    def __init__(self, authority, folder):
        self.authority, self.folder = authority, folder
        folder.mkdir()
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"
        for path in (self.certificate, self.key):
            path.symlink_to(f"..data/{path.name}")
        self.shown = None

    def install(self, name, key_of=None):
        """A pair of that name, whose key is returned; with the key of another it is none."""
        certificate, key = self.authority.issue(name, ["DNS:localhost", "IP:127.0.0.1"])
        version = self.folder / name
        version.mkdir()
        (version / "tls.crt").write_bytes(certificate.read_bytes())
        (version / "tls.key").write_bytes(key_of or key.read_bytes())
        link = self.folder / "..data_tmp"
        link.symlink_to(name)
        os.replace(link, self.folder / "..data")
        self.shown = certificate.read_text().split()
        return key.read_bytes()

    def is_shown(self, port):
        return ssl.get_server_certificate(("127.0.0.1", port)).split() == self.shown

    @property
    def tls(self):
        return {"certificate_file": str(self.certificate), "key_pem": {"file": str(self.key)}}


@pytest.fixture(scope="module")
def stage(module_servers, kafka, tmp_path_factory):
    stage = SampleApi(module_servers.control(node_heartbeat="200ms"), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    stage.authority = Authority(tmp_path_factory.mktemp("authority"))
    stage.start_gateway(module_servers, listeners_certificate_reload="100ms", config_retry_max="500ms")
    return stage


def _listener(stage, name, mounted):
    port = free_port()
    stage.admin.create("listeners", name=name, gateway_group=stage.group, protocol="http", address=f"127.0.0.1:{port}",
                       tls=mounted.tls)
    return port


def _node(stage):
    [node] = stage.admin.list("gateway-nodes", group=stage.group)
    return node


def _problem(stage):
    return _node(stage).get("problem")


def _wait_shown(mounted, port, what):
    def shown():
        try:
            return mounted.is_shown(port)
        except OSError:
            return False  # the port is not open yet

    wait_until(shown, 60, what)


def _until(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(4096)
        assert piece, data
        data += piece
    return data


def test_a_renewed_certificate_is_shown_and_open_connections_go_on(stage, tmp_path):
    mounted = Mounted(stage.authority, tmp_path / "tls")
    mounted.install("first")
    port = _listener(stage, "renewed", mounted)
    _wait_shown(mounted, port, "the first certificate")
    trusting = ssl.create_default_context(cafile=stage.authority.ca)
    with trusting.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30), server_hostname="localhost") as open_one:
        mounted.install("second")
        _wait_shown(mounted, port, "the second certificate")
        open_one.sendall(b"GET /nothing/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert _until(open_one, 12).startswith(b"HTTP/1.1 404")
    version = stage.gateway.metrics()["sluice_config_applied_version"]
    key = mounted.install("third")
    _wait_shown(mounted, port, "the third certificate")
    assert stage.gateway.metrics()["sluice_config_applied_version"] == version, "no change of the configuration"

    good, before = mounted.shown, len(stage.gateway.entries(STAYS))
    mounted.install("unfit", key_of=key)
    refusals = wait_until(lambda: stage.gateway.entries(STAYS)[before:], 60, "the refusal")
    assert "renewed" in refusals[0]["error"] and str(mounted.certificate) in refusals[0]["error"], refusals
    mounted.shown = good
    _wait_shown(mounted, port, "the third certificate in every worker")
    mounted.install("fourth")
    _wait_shown(mounted, port, "the fourth certificate")
    assert stage.gateway.metrics()['sluice_listener_certificate_expiry_timestamp_seconds{listener="renewed"}'] > 0


def test_a_pair_that_does_not_fit_keeps_no_other_configuration_out(stage, tmp_path):
    """The certificate stays, everything else is taken, and the node says what is wrong there until it is mended."""
    mounted = Mounted(stage.authority, tmp_path / "tls")
    key = mounted.install("fitting")
    port = _listener(stage, "mounted", mounted)
    _wait_shown(mounted, port, "the certificate")
    good = mounted.shown
    mounted.install("misfit", key_of=key)
    mounted.shown = good
    problem = wait_until(lambda: _problem(stage), 60, "the node to say so")
    assert "listener mounted" in problem and str(mounted.certificate) in problem and "key" in problem, problem

    fresh = stage.new_credential(stage.application)
    wait_until(lambda: stage.publish({}, key=fresh["api_key"]).status_code == 201, 60, "a new credential to be in force")
    stage.wait_in_force(stage.admin.patch("listeners", "mounted", advertised_host="edge.test"))
    other = Mounted(stage.authority, tmp_path / "other")
    other.install("of-another-listener")
    _wait_shown(other, _listener(stage, "beside", other), "the certificate of a new listener")
    assert mounted.is_shown(port) and "last_nack" not in _node(stage) and _problem(stage) == problem

    os.remove(mounted.folder / "misfit" / "tls.key")
    wait_until(lambda: (now := _problem(stage)) and str(mounted.key) in now, 60, "the node to miss the file")
    assert mounted.is_shown(port)
    mounted.install("mended")
    _wait_shown(mounted, port, "the certificate that was mended")
    wait_until(lambda: _problem(stage) is None, 60, "the node to be content")


def test_native_listeners_follow_their_files_too(stage, tmp_path):
    mounted = Mounted(stage.authority, tmp_path / "tls")
    mounted.install("first-of-kafka")
    cluster = NativeCluster(stage, "shop", tls=mounted.tls)
    _wait_shown(mounted, cluster.port, "the first certificate")
    mounted.install("second-of-kafka")
    _wait_shown(mounted, cluster.port, "the second certificate")
    _wait_shown(mounted, cluster.port + 1, "the same at a broker's port")


def test_a_file_that_is_not_there_yet_is_waited_for(stage, tmp_path):
    mounted = Mounted(stage.authority, tmp_path / "tls")
    port = _listener(stage, "late", mounted)

    def nack():
        text = json.dumps(_node(stage).get("last_nack"))
        return "listener/late" in text and text

    assert str(mounted.key) in wait_until(nack, 60, "the NACK")
    mounted.install("late")
    _wait_shown(mounted, port, "the certificate")


def test_without_looking_a_signal_reads_them_again(module_servers, kafka, tmp_path):
    own = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    mounted = Mounted(Authority(tmp_path), tmp_path / "tls")
    mounted.install("first")
    gateway = own.start_gateway(module_servers, listeners_certificate_reload="0s")
    port = _listener(own, "told", mounted)
    _wait_shown(mounted, port, "the first certificate")
    mounted.install("second")
    assert not mounted.is_shown(port)
    gateway.signal(signal.SIGHUP)
    _wait_shown(mounted, port, "the second certificate")
