"""A real nginx with a configuration of the test's own, on free ports."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tests.support.patience import HANG_S
from tests.support.readiness import wait_for

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


# Below the ports that the kernel gives to outgoing connections, of which load tests make many: none of those takes one
# before the program that it is for.
_PORTS = range(12_000, 32_000)
_AT_ONCE = 200


def _own_ports() -> Iterator[int]:
    """Ports of which this process alone disposes: as long as it runs it has an abstract socket with the name of each
    range."""
    for first in _PORTS[::_AT_ONCE]:
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0obswarm-tests-ports-{first}")
        except OSError:
            reservation.close()
            continue
        reservation.detach()
        yield from range(first, first + _AT_ONCE)


_free = _own_ports()


def free_port() -> int:
    """Return a port at which nobody listens now; each is returned once only, and to no other process of tests."""
    for port in _free:
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
        wait_for(
            lambda: socket.create_connection(("127.0.0.1", self._port), timeout=HANG_S).close(),
            (OSError,),
            self._process,
            self._log,
        )
        return self

    def _log(self) -> str:
        assert self._process.stderr is not None
        # To its end, which comes only with the program's.
        said = b"" if self._process.poll() is None else self._process.stderr.read()
        errors = self.folder / "error.log"
        return said.decode(errors="replace") + (errors.read_text() if errors.exists() else "")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=HANG_S)
        self._temporary.cleanup()
