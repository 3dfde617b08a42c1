"""Each request as a row of a CSV file, in each process with users."""

import csv
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from obswarm.api import Events
from obswarm.cluster import MasterRunner
from obswarm.locust.contrib.csv_request_logger import CSV_COLUMNS, CsvRequestLogger


def environment_of(runner: Any) -> Any:
    return SimpleNamespace(events=Events(), runner=runner)


def fire(environment: Any, **changed: Any) -> None:
    environment.events.request.fire(
        **{
            "request_type": "GET",
            "name": "/page",
            "response_time": 12.3456,
            "response_length": 7,
            "exception": None,
            "response": SimpleNamespace(status_code=200),
            "context": {},
            "start_time": 1_700_000_000.25,
            "url": "http://127.0.0.1/page",
        }
        | changed
    )


def rows_of(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_a_row_for_each_request(tmp_path: Path) -> None:
    environment = environment_of(SimpleNamespace(worker_index=0))
    path = tmp_path / "new" / "requests.csv"
    CsvRequestLogger(str(path)).register(environment)
    fire(environment)
    fire(environment, exception=OSError("refused\x1b"), response=None, response_time=None, start_time=None, name="=1+1")
    header, first, second = rows_of(path)
    assert tuple(header) == CSV_COLUMNS
    assert first == ["1700000000.25", "GET", "/page", "12.35", "7", "200", ""]
    assert second[1:] == ["GET", "'=1+1", "", "7", "0", "refused\\x1b"]
    assert float(second[0]) > 1_700_000_000
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    environment.events.quitting.fire(environment=environment)
    fire(environment)
    assert len(rows_of(path)) == 3


def test_rows_are_flushed_together_and_at_the_end(tmp_path: Path) -> None:
    environment = environment_of(SimpleNamespace(worker_index=0))
    path = tmp_path / "requests.csv"
    logger = CsvRequestLogger(str(path), flush_interval=3)
    logger.register(environment)
    for expected in (1, 1, 4, 4):
        fire(environment)
        assert len(rows_of(path)) == expected
    logger.close()
    logger.close()
    assert len(rows_of(path)) == 5


def test_each_process_with_users_has_a_file(tmp_path: Path) -> None:
    master = environment_of(MasterRunner.__new__(MasterRunner))
    CsvRequestLogger(str(tmp_path / "requests.csv")).register(master)
    assert not list(tmp_path.iterdir())
    for index in (0, 2):
        environment = environment_of(SimpleNamespace(worker_index=index))
        CsvRequestLogger(str(tmp_path / "requests.csv")).register(environment)
        fire(environment)
        environment.events.quitting.fire(environment=environment)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["requests-2.csv", "requests.csv"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        CsvRequestLogger(str(tmp_path / "file" / "requests.csv")).register(environment_of(None))
