"""Measure the coverage of a run by its targets' metrics: for how long each target was down, unreachable or without
metrics."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gevent

from obswarm import clock
from obswarm.engine import Output, RunHandle
from obswarm.greenlets import Supervisor
from obswarm.record import LOADED_STATES, AnnotationKind, Snapshot, TargetView
from obswarm.targets.kinds import KINDS
from obswarm.targets.source import MetricSource, Target, TargetHealth
from obswarm.units import format_duration

logger = logging.getLogger(__name__)

WARN_AFTER_S = 5.0


_MAX_WARNINGS = 20
"""Maximum number of reported gaps of a target."""


@dataclass(slots=True)
class _Coverage:
    """Seconds of a run with and without metrics of a target, and the state of the current gap."""

    measured_s: float = 0.0
    down_s: float = 0.0
    not_seen_s: float = 0.0
    without_metrics_s: float = 0.0
    pending_s: float = 0.0
    """Seconds that the response to the pending request will cover."""
    detail: str = ""
    problem_s: float = 0.0
    warned: bool = False
    gaps_warned: int = 0

    @property
    def missing_s(self) -> float:
        return self.down_s + self.not_seen_s + self.without_metrics_s


class TargetCoverage(Output):
    """Output that measures how long each target was without metrics, and warns when a gap lasts and when it ends.

    Both are annotations of the run, once it is attached.
    """

    name = "The health check of the targets"
    required = False

    def __init__(self, source: MetricSource) -> None:
        self._annotate: Callable[[AnnotationKind, str], None] = lambda kind, text: None
        self._source = source
        self._health: Sequence[TargetHealth] = ()
        self._coverage: dict[Target, _Coverage] = {}
        self._counted_s = 0.0
        self._poll_started_s: float | None = None
        """Start of the pending health request; None if none is pending."""
        self._pending_s = 0.0
        """Seconds of the run that the pending health request will cover."""
        self._poller: gevent.Greenlet | None = None

    def attach(self, annotate: Callable[[AnnotationKind, str], None]) -> None:
        """Use this function to annotate the run."""
        self._annotate = annotate

    def start(self, run: RunHandle) -> None:
        self._poller = Supervisor(self._on_poller_failed).keep("The health check of the targets", self._poll_health)

    def _on_poller_failed(self, what: str, error: BaseException) -> None:
        logger.warning("%s failed; the last known health of the targets is used: %s", what, error)

    def _poll_health(self) -> None:
        """Poll the source's health, in a greenlet of its own: a Prometheus may respond slowly."""
        while True:
            self._poll_started_s = clock.monotonic()
            try:
                self._health = self._source.health()
            finally:
                self._poll_started_s = None
            gevent.sleep(self._source.health_interval_s)

    def snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.state in LOADED_STATES:
            self.add_interval(snapshot.interval_s)

    def add_interval(self, seconds: float) -> None:
        """Add an interval that ends now. The part covered by a pending health request is counted when it completes."""
        unknown_s = self._pending_s + seconds
        polling_s = clock.monotonic() - self._poll_started_s if self._poll_started_s is not None else 0.0
        self._pending_s = min(polling_s, unknown_s)
        if unknown_s > self._pending_s:
            self.count(self._health, unknown_s - self._pending_s)

    def count(self, health: Sequence[TargetHealth], seconds: float) -> None:
        """Add an interval during which the targets had this health."""
        self._attribute_source_outage(health)
        for target, coverage in self._coverage.items():
            if target.kind not in KINDS and all(each.target != target for each in health):
                # The source itself, which health() only lists while it does not respond.
                coverage.measured_s += seconds
                self._end_gap(target, coverage)
        for each in health:
            responded_s = 0.0 if each.target.kind in KINDS else self._counted_s
            coverage = self._coverage.setdefault(each.target, _Coverage(responded_s))
            unknown_s = coverage.pending_s + seconds
            coverage.pending_s = min(each.pending_s, unknown_s)
            if unknown_s > coverage.pending_s:
                self._add_known(each, coverage, unknown_s - coverage.pending_s)
            elif not coverage.detail:
                coverage.detail = each.detail
        self._counted_s += seconds

    def _attribute_source_outage(self, health: Sequence[TargetHealth]) -> None:
        """Once the targets are known, attribute the time during which their source did not respond to them."""
        own = [each.target for each in health if each.target.kind in KINDS]
        for source in [target for target in self._coverage if own and target.kind not in KINDS]:
            if source in (each.target for each in health):
                continue
            outage = self._coverage.pop(source)
            for target in own:
                coverage = self._coverage.setdefault(target, _Coverage())
                coverage.not_seen_s += outage.not_seen_s
                coverage.detail = outage.detail
                coverage.problem_s, coverage.warned = (
                    coverage.problem_s + outage.problem_s,
                    coverage.warned or outage.warned,
                )

    def _add_known(self, each: TargetHealth, coverage: _Coverage, seconds: float) -> None:
        if each.has_metrics:
            coverage.measured_s += seconds
            self._end_gap(each.target, coverage)
            return
        coverage.detail = each.detail
        if each.up:
            coverage.without_metrics_s += seconds
            coverage.detail = _without_metrics(each.target)
        elif each.is_known:
            coverage.down_s += seconds
        else:
            coverage.not_seen_s += seconds
        coverage.problem_s += seconds
        if coverage.problem_s >= WARN_AFTER_S and not coverage.warned and coverage.gaps_warned < _MAX_WARNINGS:
            coverage.warned = True
            coverage.gaps_warned += 1
            text = f"{_label(each.target)}: no metrics for {_rounded_duration(coverage.problem_s)}: {coverage.detail}"
            self._annotate(AnnotationKind.TARGET, text)
            logger.warning("%s.", text)

    def _end_gap(self, target: Target, coverage: _Coverage) -> None:
        if coverage.warned:
            text = f"{_label(target)}: metrics available again after {_rounded_duration(coverage.problem_s)}"
            self._annotate(AnnotationKind.TARGET, text)
            logger.warning("%s.", text)
        coverage.problem_s, coverage.warned = 0.0, False

    def views(self) -> tuple[TargetView, ...]:
        """Return the coverage of each target so far."""
        return tuple(
            TargetView(
                target.name,
                target.kind,
                coverage.measured_s,
                coverage.down_s,
                coverage.without_metrics_s,
                _problem(target, coverage),
                coverage.not_seen_s,
            )
            for target, coverage in self._coverage.items()
        )

    def close(self) -> None:
        if self._poller is not None:
            self._poller.kill()


def _label(target: Target) -> str:
    return f"Target {target.name}" if target.name == target.kind else f"Target {target.name} ({target.kind})"


def _without_metrics(target: Target) -> str:
    return f"it responds, but has none of the metrics of kind {target.kind}"


def _problem(target: Target, coverage: _Coverage) -> str:
    missing_s = coverage.missing_s
    if not missing_s and not (coverage.pending_s and not coverage.measured_s):
        return ""
    if not coverage.measured_s:
        return f"{_label(target)}: no metrics: {coverage.detail}."
    of = f"{_rounded_duration(missing_s)} of {_rounded_duration(missing_s + coverage.measured_s)}"
    if missing_s == coverage.down_s:
        return f"{_label(target)} was down for {of}: {coverage.detail}."
    if missing_s == coverage.not_seen_s:
        return f"{_label(target)} was unobserved for {of}: {coverage.detail}."
    return f"{_label(target)}: no metrics for {of}: {coverage.detail}."


def _rounded_duration(seconds: float) -> str:
    return format_duration(round(seconds, 1) if seconds < 1 else round(seconds))
