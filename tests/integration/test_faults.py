"""Faults of the surroundings: full and read-only disks, names that cannot be resolved, upgrades while streams are open.
Each is told with what to do, and service goes on where it can."""

import http.client
import threading
import time

import pytest

from sluice_support import Gateway, Program, SampleApi, wait_until
from sluice_support.disk import Disk


@pytest.fixture
def disk(tmp_path, servers):
    disk = Disk(tmp_path / "disk")
    try:
        yield disk
        servers.stop_all()
    finally:
        disk.close()


def _move_state(gateway, folder):
    gateway.state_dir = folder
    gateway.command[gateway.command.index("--state-dir") + 1] = str(folder)


@pytest.fixture
def on_disk(servers, kafka, disk):
    """A sample whose gateway has its state folder on the disk."""
    own = SampleApi(servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    own.gateway = servers._add(Gateway, "gateway", own.control.join_string(own.group), start=None,
                               config_reconnect_max="500ms")
    _move_state(own.gateway, disk.path / "state")
    own.gateway.start()
    own.wait_served()
    wait_until((own.gateway.state_dir / "cache" / "manifest").exists, what="the configuration on the disk")
    return own


def test_a_gateway_whose_disk_is_full_takes_changes_and_says_that_it_cannot_keep_them(on_disk, disk):
    disk.fill()
    fresh = on_disk.new_credential(on_disk.application)
    wait_until(lambda: on_disk.publish({}, key=fresh["api_key"]).status_code == 201, what="the change to be in force")
    failures = wait_until(lambda: on_disk.gateway.entries("the applied configuration could not be kept on disk"),
                          what="the line in the log")
    assert "No space left on device" in failures[-1]["error"] and str(on_disk.gateway.state_dir) in failures[-1]["error"]
    assert on_disk.gateway.metrics()["sluice_config_cache_failures_total"] >= 1
    assert on_disk.gateway.ready()
    disk.free()
    kept = on_disk.gateway.metrics()["sluice_config_applied_version"]
    on_disk.new_credential(on_disk.application)
    wait_until(lambda: on_disk.gateway.metrics()["sluice_config_applied_version"] > kept, what="another version")
    on_disk.control.kill()
    on_disk.gateway.stop()
    on_disk.gateway.start()  # from what was kept since: the credential from the full disk's time is in it
    wait_until(lambda: on_disk.publish({}, key=fresh["api_key"]).status_code == 201, what="the cache to be of then")


def test_a_gateway_on_a_read_only_disk_serves_from_its_cache(on_disk, disk):
    on_disk.gateway.stop()
    disk.read_only(True)
    on_disk.gateway.start()
    on_disk.wait_served()
    fresh = on_disk.new_credential(on_disk.application)
    wait_until(lambda: on_disk.publish({}, key=fresh["api_key"]).status_code == 201, what="a change to be in force")
    failures = wait_until(lambda: on_disk.gateway.entries("the applied configuration could not be kept on disk"),
                          what="the line in the log")
    assert "Read-only file system" in failures[-1]["error"]
    on_disk.gateway.stop()
    disk.read_only(False)


def test_a_new_gateway_on_a_read_only_disk_says_so(servers, disk):
    control = servers.control()
    control.admin.create("gateway-groups", name="dev", environment="dev")
    gateway = servers._add(Gateway, "gateway", control.join_string("dev"), start=None)
    _move_state(gateway, disk.path / "state")
    disk.read_only(True)
    Program.start(gateway)
    gateway._expected_status = 1
    assert gateway.wait() == 1
    text = gateway.log().decode()
    assert str(disk.path) in text and "Read-only file system" in text
    disk.read_only(False)


def test_a_control_plane_on_a_read_only_disk_says_so(servers, disk):
    control = servers.control(start=None, data_dir=disk.path / "data")
    disk.read_only(True)
    Program.start(control)
    control._expected_status = 1
    assert control.wait() == 1
    text = control.log().decode()
    assert str(disk.path) in text and "Read-only file system" in text
    disk.read_only(False)


def test_without_dns_a_gateway_names_what_it_cannot_find(servers, tmp_path):
    token = tmp_path / "token"
    token.write_text("a.b.c")
    gateway = servers.gateway(ready=False, enrolment_endpoint="control.sluice.invalid:8006", enrolment_ca_sha256="0" * 64,
                              enrolment_service_account_token_file=token, config_reconnect_max="500ms")
    failures = wait_until(lambda: gateway.entries("enrolment failed"), 60, "the attempt to be given up")
    assert "control.sluice.invalid" in failures[-1]["reason"], failures[-1]
    assert not gateway.ready()


def test_without_dns_a_backend_is_down_and_publishing_is_503(sample, kafka):
    lost = SampleApi(sample.control, "broker.sluice.invalid:9092", "orders", prefix="lost-", group=sample.group,
                     listener=(sample.listener, sample.port))
    # In a list, since a response of an error counts as false.
    [answer] = wait_until(lambda: (a := lost.publish({"n": 1})).status_code == 503 and [a], 60, "the answer of a lost backend")
    assert answer.headers["Retry-After"] and "broker.sluice.invalid" not in answer.text
    state = wait_until(lambda: sample.gateway.metrics().get('sluice_backend_up{backend="lost-local"}') == 0, what="the metric")
    assert state
    assert sample.publish({"n": 2}).status_code == 201


# ---- rolling upgrade ----


class _Reader(threading.Thread):
    """A client as EventSource is one: reads, and when the stream ends comes again with the last id."""

    def __init__(self, sample):
        super().__init__(daemon=True)
        self.sample, self.ids, self.resumed, self.failures = sample, [], 0, []
        self._over = threading.Event()
        self.start()

    def run(self):
        last = None
        while not self._over.is_set():
            try:
                last = self._once(last)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)  # nobody listens just now: as a client waits for `retry`
            except Exception as failure:  # whatever else a client would call a failure
                self.failures.append(repr(failure))
                return

    def _once(self, last):
        headers = {"Last-Event-ID": last} if last else {}
        with self.sample.stream(headers=headers, query="" if last else "?from=earliest") as stream:
            if stream.status != 200:
                time.sleep(0.02)
                return last
            self.resumed += last is not None
            while not self._over.is_set():
                try:
                    event = stream.next(timeout=0.5)
                except AssertionError:
                    continue  # nothing came
                if event is None:
                    break
                assert event.event in ("message", "error"), event  # a busy broker may be out of reach for a moment
                if event.event == "message":
                    self.ids.append(event.json()["id"])
            return stream.last_id or last

    def end(self):
        self._over.set()
        self.join(60)


