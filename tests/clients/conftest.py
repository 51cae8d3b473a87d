"""The clients' tests: unmodified clients do the same directly and through the gateway, and must see the same."""

import pytest

from client_support import Guard, Java, Target
from sluice_support import NativeCluster, SampleApi
from sluice_support.fixtures import *  # noqa: F401,F403


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    """A virtual machine that runs Kafka's tools and the programs of tests/clients/java."""
    java = Java(tmp_path_factory.mktemp("java") / "runner.log")
    yield java
    java.stop()


@pytest.fixture(scope="module")
def broker_config():
    """Of the broker. A file may have its own."""
    return {}


@pytest.fixture(scope="module")
def guarded(own_kafka, broker_config):
    """A Kafka that tells the gateway an address that is for the gateway alone."""
    return own_kafka(config=broker_config, guarded=True)


@pytest.fixture(scope="module")
def guard(guarded):
    """No client is told where the broker is: whoever follows such an address comes here."""
    guard = Guard(guarded.guard_port, guarded.guarded_port)
    yield guard
    guard.stop()
    assert guard.let_in > 0, "the gateway did not come by here"
    assert not guard.strangers, f"{len(guard.strangers)} others came to the broker's address: {guard.strangers[:5]}"


@pytest.fixture(scope="module")
def broker(guarded):
    """The Kafka that all targets lead to."""
    return guarded.helper


@pytest.fixture(scope="module")
def gateway_sample(module_servers, broker, guard):
    """A control plane and a gateway before `broker`."""
    topic = broker.create_topic("orders", partitions=3)
    sample = SampleApi(module_servers.control(log_level="info"), guard.address, topic)
    sample.start_gateway(module_servers, log_level="info")
    return sample


@pytest.fixture(scope="module")
def targets(broker, guard, gateway_sample):
    """Where each scenario is run; what it saw is then compared with what it saw at the first."""
    gateway = NativeCluster(gateway_sample, "clients", namespace={"mode": "none", "admin_apis": ["acls"]})
    gateway.wait_served()
    hidden = NativeCluster(gateway_sample, "namespace", namespace={"mode": "hide", "prefix": "tenant-1.",
                                                                      "admin_apis": ["acls"]})
    hidden.wait_served()
    return [Target("direct", broker.bootstrap_servers), Target("gateway", gateway.bootstrap_servers, guard.address),
            Target("namespace", hidden.bootstrap_servers, guard.address)]
