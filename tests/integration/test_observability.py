"""What operators see: metrics of nodes, backends, disks and certificates; log levels that change at run time."""

import os
import signal
import ssl

import pytest

from sluice_support import Authority, ControlPlane, SampleApi, free_port, wait_until


def _control_metrics(control, *names):
    """As they are at one moment; None for what is not there."""
    text = control.admin.request("GET", "/metrics", expect=200).text
    found = {name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines() if line[:1] != "#")}
    return [found.get(name) for name in names]


def _nodes(control):
    """How many are connected, lost and revoked."""
    return _control_metrics(control, *[f'sluice_control_nodes{{state="{state}"}}' for state in ("connected", "lost", "revoked")])


class _HttpsControl(ControlPlane):
    """Ready when its certificate is shown: the ordinary question speaks plain HTTP."""

    def start(self):
        self.start_program()
        return self.wait_ready(lambda: ssl.get_server_certificate(("127.0.0.1", self.admin_port)))

    def start_program(self):
        super(ControlPlane, self).start()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def _end_of(certificate):
    """Unix time at which a PEM file's certificate ends."""
    return ssl.cert_time_to_seconds(ssl._ssl._test_decode_cert(str(certificate))["notAfter"])


def test_the_metrics_of_a_gateway_tell_of_backend_disk_and_certificates(sample, authority):
    up = f'sluice_backend_up{{backend="{sample.backend}"}}'
    metrics = wait_until(lambda: (metrics := sample.gateway.metrics())[up] == 1 and metrics, what="the backend to be up")
    assert 0 < metrics["sluice_disk_free_bytes"] <= metrics["sluice_disk_size_bytes"]
    assert metrics["process_start_time_seconds"] > 1.7e9
    tls = authority.listener_tls("events", ["DNS:localhost"])
    name = 'sluice_listener_certificate_expiry_timestamp_seconds{listener="secure"}'
    sample.admin.create("listeners", name="secure", gateway_group=sample.group, protocol="http",
                        address=f"127.0.0.1:{free_port()}", tls=tls)
    wait_until(lambda: name in sample.gateway.metrics(), what="the listener's certificate among the metrics")
    assert sample.gateway.metrics()[name] == _end_of(authority.folder / "events.pem")
    sample.admin.delete("listeners", "secure")
    wait_until(lambda: name not in sample.gateway.metrics(), what="the certificate to be gone with its listener")


def test_a_backend_that_is_away_shows_and_goes_with_its_configuration(sample):
    gone = SampleApi(sample.control, f"127.0.0.1:{free_port()}", "nowhere", prefix="gone-", group=sample.group,
                     listener=(sample.listener, sample.port))
    name = 'sluice_backend_up{backend="gone-local"}'
    wait_until(lambda: gone.publish({"n": 1}).status_code == 503, 60, "the backend to be tried")
    wait_until(lambda: sample.gateway.metrics().get(name) == 0, what="the backend to be down")
    up = f'sluice_backend_up{{backend="{sample.backend}"}}'
    wait_until(lambda: sample.gateway.metrics()[up] == 1, what="the other backend to be up")


def test_nodes_are_counted_by_state(servers):
    control = servers.control(node_heartbeat="200ms", node_lost_after="5s")
    control.admin.create("gateway-groups", name="dev", environment="dev")
    gateway = servers.gateway(control.join_string("dev"))
    wait_until(lambda: _nodes(control) == [1, 0, 0], what="a node")
    gateway.kill()
    wait_until(lambda: _nodes(control) == [0, 1, 0], what="the node to be lost")
    [node] = control.admin.list("gateway-nodes")
    control.admin.request("POST", f"/v1/gateway-nodes/{node['id']}/revoke", expect=200)
    wait_until(lambda: _nodes(control) == [0, 0, 1], what="the node to be revoked")
    assert _control_metrics(control, "sluice_disk_free_bytes")[0] > 0


def test_a_signal_turns_debug_on_and_off_without_a_restart(servers):
    control = servers.control(log_level="warn")
    control.admin.create("gateway-groups", name="dev", environment="dev")
    gateway = servers.gateway(control.join_string("dev"), log_level="warn")
    for program in (control, gateway):
        for count, level in ((1, "debug"), (2, "warn")):
            program.signal(signal.SIGUSR1)
            lines = wait_until(lambda: (found := program.entries("log level changed by a signal"))[count - 1:] and found,
                               what="the line about the level")
            assert lines[-1]["to"] == level
    assert gateway.ready()


def test_the_certificate_of_the_admin_api_is_replaced_while_it_runs(servers, authority, tmp_path):
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"

    def install(name):
        authority.issue(name, ["DNS:localhost"])
        key.write_bytes((authority.folder / f"{name}.key").read_bytes())
        certificate.write_bytes((authority.folder / f"{name}.pem").read_bytes())

    def shown():
        return ssl.get_server_certificate(("127.0.0.1", control.admin_port)).split()

    def is_(name):
        return shown() == (authority.folder / f"{name}.pem").read_text().split()

    install("first")
    control = servers._add(_HttpsControl, "control", admin_tls_certificate_file=certificate, admin_tls_key_file=key,
                           admin_tls_reload="100ms")
    assert is_("first")
    install("second")
    wait_until(lambda: is_("second"), what="the new certificate to be shown")
    before = certificate.stat()
    install("third-and-of-a-longer-name")
    os.utime(certificate, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if within one tick of the clock
    wait_until(lambda: is_("third-and-of-a-longer-name"), what="the certificate of another size to be shown")
    certificate.write_text("broken")
    control.signal(signal.SIGHUP)
    wait_until(lambda: control.entries("the certificate of the admin API stays as it was"), what="the refusal")
    assert is_("third-and-of-a-longer-name")
