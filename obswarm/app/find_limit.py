"""The run of `obswarm find-limit`: its load follows a search, which an output decides from the run's snapshots."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from obswarm import defaults
from obswarm.analysis import LIMIT_CONFIDENCE, LimitSearch, Verdict, judge
from obswarm.api import ObswarmError
from obswarm.app.limit_load import SearchRate, SearchSchedule
from obswarm.app.limit_settings import LimitSettings, format_load
from obswarm.app.planning import RunPlan
from obswarm.engine import Output, RunHandle, RunResult, StopReason
from obswarm.guards import EngineOperand, Requirement, RequirementResult, is_custom, parse_requirement
from obswarm.guards.operands import definition_of, value_of_run
from obswarm.guards.selection import STATUS, Selection
from obswarm.record import GeneratorHealth, RunState, Snapshot, StopKind
from obswarm.stats import TOTAL, CustomKey, CustomSeries, CustomStats, EndpointStats, total_of
from obswarm.units import rounded

_MOST_EXTENSIONS = 3
"""A load that is undecided is measured up to this many times as long; then its value decides."""
_STRAINED_RATIO = 0.2
"""Share of the intervals of a load with a busy generator from which its response times are not the target's."""
_DROPPED_RATIO = 0.01
"""Share of the iterations that may be dropped of a rate that counts as made."""
_RUNNING_RATIO = 0.95
"""Share of the users that have to be running of a number of users that counts as made."""
_SHORTEST_START_S = 30.0
"""Users have at least this time to start; more, if a load is measured for longer."""
_RATE_TOLERANCE = 0.2
"""Assigned rates differ from the plan while they make up for late steps."""
_NOT_FOR_LIMITS = ("rps", "exceptions", "interrupted")


@dataclass(frozen=True, slots=True)
class _Interval:
    """The statistics that a requirement selects from one interval."""

    seconds: float
    stats: EndpointStats
    custom: Mapping[CustomKey, CustomStats]
    dropped: int


@dataclass(frozen=True, slots=True)
class LimitLevel:
    """A load that was tried: `met` after `seconds` of measurement, with the value of each requirement.

    `dropped_ratio` is the share of its iterations that were not started, of a load that is a rate.
    """

    load: float
    met: bool
    is_certain: bool
    """False if it was decided by the value alone, as the data was not sufficient."""
    seconds: float
    rps: float
    results: tuple[RequirementResult, ...]
    dropped_ratio: float = 0.0

    def document(self) -> dict[str, Any]:
        """Return the level for JSON."""
        return {
            "load": rounded(self.load),
            "met": self.met,
            "certain": self.is_certain,
            "seconds": rounded(self.seconds),
            "requests_per_second": rounded(self.rps),
            "dropped_ratio": rounded(self.dropped_ratio),
            "requirements": [
                {
                    "requirement": str(each.requirement),
                    "met": each.met,
                    "value": rounded(each.value),
                    "shown": each.shown,
                }
                for each in self.results
            ],
        }


@dataclass(slots=True)
class LimitOutcome:
    """What a search has found. `saturated_at`: the load at which the load generator was the bottleneck; `not_made`: why
    the load test did not make a load, as a text without its full stop."""

    levels: list[LimitLevel] = field(default_factory=list)
    saturated_at: float | None = None
    not_made: str = ""


def _is_busy(worker: GeneratorHealth) -> bool:
    return worker.cpu_ratio > defaults.SATURATED_CPU_RATIO or worker.loop_lag_s > defaults.SATURATED_LOOP_LAG_S


