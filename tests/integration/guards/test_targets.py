"""Guards on a real database, and what happens when who tells of it goes away."""

import threading
import time
from pathlib import Path

import gevent
import pytest

from obswarm.targets import Target
from tests.support.figures import Figures
from tests.support.fleet import Fleet
from tests.support.mariadb import MariaDb
from tests.support.nginx import free_port
from tests.support.programs import QuickServer, obswarm
from tests.support.prometheus import Prometheus

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
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0, ""
    states = re.findall(r'obswarm_run_state\{state="(\w+)"\} 1\.0', text)
    users = re.findall(r"obswarm_users\{.*\} (\S+)", text)
    return (int(float(users[0])) if users else 0), (states[0] if states else "")


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
                *("-u", 60, "-r", 5, "-t", "60s", "--hold-when", f"promql({QUERY}) > 16", *options, "--web-port", port)
            )
            fleet.worker()
            deadline = time.monotonic() + 40
            while users_of(port)[1] != "holding":
                assert time.monotonic() < deadline, (users_of(port), fleet.log())
                gevent.sleep(0.2)
            gevent.sleep(1)
            held, _ = users_of(port)
            assert 16 <= held <= 45, "threads_running climbed with the users, and a few more came until it was seen"
            gevent.sleep(3)
            assert users_of(port) == (held, "holding")
            set_pace(mariadb, 0.0)
            while users_of(port)[0] < 60:
                assert time.monotonic() < deadline + 40, (users_of(port), fleet.log())
                gevent.sleep(0.2)
            master.terminate()
            assert master.wait(20) == 130
            result = fleet.result()
            (guard,) = result["guards"]
            assert (guard["trips"], guard["state"]) == (1, "ok")
            assert [mark["kind"] for mark in result["annotations"]] == ["start", "guard", "stop"]
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


def test_each_figure_of_a_database_is_what_happens_in_it(mariadb: MariaDb) -> None:
    with Figures(Target("database", mariadb.metrics_url, "mysql")) as figures, mariadb.connect() as one:
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
            there = {
                # Two that wait, and the exporter's own; the connection that holds the row is idle.
                "threads running": lambda value: 3 <= value <= 6,
                "threads connected": lambda value: 4 <= value <= 8,
                "connections limit": lambda value: value == 300,
                "queries": lambda value: 200 <= value <= 2 * 200 + 1000,
                "slow queries": lambda value: 5 <= value <= 2 * 5,
                "row lock waits": lambda value: 2 <= value <= 2 * 2,
                "waiting for row locks": lambda value: value == 2,
            }
            figures.wait_for("mysql", there, but=["time per row lock wait"])
            figures.wait_for_series("database")
            # The server counts a wait's time when it has ended.
            gevent.sleep(0.5)
        finally:
            one.rollback()
            for waiter in waiters:
                waiter.join(30)
        longest_s = time.monotonic() - began_s
        figures.wait_for("mysql", {"time per row lock wait": lambda value: 0.5 <= value <= longest_s}, but=[*there])


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
        master = fleet.master("-u", 4, "-t", "14s", "--web-port", port)
        fleet.worker()
        deadline = time.monotonic() + 30
        while not target.arrivals():
            assert time.monotonic() < deadline, fleet.log()
            gevent.sleep(0.1)
        gevent.sleep(3)
        prometheus.stop()
        began = time.monotonic()
        assert master.wait(30) == 3, fleet.log()
        result = fleet.result()
        (guard,) = result["guards"]
        assert guard["state"] == "no_data"
        assert "does not answer" in guard["no_data_reason"]
        assert "has had no data for 3 s" in fleet.log()
        assert time.monotonic() - began < 9
        assert "The guard too much has had no data for 3 s" in result["stop_reason"]["detail"]
        prometheus.start()
