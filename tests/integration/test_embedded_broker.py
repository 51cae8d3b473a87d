"""The embedded broker serves librdkafka's clients, says where it listens, and ends when told."""

import subprocess

import pytest

from sluice_support import KafkaHelper


def test_records_come_back_from_a_declared_topic(servers):
    broker = servers.embedded_broker(topics=["orders:3"], brokers=2)
    kafka = KafkaHelper(broker.bootstrap_servers)
    assert len(broker.bootstrap_servers.split(",")) == 2

    kafka.produce("orders", [{"value": b'{"n":%d}' % n, "key": b"k", "headers": [("h", b"1")]} for n in range(20)])

    records = kafka.consume_all("orders")
    assert [record.value() for record in records] == [b'{"n":%d}' % n for n in range(20)]
    assert {record.key() for record in records} == {b"k"}
    assert len(kafka.admin.list_topics("orders", timeout=60).topics["orders"].partitions) == 3


def test_the_address_goes_with_the_broker(servers):
    broker = servers.embedded_broker()
    address_file = servers.work_dir / "broker1.address"
    assert address_file.exists()
    broker.stop()
    assert not address_file.exists()


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--topic", "a:0"], "--topic wants NAME:PARTITIONS"),
        (["--topic", "a/b:1"], "--topic wants NAME:PARTITIONS"),
        (["--topic", "..:1"], "--topic wants NAME:PARTITIONS"),
        (["--brokers", "many"], "--brokers wants a number"),
        (["--brokers", "17"], "--brokers wants a number"),
        (["--colour"], "unrecognized option"),
        (["orders"], "unexpected argument"),
        (["--address-file", "/nowhere/at/all"], "No such file or directory"),
    ],
)
def test_a_wrong_command_line_is_refused_with_its_reason(servers, arguments, complaint):
    program = servers.build_dir / "tools" / "embedded-broker" / "sluice-embedded-broker"
    result = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode != 0
    assert complaint in result.stderr
