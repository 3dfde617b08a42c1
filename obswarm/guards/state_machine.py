"""State machine of a guard: when it trips and clears. Pure, with values and times as arguments."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from obswarm import clock
from obswarm.guards.conditions import Condition, EngineOperand
from obswarm.guards.data_coverage import DataCoverage
from obswarm.guards.guard import GuardRule
from obswarm.guards.latency import AtLeast
from obswarm.guards.operands import missing_of
from obswarm.record import GuardState
from obswarm.redact import redact_text
from obswarm.units import format_duration


class NoData(str):
    """The reason for a missing value, in place of the value."""

    __slots__ = ()


class Filtered(Enum):
    NO_SERIES = "no series"
    """In place of a value: the query filters out all series, so the condition is false."""


NO_SERIES: Final = Filtered.NO_SERIES
Values = tuple[float, ...] | NoData
"""The result of a query: one value for each series (none if it filters out all of them), or why there is no result."""

NOT_MEASURED = None
"""In place of a value: there is no measurement, e.g. as no request has finished. The state does not change for up to
`no_data_after_s` of the guard."""


@dataclass(frozen=True, slots=True)
class Change:
    """The result of an evaluation. At most one field is true."""

    tripped: bool = False
    cleared: bool = False
    no_data_too_long: bool = False
    has_gaps: bool = False
    """Values covered too small a share of the last 20 s, for the first time."""


_NOTHING = Change()
_ROUNDING_S = 1e-9


class GuardStateMachine:
    """The state of one guard.

    It trips at the first value at which the condition has held for the guard's `for`, counted from the first value at
    which it held. It clears when the condition has not held for `clear_for_s`.

    A value counts from its time until the next value. A gap between the values of a polled source that is shorter than
    `stale_after_s` counts neither as time in which the condition holds nor as time in which it does not; a longer gap
    resets both. 0: there are no gaps.
    """

    def __init__(self, rule: GuardRule, stale_after_s: float = 0.0) -> None:
        self.rule = rule
        self.value: float | None = None
        self._filtered = False
        """Whether the last result had no series because of the query's filters."""
        self.since_s: float | None = None
        """Start of the time in which the condition holds, while the guard is pending or tripped."""
        self.no_data_reason = ""
        self.trips = 0
        self.extremes: tuple[float, float] | None = None
        """The lowest and the highest value so far."""
        self._lacks_data = False
        self._state_with_data = GuardState.OK
        self._tolerated_s = min(stale_after_s, rule.no_data_after_s)
        self.coverage = DataCoverage(self._tolerated_s)
        self._held_from_s = -math.inf
        """`since_s` plus the length of the gaps since then."""
        self._clear_from_s: float | None = None
        """Start of the time in which the condition does not hold while the guard is tripped, plus the length of the
        gaps since then."""
        self._no_data_reported = self._gaps_reported = False
        self._not_measured_since_s: float | None = None
        self._updated_s: float | None = None

    def resume_tripped(self) -> None:
        """Continue as tripped: the guard tripped under an earlier master and has not cleared."""
        self._state_with_data = GuardState.TRIPPED

    @property
    def state(self) -> GuardState:
        return GuardState.NO_DATA if self._lacks_data else self._state_with_data

    @property
    def shown(self) -> str:
        """The last value, formatted."""
        if self.value is not None:
            return self.rule.format_value(self.value)
        return str(NO_SERIES.value) if self._filtered else "–"

    def update(self, time_s: float, value: float | NoData | Filtered | None) -> Change:
        """Evaluate the newest value, or the reason why there is none. `time_s` has to ascend from call to call."""
        before_s, self._updated_s = self._updated_s, time_s
        self.coverage.begin(time_s)
        condition = self.rule.when.condition
        if isinstance(value, AtLeast) and not value > condition.quantity.base:
            # The true value may be on either side of the threshold.
            value = NOT_MEASURED
        if value is NOT_MEASURED:
            return self._wait_for_measurement(time_s)
        self._not_measured_since_s = None
        if isinstance(value, NoData):
            self.coverage.record_missing(time_s, str(value))
            return self.wait(time_s, value)
        self._note_value(time_s)
        self._filtered = isinstance(value, Filtered)
        if isinstance(value, Filtered):
            self.value = None
            return self._does_not_hold(time_s)
        self.value = float(value)
        if not math.isnan(self.value):
            self.extremes = (
                min(self.extremes[0], self.value) if self.extremes else self.value,
                max(self.extremes[1], self.value) if self.extremes else self.value,
            )
        if not condition.holds(value):
            return self._does_not_hold(time_s)
        since_s = time_s
        if isinstance(value, AtLeast) and before_s is not None:
            # No request has finished since the last snapshot, so the ages grew steadily: the time at which the value
            # exceeded the threshold is known.
            since_s = max(before_s, time_s - (value - condition.quantity.base))
        return self._holds(time_s, since_s)

    def wait(self, now: float, reason: NoData) -> Change:
        """Evaluate the absence of a value at `now`. `reason` is used unless the last query had a reason of its own."""
        self.coverage.begin(now)
        missing_s = self.coverage.missing_now_s(now)
        if not self.coverage.has_no_value_yet and (missing_s is None or missing_s < self._tolerated_s - _ROUNDING_S):
            return self._check_gaps(now)
        missing_s = missing_s or 0.0
        self._lacks_data = True
        self.no_data_reason = self.coverage.reason if self.coverage.is_missing else str(reason)
        if self._no_data_reported or missing_s < self.rule.no_data_after_s - _ROUNDING_S:
            return _NOTHING
        self._no_data_reported = True
        return Change(no_data_too_long=True)

    def _check_gaps(self, now: float) -> Change:
        if self._gaps_reported or not self.coverage.is_insufficient(now):
            return _NOTHING
        self._gaps_reported = True
        return Change(has_gaps=True)

    def _note_value(self, time_s: float) -> None:
        gap_s = self.coverage.record_value(time_s)
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
        # The condition may have changed in between.
        self._clear_from_s = None
        if self._state_with_data is GuardState.PENDING:
            self._state_with_data, self.since_s = GuardState.OK, None

    def _wait_for_measurement(self, now: float) -> Change:
        if self._not_measured_since_s is None:
            self._not_measured_since_s = now
        if not self._lacks_data and self._has_held(now):
            return self._trip()
        lasted_s = now - self._not_measured_since_s
        if lasted_s < self.rule.no_data_after_s - _ROUNDING_S:
            return _NOTHING
        operand = self.rule.when.condition.operand
        assert isinstance(operand, EngineOperand), "other operands have a value or NoData"
        reason = NoData(f"{missing_of(operand)} for {format_duration(round(lasted_s))}")
        self.coverage.record_missing(self._not_measured_since_s, str(reason))
        return self.wait(now, reason)

    def _holds(self, now: float, since_s: float) -> Change:
        self._clear_from_s = None
        if self._state_with_data is GuardState.TRIPPED:
            return _NOTHING
        if self.since_s is None:
            self.since_s = self._held_from_s = since_s
        self._state_with_data = GuardState.PENDING
        return self._trip() if self._has_held(now) else _NOTHING

    @property
    def due_s(self) -> float | None:
        """When the guard will trip if its condition keeps holding; None if it is not pending."""
        if self.state is not GuardState.PENDING:
            return None
        return self._held_from_s + self.rule.when.for_s

    def _has_held(self, now: float) -> bool:
        is_pending = self._state_with_data is GuardState.PENDING
        return is_pending and now - self._held_from_s >= self.rule.when.for_s - _ROUNDING_S

    def _trip(self) -> Change:
        self._state_with_data = GuardState.TRIPPED
        self.trips += 1
        return Change(tripped=True)

    def _does_not_hold(self, now: float) -> Change:
        if self._state_with_data is not GuardState.TRIPPED:
            self._state_with_data, self.since_s = GuardState.OK, None
            return _NOTHING
        if self._clear_from_s is None:
            self._clear_from_s = now
        if now - self._clear_from_s < self.rule.clear_for_s - _ROUNDING_S:
            return _NOTHING
        self._state_with_data, self.since_s, self._clear_from_s = GuardState.OK, None, None
        return Change(cleared=True)


