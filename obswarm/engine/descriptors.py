"""Whether this machine's limit of open files allows the users that are asked for."""

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
"""Descriptors that a worker process costs its parent: three pipes and a connection."""

_MOST_SUGGESTED_PROCESSES = 64

_HOW_TO_RAISE = (
    "Raise the hard limit: `ulimit -n {wanted}` as root before obswarm is started, nofile in"
    " /etc/security/limits.conf, LimitNOFILE={wanted} of a systemd service, or"
    " --ulimit nofile={wanted}:{wanted} of a Docker container"
)


def check_open_files(classes: Sequence[type[User]], users: int | None, processes: int, has_workers: bool) -> None:
    """Compare the most users that a run will have (None: not known before) with the descriptors of each of
    `processes`, which are worker processes of this one with `has_workers`.

    Raises ObswarmError when each user cannot have a connection; logs a warning when there is not much more than that.
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
        f"{who} keep at least one connection each, and a process may have {limit:,} open files here, of which"
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
    """Raises ObswarmError when this process cannot have so many."""
    check_descriptors(count * _PER_PROCESS, counted(count, "worker process", "worker processes"))


def check_descriptors(wanted: int, what: str) -> None:
    """Raises ObswarmError when this process cannot have so many more."""
    if wanted > open_files.room():
        raise ObswarmError(
            f"{what} need {wanted:,} open files here, and this process may have {open_files.soft_limit():,},"
            f" of which {open_files.room():,} are left. {_advice(wanted)}."
        )


def _advice(connections: int) -> str:
    """How to raise the limit, to the next power of two at which nothing is tight."""
    enough = (connections + open_files.RESERVED) / _TIGHT_RATIO
    return _HOW_TO_RAISE.format(wanted=max(1024, 2 ** math.ceil(math.log2(enough))))


class DescriptorWatch:
    """Compares the users that a process is given while a run goes on, which a shape or a script may decide."""

    def __init__(self, classes: Sequence[type[User]]) -> None:
        self._keeping = [cls.__name__ for cls in classes if _keeps_connection(cls)]
        self._room = open_files.room()
        self._told = False

    def shortage(self, users: Mapping[str, int]) -> str | None:
        """What to tell, the first time that users (by class) cannot have a connection each."""
        wanted = sum(users.get(name, 0) for name in self._keeping)
        if wanted <= self._room or self._told:
            return None
        self._told = True
        return (
            f"{wanted:,} users of one process keep at least one connection each, and it may have"
            f" {open_files.soft_limit():,} open files, of which {self._room:,} are left for connections: requests of"
            f" the others fail. {_advice(wanted)}"
        )


def _keeps_connection(user_class: type[User]) -> bool:
    """Whether every user of the class has a connection of its own, kept open from request to request."""
    if issubclass(user_class, FastHttpUser):
        return user_class.client_pool is None
    return issubclass(user_class, HttpUser)
