"""A master whose state file cannot be written, and that is killed: what could not be kept is named, the rest counts."""

import time
from pathlib import Path

import gevent

from tests.support.fleet import Fleet
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer
from tests.support.small_disk import SmallDisk


def test_what_a_killed_master_could_not_keep_is_named_and_the_rest_counts(tmp_path: Path) -> None:
    with QuickServer() as target, SmallDisk(tmp_path / "small") as disk, Fleet(tmp_path / "f", target.url) as fleet:
        worker = fleet.worker()
        arguments = ("-u", 20, "-r", 50, "-t", "9s", "--state", disk.path / "run")
        master = fleet.master(*arguments)
        wait_until(lambda: "running" in fleet.log(), fleet.log)
        gevent.sleep(1)
        disk.fill()
        wait_until(lambda: "cannot be stored" in fleet.log(), fleet.log)
        gevent.sleep(1)
        killed_s = time.time()
        master.kill()
        master.wait()
        disk.make_room()
        master = fleet.master(*arguments)
        wait_until(lambda: "Continuing the run" in fleet.log(), fleet.log)
        away_s = time.time() - killed_s
        assert master.wait(HANG_S) == 4, fleet.log()
        assert worker.wait(HANG_S) == 0
        times = sorted(time_s for path in target.arrivals().values() for time_s in path)
        result = fleet.result()
        (loss,) = result["lost"]
        assert "could not write its state" in loss["detail"]
        assert 1 < loss["unreported_s"] < 6 + away_s
        missing = len(times) - result["totals"]["requests"]
        assert 0 < missing <= 20 * 2 * 10 * loss["unreported_s"]
        assert times[-1] - times[0] > 7, "users went on meanwhile"
