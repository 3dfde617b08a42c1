"""nginx on one core, answering everything with a small JSON document, with and without TLS, and counting for all
contenders alike."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme

_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.pem;
    server {{
        listen 127.0.0.1:{port} backlog=16384;
        listen 127.0.0.1:{tls_port} ssl backlog=16384;
        default_type application/json;
        location / {{ return 200 '{{"status":"ok","items":[1,2,3,4,5,6,7],"more":1}}'; }}
        location = /status {{ stub_status; }}
    }}
}}
"""


class Nginx:
    """Serves while a `with` block lasts."""

    def __init__(self, core: int) -> None:
        self._core = core
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.port: int = one.getsockname()[1]
            self.tls_port: int = other.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.tls_url = f"https://127.0.0.1:{self.tls_port}"

    def __enter__(self) -> Self:
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if program is None:
            raise SystemExit("nginx is missing: apt-get install nginx-light wrk")
        self._folder = tempfile.TemporaryDirectory(prefix="obswarm-bench-")
        configuration = Path(self._folder.name) / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(folder=self._folder.name, port=self.port, tls_port=self.tls_port)
        )
        certificate = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
        certificate.private_key_and_cert_chain_pem.write_to_path(Path(self._folder.name) / "server.pem")
        self._process = subprocess.Popen(
            ["taskset", "-c", str(self._core), program, "-c", configuration, "-p", self._folder.name]
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                self.counters()
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit("nginx did not start") from None
                time.sleep(0.05)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._folder.cleanup()

    def counters(self) -> tuple[int, int]:
        """(open connections, requests so far), as nginx has counted them; the one that asks is among both."""
        with urllib.request.urlopen(self.url + "/status", timeout=10) as response:
            text = response.read().decode()
        active = re.search(r"Active connections: (\d+)", text)
        served = re.search(r"\n\s*\d+ \d+ (\d+)", text)
        assert active is not None
        assert served is not None
        return int(active[1]), int(served[1])
