"""What is known to be missing in a run's statistics, and of which worker."""

import logging
from collections.abc import Iterable, Mapping

from obswarm.cluster.member import Member
from obswarm.engine import WorkerLoss

logger = logging.getLogger(__name__)


class Losses:
    """Each loss is logged, and counted in its worker's `lost`."""

    def __init__(self) -> None:
        self.of_time: list[WorkerLoss] = []
        """Those that stand in no table of statistics, and have to be remembered apart."""
        self._of_requests: dict[tuple[str, str], int] = {}

    def restore(self, earlier: Iterable[WorkerLoss]) -> None:
        """Put in front those that a master before this one has noted."""
        self.of_time[:0] = earlier

    def note_worker(self, member: Member, detail: str, unreported_s: float) -> None:
        """A worker went away without its last statistics."""
        users = sum(member.users.values())
        member.lost += 1
        self.of_time.append(WorkerLoss(member.name, detail, unreported_s, users))
        logger.error(
            "The worker %s is lost (%s): at most the last %.1f s of its %d users are in no figure.",
            member.name,
            detail,
            unreported_s,
            users,
        )

    def note_process(self, member: Member, detail: str, unreported_s: float) -> None:
        """One of a worker's processes did."""
        member.lost += 1
        self.of_time.append(WorkerLoss(member.name, detail, unreported_s, 0))
        logger.error("%s: at most its last %g s are in no figure.", detail.capitalize(), unreported_s)

    def note_requests(self, lost: Mapping[tuple[str, str], int], members: Iterable[Member]) -> None:
        """Requests that processes have counted and could not send, as of StatsTable.lost."""
        for key, requests in lost.items():
            name, reason = key
            for member in members:
                if name == member.name or name in member.nodes:
                    member.lost += 1
            if key not in self._of_requests:
                logger.error("Statistics of the worker %s are lost: %s.", name, reason)
            self._of_requests[key] = self._of_requests.get(key, 0) + requests

    def all(self) -> tuple[WorkerLoss, ...]:
        """One entry for each worker or process that went away, and for each worker and reason of lost requests."""
        return (
            *self.of_time,
            *(WorkerLoss(name, reason, 0.0, 0, requests) for (name, reason), requests in self._of_requests.items()),
        )
