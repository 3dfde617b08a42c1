"""Guards on a real database, and what happens when who tells of it goes away."""

import csv
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import gevent
import pymysql
import pytest

from obswarm.targets import KINDS, Target
from tests.support.figures import Figures
from tests.support.fleet import Fleet
from tests.support.mariadb import MariaDb
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer, obswarm
from tests.support.prometheus import Prometheus
from tests.support.stalls import StallMeter

LOADTEST = """
import pymysql
from obswarm import User, constant, events, task

class Querying(User):
    # Long enough that few queries meet when they are quick, however slow the machine is.
    wait_time = constant(0.2)

    def on_start(self):
        self.database = pymysql.connect(host="127.0.0.1", port={port}, user="test", database="test", autocommit=True)

    def on_stop(self):
        self.database.close()

    @task
    def query(self):
        with events.request.measure("SQL", "sleep"), self.database.cursor() as cursor:
            cursor.execute("SELECT SLEEP(seconds) FROM pace")
"""
QUERY = "max(mysql_global_status_threads_running)"


@pytest.fixture(scope="module")
def mariadb():
    with MariaDb() as running:
        with running.connect() as database, database.cursor() as cursor:
            cursor.execute("CREATE DATABASE IF NOT EXISTS test")
            cursor.execute("CREATE TABLE test.pace (seconds DOUBLE)")
            cursor.execute("INSERT INTO test.pace VALUES (0.5)")
        yield running


def set_pace(mariadb: MariaDb, seconds: float) -> None:
    with mariadb.connect() as database, database.cursor() as cursor:
        cursor.execute("UPDATE test.pace SET seconds = %s", [seconds])


def users_of(port: int) -> tuple[int, str]:
    """(users, state of the run)."""
    import re
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=HANG_S) as answer:
            text = answer.read().decode()
    except OSError:
        return 0, ""
    states = re.findall(r'obswarm_run_state\{state="(\w+)"\} 1\.0', text)
    users = re.findall(r"obswarm_users\{.*\} (\S+)", text)
    return (int(float(users[0])) if users else 0), (states[0] if states else "")


