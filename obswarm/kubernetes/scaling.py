"""Autoscaling of workers, and their disruption budget."""

from collections.abc import Iterator
from typing import Any

from obswarm.kubernetes.release import Release


def autoscaling(release: Release) -> Iterator[dict[str, Any]]:
    values = release.values["workers"]["autoscaling"]
    name = release.workers_name
    match values["kind"]:
        case "hpa":
            metric = {
                "type": "External",
                "external": {
                    "metric": {"name": values["externalMetric"]},
                    "target": {"type": "AverageValue", "averageValue": "1"},
                },
            }
            spec = {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "minReplicas": values["minReplicas"],
                "maxReplicas": values["maxReplicas"],
                "metrics": [metric],
                # A run has the workers that it has needed until it ends.
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 1800}},
            }
            yield release.object("autoscaling/v2", "HorizontalPodAutoscaler", name, "worker", spec=spec)
        case "keda":
            trigger = {
                "type": "prometheus",
                "metadata": {
                    "serverAddress": values["prometheusUrl"],
                    "query": values["query"],
                    "threshold": "1",
                },
            }
            spec = {
                "scaleTargetRef": {"name": name},
                "minReplicaCount": values["minReplicas"],
                "maxReplicaCount": values["maxReplicas"],
                "advanced": {
                    "horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 1800}}}
                },
                "triggers": [trigger],
            }
            yield release.object("keda.sh/v1alpha1", "ScaledObject", name, "worker", spec=spec)


def disruption_budget(release: Release) -> Iterator[dict[str, Any]]:
    most = release.values["workers"]["maxUnavailable"]
    if most != "":
        spec = {"maxUnavailable": most, "selector": {"matchLabels": release.selector("worker")}}
        yield release.object("policy/v1", "PodDisruptionBudget", release.workers_name, "worker", spec=spec)
