"""FleetJournal: the RunJournal of a master."""

from dataclasses import replace

from obswarm.cluster.master.generator import FleetGenerator
from obswarm.cluster.master.journal import Journal, WorkerRecord
from obswarm.cluster.master.recovery import worker_records
from obswarm.engine import Progress
from obswarm.stats import StatsTable


class FleetJournal:
    """Writes the progress of a run to a Journal, with the records of its workers."""

    def __init__(self, journal: Journal, generator: FleetGenerator) -> None:
        self._journal = journal
        self._generator = generator
        self._is_over = False

    @property
    def is_due(self) -> bool:
        return self._journal.is_due

    def append(self, delta: StatsTable, progress: Progress, *, reset: bool = False, is_over: bool = False) -> None:
        # Statistics of listeners may be added after the end of all workers.
        self._is_over |= is_over
        self._journal.append(delta, *self._state(progress), reset=reset)

    def rewrite(self, whole: StatsTable, progress: Progress) -> None:
        self._journal.rewrite(whole, *self._state(progress))

    def _state(self, progress: Progress) -> tuple[Progress, dict[str, WorkerRecord]]:
        complete = replace(self._generator.complete(progress), is_over=self._is_over)
        return complete, worker_records(self._generator.registry, self._is_over)

    def finish(self) -> None:
        self._journal.finish()
