"""Checks of the limit of open files against the number of users."""

import logging
import math
from collections.abc import Mapping, Sequence

from obswarm import open_files
from obswarm.api import ObswarmError, User
from obswarm.engine.allocation import allocate, weight_of
from obswarm.http import FastHttpUser, HttpUser
from obswarm.units import counted

logger = logging.getLogger(__name__)

_TIGHT_RATIO = 0.8
_PER_PROCESS = 4
"""Descriptors of the parent for each worker process: three pipes and a connection."""

_MOST_SUGGESTED_PROCESSES = 64

_HOW_TO_RAISE = (
    "Raise the hard limit: `ulimit -n {wanted}` as root before obswarm is started, nofile in"
    " /etc/security/limits.conf, LimitNOFILE={wanted} of a systemd service, or"
    " --ulimit nofile={wanted}:{wanted} of a Docker container"
)


def check_open_files(classes: Sequence[type[User]], users: int | None, processes: int, has_workers: bool) -> None:
    """Compare the peak number of users (None if unknown) with the descriptors of each of `processes`, which are worker
    processes of this one with `has_workers`.

    Raises ObswarmError if there are fewer descriptors than users; logs a warning if there are not many more.
    """
    room = open_files.room()
    if has_workers:
        check_worker_processes(processes)
    counts = allocate(users or 0, [weight_of(cls) for cls in classes])
    wanted = sum(counts[cls.__name__] for cls in classes if _keeps_connection(cls))
    each = math.ceil(wanted / processes)
    if each <= room * _TIGHT_RATIO:
        return
    limit = open_files.soft_limit()
    who = f"{wanted:,} users" if processes == 1 else f"{wanted:,} users in {processes} processes"
    what = (
        f"{who} keep at least one connection each, but a process may have {limit:,} open files, of which"
        f" {max(0, room):,} are left for connections"
    )
    how = _advice(each)
    enough = math.ceil(wanted / (room * _TIGHT_RATIO)) if room else _MOST_SUGGESTED_PROCESSES + 1
    if processes < enough <= _MOST_SUGGESTED_PROCESSES:
        how += f"; or spread the users over more processes: --workers {enough}"
    if each > room:
        raise ObswarmError(f"{what}. {how}.")
    logger.warning("%s: users with several connections will not get all of them. %s.", what, how)


def check_worker_processes(count: int) -> None:
    """Raise ObswarmError if this process has too few descriptors for `count` worker processes."""
    check_descriptors(count * _PER_PROCESS, counted(count, "worker process", "worker processes"))


def check_descriptors(wanted: int, what: str) -> None:
    """Raise ObswarmError if this process cannot open `wanted` more descriptors; `what` needs them."""
    if wanted > open_files.room():
        raise ObswarmError(
            f"{what} need {wanted:,} open files, but this process may have {open_files.soft_limit():,},"
            f" of which {open_files.room():,} are left. {_advice(wanted)}."
        )


def _advice(connections: int) -> str:
    """Return how to raise the limit, to the next sufficient power of two."""
    enough = (connections + open_files.RESERVED) / _TIGHT_RATIO
    return _HOW_TO_RAISE.format(wanted=max(1024, 2 ** math.ceil(math.log2(enough))))


class DescriptorWatch:
    """Checks the number of users during a run, since a shape or the load test may change it."""

    def __init__(self, classes: Sequence[type[User]]) -> None:
        self._keeping = [cls.__name__ for cls in classes if _keeps_connection(cls)]
        self._room = open_files.room()
        self._has_warned = False

    def shortage(self, users: Mapping[str, int]) -> str | None:
        """Return a warning the first time that there are fewer descriptors than users (by class), else None."""
        wanted = sum(users.get(name, 0) for name in self._keeping)
        if wanted <= self._room or self._has_warned:
            return None
        self._has_warned = True
        return (
            f"{wanted:,} users of one process keep at least one connection each, but it may have"
            f" {open_files.soft_limit():,} open files, of which {self._room:,} are left for connections: requests of"
            f" the others fail. {_advice(wanted)}"
        )


def _keeps_connection(user_class: type[User]) -> bool:
    """Whether every user of the class has its own connection, which stays open between requests."""
    if issubclass(user_class, FastHttpUser):
        return user_class.client_pool is None
    return issubclass(user_class, HttpUser)
