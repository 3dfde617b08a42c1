"""The pool of database connections of one process, and the contest's statements."""

import threading
import time
from contextlib import contextmanager

import pymysql
import pymysql.cursors
import telemetry

CONTEST = 10
_CONNECT_S = 3
_ANSWER_S = 30

_LEADERBOARD = """
SELECT users.name, CAST(best.points AS UNSIGNED) AS points, best.solved, (
    SELECT COUNT(*) FROM submissions AS wrong
    WHERE wrong.contest_id = %(contest)s AND wrong.verdict = 'wrong answer' AND wrong.user_id = best.user_id
) AS wrong_answers
FROM (
    SELECT user_id, SUM(points) AS points, COUNT(*) AS solved, MAX(solved_at) AS last_solved_at
    FROM (
        SELECT user_id, problem_id, MAX(points) AS points, MIN(submitted_at) AS solved_at
        FROM submissions WHERE contest_id = %(contest)s AND verdict = 'accepted'
        GROUP BY user_id, problem_id
    ) AS solved_problems
    GROUP BY user_id
    ORDER BY points DESC, last_solved_at
    LIMIT 10
) AS best JOIN users ON users.id = best.user_id
ORDER BY best.points DESC, best.last_solved_at
"""


class Unavailable(Exception):
    """The database has failed to execute a statement."""


class Pool:
    """At most `pool_size` connections at a time; further requests wait for one."""

    def __init__(self, settings, user, password):
        self._settings = settings
        self._login = {"user": user, "password": password, "database": "contest"}
        self._turn = threading.Condition()
        self._idle = []
        self._in_use = 0

    @contextmanager
    def connection(self):
        where = self._take()
        connection = None
        try:
            connection = self._connect(where)
            yield connection
        except pymysql.MySQLError as error:
            telemetry.ERRORS.labels(str(error.args[0]) if error.args else "none").inc()
            if connection is not None:
                connection.close()
                connection = None
            raise Unavailable(str(error)) from error
        finally:
            self._give_back(connection, where)

    def _take(self):
        started = time.perf_counter()
        with self._turn:
            while self._in_use >= self._settings.current.pool_size:
                self._turn.wait(0.5)
            self._in_use += 1
        telemetry.POOL_WAIT.observe(time.perf_counter() - started)
        current = self._settings.current
        telemetry.POOL_IN_USE.inc()
        telemetry.POOL_SIZE.set(current.pool_size)
        return current.database_host, current.database_port

    def _connect(self, where):
        with self._turn:
            while self._idle:
                connection, its_place = self._idle.pop()
                if its_place == where:
                    return connection
                connection.close()
        host, port = where
        return pymysql.connect(
            host=host,
            port=port,
            connect_timeout=_CONNECT_S,
            read_timeout=_ANSWER_S,
            autocommit=True,
            cursorclass=pymysql.cursors.DictCursor,
            **self._login,
        )

    def _give_back(self, connection, where):
        telemetry.POOL_IN_USE.dec()
        with self._turn:
            self._in_use -= 1
            if connection is not None:
                self._idle.append((connection, where))
            self._turn.notify()


class Store:
    """The statements; the duration of each is measured."""

    def __init__(self, pool, settings):
        self._pool = pool
        self._settings = settings

    def _all(self, query, sql, values):
        with (
            self._pool.connection() as connection,
            connection.cursor() as cursor,
            telemetry.QUERY_DURATION.labels(query).time(),
        ):
            cursor.execute(sql, values)
            return cursor.fetchall()

    def user(self, name):
        found = self._all("user", "SELECT id, name, password_hash FROM users WHERE name = %s", (name,))
        return found[0] if found else None

    def problems(self):
        return self._all(
            "problems", "SELECT id, title, points FROM problems WHERE contest_id = %s ORDER BY id", (CONTEST,)
        )

    def problem(self, number):
        found = self._all("problem", "SELECT id, title, body, points FROM problems WHERE id = %s", (number,))
        return found[0] if found else None

    def recent_one_by_one(self, count):
        """The names behind the newest submissions, as code does it that loads each row and what belongs to it."""
        rows = self._all("recent", "SELECT MAX(id) AS newest FROM submissions", ())
        newest = rows[0]["newest"] or 0
        names = []
        for number in range(max(newest - count, 0) + 1, newest + 1):
            found = self._all("submission", "SELECT user_id FROM submissions WHERE id = %s", (number,))
            if found:
                names += self._all("user_by_id", "SELECT name FROM users WHERE id = %s", (found[0]["user_id"],))
        return [each["name"] for each in names]

    def leaderboard(self):
        return self._all("leaderboard", _LEADERBOARD, {"contest": CONTEST})

    def submit(self, user_id, problem, verdict, code):
        """Store a submission and count it: all submissions update the same row of the contest."""
        points = problem["points"] if verdict == "accepted" else 0
        with self._pool.connection() as connection, connection.cursor() as cursor:
            connection.begin()
            with telemetry.QUERY_DURATION.labels("count_submission").time():
                cursor.execute(
                    "UPDATE contests SET submissions = submissions + 1, accepted = accepted + %s WHERE id = %s",
                    (int(verdict == "accepted"), CONTEST),
                )
            held_s = self._settings.current.judge_in_transaction_s
            if held_s:
                time.sleep(held_s)
            with telemetry.QUERY_DURATION.labels("submit").time():
                cursor.execute(
                    "INSERT INTO submissions (contest_id, problem_id, user_id, verdict, points, code, submitted_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, NOW(3))",
                    (CONTEST, problem["id"], user_id, verdict, points, code),
                )
            number = cursor.lastrowid
            with telemetry.QUERY_DURATION.labels("commit").time():
                connection.commit()
        return number
