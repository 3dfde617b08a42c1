"""Find the reason why a query to a Prometheus returns no series, from its series about its targets."""

import re
from collections.abc import Callable
from functools import partial

from obswarm import clock
from obswarm.greenlets import Supervisor, kill_all
from obswarm.killed import Supervised
from obswarm.targets.absence import KnownTargets, ReasonCache, metrics_in_query, reason_for_no_series
from obswarm.targets.evaluate import JOB
from obswarm.targets.kind_metrics import metrics_of
from obswarm.targets.kinds import KINDS
from obswarm.targets.source import Sample, SourceError, Target

_KEEP_S = 5.0
_LOOKBACK = "15m"
"""How far back to look for the metrics of a target that is down now."""

_MAX_SHOWN = 3


class PrometheusReasons:
    """Find reasons in background greenlets, so that guards need not wait.

    `query` runs a query; `targets` returns the targets of the run (Prometheus may know many others). Both may raise
    SourceError.
    """

    def __init__(self, query: Callable[[str], list[Sample]], targets: Callable[[], list[Target]]) -> None:
        self._query = query
        self._targets = targets
        self._reasons = ReasonCache(_KEEP_S)
        self._searches: dict[str, Supervised] = {}
        self._supervisor = Supervisor()

    def get(self, query: str) -> str:
        """Return the reason found last, empty if none; start a search if one is due."""
        search = self._searches.get(query)
        if (search is None or search.dead) and self._reasons.is_due(query, clock.monotonic()):
            name = f"The search for the reason of no data for {query}"
            self._searches[query] = self._supervisor.spawn(name, partial(self._search, query))
        return self._reasons.get(query)

    def close(self) -> None:
        kill_all(self._searches.values())

    def _search(self, query: str) -> None:
        try:
            self._reasons.keep(query, self._reason(query))
        except SourceError:
            # The guard's own query reports the error.
            self._reasons.keep(query, "")

    def _reason(self, query: str) -> str:
        names = sorted(metrics_in_query(query))
        selector = f'{{__name__=~"{"|".join(map(re.escape, names))}"}}'.replace("\\", "\\\\") if names else ""
        down = {_job(sample): "" for sample in self._query("count by (job) (up)")}
        current = self._jobs(f"count by (job, __name__) ({selector})") if selector else {}
        lost = {name: set(jobs) for name, jobs in current.items()}
        down_series = self._query("up == 0")
        if down_series:
            down |= _described(down_series)
            if selector:
                for name, jobs in self._jobs(
                    f"count by (job, __name__) (last_over_time({selector}[{_LOOKBACK}]))"
                ).items():
                    lost.setdefault(name, set()).update(jobs)
            for sample in down_series:
                kind = sample.labels.get("kind", "")
                for name in metrics_of(kind) if kind in KINDS else ():
                    lost.setdefault(name, set()).add(_job(sample))
        return reason_for_no_series(
            query, KnownTargets(down, current, lost, self._run_jobs() if down_series else ()), self._similar_names
        )

    def _run_jobs(self) -> set[str]:
        return {target.name for target in self._targets()}

    def _jobs(self, query: str) -> dict[str, set[str]]:
        """Return metric name → jobs."""
        found: dict[str, set[str]] = {}
        for sample in self._query(query):
            found.setdefault(sample.labels.get("__name__", ""), set()).add(_job(sample))
        return found

    def _similar_names(self, name: str) -> list[str]:
        """Return metric names with the same beginning as `name`."""
        begin = re.match(r"[A-Za-z0-9]+_?", name)
        if begin is None:
            return []
        found = self._query(f'group by (__name__) ({{__name__=~"{begin[0]}.*"}})')
        return [sample.labels.get("__name__", "") for sample in found]


def _job(sample: Sample) -> str:
    return sample.labels.get(JOB, "")


def _described(down_series: list[Sample]) -> dict[str, str]:
    """Return job → description of its instances that are down."""
    instances: dict[str, list[str]] = {}
    for sample in down_series:
        instances.setdefault(_job(sample), []).append(sample.labels.get("instance", "an instance"))
    return {
        job: f"up is 0 at {', '.join(each[:_MAX_SHOWN])}{' and others' if len(each) > _MAX_SHOWN else ''}"
        for job, each in instances.items()
    }
