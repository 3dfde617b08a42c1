"""Objects of releases: as Helm makes them from the chart, valid by the schemas of Kubernetes' versions, and hardened."""

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

from obswarm.cli.main import cli
from obswarm.kubernetes import Release, ValuesError, as_yaml, make_objects, read_values
from obswarm.kubernetes.values import chart
from tests.support.kubernetes_releases import (
    NAME,
    NAMESPACE,
    RECORDED,
    REFUSED,
    RELEASES,
    SECRETS,
    comparable,
    digest_of_chart,
    every_release,
)
from tests.support.programs import ROOT

NEWEST = int(kubernetes_validate.latest_version().split(".")[1])
VERSIONS = [f"1.{minor}" for minor in range(NEWEST - 2, NEWEST + 1)]
CUSTOM = ("ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject")
"""Kinds of others, whose schemas are not Kubernetes'."""


def made(tmp_path: Any, values: Any) -> list[dict[str, Any]]:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    return make_objects(Release(NAME, NAMESPACE, read_values([file])))


@pytest.fixture(scope="module")
def by_helm() -> dict[str, Any]:
    recorded = json.loads(gzip.decompress((RECORDED / "helm.json.gz").read_bytes()))
    assert recorded["chart"] == digest_of_chart(), "the chart has changed: make lab-kubernetes records it again"
    releases: dict[str, Any] = recorded["releases"]
    return releases


@pytest.mark.parametrize("name", RELEASES)
def test_as_helm_makes_them(tmp_path: Any, by_helm: dict[str, Any], name: str) -> None:
    releases = every_release()
    assert set(by_helm) == set(releases)
    for combination in (each for each in releases if each.split("+")[0] == name):
        assert comparable(made(tmp_path, releases[combination])) == by_helm[combination], combination


@pytest.mark.parametrize("version", VERSIONS)
def test_valid_by_the_schemas(tmp_path: Any, version: str) -> None:
    different = {
        json.dumps(each): each
        for values in RELEASES.values()
        for each in made(tmp_path, {**values, "secrets": values.get("secrets", SECRETS)})
        if each["kind"] not in CUSTOM
    }
    for each in different.values():
        kubernetes_validate.validate(each, version, strict=True)


def pods(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for each in objects:
        if "template" in each.get("spec", {}):
            yield each["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", RELEASES)
def test_pods_meet_the_restricted_pod_security_standard(tmp_path: Any, name: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    found = list(pods(made(tmp_path, RELEASES[name])))
    assert len(found) >= 2
    for pod in found:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert all({"emptyDir", "configMap", "persistentVolumeClaim"} & volume.keys() for volume in pod["volumes"])
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert "requests" in container["resources"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted <= {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_values(tmp_path: Any, name: str) -> None:
    values, message = REFUSED[name]
    with pytest.raises(ValuesError, match="Values of the release, ") as refused:
        made(tmp_path, values)
    assert message in str(refused.value)


def test_secrets_are_random_and_long() -> None:
    values = read_values()
    first, second = (make_objects(Release(NAME, NAMESPACE, values))[0]["data"] for _ in range(2))
    assert set(first) == {"secret", "api-token", "alerts-token"}
    texts = [base64.b64decode(text) for text in (*first.values(), *second.values())]
    assert len(set(texts)) == 6
    assert min(map(len, texts)) >= 32


def test_a_job_with_other_options_is_another_one(tmp_path: Any) -> None:
    names = set()
    for options in ([], ["--users=2"], ["--users=3"]):
        objects = made(tmp_path, {"loadtests": {"configMap": "a"}, "run": {"enabled": True, "options": options}})
        names.add(objects[-1]["metadata"]["name"])
    assert len(names) == 3


def test_values_of_the_command_line_override_those_of_files_and_later_ones_earlier_ones(tmp_path: Any) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text("workers: {replicas: 3, processes: 2}\nhost: http://one.example.com\n")
    other.write_text("workers: {replicas: 4}\n")
    values = read_values([one, other], ["workers.replicas=5", "master.options=[--balance=equal]", "host="])
    assert values["workers"]["replicas"] == 5
    assert values["workers"]["processes"] == 2
    assert values["master"]["options"] == ["--balance=equal"]
    assert values["host"] == ""


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a: [", "not YAML"),
        ("- 1", "has to be a mapping"),
        (None, "cannot be read: No such file or directory"),
        ("workers: {replicas: many}", "workers.replicas: 'many' is not of type 'integer'"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Any, content: str | None, sentence: str) -> None:
    file = tmp_path / "values.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValuesError, match=sentence.replace("[", r"\[")):
        read_values([file])


@pytest.mark.parametrize("setting", ["workers", "=1", "workers..replicas=1", "workers.replicas=["])
def test_settings_that_cannot_be_used(setting: str) -> None:
    with pytest.raises(ValuesError, match="^--set "):
        read_values([], [setting])


def test_yaml_gives_the_same_objects() -> None:
    objects = make_objects(Release(NAME, NAMESPACE, read_values([], ["monitoring.dashboards=true"])))
    assert list(yaml.safe_load_all(as_yaml(objects))) == objects


def test_the_chart_has_the_version_of_the_package() -> None:
    from obswarm import __version__

    about = yaml.safe_load((chart() / "Chart.yaml").read_text())
    assert (about["version"], about["appVersion"]) == (__version__, __version__)


@pytest.mark.parametrize("name", RELEASES)
def test_the_command_lines_of_containers_are_ones_of_obswarm(tmp_path: Any, name: str) -> None:
    for pod in pods(made(tmp_path, RELEASES[name])):
        (container,) = pod["containers"]
        command, *words = container["args"]
        context = cli.commands[command].make_context(command, words)
        assert context.params
        context.close()


@pytest.mark.parametrize(("folder", "ending"), [("json", "*.json"), ("rules", "*.yml")])
def test_the_chart_has_all_dashboards_and_rules(folder: str, ending: str) -> None:
    linked = {each.name: each.read_bytes() for each in (chart() / "files").glob(f"*/{ending}")}
    assert linked == {each.name: each.read_bytes() for each in (ROOT / "dashboards" / folder).glob(ending)}
