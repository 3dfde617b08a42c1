"""A master that stays and its workers, as a user starts them."""

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import Finished, command, obswarm
from tests.support.readiness import wait_for_http

TOKEN = "for those who ask for runs"
ALERTS_TOKEN = "for those who deliver alerts"
LOADTEST = """
from obswarm import FastHttpUser, constant, task
class Visitor(FastHttpUser):
    wait_time = constant(0.05)
    @task
    def visit(self):
        self.client.get("/visit")
"""


class Service:
    """A master that stays and two workers, while a `with` block lasts."""

    def __init__(self, folder: Path, *options: object, workers: tuple[int, ...] = (1, 2)) -> None:
        self.folder = folder
        self._options = options
        self._workers = workers
        self.port, self.web_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.web_port}"
        self._programs: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.folder.mkdir(exist_ok=True)
        self.start_master()
        for processes in self._workers:
            self._start(
                "workers.log", "worker", "--serve", "--master", f"127.0.0.1:{self.port}", "--processes", processes
            )
        self.wait_for_workers()
        return self

    def wait_for_workers(self) -> None:
        wait_until(
            lambda: len(self.status()["workers"]) >= len(self._workers),
            (self.folder / "workers.log").read_text,
        )

    def __exit__(self, *_: object) -> None:
        for each in self._programs:
            each.terminate()
        for each in self._programs:
            each.wait(HANG_S)

    def _start(self, log: str, *arguments: object) -> "subprocess.Popen[bytes]":
        with open(self.folder / log, "ab") as file:
            made = subprocess.Popen(command(*arguments), cwd=self.folder, stdout=file, stderr=file)
        self._programs.append(made)
        return made

    def start_master(self) -> None:
        self.master = self._start(
            "master.log",
            "master",
            "--serve",
            *("--bind", f"127.0.0.1:{self.port}", "--web-port", self.web_port, "--api-token", TOKEN),
            *("--alerts-token", ALERTS_TOKEN),
            *self._options,
        )
        wait_for_http(f"{self.url}/healthz", self.master, (self.folder / "master.log").read_text)

    def ask(self, path: str, token: str = TOKEN, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(self.url + path, body, {"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=HANG_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def status(self) -> dict[str, Any]:
        return self.ask("/api/v1/service")[1]

    def arguments(self, *more: object) -> tuple[object, ...]:
        return ("run", *more, "--master", self.url, "--api-token", TOKEN, "--headless")

    def run(self, *more: object, cwd: Path) -> Finished:
        return obswarm(*self.arguments(*more), cwd=cwd)

    def wait_until_waiting(self) -> None:
        wait_until(lambda: self.status()["state"] == "waiting", self.log)

    def log(self, name: str = "master.log") -> str:
        return (self.folder / name).read_text(errors="replace")


def child_of(process: "subprocess.Popen[bytes]") -> int:
    """The process that does the work of a service."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return int(wait_until(lambda: path.read_text().split(), ended=process.poll)[0])
