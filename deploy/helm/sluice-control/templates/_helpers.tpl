{{- define "sluice-control.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* 50 characters leave room for suffixes and for what Kubernetes adds to a pod's name. */}}
{{- define "sluice-control.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "sluice-control.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sluice-control.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "sluice-control.selector" -}}
app.kubernetes.io/name: {{ include "sluice-control.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sluice-control.labels" -}}
{{ include "sluice-control.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: control
app.kubernetes.io/part-of: sluice
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sluice-control.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sluice-control.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "sluice-control.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{- define "sluice-control.tlsSecret" -}}
{{- if .Values.adminTls.existingSecret -}}
{{- .Values.adminTls.existingSecret -}}
{{- else if .Values.adminTls.certManager.enabled -}}
{{- printf "%s-admin-tls" (include "sluice-control.fullname" .) -}}
{{- end -}}
{{- end }}

{{- define "sluice-control.adminUrl" -}}
{{- $scheme := ternary "https" "http" (ne (include "sluice-control.tlsSecret" .) "") -}}
{{- printf "%s://%s.%s.svc:%d" $scheme (include "sluice-control.fullname" .) .Release.Namespace (int .Values.service.admin.port) -}}
{{- end }}

{{- define "sluice-control.gatewaysHost" -}}
{{- printf "%s-gateways.%s.svc" (include "sluice-control.fullname" .) .Release.Namespace -}}
{{- end }}

{{- define "sluice-control.enrolment" -}}
{{- default (printf "%s:8006" (include "sluice-control.gatewaysHost" .)) .Values.advertise.enrolment -}}
{{- end }}

{{/* The control plane's YAML file: the user's settings, and over them what the chart decides. */}}
{{- define "sluice-control.settings" -}}
{{- $host := include "sluice-control.gatewaysHost" . -}}
{{- $names := concat (list $host (printf "%s.cluster.local" $host)) .Values.serverNames -}}
{{- $own := dict
      "data-dir" "/var/lib/sluice-control"
      "bootstrap-token-file" "/var/lib/sluice-control/bootstrap-token"
      "admin-address" ":8001"
      "grpc-address" ":8005"
      "grpc-advertise" (default (printf "%s:8005" $host) .Values.advertise.config)
      "enrolment-address" ":8006"
      "enrolment-advertise" (include "sluice-control.enrolment" .)
      "node" (dict "server-names" (join "," $names))
      "backup" (dict "interval" .Values.backup.interval "keep" (int .Values.backup.keep))
      "log-level" .Values.logLevel
      "shutdown-grace" (printf "%ds" (int .Values.shutdownGraceSeconds)) -}}
{{- $portal := dict "enabled" .Values.portal.enabled -}}
{{- if .Values.portal.enabled -}}
{{- $_ := set $portal "address" ":8002" -}}
{{- $_ := set $portal "public-url" (required "portal.publicUrl is missing: how browsers reach the portal, such as https://portal.example.com" .Values.portal.publicUrl) -}}
{{- if .Values.portal.tlsSecret -}}
{{- $_ := set $own "portal-tls" (dict "certificate-file" "/etc/sluice/portal-tls/tls.crt" "key-file" "/etc/sluice/portal-tls/tls.key") -}}
{{- end -}}
{{- end -}}
{{- $_ := set $own "portal" $portal -}}
{{- if .Values.masterKey.existingSecret -}}
{{- $_ := set $own "master-key-file" "/etc/sluice/master-key/master.key" -}}
{{- end -}}
{{- if include "sluice-control.tlsSecret" . -}}
{{- $_ := set $own "admin-tls" (dict "certificate-file" "/etc/sluice/admin-tls/tls.crt" "key-file" "/etc/sluice/admin-tls/tls.key") -}}
{{- end -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.settings) $own) -}}
{{- end }}

{{/* Values that Kubernetes would only refuse later, or never. */}}
{{- define "sluice-control.check" -}}
{{- if and .Values.adminTls.certManager.enabled .Values.adminTls.existingSecret -}}
{{- fail "adminTls.existingSecret and adminTls.certManager.enabled exclude each other" -}}
{{- end -}}
{{- if and .Values.adminTls.certManager.enabled (not .Values.adminTls.certManager.issuerRef.name) -}}
{{- fail "adminTls.certManager.issuerRef.name is missing" -}}
{{- end -}}
{{- end }}
