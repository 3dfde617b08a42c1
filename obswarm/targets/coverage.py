"""Whether a run's targets were there: for how long each could not be read, or had nothing of its kind to read."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gevent

from obswarm.engine import Output, RunHandle
from obswarm.greenlets import Supervisor
from obswarm.stats import LOADED_STATES, Snapshot, TargetView
from obswarm.targets.source import MetricSource, Target, TargetHealth
from obswarm.units import format_duration

logger = logging.getLogger(__name__)

WARN_AFTER_S = 5.0


@dataclass(slots=True)
class _Seen:
    """Seconds of the run by what was there, those since the last change, and whether that was told."""

    measured_s: float = 0.0
    down_s: float = 0.0
    without_metrics_s: float = 0.0
    detail: str = ""
    problem_s: float = 0.0
    is_told: bool = False


class TargetCoverage(Output):
    """Counts, of each target, the seconds of a run in which there was nothing of it, and warns once when that lasts.

    `annotate` keeps a mark with the run.
    """

    name = "The look at the targets"
    required = False

    def __init__(self, source: MetricSource) -> None:
        self.annotate: Callable[[str, str], None] = lambda kind, text: None
        self._source = source
        self._health: Sequence[TargetHealth] = ()
        self._seen: dict[Target, _Seen] = {}
        self._looking: gevent.Greenlet | None = None

    def start(self, run: RunHandle) -> None:
        self._looking = Supervisor(self._looking_ended).keep("The look at the targets", self._look)

    def _looking_ended(self, what: str, error: BaseException) -> None:
        logger.warning("%s has ended; the last health of the targets is kept: %s", what, error)

    def _look(self) -> None:
        """In a greenlet of its own: a Prometheus may take long to answer."""
        while True:
            self._health = self._source.health()
            gevent.sleep(self._source.health_every_s)

    def snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.state in LOADED_STATES:
            self.count(self._health, snapshot.interval_s)

    def count(self, health: Sequence[TargetHealth], seconds: float) -> None:
        """Add an interval in which the targets were like this."""
        for each in health:
            seen = self._seen.setdefault(each.target, _Seen())
            if each.has_metrics:
                seen.measured_s += seconds
                seen.problem_s = 0.0
                continue
            if each.up:
                seen.without_metrics_s += seconds
                seen.detail = _without_metrics(each.target)
            else:
                seen.down_s += seconds
                seen.detail = each.detail
            seen.problem_s += seconds
            if seen.problem_s >= WARN_AFTER_S and not seen.is_told:
                seen.is_told = True
                text = f"{_label(each.target)}: nothing has been measured for {_span(seen.problem_s)}: {seen.detail}"
                self.annotate("target", text)
                logger.warning("%s.", text)

    def views(self) -> tuple[TargetView, ...]:
        """What was seen of each target until now."""
        return tuple(
            TargetView(
                target.name, target.kind, seen.measured_s, seen.down_s, seen.without_metrics_s, _problem(target, seen)
            )
            for target, seen in self._seen.items()
        )

    def close(self) -> None:
        if self._looking is not None:
            self._looking.kill()


def _label(target: Target) -> str:
    return f"Target {target.name}" if target.name == target.kind else f"Target {target.name} ({target.kind})"


def _without_metrics(target: Target) -> str:
    return f"it answers, but has none of {target.kind}'s metrics"


def _problem(target: Target, seen: _Seen) -> str:
    missing_s = seen.down_s + seen.without_metrics_s
    if not missing_s:
        return ""
    if not seen.measured_s:
        return f"{_label(target)}: nothing was measured: {seen.detail}."
    of = f"{_span(missing_s)} of {_span(missing_s + seen.measured_s)}"
    if not seen.without_metrics_s:
        return f"{_label(target)} was down for {of}: {seen.detail}."
    return f"{_label(target)}: nothing was measured in {of}: {seen.detail}."


def _span(seconds: float) -> str:
    return format_duration(round(seconds, 1) if seconds < 1 else round(seconds))
