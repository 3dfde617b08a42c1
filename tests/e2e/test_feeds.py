"""Rows of feeds over a fleet: each is used once, whatever happens to the master and to a worker."""

import re
from collections import Counter
from pathlib import Path

from obswarm.feeds.server import format_rows
from tests.support.fleet import Fleet, run_with_kills
from tests.support.forked import forked_obswarm
from tests.support.programs import QuickServer
from tests.support.service import Service

LOADTEST = """
from obswarm import FastHttpUser, between, feed, task

rows = feed.csv("rows.csv", policy="unique")

class Visitor(FastHttpUser):
    wait_time = between(0.02, 0.05)

    @task
    def page(self):
        row = rows.next()
        self.client.get("/" + self.environment.runner.client_id + "/" + row["number"])
"""


def used(target: QuickServer) -> dict[int, list[str]]:
    """The workers that have used each row."""
    found: dict[int, list[str]] = {}
    for path, times in target.arrivals().items():
        _, worker, number = path.split("/")
        found.setdefault(int(number), []).extend([worker] * len(times))
    return found


def numbers_of(text: str) -> set[int]:
    """The rows that a sentence names."""
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?: to (\d+))?", text):
        found.update(range(int(first), int(last or first) + 1))
    return found


def test_each_row_is_used_once_though_the_master_and_a_worker_are_killed(tmp_path: Path) -> None:
    with QuickServer() as target, Fleet(tmp_path, target.url, LOADTEST) as fleet:
        (fleet.folder / "rows.csv").write_text("number\n" + "".join(f"{number}\n" for number in range(1, 100_001)))
        run_with_kills(fleet, target, 4, "-u", 8, "-r", 8)
        by_row = used(target)
        assert [row for row, by in by_row.items() if len(by) > 1] == [], "no row twice"
        assert len(Counter(worker for by in by_row.values() for worker in by)) == 4
        (lost,) = fleet.result()["lost"]
        named = re.search(r"it had not used (rows? .*) of rows\.csv", lost["detail"])
        assert named, lost
        unused = numbers_of(named[1])
        by_lost = {row for row, by in by_row.items() if by == [lost["worker"]]}
        # Those of its last second may be among them, which it could not report any more.
        assert len(unused - set(by_row)) > 0
        assert len(unused & by_lost) <= 2 * 8 / 0.02 * (lost["unreported_s"] + 1)
        assert not unused & (set(by_row) - by_lost), "nobody else was given them"
        assert re.search(r"Feed rows\.csv: [\d,]+ rows of 100,000 handed out, [\d,]+ of them not used", fleet.log())
        assert not list(fleet.folder.rglob("*.feeds"))
        assert format_rows(sorted(number - 1 for number in unused)) == named[1]


def test_the_end_of_the_rows_ends_the_run_of_local_workers(tmp_path: Path) -> None:
    with QuickServer() as target:
        (tmp_path / "loadtest.py").write_text(LOADTEST)
        (tmp_path / "rows.csv").write_text("number\n" + "".join(f"{number}\n" for number in range(200)))
        done = forked_obswarm(
            *("run", "loadtest.py", "-H", target.url, "-u", 4, "-r", 4, "-t", "120s", "--workers", 2),
            *("--headless", "--json", "-", "--no-store"),
            cwd=tmp_path,
        )
        assert done.code == 0, done.stderr
        assert done.result["stop_reason"]["detail"] == "all rows of the feed rows.csv have been handed out"
        by_row = used(target)
        assert [row for row, by in by_row.items() if len(by) > 1] == []
        assert len(by_row) > 180


def test_a_bad_file_is_a_sentence_with_its_line_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    (tmp_path / "rows.csv").write_text("number\n1\n2,3\n")
    done = forked_obswarm("run", "loadtest.py", "-H", "http://127.0.0.1:9", "-t", "1s", "--headless", cwd=tmp_path)
    assert done.code == 2
    assert f"Error: feed rows.csv: {tmp_path}/rows.csv, line 3: 2 values instead of 1." in done.stderr


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    done = forked_obswarm("run", "loadtest.py", "-H", "http://127.0.0.1:9", "-t", "1s", "--headless", cwd=tmp_path)
    assert done.code == 2
    assert f"{tmp_path}/rows.csv cannot be read: No such file or directory." in done.stderr


def test_rows_through_a_master_service_and_a_relay_and_their_use_in_the_result(tmp_path: Path) -> None:
    """The client sends the file; the service's workers are one process, and a relay with two."""
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    (tmp_path / "rows.csv").write_text("number\n" + "".join(f"{number}\n" for number in range(1, 301)))
    with QuickServer() as target, Service(tmp_path / "service", workers=(1, 2)) as service:
        done = service.run(
            "loadtest.py", "-H", target.url, "-u", 6, "-r", 6, "-t", "120s", "--json", "-", "--no-store", cwd=tmp_path
        )
        by_row = used(target)
    assert done.code == 0, done.stderr
    assert done.result["stop_reason"]["detail"] == "all rows of the feed rows.csv have been handed out"
    assert [row for row, by in by_row.items() if len(by) > 1] == [], "no row twice"
    assert len({worker for by in by_row.values() for worker in by}) >= 2
    (feed,) = done.result["feeds"]
    assert (feed["name"], feed["rows"], feed["handed_out"]) == ("rows.csv", 300, 300)
    # A user that is stopped has taken a row and may not have sent its request.
    assert 0 <= len(by_row) - (300 - feed["unused"]) + 6 <= 6 + 12