def users_by_second(fleet: Fleet) -> list[int]:
    """As the run's history has them."""
    try:
        with open(fleet.folder / "held_stats_history.csv", newline="") as file:
            return [int(row["User Count"]) for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    except FileNotFoundError:
        return []


@pytest.mark.parametrize("through_prometheus", [False, True])
def test_the_load_is_held_while_the_database_has_too_much_to_do(
    tmp_path: Path, mariadb: MariaDb, through_prometheus: bool
) -> None:
    set_pace(mariadb, 4.0)
    where = mariadb.metrics_url.removeprefix("http://").removesuffix("/metrics")
    with Fleet(tmp_path, "http://127.0.0.1:1", LOADTEST.replace("{port}", str(mariadb.port))) as fleet:
        prometheus = Prometheus(where) if through_prometheus else None
        if prometheus is not None:
            prometheus.__enter__()
        try:
            options = (
                ["--prometheus-url", prometheus.url] if prometheus else ["--target", f"mysql={mariadb.metrics_url}"]
            )
            port = free_port()
            master = fleet.master(
                *(
                    "-u",
                    60,
                    "-r",
                    5,
                    "-t",
                    "10m",
                    "--csv",
                    "held",
                    "--hold-when",
                    f"promql({QUERY}) > 16",
                    *options,
                    "--web-port",
                    port,
                )
            )
            with StallMeter() as stalls:
                fleet.worker()
                wait_until(lambda: users_of(port)[1] == "holding", lambda: (users_of(port), fleet.log()))
                # Those that were on their way when it was held have come by then: five would come each second.
                wait_until(lambda: len(set(users_by_second(fleet)[-4:])) == 1, lambda: users_by_second(fleet))
            held, state = users_of(port)
            assert state == "holding"
            most = 45 + 5 * stalls.stalled_s()
            assert 16 <= held <= most, "threads_running climbed with the users, and a few more came until it was seen"
            set_pace(mariadb, 0.0)
            wait_until(lambda: users_of(port)[0] == 60, lambda: (users_of(port), fleet.log()))
            master.terminate()
            assert master.wait(HANG_S) == 130
            result = fleet.result()
            (guard,) = result["guards"]
            # Again where the database had a quiet moment meanwhile, and the load went on.
            assert 1 <= guard["trips"] <= 5
            assert guard["state"] == "ok"
            assert [mark["kind"] for mark in result["annotations"]] == [
                "start",
                *["guard", "release"] * guard["trips"],
                "stop",
            ]
            assert f"{QUERY}) is " in result["annotations"][1]["text"]
        finally:
            if prometheus is not None:
                prometheus.__exit__()


def test_what_can_be_seen_is_listed_with_values_and_health(mariadb: MariaDb) -> None:
    done = obswarm(
        "targets", "--target", f"mysql={mariadb.metrics_url}", "--target", "redis=http://127.0.0.1:1/metrics"
    )
    assert done.code == 1
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["mysql", "mysql", "up"] in [row[:3] for row in rows]
    assert ["redis", "redis", "down"] in [row[:3] for row in rows]
    values = {" ".join(row[1:-2]): row[-2] for row in rows if row[:1] == ["mysql"] and row[-1].startswith("max(")}
    assert values["connections limit"] == "300"
    assert float(values["threads running"]) >= 1


_OF_STATEMENTS = ("statement errors", "time per statement", "statements executing")
"""They need the server's performance schema."""


def test_each_figure_of_a_database_is_what_happens_in_it(mariadb: MariaDb) -> None:
    with Figures(Target("database", mariadb.metrics_url, "mysql")) as metrics, mariadb.connect() as one:
        with one.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS test.counters (id INT PRIMARY KEY, n INT) ENGINE=InnoDB")
            cursor.execute("REPLACE INTO test.counters VALUES (1, 0)")
            cursor.execute("SET long_query_time = 0.05")
            for _ in range(200):
                cursor.execute("SELECT 1")
            for _ in range(5):
                cursor.execute("SELECT SLEEP(0.1)")
            cursor.execute("BEGIN")
            cursor.execute("UPDATE test.counters SET n = n + 1")
        began_s = time.monotonic()
        waiters = [threading.Thread(target=_add_one, args=(mariadb,)) for _ in range(2)]
        for waiter in waiters:
            waiter.start()
        try:
            present = {
                # Two that wait, and the exporter's own; the connection that holds the row is idle.
                "threads running": lambda value: 3 <= value <= 6,
                "threads connected": lambda value: 4 <= value <= 8,
                "connections limit": lambda value: value == 300,
                "queries": metrics.counted(200, own_per_s=100),
                "slow queries": lambda value: 5 <= value <= 2 * 5,
                "row lock waits": lambda value: 2 <= value <= 2 * 2,
                "waiting for row locks": lambda value: value == 2,
                "connections refused": lambda value: value == 0,
                "buffer pool misses": lambda value: value >= 0,
                "rows read": lambda value: value >= 1,
                "temporary tables on disk": lambda value: value >= 0,
                "flushes to disk": lambda value: value >= 1,
                "flushes pending": lambda value: value >= 0,
            }
            metrics.wait_for("mysql", present, but=["time per row lock wait", *_OF_STATEMENTS])
            metrics.wait_for_series("database")
            # The server counts a wait's time when it has ended.
            gevent.sleep(0.5)
        finally:
            one.rollback()
            for waiter in waiters:
                waiter.join(HANG_S)
        longest_s = time.monotonic() - began_s
        metrics.wait_for(
            "mysql",
            {"time per row lock wait": lambda value: 0.5 <= value <= longest_s},
            but=[*present, *_OF_STATEMENTS],
        )


def test_each_figure_of_its_statements_is_what_they_did() -> None:
    with MariaDb(statements=True) as server, server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS shop")
        # The exporter has only statements of connections with a database.
        cursor.execute("USE shop")
        # Counters of a kind of statements begin with the first one.
        asked = ("SELECT SLEEP(0.1)", "SELECT nothing FROM nowhere")
        _execute(cursor, asked)
        with Figures(Target("database", server.metrics_url, "mysql")) as metrics:
            for _ in range(5):
                _execute(cursor, asked)
            metrics.wait_for(
                "mysql",
                {
                    "statement errors": lambda value: 5 <= value <= 2 * 5,
                    # Half a second of sleep, and hardly anything else.
                    "statements executing": lambda value: 0.5 <= value <= 2 * 0.5 + 1,
                    "time per statement": lambda value: 0.01 <= value <= 0.1 + 0.05,
                },
                but=[metric.name for metric in KINDS["mysql"].metrics if metric.name not in _OF_STATEMENTS],
            )


def _execute(cursor: Any, statements: Sequence[str]) -> None:
    for statement in statements:
        with suppress(pymysql.MySQLError):
            cursor.execute(statement)


def _add_one(mariadb: MariaDb) -> None:
    with mariadb.connect() as other, other.cursor() as cursor:
        cursor.execute("UPDATE test.counters SET n = n + 1")


def test_without_its_prometheus_a_guard_has_no_data_and_stops_the_run_with_on_no_data_stop(tmp_path: Path) -> None:
    with (
        QuickServer() as target,
        Prometheus(f"127.0.0.1:{target.port}") as prometheus,
        Fleet(tmp_path, target.url) as fleet,
    ):
        (fleet.folder / "obswarm.toml").write_text(
            f'prometheus_url = "{prometheus.url}"\n'
            "[[guards]]\n"
            "when = 'promql(sum(up)) > 100000'\n"
            "name = 'too much'\n"
            "no_data_after = '3s'\non_no_data = 'stop'\n"
        )
        prometheus.wait_for("sum(up)", 1)
        port = free_port()
        master = fleet.master("-u", 4, "-t", "10m", "--web-port", port)
        fleet.worker()
        wait_until(target.arrivals, fleet.log)
        gevent.sleep(3)
        with StallMeter() as stalls:
            prometheus.stop()
            stopped_s = time.time()
            assert master.wait(HANG_S) == 3, fleet.log()
        result = fleet.result()
        (guard,) = result["guards"]
        assert guard["state"] == "no_data"
        assert "does not answer" in guard["no_data_reason"]
        assert "has had no data for 3s" in fleet.log()
        assert datetime.fromisoformat(result["ended_at"]).timestamp() - stopped_s < stalls.allowed_s(9)
        assert "The guard too much has had no data for 3s" in result["stop_reason"]["detail"]
        prometheus.start()
