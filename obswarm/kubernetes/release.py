"""A release: its name, namespace and values, and what all of its objects have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from obswarm import __version__
from obswarm.kubernetes.values import Values

WEB_PORT = 8089
WORKERS_PORT = 5557
STATE_FOLDER = "/var/lib/obswarm"
LOADTESTS_FOLDER = "/loadtests"


@dataclass(frozen=True, slots=True)
class Release:
    """`name` and `namespace` as for `helm install NAME --namespace NAMESPACE`; `values` are checked ones."""

    name: str
    namespace: str
    values: Values

    @property
    def fullname(self) -> str:
        fullname: str = self.values["fullnameOverride"] or self.name
        return fullname

    @property
    def image(self) -> str:
        image = self.values["image"]
        return f"{image['repository']}:{image['tag'] or __version__}"

    @property
    def secret_name(self) -> str:
        return str(self.values["secrets"]["existing"]) or self.fullname

    @property
    def master_name(self) -> str:
        return f"{self.fullname}-master"

    @property
    def workers_name(self) -> str:
        return f"{self.fullname}-workers"

    def selector(self, component: str) -> dict[str, str]:
        """Labels that never change."""
        return {
            "app.kubernetes.io/name": "obswarm",
            "app.kubernetes.io/instance": self.name,
            "app.kubernetes.io/component": component,
        }

    def labels(self, component: str) -> dict[str, str]:
        return {
            **self.selector(component),
            "app.kubernetes.io/version": __version__,
            "app.kubernetes.io/managed-by": "obswarm",
        }

    def object(
        self,
        api_version: str,
        kind: str,
        name: str,
        component: str,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        **content: Any,
    ) -> dict[str, Any]:
        """Return an object with the labels that all have, and further ones."""
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": self.namespace,
            "labels": {**self.labels(component), **(labels or {})},
        }
        if annotations:
            metadata["annotations"] = dict(annotations)
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def without_empty(**content: Any) -> dict[str, Any]:
    """Return what is not empty: optional fields that have no value."""
    return {name: value for name, value in content.items() if value not in ("", None, [], {})}
