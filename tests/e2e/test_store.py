"""Runs are kept while they go, whatever happens to them, and are found again."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from obswarm.report import run_page
from obswarm.store import FILE, Store, read_run
from tests.support.forked import forked_obswarm
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import Finished, QuickServer, start_obswarm
from tests.support.stalls import StallMeter

LOADTEST = """
from obswarm import FastHttpUser, constant, events, task

@events.init_command_line_parser.add_listener
def _(parser):
    parser.add_argument("--shop", default="s")
    parser.add_argument("--shop-password", default="")

class Visitor(FastHttpUser):
    wait_time = constant(0.05)

    @task(3)
    def page(self):
        self.client.get("/page")

    @task
    def shop(self):
        self.client.get("/shop/1", name="/shop/{id}")
"""
RUN = ("run", "loadtest.py", "--headless", "--workers", 0, "--web-port", 0, "--linger", 0)
HERE = {"OBSWARM_STORE": ""}
"""The usual place, which the tests' environment has another one for."""


@pytest.fixture(scope="module")
def quick():
    with QuickServer() as server:
        yield server


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    return tmp_path


def runs(folder: Path, *words: object) -> Finished:
    return forked_obswarm("runs", *words, cwd=folder, **HERE)


def test_a_run_is_stored_shown_exported_and_imported(here: Path, quick: QuickServer) -> None:
    (here / "obswarm.toml").write_text(f"[[targets]]\nname = 'quick'\nkind = 'app'\nurl = '{quick.url}/metrics'\n")
    before = len(quick.arrivals().get("/page", ())), len(quick.arrivals().get("/shop/1", ()))
    done = forked_obswarm(
        *(*RUN, "-H", quick.url, "-u", 5, "-r", 50, "-t", "4s", "--json", "-", "--alerts-token", "hidden"),
        *("--shop", "corner", "--shop-password", "hidden", "--stop-when", "p95 > 30s", "--require", "p95 < 20s"),
        cwd=here,
        **HERE,
    )
    assert done.code == 0, done.stderr
    run_id = done.result["run_id"]
    assert (here / ".obswarm" / ".gitignore").read_text().endswith("*\n")
    listed = json.loads(runs(here, "list", "--json").stdout)
    assert [(run["run_id"], run["test"], run["requests"]) for run in listed] == [
        (run_id, "loadtest.py", done.result["totals"]["requests"])
    ]
    shown = runs(here, "show", run_id[:13]).stdout
    for text in (
        run_id,
        "GET /shop/{id}",
        "--users",
        "--shop corner",
        "quick (app)",
        "starts",
        "the planned time is over",
        "guard          p95 > 30s → stop: ok",
        "required       p95 < 20s: met",
    ):
        assert text in shown, shown
    assert "hidden" not in shown
    with Store(here / ".obswarm" / FILE) as store:
        record = read_run(store, store.find("latest"))
        assert store.loadtests(record.info)[0].text == LOADTEST.encode()
    after = {name: len(times) for name, times in quick.arrivals().items()}
    assert {key.name: stats.requests for key, stats in record.endpoints.items()} == {
        "/page": after["/page"] - before[0],
        "/shop/{id}": after["/shop/1"] - before[1],
    }
    assert sum(second.total().requests for second in record.intervals) == record.total().requests
    assert [annotation.kind for annotation in record.annotations] == ["start", "stop"]
    metrics = {figure.name: [value for _, value in points] for figure, points in record.samples.items()}
    assert metrics == {"open files": [7.0]}
    assert record.info.result is not None
    assert record.info.result["totals"] == done.result["totals"]

    assert runs(here, "tag", "latest", "baseline", "v1").stdout == f"{run_id}: baseline, v1\n"
    assert runs(here, "note", "baseline", "before the index").code == 0
    assert "before the index" in runs(here, "show", "v1").stdout
    exported = runs(here, "export", "latest")
    assert exported.stdout == f"{run_id}.obswarm\n"
    assert "is in .obswarm/runs.sqlite already" in runs(here, "import", f"{run_id}.obswarm").stderr
    assert runs(here, "rm", "--yes", "latest").stdout == f"{run_id}\n"
    assert "No matching runs in " in runs(here, "list").stdout
    assert runs(here, "import", f"{run_id}.obswarm").stdout == f"{run_id}\n"
    assert "baseline, v1" in runs(here, "list").stdout


def test_no_store_keeps_nothing(here: Path, quick: QuickServer) -> None:
    done = forked_obswarm(*RUN, "-H", quick.url, "-t", "1s", "--no-store", cwd=here, **HERE)
    assert done.code == 0, done.stderr
    assert not (here / ".obswarm").exists()


def test_old_runs_are_removed_unless_they_have_a_tag(here: Path, quick: QuickServer) -> None:
    (here / "obswarm.toml").write_text('store = "kept"\nkeep_runs = 1\n')
    ids = []
    for number in range(3):
        done = forked_obswarm(*RUN, "-H", quick.url, "-t", "1s", "--json", "-", cwd=here, **HERE)
        ids.append(done.result["run_id"])
        if number == 0:
            assert runs(here, "tag", "latest", "keep").code == 0
    left = json.loads(runs(here, "list", "--json").stdout)
    assert [run["run_id"] for run in left] == [ids[2], ids[0]]
    assert f"Removed from the store: {ids[1]}." in done.stderr


