"""Alerts and dashboards: they fire when they should, and speak of metrics that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from charts import CHARTS, HELM_DIR, ROOT
from make_dashboards import dashboards

HERE = Path(__file__).parent
HEADINGS = {"gateway": "Gateway", "control": "Control plane"}


def metrics_of(chart):
    """{name: (type, labels)} by docs/metrics.md, which check.metrics-doc holds to the code. A histogram has three names."""
    section = (ROOT / "docs/metrics.md").read_text().split(f"\n## {HEADINGS[chart]}\n")[1].split("\n## ")[0]
    found = {}
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", section, re.MULTILINE):
        labels = set(re.findall(r"`(\w+)`", labels))
        if kind == "histogram":
            found[name + "_bucket"] = (kind, labels | {"le"})
            found[name + "_sum"] = found[name + "_count"] = (kind, labels)
        else:
            found[name] = (kind, labels)
    return found


def alerts(chart):
    [group] = yaml.safe_load((CHARTS[chart] / "files/alerts.yaml").read_text())["groups"]
    return group["rules"]


def panels(chart):
    dashboard = json.loads((CHARTS[chart] / "files/dashboard.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(chart):
    return ([rule["expr"] for rule in alerts(chart)] +
            [target["expr"] for panel in panels(chart) for target in panel["targets"]])


WORDS = {"and", "or", "by", "on", "sum", "rate", "min", "max", "count", "increase", "absent", "vector", "time",
         "histogram_quantile", "without", "le"}
TARGET_LABELS = {"job", "instance"}


def check_expression(expression, metrics):
    bare = re.sub(r'"[^"]*"', '""', expression.replace("$__rate_interval", "5m"))
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    selectors = re.findall(r"(\w+)\{([^}]*)\}", bare)
    grouped = [label.strip() for labels in re.findall(r"\b(?:by|without) \(([^)]*)\)", bare) for label in labels.split(",")]
    names = re.sub(r"\{[^}]*\}|\b(?:by|without) \([^)]*\)", " ", bare)
    used = [name for name in re.findall(r"[a-zA-Z_]\w*", names) if name not in WORDS]
    assert used, expression
    for name in used:
        assert name in metrics, f"{name} in {expression}"
    for name, labels in selectors:
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels):
            assert label in metrics[name][1] | TARGET_LABELS, f"{name} has no label {label}: {expression}"
    for label in grouped:
        assert all(label in metrics[name][1] | TARGET_LABELS for name in used), f"no label {label}: {expression}"
    for function in re.findall(r"\b(?:rate|increase)\((\w+)", bare):
        assert metrics[function][0] in ("counter", "histogram"), f"{function} is no counter: {expression}"


@pytest.mark.parametrize("chart", CHARTS)
def test_every_expression_speaks_of_metrics_that_exist(chart):
    metrics = metrics_of(chart)
    assert len(metrics) > 15
    for expression in expressions(chart):
        check_expression(expression, metrics)
    with pytest.raises(AssertionError):
        check_expression('sum(rate(sluice_no_such_total{job="x"}[5m]))', metrics)
    with pytest.raises(AssertionError):
        check_expression('sum(rate(sluice_metric_series_dropped_total{colour="x"}[5m]))', metrics)


@pytest.mark.parametrize("chart", CHARTS)
def test_prometheus_understands_every_expression(chart, tmp_path):
    rules = [{"record": f"test:panel:{i}", "expr": expression.replace("$__rate_interval", "5m").replace("$job", ".*")}
             for i, expression in enumerate(expressions(chart))]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    for path in (file, CHARTS[chart] / "files/alerts.yaml"):
        done = subprocess.run([HELM_DIR / "bin/promtool", "check", "rules", "--lint-fatal", path], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("chart", CHARTS)
def test_alerts_fire_when_they_should(chart, tmp_path):
    shutil.copy(CHARTS[chart] / "files/alerts.yaml", tmp_path / f"{chart}.yaml")
    shutil.copy(HERE / f"alerts_{chart}.yaml", tmp_path / "test.yaml")
    done = subprocess.run([HELM_DIR / "bin/promtool", "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True,
                          text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("chart", CHARTS)
def test_every_alert_is_tested_and_documented(chart):
    tested = {case["alertname"] for test in yaml.safe_load((HERE / f"alerts_{chart}.yaml").read_text())["tests"]
              for case in test["alert_rule_test"] if case["exp_alerts"]}
    names = [rule["alert"] for rule in alerts(chart)]
    assert tested == set(names)
    manual = (ROOT / "docs/operations.md").read_text()
    for name in names:
        assert f"`{name}`" in manual, f"docs/operations.md does not say what to do about {name}"
    for rule in alerts(chart):
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_dashboards_are_what_their_table_says():
    for path, content in dashboards().items():
        assert json.loads(path.read_text()) == content, f"scripts/keep-helm writes {path.name} again"


@pytest.mark.parametrize("chart", CHARTS)
def test_panels_do_not_overlap(chart):
    taken = set()
    for panel in panels(chart):
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("chart", CHARTS)
def test_names_and_units_are_as_prometheus_recommends(chart):
    for name, (kind, labels) in metrics_of(chart).items():
        base = re.sub(r"_(bucket|sum|count)$", "", name) if kind == "histogram" else name
        assert re.fullmatch(r"(sluice|process)_[a-z0-9_]+", base), name
        assert (kind == "counter") == base.endswith("_total"), name
        if kind == "histogram":
            assert base.endswith(("_seconds", "_bytes")), name
        assert not re.search(r"_(ms|millis|milliseconds|kb|mb|percent)(_|$)", base), name
        assert "name" not in labels and "type" not in labels
