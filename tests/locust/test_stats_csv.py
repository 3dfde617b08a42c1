"""Statistics as CSV for programs, and the constants of locust.stats that change what a run writes."""

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from obswarm.api import StatsError
from obswarm.app.locust_constants import console_interval_s, report_percentiles
from obswarm.errors import ObswarmError
from obswarm.locust import stats
from obswarm.report import CsvFiles
from tests.support.recorded import PAGE, MadeUpRun, result_of


class Entry:
    method, name = "GET", "=page"
    num_requests, num_failures = 4, 1
    median_response_time = avg_response_time = min_response_time = max_response_time = 5.0
    avg_content_length, total_rps, total_fail_per_sec, current_rps, current_fail_per_sec = 3, 2.0, 0.5, 2.0, 0.5

    def get_response_time_percentile(self, share: float) -> float:
        return share * 10

    def get_current_response_time_percentile(self, share: float) -> float | None:
        return None


@pytest.fixture
def environment() -> Any:
    error = StatsError("GET", "/page", "refused", 1, 0.0, 60.0)
    found = {"count": 2, "msg": "ValueError", "traceback": "at …", "nodes": ["a", "b"]}
    return SimpleNamespace(
        stats=SimpleNamespace(entries={("=page", "GET"): Entry()}, total=Entry(), errors={"key": error}),
        runner=SimpleNamespace(user_count=7, exceptions={"x": found}),
    )


def test_rows_for_a_writer_of_ones_own(environment: Any) -> None:
    text = io.StringIO()
    made = stats.StatsCSV(environment, [0.5, 0.999])
    for write in (made.requests_csv, made.failures_csv, made.exceptions_csv):
        write(csv.writer(text))
    rows = list(csv.reader(io.StringIO(text.getvalue())))
    assert rows[0][-2:] == ["50%", "99.9%"]
    assert [row[:3] for row in rows[1:3]] == [["GET", "=page", "4"], ["", "Aggregated", "4"]]
    assert rows[1][-2:] == ["5", "9"]
    assert rows[4] == ["GET", "/page", "refused", "1", "1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z"]
    assert rows[6] == ["2", "ValueError", "at …", "a, b"]


@pytest.mark.parametrize(("full", "rows"), [(False, 1), (True, 2)])
def test_files_are_written_until_they_are_closed(
    environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool, rows: int
) -> None:
    monkeypatch.setattr(stats, "CSV_STATS_INTERVAL_SEC", 0.001)
    writer = stats.StatsCSVFileWriter(environment, [0.5], str(tmp_path / "a" / "shop"), full)
    writing = gevent.spawn(writer)
    gevent.sleep(0.02)
    writer.close_files()
    writer.close_files()
    assert writing.get(timeout=5) is None
    with open(writer.stats_history_file_name(), newline="") as file:
        history = list(csv.reader(file))
    assert len(history) > 2 * rows
    assert (len(history) - 1) % rows == 0
    assert history[-1][1:4] == ["7", "", "Aggregated"]
    assert history[-1][6] == "N/A"
    with open(tmp_path / "a" / "shop_stats.csv", newline="") as file:
        assert [row[1] for row in csv.reader(file)] == ["Name", "'=page", "Aggregated"]


def test_percentiles_of_the_load_test_are_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "PERCENTILES_TO_REPORT", [0.25, 1])
    assert report_percentiles() == (0.25, 1.0)
    files = CsvFiles(str(tmp_path / "shop"), percentiles=report_percentiles())
    files.finish(result_of(MadeUpRun([files]).second({PAGE: [0.1, 0.2]})))
    for name in ("stats", "stats_history"):
        with open(tmp_path / f"shop_{name}.csv", newline="") as file:
            heading, *rows = csv.reader(file)
        assert [each for each in heading if each.endswith("%")] == ["25%", "100%"]
        assert {len(row) for row in rows} == {len(heading)}


@pytest.mark.parametrize("value", ["0.5", [50], [0], ["p95"], 0.5])
def test_wrong_percentiles(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "PERCENTILES_TO_REPORT", value)
    with pytest.raises(
        ObswarmError, match=r"locust\.stats\.PERCENTILES_TO_REPORT is .*; it has to be a list of shares"
    ):
        report_percentiles()


def test_the_interval_of_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert console_interval_s() is None
    monkeypatch.setattr(stats, "CONSOLE_STATS_INTERVAL_SEC", 30)
    assert console_interval_s() == 30.0
    monkeypatch.setattr(stats, "CONSOLE_STATS_INTERVAL_SEC", 0)
    with pytest.raises(ObswarmError, match=r"CONSOLE_STATS_INTERVAL_SEC is 0; it has to be a number above 0"):
        console_interval_s()
