"""The documentation's commands for Kubernetes, with stand-ins for the programs that need a cluster."""

import base64
import shlex
from pathlib import Path

import pytest
import yaml

from obswarm.kubernetes import Release, make_objects, read_values
from tests.support.documentation import Shell, snippet
from tests.support.nginx import free_port
from tests.support.patience import HANG_S
from tests.support.programs import ROOT, CountingServer


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """In a folder with the chart and the values of the page; what the stand-ins are given is in files beside them."""
    (tmp_path / "charts").symlink_to(ROOT / "charts")
    (tmp_path / "load.yaml").write_text(snippet("docs/kubernetes.md", "image: {repository").text)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, does in {
        "helm": f'printf "%s\\n" "$@" > {tmp_path}/helm',
        "kubectl": f'case "$*" in *get*) cat {tmp_path}/api-token ;; apply*) cat > {tmp_path}/applied ;; esac',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    shell = Shell(tmp_path, {})
    shell.environment["PATH"] = f"{programs}:{shell.environment['PATH']}"
    return shell


def test_installation(shell: Shell, tmp_path: Path) -> None:
    shell.run_all(snippet("docs/kubernetes.md", "helm install load charts/obswarm"))
    words = (tmp_path / "helm").read_text().split()
    assert words[:3] == ["install", "load", "charts/obswarm"]
    applied = list(yaml.safe_load_all((tmp_path / "applied").read_text()))
    (workers,) = [
        each for each in applied if each["metadata"]["name"] == "load-workers" and each["kind"] == "Deployment"
    ]
    assert workers["spec"]["replicas"] == 20
    (container,) = workers["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("registry.example.com/load/obswarm:")


def test_a_run_from_this_machine(shell: Shell, tmp_path: Path, target: CountingServer) -> None:
    """With a master and a worker that have the arguments and the secrets of the containers, but addresses and folders of
    this machine."""
    port, web_port = free_port(), free_port()
    objects = make_objects(Release("load", "load", read_values()))
    for text, here in {
        "0.0.0.0:5557": f"127.0.0.1:{port}",
        "load-master:5557": f"127.0.0.1:{port}",
        "=0.0.0.0": "=127.0.0.1",
        "=8089": f"={web_port}",
        "/var/lib/obswarm": str(tmp_path),
        "http://127.0.0.1:8089": f"http://127.0.0.1:{web_port}",
    }.items():
        shell.replaced[text] = here
    (secret,) = [each["data"] for each in objects if each["kind"] == "Secret"]
    staying = []
    for each in objects:
        if each["kind"] == "Deployment":
            (container,) = each["spec"]["template"]["spec"]["containers"]
            for variable in container["env"]:
                key = variable["valueFrom"]["secretKeyRef"]["key"]
                shell.environment[variable["name"]] = base64.b64decode(secret[key]).decode()
            staying.append(shell.start(shlex.join(["exec", "obswarm", *container["args"]])))
    (tmp_path / "api-token").write_text(secret["api-token"])
    (tmp_path / "loadtest.py").write_text(
        "from obswarm import FastHttpUser, constant, task\n\n\nclass Visitor(FastHttpUser):\n"
        f"    host = {target.url!r}\n    wait_time = constant(0.1)\n\n"
        "    @task\n    def visit(self):\n        self.client.get('/')\n"
    )
    try:
        _forward, token, run = [command for _, command in snippet("docs/kubernetes.md", "port-forward").commands]
        printed = shell.run(f"{token}; {run}")
    finally:
        for process in staying:
            process.terminate()
        for process in staying:
            process.communicate(timeout=HANG_S)
    assert target.total(), printed


def test_values(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(snippet("docs/kubernetes.md", "monitoring: {serviceMonitor").text)
    assert read_values([file])["monitoring"]["rules"] is True
    (rule,) = yaml.safe_load(snippet("docs/kubernetes.md", "seriesQuery").text)["rules"]["external"]
    scaling = read_values()["workers"]["autoscaling"]
    assert rule["metricsQuery"] == scaling["query"]
    assert rule["name"]["as"] == scaling["externalMetric"]


def test_a_run_in_the_cluster(shell: Shell, tmp_path: Path) -> None:
    shell.run_all(snippet("docs/kubernetes.md", "helm upgrade load charts/obswarm"))
    words = (tmp_path / "helm").read_text().splitlines()
    assert words[-1] == "run.options={--users=20000,--run-time=10m}"
    assert "loadtests.files.loadtest\\.py=loadtest.py" in words
