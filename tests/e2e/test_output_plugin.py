"""Outputs of third parties: the example is installed and used as its docstring says, and one that breaks is fenced off."""

import shlex
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.documentation import snippet
from tests.support.patience import HANG_S
from tests.support.programs import ROOT, CountingServer, obswarm
from tests.support.release import PIP

BREAKS = """
from obswarm import Output


class Breaks(Output):
    name = "--output breaks"

    def __init__(self, params):
        pass

    def snapshot(self, snapshot):
        raise RuntimeError("no place left")
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example, and with a package whose output fails at the first second."""
    folder = tmp_path_factory.mktemp("packages")
    breaks = tmp_path_factory.mktemp("breaks")
    text = (ROOT / "examples" / "output_plugin" / "pyproject.toml").read_text()
    text = text.replace("obswarm-statsd", "obswarm-breaks").replace("obswarm_statsd", "obswarm_breaks")
    (breaks / "pyproject.toml").write_text(text.replace("StatsdOutput", "Breaks").replace("statsd =", "breaks ="))
    (breaks / "obswarm_breaks.py").write_text(BREAKS)
    example = shlex.split(snippet("docs/outputs.md", "pip install").commands[0][1])[-1]
    install = [sys.executable, *PIP, "--no-deps", "--target", folder, ROOT / example, breaks]
    subprocess.run(install, check=True, capture_output=True, timeout=HANG_S)
    return folder


def run(packages: Path, target: CountingServer, *arguments: object):
    return obswarm(
        *("run", "examples/basic.py", "-H", target.url, "-u", 5, "-r", 50, "-t", "5s", "--headless", "--json", "-"),
        *("--linger", 0, *arguments),
        PYTHONPATH=str(packages),
    )


@pytest.fixture
def statsd():
    """A socket for StatsD's packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        yield listening


def asked(statsd: socket.socket) -> str:
    """The value of --output that names the socket: the documentation's, with the port of this machine."""
    named = shlex.split(snippet("docs/outputs.md", "pip install").commands[1][1])[-1]
    return f"{named.rpartition(':')[0]}:{statsd.getsockname()[1]}"


def test_the_entry_point_is_that_of_the_documentation() -> None:
    documented = tomllib.loads(snippet("docs/outputs.md", "project.entry-points").text)
    package = tomllib.loads((ROOT / "examples" / "output_plugin" / "pyproject.toml").read_text())
    assert documented["project"]["entry-points"] == package["project"]["entry-points"]


def received(statsd: socket.socket) -> list[str]:
    """All lines that have come."""
    statsd.setblocking(False)
    lines: list[str] = []
    while True:
        try:
            lines += statsd.recv(65_536).decode().splitlines()
        except BlockingIOError:
            return lines


def test_the_example_sends_every_second_and_every_annotation(packages: Path, target: CountingServer, statsd) -> None:
    done = run(packages, target, "--output", asked(statsd))
    lines = received(statsd)
    assert done.code == 0, done.stderr
    sent = [int(line.removeprefix("obswarm.requests:").removesuffix("|c")) for line in lines if ".requests:" in line]
    assert len(sent) >= 3
    assert sum(sent) == done.result["totals"]["requests"] == target.total()
    assert "obswarm.users:5|g" in lines
    assert {"obswarm.annotations.start:1|c", "obswarm.annotations.stop:1|c"} <= set(lines)


def test_an_output_that_fails_in_the_run_is_named_and_the_others_continue(
    packages: Path, target: CountingServer, statsd
) -> None:
    done = run(packages, target, "--output", "breaks", "--output", asked(statsd))
    assert "obswarm.users:5|g" in received(statsd)
    assert done.code == 4, "the result is not complete"
    assert "--output breaks failed and is incomplete: RuntimeError: no place left." in done.stderr
    assert done.result["failed_outputs"] == [
        {"output": "--output breaks", "reason": "RuntimeError: no place left", "required": True}
    ]
    assert done.result["totals"]["requests"] == target.total() > 0


def test_an_output_that_is_missing_or_refuses_its_argument_ends_the_command_before_the_run(
    packages: Path, target: CountingServer
) -> None:
    done = run(packages, target, "--output", "statds")
    assert (done.code, done.stdout) == (2, "")
    assert (
        done.stderr == "Error: --output statds: there is no output of that name; installed outputs: breaks, statsd.\n"
    )
    done = run(packages, target, "--output", "statsd=nowhere")
    assert (done.code, done.stderr) == (2, "Error: --output statsd: 'nowhere' is no HOST:PORT\n")
    assert target.total() == 0


def test_an_output_can_be_selected_in_obswarm_toml(
    packages: Path, target: CountingServer, statsd, tmp_path: Path
) -> None:
    settings = tmp_path / "obswarm.toml"
    settings.write_text(f'output = ["{asked(statsd)}"]\n')
    done = run(packages, target, "--config", settings)
    assert done.code == 0, done.stderr
    assert "obswarm.users:5|g" in received(statsd)
