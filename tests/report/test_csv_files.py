"""The history: one row for each second of the run, whenever snapshots come."""

import csv
import errno
import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from obswarm.api import ObswarmError
from obswarm.record import RunState, Snapshot
from obswarm.report import CsvFiles, csv_files
from tests.support.recorded import PAGE, MadeUpRun, result_of


def history_of(folder: Path, ends: Sequence[float], full: bool = False) -> list[dict[str, str]]:
    """Of a run that began at 1000.9, with a request every tenth of a second and snapshots at these times of it."""
    files, run = CsvFiles(str(folder / "run"), full), MadeUpRun([])
    before, snapshot = 0.0, None
    for end in ends:
        requests = round((end - before) * 10)
        found = run.second({PAGE: [0.01] * requests}, failed=[PAGE] * (end == ends[-1]))
        snapshot = replace(
            found, started_s=1000.9, time_s=1000.9 + end, elapsed_s=end, interval_s=end - before, load_s=end
        )
        files.snapshot(snapshot)
        before = end
    assert snapshot is not None
    files.finish(result_of(snapshot))
    with open(folder / "run_stats_history.csv", newline="") as file:
        return list(csv.DictReader(file))


def seconds_of(rows: Sequence[dict[str, str]]) -> list[int]:
    return [int(row["Timestamp"]) for row in rows]


@pytest.mark.parametrize(
    "ends",
    [
        [1.0, 2.0, 3.0],
        [1.0, 2.0, 3.0, 3.1],
        [1.1, 2.0, 2.6, 3.0, 3.2],
        [0.9, 2.1, 2.9, 3.0],
        [1.0, 2.4, 3.4],
    ],
)
def test_the_history_has_one_row_per_second(tmp_path: Path, ends: list[float]) -> None:
    rows = history_of(tmp_path, ends)
    assert seconds_of(rows) == [1001, 1002, 1003]
    assert [float(row["Requests/s"]) for row in rows[:-1]] == pytest.approx([10.0, 10.0])
    assert int(rows[-1]["Total Request Count"]) == round(ends[-1] * 10) + 1
    assert int(rows[-1]["Total Failure Count"]) == 1


def test_seconds_without_snapshots_have_rows_with_the_rates_over_them(tmp_path: Path) -> None:
    rows = history_of(tmp_path, [1.0, 2.0, 6.2, 7.0], full=True)
    of_all = [row for row in rows if row["Name"] == "Aggregated"]
    assert seconds_of(of_all) == [1001, 1002, 1003, 1004, 1005, 1006, 1007]
    assert seconds_of([row for row in rows if row["Name"] == PAGE.name]) == seconds_of(of_all)
    assert [float(row["Requests/s"]) for row in of_all[:-1]] == pytest.approx([10.0] * 6)
    assert [int(row["Total Request Count"]) for row in of_all] == [10, 20, 20, 20, 20, 62, 71]


@pytest.mark.parametrize(("ends", "seconds"), [([3.0, 4.0], [1001, 1002, 1003, 1004]), ([0.3, 1.0], [1001])])
def test_rows_begin_with_the_first_second(tmp_path: Path, ends: list[float], seconds: list[int]) -> None:
    assert seconds_of(history_of(tmp_path, ends)) == seconds


def test_a_restored_run_without_history_has_no_rows_of_the_time_before(tmp_path: Path) -> None:
    files, run = CsvFiles(str(tmp_path / "run")), MadeUpRun([])
    files.snapshot(replace(run.second({PAGE: [0.01]}), started_s=1000.9, elapsed_s=50.0, interval_s=0.9))
    files.close()
    with open(tmp_path / "run_stats_history.csv", newline="") as file:
        assert seconds_of(list(csv.DictReader(file))) == [1050]


HISTORY = "run_stats_history.csv"


def part_of_a_run(
    folder: Path, run: MadeUpRun, ends: Sequence[float], started_s: float = 1000.9, since: float | None = None
) -> None:
    """What one process writes of it, which does not come to its end; `since` is when the process before was killed."""
    files, before = CsvFiles(str(folder / "run")), since or 0.0
    if since is not None:
        # At the moment at which the run is taken up.
        present = run.second({})
        files.restored(replace(present, started_s=started_s, elapsed_s=ends[0] - 1, interval_s=ends[0] - 1 - since), [])
    for end in ends:
        requests = round((end - before) * 10)
        found = run.second({PAGE: [0.01] * requests})
        files.snapshot(replace(found, started_s=started_s, elapsed_s=end, interval_s=end - before))
        before = end
    # A process that is killed writes nothing more.
    if files._history is not None:
        files._history.close()


