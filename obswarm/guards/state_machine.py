"""When a guard trips and when it is clear again: a pure function of the values and their times."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from obswarm.guards.conditions import Condition, EngineOperand
from obswarm.guards.data_coverage import DataCoverage
from obswarm.guards.guard import GuardRule
from obswarm.guards.latency import AtLeast
from obswarm.guards.operands import missing_of
from obswarm.redact import redact_text
from obswarm.stats import GuardState


class NoData(str):
    """In place of a value: why there is none."""

    __slots__ = ()


class Filtered(Enum):
    NO_SERIES = "no series"
    """In place of a value: the query filters all that there is, so its condition does not hold."""


NO_SERIES: Final = Filtered.NO_SERIES
Values = tuple[float, ...] | NoData
"""What a query gave: one value a series (none: it filters all that there is), or why there is no answer. Guards that
share a query decide each by itself."""

NO_NEWS = None
"""In place of a value: nothing happened that it could be measured by. Everything stays as it is, for as long as the
guard's `no_data_after_s`."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an evaluation brought. At most one of them is true."""

    tripped: bool = False
    cleared: bool = False
    no_data_too_long: bool = False
    has_gaps: bool = False
    """For the first time there were values for too small a share of the last 20 s."""


_NOTHING = Change()
_ROUNDING_S = 1e-9


