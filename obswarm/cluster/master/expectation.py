"""The number of workers that a run waits for."""

import logging
from dataclasses import dataclass

from obswarm.api import ObswarmError
from obswarm.units import format_limit

logger = logging.getLogger(__name__)

_NOTICE_S = 30.0


@dataclass(frozen=True, slots=True)
class Expectation:
    """Number of workers to wait for before the run starts, and for how many seconds (None: without limit). With
    `fewer_do`, the run starts with fewer workers after that time."""

    workers: int = 1
    longest_s: float | None = None
    fewer_do: bool = False


class WaitForWorkers:
    """The wait for an expectation, since `began_s` on any clock."""

    def __init__(self, expect: Expectation, began_s: float) -> None:
        self._expect = expect
        self._began_s = self._noticed_s = began_s

    def is_over(self, ready: int, now: float) -> bool:
        """Whether the run may begin with `ready` workers. Raises ObswarmError if there are too few in time."""
        expect = self._expect
        if ready >= expect.workers:
            return True
        if expect.longest_s is not None and now - self._began_s > expect.longest_s:
            if ready and expect.fewer_do:
                logger.warning(
                    "%d of %d workers are ready after %s; the run begins.",
                    ready,
                    expect.workers,
                    format_limit(expect.longest_s),
                )
                return True
            raise ObswarmError(
                f"{ready} of {expect.workers} workers were ready after {format_limit(expect.longest_s)}."
            )
        if now - self._noticed_s > _NOTICE_S:
            self._noticed_s = now
            logger.info("%d of %d workers are ready.", ready, expect.workers)
        return False
