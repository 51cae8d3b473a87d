"""First steps, run as the page shows them: with an application's key they publish, read and stream through a real gateway."""

import os
import select
import subprocess
import sys
import time

import pytest

from sluice_support import NativeCluster, SampleApi

PATIENCE_S = 90


@pytest.fixture(scope="module")
def sample(module_servers, control, kafka):
    sample = SampleApi(control, kafka.bootstrap_servers, kafka.create_topic("orders", partitions=1),
                       exposures=["rest", "sse", "kafka"])
    native = NativeCluster(sample, "native", authentication=["scram"])
    control.admin.patch("gateway-groups", "dev", rest_url=f"http://127.0.0.1:{sample.port}",
                        kafka_url=native.bootstrap_servers)
    control.admin.create("event-apis", name="streamed", major=1, team=sample.team, operations=["read"], exposures=["sse"],
                         lifecycle="published")
    control.admin.create("deployments", event_api="streamed.v1", gateway_group="dev", topic=sample.topic,
                         virtual_cluster=sample.virtual_cluster, listener=sample.listener)
    control.admin.patch("products", sample.product, event_apis=[sample.event_api, "streamed.v1"])
    sample.start_gateway(module_servers)
    native.wait_served()
    return sample


@pytest.fixture(scope="module")
def shown(sample, people):
    """shown(path, language): the text of a tab, as somebody copies it."""
    person = people("ann", "developer", sample.team)

    def read(path, language):
        page = person.open(path)
        page.get_by_role("tab", name=language, exact=True).click()
        return page.get_by_role("tabpanel").locator("pre code").inner_text()
    return read


def run_until(command, wanted, act=None, **options):
    """Runs a program until it has printed `wanted`; `act` is done again and again meanwhile. What it printed."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True, **options)
    said, until = b"", time.monotonic() + PATIENCE_S
    try:
        while wanted not in said:
            assert time.monotonic() < until, said.decode(errors="replace")
            if act:
                act()
            if select.select([process.stdout], [], [], 0.5)[0]:
                more = os.read(process.stdout.fileno(), 65536)
                assert more, f"it ended with {process.wait(60)}: {said.decode(errors='replace')}"
                said += more
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait(60)
        process.stdout.close()
    return said.decode()


@pytest.fixture
def programs(sample, tmp_path):
    """The command that runs a snippet, by the language."""
    def prepared(language, text):
        file = tmp_path / {"curl": "first.sh", "Kafka": "first.sh", "JavaScript": "first.mjs", "Python": "first.py"}[language]
        file.write_text(text.replace("key=...", f"key={sample.key}"))
        program = {"first.sh": "bash", "first.mjs": "node", "first.py": sys.executable}[file.name]
        return [program, *(["-u"] if language == "Python" else []), str(file)]
    return prepared


@pytest.fixture
def environment(sample):
    return {**os.environ, "API_KEY": sample.key, "no_proxy": "127.0.0.1", "PYTHONUNBUFFERED": "1",
            "USERNAME": sample.credential["id"], "SECRET": sample.credential["secret"]}


# As each language prints it; what went wrong would show the line of the program, in which it is written as in JSON.
PRINTED = {"curl": b'"world"', "JavaScript": b"{ hello: 'world' }", "Python": b"{'hello': 'world'}"}


@pytest.mark.parametrize("language", PRINTED)
def test_first_steps_publish_and_read(sample, shown, programs, environment, language):
    text = shown("/event-apis/orders/v1", language)
    run_until(programs(language, text), PRINTED[language], env=environment)


def test_curl_shows_the_stream_too(sample, shown, programs, environment):
    said = run_until(programs("curl", shown("/event-apis/orders/v1", "curl")), b"streamed-live", env=environment,
                     act=lambda: sample.publish({"said": "streamed-live"}))
    errors = [block for block in said.split("\n\n")[:-1] if "event: error" in block]
    # A backend that a slow machine takes for away for a moment is told of, and the stream goes on.
    assert [block for block in errors if "/backend-unavailable" not in block] == []


@pytest.mark.parametrize("language", ["curl", "JavaScript", "Python"])
def test_what_is_reached_by_streams_alone_has_first_steps_of_its_own(sample, shown, programs, environment, language):
    text = shown("/event-apis/streamed/v1", language)
    assert "POST" not in text and "wait=" not in text and '"wait"' not in text
    run_until(programs(language, text), b"streamed-live", env=environment,
              act=lambda: sample.publish({"said": "streamed-live"}))


def test_a_kafka_client_publishes_and_reads(sample, shown, programs, environment):
    text = shown("/event-apis/orders/v1", "Kafka").replace("SASL_SSL", "SASL_PLAINTEXT")  # as its first line says
    # As on a terminal: line by line.
    run_until(["stdbuf", "-oL", *programs("Kafka", text)], b'{"hello": "world"}', env=environment)
