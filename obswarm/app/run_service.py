"""Which run a master service makes now, which workers wait for the next one, and what clients may know of both."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import gevent

from obswarm import __version__, clock
from obswarm.engine import RunControl
from obswarm.web import RunEvents, RunRequest, ServiceBusy

_WORKERS_S = 10.0
_BACK_S = 6.0
_STARTED_AGAIN_S = 15.0
"""How long workers that a run has killed may take until they are started again and wait here."""

Workers = Mapping[str, int]
"""Processes of workers by their name."""


def _no_workers() -> Workers:
    return {}


class MasterRunService:
    """The RunService of a master that makes one run after the other.

    `accept` is handed a request that is fine; it must not block, and raises ObswarmError when the request cannot be
    stored.
    """

    def __init__(
        self,
        accept: Callable[[RunRequest], None],
        loadtest: str | None = None,
        workers_max_wait_s: float = _WORKERS_S,
    ) -> None:
        """A run waits for so long for its workers: they were just started, or are connecting again."""
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
        """Workers that wait for a run."""
        return self._workers()

    def wait_with(self, workers: Callable[[], Workers]) -> None:
        """There is no run; `workers` returns those that wait for one."""
        self._is_busy = False
        self._workers = workers

    def begin(self, request_id: str, events: RunEvents) -> None:
        """A requested run is being prepared."""
        self._is_busy = True
        self._request_id, self._events = request_id, events

    def began(self, run: RunControl, run_id: str, loadtest: str) -> None:
        """The run is there."""
        self._run, self._run_id, self._loadtest = run, run_id, loadtest

    def ended(self) -> None:
        """The run cannot be stopped any more."""
        self._run = None

    def expect_back(self, workers: int) -> None:
        """So many have just finished a run, and will wait here again in a moment; others may have to be started again
        before they do."""
        now = clock.monotonic()
        self._coming_back = (workers, now + _BACK_S)
        self._started_again_until_s = now + _STARTED_AGAIN_S

    def status(self) -> Mapping[str, Any]:
        return {
            "version": __version__,
            "state": "running" if self._is_busy else "waiting",
            "order": self._request_id,
            "run_id": self._run_id,
            "loadtest": self._loadtest,
            "workers": dict(self.idle_workers),
        }

    def submit(self, request: RunRequest) -> RunRequest:
        self._check_that_it_is_free(f"the run {self._run_id or 'before'} goes on here; wait for its end or stop it.")
        workers = self._wait_for_workers(request.workers)
        if not workers:
            raise ServiceBusy("no worker is connected to this master.")
        self._check_that_it_is_free("another run was asked for meanwhile.")
        accepted = request.accepted(secrets.token_hex(8), workers)
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
        """Workers for the next run: as many as are wanted, at least one, if they come in time; else those that are
        there. On a busy machine, each may be connecting again just now."""
        until_s = clock.monotonic() + self._workers_max_wait_s
        while True:
            now, workers = clock.monotonic(), self._available()
            if workers >= max(wanted, 1) or now >= max(until_s, 0.0 if workers else self._started_again_until_s):
                return workers
            gevent.sleep(0.1)

    def _available(self) -> int:
        coming, until_s = self._coming_back
        return max(len(self.idle_workers), coming if clock.monotonic() < until_s else 0)
