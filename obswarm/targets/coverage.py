"""Whether a run's targets were there: for how long each could not be read, or had nothing of its kind to read."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gevent

from obswarm import clock
from obswarm.engine import Output, RunHandle
from obswarm.greenlets import Supervisor
from obswarm.stats import LOADED_STATES, Snapshot, TargetView
from obswarm.targets.kinds import KINDS
from obswarm.targets.source import MetricSource, Target, TargetHealth
from obswarm.units import format_duration

logger = logging.getLogger(__name__)

WARN_AFTER_S = 5.0


_MOST_TOLD = 20
"""Gaps of a target that are told of one by one."""


@dataclass(slots=True)
class _Seen:
    """Seconds of the run by what was there, those of the gap that lasts, whether that was told, and how many were."""

    measured_s: float = 0.0
    down_s: float = 0.0
    not_seen_s: float = 0.0
    without_metrics_s: float = 0.0
    waiting_s: float = 0.0
    """Those that an answer that has not come yet will tell of."""
    detail: str = ""
    problem_s: float = 0.0
    is_told: bool = False
    gaps_told: int = 0

    @property
    def missing_s(self) -> float:
        return self.down_s + self.not_seen_s + self.without_metrics_s


class TargetCoverage(Output):
    """Counts, of each target, the seconds of a run in which there was nothing of it; says when that lasts, and when it
    is over.

    `annotate` keeps a mark with the run for both.
    """

    name = "The look at the targets"
    required = False

    def __init__(self, source: MetricSource) -> None:
        self.annotate: Callable[[str, str], None] = lambda kind, text: None
        self._source = source
        self._health: Sequence[TargetHealth] = ()
        self._seen: dict[Target, _Seen] = {}
        self._counted_s = 0.0
        self._asked_s: float | None = None
        """Since when the source has been asked, while it does not answer."""
        self._waiting_s = 0.0
        """Seconds of the run that this answer will tell of."""
        self._looking: gevent.Greenlet | None = None

    def start(self, run: RunHandle) -> None:
        self._looking = Supervisor(self._looking_ended).keep("The look at the targets", self._look)

    def _looking_ended(self, what: str, error: BaseException) -> None:
        logger.warning("%s has ended; the last health of the targets is kept: %s", what, error)

    def _look(self) -> None:
        """In a greenlet of its own: a Prometheus may take long to answer."""
        while True:
            self._asked_s = clock.monotonic()
            try:
                self._health = self._source.health()
            finally:
                self._asked_s = None
            gevent.sleep(self._source.health_every_s)

    def snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.state in LOADED_STATES:
            self.pass_time(snapshot.interval_s)

    def pass_time(self, seconds: float) -> None:
        """Add an interval that ends now. What the source has been asked about, and has not answered yet, is counted by
        the answer, or by the lack of one."""
        unknown_s = self._waiting_s + seconds
        asked_for_s = clock.monotonic() - self._asked_s if self._asked_s is not None else 0.0
        self._waiting_s = min(asked_for_s, unknown_s)
        if unknown_s > self._waiting_s:
            self.count(self._health, unknown_s - self._waiting_s)

    def count(self, health: Sequence[TargetHealth], seconds: float) -> None:
        """Add an interval in which the targets were like this."""
        self._hand_over(health)
        for target, seen in self._seen.items():
            if target.kind not in KINDS and all(each.target != target for each in health):
                # The source itself, which is only told of while it does not answer.
                seen.measured_s += seconds
                self._end_of_gap(target, seen)
        for each in health:
            answered_s = 0.0 if each.target.kind in KINDS else self._counted_s
            seen = self._seen.setdefault(each.target, _Seen(answered_s))
            unknown_s = seen.waiting_s + seconds
            seen.waiting_s = min(each.waiting_s, unknown_s)
            if unknown_s > seen.waiting_s:
                self._count_known(each, seen, unknown_s - seen.waiting_s)
            elif not seen.detail:
                seen.detail = each.detail
        self._counted_s += seconds

    def _hand_over(self, health: Sequence[TargetHealth]) -> None:
        """Once it is known which targets there are, the time in which their source did not answer is theirs."""
        own = [each.target for each in health if each.target.kind in KINDS]
        for source in [target for target in self._seen if own and target.kind not in KINDS]:
            if source in (each.target for each in health):
                continue
            away = self._seen.pop(source)
            for target in own:
                seen = self._seen.setdefault(target, _Seen())
                seen.not_seen_s += away.not_seen_s
                seen.detail = away.detail
                seen.problem_s, seen.is_told = seen.problem_s + away.problem_s, seen.is_told or away.is_told

    def _count_known(self, each: TargetHealth, seen: _Seen, seconds: float) -> None:
        if each.has_metrics:
            seen.measured_s += seconds
            self._end_of_gap(each.target, seen)
            return
        seen.detail = each.detail
        if each.up:
            seen.without_metrics_s += seconds
            seen.detail = _without_metrics(each.target)
        elif each.is_known:
            seen.down_s += seconds
        else:
            seen.not_seen_s += seconds
        seen.problem_s += seconds
        if seen.problem_s >= WARN_AFTER_S and not seen.is_told and seen.gaps_told < _MOST_TOLD:
            seen.is_told = True
            seen.gaps_told += 1
            text = f"{_label(each.target)}: nothing has been measured for {_span(seen.problem_s)}: {seen.detail}"
            self.annotate("target", text)
            logger.warning("%s.", text)

    def _end_of_gap(self, target: Target, seen: _Seen) -> None:
        if seen.is_told:
            text = f"{_label(target)}: measured again, after {_span(seen.problem_s)} without"
            self.annotate("target", text)
            logger.warning("%s.", text)
        seen.problem_s, seen.is_told = 0.0, False

    def views(self) -> tuple[TargetView, ...]:
        """What was seen of each target until now."""
        return tuple(
            TargetView(
                target.name,
                target.kind,
                seen.measured_s,
                seen.down_s,
                seen.without_metrics_s,
                _problem(target, seen),
                seen.not_seen_s,
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
    missing_s = seen.missing_s
    if not missing_s and not (seen.waiting_s and not seen.measured_s):
        return ""
    if not seen.measured_s:
        return f"{_label(target)}: nothing was measured: {seen.detail}."
    of = f"{_span(missing_s)} of {_span(missing_s + seen.measured_s)}"
    if missing_s == seen.down_s:
        return f"{_label(target)} was down for {of}: {seen.detail}."
    if missing_s == seen.not_seen_s:
        return f"{_label(target)} was not seen for {of}: {seen.detail}."
    return f"{_label(target)}: nothing was measured in {of}: {seen.detail}."


def _span(seconds: float) -> str:
    return format_duration(round(seconds, 1) if seconds < 1 else round(seconds))
