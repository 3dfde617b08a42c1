"""Programs that tests start: targets, and obswarm itself as a user runs it."""

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl

from tests.support.patience import HANG_S

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """A module of tests.support that serves while a `with` block lasts, and prints its port first."""

    module = ""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self._address = address

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"tests.support.{self.module}",
                *([] if self._address == "127.0.0.1" else [self._address]),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.url = f"http://{self._address}:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(HANG_S)
        self._process.stdout.close()

    def kill(self) -> None:
        self._process.kill()


class QuickServer(Server):
    """Answers after a millisecond, thousands of times a second."""

    module = "quick_server"

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=HANG_S) as response:
            body: bytes = response.read()
            return body

    def arrivals(self) -> dict[str, list[float]]:
        """Wall times of requests by path."""
        by_path: dict[str, list[float]] = json.loads(self.get("/arrivals"))
        return by_path

    def total(self) -> int:
        return sum(map(len, self.arrivals().values()))


@dataclass(frozen=True)
class Served:
    """A request as its target saw it; wall times. One that was cut off has neither answer nor status."""

    path: str
    query: dict[str, str]
    came_s: float
    answered_s: float | None
    status: int | None


class CountingServer(Server):
    """Counts for itself."""

    module = "counting_server"

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=HANG_S) as response:
            return json.load(response)

    def counts(self) -> dict[str, int]:
        """Requests by path, as the target counted them."""
        by_path: dict[str, int] = self._get("/count")["by_path"]
        return by_path

    def total(self) -> int:
        return sum(self.counts().values())

    def served(self) -> list[Served]:
        """Every request so far."""
        return [Served(path, dict(parse_qsl(query)), *rest) for path, query, *rest in self._get("/log")]


@dataclass(frozen=True)
class Finished:
    """How a program ended. `result` is what --json - printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.stdout)
        return document


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "obswarm", *map(str, arguments)]


def obswarm(*arguments: object, timeout: float = HANG_S, cwd: Path = ROOT, **environment: str) -> Finished:
    """Run obswarm to its end."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def start_obswarm(*arguments: object, cwd: Path = ROOT, **environment: str) -> subprocess.Popen[str]:
    """Start obswarm; the caller waits for it."""
    return subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
    )
