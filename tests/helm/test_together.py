"""The charts with the real programs: what they render is started, what their notes say is done."""

import json
import os
import shutil
import subprocess

import pytest
from charts import CHARTS, SETS, helm, pods, settings_of, values_file
from sluice_support import wait_until
from sluice_support.service_account import ISSUER, Cluster

STUBS = r"""
set -euo pipefail
helm() { :; }
curl() { command curl --fail-with-body --noproxy '*' -o answer "$@" && cat answer; }
kubectl() {
    case "$*" in
    *"get --raw /.well-known/openid-configuration"*) echo '{"issuer": "%(issuer)s"}' ;;
    *"exec "*bootstrap-token*) cat '%(token_file)s' ;;
    *"exec "*master.key*) cat '%(data)s/master.key' ;;
    *"create secret"*) cat >joined ;;
    *"port-forward "* | *"rollout status "* | *"logs "*) ;;
    *) echo "unexpected: kubectl $*" >&2; return 1 ;;
    esac
}
"""


def notes(chart, values, folder):
    """NOTES.txt as it is printed: Helm shows it only with a cluster, so a copy of the chart renders it into a ConfigMap."""
    copy = folder / chart
    shutil.copytree(CHARTS[chart], copy)
    (copy / "templates/notes.yaml").write_text(
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata:\n'
        '  notes: {{ include (print $.Template.BasePath "/NOTES.txt") . | toJson }}\n')
    text = helm("template", f"my-{chart}", copy, "--namespace", "sluice", "--values", values_file(chart, values),
                "--show-only", "templates/notes.yaml").stdout
    line = next(line for line in text.splitlines() if line.startswith("  notes: "))
    return json.loads(line.removeprefix("  notes: "))


def commands(text):
    """What is indented is to be typed."""
    return "\n".join(line.strip() for line in text.splitlines() if line.startswith("     "))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                    "/CN=*.kafka.example.com", "-days", "2", "-keyout", "tls.key", "-out", "tls.crt"],
                   cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("values", SETS)
def test_what_the_notes_say_can_be_done(servers, values, certificate, tmp_path):
    control = servers.control(config=_config(tmp_path, "control", "minimal"), grpc_advertise="", enrolment_advertise="")
    admin = control.admin
    admin.create("backend-clusters", name="main", bootstrap_servers=["127.0.0.1:9092"])
    admin.create("virtual-clusters", name="shop", backend_cluster="main", namespace={"mode": "none"})
    stubs = STUBS % {"issuer": ISSUER, "token_file": control._token_file, "data": control.data_dir}
    shutil.copy(certificate / "tls.crt", tmp_path)
    text = commands(notes("control", values, tmp_path)).replace("https://127.0.0.1:8001", "http://127.0.0.1:8001")
    text += "\nGROUP=dev\n" + commands(notes("gateway", values, tmp_path))
    text = text.replace("http://127.0.0.1:8001", control.admin_url).replace("GROUP", "dev").replace("VIRTUAL-CLUSTER", "shop")
    text = text.replace("dev=dev", ":")
    (tmp_path / "notes.sh").write_text(stubs + text)
    done = subprocess.run(["/bin/bash", "notes.sh"], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    listeners = {listener["address"] for listener in admin.list("listeners")}
    [(_, pod)] = [found for found in pods("gateway", values) if found[0] != "Pod"]
    opened = {port["containerPort"] for port in pod["containers"][0]["ports"] if port["name"] != "observe"}
    assert {int(address[1:]) for address in listeners} <= opened
    assert len(listeners) == 1 + (values != "minimal") + (values == "everything")
    if values == "everything":
        assert (tmp_path / "joined").read_text().startswith("sluice-join-1.")
    else:
        [rule] = admin.list("enrolment-rules")
        assert rule["namespace"] == "sluice" and rule["service_account"] == _account(values)


def _account(values):
    [(_, pod)] = [found for found in pods("gateway", values) if found[0] != "Pod"]
    return pod["serviceAccountName"]


def _config(folder, chart, values):
    path = folder / f"{chart}.yaml"
    path.write_text(settings_of(chart, values))
    return path


def _run_test_pod(chart, values, host, port):
    """What `helm test` runs."""
    [pod] = [pod for what, pod in pods(chart, values) if what == "Pod"]
    [container] = pod["containers"]
    environment = {item["name"]: item["value"] for item in container["env"]} | {"HOST": host, "PORT": str(port)}
    return subprocess.run([*container["command"], *container["args"]], env={"PATH": os.environ["PATH"], **environment},
                          capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize("values", ["minimal", "production"])
def test_pods_of_both_charts_find_each_other(servers, values, tmp_path):
    """The rendered files with other paths and ports, as flags: the settings are the chart's."""
    key = tmp_path / "master.key"
    key.write_text("0" * 63 + "1\n")
    key.chmod(0o600)
    options = {"master_key_file": key, "admin_tls_certificate_file": "", "admin_tls_key_file": ""} if values != "minimal" else {}
    control = servers.control(config=_config(tmp_path, "control", values), grpc_advertise="", enrolment_advertise="", **options)
    cluster = Cluster(tmp_path)
    try:
        _join(servers, control, cluster, values, tmp_path)
    finally:
        cluster.close()


def _join(servers, control, cluster, values, folder):
    admin = control.admin
    admin.create("gateway-groups", name="edge", environment="dev")
    admin.create("issuers", name="cluster", url=ISSUER, jwks_url=cluster.url)
    admin.create("enrolment-rules", name="pods", group="edge", issuer="cluster", audience="sluice", namespace="sluice",
                 service_account=_account(values))
    [authority] = admin.request("GET", "/v1/node-ca", expect=200).json()["authorities"]
    token = cluster.token_file("token", cluster.token(namespace="sluice", account=_account(values), pod="gateway-0"))
    gateway = servers.gateway(config=_config(folder, "gateway", values), enrolment_ca_sha256=authority["sha256"],
                              enrolment_endpoint=f"127.0.0.1:{control.enrolment_port}", node_name="gateway-0",
                              enrolment_service_account_token_file=token)
    wait_until(lambda: gateway.metrics()["sluice_config_connected"] == 1, what="the pod to connect")
    assert [node["name"] for node in admin.list("gateway-nodes")] == ["gateway-0"]
    assert _run_test_pod("gateway", values, "127.0.0.1", gateway.observe_port).returncode == 0
    assert _run_test_pod("control", values, "127.0.0.1", control.admin_port).returncode == 0
    gateway.stop()
    refused = _run_test_pod("gateway", values, "127.0.0.1", gateway.observe_port)
    assert refused.returncode == 1 and "no gateway answers" in refused.stdout
