"""Why a query to a Prometheus gives no series, by what Prometheus knows of its targets."""

import re
from collections.abc import Callable
from functools import partial

from obswarm import clock
from obswarm.greenlets import Supervisor, kill_all
from obswarm.killed import Supervised
from obswarm.targets.absence import Known, Reasons, metrics_asked_for, reason_for_nothing
from obswarm.targets.evaluate import JOB
from obswarm.targets.kinds import KINDS, metrics_of
from obswarm.targets.source import Sample, SourceError, Target

_KEEP_S = 5.0
_BEFORE = "15m"
"""How far a metric may lie back whose target is down now."""

_MOST_NAMED = 3


class PrometheusReasons:
    """Asks in the background, by functions that raise SourceError: a guard's answer does not wait for it. `targets`
    gives those of the run: Prometheus knows of many others."""

    def __init__(self, ask: Callable[[str], list[Sample]], targets: Callable[[], list[Target]]) -> None:
        self._ask = ask
        self._targets = targets
        self._reasons = Reasons(_KEEP_S)
        self._looking: dict[str, Supervised] = {}
        self._supervisor = Supervisor()

    def get(self, query: str) -> str:
        """What was found last; empty before that."""
        looking = self._looking.get(query)
        if (looking is None or looking.dead) and self._reasons.is_due(query, clock.monotonic()):
            name = f"The look for what is missing for {query}"
            self._looking[query] = self._supervisor.spawn(name, partial(self._look, query))
        return self._reasons.get(query)

    def close(self) -> None:
        kill_all(self._looking.values())

    def _look(self, query: str) -> None:
        try:
            self._reasons.keep(query, self._reason(query))
        except SourceError:
            # The guard's own question says so.
            self._reasons.keep(query, "")

    def _reason(self, query: str) -> str:
        names = sorted(metrics_asked_for(query))
        selector = f'{{__name__=~"{"|".join(map(re.escape, names))}"}}'.replace("\\", "\\\\") if names else ""
        down = {_job(sample): "" for sample in self._ask("count by (job) (up)")}
        having = self._jobs(f"count by (job, __name__) ({selector})") if selector else {}
        had = {name: set(jobs) for name, jobs in having.items()}
        gone = self._ask("up == 0")
        if gone:
            down |= _described(gone)
            if selector:
                for name, jobs in self._jobs(
                    f"count by (job, __name__) (last_over_time({selector}[{_BEFORE}]))"
                ).items():
                    had.setdefault(name, set()).update(jobs)
            for sample in gone:
                kind = sample.labels.get("kind", "")
                for name in metrics_of(kind) if kind in KINDS else ():
                    had.setdefault(name, set()).add(_job(sample))
        return reason_for_nothing(query, Known(down, having, had, self._own() if gone else ()), self._like)

    def _own(self) -> set[str]:
        return {target.name for target in self._targets()}

    def _jobs(self, query: str) -> dict[str, set[str]]:
        """Jobs by metric."""
        found: dict[str, set[str]] = {}
        for sample in self._ask(query):
            found.setdefault(sample.labels.get("__name__", ""), set()).add(_job(sample))
        return found

    def _like(self, name: str) -> list[str]:
        """Metrics whose names begin as that one does."""
        begin = re.match(r"[A-Za-z0-9]+_?", name)
        if begin is None:
            return []
        found = self._ask(f'group by (__name__) ({{__name__=~"{begin[0]}.*"}})')
        return [sample.labels.get("__name__", "") for sample in found]


def _job(sample: Sample) -> str:
    return sample.labels.get(JOB, "")


def _described(gone: list[Sample]) -> dict[str, str]:
    """By job, which of its instances are down."""
    instances: dict[str, list[str]] = {}
    for sample in gone:
        instances.setdefault(_job(sample), []).append(sample.labels.get("instance", "an instance"))
    return {
        job: f"up is 0 at {', '.join(each[:_MOST_NAMED])}{' and others' if len(each) > _MOST_NAMED else ''}"
        for job, each in instances.items()
    }
