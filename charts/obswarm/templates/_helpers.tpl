{{- define "obswarm.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name -}}
{{- end -}}

{{- define "obswarm.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "obswarm.secret" -}}
{{- .Values.secrets.existing | default (include "obswarm.fullname" .) -}}
{{- end -}}

{{/* Labels that never change; the argument is a list of the context and the component. */}}
{{- define "obswarm.selector" -}}
app.kubernetes.io/name: obswarm
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "obswarm.labels" -}}
{{ include "obswarm.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end -}}

{{/* Metadata of an object; the argument is a list of the context, the object's name and the component. */}}
{{- define "obswarm.metadata" -}}
name: {{ index . 1 }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "obswarm.labels" (list (index . 0) (index . 2)) | nindent 2 }}
{{- end -}}

{{- define "obswarm.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Variables from the secret; the argument is a list of the context and the keys. */}}
{{- define "obswarm.secretVariables" -}}
{{- $name := include "obswarm.secret" (index . 0) -}}
{{- range $key := rest . }}
- name: {{ get (dict "secret" "OBSWARM_SECRET" "api-token" "OBSWARM_API_TOKEN" "alerts-token" "OBSWARM_ALERTS_TOKEN") $key }}
  valueFrom: {secretKeyRef: {name: {{ $name }}, key: {{ $key }}}}
{{- end }}
{{- end -}}

{{- define "obswarm.loadtestsSource" -}}
{{- if .Values.loadtests.git.url -}}
emptyDir: {}
{{- else if .Values.loadtests.configMap -}}
configMap: {name: {{ .Values.loadtests.configMap }}}
{{- else if .Values.loadtests.files -}}
configMap: {name: {{ include "obswarm.fullname" . }}-loadtests}
{{- end -}}
{{- end -}}

{{- define "obswarm.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if include "obswarm.loadtestsSource" . }}
- {name: loadtests, mountPath: /loadtests, readOnly: true}
{{- end }}
{{- end -}}

{{- define "obswarm.volumes" -}}
{{- with include "obswarm.loadtestsSource" . }}
- name: loadtests
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "obswarm.container" -}}
image: {{ include "obswarm.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "obswarm.security" . | nindent 2 }}
{{- end -}}

{{/* What all pods have; the argument is a list of the context and the values of the component. */}}
{{- define "obswarm.pod" -}}
{{- $context := index . 0 -}}
{{- $values := index . 1 -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml $context.Values.podSecurityContext | nindent 2 }}
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
{{- with $context.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $context.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $context.Values.loadtests.git }}
{{- if .url }}
initContainers:
  - name: loadtests
    image: {{ .image | quote }}
    command: [sh, -ec, 'git clone --quiet "$URL" /loadtests && git -C /loadtests checkout --quiet "$REF"']
    env:
      - {name: URL, value: {{ .url | quote }}}
      - {name: REF, value: {{ .ref | quote }}}
      - {name: HOME, value: /tmp}
    securityContext:
      {{- include "obswarm.security" $context | nindent 6 }}
    resources:
      requests: {cpu: 50m, memory: 64Mi}
      limits: {memory: 256Mi}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      - {name: loadtests, mountPath: /loadtests}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the schema cannot say. */}}
{{- define "obswarm.check" -}}
{{- $sources := list -}}
{{- if .Values.loadtests.files }}{{ $sources = append $sources "files" }}{{ end -}}
{{- if .Values.loadtests.configMap }}{{ $sources = append $sources "configMap" }}{{ end -}}
{{- if .Values.loadtests.git.url }}{{ $sources = append $sources "git" }}{{ end -}}
{{- if gt (len $sources) 1 -}}
{{- fail (printf "loadtests: %s are given; give one of them." (join " and " $sources)) -}}
{{- end -}}
{{- if and .Values.run.enabled (not $sources) -}}
{{- fail "run: there are no loadtests that it could run; set loadtests.files." -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress: it needs a host." -}}
{{- end -}}
{{- with .Values.workers.autoscaling -}}
{{- if lt (int .maxReplicas) (int .minReplicas) -}}
{{- fail "workers.autoscaling: maxReplicas is below minReplicas." -}}
{{- end -}}
{{- end -}}
{{- end -}}
