"""A real PgBouncer before a PostgreSQL, with its exporter, both on ports of their own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.support.nginx import free_port
from tests.support.patience import HANG_S
from tests.support.postgres import Postgres
from tests.support.prometheus import program
from tests.support.readiness import wait_for_http

POOL = 3


class PgBouncer:
    """Runs while a `with` block lasts, with a pool of three connections; `metrics_url` is the exporter's."""

    def __init__(self, database: Postgres) -> None:
        self._database = database

    def __enter__(self) -> Self:
        server = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert server is not None, "pgbouncer is missing; `make components` installs it"
        self._folder = tempfile.TemporaryDirectory(prefix="obswarm-pgbouncer-")
        folder = Path(self._folder.name)
        self.port, port = free_port(), free_port()
        (folder / "pgbouncer.ini").write_text(
            f"""[databases]
postgres = host=127.0.0.1 port={self._database.port} dbname=postgres user=test pool_size={POOL}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
admin_users = test
stats_users = test
pool_mode = transaction
query_wait_timeout = 0
ignore_startup_parameters = extra_float_digits
"""
        )
        # It does not run as root.
        user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:
            shutil.chown(folder, user)
            shutil.chown(folder / "pgbouncer.ini", user)
        self._log = open(folder / "log", "wb")
        self._server = subprocess.Popen(
            [server, str(folder / "pgbouncer.ini")],
            stdout=self._log,
            stderr=self._log,
            cwd=folder,
            user=user if os.getuid() == 0 else None,
            extra_groups=[] if os.getuid() == 0 else None,
        )
        self._exporter = subprocess.Popen(
            [
                program("prometheus-pgbouncer-exporter"),
                f"--web.listen-address=127.0.0.1:{port}",
                f"--pgBouncer.connectionString=postgres://test@127.0.0.1:{self.port}/pgbouncer?sslmode=disable",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        self.metrics_url = f"http://127.0.0.1:{port}/metrics"
        wait_for_http(self.metrics_url, self._exporter, self._text)
        return self

    def _text(self) -> str:
        return Path(self._folder.name, "log").read_text(errors="replace")

    def __exit__(self, *_: object) -> None:
        for process in (self._exporter, self._server):
            process.terminate()
            process.wait(HANG_S)
        self._log.close()
        self._folder.cleanup()
