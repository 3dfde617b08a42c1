"""A protocol that is not HTTP: a database, here SQLite. Each statement is one request.

obswarm run examples/custom_protocol.py -u 10 -r 10 -t 30s --database /tmp/load.sqlite
"""

import random
import sqlite3

from obswarm import User, constant, events, task


@events.init_command_line_parser.add_listener
def add_options(parser):
    parser.add_argument("--database", default=":memory:", help="the SQLite file to put load on")


class SqlClient:
    """Executes statements, and measures each of them."""

    def __init__(self, environment, path):
        self._environment = environment
        self._connection = sqlite3.connect(path, timeout=5, isolation_level=None)

    def execute(self, name, statement, parameters=()):
        # The block is timed, and counted as a failure when it raises.
        with self._environment.request("SQL", name) as request:
            rows = self._connection.execute(statement, parameters).fetchall()
            request.response_bytes = len(repr(rows))

    def close(self):
        self._connection.close()


class DatabaseUser(User):
    wait_time = constant(0.05)

    def __init__(self, environment):
        super().__init__(environment)
        self.client = SqlClient(environment, environment.parsed_options.database)

    def on_start(self):
        self.client.execute("create", "CREATE TABLE IF NOT EXISTS points (user INTEGER, points INTEGER)")

    @task(3)
    def insert(self):
        self.client.execute("insert", "INSERT INTO points VALUES (?, ?)", (random.randrange(100), 1))

    @task
    def ranking(self):
        self.client.execute("ranking", "SELECT user, SUM(points) FROM points GROUP BY user ORDER BY 2 DESC LIMIT 10")

    @task
    def mistake(self):
        self.client.execute("mistake", "SELECT 1 FROM nowhere")
