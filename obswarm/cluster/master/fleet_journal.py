"""FleetJournal: the RunJournal of a master."""

from obswarm.cluster.master.generator import FleetGenerator
from obswarm.cluster.master.journal import Journal
from obswarm.cluster.master.recovery import worker_records
from obswarm.engine import Progress
from obswarm.stats import StatsTable


class FleetJournal:
    """Writes the progress of a run to a Journal, with the records of its workers."""

    def __init__(self, journal: Journal, generator: FleetGenerator) -> None:
        self._journal = journal
        self._generator = generator

    @property
    def is_due(self) -> bool:
        return self._journal.is_due

    def append(self, delta: StatsTable, progress: Progress, *, reset: bool = False, is_over: bool = False) -> None:
        records = worker_records(self._generator.registry, is_over)
        self._journal.append(delta, self._generator.complete(progress), records, reset=reset)

    def rewrite(self, whole: StatsTable, progress: Progress) -> None:
        self._journal.rewrite(whole, self._generator.complete(progress), worker_records(self._generator.registry))

    def finish(self) -> None:
        self._journal.finish()
