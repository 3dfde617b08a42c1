"""A master and workers as a user starts them, a line between them that can be cut, and the load test that they run."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Self

import gevent
from gevent import socket
from gevent.server import StreamServer

from tests.support.limited_cpu import CpuLimit
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer, command

LOADTEST = """
from obswarm import FastHttpUser, between, task

class Visitor(FastHttpUser):
    wait_time = between(0.05, 0.15)

    @task
    def page(self):
        self.client.get("/" + self.environment.runner.client_id)
"""
"""Each worker has a path of its own, so that the target's counts say who asked."""


class CuttableLine:
    """Forwards TCP connections to a port of this machine; while it is cut, nothing comes through and nothing is closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open = gevent.event.Event()
        self._open.set()
        self._server = StreamServer(("127.0.0.1", 0), self._forward)

    def __enter__(self) -> Self:
        self._server.start()
        self.port: int = self._server.server_port
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(timeout=0)

    def cut(self) -> None:
        self._open.clear()

    def mend(self) -> None:
        self._open.set()

    def _forward(self, near: Any, _: Any) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._port))
        except OSError:
            near.close()
            return
        pumps = [gevent.spawn(self._pump, near, far), gevent.spawn(self._pump, far, near)]
        gevent.joinall(pumps, count=1)
        gevent.killall(pumps)
        near.close()
        far.close()

    def _pump(self, source: Any, sink: Any) -> None:
        try:
            while piece := source.recv(65536):
                self._open.wait()
                sink.sendall(piece)
        except OSError:
            pass


class Fleet:
    """Programs in a folder of their own, all of which are gone after a `with` block."""

    def __init__(self, folder: Path, target_url: str, loadtest: str = LOADTEST) -> None:
        self.folder = folder
        self.port = free_port()
        self.result_file = folder / "result.json"
        self._target_url = target_url
        self._programs: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "loadtest.py").write_text(loadtest)
        (folder / "elsewhere").mkdir(exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for program in self._programs:
            if program.poll() is None:
                program.kill()
            program.wait(HANG_S)

    def _start(
        self, log: str, *arguments: object, cwd: Path, limit: CpuLimit | None = None, **environment: str
    ) -> "subprocess.Popen[bytes]":
        words = command(*arguments)
        with open(self.folder / log, "ab") as file:
            program = subprocess.Popen(
                words if limit is None else limit.command(words),
                stdout=file,
                stderr=file,
                cwd=cwd,
                env={**os.environ, **environment},
            )
        self._programs.append(program)
        return program

    def master(self, *options: object, **environment: str) -> "subprocess.Popen[bytes]":
        return self._start(
            "master.log",
            *("master", "loadtest.py", "-H", self._target_url, "--bind", f"127.0.0.1:{self.port}"),
            *("--json", self.result_file, "--web-port", 0, "--linger", 0, "--headless", *options),
            cwd=self.folder,
            **environment,
        )

    def worker(
        self, *options: object, port: int | None = None, limit: CpuLimit | None = None, **environment: str
    ) -> "subprocess.Popen[bytes]":
        return self._start(
            "workers.log",
            *("worker", "--master", f"127.0.0.1:{port or self.port}", *options),
            cwd=self.folder / "elsewhere",
            limit=limit,
            **environment,
        )

    def wait_for_master(self) -> None:
        """Until workers can join it: those that are to give up soon do not find nobody meanwhile."""
        wait_until(lambda: "Waiting for" in self.log() or "Continuing the run" in self.log(), self.log)

    def log(self, name: str = "master.log") -> str:
        return (self.folder / name).read_text(errors="replace")

    def result(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.result_file.read_text())
        return document


def run_with_kills(fleet: Fleet, target: QuickServer, workers: int, *options: object) -> None:
    """Run a fleet with these options of the master; during the run, the master is killed and started again, then a
    worker is killed. The run is interrupted when the master has missed the worker."""

    def wait_for_requests(number: int) -> None:
        before = target.total()
        wait_until(lambda: target.total() > before + number, fleet.log)

    options = ("--expect-workers", workers, *options)
    master = fleet.master(*options)
    started = [fleet.worker() for _ in range(workers)]
    wait_for_requests(100)
    master.kill()
    master.wait()
    gevent.sleep(0.5)
    master = fleet.master(*options)
    wait_until(lambda: "Continuing the run" in fleet.log(), fleet.log)
    wait_for_requests(100)
    started[0].kill()
    wait_until(lambda: "is missing" in fleet.log(), fleet.log)
    master.send_signal(signal.SIGINT)
    assert master.wait(HANG_S) == 130, fleet.log()
