"""Fixtures of the integration tests and of the clients' tests, whose conftest.py take them all. They need a build in
SLUICE_BUILD_DIR and, where `kafka` is used, a running Apache Kafka in SLUICE_TEST_KAFKA; scripts/test provides both."""

import contextlib
import os

import pytest

from . import KafkaHelper, OwnKafka, SampleApi, Servers, free_port, known

_live_servers = []
_left_out = pytest.StashKey()


def pytest_configure(config):
    config.addinivalue_line("markers", "since(version, reason): of brokers from that version on; for an older one it is no test")


def pytest_collection_modifyitems(config, items):
    """What the run's broker cannot do is left out, and pytest says how much."""
    older = [item for item in items if any(not known(mark.args[0]) for mark in item.iter_markers("since"))]
    if older:
        items[:] = [item for item in items if item not in older]
        config.hook.pytest_deselected(items=older)
        config.stash[_left_out] = True


def pytest_sessionfinish(session, exitstatus):
    """A test that is skipped has not been run: that is a failure here. A file that is for newer brokers alone is none."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.stash.get(_left_out, False):
        session.exitstatus = pytest.ExitCode.OK
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and reporter.stats.get("skipped") and exitstatus == 0:
        reporter.write_line("skipped tests count as failures", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of every program's log."""
    report = yield
    if report.failed:
        for servers in _live_servers:
            logs = servers.logs()
            if logs:
                report.sections.append(("logs of the programs", logs))
    return report


@pytest.fixture(scope="session")
def kafka():
    """The Apache Kafka of this run. Topics are the test's own: kafka.create_topic()."""
    address = os.environ.get("SLUICE_TEST_KAFKA")
    assert address, "no Kafka: run scripts/test, or `scripts/kafka start --dir DIR` and set SLUICE_TEST_KAFKA"
    return KafkaHelper(address)


def _servers(work_dir):
    servers = Servers(work_dir)
    _live_servers.append(servers)
    try:
        yield servers
    finally:
        try:
            servers.stop_all()
        finally:
            _live_servers.remove(servers)


@pytest.fixture
def servers(tmp_path):
    """Starts programs for one test: servers.control(), servers.gateway(join), servers.embedded_broker()."""
    yield from _servers(tmp_path)


@pytest.fixture(scope="module")
def module_servers(tmp_path_factory):
    """The same for all tests of a file."""
    yield from _servers(tmp_path_factory.mktemp("servers"))


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory):
    """own_kafka(config=, users=) starts an Apache Kafka of the file's own; all are gone at its end."""
    started = []

    def start(**options):
        started.append(OwnKafka(tmp_path_factory.mktemp("kafka"), free_port(), **options))
        return started[-1].start()

    yield start
    with contextlib.ExitStack() as ends:  # each of them, also when one cannot be stopped
        for broker in started:
            ends.callback(broker.destroy)


@pytest.fixture(scope="module")
def sample(module_servers, kafka):
    """A control plane, a gateway and the sample event API on a topic of three partitions, for a whole file."""
    topic = kafka.create_topic("orders", partitions=3)
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, topic)
    sample.start_gateway(module_servers)
    return sample