class LimitFinder(Output):
    """Output that decides each load of a search from its snapshots, after `settle_s` seconds without measurement."""

    name = "The search for the limit"

    def __init__(
        self,
        search: LimitSearch,
        requirements: Sequence[Requirement],
        *,
        settle_s: float,
        measure_s: float,
        is_rate: bool = False,
    ) -> None:
        """Raises ObswarmError for a requirement that is not about the load, or if there is none."""
        if not requirements:
            raise ObswarmError(
                "find-limit needs a requirement that a too high load does not meet: --require 'p95 < 300ms'."
            )
        for requirement in requirements:
            if requirement.operand.metric in _NOT_FOR_LIMITS:
                raise ObswarmError(
                    f"--require '{requirement}': find-limit has no use for {requirement.operand.metric}; give"
                    " requirements for response times, errors or metrics of the load test."
                )
        self.outcome = LimitOutcome()
        self._search = search
        self._requirements = tuple(requirements)
        self._settle_s = settle_s
        self._measure_s = measure_s
        self._run: RunHandle | None = None
        self._is_rate = is_rate
        self._load: float | None = None
        self._since_s: float | None = None
        """Elapsed seconds when the present load was reached; None before."""
        self._assigned_s = 0.0
        self._dropped: Mapping[str, int] = {}
        """Iterations that were dropped before the measurement of the present load, by reason."""
        self._next_check_s = measure_s
        self._intervals: list[Snapshot] = []

    def start(self, run: RunHandle) -> None:
        self._run = run

    def _end(self, detail: str) -> None:
        if self._run is not None:
            self._run.stop(StopReason(StopKind.TIME, detail))

    def snapshot(self, snapshot: Snapshot) -> None:
        load = self._search.load
        if load is None:
            return
        has_settled = snapshot.state is RunState.RUNNING and self._is_at(load, snapshot)
        if load != self._load or not has_settled:
            self._load, self._since_s, self._assigned_s = load, None, snapshot.elapsed_s
            self._begin()
        if not has_settled:
            return
        if self._since_s is None and not self._is_rate and snapshot.user_count < _RUNNING_RATIO * load:
            # Users that log in first take as long as the target needs for that.
            if snapshot.elapsed_s - self._assigned_s > self._settle_s + max(
                _SHORTEST_START_S, _MOST_EXTENSIONS * self._measure_s
            ):
                self._give_up(self._too_few(load, snapshot.user_count))
            return
        if self._since_s is None:
            self._since_s = snapshot.elapsed_s
        elif snapshot.elapsed_s - snapshot.interval_s >= self._since_s + self._settle_s - 0.05:
            self._intervals.append(snapshot)
            self._decide(load)
            return
        self._dropped = snapshot.dropped_by_reason

    def _is_at(self, load: float, snapshot: Snapshot) -> bool:
        """Whether the load is the one to measure, not one that a guard has changed."""
        if not self._is_rate:
            return snapshot.user_target == load
        return math.isclose(sum(snapshot.rates_target.values()), load, rel_tol=_RATE_TOLERANCE)

    def _begin(self) -> None:
        self._intervals = []
        self._next_check_s = self._measure_s

    def _decide(self, load: float) -> None:
        seconds = sum(each.interval_s for each in self._intervals)
        if seconds < self._next_check_s - 0.5:
            return
        parts = [self._parts(requirement) for requirement in self._requirements]
        values = [self._value(requirement, each) for requirement, each in zip(self._requirements, parts, strict=True)]
        verdicts = [
            judge(each, partial(self._value, requirement), requirement.condition.holds)
            for requirement, each in zip(self._requirements, parts, strict=True)
        ]
        results = tuple(
            RequirementResult(requirement, value is not None and requirement.condition.holds(value), value)
            for requirement, value in zip(self._requirements, values, strict=True)
        )
        not_made = self._not_made(load, seconds)
        if not_made:
            self._give_up(not_made)
            return
        no_free_user, behind = self._dropped_ratios(load * seconds) if self._is_rate else (0.0, 0.0)
        was_started = no_free_user <= _DROPPED_RATIO
        is_certain = not was_started or Verdict.NOT_MET in verdicts or set(verdicts) == {Verdict.MET}
        if not is_certain and seconds < _MOST_EXTENSIONS * self._measure_s - 0.5:
            self._next_check_s += self._measure_s
            return
        met = was_started and Verdict.NOT_MET not in verdicts and all(each.met for each in results)
        # Response times of a busy generator are its own, and so are starts that it was too late for; errors are the
        # target's.
        has_errors = any(
            verdict is Verdict.NOT_MET and definition_of(each.requirement.operand).unit != "seconds"
            for verdict, each in zip(verdicts, results, strict=True)
        )
        if not has_errors and (behind > _DROPPED_RATIO or (not met and self._is_strained)):
            self.outcome.saturated_at = load
            self._search.stop()
            self._end("the load generator is the bottleneck")
            return
        requests = sum(each.interval_total.requests for each in self._intervals)
        level = LimitLevel(load, met, is_certain, seconds, requests / seconds, results, no_free_user + behind)
        self.outcome.levels.append(level)
        self._search.decide(met)
        self._begin()
        if self._search.load is None:
            self._end("the search for the limit is over")

    def _not_made(self, load: float, seconds: float) -> str:
        """Return why the load was another one than the load to measure, if it was not the target's or the generator's
        fault; empty if it was made."""
        if self._is_rate:
            failed = self._dropped_since().get("user_failed", 0)
            if failed <= _DROPPED_RATIO * load * seconds:
                return ""
            return f"of {format_load(load, True)}, {failed / seconds:,.4g} were not started, as their users failed"
        running = sum(each.user_count for each in self._intervals) / len(self._intervals)
        if running >= _RUNNING_RATIO * load:
            return ""
        return self._too_few(load, running)

    def _too_few(self, load: float, running: float) -> str:
        others = "the others were still starting, have failed, or have ended"
        return f"of {format_load(load, False)}, only {running:,.0f} were running; {others}"

    def _give_up(self, not_made: str) -> None:
        self.outcome.not_made = not_made
        self._search.stop()
        self._end("the load test did not make the load")

    def _dropped_since(self) -> dict[str, int]:
        """Return the iterations that were not started since the measurement of this load began, by reason."""
        now = self._intervals[-1].dropped_by_reason
        return {reason: max(0, count - self._dropped.get(reason, 0)) for reason, count in now.items()}

    def _dropped_ratios(self, planned: float) -> tuple[float, float]:
        """Return the shares of the planned iterations that were not started: without a free user, and since the
        generator was behind."""
        grown = self._dropped_since()
        behind = grown.pop("generator_behind", 0)
        return sum(grown.values()) / planned, behind / planned

    def completed(self, result: RunResult) -> RunResult:
        """Return the result with the limit, for JSON and for the terminal of a client."""
        search = self._search
        limit = {
            "unit": "iterations/s" if self._is_rate else "users",
            "is_found": search.load is None and not self._was_ended_early and result.error is None,
            "met": rounded(search.met),
            "not_met": rounded(search.not_met),
            "confidence": LIMIT_CONFIDENCE,
            "saturated_at": rounded(self.outcome.saturated_at),
            "not_made": self.outcome.not_made or None,
            "levels": [level.document() for level in sorted(self.outcome.levels, key=lambda level: level.load)],
        }
        return replace(result, limit=limit)

    @property
    def _was_ended_early(self) -> bool:
        return self.outcome.saturated_at is not None or bool(self.outcome.not_made)

    @property
    def _is_strained(self) -> bool:
        """Whether a worker was above a limit of its CPU or event loop for much of the measurement."""
        strained = sum(any(map(_is_busy, each.workers)) for each in self._intervals)
        return strained > _STRAINED_RATIO * len(self._intervals)

    def _parts(self, requirement: Requirement) -> list[_Interval]:
        return [
            _Interval(
                each.interval_s,
                Selection(requirement.operand, each).interval,
                each.interval_custom,
                each.interval_dropped,
            )
            for each in self._intervals
        ]

    def _value(self, requirement: Requirement, parts: Sequence[_Interval]) -> float | None:
        """Return the requirement's value over these intervals together, as over a run that has no others."""
        operand, template = requirement.operand, self._intervals[-1]
        seconds = sum(each.seconds for each in parts)
        if is_custom(operand):
            custom = CustomSeries()
            for each in parts:
                custom.merge(each.custom)
            return value_of_run(operand, replace(template, custom=custom, load_s=seconds))
        # The endpoints are selected already.
        status = tuple(label for label in operand.labels if label[0] == STATUS)
        total = total_of(each.stats for each in parts)
        dropped = {("", ""): sum(each.dropped for each in parts)}
        whole = replace(template, total=total, endpoints={TOTAL: total}, dropped=dropped, load_s=seconds)
        return value_of_run(EngineOperand(operand.metric, status), whole)


def searched(plan: RunPlan, settings: LimitSettings, spawn_rate: float | None) -> tuple[RunPlan, LimitFinder]:
    """Return the plan of a run with the load of a search in place of its own, and the output that decides it; the plan
    is that of `LimitSettings.config_of`. Raises ObswarmError."""
    search = LimitSearch(settings.start, settings.most, settings.precision, is_rate=settings.is_rate)
    finder = LimitFinder(
        search,
        [parse_requirement(text) for text in settings.requirements],
        settle_s=settings.settle_s,
        measure_s=settings.measure_s,
        is_rate=settings.is_rate,
    )
    if settings.is_rate:
        rates = {
            name: replace(load, curve=SearchRate(search, load.curve.at(0.0))) for name, load in plan.arrivals.items()
        }
        return replace(plan, arrivals=rates), finder
    if all(cls.__name__ in plan.arrivals for cls in plan.environment.user_classes):
        raise ObswarmError(
            "All user classes have an arrival_rate, so there is no number of users to search; give a rate: --from 10/s."
        )
    return replace(plan, schedule=SearchSchedule(search, settings.most_users or None, spawn_rate)), finder