def deciding_result(values: Values, rule: GuardRule) -> float | NoData | Filtered:
    """Return the deciding value of the result of a guard's query, or why there is none."""
    if isinstance(values, NoData):
        return values
    if not values:
        return NO_SERIES
    found = deciding(values, rule.when.condition)
    if found is not None:
        return found
    return NoData(f"{redact_text(rule.query or '')} is not a number (NaN)")


def deciding(values: Iterable[float], condition: Condition) -> float | None:
    """Return the deciding value of several series, the worst in the condition's direction; None if there is none."""
    numbers = [value for value in values if not math.isnan(value)]
    if not numbers:
        return None
    if condition.operator in (">", ">="):
        return max(numbers)
    if condition.operator in ("<", "<="):
        return min(numbers)
    holding = [number for number in numbers if condition.holds(number)]
    return holding[0] if holding else numbers[0]


def describe_trip(guard: GuardStateMachine, since_wall_s: float) -> str:
    """Return a sentence with the guard, the value and since when the condition holds."""
    value = guard.rule.format_value(guard.value) if guard.value is not None else "unknown"
    operand = guard.rule.when.condition.operand
    return f"{trip_head(guard.rule.name)}{operand} is {value}, since {clock.iso(since_wall_s)}"


def trip_head(name: str) -> str:
    """Return the beginning of the sentence of `describe_trip` for a guard."""
    return f"The guard {name} tripped: "
