"""A real HAProxy with its own metrics endpoint, before a server."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.support.nginx import free_port
from tests.support.patience import HANG_S
from tests.support.readiness import wait_for_http

_CONFIGURATION = """
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend metrics
    bind 127.0.0.1:{metrics_port}
    http-request use-service prometheus-exporter
frontend front
    bind 127.0.0.1:{port}
    use_backend none if {{ path /broken }}
    default_backend shop
backend shop
    server one 127.0.0.1:{server_port} check maxconn 20
backend none
"""


class HaProxy:
    """Runs while a `with` block lasts; `url` is the front of the server at a port. For /broken it has no server, and
    answers 503 itself."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port

    def __enter__(self) -> Self:
        program = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert program is not None, "haproxy is missing; `make components` installs it"
        port, metrics_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        self._folder = tempfile.TemporaryDirectory(prefix="obswarm-haproxy-")
        configuration, log = Path(self._folder.name, "haproxy.cfg"), Path(self._folder.name, "log")
        configuration.write_text(
            _CONFIGURATION.format(port=port, metrics_port=metrics_port, server_port=self._server_port)
        )
        with open(log, "wb") as output:
            self._process = subprocess.Popen([program, "-f", configuration, "-db"], stdout=output, stderr=output)
        wait_for_http(self.metrics_url, self._process, log.read_text)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(HANG_S)
        self._folder.cleanup()
