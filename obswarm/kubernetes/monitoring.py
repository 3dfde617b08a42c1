"""Objects for the Prometheus Operator and Grafana's sidecar: monitors, rules, dashboards."""

from collections.abc import Iterator
from typing import Any

from obswarm.kubernetes.release import Release
from obswarm.resources import shipped

_API = "monitoring.coreos.com/v1"


def monitors(release: Release) -> Iterator[dict[str, Any]]:
    values = release.values["monitoring"]
    endpoint = {"port": "web", "path": "/metrics", "interval": values["interval"]}
    spec = {"selector": {"matchLabels": release.selector("master")}}
    for wanted, kind, endpoints in (
        (values["serviceMonitor"], "ServiceMonitor", "endpoints"),
        (values["podMonitor"], "PodMonitor", "podMetricsEndpoints"),
    ):
        if wanted:
            yield release.object(
                _API, kind, release.master_name, "master", values["labels"], spec={**spec, endpoints: [endpoint]}
            )


def rules(release: Release) -> Iterator[dict[str, Any]]:
    import yaml

    values = release.values["monitoring"]
    if values["rules"]:
        for name in ("recording", "alerts"):
            content = yaml.safe_load((shipped("dashboards") / "rules" / f"{name}.yml").read_text(encoding="utf-8"))
            yield release.object(
                _API, "PrometheusRule", f"{release.fullname}-{name}", "rules", values["labels"], spec=content
            )


def dashboards(release: Release) -> Iterator[dict[str, Any]]:
    values = release.values["monitoring"]
    if values["dashboards"]:
        for file in sorted((shipped("dashboards") / "json").glob("*.json")):
            yield release.object(
                "v1",
                "ConfigMap",
                f"{release.fullname}-{file.stem.removeprefix('obswarm-')}",
                "dashboards",
                {values["dashboardsLabel"]: "1"},
                data={file.name: file.read_text(encoding="utf-8")},
            )
