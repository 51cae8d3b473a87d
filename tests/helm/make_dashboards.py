"""Writes the Grafana dashboards of the charts: one table of panels each, so that a panel is a line and all look alike."""

import json
import pathlib

HELM = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "helm"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

# Row: title, panels; panel: title, unit, [(expression, legend)].
GATEWAY = [
    ("At a glance", [
        ("Gateways", "none", [('count(sluice_build_info{job=~"$job"})', "gateways")]),
        ("Cut off from the control plane", "none", [('count(sluice_config_connected{job=~"$job"} == 0) or vector(0)', "cut off")]),
        ("Serving nothing (stale)", "none", [('sum(sluice_config_stale{job=~"$job"})', "stale")]),
        ("Backends down", "none", [('count(sluice_backend_up{job=~"$job"} == 0) or vector(0)', "down")]),
    ]),
    ("HTTP", [
        ("Requests", "reqps", [('sum by (api, operation) (rate(sluice_http_requests_total{job=~"$job"}[$__rate_interval]))', "{{api}} {{operation}}")]),
        ("Answers 5xx", "percentunit", [('sum by (api) (rate(sluice_http_requests_total{job=~"$job",code="5xx"}[$__rate_interval])) / sum by (api) (rate(sluice_http_requests_total{job=~"$job"}[$__rate_interval]))', "{{api}}")]),
        ("Time to answer, 99 of 100", "s", [('histogram_quantile(0.99, sum by (le, operation) (rate(sluice_http_request_duration_seconds_bucket{job=~"$job"}[$__rate_interval])))', "{{operation}}")]),
        ("Events", "ops", [('sum by (api, operation) (rate(sluice_http_events_total{job=~"$job"}[$__rate_interval]))', "{{api}} {{operation}}")]),
        ("Open connections", "none", [('sum by (instance) (sluice_http_connections{job=~"$job"})', "{{instance}}")]),
        ("Open streams", "none", [('sum by (event_api) (sluice_streams{job=~"$job"})', "{{event_api}}")]),
        ("Publishing", "ops", [('sum by (outcome) (rate(sluice_published_total{job=~"$job"}[$__rate_interval]))', "{{outcome}}")]),
        ("Refused by policies", "reqps", [('sum by (code) (rate(sluice_policy_denials_total{job=~"$job"}[$__rate_interval]))', "{{code}}")]),
    ]),
    ("Native Kafka", [
        ("Sessions", "none", [('sum by (virtual_cluster) (sluice_kafka_sessions{job=~"$job"})', "{{virtual_cluster}}")]),
        ("Requests", "reqps", [('sum by (virtual_cluster) (rate(sluice_kafka_requests_total{job=~"$job"}[$__rate_interval]))', "{{virtual_cluster}}")]),
        ("Bytes", "Bps", [('sum(rate(sluice_kafka_request_bytes_total{job=~"$job"}[$__rate_interval]))', "to brokers"), ('sum(rate(sluice_kafka_response_bytes_total{job=~"$job"}[$__rate_interval]))', "to clients")]),
        ("The gateway's share of the time, 99 of 100", "s", [('histogram_quantile(0.99, sum by (le, virtual_cluster) (rate(sluice_kafka_gateway_seconds_bucket{job=~"$job"}[$__rate_interval])))', "{{virtual_cluster}}")]),
        ("Sessions closed", "ops", [('sum by (reason) (rate(sluice_kafka_sessions_closed_total{job=~"$job"}[$__rate_interval]))', "{{reason}}")]),
        ("Denied", "ops", [('sum by (virtual_cluster) (rate(sluice_kafka_denied_total{job=~"$job"}[$__rate_interval]))', "{{virtual_cluster}}")]),
    ]),
    ("Backends and feeds", [
        ("Backends reached", "none", [('min by (backend) (sluice_backend_up{job=~"$job"})', "{{backend}}")]),
        ("Read from Kafka", "Bps", [('sum by (topic) (rate(sluice_feed_fetched_bytes_total{job=~"$job"}[$__rate_interval]))', "{{topic}}"), ('sum(rate(sluice_catchup_fetched_bytes_total{job=~"$job"}[$__rate_interval]))', "catch-up")]),
        ("Reads that wait for catch-up", "none", [('sum(sluice_catchup_waiting{job=~"$job"})', "waiting")]),
    ]),
    ("Process", [
        ("Memory", "bytes", [('process_resident_memory_bytes{job=~"$job"}', "{{instance}}")]),
        ("CPU", "none", [('rate(process_cpu_seconds_total{job=~"$job"}[5m])', "{{instance}}")]),
        ("Disk left", "percentunit", [('sluice_disk_free_bytes{job=~"$job"} / sluice_disk_size_bytes{job=~"$job"}', "{{instance}}")]),
        ("Certificates end in", "s", [('min(sluice_listener_certificate_expiry_timestamp_seconds{job=~"$job"}) by (listener) - time()', "{{listener}}"), ('min(sluice_node_certificate_expiry_timestamp_seconds{job=~"$job"} > 0) - time()', "nodes")]),
        ("Lost audit lines", "ops", [('sum by (to) (rate(sluice_audit_dropped_total{job=~"$job"}[$__rate_interval]))', "{{to}}")]),
    ]),
]

