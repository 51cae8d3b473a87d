"""The small clients of docs/examples, run as they are."""

import json
import os
import pathlib
import subprocess
import sys
EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "docs" / "examples"


def run(sample, *command):
    environment = {"PATH": os.environ["PATH"], "SLUICE_URL": sample.url, "SLUICE_KEY": sample.key}
    return subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True, timeout=110)


def test_curl(sample):
    result = run(sample, EXAMPLES / "publish-and-read.sh")
    assert result.returncode == 0, result.stderr
    published, page, after = [json.loads(line) for line in result.stdout.splitlines()]
    assert published["id"] in [event["id"] for event in page["events"]]
    assert after["events"] == [] and after["caught_up"]


def test_python(sample):
    result = run(sample, sys.executable, EXAMPLES / "consumer.py")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    published = lines[0].removeprefix("published ")
    assert f'event {published} {{"order": 2}}' in lines


def test_javascript_fetch(sample):
    result = run(sample, "node", EXAMPLES / "fetch-stream.mjs")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("published ")


def test_javascript_eventsource(sample, tmp_path):
    """In Node.js it needs a package, which is looked for beside the script."""
    script = tmp_path / "eventsource.mjs"
    script.write_text((EXAMPLES / "eventsource.mjs").read_text())
    (tmp_path / "node_modules").symlink_to(pathlib.Path(os.environ["SLUICE_NODE_DIR"]) / "node_modules")
    result = run(sample, "node", script)
    assert result.returncode == 0, result.stderr
    assert "ticket until" in result.stdout and "event {" in result.stdout


def test_every_example_is_in_the_readme():
    readme = (EXAMPLES / "README.md").read_text()
    for example in EXAMPLES.iterdir():
        assert example.name in readme or example.name == "README.md"


def test_a_wrong_key_ends_an_example_with_a_reason(sample):
    environment = {"PATH": os.environ["PATH"], "SLUICE_URL": sample.url, "SLUICE_KEY": "slk_no_no"}
    result = subprocess.run([sys.executable, str(EXAMPLES / "consumer.py")], env=environment, capture_output=True,
                            text=True, timeout=110)
    assert result.returncode == 1 and result.stderr.startswith("Authentication failed")
