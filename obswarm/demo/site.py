"""The demo's site: a WSGI application over a real SQLite database. Runs in real threads, without gevent's patches.

Each submission takes SQLite's one write lock for as long as the scoring takes, so writers queue for the lock while
they occupy the few app workers, and cheap reads queue behind them: the way in which real sites go down.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

PROBLEMS = 200
SEEDED_SUBMISSIONS = 20_000
LOCK_HELD_S = 0.006
"""Intended duration of the scoring in a submission, in seconds, on an otherwise idle machine."""

_BUSY_TIMEOUT_S = 1.0
_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Metrics of the site, served at /metrics."""

    def __init__(self, workers: int) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("app_requests", "Requests answered", ["endpoint", "status"], registry=self.registry)
        self.database = Histogram(
            "app_db_query_duration_seconds",
            "Time spent in the database, including waiting for locks",
            ["operation"],
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.waiting_for_lock = Gauge(
            "app_db_lock_waiting", "Submissions waiting for the database's write lock", registry=self.registry
        )
        self.workers = Gauge("app_workers", "Size of the worker pool", registry=self.registry)
        self.workers_busy = Gauge("app_workers_busy", "Busy app workers", registry=self.registry)
        self.queue = Gauge("app_queue_length", "Requests waiting for an app worker", registry=self.registry)
        self.workers.set(workers)


class Site:
    """Routes and queries. Called by the worker pool, one request a thread; each thread has its own connection."""

    def __init__(self, database: Path, metrics: Metrics) -> None:
        self._database = database
        self._metrics = metrics
        self._local = threading.local()
        self._seed()
        self._scored_rows = self._calibrate()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._database, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            self._local.connection = connection
        return connection

    def _seed(self) -> None:
        connection = self._connection()
        connection.executescript(
            """
            CREATE TABLE problems (id INTEGER PRIMARY KEY, title TEXT NOT NULL, statement TEXT NOT NULL);
            CREATE TABLE submissions (
                id INTEGER PRIMARY KEY, user TEXT NOT NULL, problem INTEGER NOT NULL, points INTEGER NOT NULL
            );
            CREATE TABLE standings (user TEXT PRIMARY KEY, points INTEGER NOT NULL);
            """
        )
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO problems VALUES (?, ?, ?)",
            ((number, f"Problem {number}", f"Find the answer to {number}. " * 12) for number in range(PROBLEMS)),
        )
        connection.executemany(
            "INSERT INTO submissions (user, problem, points) VALUES (?, ?, ?)",
            ((f"user{n % 997}", n % PROBLEMS, n * 7919 % 101) for n in range(SEEDED_SUBMISSIONS)),
        )
        connection.execute("INSERT INTO standings SELECT user, SUM(points) FROM submissions GROUP BY user")
        connection.execute("COMMIT")

    def _calibrate(self) -> int:
        """Return the number of rows to score per submission, so that the lock is held equally long on any machine."""
        rows = 500
        while rows < SEEDED_SUBMISSIONS:
            fastest = min(self._time_scoring(rows) for _ in range(5))
            if fastest >= LOCK_HELD_S:
                break
            rows = min(SEEDED_SUBMISSIONS, max(rows + 200, int(rows * min(4.0, LOCK_HELD_S / fastest))))
        return rows

    def _time_scoring(self, rows: int) -> float:
        started = time.perf_counter()
        self._score(self._connection(), rows)
        return time.perf_counter() - started

    @staticmethod
    def _score(connection: sqlite3.Connection, rows: int) -> int:
        """Rank the latest submissions against each other: deliberately expensive, as scoring queries tend to be."""
        (score,) = connection.execute(
            """
            SELECT SUM(rank * points) % 1000 FROM (
                SELECT points, RANK() OVER (PARTITION BY problem ORDER BY points DESC) AS rank
                FROM (SELECT problem, points FROM submissions ORDER BY id DESC LIMIT ?)
            )
            """,
            (rows,),
        ).fetchone()
        return int(score or 0)

    @contextmanager
    def _timed(self, operation: str) -> Generator[sqlite3.Connection, None, None]:
        with self._metrics.database.labels(operation).time():
            yield self._connection()

    def answer(self, method: str, path: str, body: bytes) -> tuple[str, str, bytes]:
        """Return (endpoint, status line, JSON body) for a request."""
        if method == "GET" and path.startswith("/problems/"):
            return "problem", *self._problem(path.removeprefix("/problems/"))
        if method == "GET" and path == "/leaderboard":
            return "leaderboard", *self._leaderboard()
        if method == "POST" and path == "/submit":
            return "submit", *self._submit(body)
        if method == "GET" and path == "/":
            return "home", "200 OK", _json({"site": "obswarm demo contest", "problems": PROBLEMS})
        return "unknown", "404 Not Found", _json({"error": f"there is no {path}"})

    def _problem(self, number: str) -> tuple[str, bytes]:
        with self._timed("problem") as connection:
            row = connection.execute("SELECT id, title, statement FROM problems WHERE id = ?", (number,)).fetchone()
        if row is None:
            return "404 Not Found", _json({"error": f"there is no problem {number}"})
        return "200 OK", _json(dict(zip(("id", "title", "statement"), row, strict=True)))

    def _leaderboard(self) -> tuple[str, bytes]:
        with self._timed("leaderboard") as connection:
            rows = connection.execute("SELECT user, points FROM standings ORDER BY points DESC LIMIT 20").fetchall()
        return "200 OK", _json([{"user": user, "points": points} for user, points in rows])

    def _submit(self, body: bytes) -> tuple[str, bytes]:
        try:
            document = json.loads(body)
            user, problem = str(document["user"]), int(document["problem"])
        except (ValueError, KeyError, TypeError):
            return "400 Bad Request", _json({"error": 'send {"user": "…", "problem": 1}'})
        try:
            with self._timed("submit") as connection:
                with self._metrics.waiting_for_lock.track_inprogress():
                    connection.execute("BEGIN IMMEDIATE")
                try:
                    points = self._score(connection, self._scored_rows) % 101
                    connection.execute(
                        "INSERT INTO submissions (user, problem, points) VALUES (?, ?, ?)", (user, problem, points)
                    )
                    connection.execute(
                        "INSERT INTO standings VALUES (?, ?)"
                        " ON CONFLICT (user) DO UPDATE SET points = points + excluded.points",
                        (user, points),
                    )
                    connection.execute("COMMIT")
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
        except sqlite3.OperationalError as error:
            return "500 Internal Server Error", _json({"error": str(error)})
        return "200 OK", _json({"status": "accepted", "points": points})

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        endpoint, status, answer = self.answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], body)
        self._metrics.requests.labels(endpoint, status[:3]).inc()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
        return [answer]


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
