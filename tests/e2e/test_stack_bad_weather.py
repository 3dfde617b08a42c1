"""`obswarm up` where there is no Docker, or not enough of it: a sentence each, and exit code 2."""

import os
import stat
import subprocess
import sys

import pytest

from tests.support.forked import forked_obswarm
from tests.support.programs import obswarm

NOWHERE = "unix:///nowhere/docker.sock"


def test_without_docker(tmp_path) -> None:
    done = obswarm("up", PATH=str(tmp_path), DOCKER_HOST=NOWHERE)
    assert done.code == 2
    assert done.stderr.startswith(
        "Error: There is no Docker on this machine. Install Docker Engine and its Compose plugin"
    )


@pytest.mark.parametrize("words", [["up"], ["down"], ["status"], ["logs"], ["scale", "workers=2"], ["up", "--dry-run"]])
def test_an_engine_that_does_not_run(words, tmp_path) -> None:
    present = tmp_path / "docker"
    present.write_text("#!/bin/sh\n")
    present.chmod(present.stat().st_mode | stat.S_IXUSR)
    done = forked_obswarm(*words, PATH=f"{tmp_path}:{os.environ['PATH']}", DOCKER_HOST=NOWHERE)
    assert done.code == 2
    assert done.stderr.startswith(f"Error: The Docker engine does not respond at {NOWHERE}. Start it: ")


def test_state_that_cannot_be_kept(tmp_path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=2", "obswarm-test", tmp_path], check=True)
    program = (
        "from obswarm.api import ObswarmError\n"
        "from obswarm.stack import Project\n"
        "try: Project('full').save()\n"
        "except ObswarmError as error: print(error)\n"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OBSWARM_STATE_HOME": str(tmp_path / "state")},
        )
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert "cannot be written: No space left on device. It stores the stack's tokens." in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["up", "--project", "A"], "--project A: a name consists of lower-case letters"),
        (["down", "--project", "A"], "--project A: a name consists of lower-case letters"),
        (["scale", "workers=none"], "write it like workers=4"),
        (["dashboards", "push"], "Give --grafana-url and --grafana-token"),
        (["container-stats", "--listen", "nowhere"], "is not an IP address"),
    ],
)
def test_what_is_written_wrongly(words, text, tmp_path) -> None:
    done = forked_obswarm(*words, cwd=tmp_path, DOCKER_HOST=NOWHERE)
    assert done.code == 2
    assert text in done.stderr
