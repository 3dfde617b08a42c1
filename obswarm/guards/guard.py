"""A guard: a condition and an action."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from obswarm.api import ObswarmError
from obswarm.config import RENAMED_GUARD_KEYS, SETTINGS, FileConfig, RunConfig, table_place
from obswarm.guards.conditions import Condition, EngineOperand, PromqlOperand, When
from obswarm.guards.grammar import GuardError, parse_when, split_name
from obswarm.guards.operands import definition_of
from obswarm.record import GuardAction
from obswarm.redact import redact_text
from obswarm.units import format_latency, format_not_finite, parse_duration

OnNoData = Literal["warn", "stop"]
NO_DATA_AFTER_S = 30.0
_SETTINGS = [SETTINGS[name] for name in ("stop_when", "abort_when", "hold_when", "notify_when", "guards")]
_SCALE = re.compile(r"scale\(\s*(\d+(?:\.\d+)?)\s*%\s*\)")


@dataclass(frozen=True, slots=True)
class Action:
    """An action. `share`, from 0 to 1, is the share of the users that remains after a scale."""

    kind: GuardAction
    share: float = 1.0

    def __str__(self) -> str:
        return f"scale({self.share * 100:g}%)" if self.kind is GuardAction.SCALE else str(self.kind)


def parse_action(text: str) -> Action:
    """Parse `stop`, `abort`, `hold`, `notify` or `scale(50%)`. Raises ObswarmError."""
    word = text.strip().lower()
    if word in tuple(GuardAction) and word != GuardAction.SCALE:
        return Action(GuardAction(word))
    found = _SCALE.fullmatch(word)
    if found is not None and 0 <= float(found[1]) < 100:
        return Action(GuardAction.SCALE, float(found[1]) / 100)
    raise ObswarmError(f"{text!r} is not an action; write stop, abort, hold, notify or scale(50%).")


@dataclass(frozen=True, slots=True)
class GuardRule:
    """A guard as configured.

    The guard clears when its condition has been false for `clear_for_s`. When it has had no data for `no_data_after_s`,
    `on_no_data` applies.
    """

    name: str
    when: When
    action: Action
    clear_for_s: float
    no_data_after_s: float = NO_DATA_AFTER_S
    on_no_data: OnNoData = "warn"

    @property
    def query(self) -> str | None:
        """The PromQL query, None for other operands."""
        operand = self.when.condition.operand
        return operand.query if isinstance(operand, PromqlOperand) else None

    def format_value(self, value: float) -> str:
        """Format a value of the operand: `12%`, `734 ms`, `64`."""
        return format_operand_value(self.when.condition, value)


def with_own_names(rules: Sequence[GuardRule]) -> list[GuardRule]:
    """Return the guards without duplicates and with distinct names.

    Guards with the same text and different actions have the action in their name: `notify: p95 > 2s`. A guard that is
    given twice, e.g. in obswarm.toml and as an option, counts once. Raises ObswarmError if different guards have the
    same name.
    """
    rules = list(dict.fromkeys(rules))
    seen = Counter(rule.name for rule in rules)
    named = [
        replace(rule, name=f"{rule.action}: {rule.name}")
        if seen[rule.name] > 1 and rule.name == str(rule.when)
        else rule
        for rule in rules
    ]
    for name, count in Counter(rule.name for rule in named).items():
        if count > 1:
            raise ObswarmError(
                f"Two guards are called {name!r}; give one of them a name of its own, as in 'slow: p95 > 2s'."
            )
    return named


def format_operand_value(condition: Condition, value: float) -> str:
    """Format a value of the condition's operand with its unit.

    A value that would look like the threshold without being equal to it gets more digits.
    """
    operand, limit = condition.operand, condition.quantity.base
    if not math.isfinite(value):
        return format_not_finite(value)
    if isinstance(operand, EngineOperand):
        unit = definition_of(operand).unit
        if unit == "seconds":
            text = format_latency(value)
            if value == limit or text != format_latency(limit):
                return text
            return format_latency(value, digits=6)
        if unit == "ratio":
            return f"{value * 100:.3g}%"
    return f"{value:.6g}"


def Guard(  # noqa: N802 - looks like a class in load-test files
    when: str,
    action: str = "stop",
    name: str | None = None,
    clear_for: str | float | None = None,
    no_data_after: str | float = NO_DATA_AFTER_S,
    on_no_data: str = "warn",
    **renamed: object,
) -> GuardRule:
    """Return a guard for a load-test file: `guards = [Guard("error_ratio > 5% for 10s")]`.

    `action` is stop, abort, hold, scale(50%) or notify. `name` is the text of `when` by default. The guard clears when
    its condition has been false for `clear_for`, by default as long as its `for`. When it has had no data for
    `no_data_after`, `on_no_data` applies: warn or stop. Durations are seconds, or texts such as 30s.

    Raises ObswarmError; for an invalid `when`, its message has a caret under the position.
    """
    for argument in renamed:
        if argument not in RENAMED_GUARD_KEYS:
            raise TypeError(f"Guard() got an unexpected keyword argument {argument!r}")
        raise ObswarmError(f"{argument} is now called {RENAMED_GUARD_KEYS[argument]}.")
    parsed = parse_when(when)
    if on_no_data not in ("warn", "stop"):
        raise ObswarmError(f"on_no_data is {on_no_data!r}; write warn or stop.")
    return GuardRule(
        redact_text(name) if name else str(parsed),
        parsed,
        parse_action(action),
        parsed.for_s if clear_for is None else _seconds("clear_for", clear_for),
        _seconds("no_data_after", no_data_after),
        "stop" if on_no_data == "stop" else "warn",
    )


def configured_guards(config: RunConfig, of_loadtest: Sequence[object]) -> list[GuardRule]:
    """Return the guards of options, of obswarm.toml, and of the load-test file's list, with distinct names. Raises
    ObswarmError."""
    rules = [*_of_tables(config.file)]
    in_file = [(each.key, config.file.texts.get(each.key, ()), f"{config.file.where}{each.key}") for each in _SETTINGS]
    on_line = [(each.key, config.value(each.name), each.option) for each in _SETTINGS]
    rules += [guard_of_text(key, text, place) for key, texts, place in in_file for text in texts]
    for guard in of_loadtest:
        if not isinstance(guard, GuardRule):
            raise ObswarmError(f"The load-test file's guards contain {guard!r}; each has to be a Guard(…).")
        rules.append(guard)
    rules += [guard_of_text(key, text, place) for key, texts, place in on_line for text in texts]
    return with_own_names(rules)


def _of_tables(file: FileConfig) -> Iterator[GuardRule]:
    for number, values in enumerate(file.guards, start=1):
        where = table_place(file.where, "guards", number)
        for name in ("when", "action", "name"):
            if not isinstance(values.get(name, ""), str):
                raise ObswarmError(f"{where}{name} is {values[name]!r}; it has to be a text.")
        arguments: dict[str, Any] = dict(values)
        try:
            yield Guard(**arguments)
        except GuardError as error:
            raise ObswarmError(f"{where}when: {error}") from None
        except ObswarmError as error:
            raise ObswarmError(f"{where}{error}") from None


def guard_of_text(key: str, text: str, place: str) -> GuardRule:
    """Parse a guard of a setting: of `guard`, `ACTION:[NAME:]CONDITION`; of `stop_when` and the like, whose key begins
    with the action, `[NAME:]CONDITION` as in `slow: p95 > 2s`. `place` names the setting in errors. Raises
    ObswarmError."""
    action, colon, rest = (key.partition("_")[0], ":", text) if key != "guard" else text.partition(":")
    if not colon:
        raise ObswarmError(f"{place} {text!r}: write it like 'scale(50%): p95 > 2s for 5s'.")
    try:
        parse_action(action)
        name, when = split_name(rest)
        if name in tuple(GuardAction):
            # --stop-when 'notify: …' is most probably not meant as a guard with the name notify.
            raise ObswarmError(
                f"{name!r} is an action, and this guard's is {action.strip()}; use --guard '{name}: {when}', or another"
                " name."
            )
        return Guard(when, action, name)
    except ObswarmError as error:
        raise ObswarmError(f"{place}: {error}") from None


def _seconds(name: str, value: str | float) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ObswarmError(f"{name}: {error}.") from None
