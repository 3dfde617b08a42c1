"""`make lab-service`: ten runs each of a master that stays, as processes, that is killed, whose disk is filled, whose run
crashes, at random moments; the next run has to run. OBSWARM_LAB_TIMES says how many, OBSWARM_LAB_SEED which. Needs root
(for a small disk), and some ten minutes."""

# The monkey-patch has to stand before everything else.
import obswarm.gevent_patch  # noqa: F401, I001

import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.faults import show
from tests.support.programs import CountingServer, start_obswarm
from tests.support.service import Service, child_of
from tests.support.small_disk import SmallDisk


class Processes:
    """A service as processes of this machine."""

    def __init__(self, service: Service, disk: SmallDisk) -> None:
        self._service = service
        self._disk = disk
        self._kills = 0

    def start_run(self, *arguments: object, cwd: Path) -> "subprocess.Popen[str]":
        return start_obswarm(*self._service.arguments(*arguments), cwd=cwd)

    def kill(self) -> None:
        """In turns the process that works, and both of them, as a container's are; then somebody starts them again."""
        self._kills += 1
        if self._kills % 2:
            os.kill(child_of(self._service.master), signal.SIGKILL)
            return
        self._service.master.kill()
        self._service.master.wait()
        self._service.start_master()

    def fill(self) -> None:
        self._disk.fill()

    def make_room(self) -> None:
        self._disk.make_room()


def main() -> int:
    times = int(os.environ.get("OBSWARM_LAB_TIMES", "10"))
    seed = int(os.environ.get("OBSWARM_LAB_SEED", str(random.randrange(10_000))))
    with tempfile.TemporaryDirectory(prefix="obswarm-lab-") as name:
        folder = Path(name)
        os.environ.setdefault("OBSWARM_STORE", str(folder / "store"))
        with (
            SmallDisk(folder / "disk", "4m") as disk,
            CountingServer() as target,
            Service(folder / "here", "--state", disk.path / "master.run", workers=(1, 2)) as service,
        ):
            code = show(Processes(service, disk), target, times, seed)
            if code:
                print(service.log(), service.log("workers.log"))
            return code


if __name__ == "__main__":
    sys.exit(main())
