"""The first suspect when a guard trips: looked up apart from the evaluation of guards, which it must not delay."""

import logging
from collections.abc import Callable, Mapping

import gevent
from gevent.event import Event

from obswarm import clock
from obswarm.greenlets import Supervisor
from obswarm.guards.state_machine import trip_head

logger = logging.getLogger(__name__)

FindSuspect = Callable[[], str]
"""Returns the first suspect as a clause, empty without one. May block the calling greenlet."""

_TRIES_S = (0.3, 2.0)
"""Pauses before the attempts: the second of the trip has to be in the store, and what a guard notices at once has not
lasted long enough to be explained."""
_PAUSE_S = 10.0
"""A guard may trip often, and each attempt takes CPU time from the load generator."""
_AT_END_S = 8.0


class TripSuspects:
    """Looks up the first suspect of the run when guards trip, and calls `announce` with the guard's name and the
    suspect. Guards that trip while one is looked up get the same; those within the next 10 s get none."""

    def __init__(self, find: FindSuspect, announce: Callable[[str, str], None]) -> None:
        self._find = find
        self._announce = announce
        self._found: dict[str, str] = {}
        self._waiting: list[str] = []
        self._looking: gevent.Greenlet | None = None
        self._ended_s: float | None = None
        self._ending = Event()

    @property
    def found(self) -> Mapping[str, str]:
        """The suspect at the last trip of each guard, by name."""
        return self._found

    def added_to(self, detail: str) -> str:
        """Return the sentence of a guard's trip with the suspect that was found for that guard, if there is one."""
        found = next((text for name, text in self._found.items() if detail.startswith(trip_head(name))), "")
        return f"{detail}; first suspect: {found}" if found else detail

    def tripped(self, guard: str) -> None:
        """Look up the suspect for a guard. Does not wait."""
        self._found.pop(guard, None)
        if self._looking is not None:
            if guard not in self._waiting:
                self._waiting.append(guard)
            return
        if self._ending.is_set() or (self._ended_s is not None and clock.monotonic() < self._ended_s + _PAUSE_S):
            return
        self._waiting = [guard]
        self._looking = Supervisor(self._failed).spawn("The search for the first suspect", self._look)

    def close(self) -> None:
        """The run is over: wait for a search in progress, at most 8 s."""
        self._ending.set()
        looking = self._looking
        if looking is not None:
            looking.join(_AT_END_S)
            looking.kill()
            self._looking = None

    def _look(self) -> None:
        suspect = ""
        for pause_s in _TRIES_S:
            is_last = self._ending.wait(pause_s)
            suspect = self._find()
            if suspect or is_last:
                break
        self._done()
        if suspect:
            for guard in self._waiting:
                self._found[guard] = suspect
                self._announce(guard, suspect)

    def _done(self) -> None:
        self._looking, self._ended_s = None, clock.monotonic()

    def _failed(self, what: str, error: BaseException) -> None:
        self._done()
        logger.warning("There is no first suspect for the guard %s: %s.", ", ".join(self._waiting), error)
