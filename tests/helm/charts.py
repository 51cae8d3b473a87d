"""The charts, their value sets, and what Helm makes of them: rendered once for all tests."""

import os
import pathlib
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HELM_DIR = pathlib.Path(os.environ["SLUICE_HELM_DIR"])
BUILD = pathlib.Path(os.environ["SLUICE_BUILD_DIR"])
CHARTS = {"control": ROOT / "deploy/helm/sluice-control", "gateway": ROOT / "deploy/helm/sluice-gateway"}
PROGRAMS = {"control": BUILD / "controlplane/sluice-control", "gateway": BUILD / "dataplane/sluice-gateway"}
SETS = ["minimal", "production", "ports", "everything"]

_rendered, _parsed = {}, {}


def values_file(chart, values):
    return ROOT / f"deploy/helm/examples/{values}/{chart}.yaml"


def helm(*arguments, check=True):
    environment = {**os.environ, "HELM_CACHE_HOME": "/nonexistent", "HELM_CONFIG_HOME": "/nonexistent",
                   "HELM_DATA_HOME": "/nonexistent"}
    done = subprocess.run([HELM_DIR / "bin/helm", *map(str, arguments)], capture_output=True, text=True, env=environment,
                          timeout=200)
    assert not check or done.returncode == 0, f"helm {arguments}: {done.stderr}"
    return done


def render(chart, values):
    """As helm template writes it, with the test pod and without the notes."""
    if (chart, values) not in _rendered:
        _rendered[chart, values] = helm("template", f"my-{chart}", CHARTS[chart], "--namespace", "sluice",
                                        "--values", values_file(chart, values)).stdout
    return _rendered[chart, values]


def documents(chart, values, kind=None):
    if (chart, values) not in _parsed:
        _parsed[chart, values] = [document for document in yaml.load_all(render(chart, values), yaml.CSafeLoader) if document]
    return [document for document in _parsed[chart, values] if kind in (None, document["kind"])]


def pods(chart, values):
    """(what, pod specification) of everything that makes pods."""
    for document in documents(chart, values):
        if document["kind"] in ("StatefulSet", "Deployment"):
            yield document["kind"], document["spec"]["template"]["spec"]
        elif document["kind"] == "Pod":
            yield "Pod", document["spec"]


def settings_of(chart, values):
    """The text of the program's YAML file."""
    [config] = [document for document in documents(chart, values, "ConfigMap") if "config.yaml" in document["data"]]
    return config["data"]["config.yaml"]
