"""What a master has its workers run, as tests want it, and programs that run beside a test."""

from collections.abc import Callable
from typing import Any

import gevent

from obswarm.api import ObswarmError
from obswarm.cluster.job import Job
from obswarm.config import RunConfig
from tests.support.patience import HANG_S


def made_up_job(**changed: Any) -> Job:
    """A job of one file; arguments are fields or settings that are to be others."""
    settings: dict[str, Any] = {"stop_timeout": 5.0, "max_endpoints": 100}
    settings |= {name: changed.pop(name) for name in changed.keys() - Job.__annotations__.keys()}
    fields: dict[str, Any] = {
        "files": ("loadtest.py",),
        "root": "/srv/loadtest",
        "user_classes": (),
        "options": {},
        "config": RunConfig.of(settings, {}),
    }
    return Job(**fields | changed)


class RunsBeside:
    """Base of what has the `run` of a worker, a relay or a connection going on beside the test."""

    def begin(self, run: Callable[[], int]) -> None:
        """Call that function in a greenlet."""
        self._running = gevent.spawn(_outcome_of, run)

    @property
    def outcome(self) -> int | ObswarmError:
        """Exit code or error with which `run` has ended."""
        self._running.join(timeout=HANG_S)
        assert self._running.dead
        ended: int | ObswarmError = self._running.value
        return ended

    @property
    def runs(self) -> bool:
        return not self._running.dead


def _outcome_of(run: Callable[[], int]) -> int | ObswarmError:
    try:
        return run()
    except ObswarmError as error:
        return error
