"""The Helm charts: what they render, what they refuse, and that the programs take it."""

import json
import os
import pathlib
import subprocess

import pytest
import yaml
from charts import CHARTS, HELM_DIR, PROGRAMS, SETS, documents, helm, pods, render, settings_of, values_file
from values_schema import values_schema

GOLDEN = pathlib.Path(__file__).parent / "golden"
KEEP = os.environ.get("SLUICE_KEEP_GOLDEN") == "1"

every_render = pytest.mark.parametrize("chart,values", [(chart, values) for values in SETS for chart in CHARTS])


@every_render
def test_lint_finds_nothing(chart, values):
    helm("lint", "--strict", "--quiet", CHARTS[chart], "--values", values_file(chart, values))


@every_render
def test_renders_are_as_they_were(chart, values):
    kept = GOLDEN / f"{values}-{chart}.yaml"
    if KEEP:
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(render(chart, values))
    assert render(chart, values) == kept.read_text(), f"look at the difference; scripts/keep-helm writes {kept.name} again"


@pytest.mark.parametrize("version", ["1.27.0", "1.37.0"])
def test_kubernetes_knows_every_field(version, tmp_path):
    for values in SETS:
        for chart in CHARTS:
            (tmp_path / f"{values}-{chart}.yaml").write_text(render(chart, values))
    location = str(HELM_DIR / "schemas") + ("/{{ .NormalizedKubernetesVersion }}{{ .StrictSuffix }}"
                                            "/{{ .ResourceKind }}{{ .KindSuffix }}.json")
    done = subprocess.run([HELM_DIR / "bin/kubeconform", "-strict", "-summary", "-output", "json", "-kubernetes-version",
                           version, "-schema-location", location, "-skip", "ServiceMonitor,PrometheusRule,Certificate",
                           str(tmp_path)], capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert done.returncode == 0, json.dumps(report["resources"], indent=1)
    assert report["summary"]["valid"] >= 40 and report["summary"]["skipped"] >= 8


def test_operators_take_the_custom_resources(tmp_path):
    """By the validators that are made of the operators' own definitions."""
    resources = [document for values in SETS for chart in CHARTS for document in documents(chart, values)
                 if document["kind"] in ("ServiceMonitor", "PrometheusRule", "Certificate")]
    assert {resource["kind"] for resource in resources} == {"ServiceMonitor", "PrometheusRule", "Certificate"}
    broken = {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "x"},
              "spec": {"endpoints": "none"}}
    (tmp_path / "resources.json").write_text(json.dumps([*resources, broken]))
    (tmp_path / "node_modules").symlink_to(pathlib.Path(os.environ["SLUICE_NODE_DIR"]) / "node_modules")
    script = tmp_path / "validate.mjs"
    script.write_text((pathlib.Path(__file__).parent / "validate_custom.mjs").read_text())
    done = subprocess.run(["node", script, tmp_path / "resources.json"], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results[:-1] == [[]] * len(resources)
    assert results[-1], "what is broken must be found"


@every_render
def test_pods_are_locked_down(chart, values):
    found = list(pods(chart, values))
    assert len(found) == 2
    for what, pod in found:
        assert pod["automountServiceAccountToken"] is False, what
        assert pod["securityContext"]["runAsNonRoot"] is True, what
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, what
        for container in pod["containers"]:
            assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                    "capabilities": {"drop": ["ALL"]}}, what
            assert container["resources"]["requests"], what


@every_render
def test_whatever_is_mounted_is_there_and_whatever_is_there_is_mounted(chart, values):
    for what, pod in pods(chart, values):
        if what == "Pod":
            continue
        claims = [claim["metadata"]["name"] for document in documents(chart, values, "StatefulSet")
                  for claim in document["spec"].get("volumeClaimTemplates", [])]
        volumes = {volume["name"] for volume in pod["volumes"]} | set(claims)
        mounts = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert volumes == mounts
        paths = [mount["mountPath"] for container in pod["containers"] for mount in container["volumeMounts"]]
        assert len(set(paths)) == len(paths)


@every_render
def test_services_and_policies_name_ports_that_exist(chart, values):
    [(_, pod)] = [found for found in pods(chart, values) if found[0] != "Pod"]
    ports = {port["name"]: port["containerPort"] for container in pod["containers"] for port in container["ports"]}
    assert len(set(ports.values())) == len(ports)
    for service in documents(chart, values, "Service"):
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports, service["metadata"]["name"]
        assert service["spec"]["selector"].items() <= _labels(chart, values).items()
    [policy] = documents(chart, values, "NetworkPolicy")
    allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    assert allowed == set(ports.values())


def _labels(chart, values):
    [workload] = documents(chart, values, "StatefulSet") + documents(chart, values, "Deployment")
    return workload["spec"]["template"]["metadata"]["labels"]


