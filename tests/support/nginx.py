"""A real nginx with a configuration of the test's own, on free ports."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type text/plain;
    {servers}
}}
"""


_FIRST_PORT, _MANY_PORTS = 20_000, 12_000
# Each process begins somewhere else; those that run side by side (see tests/__main__.py) have ports of their own.
_OWN = _MANY_PORTS // 2
_SIDE = int(os.environ.get("OBSWARM_TESTS_SIDE", "0"))
_PORTS = (_FIRST_PORT + _SIDE * _OWN + (os.getpid() * 61 + number) % _OWN for number in range(_OWN))


def free_port() -> int:
    """One that nobody listens at now, and that is given once only. It lies below those that the kernel gives to
    outgoing connections, of which load tests make many, so that none of them takes it before the program that it is
    for."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("all ports have been given")


class Nginx:
    """Serves while a `with` block lasts. `servers` are blocks of its configuration; {folder} stands for `folder`."""

    def __init__(self, servers: str, port: int) -> None:
        self._servers = servers
        self._port = port

    def __enter__(self) -> Self:
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert program is not None, "nginx is missing; `make components` installs it"
        self._temporary = tempfile.TemporaryDirectory(prefix="obswarm-nginx-")
        self.folder = Path(self._temporary.name)
        configuration = self.folder / "nginx.conf"
        configuration.write_text(_CONFIGURATION.format(folder=self.folder, servers=self._servers))
        self._process = subprocess.Popen([program, "-c", configuration, "-p", self.folder], stderr=subprocess.PIPE)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "error.log").read_text()
                assert self._process.poll() is None, self._process.stderr.read()
                time.sleep(0.02)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)
        self._temporary.cleanup()