class GuardStateMachine:
    """One guard over the course of a run.

    It trips at the first value at which the condition has held for the guard's `for`, counted from the first value at
    which it held; and is clear again when it has not held for `clear_for_s`.

    A value is about a time, and counts from then on until the next one. Of a source that answers questions,
    `stale_after_s` is how long it may give no value: such a gap is counted neither as time in which the condition held,
    nor as time in which it did not. After a longer one both begin anew. 0: there are no such gaps.
    """

    def __init__(self, rule: GuardRule, stale_after_s: float = 0.0) -> None:
        self.rule = rule
        self.value: float | None = None
        self._filtered = False
        """Whether the last answer was without series because of the query's filters."""
        self.since_s: float | None = None
        """Since when the condition has held, while it is pending or tripped."""
        self.no_data_reason = ""
        self.trips = 0
        self.extremes: tuple[float, float] | None = None
        """The lowest and the highest value so far."""
        self._lacks_data = False
        self._seeing_state = GuardState.OK
        self._tolerated_s = min(stale_after_s, rule.no_data_after_s)
        self.coverage = DataCoverage(self._tolerated_s)
        self._held_from_s = -math.inf
        """`since_s`, later by the gaps since then."""
        self._clear_from_s: float | None = None
        """Since when the condition has not held, while it is tripped; later by the gaps since then."""
        self._no_data_reported = self._gaps_reported = False
        self._no_news_since_s: float | None = None
        self._updated_s: float | None = None

    def take_up(self) -> None:
        """It tripped while another process had the run, and has not been clear since."""
        self._seeing_state = GuardState.TRIPPED

    @property
    def state(self) -> GuardState:
        return GuardState.NO_DATA if self._lacks_data else self._seeing_state

    @property
    def shown(self) -> str:
        """What it saw last, for people."""
        if self.value is not None:
            return self.rule.format_value(self.value)
        return str(NO_SERIES.value) if self._filtered else "–"

    def update(self, time_s: float, value: float | NoData | Filtered | None) -> Change:
        """Take in the newest value, or why there is none, at `time_s`, which is later each time."""
        before_s, self._updated_s = self._updated_s, time_s
        self.coverage.begin(time_s)
        condition = self.rule.when.condition
        if isinstance(value, AtLeast) and not value > condition.quantity.base:
            # The true value may be on either side.
            value = NO_NEWS
        if value is NO_NEWS:
            return self._wait_for_news(time_s)
        self._no_news_since_s = None
        if isinstance(value, NoData):
            self.coverage.miss(time_s, str(value))
            return self.wait(time_s, value)
        self._see(time_s)
        self._filtered = isinstance(value, Filtered)
        if isinstance(value, Filtered):
            self.value = None
            return self._holds_not(time_s)
        self.value = float(value)
        if not math.isnan(self.value):
            self.extremes = (
                min(self.extremes[0], self.value) if self.extremes else self.value,
                max(self.extremes[1], self.value) if self.extremes else self.value,
            )
        if not condition.holds(value):
            return self._holds_not(time_s)
        since_s = time_s
        if isinstance(value, AtLeast) and before_s is not None:
            # Nothing has finished since the last snapshot, so at each moment since then what is under way was as much
            # younger as the moment is ago: it is known when the value became large enough.
            since_s = max(before_s, time_s - (value - condition.quantity.base))
        return self._holds(time_s, since_s)

    def wait(self, now: float, reason: NoData) -> Change:
        """Let time pass in which no value has come, and `reason` is why, unless the last question had no answer."""
        self.coverage.begin(now)
        missing_s = self.coverage.missing_now_s(now)
        if not self.coverage.nothing_yet and (missing_s is None or missing_s < self._tolerated_s - _ROUNDING_S):
            return self._see_partly(now)
        missing_s = missing_s or 0.0
        self._lacks_data = True
        self.no_data_reason = self.coverage.reason if self.coverage.is_missing else str(reason)
        if self._no_data_reported or missing_s < self.rule.no_data_after_s - _ROUNDING_S:
            return _NOTHING
        self._no_data_reported = True
        return Change(no_data_too_long=True)

    def _see_partly(self, now: float) -> Change:
        if self._gaps_reported or not self.coverage.is_lacking(now):
            return _NOTHING
        self._gaps_reported = True
        return Change(has_gaps=True)

    def _see(self, time_s: float) -> None:
        gap_s = self.coverage.see(time_s)
        self._lacks_data = False
        self._no_data_reported = False
        self.no_data_reason = ""
        if not gap_s:
            return
        if gap_s < self._tolerated_s - _ROUNDING_S:
            self._held_from_s += gap_s
            if self._clear_from_s is not None:
                self._clear_from_s += gap_s
            return
        # Nobody knows what was meanwhile.
        self._clear_from_s = None
        if self._seeing_state is GuardState.PENDING:
            self._seeing_state, self.since_s = GuardState.OK, None

    def _wait_for_news(self, now: float) -> Change:
        if self._no_news_since_s is None:
            self._no_news_since_s = now
        if not self._lacks_data and self._has_held(now):
            return self._trip()
        lasted_s = now - self._no_news_since_s
        if lasted_s < self.rule.no_data_after_s - _ROUNDING_S:
            return _NOTHING
        operand = self.rule.when.condition.operand
        assert isinstance(operand, EngineOperand), "others have a value, or say why not"
        reason = NoData(f"{missing_of(operand)} for {lasted_s:.0f} s")
        self.coverage.miss(self._no_news_since_s, str(reason))
        return self.wait(now, reason)

    def _holds(self, now: float, since_s: float) -> Change:
        self._clear_from_s = None
        if self._seeing_state is GuardState.TRIPPED:
            return _NOTHING
        if self.since_s is None:
            self.since_s = self._held_from_s = since_s
        self._seeing_state = GuardState.PENDING
        return self._trip() if self._has_held(now) else _NOTHING

    @property
    def due_s(self) -> float | None:
        """When its condition will have held for long enough, if it goes on holding; None when it is not pending."""
        if self.state is not GuardState.PENDING:
            return None
        return self._held_from_s + self.rule.when.for_s

    def _has_held(self, now: float) -> bool:
        is_pending = self._seeing_state is GuardState.PENDING
        return is_pending and now - self._held_from_s >= self.rule.when.for_s - _ROUNDING_S

    def _trip(self) -> Change:
        self._seeing_state = GuardState.TRIPPED
        self.trips += 1
        return Change(tripped=True)

    def _holds_not(self, now: float) -> Change:
        if self._seeing_state is not GuardState.TRIPPED:
            self._seeing_state, self.since_s = GuardState.OK, None
            return _NOTHING
        if self._clear_from_s is None:
            self._clear_from_s = now
        if now - self._clear_from_s < self.rule.clear_for_s - _ROUNDING_S:
            return _NOTHING
        self._seeing_state, self.since_s, self._clear_from_s = GuardState.OK, None, None
        return Change(cleared=True)


def deciding_answer(values: Values, rule: GuardRule) -> float | NoData | Filtered:
    """The value that decides of what a guard's query gave, or why there is none."""
    if isinstance(values, NoData):
        return values
    if not values:
        return NO_SERIES
    found = deciding(values, rule.when.condition)
    if found is not None:
        return found
    return NoData(f"{redact_text(rule.query or '')} is not a number (NaN)")


def deciding(values: Iterable[float], condition: Condition) -> float | None:
    """Of several series' values the one that decides: the worst, by the condition's direction. None when there is
    none."""
    numbers = [value for value in values if not math.isnan(value)]
    if not numbers:
        return None
    if condition.operator in (">", ">="):
        return max(numbers)
    if condition.operator in ("<", "<="):
        return min(numbers)
    holding = [number for number in numbers if condition.holds(number)]
    return holding[0] if holding else numbers[0]