CONTROL = [
    ("Nodes", [
        ("Nodes by state", "none", [('sum by (state) (sluice_control_nodes{job=~"$job"})', "{{state}}")]),
        ("Configuration streams", "none", [('sluice_control_streams{job=~"$job"}', "open")]),
        ("Refused configurations", "ops", [('rate(sluice_control_nacks_total{job=~"$job"}[$__rate_interval])', "refused")]),
        ("Enrolments and renewals", "ops", [('sum by (kind, result) (rate(sluice_control_enrolments_total{job=~"$job"}[$__rate_interval]))', "{{kind}} {{result}}")]),
    ]),
    ("Admin API", [
        ("Requests", "reqps", [('sum by (method, status) (rate(sluice_admin_requests_total{job=~"$job"}[$__rate_interval]))', "{{method}} {{status}}")]),
        ("Waiting for the catalog", "none", [('sluice_catalog_waiting{job=~"$job"}', "{{queue}}")]),
        ("Age of the newest backup", "s", [('time() - sluice_backup_last_success_timestamp_seconds{job=~"$job"}', "age")]),
        ("The node CA ends in", "s", [('sluice_node_ca_expiry_timestamp_seconds{job=~"$job"} - time()', "left")]),
    ]),
    ("Process", [
        ("Memory", "bytes", [('process_resident_memory_bytes{job=~"$job"}', "{{instance}}")]),
        ("CPU", "none", [('rate(process_cpu_seconds_total{job=~"$job"}[5m])', "{{instance}}")]),
        ("Disk left", "percentunit", [('sluice_disk_free_bytes{job=~"$job"} / sluice_disk_size_bytes{job=~"$job"}', "{{instance}}")]),
    ]),
]


def _panel(number, title, unit, targets, x, y, width):
    return {
        "id": number, "type": "timeseries", "title": title, "datasource": SOURCE,
        "gridPos": {"h": 8, "w": width, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 8, "lineWidth": 1}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
        "targets": [{"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
                    for i, (expression, legend) in enumerate(targets)],
    }


def dashboard(uid, title, anchor, rows):
    panels, y, number = [], 0, 0
    for row, contents in rows:
        number += 1
        panels.append({"id": number, "type": "row", "title": row, "collapsed": False, "panels": [],
                       "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}})
        y += 1
        width = 6 if len(contents) == 4 else 8
        for i, (name, unit, targets) in enumerate(contents):
            number += 1
            per_row = 24 // width
            panels.append(_panel(number, name, unit, targets, i % per_row * width, y + i // per_row * 8, width))
        y += -(-len(contents) // (24 // width)) * 8
    variables = [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {"name": "job", "label": "Job", "type": "query", "datasource": SOURCE, "query": f"label_values({anchor}, job)",
         "definition": f"label_values({anchor}, job)", "refresh": 2, "includeAll": True, "multi": True,
         "current": {"text": "All", "value": "$__all"}},
    ]
    return {"uid": uid, "title": title, "tags": ["sluice"], "schemaVersion": 38, "version": 1, "editable": True,
            "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "timezone": "", "templating": {"list": variables},
            "panels": panels}


def dashboards():
    return {
        HELM / "sluice-gateway/files/dashboard.json": dashboard("sluice-gateway", "Sluice: gateways", "sluice_config_stale", GATEWAY),
        HELM / "sluice-control/files/dashboard.json": dashboard("sluice-control", "Sluice: control plane", "sluice_control_nodes", CONTROL),
    }


if __name__ == "__main__":
    for path, content in dashboards().items():
        path.write_text(json.dumps(content, indent=1) + "\n")
