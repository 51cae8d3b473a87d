"""The clients' tests: unmodified clients do the same directly and through the gateway, and must see the same."""

import pytest

from client_support import Java, Target
from sluice_support import NativeCluster, SampleApi
from sluice_support.fixtures import *  # noqa: F401,F403


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    """A virtual machine that runs Kafka's tools and the programs of tests/clients/java."""
    java = Java(tmp_path_factory.mktemp("java") / "runner.log")
    yield java
    java.stop()


@pytest.fixture(scope="module")
def broker(kafka):
    """The Kafka that both targets lead to. A file may have its own."""
    return kafka


@pytest.fixture(scope="module")
def gateway_sample(module_servers, broker):
    """A control plane and a gateway before `broker`."""
    topic = broker.create_topic("orders", partitions=3)
    sample = SampleApi(module_servers.control(log_level="info"), broker.bootstrap_servers, topic)
    sample.start_gateway(module_servers, log_level="info")
    return sample


@pytest.fixture(scope="module")
def targets(broker, gateway_sample):
    """Where each scenario is run; what it saw is then compared with what it saw at the first."""
    gateway = NativeCluster(gateway_sample, "clients", namespace={"mode": "none", "admin_apis": ["acls"]})
    gateway.wait_served()
    hidden = NativeCluster(gateway_sample, "namespace", namespace={"mode": "hide", "prefix": "tenant-1.",
                                                                      "admin_apis": ["acls"]})
    hidden.wait_served()
    return [Target("direct", broker.bootstrap_servers), Target("gateway", gateway.bootstrap_servers, broker.bootstrap_servers),
            Target("namespace", hidden.bootstrap_servers, broker.bootstrap_servers)]
