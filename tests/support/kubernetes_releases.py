"""Releases on Kubernetes with all kinds of values: the chart's templates and obswarm's own objects have to agree on each."""

import hashlib
import itertools
import json
from collections.abc import Mapping
from typing import Any

import yaml

from tests.support.programs import ROOT

CHART = ROOT / "charts" / "obswarm"
RECORDED = ROOT / "tests" / "data" / "kubernetes"
NAME, NAMESPACE = "load", "tests"
SECRETS = {"secret": "one", "apiToken": "two", "alertsToken": "three"}
FILES = {"loadtest.py": "from obswarm import FastHttpUser  # <&>\n", "größe.py": "# {{ not a template }}\n"}

RELEASES: Mapping[str, Mapping[str, Any]] = {
    "defaults": {},
    "named": {"fullnameOverride": "other", "image": {"repository": "registry.example.com/a/obswarm", "tag": "9"}},
    "private": {"image": {"pullSecrets": ["one", "two"], "pullPolicy": "Always"}, "priorityClassName": "low"},
    "existing-secret": {"secrets": {"existing": "made-elsewhere"}},
    "config-map": {"loadtests": {"configMap": "made-elsewhere"}},
    "run": {
        "loadtests": {"files": FILES},
        "host": "https://shop.example.com/?a=1&b=<2>",
        "run": {"enabled": True, "options": ["--users=10", "--require=p95 < 300ms", 'a "quoted" one']},
    },
    "git": {
        "loadtests": {"git": {"url": "https://git.example.com/a.git", "ref": "v1"}},
        "run": {"enabled": True, "loadtest": "tests/loadtest.py", "ttlSecondsAfterFinished": 0},
    },
    "ephemeral": {"master": {"storage": {"persistent": False}}},
    "storage": {"master": {"storage": {"size": "20Gi", "className": "fast"}}},
    "options": {
        "prometheusUrl": "http://prometheus.monitoring:9090",
        "master": {"options": ["--balance=equal"], "env": [{"name": "A", "value": "b: c"}]},
        "workers": {"options": ["--loglevel=debug"], "env": [{"name": "A", "value": "1"}], "processes": 4},
    },
    "placed": {
        "master": {
            "nodeSelector": {"pool": "load"},
            "tolerations": [{"key": "load", "operator": "Exists", "effect": "NoSchedule"}],
            "podAnnotations": {"a.example.com/b": "true"},
        },
        "workers": {
            "replicas": 0,
            "spread": False,
            "maxUnavailable": "",
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
            "tolerations": [{"operator": "Exists"}],
            "podAnnotations": {"a": "1"},
        },
    },
    "half": {"workers": {"maxUnavailable": "50%", "replicas": 100}},
    "hpa": {"workers": {"autoscaling": {"kind": "hpa", "minReplicas": 1, "maxReplicas": 100}}},
    "keda": {"workers": {"autoscaling": {"kind": "keda"}}},
    "monitored": {
        "monitoring": {"serviceMonitor": True, "podMonitor": True, "rules": True, "dashboards": True, "interval": "1s"}
    },
    "unlabelled": {"monitoring": {"labels": {"release": None}, "serviceMonitor": True, "rules": True}},
    "open": {"networkPolicy": {"enabled": False}},
    "closed": {"networkPolicy": {"webFrom": [{"namespaceSelector": {"matchLabels": {"team": "sre"}}}]}},
    "ingress": {
        "ingress": {
            "enabled": True,
            "host": "load.example.com",
            "className": "nginx",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-read-timeout": "3600"},
            "tlsSecret": "load-tls",
        }
    },
    "plain-ingress": {"ingress": {"enabled": True, "host": "load.example.com"}},
}

REFUSED: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "two sources": (
        {"loadtests": {"files": FILES, "git": {"url": "https://git.example.com/a.git"}}},
        "loadtests: files and git are given; give one of them.",
    ),
    "nothing to run": ({"run": {"enabled": True}}, "run: there are no loadtests that it could run"),
    "no host": ({"ingress": {"enabled": True}}, "ingress: it needs a host."),
    "the least is above the most": (
        {"workers": {"autoscaling": {"minReplicas": 5, "maxReplicas": 4}}},
        "workers.autoscaling: maxReplicas is below minReplicas.",
    ),
    "another key": ({"workers": {"replicaz": 1}}, "workers"),
    "another type": ({"workers": {"replicas": "many"}}, "replicas"),
    "a key taken away": ({"workers": {"replicas": None}}, "replicas"),
}
"""Values that both refuse, and what stands in their message."""


def every_release() -> dict[str, dict[str, Any]]:
    """Releases by name, with values of their own for the secrets, which would be random. Besides the ones above, all pairs
    of those that have no key in common."""
    found = {name: dict(values) for name, values in RELEASES.items()}
    for (one, left), (other, right) in itertools.combinations(RELEASES.items(), 2):
        if left and right and not left.keys() & right.keys():
            found[f"{one}+{other}"] = {**left, **right}
    for values in found.values():
        values.setdefault("secrets", SECRETS)
    return found


def comparable(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Objects by kind and name, without the labels that name their maker; a dashboard or a file of rules that is as it
    ships is only named, so that what was recorded outlives changes of it."""
    found = {}
    for each in json.loads(json.dumps(objects)):
        for name, text in each.get("data", {}).items():
            file = ROOT / "dashboards" / "json" / name
            if file.exists() and text == file.read_text():
                each["data"][name] = "as it ships"
        if each["kind"] == "PrometheusRule":
            file = ROOT / "dashboards" / "rules" / f"{each['metadata']['name'].rpartition('-')[2]}.yml"
            if each["spec"] == yaml.safe_load(file.read_text()):
                each["spec"] = {"groups": "as they ship"}
        for labels in (each["metadata"]["labels"], _template_labels(each)):
            labels.pop("helm.sh/chart", None)
            labels.pop("app.kubernetes.io/managed-by", None)
        found[f"{each['kind']}/{each['metadata']['name']}"] = each
    return found


def _template_labels(each: dict[str, Any]) -> dict[str, str]:
    labels: dict[str, str] = each.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})
    return labels


def digest_of_chart() -> str:
    """Of the files that Helm reads, but for those that other folders ship as well: whether what was recorded is of this
    chart."""
    digest = hashlib.sha256()
    for path in sorted(path for path in CHART.rglob("*") if path.is_file() and "files" not in path.parts):
        digest.update(str(path.relative_to(CHART)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
