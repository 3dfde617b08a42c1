"""Kinds beside databases and balancers against what really has their metrics: a PgBouncer with its exporter, a PHP-FPM, a
program that is written in Go, one with Python's client library, and a Gunicorn."""

import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from prometheus_client import start_http_server

from obswarm.targets import Target, scrape_names
from obswarm.targets.kind_metrics import metrics_of
from tests.support.figures import Check, Figures
from tests.support.nginx import free_port
from tests.support.patience import HANG_S
from tests.support.pgbouncer import POOL, PgBouncer
from tests.support.phpfpm import PROCESSES, PhpFpm
from tests.support.postgres import Postgres
from tests.support.readiness import wait_for_http


def between(low: float, high: float) -> Check:
    return lambda value: low <= value <= high


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


def test_pgbouncer(database: Postgres) -> None:
    with ExitStack() as stack:
        pool = stack.enter_context(PgBouncer(database))
        # Its counters begin with the first query.
        database.execute("SELECT 1", port=pool.port)
        figures = stack.enter_context(Figures(Target("pool", pool.metrics_url, "pgbouncer")))
        database.execute("SELECT 1;\n" * 200, port=pool.port)
        # More than the pool has: the others wait.
        sleeping = [database.session("SELECT pg_sleep(600);", port=pool.port) for _ in range(POOL + 2)]
        figures.wait_for(
            "pgbouncer",
            {
                "clients waiting": between(2, 2),
                "longest wait": between(1, HANG_S),
                "server connections in use": between(POOL, POOL),
                "pool size": between(POOL, POOL),
                "clients": between(POOL, POOL),
                "clients limit": between(100, 100),
                "queries": between(200, 2 * 200),
                "time per query": between(0, HANG_S),
                "time waiting": lambda value: value >= 0,
            },
        )
        for session in sleeping:
            session.kill()
            session.communicate()


def test_phpfpm() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(PhpFpm())
        target = Target("pages", server.metrics_url, "phpfpm")
        assert metrics_of("phpfpm") <= scrape_names(target)
        figures = stack.enter_context(Figures(target))

        def fetch(query: str = "") -> None:
            urllib.request.urlopen(server.url + query, timeout=HANG_S).close()

        for _ in range(20):
            fetch()
        # More than there are processes: the others wait.
        held = [threading.Thread(target=fetch, args=("?hold",)) for _ in range(PROCESSES + 3)]
        for each in held:
            each.start()
            stack.callback(each.join, HANG_S)
        stack.callback(server.release)
        figures.wait_for(
            "phpfpm",
            {
                "active processes": between(PROCESSES, PROCESSES),
                "processes": between(PROCESSES, PROCESSES),
                "idle processes": between(0, 0),
                "listen queue": between(3, 3),
                "slow requests": between(PROCESSES, 2 * PROCESSES),
                "connections": between(20, 2 * (20 + len(held))),
                # A pool of constant size never wants more.
                "process limit reached": between(0, 0),
            },
        )


def test_go(database: Postgres) -> None:
    """Its exporter is written in Go. Metrics of database/sql are there if a program exports them."""
    names = scrape_names(Target("exporter", database.metrics_url, "go"))
    assert metrics_of("go") - names <= {name for name in metrics_of("go") if name.startswith("go_sql_")}


def test_python() -> None:
    server, thread = start_http_server(0, "127.0.0.1")
    try:
        names = scrape_names(Target("app", f"http://127.0.0.1:{server.server_port}/metrics", "python"))
    finally:
        server.shutdown()
        server.server_close()
        assert isinstance(thread, threading.Thread)
        thread.join(HANG_S)
    assert metrics_of("python") <= names


def test_gunicorn(tmp_path: Path) -> None:
    """Gunicorn's own StatsD messages, with the names that statsd_exporter gives them without a mapping: underscores."""
    (tmp_path / "shop.py").write_text(
        "def app(environ, start_response):\n"
        "    if environ['PATH_INFO'] == '/broken':\n"
        "        raise RuntimeError('no such row')\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '2')])\n"
        "    return [b'ok']\n"
    )
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as statsd, open(tmp_path / "log", "wb") as log:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(0.2)
        port = free_port()
        words = ["--bind", f"127.0.0.1:{port}", "--statsd-host", f"127.0.0.1:{statsd.getsockname()[1]}", "shop:app"]
        server = subprocess.Popen([sys.executable, "-m", "gunicorn", *words], cwd=tmp_path, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}/"
            wait_for_http(url, server, (tmp_path / "log").read_text)
            with suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"{url}broken", timeout=HANG_S).close()
            names: set[str] = set()
            # What is logged only if something is wrong with Gunicorn itself.
            rare = {"gunicorn_log_error", "gunicorn_log_critical"}
            deadline = time.monotonic() + HANG_S
            while missing := metrics_of("gunicorn") - names - rare:
                assert time.monotonic() < deadline, (missing, names)
                with suppress(TimeoutError):
                    names |= {name for line in statsd.recv(65536).decode().splitlines() for name in named(line)}
        finally:
            server.terminate()
            server.wait(HANG_S)


def named(line: str) -> set[str]:
    """Names that a message `gunicorn.request.duration:12.3|ms` becomes: timers are summaries."""
    name = line.partition(":")[0].replace(".", "_")
    return {f"{name}_sum", f"{name}_count"} if "|ms" in line else {name}
