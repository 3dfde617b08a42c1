"""Files with the names of Python's modules, in the current folder and beside the load test, stand in nobody's way."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fleet import Fleet
from tests.support.patience import HANG_S
from tests.support.programs import CountingServer, command

LOADTEST = """
import json, random, requests
from my_accounts import NAMES
from obswarm import FastHttpUser, HttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.02)

    @task
    def page(self):
        import decimal, fractions, statistics  # late, when everything else has been imported
        self.client.get("/" + random.choice(NAMES))

class Other(HttpUser):
    wait_time = constant(0.02)

    @task
    def page(self):
        import graphlib
        self.client.get("/other")
"""
OTHERS = frozenset({"requests", "gevent", "zmq", "msgpack", "click", "rich", "psutil", "flask", "urllib3", "httptools"})
SOME = OTHERS | {"json", "random", "statistics", "decimal"}
SCRIPT = Path(sys.executable).parent / "obswarm"


def traps(folder: Path, names: frozenset[str]) -> Path:
    """Each raises when it is imported."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(names):
        (folder / f"{name}.py").write_text(f"raise RuntimeError('{name}.py of the current folder was imported')\n")
    return folder


@pytest.mark.parametrize(("start", "workers"), [("command", "0"), ("command", "1"), ("module", "0")])
def test_a_run_in_a_folder_full_of_them(tmp_path: Path, workers: str, start: str) -> None:
    # `python -m` itself imports a few modules before anything of ours.
    every = sys.stdlib_module_names - {"__future__"} | OTHERS | {"obswarm"}
    folder = traps(tmp_path, every if start == "command" else SOME)
    (folder / "loadtest.py").write_text(LOADTEST)
    (folder / "my_accounts.py").write_text("NAMES = ['one', 'two']\n")
    words = ["run", "loadtest.py", "-u", "4", "-r", "40", "-t", "2s", "--workers", workers, "--json", "-", "--no-store"]
    with CountingServer() as target:
        done = subprocess.run(
            [*([str(SCRIPT), *words] if start == "command" else command(*words)), "-H", target.url, "--web-port", "0"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result["totals"]["requests"] == target.total() > 10
        assert set(target.counts()) == {"/one", "/two", "/other"}
    assert (result["exceptions"], result["totals"]["failures"]) == ([], 0)


def test_a_worker_and_a_relay_that_were_started_among_them(tmp_path: Path) -> None:
    with CountingServer() as target, Fleet(tmp_path, target.url, LOADTEST) as fleet:
        traps(fleet.folder / "elsewhere", SOME)
        (fleet.folder / "my_accounts.py").write_text("NAMES = ['one', 'two']\n")
        master = fleet.master("-u", 6, "-r", 40, "-t", "2s", "--expect-workers", 2)
        workers = [fleet.worker(), fleet.worker("--processes", 2)]
        assert master.wait(HANG_S) == 0, fleet.log() + fleet.log("workers.log")
        assert [worker.wait(HANG_S) for worker in workers] == [0, 0], fleet.log("workers.log")
        assert fleet.result()["totals"]["requests"] == target.total() > 10
        assert "Traceback" not in fleet.log("workers.log")
