{{- define "sluice-gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* 50 characters leave room for suffixes and for what Kubernetes adds to a pod's name. */}}
{{- define "sluice-gateway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "sluice-gateway.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sluice-gateway.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "sluice-gateway.selector" -}}
app.kubernetes.io/name: {{ include "sluice-gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sluice-gateway.labels" -}}
{{ include "sluice-gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: gateway
app.kubernetes.io/part-of: sluice
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sluice-gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sluice-gateway.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "sluice-gateway.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{- define "sluice-gateway.tlsSecret" -}}
{{- if .Values.tls.existingSecret -}}
{{- .Values.tls.existingSecret -}}
{{- else if .Values.tls.certManager.enabled -}}
{{- printf "%s-tls" (include "sluice-gateway.fullname" .) -}}
{{- end -}}
{{- end }}

{{/* The gateway's YAML file: the user's settings, and over them what the chart decides. */}}
{{- define "sluice-gateway.settings" -}}
{{- $own := dict
      "state-dir" "/var/lib/sluice-gateway"
      "observe-address" ":8100"
      "log-level" .Values.logLevel
      "drain" (dict "deadline" (printf "%ds" (int .Values.drain.deadlineSeconds))) -}}
{{- if eq .Values.enrolment.method "serviceAccount" -}}
{{- $endpoint := required "control.endpoint is missing: HOST:PORT of the control plane's enrolment port, such as sluice-control.sluice.svc:8006" .Values.control.endpoint -}}
{{- $pin := required "control.caSha256 is missing: `curl .../v1/node-ca` shows the sha256 of the active authority" .Values.control.caSha256 -}}
{{- $_ := set $own "enrolment" (dict "endpoint" $endpoint "ca-sha256" $pin "service-account-token-file" "/var/run/secrets/sluice/token") -}}
{{- else -}}
{{- $_ := required "enrolment.joinSecret.name is missing: a Secret that holds the join string" .Values.enrolment.joinSecret.name -}}
{{- $_ := set $own "join-file" "/etc/sluice/join/join" -}}
{{- end -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.settings) $own) -}}
{{- end }}

{{/* Name, port: what the native listener needs, bootstrap first. */}}
{{- define "sluice-gateway.kafkaPorts" -}}
- name: kafka
  port: {{ int .Values.kafka.port }}
{{- if eq .Values.kafka.routing "ports" }}
{{- range .Values.kafka.ports.ranges }}
{{- if lt (int .lastNodeId) (int .firstNodeId) }}
{{- fail (printf "kafka.ports.ranges: lastNodeId %d is below firstNodeId %d" (int .lastNodeId) (int .firstNodeId)) }}
{{- end }}
{{- $range := . }}
{{- range $node := untilStep (int .firstNodeId) (add1 (int .lastNodeId) | int) 1 }}
- name: kafka-{{ $node }}
  port: {{ add (int $range.portBase) (sub $node (int $range.firstNodeId)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "sluice-gateway.grace" -}}
{{- add (int .Values.drain.preStopSeconds) (int .Values.drain.deadlineSeconds) 5 -}}
{{- end }}

{{/* Values that Kubernetes would only refuse later, or never. */}}
{{- define "sluice-gateway.check" -}}
{{- if and .Values.kafka.enabled (eq .Values.kafka.routing "sni") (not .Values.kafka.sni.suffix) -}}
{{- fail "kafka.sni.suffix is missing: routing by sni needs the DNS suffix below which virtual clusters and brokers have their names" -}}
{{- end -}}
{{- if and .Values.tls.certManager.enabled .Values.tls.existingSecret -}}
{{- fail "tls.existingSecret and tls.certManager.enabled exclude each other" -}}
{{- end -}}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.issuerRef.name) -}}
{{- fail "tls.certManager.issuerRef.name is missing" -}}
{{- end -}}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.dnsNames) -}}
{{- fail "tls.certManager.dnsNames is empty: name what clients connect to" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) -}}
{{- fail "autoscaling.maxReplicas is below autoscaling.minReplicas" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (not .Values.autoscaling.customMetric.enabled) (eq (int .Values.autoscaling.targetCPUUtilization) 0) -}}
{{- fail "autoscaling has nothing to go by: set targetCPUUtilization, or enable customMetric" -}}
{{- end -}}
{{- $ports := .Values.http.ports -}}
{{- if .Values.kafka.enabled -}}
{{- $ports = concat $ports (include "sluice-gateway.kafkaPorts" . | fromYamlArray) -}}
{{- end -}}
{{- $used := dict "8100" "the port of metrics and health" -}}
{{- range $ports -}}
{{- $port := printf "%d" (int .port) -}}
{{- if hasKey $used $port -}}
{{- fail (printf "port %s is used twice: by %s and by %s" $port (get $used $port) .name) -}}
{{- end -}}
{{- if gt (int .port) 65535 -}}
{{- fail (printf "kafka.ports.ranges: the port of %s would be %s" .name $port) -}}
{{- end -}}
{{- $_ := set $used $port .name -}}
{{- end -}}
{{- range $name, $service := dict "http.service" .Values.http.service "kafka.service" .Values.kafka.service -}}
{{- if and $service.externalTrafficPolicy (eq $service.type "ClusterIP") -}}
{{- fail (printf "%s.externalTrafficPolicy has no meaning with the type ClusterIP" $name) -}}
{{- end -}}
{{- if and $service.loadBalancerSourceRanges (ne $service.type "LoadBalancer") -}}
{{- fail (printf "%s.loadBalancerSourceRanges is only for the type LoadBalancer" $name) -}}
{{- end -}}
{{- end -}}
{{- end }}
