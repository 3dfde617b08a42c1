"""Whatever of docker is missing, all commands of the stack say so in a sentence."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from obswarm.cli import stack as module
from obswarm.cli import up
from obswarm.cli.main import cli
from obswarm.stack import Compose, Project, StackError

WITHOUT_PLUGIN = """
[ "$2" = version ] && { echo "docker: 'compose' is not a docker command." >&2; exit 1; }
echo "unknown flag: --project-name" >&2
exit 125
"""
OLD_WITHOUT_PLUGIN = 'echo "unknown flag: --short" >&2; exit 125'


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker command; write a shell script into it."""
    (tmp_path / "bin").mkdir()
    path = tmp_path / "bin" / "docker"
    path.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.setenv("OBSWARM_STATE_HOME", str(tmp_path / "state"))
    return path


def write(docker: Path, script: str) -> None:
    docker.write_text(f"#!/bin/sh\n{script}\n")


def test_the_plugins_version(docker: Path) -> None:
    write(docker, "echo 2.20.0")
    assert Compose(Project()).version == "2.20.0"
    write(docker, "echo 2.19.1")
    with pytest.raises(StackError, match="Compose 2.19.1 is too old; obswarm needs 2.20 or later"):
        Compose(Project())


def test_what_docker_says_of_another_fault_is_passed_on(docker: Path) -> None:
    write(docker, "echo; echo 'cannot read config.json' >&2; exit 1")
    with pytest.raises(StackError, match="says: cannot read config.json"):
        Compose(Project())


class Engine:
    """One in which a stack runs."""

    version, gateway, failures, info = "27.0", None, (OSError,), {"DockerRootDir": "/nowhere"}

    def containers(self, project: str) -> list[Any]:
        attrs = {"State": {"Status": "running"}, "Config": {"Image": "obswarm"}, "HostConfig": {}}
        labels = {"com.docker.compose.service": "master"}
        return [SimpleNamespace(name="master", labels=labels, attrs=attrs)]


@pytest.mark.parametrize(
    "words", [["up"], ["up", "--dry-run"], ["down"], ["logs"], ["logs", "-f", "master"], ["scale", "workers=2"]]
)
@pytest.mark.parametrize(
    ("script", "said"),
    [
        (WITHOUT_PLUGIN, "Docker has no Compose plugin"),
        (OLD_WITHOUT_PLUGIN, "Docker has no Compose plugin"),
        (None, "There is no docker command"),
    ],
)
def test_without_the_plugin_or_docker(
    docker: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], script: str | None, said: str
) -> None:
    for each in (module, up):
        monkeypatch.setattr(each, "Engine", Engine)
    Project().save()
    if script is None:
        docker.unlink()
    else:
        write(docker, script)
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, StackError)
    assert said in str(done.exception)
    assert "unknown flag" not in str(done.exception) + done.output


def test_status_needs_the_engine_alone(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Engine", Engine)
    docker.unlink()
    done = CliRunner().invoke(cli, ["status"])
    assert done.exit_code == 0
    assert "master" in done.output
