"""The Deployments of the master and the workers, and the Job of a run."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from obswarm.kubernetes.release import LOADTESTS_FOLDER, STATE_FOLDER, WEB_PORT, WORKERS_PORT, Release, without_empty

_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_TEMPORARY = {"name": "tmp", "mountPath": "/tmp"}
_TOKENS = {"OBSWARM_SECRET": "secret", "OBSWARM_API_TOKEN": "api-token", "OBSWARM_ALERTS_TOKEN": "alerts-token"}


def master(release: Release) -> dict[str, Any]:
    """One master; a new one is started when the old one has ended, since both would use the same volume."""
    values = release.values["master"]
    container = {
        **_container(release, "master", values["resources"]),
        "args": [
            "master",
            "--serve",
            f"--bind=0.0.0.0:{WORKERS_PORT}",
            "--metrics-addr=0.0.0.0",
            f"--web-port={WEB_PORT}",
            "--hand-over",
            f"--orphan-timeout={values['orphanTimeout']}",
            f"--state={STATE_FOLDER}/master.run",
            f"--store={STATE_FOLDER}/store",
            *_named_hosts(release),
            *values["options"],
        ],
        "env": [
            *_from_secret(release, *_TOKENS),
            *_given("OBSWARM_PROMETHEUS_URL", release.values["prometheusUrl"]),
            *_given("OBSWARM_HOST", release.values["host"]),
            *values["env"],
        ],
        "ports": [
            {"name": "web", "containerPort": WEB_PORT},
            {"name": "workers", "containerPort": WORKERS_PORT},
        ],
        "startupProbe": {**_healthy(), "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {**_healthy(), "periodSeconds": 5, "timeoutSeconds": 2},
        "livenessProbe": {**_healthy(), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "volumeMounts": [{"name": "state", "mountPath": STATE_FOLDER}, _TEMPORARY, *_loadtests_mount(release)],
    }
    state: dict[str, Any] = {"name": "state"}
    if values["storage"]["persistent"]:
        state["persistentVolumeClaim"] = {"claimName": release.master_name}
    else:
        state["emptyDir"] = {}
    spec = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": release.selector("master")},
        "template": _template(release, "master", values, container, [state, *_loadtests_volume(release)]),
    }
    return release.object("apps/v1", "Deployment", release.master_name, "master", spec=spec)


def workers(release: Release) -> dict[str, Any]:
    """Without a liveness probe: a worker whose master is away keeps its statistics, and a restart would lose them."""
    values = release.values["workers"]
    container = {
        **_container(release, "worker", values["resources"]),
        "args": [
            "worker",
            "--serve",
            f"--master={release.master_name}:{WORKERS_PORT}",
            f"--processes={values['processes']}",
            f"--give-up-after={values['giveUpAfter']}",
            *values["options"],
        ],
        "env": [*_from_secret(release, "OBSWARM_SECRET"), *values["env"]],
        "readinessProbe": {"exec": {"command": ["obswarm-healthy"]}, "periodSeconds": 5, "timeoutSeconds": 2},
        "volumeMounts": [_TEMPORARY, *_loadtests_mount(release)],
    }
    spec = {
        # An autoscaler sets their number; a number here would set it back at each upgrade.
        **({} if values["autoscaling"]["kind"] else {"replicas": values["replicas"]}),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
        "selector": {"matchLabels": release.selector("worker")},
        "template": _template(release, "worker", values, container, _loadtests_volume(release)),
    }
    if values["spread"]:
        spec["template"]["spec"]["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": release.selector("worker")},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ]
    return release.object("apps/v1", "Deployment", release.workers_name, "worker", spec=spec)


def run(release: Release) -> Iterator[dict[str, Any]]:
    """A Job that submits a run to the master and ends as it does. A run that failed is not repeated."""
    values = release.values["run"]
    if not values["enabled"]:
        return
    container = {
        **_container(release, "run", values["resources"]),
        "args": [
            "run",
            f"{LOADTESTS_FOLDER}/{values['loadtest']}",
            f"--master=http://{release.master_name}:{WEB_PORT}",
            "--headless",
            *values["options"],
        ],
        "env": [
            *_from_secret(release, "OBSWARM_API_TOKEN"),
            *_given("OBSWARM_HOST", release.values["host"]),
            {"name": "OBSWARM_STORE", "value": "/tmp/obswarm"},
        ],
        "volumeMounts": [_TEMPORARY, *_loadtests_mount(release)],
    }
    template = _template(release, "run", {"terminationGracePeriodSeconds": 60}, container, _loadtests_volume(release))
    template["spec"]["restartPolicy"] = "Never"
    # A Job's template cannot be changed: one with other options is another Job.
    name = f"{release.fullname}-run-{_digest(release)}"
    spec = {
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": values["ttlSecondsAfterFinished"],
        "template": template,
    }
    yield release.object("batch/v1", "Job", name, "run", spec=spec)


def _digest(release: Release) -> str:
    values = release.values
    content = [release.image, values["host"], values["loadtests"], values["run"]]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()[:8]


def _template(
    release: Release, component: str, values: Mapping[str, Any], container: Any, volumes: list[Any]
) -> dict[str, Any]:
    common = release.values
    metadata = {"labels": release.labels(component), **without_empty(annotations=values.get("podAnnotations"))}
    spec = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": common["podSecurityContext"],
        "terminationGracePeriodSeconds": values["terminationGracePeriodSeconds"],
        **without_empty(
            imagePullSecrets=[{"name": name} for name in common["image"]["pullSecrets"]],
            priorityClassName=common["priorityClassName"],
            nodeSelector=values.get("nodeSelector"),
            tolerations=values.get("tolerations"),
            affinity=values.get("affinity"),
            initContainers=_clone(release),
        ),
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}, *volumes],
    }
    return {"metadata": metadata, "spec": spec}


def _container(release: Release, name: str, resources: Any) -> dict[str, Any]:
    return {
        "name": name,
        "image": release.image,
        "imagePullPolicy": release.values["image"]["pullPolicy"],
        "securityContext": _SECURITY,
        "resources": resources,
    }


def _clone(release: Release) -> list[dict[str, Any]]:
    """Containers that get load tests from git before the others start."""
    git = release.values["loadtests"]["git"]
    if not git["url"]:
        return []
    commands = 'git clone --quiet "$URL" /loadtests && git -C /loadtests checkout --quiet "$REF"'
    return [
        {
            "name": "loadtests",
            "image": git["image"],
            "command": ["sh", "-ec", commands],
            "env": [{"name": "URL", "value": git["url"]}, {"name": "REF", "value": git["ref"]}, _home()],
            "securityContext": _SECURITY,
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
            "volumeMounts": [_TEMPORARY, {"name": "loadtests", "mountPath": LOADTESTS_FOLDER}],
        }
    ]


def _home() -> dict[str, str]:
    return {"name": "HOME", "value": "/tmp"}


def _loadtests_volume(release: Release) -> list[dict[str, Any]]:
    source = release.values["loadtests"]
    if source["git"]["url"]:
        return [{"name": "loadtests", "emptyDir": {}}]
    name = source["configMap"] or (f"{release.fullname}-loadtests" if source["files"] else "")
    return [{"name": "loadtests", "configMap": {"name": name}}] if name else []


def _loadtests_mount(release: Release) -> list[dict[str, Any]]:
    mount = {"name": "loadtests", "mountPath": LOADTESTS_FOLDER, "readOnly": True}
    return [mount] if _loadtests_volume(release) else []


def _from_secret(release: Release, *variables: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": release.secret_name, "key": _TOKENS[name]}}}
        for name in variables
    ]


def _given(name: str, value: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value}] if value else []


def _named_hosts(release: Release) -> list[str]:
    """Names of the web server for clients outside of the cluster; those of Services are allowed."""
    ingress = release.values["ingress"]
    return [f"--allowed-host={ingress['host']}"] if ingress["enabled"] else []


def _healthy() -> dict[str, Any]:
    return {"httpGet": {"path": "/healthz", "port": "web"}}