KILLED_RUNS = 20
AT_ONCE = 5


def test_a_killed_run_is_stored_except_for_its_last_two_seconds(tmp_path: Path, quick: QuickServer) -> None:
    chance = random.Random(4)
    checked: list[str] = []
    with StallMeter() as stalls:
        for batch in range(KILLED_RUNS // AT_ONCE):
            started = []
            for number in range(AT_ONCE):
                folder = tmp_path / f"{batch}-{number}"
                folder.mkdir()
                name = f"{batch}-{number}"
                (folder / "loadtest.py").write_text(LOADTEST.replace("/page", f"/page-{name}"))
                words = (*RUN[:4], number % 2, *RUN[5:])
                process = start_obswarm(*words, "-H", quick.url, "-u", 5, "-r", 50, "-t", "10m", cwd=folder, **HERE)
                started.append((process, folder, f"/page-{name}"))
            paths = [path for _, _, path in started]
            wait_until(lambda paths=paths: quick.arrivals().keys() >= set(paths))  # type: ignore[misc]  # mypy knows no defaults of lambdas
            for process, folder, path in started:
                time.sleep(chance.uniform(0.3, 1.2))
                os.kill(process.pid, signal.SIGKILL)
                killed_at = time.time()
                process.communicate(timeout=HANG_S)
                lost_s = 2 + stalls.stalled_s(killed_at - 4, killed_at)
                check_killed(folder, quick, path, killed_at - lost_s, checked)
    # Those that were killed within their first two seconds have nothing to lose.
    assert len(checked) > KILLED_RUNS / 2


def check_killed(folder: Path, quick: QuickServer, path: str, kept_until_s: float, checked: list[str]) -> None:
    file = folder / ".obswarm" / FILE
    arrived = [at for at in quick.arrivals()[path] if at < kept_until_s]
    if not arrived:
        return
    checked.append(path)
    with Store(file) as store:
        record = read_run(store, store.find("latest"))
    assert record.info.ended_s is None
    kept = sum(stats.requests for key, stats in record.endpoints.items() if key.name == path)
    assert kept >= len(arrived)
    assert "Incomplete run" in run_page(record)
    if len(checked) == 1:
        # As a user does it, once: starting programs is what would take the time here.
        assert "not ended" in runs(folder, "list").stdout
        assert runs(folder, "show", "latest").code == 0
        report = forked_obswarm("report", "latest", "-o", "report.html", cwd=folder, **HERE)
        assert report.code == 0, report.stderr
        assert "Incomplete run" in (folder / "report.html").read_text()


def seconds_in(file: Path) -> int:
    if not file.exists():
        return 0
    with Store(file) as store:
        return sum(len(read_run(store, run).intervals) for run in store.runs())


def fill(file: Path) -> None:
    with open(file, "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError:
            pass


@pytest.fixture
def small_disk(tmp_path: Path):
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_full_does_not_stop_the_run(here: Path, quick: QuickServer, small_disk: Path) -> None:
    store = small_disk / "store"
    process = start_obswarm(*RUN, "-H", quick.url, "-u", 5, "-r", 50, "-t", "6s", "--store", store, cwd=here)
    try:
        wait_until(lambda: seconds_in(store / FILE))
        fill(small_disk / "filler")
        stdout, stderr = process.communicate(timeout=HANG_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 4, f"something that was asked for is not complete\n{stderr}"
    assert "Aggregated" in stdout
    assert "cannot grow: no space is left on its disk. The run continues" in stderr, stderr
    assert "are not stored." in stderr, stderr
    (small_disk / "filler").unlink()
    with Store(store / FILE) as kept:
        assert read_run(kept, kept.find("latest")).intervals


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("show", "latest"),
            "There are no runs in .obswarm: `obswarm run` stores them in .obswarm in the current folder.",
        ),
        (("import", "nothing.obswarm"), "nothing.obswarm is not a file that `obswarm runs export` has written."),
    ],
)
def test_what_is_not_there_is_a_sentence(here: Path, words: tuple[str, ...], text: str) -> None:
    done = runs(here, *words)
    assert (done.code, done.stderr.startswith("Error: ")) == (2, True)
    assert text in done.stderr


def test_a_store_that_is_none_is_a_sentence_before_the_run(here: Path, quick: QuickServer) -> None:
    (here / ".obswarm").mkdir()
    (here / ".obswarm" / FILE).write_text("this is no database " * 100)
    done = forked_obswarm(*RUN, "-H", quick.url, "-t", "1s", cwd=here, **HERE)
    assert done.code == 2
    assert "The run store .obswarm/runs.sqlite is damaged" in done.stderr
    (here / "file").touch()
    done = forked_obswarm(*RUN, "-H", quick.url, "-t", "1s", "--store", "file/x", cwd=here)
    assert done.code == 2
    assert "--store file/x: the folder cannot be written" in done.stderr