@every_render
def test_programs_take_the_settings(chart, values, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(settings_of(chart, values))
    done = subprocess.run([PROGRAMS[chart], "--config", config, "--check"], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    config.write_text(settings_of(chart, values) + "\nno-such-setting: 1\n")
    refused = subprocess.run([PROGRAMS[chart], "--config", config, "--check"], capture_output=True, text=True, timeout=200)
    assert refused.returncode == 1 and "unknown key no-such-setting" in refused.stderr


@pytest.mark.parametrize("chart", CHARTS)
def test_values_schema_is_that_of_the_programs(chart):
    path = CHARTS[chart] / "values.schema.json"
    wanted = json.dumps(values_schema(CHARTS[chart].name, CHARTS[chart], PROGRAMS[chart]), indent=1) + "\n"
    if KEEP:
        path.write_text(wanted)
    assert path.read_text() == wanted, "a setting or a value has changed: scripts/keep-helm writes it again"


REFUSED = [
    ("gateway", "replica=3", "replica"),
    ("gateway", "kafka.enable=true", "enable"),
    ("gateway", "workload=DaemonSet", "workload"),
    ("gateway", "settings.worker=2", "worker"),
    ("gateway", "settings.workers=many", "workers"),
    ("gateway", "settings.workers=1000", "workers"),
    ("gateway", "settings.http.body-limit=8MB", "body-limit"),
    ("gateway", "settings.state-dir=/tmp", "state-dir"),
    ("gateway", "security.privileged=true", "privileged"),
    ("gateway", "control.caSha256=beef", "caSha256"),
    ("gateway", "control.caSha256=", "control.caSha256 is missing"),
    ("gateway", "control.endpoint=", "control.endpoint is missing"),
    ("gateway", "enrolment.method=join", "enrolment.joinSecret.name is missing"),
    ("gateway", "kafka.enabled=true", "kafka.sni.suffix is missing"),
    ("gateway", "tls.certManager.enabled=true", "issuerRef.name is missing"),
    ("gateway", "autoscaling.enabled=true,autoscaling.minReplicas=20", "below autoscaling.minReplicas"),
    ("gateway", "autoscaling.enabled=true,autoscaling.targetCPUUtilization=0", "nothing to go by"),
    ("gateway", "http.ports[0].name=http,http.ports[0].port=8100", "port 8100 is used twice"),
    ("gateway", "kafka.enabled=true,kafka.routing=ports,kafka.port=19094", "port 19094 is used twice"),
    ("gateway", "kafka.enabled=true,kafka.routing=ports,kafka.ports.ranges[0].firstNodeId=1,kafka.ports.ranges[0].lastNodeId=9,"
     "kafka.ports.ranges[0].portBase=65530", "would be 65536"),
    ("gateway", "kafka.enabled=true,kafka.routing=ports,kafka.ports.ranges[0].firstNodeId=5,kafka.ports.ranges[0].lastNodeId=4,"
     "kafka.ports.ranges[0].portBase=65530", "lastNodeId 4 is below firstNodeId 5"),
    ("gateway", "http.service.externalTrafficPolicy=Local", "http.service.externalTrafficPolicy has no meaning"),
    ("gateway", "kafka.service.type=NodePort,kafka.service.loadBalancerSourceRanges={10.0.0.0/8}", "kafka.service.loadBalancer"),
    ("control", "replicas=2", "replicas"),
    ("control", "persistence.accessMode=ReadWriteMany", "accessMode"),
    ("control", "settings.node.lost-after=45", "lost-after"),
    ("control", "settings.data-dir=/data", "data-dir"),
    ("control", "portal.enabled=true", "portal.publicUrl is missing"),
    ("control", "adminTls.certManager.enabled=true", "issuerRef.name is missing"),
]


@pytest.mark.parametrize("chart,value,named", REFUSED)
def test_wrong_values_are_refused_by_name(chart, value, named):
    done = helm("template", "x", CHARTS[chart], "--values", values_file(chart, "minimal"), "--set", value, check=False)
    assert done.returncode != 0
    assert named in done.stderr


def test_ports_of_brokers_follow_the_ranges():
    [service] = [s for s in documents("gateway", "ports", "Service") if s["metadata"]["name"].endswith("-kafka")]
    assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == {
        "kafka": 19092, "kafka-1": 19093, "kafka-2": 19094, "kafka-3": 19095, "kafka-101": 19201, "kafka-102": 19202}


@every_render
def test_the_grace_is_longer_than_the_drain(chart, values):
    [(_, pod)] = [found for found in pods(chart, values) if found[0] != "Pod"]
    config = yaml.safe_load(settings_of(chart, values))
    drain = config["drain"]["deadline"] if chart == "gateway" else config["shutdown-grace"]
    [wait] = [container["lifecycle"]["preStop"]["exec"]["command"][1] for container in pod["containers"]]
    assert pod["terminationGracePeriodSeconds"] > int(wait) + int(drain.removesuffix("s"))


