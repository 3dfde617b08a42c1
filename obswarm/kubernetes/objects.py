"""The objects of a release, in the order in which they are applied."""

from collections.abc import Iterable, Iterator
from typing import Any

from obswarm.kubernetes.access import ingress, network_policies, services
from obswarm.kubernetes.monitoring import dashboards, monitors, rules
from obswarm.kubernetes.release import Release
from obswarm.kubernetes.scaling import autoscaling, disruption_budget
from obswarm.kubernetes.storage import load_tests, secret, volume_claim
from obswarm.kubernetes.workloads import master, run, workers

Object = dict[str, Any]


def make_objects(release: Release) -> list[Object]:
    """Return the Kubernetes objects of a release, each as it stands in JSON or YAML."""
    return list(_objects(release))


def as_yaml(objects: Iterable[Object]) -> str:
    """Return objects as one YAML file of several documents."""
    import yaml

    return str(yaml.safe_dump_all(objects, sort_keys=False, width=120, allow_unicode=True, explicit_start=True))


def _objects(release: Release) -> Iterator[Object]:
    yield from secret(release)
    yield from load_tests(release)
    yield from volume_claim(release)
    yield from services(release)
    yield master(release)
    yield workers(release)
    yield from autoscaling(release)
    yield from disruption_budget(release)
    yield from network_policies(release)
    yield from ingress(release)
    yield from monitors(release)
    yield from rules(release)
    yield from dashboards(release)
    yield from run(release)
