"""A real Redis with its exporter, both on ports of their own."""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.support.nginx import free_port
from tests.support.patience import HANG_S
from tests.support.prometheus import program
from tests.support.readiness import wait_for, wait_for_http


class Redis:
    """Runs while a `with` block lasts, with so much memory; `metrics_url` is the exporter's."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes

    def __enter__(self) -> Self:
        server = shutil.which("redis-server")
        assert server is not None, "redis-server is missing; `make components` installs it"
        self._folder = tempfile.TemporaryDirectory(prefix="obswarm-redis-")
        self._log = open(Path(self._folder.name, "log"), "wb")
        self._port, port = free_port(), free_port()
        options = {
            "port": self._port,
            "bind": "127.0.0.1",
            "dir": self._folder.name,
            "save": "",
            "maxmemory": self._memory_bytes,
            "maxmemory-policy": "allkeys-lru",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._server = subprocess.Popen([server, *words], stdout=self._log, stderr=self._log)
        wait_for(lambda: self.connect().close(), (OSError,), self._server, self._text)
        self.metrics_url = f"http://127.0.0.1:{port}/metrics"
        self._exporter = subprocess.Popen(
            [
                program("prometheus-redis-exporter"),
                f"-redis.addr=redis://127.0.0.1:{self._port}",
                f"-web.listen-address=127.0.0.1:{port}",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        wait_for_http(self.metrics_url, self._exporter, self._text)
        return self

    def _text(self) -> str:
        return Path(self._folder.name, "log").read_text(errors="replace")

    def connect(self) -> "RedisConnection":
        return RedisConnection(self._port)

    def stop_exporter(self) -> None:
        self._exporter.terminate()
        self._exporter.wait(HANG_S)

    def __exit__(self, *_: object) -> None:
        self.stop_exporter()
        self._server.terminate()
        self._server.wait(HANG_S)
        self._log.close()
        self._folder.cleanup()


class RedisConnection:
    """Commands and answers of one line (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=HANG_S)
        self._answers = self._socket.makefile("rb")

    def send(self, *commands: str) -> None:
        self._socket.sendall("".join(f"{command}\r\n" for command in commands).encode())

    def ask(self, *commands: str) -> list[str]:
        """The first line of each answer."""
        self.send(*commands)
        return [self._answers.readline().decode().strip() for _ in commands]

    def numbers(self) -> dict[str, str]:
        """What INFO says."""
        (length,) = self.ask("INFO")
        text = self._answers.read(int(length[1:]) + 2).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)  # type: ignore[misc]  # two parts

    def close(self) -> None:
        self._answers.close()
        self._socket.close()