def _streams(gateway):
    return sum(value for name, value in gateway.metrics().items() if name.startswith("sluice_streams{"))


def _publish_somehow(sample, n):
    """As a client with retries: a connection that was on its way to a listener that closes is reset."""
    def stored():
        answer = sample.publish({"n": n})
        return answer.status_code == 201 and answer.json()["id"]

    return wait_until(stored, what="the event to be stored")


def test_a_rolling_upgrade_loses_no_event_of_any_open_stream(servers, kafka):
    """Two gateways behind one port; each is drained and started again, as a rolling update does it."""
    own = SampleApi(servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1))
    gateways = [own.start_gateway(servers, drain_deadline="10s"), own.start_gateway(servers, drain_deadline="10s")]
    readers = [_Reader(own) for _ in range(8)]
    published = [_publish_somehow(own, n) for n in range(20)]
    wait_until(lambda: all(len(reader.ids) >= 20 for reader in readers), 60, "the readers to be at the end")
    open_streams = []
    for gateway in gateways:
        wait_until(lambda: sum(_streams(each) for each in gateways) == len(readers), what="all readers to be connected")
        open_streams.append(_streams(gateway))
        gateway.signal(15)
        published += [_publish_somehow(own, n) for n in range(10)]
        assert gateway.wait() == 0
        gateway.stop()
        gateway.start()
        published += [_publish_somehow(own, n) for n in range(10)]
    wait_until(lambda: all(set(published) <= set(reader.ids) for reader in readers), 60, "the readers to have all of it")
    for reader in readers:
        reader.end()
        assert reader.failures == []
        assert len(reader.ids) == len(set(reader.ids)), "twice"  # none is lost; an attempt that failed may be stored
    assert sum(open_streams) >= len(readers) and sum(reader.resumed for reader in readers) == sum(open_streams)
