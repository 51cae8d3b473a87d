"""Clients of about 2021 see through the gateway what they see at the broker: Java 2.8, librdkafka 1.8, kafka-python
2.0. Run by scripts/test --long."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from client_support import Java, Step, compare, tell

HERE = Path(__file__).resolve().parent
_AT = ["--bootstrap-server", "BOOTSTRAP"]
_TOPICS = [Step("kafka.admin.TopicCommand", [*_AT, "--create", "--topic", "NAME-t", "--partitions", "1"],
                expect=("Created topic NAME-t",))]


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    java = Java(tmp_path_factory.mktemp("java") / "runner.log", version="2.8.2")
    yield java
    java.stop()


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """The unpacked wheels, with librdkafka under the name that kcat looks for."""
    folder = tmp_path_factory.mktemp("old")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary", ":all:", "--implementation", "cp", "--python-version", "39", "--abi", "cp39", "--abi",
               "none", "--platform", "manylinux2010_x86_64", "--platform", "any", "--dest", str(folder), "-r",
               str(HERE / "old_clients.txt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    for wheel in folder.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder)
    library, = (folder / "confluent_kafka.libs").glob("librdkafka*.so.1")
    os.symlink(library, folder / "librdkafka.so.1")
    return folder


def _same(java, targets, folder, steps):
    compare(steps, targets, tell(java, targets, folder, steps))


def test_java_2_8(java, targets, tmp_path):
    group = "kafka.admin.ConsumerGroupCommand"
    _same(java, targets, tmp_path, [
        *_TOPICS,
        Step("kafka.tools.ConsoleProducer", [*_AT, "--topic", "NAME-t", "--compression-codec", "lz4"],
             stdin="one\ntwo\n"),
        Step("kafka.tools.ConsoleConsumer", [*_AT, "--topic", "NAME-t", "--from-beginning", "--group", "NAME-g",
                                             "--max-messages", "2", "--timeout-ms", "20000"], expect=("^one$", "^two$")),
        Step(group, [*_AT, "--describe", "--group", "NAME-g"], expect=("NAME-g NAME-t 0",), looks=True),
        Step(group, [*_AT, "--reset-offsets", "--group", "NAME-g", "--topic", "NAME-t", "--to-earliest", "--execute"]),
        Step("kafka.admin.ConfigCommand", [*_AT, "--alter", "--entity-type", "topics", "--entity-name", "NAME-t",
                                           "--add-config", "retention.ms=1000000"]),
        Step("kafka.admin.TopicCommand", [*_AT, "--describe", "--topic", "NAME-t"], looks=True,
             expect=("retention.ms=1000000",)),
        Step("kafka.admin.TopicCommand", [*_AT, "--delete", "--topic", "NAME-t"]),
    ])


def test_librdkafka_1_8(java, targets, old, tmp_path):
    kcat = [f"LD_LIBRARY_PATH={old}", "kcat"]
    _same(java, targets, tmp_path, [
        *_TOPICS,
        Step("env", [*kcat, "-V"], expect=("librdkafka 1.8.2",)),
        *[Step("env", [*kcat, "-b", "BOOTSTRAP", "-P", "-t", "NAME-t", "-z", codec, "-X", "enable.idempotence=true"],
               stdin=f"{codec} one\n{codec} two\n") for codec in ("none", "gzip", "snappy", "lz4", "zstd")],
        Step("env", [*kcat, "-b", "BOOTSTRAP", "-G", "NAME-g", "-q", "-X", "auto.offset.reset=earliest", "-c", "10",
                     "NAME-t"], expect=("^zstd two$",), replace=((r"(?m)^%.*$", ""),)),
    ])


def test_kafka_python_2_0(java, targets, old, tmp_path):
    _same(java, targets, tmp_path, [
        *_TOPICS,
        Step("env", [f"PYTHONPATH={old}", sys.executable, str(HERE / "old_kafka_python.py"), "BOOTSTRAP", "NAME-t",
                     "NAME-g"], expect=("version 2.0.2", "end 20")),
    ])
