"""Limited numbers of iterations over a fleet: exactly as many end, whatever happens to the master and to workers."""

from pathlib import Path

import gevent
import pytest

from tests.support.fleet import Fleet
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer, obswarm

LOADTEST = """
from obswarm import FastHttpUser, between, task

class Visitor(FastHttpUser):
    wait_time = between(0.01, 0.03)

    @task
    def page(self):
        self.client.get("/")
"""


def served(target: QuickServer) -> int:
    return len(target.arrivals().get("/", ()))


@pytest.mark.parametrize("load", [("-u", 8, "-r", 8), ("--arrival-rate", "300/s", "--max-users", 40)])
def test_exactly_as_many_end_though_the_master_and_a_worker_are_killed(
    tmp_path: Path, load: tuple[str | int, ...]
) -> None:
    with QuickServer() as target, Fleet(tmp_path, target.url, LOADTEST) as fleet:
        options = (*load, "--expect-workers", 2, "--iterations", 1500)
        master = fleet.master(*options)
        workers = [fleet.worker() for _ in range(2)]
        wait_until(lambda: served(target) > 200, fleet.log)
        master.kill()
        master.wait()
        gevent.sleep(0.5)
        master = fleet.master(*options)
        wait_until(lambda: "Continuing the run" in fleet.log(), fleet.log)
        wait_until(lambda: served(target) > 600, fleet.log)
        workers[0].kill()
        assert master.wait(HANG_S) in (0, 4), fleet.log()
        result = fleet.result()
        assert result["stop_reason"] == {"kind": "iterations", "detail": "all iterations have ended: 1,500"}
        assert result["limited_iterations"] == [{"limit": "all", "number": 1500, "ended": 1500}]
        assert result["iterations"] == {"Visitor": 1500}
        assert result["totals"]["requests"] == 1500
        # Those of the worker that was killed and could not report them any more were made again.
        assert 1500 <= served(target) <= 1500 + 2000
        assert not list(fleet.folder.rglob("*.feeds"))


def test_a_class_that_is_not_there_and_a_bad_number_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    for text, sentence in (
        ("Shopper=5", "--iterations: there is no user class 'Shopper' in this run; it has Visitor."),
        ("many", "'many' is not a number of iterations from 1 to"),
    ):
        done = obswarm(
            *("run", "loadtest.py", "-H", "http://127.0.0.1:9", "--iterations", text, "--headless"), cwd=tmp_path
        )
        assert done.code == 2
        assert sentence in " ".join(done.stderr.split()), done.stderr
