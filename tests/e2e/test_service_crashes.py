"""A master that stays, whose runs crash, whose disk is full, which is killed: each client gets what was measured, and the
next run runs."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.patience import HANG_S, wait_until
from tests.support.programs import CountingServer, start_obswarm
from tests.support.service import LOADTEST, Service
from tests.support.small_disk import SmallDisk

CRASHES = {
    "an exception in obswarm itself": """
import obswarm.engine.emitter
def crash(self):
    raise RuntimeError("a bug")
after_some_load(setattr, obswarm.engine.emitter.SnapshotEmitter, "collect", crash)
""",
    "the end of the process": """
first = not os.path.exists("MARK")
open("MARK", "w").close()
if first:
    after_some_load(os._exit, 0)
else:
    gevent.spawn_later(0.1, os._exit, 0)
""",
}
"""What a load test does to the master while the run goes on."""

ON_THE_MASTER = """
import os, sys
import gevent
if "master" in sys.argv:
"""


AFTER_SOME_LOAD = """
def wait_for_load_and(do, *arguments):
    while not os.path.exists("GO"):
        gevent.sleep(0.05)
    gevent.sleep(2)
    do(*arguments)
def after_some_load(do, *arguments):
    gevent.spawn(wait_for_load_and, do, *arguments)
"""


IN_THE_FIRST_SECOND = """
    import obswarm.engine
    from obswarm import events
    def crash(runner):
        obswarm.engine.Run.annotate = None
        runner.quit()
    @events.test_start.add_listener
    def start(environment, **_):
        gevent.spawn_later(0.7, crash, environment.runner)
"""


def crashing(kind: str, mark: Path, go: Path) -> str:
    """Two seconds after there is a file `go`; `mark` is one that it makes."""
    code = AFTER_SOME_LOAD + CRASHES[kind]
    lines = code.replace("MARK", str(mark)).replace("GO", str(go)).strip().splitlines()
    return LOADTEST + ON_THE_MASTER + "".join(f"    {line}\n" for line in lines)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path_factory.mktemp("small") / "disk", "512k") as made:
        yield made


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, disk: SmallDisk) -> Iterator[Service]:
    state = disk.path / "master.run"
    with Service(tmp_path_factory.mktemp("service") / "here", "--state", state, workers=(1,)) as made:
        yield made


@pytest.fixture
def visitor(loadtest) -> Path:
    return loadtest(LOADTEST, "visitor.py")


def start(service: Service, file: Path, target: CountingServer, seconds: int, cwd: Path) -> "subprocess.Popen[str]":
    before = target.total()
    load = ("-H", target.url, "-u", 10, "-r", 50, "-t", f"{seconds}s", "--json", "-")
    run = start_obswarm(*service.arguments(file, *load), cwd=cwd)
    wait_until(lambda: target.total() - before >= 100, service.log, ended=run.poll)
    return run


def assert_the_next_run_runs(service: Service, loadtest: Callable[..., Path], target: CountingServer, cwd: Path) -> str:
    before = target.counts().get("/next", 0)
    load = ("-H", target.url, "-u", 5, "-r", 50, "-t", "1s", "--json", "-")
    done = service.run(loadtest(LOADTEST.replace("/visit", "/next"), "next.py"), *load, cwd=cwd)
    assert done.code == 0, (done.stderr, service.log())
    assert done.result["totals"]["requests"] == target.counts()["/next"] - before
    return done.stderr


@pytest.mark.parametrize("kind", CRASHES)
def test_after_a_crash_its_client_has_what_was_measured_and_the_next_run_runs(
    service: Service, loadtest, target: CountingServer, tmp_path: Path, kind: str
) -> None:
    text = crashing(kind, tmp_path / "mark", tmp_path / "go")
    run = start(service, loadtest(text, "crashing.py"), target, 300, tmp_path)
    (tmp_path / "go").touch()
    out, err = run.communicate(timeout=HANG_S)
    assert run.returncode in (2, 4), err
    result = json.loads(out)
    assert 50 < result["totals"]["requests"] <= target.total()
    reported = assert_the_next_run_runs(service, loadtest, target, tmp_path)
    if kind == "the end of the process":
        assert f"({result['totals']['requests']:,} requests) are in" in reported, (err, reported)
    assert "Traceback" not in err + reported


def test_a_run_that_crashes_in_its_first_second_keeps_what_was_measured_and_leaves_its_target_alone(
    service: Service, loadtest, target: CountingServer, tmp_path: Path
) -> None:
    text = LOADTEST.replace("/visit", "/crash") + ON_THE_MASTER + IN_THE_FIRST_SECOND
    load = ("-H", target.url, "-u", 10, "-r", 50, "-t", "8s", "--json", "-")
    done = service.run(loadtest(text, "early.py"), *load, cwd=tmp_path)
    served = target.counts()["/crash"]
    assert done.code == 4, done.stderr
    totals = done.result["totals"]
    # The users are stopped at once: some requests may be under way, with or without having reached the target.
    assert totals["requests"] <= served <= totals["requests"] + totals["interrupted"]
    assert done.result["lost"] == []
    assert_the_next_run_runs(service, loadtest, target, tmp_path)
    assert target.counts()["/crash"] == served


def test_a_disk_that_is_full_from_the_middle_of_a_run_on(
    service: Service, visitor: Path, loadtest, disk: SmallDisk, target: CountingServer, tmp_path: Path
) -> None:
    before = target.total()
    run = start(service, visitor, target, 4, tmp_path)
    disk.fill()
    out, err = run.communicate(timeout=HANG_S)
    assert run.returncode == 0, err
    assert json.loads(out)["totals"]["requests"] == target.total() - before
    disk.fill()
    assert_the_next_run_runs(service, loadtest, target, tmp_path)
    assert "The run cannot be stored in" in service.log()
    disk.make_room()


def test_a_master_that_hands_over_leaves_its_run_to_the_next_one(
    visitor: Path, target: CountingServer, tmp_path: Path
) -> None:
    with Service(tmp_path / "evicted", "--hand-over", workers=(1,)) as evicted:
        run = start(evicted, visitor, target, 12, tmp_path)
        evicted.master.terminate()
        assert evicted.master.wait(HANG_S) == 0
        evicted.start_master()
        out, err = run.communicate(timeout=HANG_S)
        log = evicted.log()
        assert run.returncode == 0, (err, log)
        result = json.loads(out)
        assert result["stop_reason"]["kind"] == "time", result["stop_reason"]
        assert result["totals"]["requests"] == target.total(), (err, log)
        assert (result["lost"], "Traceback" in err) == ([], False)
        assert "SIGTERM: leaving the run, if there is one, to the next master." in log
        # Without a run it just ends.
        evicted.master.terminate()
        assert evicted.master.wait(HANG_S) == 0
