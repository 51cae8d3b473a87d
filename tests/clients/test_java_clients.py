"""Java clients of every group protocol, transactions under rebalances and Kafka Streams see through the gateway what
they see at the broker."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from client_support import compare, tell
from java_stories import STORIES
from sluice_support import KafkaHelper, wait_until

RECORDS, PARTITIONS = 2000, 4
BESIDE = 4  # stories at a time


@pytest.fixture(scope="module")
def tellings(java, targets, tmp_path_factory):
    """Futures of the stories' tellings: beside each other, because they mostly wait for heartbeats."""
    pool = ThreadPoolExecutor(BESIDE)
    folder = tmp_path_factory.mktemp("stories")
    yield {name: pool.submit(tell, java, targets, folder, steps) for name, steps in STORIES.items()}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", STORIES)
def test_java_clients_see_the_same(tellings, targets, name):
    compare(STORIES[name], targets, tellings[name].result())


def _written(kafka, topic):
    """How far a topic has got; what is not committed counts."""
    return sum(kafka.end_offsets(topic).values())


@contextlib.contextmanager
def _own_machine(java, *arguments):
    """A program in a virtual machine of its own, to be killed."""
    process = java.spawn("ExactlyOnce", *arguments)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _exactly_once(java, target):
    """One instance from beginning to end; beside it one that is killed in a transaction, and started again."""
    kafka = KafkaHelper(target.bootstrap_servers)
    source, sink = kafka.create_topic("in", partitions=PARTITIONS), kafka.create_topic("out", partitions=PARTITIONS)
    kafka.produce(source, [{"key": str(n), "value": str(n), "partition": n % PARTITIONS} for n in range(RECORDS)])
    arguments = [target.bootstrap_servers, source, sink, f"{source}-group"]
    with _own_machine(java, *arguments, f"{source}-b", RECORDS + 1):  # more than there are: it does not leave by itself
        wait_until(lambda: _written(kafka, sink) > 100, 60, "the instance to have begun")
        stays = java.start("ExactlyOnce", *arguments, f"{source}-a", RECORDS)
        wait_until(lambda: len(_members(kafka, f"{source}-group")) == 2, 60, "both instances in the group")
    again = java.start("ExactlyOnce", *arguments, f"{source}-b", RECORDS)
    for instance in (stays, again):
        outcome = instance.result(300)
        assert outcome.status == 0, f"{target.name}: {outcome.errors}"
    values = [record.value().decode() for record in kafka.consume_all(sink)]
    return sorted(values)


def _members(kafka, group):
    described = kafka.admin.describe_consumer_groups([group])[group].result(60)
    return described.members


def test_read_process_write_is_exactly_once_under_rebalances(java, targets):
    with ThreadPoolExecutor(len(targets)) as pool:
        for values in pool.map(lambda target: _exactly_once(java, target), targets):
            assert values == sorted(f"{n}!" for n in range(RECORDS))
