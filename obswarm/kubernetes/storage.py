"""Secrets, load tests, and the volume of the master."""

import base64
import secrets
from collections.abc import Iterator
from typing import Any

from obswarm.kubernetes.release import Release, without_empty

_SECRET_BYTES = 32


def secret(release: Release) -> Iterator[dict[str, Any]]:
    """Random values where none are given; `obswarm k8s apply` keeps those that the cluster has."""
    given = release.values["secrets"]
    if given["existing"]:
        return
    texts = {"secret": given["secret"], "api-token": given["apiToken"], "alerts-token": given["alertsToken"]}
    data = {
        name: base64.b64encode((text or secrets.token_urlsafe(_SECRET_BYTES)).encode()).decode()
        for name, text in texts.items()
    }
    yield release.object("v1", "Secret", release.fullname, "secret", type="Opaque", data=data)


def load_tests(release: Release) -> Iterator[dict[str, Any]]:
    files = release.values["loadtests"]["files"]
    if files:
        yield release.object("v1", "ConfigMap", f"{release.fullname}-loadtests", "loadtests", data=dict(files))


def volume_claim(release: Release) -> Iterator[dict[str, Any]]:
    storage = release.values["master"]["storage"]
    if storage["persistent"]:
        yield release.object(
            "v1",
            "PersistentVolumeClaim",
            release.master_name,
            "master",
            spec={
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": storage["size"]}},
                **without_empty(storageClassName=storage["className"]),
            },
        )
