"""A real MariaDB with its exporter, both on ports of their own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import pymysql

from tests.support.nginx import free_port
from tests.support.patience import HANG_S
from tests.support.prometheus import program
from tests.support.readiness import wait_for, wait_for_http

_PATH = os.environ.get("PATH", "") + ":/usr/sbin"


class MariaDb:
    """Runs while a `with` block lasts; `metrics_url` is the exporter's. Anybody may do anything in it."""

    def __init__(self, statements: bool = False) -> None:
        """`statements`: the exporter has the time of each kind of them."""
        self._statements = statements

    def __enter__(self) -> Self:
        server, install = (shutil.which(name, path=_PATH) for name in ("mariadbd", "mariadb-install-db"))
        assert server is not None, "mariadbd is missing; `make components` installs it"
        assert install is not None, "mariadb-install-db is missing; `make components` installs it"
        self._folder = tempfile.TemporaryDirectory(prefix="obswarm-mariadb-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        user = pwd.getpwuid(os.getuid()).pw_name
        folder.chmod(0o700)
        common = ["--no-defaults", f"--datadir={folder}/data", f"--user={user}"]
        subprocess.run([install, *common, "--skip-test-db"], check=True, capture_output=True, timeout=HANG_S)
        self.port = free_port()
        self._log = open(folder / "log", "wb")
        self._server = subprocess.Popen(
            [
                *(server, *common, f"--socket={folder}/socket", f"--port={self.port}", "--bind-address=127.0.0.1"),
                *("--skip-grant-tables", "--skip-networking=0", "--max-connections=300", f"--pid-file={folder}/pid"),
                f"--performance-schema={'ON' if self._statements else 'OFF'}",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        wait_for(lambda: self.connect().close(), (OSError, pymysql.MySQLError), self._server, self._text)
        (folder / "my.cnf").write_text(f"[client]\nuser=exporter\npassword=any\nhost=127.0.0.1\nport={self.port}\n")
        port = free_port()
        self.metrics_url = f"http://127.0.0.1:{port}/metrics"
        self._exporter = subprocess.Popen(
            [
                program("prometheus-mysqld-exporter"),
                f"--config.my-cnf={folder}/my.cnf",
                *(["--collect.perf_schema.eventsstatements"] if self._statements else []),
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        wait_for_http(self.metrics_url, self._exporter, self._text)
        return self

    def _text(self) -> str:
        return Path(self._folder.name, "log").read_text(errors="replace")

    def connect(self) -> Any:
        return pymysql.connect(host="127.0.0.1", port=self.port, user="test", autocommit=True)

    def __exit__(self, *_: object) -> None:
        for process in (self._exporter, self._server):
            process.terminate()
            process.wait(HANG_S)
        self._log.close()
        self._folder.cleanup()
