"""State of a master service for its clients: the current run, and the workers that wait for the next one."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import gevent

from obswarm import __version__, clock
from obswarm.engine import RunControl, new_run_id
from obswarm.record import ServiceState
from obswarm.web import RunEvents, RunRequest, ServiceBusy

_WORKERS_S = 10.0
_BACK_S = 6.0
_STARTED_AGAIN_S = 15.0
"""Maximum time until workers that a run has killed are restarted and connected again."""

Workers = Mapping[str, int]
"""Number of processes by the name of the worker."""


def _no_workers() -> Workers:
    return {}


class MasterRunService:
    """The RunService of a master that executes one run at a time.

    `accept` is called with a valid request; it must not block, and raises ObswarmError if the request cannot be stored.
    """

    def __init__(
        self,
        accept: Callable[[RunRequest], None],
        loadtest: str | None = None,
        workers_max_wait_s: float = _WORKERS_S,
    ) -> None:
        """`workers_max_wait_s` is how long a request waits for workers that are starting or reconnecting."""
        self._accept = accept
        self._loadtest = loadtest
        self._is_busy = False
        self._request_id: str | None = None
        self._events: RunEvents | None = None
        self._run: RunControl | None = None
        self._run_id: str | None = None
        self._workers: Callable[[], Workers] = _no_workers
        self._workers_max_wait_s = workers_max_wait_s
        self._started_again_until_s = 0.0
        self._coming_back = (0, 0.0)

    @property
    def idle_workers(self) -> Workers:
        """Workers that are waiting for a run."""
        return self._workers()

    def wait_with(self, workers: Callable[[], Workers]) -> None:
        """Wait for a run; `workers` returns the idle workers."""
        self._is_busy = False
        self._workers = workers

    def begin(self, request_id: str, events: RunEvents) -> None:
        """Note that a requested run is being prepared."""
        self._is_busy = True
        self._request_id, self._events = request_id, events

    def began(self, run: RunControl, run_id: str, loadtest: str) -> None:
        """Note that the run can be controlled."""
        self._run, self._run_id, self._loadtest = run, run_id, loadtest

    def ended(self) -> None:
        """Note that the run cannot be stopped any more."""
        self._run = None

    def expect_back(self, workers: int) -> None:
        """Expect this number of workers to reconnect soon after a run; others may have to be restarted first."""
        now = clock.monotonic()
        self._coming_back = (workers, now + _BACK_S)
        self._started_again_until_s = now + _STARTED_AGAIN_S

    def status(self) -> Mapping[str, Any]:
        return {
            "version": __version__,
            "state": ServiceState.RUNNING if self._is_busy else ServiceState.WAITING,
            "order": self._request_id,
            "run_id": self._run_id,
            "loadtest": self._loadtest,
            "workers": dict(self.idle_workers),
        }

    def submit(self, request: RunRequest) -> RunRequest:
        self._check_that_it_is_free(
            f"the run {self._run_id} is in progress; wait for its end or stop it."
            if self._run_id
            else "another run is in progress; wait for its end or stop it."
        )
        workers = self._wait_for_workers(request.workers)
        if not workers:
            raise ServiceBusy("no worker is connected to this master.")
        self._check_that_it_is_free("another run was submitted in the meantime.")
        accepted = request.accepted(secrets.token_hex(8), workers, new_run_id(clock.wall()))
        self._accept(accepted)
        self._is_busy = True
        return accepted

    def events_of(self, request_id: str) -> RunEvents | None:
        return self._events if request_id == self._request_id else None

    def control_of(self, request_id: str) -> RunControl | None:
        return self._run if request_id == self._request_id else None

    def _check_that_it_is_free(self, otherwise: str) -> None:
        if self._is_busy:
            raise ServiceBusy(otherwise)

    def _wait_for_workers(self, wanted: int) -> int:
        """Wait for `wanted` workers, at least one, and return their number, which is smaller if not all connect in
        time. On a busy machine, all may just be reconnecting."""
        until_s = clock.monotonic() + self._workers_max_wait_s
        while True:
            now, workers = clock.monotonic(), self._available()
            if workers >= max(wanted, 1) or now >= max(until_s, 0.0 if workers else self._started_again_until_s):
                return workers
            gevent.sleep(0.1)

    def _available(self) -> int:
        coming, until_s = self._coming_back
        return max(len(self.idle_workers), coming if clock.monotonic() < until_s else 0)
