"""A real PostgreSQL with its exporter, both on ports of their own."""

import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.prometheus import program
from tests.support.readiness import wait_for_http

_SYSTEM_USER = "postgres"
_OPTIONS = {
    "fsync": "off",
    "autovacuum": "off",
    "max_connections": "37",
    "deadlock_timeout": "100ms",
}
_STATEMENTS = ("--collector.stat_statements", "--collector.stat_statements.include_query")


def _program(name: str) -> str:
    """Debian keeps them apart, by version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name, path=":".join([*map(str, folders), os.environ.get("PATH", "")]))
    assert found is not None, f"{name} of PostgreSQL is missing; `make components` installs it"
    return found


class Postgres:
    """Runs while a `with` block lasts; `metrics_url` is the exporter's. Anybody may do anything in it."""

    def __init__(self, statements: bool = False) -> None:
        """`statements`: the exporter has the time of each kind of them."""
        self._statements = statements

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="obswarm-postgres-")
        folder = Path(self._folder.name)
        # The server does not run as root.
        self._user = _SYSTEM_USER if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:
            shutil.chown(folder, _SYSTEM_USER)
        self.port = free_port()
        self._log = open(folder / "log", "wb")
        made = self._start("initdb", "-D", "data", "-A", "trust", "-U", "test", "--no-sync", "--no-instructions")
        assert made.wait(HANG_S) == 0, self._text()
        preloaded = {"shared_preload_libraries": "pg_stat_statements"} if self._statements else {}
        options = [word for name, value in {**_OPTIONS, **preloaded}.items() for word in ("-c", f"{name}={value}")]
        self._server = self._start(
            "postgres", "-D", "data", "-p", str(self.port), "-h", "127.0.0.1", "-k", "", *options
        )
        wait_until(
            lambda: self._start("psql", *self._where, "-c", "SELECT 1").wait(HANG_S) == 0,
            self._text,
            ended=self._server.poll,
        )
        if self._statements:
            self.execute("CREATE EXTENSION pg_stat_statements")
        port = free_port()
        self.metrics_url = f"http://127.0.0.1:{port}/metrics"
        self._exporter = subprocess.Popen(
            [
                *(program("prometheus-postgres-exporter"), f"--web.listen-address=127.0.0.1:{port}"),
                *(_STATEMENTS if self._statements else ()),
            ],
            stdout=self._log,
            stderr=self._log,
            cwd=folder,
            env={"DATA_SOURCE_NAME": f"postgresql://test@127.0.0.1:{self.port}/postgres?sslmode=disable"},
        )
        wait_for_http(self.metrics_url, self._exporter, self._text)
        return self

    @property
    def _where(self) -> list[str]:
        return self._where_at(self.port)

    @staticmethod
    def _where_at(port: int) -> list[str]:
        return ["--no-psqlrc", "-h", "127.0.0.1", "-p", str(port), "-U", "test", "-d", "postgres"]

    def _text(self) -> str:
        return Path(self._folder.name, "log").read_text(errors="replace")

    def _start(self, name: str, *words: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [_program(name), *words],
            stdout=self._log,
            stderr=self._log,
            cwd=self._folder.name,
            user=self._user if os.getuid() == 0 else None,
            extra_groups=[] if os.getuid() == 0 else None,
        )

    def session(self, sql: str, port: int | None = None) -> "subprocess.Popen[str]":
        """A connection, through a pool at that port if given, that does that, and stays until its standard input is
        closed."""
        made = subprocess.Popen(
            [_program("psql"), *self._where_at(port or self.port), "--quiet", "--tuples-only", "--no-align"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert made.stdin is not None
        made.stdin.write(sql + "\n")
        made.stdin.flush()
        return made

    def connect(self) -> socket.socket:
        """An idle connection (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP).
        Raises ConnectionError if the server refuses it."""
        made = socket.create_connection(("127.0.0.1", self.port), timeout=HANG_S)
        words = b"user\0test\0database\0postgres\0\0"
        made.sendall(struct.pack("!ii", len(words) + 8, 3 << 16) + words)
        said = b""
        while not said.endswith(b"Z\0\0\0\5I"):
            piece = made.recv(4096)
            if not piece:
                made.close()
                raise ConnectionError(said)
            said += piece
        return made

    def execute(self, sql: str, port: int | None = None) -> str:
        """What it prints; each statement is a transaction of its own, and may fail."""
        said, _ = self.session(sql, port).communicate(timeout=HANG_S)
        return said

    def stop_exporter(self) -> None:
        self._exporter.terminate()
        self._exporter.wait(HANG_S)

    def __exit__(self, *_: object) -> None:
        self.stop_exporter()
        # Ends the sessions that are still there.
        self._server.send_signal(signal.SIGINT)
        self._server.wait(HANG_S)
        self._log.close()
        self._folder.cleanup()
