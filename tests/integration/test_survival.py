"""Gateways outlive their control plane: they go on, they start again from their cache, and they come back to it."""

import threading

import pytest

from sluice_support import SampleApi, wait_until


@pytest.fixture
def own(servers, kafka):
    """A sample of the test's own, since its programs are killed. The gateway reconnects soon, as tests like it."""
    own = SampleApi(servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=3))
    own.start_gateway(servers, config_reconnect_max="500ms")
    return own


class _Publisher:
    """Publishes one event after the other until it is told to stop. `ids` are those of what was stored."""

    def __init__(self, sample):
        self.sample = sample
        self.ids = []
        self.failures = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._stop.is_set():
            try:
                response = self.sample.publish({"n": len(self.ids)})
                if response.status_code == 201:
                    self.ids.append(response.json()["id"])
                else:
                    self.failures.append(f"{response.status_code} {response.text}")
            except Exception as failure:  # whatever a client would call a failed publish
                self.failures.append(repr(failure))

    def wait_more(self, count):
        target = len(self.ids) + count
        wait_until(lambda: len(self.ids) >= target or self.failures, 60, f"{count} more events")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(30)


def _connected(gateway):
    return gateway.metrics()["sluice_config_connected"]


def test_events_flow_on_when_the_control_plane_is_killed(own):
    with own.stream() as stream:
        with _Publisher(own) as publisher:
            publisher.wait_more(30)
            own.control.kill()
            publisher.wait_more(30)
            wait_until(lambda: _connected(own.gateway) == 0, what="the gateway to notice")
            publisher.wait_more(30)
        assert publisher.failures == []
        assert sorted(e.json()["id"] for e in stream.take(len(publisher.ids))) == sorted(publisher.ids)
    with own.stream(query="?from=earliest") as late:
        assert sorted(e.json()["id"] for e in late.take(len(publisher.ids))) == sorted(publisher.ids)
    assert own.gateway.ready()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_gateway_that_starts_without_its_control_plane_serves_from_its_cache(own, end):
    before = own.publish({"before": True})
    assert before.status_code == 201
    version = own.gateway.metrics()["sluice_config_applied_version"]
    # It goes to the disk after it is in force, by the thread that then answers the next question.
    [node] = own.admin.list("gateway-nodes", group=own.group)
    wait_until(lambda: own.admin.request("GET", f"/v1/gateway-nodes/{node['id']}/connections").status_code == 200,
               what="the configuration on the gateway's disk")
    assert (own.gateway.state_dir / "cache" / "manifest").exists()
    own.control.kill()
    getattr(own.gateway, end)()
    own.gateway.start()
    own.wait_served()
    assert _connected(own.gateway) == 0
    wait_until(lambda: own.gateway.metrics()["sluice_config_applied_version"] == version, what="the version to be told")
    with own.stream(query="?from=earliest") as stream:
        assert stream.take(1)[0].json()["id"] == before.json()["id"]
        after = own.publish({"after": True})
        assert after.status_code == 201
        assert stream.take(1)[0].json()["id"] == after.json()["id"]
    assert own.publish({}, key="").status_code == 401


def test_a_gateway_reconnects_to_a_restarted_control_plane_and_takes_a_change(own):
    with own.stream() as stream:
        with _Publisher(own) as publisher:
            publisher.wait_more(5)
            own.control.kill()
            wait_until(lambda: _connected(own.gateway) == 0, what="the gateway to notice")
            own.control.start()
            wait_until(lambda: _connected(own.gateway) == 1, 60, "the gateway to reconnect")
            key = own.new_application("newcomer")
            own.admin.create("subscriptions", application="newcomer", plan=own.plan, environment="dev")

            def accepted():
                response = own.publish({"by": "newcomer"}, key=key)
                return response.json()["id"] if response.status_code == 201 else None

            newcomers = wait_until(accepted, what="the change to arrive")
            publisher.wait_more(5)
        assert publisher.failures == []
        stored = sorted([*publisher.ids, newcomers])
        assert sorted(e.json()["id"] for e in stream.take(len(stored))) == stored
    [node] = own.admin.list("gateway-nodes", group=own.group)
    assert node["state"] == "connected"


def test_what_a_control_plane_stored_before_it_was_killed_is_there_afterwards(own):
    team = own.admin.create("teams", name="durable")
    own.control.kill()
    own.control.start()
    assert own.admin.get("teams", "durable") == team
    assert own.publish({}).status_code == 201


def test_a_credential_revoked_while_a_gateway_is_away_is_refused_when_it_is_back(own):
    credential = own.new_credential(own.application)
    wait_until(lambda: own.publish({}, key=credential["api_key"]).status_code == 201, what="the key to be accepted")
    own.gateway.kill()
    own.admin.act("credentials", credential["id"], "revoke")
    own.gateway.start()
    own.wait_served()
    wait_until(lambda: own.publish({}, key=credential["api_key"]).status_code == 401, what="the key to be refused")
