"""The README's sections for Kafka clients do what they say, with the ports, the topic and the folder of a test."""

import re

import pytest

from sluice_support import free_ports, wait_until
from sluice_support.readme import ROOT, Shell, commands


@pytest.fixture
def shell(gateway_sample, tmp_path):
    port, team_port = free_ports(4), free_ports(4)
    places = {r"http://127\.0\.0\.1:8001": gateway_sample.control.admin_url, r"\b19092\b": str(port), r"\b19093\b": str(port + 1),
              r"\b19192\b": str(team_port), r"\b19193\b": str(team_port + 1), r"(?<= )orders\b": gateway_sample.topic,
              "^scripts/": f"{ROOT}/scripts/"}
    shell = Shell(tmp_path, places, SLUICE_TOKEN=gateway_sample.control.token, CREDENTIAL_ID=gateway_sample.credential["id"],
                  CREDENTIAL_SECRET=gateway_sample.credential["secret"])
    shell.port = port
    return shell


def test_the_commands_of_the_readme_work(shell):
    setup, use, team_setup, team_use = commands("Use it with your Kafka client", "Give each team a Kafka of its own")
    made = shell(setup)
    assert '"status":4' not in made and '"shop"' in made
    wait_until(lambda: shell("exec 3<>/dev/tcp/127.0.0.1/19092") == "", 60, "the listener")
    said = shell(use)
    assert f"broker 1 at 127.0.0.1:{shell.port + 1}" in said
    assert '{"item": "kettle"}' in said
    assert sorted(re.findall(r":\d:(\d)$", said, re.M)) == ["0", "0", "1"]
    made = shell(team_setup)
    assert '"status":4' not in made and '"team-a"' in made
    wait_until(lambda: shell("exec 3<>/dev/tcp/127.0.0.1/19192") == "", 60, "the team's listener")
    said = shell(f"{use.splitlines()[0]}\n{team_use}")
    assert re.findall(r"(?m)^\S+$", said) == ["greetings"]
    assert 'topic "team-a.greetings" with 1 partitions' in said
