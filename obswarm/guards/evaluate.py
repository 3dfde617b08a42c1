"""When a guard trips and when it is clear again: a pure function of the values and their times."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from obswarm.guards.conditions import Condition, EngineOperand
from obswarm.guards.guard import GuardRule
from obswarm.guards.latency import AtLeast
from obswarm.guards.operands import missing_of


class GuardState(StrEnum):
    OK = "ok"
    PENDING = "pending"
    """The condition holds, but not long enough yet."""
    TRIPPED = "tripped"
    BLIND = "blind"
    """There is no data to go by."""


class Blind(str):
    """In place of a value: why there is none."""

    __slots__ = ()


NO_NEWS = None
"""In place of a value: nothing happened that it could be measured by. Everything stays as it is, for as long as the
guard's `blind_after_s`."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an evaluation brought. At most one of them is true."""

    tripped: bool = False
    cleared: bool = False
    blind_too_long: bool = False


_NOTHING = Change()


class GuardWatch:
    """One guard over the course of a run. `update` is called once a snapshot, with rising times.

    It trips at the first snapshot at which the condition has held for the guard's `for`, counted from the first
    snapshot at which it held; and is clear again when it has not held for `clear_for_s`.
    """

    def __init__(self, rule: GuardRule) -> None:
        self.rule = rule
        self.state = GuardState.OK
        self.value: float | None = None
        self.since_s: float | None = None
        """Since when the condition has held, while it is pending or tripped."""
        self.blind_reason = ""
        self.trips = 0
        self._before_blind = GuardState.OK
        self._clear_since_s: float | None = None
        self._blind_since_s: float | None = None
        self._blind_told = False
        self._no_news_since_s: float | None = None
        self._updated_s: float | None = None

    def take_up(self) -> None:
        """It tripped while another process had the run, and has not been clear since."""
        self.state = GuardState.TRIPPED

    def update(self, now: float, value: float | Blind | None) -> Change:
        """Take the newest value in."""
        before_s, self._updated_s = self._updated_s, now
        condition = self.rule.when.condition
        if isinstance(value, AtLeast) and not value > condition.quantity.base:
            # The true value may be on either side.
            value = NO_NEWS
        if value is NO_NEWS:
            return self._wait_for_news(now)
        self._no_news_since_s = None
        if isinstance(value, Blind):
            return self._look_at_nothing(now, value)
        self._see_again()
        self.value = float(value)
        if not condition.holds(value):
            return self._holds_not(now)
        since_s = now
        if isinstance(value, AtLeast) and before_s is not None:
            # Nothing has finished since the last snapshot, so at each moment since then what is under way was as much
            # younger as the moment is ago: it is known when the value became large enough.
            since_s = max(before_s, now - (value - condition.quantity.base))
        return self._holds(now, since_s)

    def _see_again(self) -> None:
        if self.state is not GuardState.BLIND:
            return
        self.state = self._before_blind
        self._blind_since_s = None
        self._blind_told = False
        self.blind_reason = ""
        if self.state is GuardState.PENDING:
            # Nobody knows what was while it could not see.
            self.state, self.since_s = GuardState.OK, None

    def _wait_for_news(self, now: float) -> Change:
        operand = self.rule.when.condition.operand
        if self._no_news_since_s is None:
            self._no_news_since_s = now
            if not isinstance(operand, EngineOperand):
                self._see_again()
        if self._has_held(now):
            return self._trip(now)
        lasted_s = now - self._no_news_since_s
        if not isinstance(operand, EngineOperand) or lasted_s < self.rule.blind_after_s - 1e-9:
            return _NOTHING
        return self._look_at_nothing(now, Blind(f"{missing_of(operand)} for {lasted_s:.0f} s"), lasted_s)

    def _holds(self, now: float, since_s: float) -> Change:
        self._clear_since_s = None
        if self.state is GuardState.TRIPPED:
            return _NOTHING
        if self.since_s is None:
            self.since_s = since_s
        self.state = GuardState.PENDING
        return self._trip(now) if self._has_held(now) else _NOTHING

    @property
    def due_s(self) -> float | None:
        """When its condition will have held for long enough, if it goes on holding; None when it is not pending."""
        if self.state is not GuardState.PENDING or self.since_s is None:
            return None
        return self.since_s + self.rule.when.for_s

    def _has_held(self, now: float) -> bool:
        return (
            self.state is GuardState.PENDING
            and self.since_s is not None
            and now - self.since_s >= self.rule.when.for_s - 1e-9
        )

    def _trip(self, now: float) -> Change:
        self.state = GuardState.TRIPPED
        self.trips += 1
        return Change(tripped=True)

    def _holds_not(self, now: float) -> Change:
        if self.state is not GuardState.TRIPPED:
            self.state, self.since_s = GuardState.OK, None
            return _NOTHING
        if self._clear_since_s is None:
            self._clear_since_s = now
        if now - self._clear_since_s < self.rule.clear_for_s - 1e-9:
            return _NOTHING
        self.state, self.since_s, self._clear_since_s = GuardState.OK, None, None
        return Change(cleared=True)

    def _look_at_nothing(self, now: float, reason: Blind, lasted_s: float = 0.0) -> Change:
        """It has been so for `lasted_s` seconds already."""
        self.blind_reason = str(reason)
        if self.state is not GuardState.BLIND:
            self._before_blind = self.state
            self.state = GuardState.BLIND
            self._blind_since_s = now - lasted_s
        assert self._blind_since_s is not None
        if self._blind_told or now - self._blind_since_s < self.rule.blind_after_s - 1e-9:
            return _NOTHING
        self._blind_told = True
        return Change(blind_too_long=True)


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