def kept_history(folder: Path) -> list[dict[str, str]]:
    with open(folder / HISTORY, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("cut_off", [b"", b"1004,3,,Aggreg", b"1004,3,,Aggregated\r"])
def test_a_restored_run_appends_to_its_history(tmp_path: Path, cut_off: bytes) -> None:
    run = MadeUpRun([])
    # The row of a second is written when the next one is there.
    part_of_a_run(tmp_path, run, [1.0, 2.0, 3.0, 4.0])
    before = (tmp_path / HISTORY).read_bytes()
    (tmp_path / HISTORY).write_bytes(before + cut_off)
    part_of_a_run(tmp_path, run, [8.0, 9.0, 10.0], since=4.0)
    assert (tmp_path / HISTORY).read_bytes().startswith(before)
    rows = kept_history(tmp_path)
    assert seconds_of(rows) == list(range(1001, 1010))
    assert [float(row["Requests/s"]) for row in rows] == pytest.approx([10.0] * 9)
    assert [int(row["Total Request Count"]) for row in rows] == [10, 20, 30, 40, 40, 40, 40, 80, 90]
    assert {row["User Count"] for row in rows} == {"3"}


def test_a_history_that_cannot_be_continued_is_left_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = MadeUpRun([])
    part_of_a_run(tmp_path, run, [1.0, 2.0, 3.0])
    before = (tmp_path / HISTORY).read_bytes()

    class Full(io.StringIO):
        def truncate(self, size: int | None = None) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(csv_files, "_open", lambda *_: Full())
    with pytest.raises(OSError, match="Input/output"):
        part_of_a_run(tmp_path, run, [6.0, 7.0], since=3.0)
    assert (tmp_path / HISTORY).read_bytes() == before


def test_a_history_is_continued_after_each_kill_of_the_master(tmp_path: Path) -> None:
    run = MadeUpRun([])
    part_of_a_run(tmp_path, run, [1.0], started_s=1000.95)
    # The first one had written nothing; its successor has the start in the next second, by a rounding.
    assert not (tmp_path / HISTORY).exists()
    part_of_a_run(tmp_path, run, [5.0, 6.0, 7.0], started_s=1001.01, since=1.0)
    part_of_a_run(tmp_path, run, [9.0, 10.0], started_s=1000.95, since=7.0)
    seconds = seconds_of(kept_history(tmp_path))
    assert seconds == sorted(set(seconds))
    assert seconds[-1] == 1009


def test_earlier_rows_are_kept_if_the_history_cannot_be_opened_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = MadeUpRun([])
    part_of_a_run(tmp_path, run, [1.0, 2.0, 3.0])
    files = CsvFiles(str(tmp_path / "run"))
    second = replace(run.second({PAGE: [0.01]}), started_s=1000.9, elapsed_s=3.0, interval_s=1.0)
    files.restored(second, [])

    def refuse(*_: object, **how: object) -> None:
        raise OSError(24, "Too many open files")

    files.snapshot(replace(second, elapsed_s=4.0))
    with monkeypatch.context() as patch:
        patch.setattr(csv_files, "open_private", refuse)
        with pytest.raises(OSError, match="Too many"):
            files.snapshot(replace(second, elapsed_s=5.0))
    for elapsed_s in (6.0, 7.0):
        files.snapshot(replace(second, elapsed_s=elapsed_s))
    files.close()
    seconds = seconds_of(kept_history(tmp_path))
    assert (seconds[:2], seconds[-2:]) == ([1001, 1002], [1006, 1007])


def test_a_clock_set_back_gives_no_second_two_rows(tmp_path: Path) -> None:
    run = MadeUpRun([])
    part_of_a_run(tmp_path, run, [1.0, 2.0, 3.0, 4.0, 5.0])
    part_of_a_run(tmp_path, run, [3.0, 4.0, 5.0, 6.0, 7.0], since=2.0)
    assert seconds_of(kept_history(tmp_path)) == list(range(1001, 1007))


@pytest.mark.parametrize("what", ["an earlier run", "no rows", "something else"])
def test_the_history_of_another_run_is_replaced_by_a_restored_run(tmp_path: Path, what: str) -> None:
    history, run = tmp_path / HISTORY, MadeUpRun([])
    part_of_a_run(tmp_path, run, [1.0, 2.0, 3.0], started_s=900.0)
    if what == "no rows":
        history.write_bytes(history.read_bytes().split(b"\n")[0] + b"\n")
    elif what == "something else":
        history.write_text("of something else")
    part_of_a_run(tmp_path, run, [5.0, 6.0], since=4.0)
    assert seconds_of(kept_history(tmp_path)) == [1005]


def test_a_new_run_replaces_a_history_started_in_the_same_second(tmp_path: Path) -> None:
    part_of_a_run(tmp_path, MadeUpRun([]), [1.0, 2.0, 3.0])
    assert seconds_of(history_of(tmp_path, [1.0])) == [1001]


def test_a_last_part_of_more_than_half_a_second_has_a_row_with_its_own_rate(tmp_path: Path) -> None:
    rows = history_of(tmp_path, [1.0, 2.0, 2.6])
    assert seconds_of(rows) == [1001, 1002, 1003]
    assert float(rows[-1]["Requests/s"]) == pytest.approx(7 / 0.6)


def test_a_very_short_run_has_a_row(tmp_path: Path) -> None:
    rows = history_of(tmp_path, [0.3])
    assert seconds_of(rows) == [1000]
    assert float(rows[0]["Requests/s"]) == pytest.approx(4 / 0.3)


def test_rows_of_endpoints_are_of_the_same_seconds(tmp_path: Path) -> None:
    rows = history_of(tmp_path, [1.0, 1.7, 2.0, 2.1], full=True)
    of_page = [row for row in rows if row["Name"] == PAGE.name]
    of_all = [row for row in rows if row["Name"] == "Aggregated"]
    assert seconds_of(of_page) == seconds_of(of_all) == [1001, 1002]
    assert [row["Requests/s"] for row in of_page] == [row["Requests/s"] for row in of_all]


def test_a_history_closed_without_finish_has_all_rows(tmp_path: Path) -> None:
    files, run = CsvFiles(str(tmp_path / "run")), MadeUpRun([])
    first: Snapshot = replace(run.second({PAGE: [0.01]}), started_s=1000.9, elapsed_s=1.0)
    files.snapshot(first)
    files.close()
    files.close()
    with open(tmp_path / "run_stats_history.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 1


def test_files_of_an_earlier_run_are_kept_until_there_is_something_to_write(tmp_path: Path) -> None:
    history = tmp_path / "run_stats_history.csv"
    history.write_text("of an earlier run")
    CsvFiles(str(tmp_path / "run")).close()
    assert [path.name for path in tmp_path.iterdir()] == [history.name]
    assert history.read_text() == "of an earlier run"


@pytest.mark.parametrize("suffix", ["stats", "failures", "exceptions", "stats_history"])
def test_each_of_the_files_has_to_be_writable(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"run_{suffix}.csv").mkdir()
    with pytest.raises(ObswarmError, match=r"^--csv .*run: the files cannot be written: Is a directory\.$"):
        CsvFiles(str(tmp_path / "run"))


def test_rates_of_the_run_are_over_the_time_of_its_load(tmp_path: Path) -> None:
    files, run = CsvFiles(str(tmp_path / "run")), MadeUpRun([])
    final = replace(
        run.second({PAGE: [0.01] * 40}, failed=[PAGE] * 4), elapsed_s=10.0, load_s=4.0, stats_elapsed_s=10.0
    )
    files.snapshot(final)
    files.finish(result_of(final))
    with open(tmp_path / "run_stats.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(float(row["Requests/s"]), float(row["Failures/s"])) for row in rows] == [(11.0, 1.0), (11.0, 1.0)]


@pytest.mark.parametrize(
    ("ends", "load_s", "requests", "users"),
    [
        pytest.param([1.0, 2.0, 3.0], 3.0, 1, 3, id="load until the end"),
        pytest.param([1.0, 2.0, 3.0, 3.1], 3.05, 1, 3, id="the rest is a part of the last second"),
        pytest.param([1.0, 2.0, 3.0], 2.1, 1, 3, id="the last requests after a stop"),
        pytest.param([1.0, 2.0, 3.0], 2.1, 0, 0, id="a wait after the last request"),
    ],
)
def test_the_last_row_has_the_users_that_made_its_load(
    tmp_path: Path, ends: list[float], load_s: float, requests: int, users: int
) -> None:
    files, run = CsvFiles(str(tmp_path / "run"), False), MadeUpRun([])
    before = 0.0
    for end in ends:
        snapshot = replace(
            run.second({PAGE: [0.01] * (1 if end < ends[-1] else requests)}),
            started_s=1000.0,
            elapsed_s=end,
            interval_s=end - before,
            load_s=end,
        )
        if end == ends[-1]:
            snapshot = replace(snapshot, state=RunState.STOPPED, users={}, load_s=load_s)
        files.snapshot(snapshot)
        before = end
    files.finish(result_of(snapshot))
    with open(tmp_path / "run_stats_history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["User Count"]) for row in rows] == [3, 3, users]
