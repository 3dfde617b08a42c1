"""A real PHP-FPM behind an nginx, with the metrics page of its own, on ports of their own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.support.nginx import Nginx, free_port
from tests.support.patience import HANG_S
from tests.support.readiness import wait_for_http

PROCESSES = 2

_POOL = """[global]
error_log = {folder}/log
daemonize = no
[www]
{user}
listen = 127.0.0.1:{pages}
; So that the page answers while all processes are busy.
pm.status_listen = 127.0.0.1:{status}
pm.status_path = /status
pm = static
pm.max_children = {processes}
request_slowlog_timeout = 1s
slowlog = {folder}/slow.log
"""

_SERVER = """
server {{
    listen 127.0.0.1:{port};
    location = /status {{
        fastcgi_pass 127.0.0.1:{status};
        fastcgi_param SCRIPT_NAME /status;
        fastcgi_param SCRIPT_FILENAME /status;
        fastcgi_param REQUEST_METHOD GET;
        fastcgi_param QUERY_STRING openmetrics;
    }}
    location / {{
        fastcgi_pass 127.0.0.1:{pages};
        fastcgi_param SCRIPT_NAME /page.php;
        fastcgi_param SCRIPT_FILENAME {folder}/page.php;
        fastcgi_param REQUEST_METHOD GET;
        fastcgi_param QUERY_STRING $query_string;
    }}
}}
"""


class PhpFpm:
    """Runs while a `with` block lasts, with two processes. `url` is that of a page, which is held back with the argument
    `hold` until `release()`; `metrics_url` is that of its metrics."""

    def __enter__(self) -> Self:
        folders = [*os.environ.get("PATH", "").split(":"), "/usr/sbin"]
        found = [path for each in folders for path in sorted(Path(each).glob("php-fpm*")) if os.access(path, os.X_OK)]
        assert found, "php-fpm is missing; `make components` installs it"
        with ExitStack() as stack:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="obswarm-phpfpm-"))
            self._folder = Path(name)
            port, pages, status = free_port(), free_port(), free_port()
            (self._folder / "page.php").write_text(
                '<?php while (isset($_GET["hold"]) && !file_exists(__DIR__ . "/released")) {'
                " usleep(50000); clearstatcache(); }"
                ' echo "ok";\n'
            )
            # As root, it wants to know as whom its processes run.
            user = "user = nobody" if os.getuid() == 0 else ""
            (self._folder / "pool.conf").write_text(
                _POOL.format(folder=self._folder, user=user, pages=pages, status=status, processes=PROCESSES)
            )
            if os.getuid() == 0:
                shutil.chown(self._folder, "nobody", pwd.getpwnam("nobody").pw_gid)
            self._process = subprocess.Popen(
                [found[0], "--nodaemonize", "--no-php-ini", "--fpm-config", self._folder / "pool.conf"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(self._end)
            server = _SERVER.format(port=port, status=status, pages=pages, folder=self._folder)
            stack.enter_context(Nginx(server, port))
            self.url = f"http://127.0.0.1:{port}/"
            self.metrics_url = f"http://127.0.0.1:{port}/status"
            wait_for_http(self.metrics_url, self._process, (self._folder / "log").read_text)
            self._stack = stack.pop_all()
        return self

    def release(self) -> None:
        """Let the pages end that are held back."""
        (self._folder / "released").touch()

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait(HANG_S)

    def __exit__(self, *_: object) -> None:
        self._stack.close()
