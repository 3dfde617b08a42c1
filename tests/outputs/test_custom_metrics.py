"""A load test's own metrics are in every output, and count the same in each."""

import csv
import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from obswarm.record import RunRecord
from obswarm.report import compare_runs, comparison_document, comparison_page, run_page
from obswarm.stats import RECORDED
from obswarm.store import Store, read_run
from tests.support.patience import HANG_S

LOADTEST = """
from obswarm import User, constant, metrics, task

orders = metrics.counter("orders", unit="orders", labels=("tier",))
queue = metrics.gauge("queue")
cart_size = metrics.histogram("cart_size", unit="items")

class Shopper(User):
    wait_time = constant(0.05)
    n = 0

    @task
    def buy(self):
        with self.environment.request("GET", "/"):
            pass
        Shopper.n += 1
        orders.add(2.5, tier="gold" if Shopper.n % 2 else "=free")
        queue.set(-Shopper.n)
        cart_size.record(Shopper.n % 5)
"""


@pytest.fixture(autouse=True)
def nothing_recorded() -> Iterator[None]:
    RECORDED.clear()
    yield
    RECORDED.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a run of two seconds."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "loadtest.py").write_text(LOADTEST)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "obswarm", "run", "-f", "loadtest.py", "-u", "2", "-r", "2", "-t", "2s"),
            *("--json", "out.json", "--csv", "out", "--html", "report.html", "--store", "runs", "--web-port", "0"),
            *("--require", 'metric("cart_size").p95 < 5', "--require", 'metric("orders").sum > 1000000'),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    (folder / "printed").write_text(done.stdout + done.stderr)
    assert done.returncode == 5, done.stdout + done.stderr
    return folder


def stored(folder: Path) -> RunRecord:
    with Store(folder / "runs" / "runs.sqlite") as store:
        return read_run(store, store.find("latest"))


def in_json(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "out.json").read_text())
    return {"".join((each["name"], *each["labels"].values())): each for each in document["metrics"]}


def test_json_has_the_load_tests_own_metrics(folder: Path) -> None:
    found = in_json(folder)
    cart, gold, free, queue = (found[name] for name in ("cart_size", "ordersgold", "orders=free", "queue"))
    count = cart["count"]
    assert count > 20
    assert gold["sum"] == 2.5 * gold["count"]
    assert gold["count"] + free["count"] == count == -queue["min"]
    assert (queue["last"], queue["max"], queue["kind"], cart["unit"]) == (-count, -1, "gauge", "items")
    assert cart["p99"] == pytest.approx(4, rel=0.011)
    assert cart["per_second"] == pytest.approx(count / 2, rel=0.2)
    requirements = json.loads((folder / "out.json").read_text())["requirements"]
    assert [each["met"] for each in requirements] == [True, False]


def test_the_store_has_the_same(folder: Path) -> None:
    record = stored(folder)
    counts = {key.label: stats.count for key, stats in record.custom.items()}
    found = in_json(folder)
    assert counts == {
        "cart_size": found["cart_size"]["count"],
        "queue": found["queue"]["count"],
        'orders{tier="gold"}': found["ordersgold"]["count"],
        'orders{tier="=free"}': found["orders=free"]["count"],
    }
    seconds = [stats.count for interval in record.intervals for stats in interval.custom.values()]
    assert sum(seconds) == sum(counts.values())


def test_a_run_that_was_interrupted_has_the_sum_of_its_seconds(folder: Path) -> None:
    whole = {key: stats.pack() for key, stats in stored(folder).custom.items()}
    path = folder / "runs" / "runs.sqlite"
    with sqlite3.connect(path) as connection:
        (before,) = connection.execute("SELECT custom FROM runs").fetchone()
        connection.execute("UPDATE runs SET custom = NULL")
    try:
        assert {key: stats.pack() for key, stats in stored(folder).custom.items()} == whole
    finally:
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE runs SET custom = ?", [before])


def test_csv_has_them_without_formulas(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((folder / "out_metrics.csv").read_text())))
    assert [(row["Name"], row["Labels"]) for row in rows] == [
        ("cart_size", ""),
        ("orders", "tier==free"),
        ("orders", "tier=gold"),
        ("queue", ""),
    ]
    assert int(rows[0]["Count"]) == in_json(folder)["cart_size"]["count"]
    assert (rows[3]["Sum"], rows[0]["Last"]) == ("", "")


def test_the_summary_and_the_report_show_them(folder: Path) -> None:
    printed = (folder / "printed").read_text()
    page = (folder / "report.html").read_text()
    for text in ("cart_size (items)", 'orders{tier="gold"} (orders)', "queue"):
        assert text in printed
        assert text.replace('"', "&#34;") in page
    assert 'requirement metric("cart_size").p95 < 5: met' in printed
    for title in ("orders, orders per second", "cart_size, items", "Metrics of the load test"):
        assert title in page


def test_runs_are_compared_by_them(folder: Path) -> None:
    record = stored(folder)
    found = compare_runs(record, record, force=True)
    assert {(key.name, statistic) for key, statistic in found.custom} == {
        ("cart_size", "mean"),
        ("orders", "per second"),
        ("queue", "value"),
    }
    documents = comparison_document(found)["metrics"]
    assert [each["base"] == each["run"] for each in documents] == [True] * 4
    assert "cart_size (items) mean" in comparison_page(found, record, record)
    assert "Metrics of the load test" in run_page(record)
