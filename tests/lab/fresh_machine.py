"""`make lab-fresh-machine`: `make test` in a fresh clone of HEAD, with a Docker engine that has never run before, and
beside another load test.

The engine is not installed anew: in a mount and process namespace of its own it finds an empty data folder, and its
network link docker0 is removed before. A machine on which a Docker engine runs already is refused, and nothing is
touched. It needs Linux, root, git, unshare and what .ci/components gets. PYTEST_FLAGS narrows the tests down;
OBSWARM_LAB_USERS says how many users the other load test has (0: there is none).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.programs import ROOT, QuickServer

_INSIDE = "--inside"
_DEFAULT_USERS = 40
_LONGEST_S = 3 * 3600
"""The other load test ends by itself after that time, whatever becomes of this program."""

_LOADTEST = """
from obswarm import FastHttpUser, constant, task


class Neighbour(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get("/")
"""


def main(arguments: list[str]) -> int:
    if arguments[:1] == [_INSIDE]:
        return _inside(Path(arguments[1]))
    refusal = _why_not()
    if refusal is not None:
        print(f"Refused: {refusal}", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="obswarm-fresh-"))
    # Processes that a test leaves behind, an engine among them, end with the namespace.
    own = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
    try:
        return subprocess.run(
            [*own, sys.executable, "-m", "tests.lab.fresh_machine", _INSIDE, folder], cwd=ROOT, check=False
        ).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _why_not() -> str | None:
    """A sentence why this machine is not fit for it."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "it needs root on Linux, for namespaces and the network link docker0."
    for program in ("unshare", "ip", "git", "make"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            return f"the program {program} is missing."
    if "DOCKER_HOST" in os.environ:
        return "DOCKER_HOST names an engine; unset it, because the tests would use that one."
    listed = subprocess.run(["ps", "-eo", "comm="], capture_output=True, text=True, check=True).stdout.split()
    if "dockerd" in listed or subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0:
        return (
            "a Docker engine runs on this machine, and might have somebody's containers. Stop it first, its socket too:"
            " systemctl stop docker docker.socket."
        )
    return None


def _inside(folder: Path) -> int:
    """In the namespaces."""
    _forget_docker(folder / "docker")
    clone = folder / "obswarm"
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, clone], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=clone, check=True)
    users = int(os.environ.get("OBSWARM_LAB_USERS", _DEFAULT_USERS))
    flags = os.environ.get("PYTEST_FLAGS", "")
    # What make exports of its own run, and of this virtual environment, is not for the clone.
    foreign = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VIRTUAL_ENV", "PYTHONPATH", "OBSWARM_LAB_USERS")
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    print(f"make test in a fresh clone of {commit} ({folder}), with a Docker engine that has never run.", flush=True)
    began = time.monotonic()
    with QuickServer() as target:
        neighbour = _start_neighbour(folder, target.url, users) if users else None
        code = subprocess.run(
            ["make", "test", f"PYTEST_FLAGS={flags}"], cwd=clone, env=environment, check=False
        ).returncode
        beside = _stop_neighbour(folder, neighbour)
    minutes = (time.monotonic() - began) / 60
    print(
        f"\nFresh clone of {commit}, fresh Docker engine, {beside}: make test"
        f"{f' with PYTEST_FLAGS={flags!r}' if flags else ''} ended with exit code {code} after {minutes:.1f} minutes.",
        flush=True,
    )
    return code


def _forget_docker(folder: Path) -> None:
    """For processes in this mount namespace, an engine finds neither data nor a network link of one that ran before."""
    for path in ("/var/lib/docker", "/var/lib/containerd", "/run/docker", "/run/containerd"):
        empty = folder / path.replace("/", "-").strip("-")
        empty.mkdir(parents=True)
        Path(path).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", empty, path], check=True)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if subprocess.run(["ip", "link", "show", "docker0"], capture_output=True, check=False).returncode == 0:
        # No engine runs; one that is started later makes it anew.
        subprocess.run(["ip", "link", "del", "docker0"], check=True)


def _start_neighbour(folder: Path, url: str, users: int) -> "subprocess.Popen[bytes]":
    home = folder / "neighbour"
    home.mkdir()
    (home / "neighbour.py").write_text(_LOADTEST)
    words = ["-H", url, "-u", users, "-r", users, "-t", f"{_LONGEST_S}s", "--workers", 1, "--web-port", 0, "--local"]
    outputs = ["--headless", "--json", "result.json", "--no-store", "--no-report"]
    with open(home / "log", "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "obswarm", "run", "neighbour.py", *map(str, words), *outputs],
            cwd=home,
            stdout=log,
            stderr=log,
        )


def _stop_neighbour(folder: Path, neighbour: "subprocess.Popen[bytes] | None") -> str:
    """What it did, in words. It is a failure of this program when the other load test did not run to the end."""
    if neighbour is None:
        return "no other load test"
    log = (folder / "neighbour" / "log").read_text()[-2000:]
    assert neighbour.poll() is None, f"the other load test ended early:\n{log}"
    neighbour.send_signal(signal.SIGINT)
    neighbour.wait(60)
    result = json.loads((folder / "neighbour" / "result.json").read_text())
    totals = result["totals"]
    return (
        f"beside another load test of {totals['requests']} requests"
        f" ({totals['requests'] / result['duration_s']:.0f} a second, {totals['failures']} failed)"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
