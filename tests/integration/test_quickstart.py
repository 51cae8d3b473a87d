"""scripts/quickstart keeps its promise: what it prints works, and nothing stays behind."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from sluice_support import free_ports, wait_until

QUICKSTART = Path(__file__).resolve().parents[2] / "scripts" / "quickstart"


def _free_ports():
    """A --port-base: its last port is 100 above."""
    return free_ports(101)


def _run(*arguments, timeout=300, **environment):
    """With this build's programs, no terminal, and on its own ports unless the test chose some."""
    arguments = [QUICKSTART, *arguments]
    if "--port-base" not in arguments:
        arguments += ["--port-base", str(_free_ports())]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
                          env={**os.environ, **environment})


@pytest.fixture
def scratch(tmp_path):
    """A TMPDIR of the test's own, in which nothing may be left."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    yield str(folder)
    assert list(folder.iterdir()) == []


def test_everything_printed_works_with_the_embedded_broker(scratch):
    result = _run("--check", TMPDIR=scratch)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "slk_" in result.stdout
    assert "all checks passed" in result.stderr


def test_everything_printed_works_with_an_apache_kafka_of_yours(scratch, kafka):
    topic = kafka.create_topic("orders", partitions=2)
    result = _run("--check", "--kafka", kafka.bootstrap_servers, "--topic", topic, TMPDIR=scratch)
    assert result.returncode == 0, result.stdout + result.stderr
    assert any(b'"item":"tea"' in record.value() for record in kafka.consume_all(topic))


def test_a_kept_state_is_continued_from(tmp_path, kafka):
    topic = kafka.create_topic("orders")
    arguments = ["--check", "--state", str(tmp_path / "state"), "--kafka", kafka.bootstrap_servers, "--topic", topic,
                 "--port-base", str(_free_ports())]
    keys = set()
    for _ in range(2):
        result = _run(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        keys.update(line.strip() for line in result.stdout.splitlines() if line.strip().startswith("slk_"))
    assert len(keys) == 1


def test_it_stays_until_a_signal_and_then_leaves_nothing(scratch, tmp_path):
    base = _free_ports()
    with open(tmp_path / "out", "w+b") as output:
        process = subprocess.Popen([QUICKSTART, "--port-base", str(base)], stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": scratch})
        try:
            wait_until(lambda: b"Ctrl-C stops everything" in (tmp_path / "out").read_bytes(), 120, "the summary")
            second = _run("--port-base", str(base), TMPDIR=scratch)
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(60)
    assert second.returncode == 1
    assert f"port {base} is in use" in second.stderr and "--port-base" in second.stderr
    assert status == 128 + signal.SIGTERM
    for port in (base, base + 1, base + 100):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"something still listens on {port}"


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--kafka", "rabbit"], "embedded, apache or HOST:PORT"),
        (["--kafka", "127.0.0.1:1"], "no Kafka answers at 127.0.0.1:1"),
        (["--port-base", "70000"], "--port-base wants"),
        (["--topic", "a b"], "--topic wants"),
        (["--state"], "--state needs a value"),
        (["--fast"], "unknown argument --fast"),
    ],
)
def test_a_wrong_command_line_is_refused_with_its_reason(scratch, arguments, complaint):
    result = subprocess.run([QUICKSTART, *arguments], capture_output=True, text=True, timeout=100,
                            stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": scratch})
    assert result.returncode == 1
    assert complaint in result.stderr


def test_a_topic_that_does_not_exist_is_named(scratch, kafka):
    result = _run("--kafka", kafka.bootstrap_servers, "--topic", "not-there", TMPDIR=scratch)
    assert result.returncode == 1
    assert "topic not-there does not exist" in result.stderr
