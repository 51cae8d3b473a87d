"""values.schema.json of a chart: the shape is that of values.yaml, the settings are the program's own (--settings-schema),
and what neither says is in the tables here."""

import copy
import json
import subprocess

import yaml

LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
FREE = {"type": "object"}
FREE_LIST = {"type": "array", "items": {"type": "object"}}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
COUNT = {"type": "integer", "minimum": 0, "maximum": 1000000}
ID = {"type": ["integer", "null"], "minimum": 1, "maximum": 4294967295}
DNS_LABEL = {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", "maxLength": 50}
PORT_NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 15}
QUANTITY = {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"}
PERCENT_OR_COUNT = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+%$"}]}
INTERVAL = {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"}
PATH = {"type": "string", "pattern": "^/[^\\s]*$"}
NAMES = {"type": "array", "items": {"type": "string", "minLength": 1}}
PROBE = {"type": "object", "additionalProperties": False,
         "properties": {name: {"type": "integer", "minimum": 0, "maximum": 3600}
                        for name in ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold",
                                     "failureThreshold", "terminationGracePeriodSeconds")}}


def record(required, **properties):
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": required}


def one_of(*values):
    return {"enum": list(values)}


def listed(item, least=0):
    return {"type": "array", "items": item, "minItems": least}


TEXT = {"type": "string"}
NAME = {"type": "string", "minLength": 1}
SERVICE_TYPE = one_of("ClusterIP", "NodePort", "LoadBalancer")
ISSUER_KIND = {"type": "string", "enum": ["Issuer", "ClusterIssuer"]}

COMMON = {
    "image.digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "image.pullPolicy": one_of("Always", "IfNotPresent", "Never"),
    "image.repository": NAME,
    "imagePullSecrets": listed(record(["name"], name=NAME)),
    "nameOverride": DNS_LABEL,
    "fullnameOverride": DNS_LABEL,
    "commonLabels": LABELS, "podLabels": LABELS, "podAnnotations": LABELS,
    "serviceAccount.annotations": LABELS,
    "logLevel": one_of("debug", "info", "warn", "error"),
    "resources": record([], requests=FREE, limits=FREE, claims=FREE_LIST),
    "probes.startup": PROBE, "probes.readiness": PROBE, "probes.liveness": PROBE,
    "security.runAsUser": ID, "security.runAsGroup": ID, "security.fsGroup": ID,
    "topologySpread.keys": listed(NAME, 1),
    "nodeSelector": LABELS, "tolerations": FREE_LIST, "affinity": FREE,
    "networkPolicy.egress.to": FREE_LIST,
    "metrics.serviceMonitor.labels": LABELS, "metrics.serviceMonitor.interval": INTERVAL,
    "metrics.serviceMonitor.scrapeTimeout": INTERVAL,
    "metrics.prometheusRule.labels": LABELS, "metrics.dashboard.labels": LABELS,
    "extraEnv": FREE_LIST, "extraEnvFrom": FREE_LIST, "extraVolumes": FREE_LIST, "extraVolumeMounts": FREE_LIST,
}

GATEWAY = {
    "workload": one_of("StatefulSet", "Deployment"),
    "replicas": COUNT, "revisionHistoryLimit": COUNT,
    "cache.size": QUANTITY, "cache.accessMode": one_of("ReadWriteOnce", "ReadWriteOncePod"),
    "control.endpoint": {"type": "string", "pattern": "^([^\\s:]+:[0-9]{1,5}|\\[[0-9a-fA-F:]+\\]:[0-9]{1,5})?$"},
    "control.caSha256": {"type": "string", "pattern": "^([0-9a-fA-F]{64})?$"},
    "enrolment.method": one_of("serviceAccount", "join"),
    "enrolment.audience": NAME,
    "enrolment.tokenExpirationSeconds": {"type": "integer", "minimum": 600, "maximum": 86400},
    "http.ports": listed(record(["name", "port"], name=PORT_NAME, port=PORT, servicePort=PORT), 1),
    "http.service.type": SERVICE_TYPE, "http.service.annotations": LABELS,
    "http.service.loadBalancerSourceRanges": NAMES,
    "http.service.externalTrafficPolicy": one_of("", "Cluster", "Local"),
    "kafka.routing": one_of("sni", "ports"), "kafka.port": PORT,
    "kafka.ports.ranges": listed(record(["firstNodeId", "lastNodeId", "portBase"],
                                        firstNodeId={"type": "integer", "minimum": 0, "maximum": 99999999},
                                        lastNodeId={"type": "integer", "minimum": 0, "maximum": 99999999},
                                        portBase=PORT), 1),
    "kafka.service.type": SERVICE_TYPE, "kafka.service.annotations": LABELS,
    "kafka.service.loadBalancerSourceRanges": NAMES,
    "kafka.service.externalTrafficPolicy": one_of("", "Cluster", "Local"),
    "tls.mountPath": PATH, "tls.certManager.dnsNames": NAMES, "tls.certManager.issuerRef.kind": ISSUER_KIND,
    "secretMounts": listed(record(["secret", "mountPath"], secret=NAME, mountPath=PATH)),
    "drain.preStopSeconds": {"type": "integer", "minimum": 0, "maximum": 300},
    "drain.deadlineSeconds": {"type": "integer", "minimum": 0, "maximum": 86400},
    "podDisruptionBudget.maxUnavailable": PERCENT_OR_COUNT,
    "autoscaling.minReplicas": {"type": "integer", "minimum": 1}, "autoscaling.maxReplicas": {"type": "integer", "minimum": 1},
    "autoscaling.targetCPUUtilization": {"type": "integer", "minimum": 0, "maximum": 1000},
    "autoscaling.customMetric.averageValue": QUANTITY,
    "autoscaling.scaleDownStabilizationSeconds": {"type": "integer", "minimum": 0, "maximum": 3600},
    "topologySpread.maxSkew": {"type": "integer", "minimum": 1},
    "networkPolicy.clients": FREE_LIST, "networkPolicy.metricsFrom": FREE_LIST,
    "networkPolicy.egress.control": FREE_LIST, "networkPolicy.egress.controlPorts": listed(PORT, 1),
}

CONTROL = {
    "persistence.size": QUANTITY, "persistence.accessMode": one_of("ReadWriteOnce", "ReadWriteOncePod"),
    "serverNames": NAMES,
    "adminTls.certManager.issuerRef.kind": ISSUER_KIND, "adminTls.certManager.dnsNames": NAMES,
    "service.admin.type": SERVICE_TYPE, "service.admin.port": PORT, "service.admin.annotations": LABELS,
    "portal.publicUrl": {"type": "string", "pattern": "^(https?://[^\\s/]+/?)?$"},
    "service.portal.type": SERVICE_TYPE, "service.portal.port": PORT, "service.portal.annotations": LABELS,
    "networkPolicy.visitors": FREE_LIST,
    "service.gateways.type": SERVICE_TYPE, "service.gateways.annotations": LABELS,
    "service.gateways.loadBalancerSourceRanges": NAMES,
    "backup.interval": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"},
    "backup.keep": {"type": "integer", "minimum": 1, "maximum": 10000},
    "shutdownGraceSeconds": {"type": "integer", "minimum": 0, "maximum": 600},
    "networkPolicy.admins": FREE_LIST, "networkPolicy.gateways": FREE_LIST,
}

# What the chart itself decides, or what no pod should be told by a file. A path ends the settings below it.
OWNED = {
    "sluice-gateway": ["check", "state-dir", "join", "join-file", "enrolment", "node-name", "observe-address", "log-level",
                       "drain.deadline"],
    "sluice-control": ["check", "data-dir", "master-key-file", "bootstrap-token-file", "log-level", "admin-address",
                       "admin-tls", "grpc-address", "grpc-advertise", "enrolment-address", "enrolment-advertise",
                       "portal.enabled", "portal.address",
                       "portal.public-url", "portal-tls", "node.server-names", "backup.interval", "backup.keep", "restore", "restore-undo-revocations",
                       "forget-secrets", "new-admin-token", "shutdown-grace"],
}
OVERRIDES = {"sluice-gateway": {**COMMON, **GATEWAY}, "sluice-control": {**COMMON, **CONTROL}}
SCALARS = {str: "string", bool: "boolean", int: "integer"}


def settings_schema(chart, program):
    text = subprocess.run([program, "--settings-schema"], check=True, capture_output=True, text=True).stdout
    schema = json.loads(text)
    for path in OWNED[chart]:
        *parents, name = path.split(".")
        section = schema
        for parent in parents:
            section = section["properties"][parent]
        del section["properties"][name]
        if parents and not section["properties"]:
            del schema["properties"][parents[0]]
    return schema


def _schema_of(value, path, overrides, used):
    if path in overrides:
        used.add(path)
        return copy.deepcopy(overrides[path])
    if isinstance(value, dict):
        assert value, f"{path}: an empty mapping needs an entry in the tables"
        below = {key: _schema_of(item, f"{path}.{key}" if path else key, overrides, used) for key, item in value.items()}
        return {"type": "object", "additionalProperties": False, "properties": below}
    assert not isinstance(value, list), f"{path}: a list needs an entry in the tables"
    return {"type": SCALARS[type(value)]}


def values_schema(chart, folder, program):
    values = yaml.safe_load((folder / "values.yaml").read_text())
    overrides = {**OVERRIDES[chart], "settings": settings_schema(chart, program)}
    used = set()
    schema = _schema_of(values, "", overrides, used)
    assert used == set(overrides), f"values.yaml has no {sorted(set(overrides) - used)}"
    schema["properties"]["global"] = FREE  # Helm's own, for charts of charts
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": f"Values of {chart}", **schema}
