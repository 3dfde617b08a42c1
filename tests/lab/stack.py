"""`make lab-stack`: as `make lab-service`, of the stack of `obswarm up` on a real Docker engine, with real Prometheus and
Alertmanager. The disk that is filled is the volume of its master. Needs root, and some fifteen minutes."""

# The monkey-patch has to stand before everything else.
import obswarm.gevent_patch  # noqa: I001

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from obswarm import __version__
from tests.support.docker_engine import DockerEngine, docker, environment
from tests.support.faults import show
from tests.support.nginx import free_port
from tests.support.programs import CountingServer, obswarm, start_obswarm
from tests.support.small_disk import SmallDisk

PROJECT = "obswarm-lab"
_VOLUME = f"{PROJECT}_master-data"


class Stack:
    """A stack whose master keeps its state on a small disk."""

    def __init__(self, folder: Path, disk: SmallDisk) -> None:
        self._disk = disk
        self._folder = folder
        self._environment = {**environment(), "OBSWARM_STATE_HOME": str(folder / "state")}
        for name in ("WEB", "GRAFANA", "PROMETHEUS", "ALERTMANAGER"):
            self._environment[f"OBSWARM_{name}_PORT"] = str(free_port())

    def __enter__(self) -> "Stack":
        self._disk.path.chmod(0o1777)
        self._remove_what_is_left()
        # It is built from this code.
        docker("rmi", "--force", f"obswarm:{__version__}")
        docker(
            *("volume", "create", "--driver", "local", "--opt", "type=none", "--opt", "o=bind"),
            *("--opt", f"device={self._disk.path}"),
            *("--label", f"com.docker.compose.project={PROJECT}", "--label", "com.docker.compose.volume=master-data"),
            _VOLUME,
        )
        up = self._obswarm("up", "--workers", 2, "--detach")
        assert up == 0, "the stack does not come up"
        return self

    def __exit__(self, *_: object) -> None:
        self._obswarm("down", "-v")

    @staticmethod
    def _remove_what_is_left() -> None:
        """Of a run of this program that was broken off."""
        label = ("--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}")
        for kind, listed in (
            ("container", ("ps", "--all")),
            ("network", ("network", "ls")),
            ("volume", ("volume", "ls")),
        ):
            names = docker(*listed, *label).split()
            if names:
                docker(kind, "rm", *(["--force"] if kind != "network" else []), *names)

    def _obswarm(self, *words: object) -> int:
        done = obswarm(*words, "--project", PROJECT, timeout=400, cwd=self._folder, **self._environment)
        if done.code:
            print(done.stdout[-3000:], done.stderr[-3000:])
        return done.code

    @property
    def host(self) -> str:
        """This machine's address, as a container has it."""
        hosts = docker("exec", f"{PROJECT}-master-1", "cat", "/etc/hosts")
        found = re.search(r"^(\S+)\s+host\.docker\.internal$", hosts, re.MULTILINE)
        assert found is not None, hosts
        return found[1]

    def start_run(self, *arguments: object, cwd: Path) -> "subprocess.Popen[str]":
        return start_obswarm("run", *arguments, "--project", PROJECT, cwd=cwd, **self._environment)

    def kill(self) -> None:
        """The container's first process, from outside, so that Docker starts it again as after any crash."""
        deadline = time.monotonic() + 60
        while not (process := int(docker("inspect", "--format", "{{.State.Pid}}", f"{PROJECT}-master-1"))):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.kill(process, signal.SIGKILL)

    def fill(self) -> None:
        self._disk.fill()

    def make_room(self) -> None:
        self._disk.make_room()

    def log(self) -> str:
        return docker("logs", "--tail", "400", f"{PROJECT}-master-1")


def main() -> int:
    times = int(os.environ.get("OBSWARM_LAB_TIMES", "10"))
    seed = int(os.environ.get("OBSWARM_LAB_SEED", str(random.randrange(10_000))))
    with tempfile.TemporaryDirectory(prefix="obswarm-lab-") as name:
        folder = Path(name)
        os.environ.setdefault("OBSWARM_STORE", str(folder / "store"))
        with (
            SmallDisk(folder / "disk", "4m") as disk,
            DockerEngine(),
            Stack(folder, disk) as stack,
            CountingServer(stack.host) as target,
        ):
            code = show(stack, target, times, seed)
            if code:
                print(stack.log())
            return code


if __name__ == "__main__":
    sys.exit(main())
