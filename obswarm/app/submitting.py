"""Runs that are started on the page of a master service: each has a client, as runs of other machines have, which is a
process of its own on the master's machine. It imports the load test, submits the run, and stores it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from msgspec import convert, to_builtins

from obswarm import __version__, clock
from obswarm.api import ObswarmError
from obswarm.app.explaining import ask_process
from obswarm.config import RunConfig, to_wire
from obswarm.errors import reason_of
from obswarm.json_text import to_json
from obswarm.web.rest.documents import LoadTestDocument
from obswarm.web.rest.requests import Start
from obswarm.web.rest.service import NotPossible

COMMAND = (sys.executable, "-P", "-m", "obswarm.app.submitting_process")
LOCAL = ("files", "store", "no_store", "no_report", "profile")
"""Settings of the service that clients have of their own."""

_LONGEST_S = 25.0
"""Less than a request may take (obswarm.web.connections)."""

_ANSWER_S = 3.0
"""Maximum time from the acceptance of a run to the answer of the process that has submitted it."""


class Submitter:
    """Describes the load test of a service, and submits its runs.

    `config` is the configuration of the service, which was started in `folder`; `loadtest` is its load test, None if it
    has none; `token` is that of its API. `clients` are the ids of processes that an earlier process of the
    service has started.
    """

    def __init__(
        self, config: RunConfig, folder: Path, loadtest: Path | None, token: str, clients: Sequence[int] = ()
    ) -> None:
        self._config = config
        self._folder = folder
        self._loadtest = loadtest
        self._token = token
        self._clients = list(clients)
        self._one_at_a_time = BoundedSemaphore(1)
        self._url = ""

    @property
    def has_loadtest(self) -> bool:
        return self._loadtest is not None

    @property
    def clients(self) -> list[int]:
        """The ids of the processes that have not ended."""
        self._clients = [each for each in self._clients if _goes_on(each)]
        return self._clients

    def reach_at(self, url: str) -> None:
        """Note the URL of the service, which is served now."""
        self._url = url

    def describe(self) -> LoadTestDocument:
        """Describe the load test as it is now. Raises ObswarmError."""
        with self._one_at_a_time:
            return convert(ask_process(COMMAND, self._question("describe"), _LONGEST_S), LoadTestDocument)

    def submit(self, request: Start) -> str:
        """Submit a run; returns its id when the service has accepted it. Raises ObswarmError, and NotPossible if it is
        not accepted."""
        question = {**self._question("submit"), "start": to_builtins(request)}
        with self._one_at_a_time:
            try:
                process = subprocess.Popen(
                    COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
                )
            except OSError as error:
                raise NotPossible(f"No process can be started for the run: {reason_of(error)}.") from None
            assert process.stdin is not None
            assert process.stdout is not None
            with process.stdin, process.stdout:
                answer = self._answer_of(process, question)
        if "error" in answer:
            raise (NotPossible if answer.get("is_refused") else ObswarmError)(answer["error"])
        self._clients.append(process.pid)
        return str(answer["run_id"])

    @staticmethod
    def _answer_of(process: "subprocess.Popen[bytes]", question: Mapping[str, Any]) -> dict[str, Any]:
        """Return the first line that a process writes, within _LONGEST_S; the process is ended if there is none."""
        assert process.stdin is not None
        assert process.stdout is not None
        line = b""
        with gevent.Timeout(_LONGEST_S, False), suppress(OSError):
            process.stdin.write(to_json(question).encode())
            process.stdin.close()
            line = process.stdout.readline()
        try:
            answer: dict[str, Any] = json.loads(line)
            return answer
        except ValueError:
            process.kill()
            process.wait()
            raise NotPossible("The run could not be submitted in time; the master's log may say why.") from None

    def _question(self, what: str) -> dict[str, Any]:
        if self._loadtest is None:
            raise NotPossible(
                "This master has no load test of its own: start it with a load-test file, or submit runs with"
                f" `obswarm run --master {self._url or 'URL'}`."
            )
        return {
            "what": what,
            "config": to_wire(self._config, __version__),
            "local": {name: self._config.value(name) for name in LOCAL},
            "loadtest": str(self._loadtest),
            "folder": str(self._folder),
            "url": self._url,
            "token": self._token,
        }

    def wait_for_answer(self) -> None:
        """Wait until `submit` has returned, if the service has just accepted its run."""
        if self._one_at_a_time.acquire(timeout=_ANSWER_S):
            self._one_at_a_time.release()

    def wait_for_clients(self, longest_s: float) -> None:
        """Wait until the processes have stored their runs."""
        until_s = clock.monotonic() + longest_s
        while self.clients and clock.monotonic() < until_s:
            gevent.sleep(0.1)


def _goes_on(pid: int) -> bool:
    """Whether a child process has not ended."""
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return False
