"""Network access to a release: Services, network policies, and an Ingress."""

from collections.abc import Iterator
from typing import Any

from obswarm.kubernetes.release import WEB_PORT, WORKERS_PORT, Release, without_empty


def services(release: Release) -> Iterator[dict[str, Any]]:
    ports = [
        {"name": "web", "port": WEB_PORT, "targetPort": "web"},
        {"name": "workers", "port": WORKERS_PORT, "targetPort": "workers"},
    ]
    # Workers connect to a master that is not ready yet as well: it is ready when it serves.
    spec = {"selector": release.selector("master"), "ports": ports}
    yield release.object("v1", "Service", release.master_name, "master", spec=spec)


def network_policies(release: Release) -> Iterator[dict[str, Any]]:
    policy = release.values["networkPolicy"]
    if not policy["enabled"]:
        return
    of_workers = {
        "from": [{"podSelector": {"matchLabels": release.selector("worker")}}],
        "ports": [{"port": "workers"}],
    }
    # Runs of the release are always let in.
    web_from = [{"podSelector": {"matchLabels": release.selector("run")}}, *policy["webFrom"]]
    of_the_web = {**({"from": web_from} if policy["webFrom"] else {}), "ports": [{"port": "web"}]}
    spec = {
        "podSelector": {"matchLabels": release.selector("master")},
        "policyTypes": ["Ingress"],
        "ingress": [of_workers, of_the_web],
    }
    yield release.object("networking.k8s.io/v1", "NetworkPolicy", release.master_name, "master", spec=spec)
    # Nobody connects to workers.
    spec = {"podSelector": {"matchLabels": release.selector("worker")}, "policyTypes": ["Ingress"]}
    yield release.object("networking.k8s.io/v1", "NetworkPolicy", release.workers_name, "worker", spec=spec)


def ingress(release: Release) -> Iterator[dict[str, Any]]:
    values = release.values["ingress"]
    if not values["enabled"]:
        return
    backend = {"service": {"name": release.master_name, "port": {"name": "web"}}}
    tls = [{"hosts": [values["host"]], "secretName": values["tlsSecret"]}] if values["tlsSecret"] else []
    spec = {
        **without_empty(ingressClassName=values["className"], tls=tls),
        "rules": [
            {"host": values["host"], "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
        ],
    }
    yield release.object(
        "networking.k8s.io/v1",
        "Ingress",
        release.master_name,
        "master",
        annotations=values["annotations"],
        spec=spec,
    )
