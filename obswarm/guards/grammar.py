"""Parse conditions: `error_ratio > 5% for 10s`, `promql(max(up)) < 1`, `alert(severity="critical")`.

    when      := condition [ "for" duration ]
    condition := operand operator quantity        (`alert(…)` alone: at least one fires)
    operand   := metric [ "{" label "=" text, … "}" ] | "promql(" PromQL ")" | "alert(" matchers ")"
                 (`metric("cart_size").p95` is a metric of the load test's own)
    operator  := > >= < <= == !=
    quantity  := number [ "%" | "us" | "ms" | "s" | "m" | "h" | "d" ] | duration
    duration  := as everywhere (obswarm.units): 10 and 10s are ten seconds, 1m30s is ninety

In options, a name and a colon may precede it: `slow: p95 > 2s`. A name has no quotes, brackets or operators.

A condition that has the same result for every possible value is refused. The `str()` of a parsed value parses to an
equal value, except for secrets in queries and in alert labels, which are redacted.
"""

import re
from dataclasses import replace
from typing import NoReturn

from obswarm.api import ObswarmError
from obswarm.guards.conditions import (
    DURATION_UNITS,
    OPERATORS,
    UNITS,
    ZERO,
    AlertOperand,
    Condition,
    EngineOperand,
    Matcher,
    Operand,
    PromqlOperand,
    Quantity,
    When,
)
from obswarm.guards.custom_values import wrong_statistic
from obswarm.guards.operands import LABELS, OPERANDS, OperandDefinition, constant_reason, definition_of, find_operand
from obswarm.nearest import nearest_names
from obswarm.sanitize import clean_text
from obswarm.units import parse_duration

_NAMES = tuple(row.name for row in OPERANDS.values() if row.pattern is None)
_STATUSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "error", "other")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_NAME = re.compile(r"[a-z_][a-z0-9_.]*", re.IGNORECASE)
_UNIT = re.compile(r"%|[a-zµμ]+", re.IGNORECASE)
_SEVERAL_PARTS = re.compile(r"(?:\d+(?:\.\d+)?(?:[uµμ]s|ms|[smhd])){2,}")
_MILLISECONDS_FROM = 20
"""The suggestion for a latency without a unit: milliseconds from this number on, seconds below."""

_NAME_OF_A_GUARD = re.compile(r"([^:\"'`(){}\[\]<>=!]*):")
"""A colon in a query, a label or a text has a bracket or a quote before it, so it does not match."""

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class GuardError(ObswarmError):
    """The text of a condition is invalid at `position`; the message has a caret under it."""

    def __init__(self, text: str, position: int, expected: str) -> None:
        shown = text.replace("\n", " ")
        super().__init__(f"{expected}\n  {shown}\n  {' ' * position}^")
        self.position = position
        self.expected = expected


def split_name(text: str) -> tuple[str | None, str]:
    """Split `slow: p95 > 2s` into name and condition; the name is None if there is none.

    Raises GuardError for a colon without a name before it.
    """
    found = _NAME_OF_A_GUARD.match(text)
    if found is None:
        return None, text.strip()
    name = " ".join(found[1].split())
    if not name:
        raise GuardError(text, 0, "Expected a name before the colon, as in 'slow: p95 > 2s'.")
    return name, text[found.end() :].strip()


def parse_when(text: str) -> When:
    """Parse a condition with an optional `for`. Raises GuardError."""
    reader = _Reader(text)
    condition = reader.condition()
    lasting = None
    if reader.word("for"):
        lasting = reader.lasting()
    else:
        reader.end("the end, or 'for' and a duration")
    return When(condition, lasting)


def parse_condition(text: str) -> Condition:
    """Parse a condition without `for`. Raises GuardError."""
    reader = _Reader(text)
    condition = reader.condition()
    reader.end("the end")
    return condition


def _duration(text: str, seconds: float) -> Quantity:
    """Return a duration as written if it is a number and a unit, else in seconds."""
    number = _NUMBER.match(text)
    unit = text[number.end() :].strip() if number is not None else ""
    if number is not None and unit in DURATION_UNITS:
        return Quantity(float(number[0]), unit)
    return Quantity(seconds, "s")


def _meant(quantity: Quantity, unit: str) -> str:
    return "" if quantity.unit else f" Did you mean {Quantity(quantity.number, unit)}?"


class _Reader:
    """A recursive descent parser; errors have the position of the first character that does not fit."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def fail(self, expected: str, position: int | None = None) -> NoReturn:
        raise GuardError(self.text, self.position if position is None else position, expected)

    def space(self) -> None:
        while self.position < len(self.text) and self.text[self.position].isspace():
            self.position += 1

    def take(self, pattern: re.Pattern[str]) -> str | None:
        self.space()
        found = pattern.match(self.text, self.position)
        if found is None:
            return None
        self.position = found.end()
        return found[0]

    def literal(self, text: str) -> bool:
        self.space()
        if self.text.startswith(text, self.position):
            self.position += len(text)
            return True
        return False

    def word(self, word: str) -> bool:
        self.space()
        end = self.position + len(word)
        if self.text[self.position : end].lower() == word and not self.text[end : end + 1].isalnum():
            self.position = end
            return True
        return False

    def end(self, expected: str) -> None:
        self.space()
        if self.position < len(self.text):
            self.fail(f"Expected {expected}.")

    def lasting(self) -> Quantity:
        """Parse a duration up to the end of the text."""
        self.space()
        text = self.text[self.position :].strip()
        try:
            seconds = parse_duration(text)
        except ValueError:
            self.fail("Expected a duration such as 10s, 500ms or 2m after 'for'.")
        return _duration(text, seconds)

    def condition(self) -> Condition:
        operand = self.operand()
        self.space()
        alone = isinstance(operand, AlertOperand) and (
            self.position == len(self.text) or self.text[self.position].isalpha()
        )
        if alone:
            return Condition(operand, ">", ZERO)
        operator = next((each for each in OPERATORS if self.literal(each)), None)
        if operator is None:
            self.fail(f"Expected an operator ({', '.join(('>', '>=', '<', '<=', '==', '!='))}) after {operand}.")
        self.space()
        start = self.position
        quantity = self.quantity("a number such as 5%, 500ms or 64")
        self._check_unit(operand, quantity, start)
        condition = Condition(operand, operator, quantity)
        reason = constant_reason(condition)
        if reason is not None:
            self.fail(reason, start)
        return condition

    def _check_unit(self, operand: Operand, quantity: Quantity, start: int) -> None:
        if not isinstance(operand, EngineOperand):
            if isinstance(operand, AlertOperand) and quantity.unit:
                self.fail("Expected a number of alerts, without a unit.", start)
            return
        row = definition_of(operand)
        unit = row.unit
        if unit == "seconds" and quantity.unit not in DURATION_UNITS:
            # Locust and k6 have latencies in milliseconds, our other durations are in seconds: a unit is required.
            hint = _meant(quantity, "ms" if quantity.number >= _MILLISECONDS_FROM else "s")
            self.fail(f"Expected a duration for {operand.metric}, such as 500ms or 2s.{hint}", start)
        if unit == "ratio" and quantity.unit not in ("%", ""):
            self.fail(f"Expected a share for {operand.metric}, such as 5% or 0.05.", start)
        if unit == "number" and quantity.unit:
            hint = ""
            if row.as_ratio and quantity.unit == "%":
                hint = f" For a share there is {row.as_ratio}: {replace(operand, metric=row.as_ratio)} > 5%."
            self.fail(f"Expected a number without a unit for {operand.metric}.{hint}", start)
        if unit == "number" and self.text[self.position : self.position + 1] == "/":
            self.fail(f"Expected a number without a unit for {operand.metric}; a rate is per second already.")

    def quantity(self, what: str) -> Quantity:
        self.space()
        start = self.position
        several = self.take(_SEVERAL_PARTS)
        if several is not None:
            return Quantity(parse_duration(several), "s")
        number = self.take(_NUMBER)
        if number is None:
            self.fail(f"Expected {what}.")
        found = _UNIT.match(self.text, self.position)
        unit = ""
        if found is not None:
            unit = found[0].replace("µ", "u").replace("μ", "u")
            if unit not in UNITS:
                self.fail(f"Expected one of the units %, us, ms, s, m, h, d, not {found[0]!r}.")
            self.position = found.end()
        value = float(number)
        if value in (float("inf"), float("-inf")):
            self.fail("Expected a number that is not infinite.", start)
        return Quantity(value, unit)

    def operand(self) -> Operand:
        self.space()
        start = self.position
        name = self.take(_NAME)
        if name is None:
            self.fail("Expected a metric, promql(…) or alert(…).")
        if name == "promql":
            return PromqlOperand(self._in_parentheses(start))
        if name == "alert":
            return self._alert()
        if name == "metric":
            name = self._custom()
        row = find_operand(name)
        if row is None:
            nearest = nearest_names(name, [*_NAMES, "p50", "p95", "p99", "promql", "alert"], 1)
            hint = f" Did you mean {nearest[0]}?" if nearest else ""
            self.fail(f"Expected a metric ({', '.join(OPERANDS)}), promql(…) or alert(…).{hint}", start)
        labels: tuple[tuple[str, str], ...] = ()
        if self.literal("{"):
            labels = self._labels(name, row)
        return EngineOperand(name, labels)

    def _labels(self, metric: str, row: OperandDefinition) -> tuple[tuple[str, str], ...]:
        labels: list[tuple[str, str]] = []
        allowed = row.labels
        if not allowed and not row.has_any_label:
            self.fail(f"{metric} is about the whole load test and has no labels.", self.position - 1)
        while not self.literal("}"):
            if labels and not self.literal(","):
                self.fail("Expected , or }.")
            self.space()
            start = self.position
            label = self.take(_LABEL)
            if label is None or (label not in LABELS and not row.has_any_label):
                expected = (
                    f"one of the labels {', '.join(LABELS)}" if not row.has_any_label else "a label of the metric"
                )
                self.fail(f"Expected {expected}.", start)
            if label not in allowed and not row.has_any_label:
                self.fail(f"{metric} has no label {label}: its labels are {' and '.join(allowed)}.", start)
            if label in dict(labels):
                self.fail(f"The label {label} is given twice.", start)
            if not self.literal("="):
                self.fail("Expected =.")
            self.space()
            value_start = self.position
            value = self._string()
            if label == "status" and not row.has_any_label and value not in _STATUSES:
                self.fail(f"Expected one of {', '.join(_STATUSES)}.", value_start)
            # Secrets in URLs are redacted in the names of endpoints, too.
            labels.append((label, clean_text(value)))
        if not labels:
            known = "" if row.has_any_label else f" ({', '.join(LABELS)})"
            self.fail(f"Expected a label{known}.", self.position - 1)
        return tuple(labels)

    def _custom(self) -> str:
        """Parse the rest of `metric("cart_size").p95`; returns it as the name of an operand."""
        if not self.literal("("):
            self.fail('Expected ( after metric, as in metric("cart_size").p95.')
        self.space()
        start = self.position
        name = self._string()
        if _LABEL.fullmatch(name) is None:
            self.fail("Expected the name of a metric, which has letters, digits and underscores.", start)
        if not self.literal(")") or not self.literal("."):
            self.fail('Expected ) and a dot, as in metric("cart_size").p95.')
        start = self.position
        statistic = (self.take(_NAME) or "").rstrip(".")
        wrong = wrong_statistic(statistic)
        if wrong is not None:
            self.fail(wrong, start)
        return f'metric("{name}").{statistic}'

    def _string(self) -> str:
        self.space()
        start = self.position
        quote = self.text[start : start + 1]
        if quote not in ('"', "'"):
            self.fail("Expected a text in quotes.")
        self.position += 1
        found: list[str] = []
        while self.position < len(self.text):
            character = self.text[self.position]
            self.position += 1
            if character == quote:
                return "".join(found)
            if character == "\\" and self.position < len(self.text):
                escaped = self.text[self.position]
                self.position += 1
                found.append({"n": "\n"}.get(escaped, escaped))
            else:
                found.append(character)
        return self.fail("This text has no closing quote.", start)

    def _in_parentheses(self, start: int) -> str:
        if not self.literal("("):
            self.fail("Expected ( after promql.")
        depth, begin = 1, self.position
        characters: list[str] = []
        has_comment = False
        while self.position < len(self.text):
            at = self.position
            character = self.text[at]
            if character == "#":
                # Left out: where the query is shown on one line, it would comment out the rest.
                self._skip_comment()
                has_comment = True
                continue
            if character in "\"'`":
                self._skip_string(character)
            else:
                self.position += 1
                depth += {"(": 1, ")": -1}.get(character, 0)
            if depth == 0:
                query = "".join(characters).strip()
                if not query:
                    self.fail("Expected a query between the parentheses.", begin)
                return query
            characters.append(self.text[at : self.position])
        hint = " A comment (#) lasts to the end of its line." if has_comment else ""
        return self.fail(f"promql( has no closing parenthesis.{hint}", start)

    def _skip_string(self, quote: str) -> None:
        self.position += 1
        while self.position < len(self.text) and self.text[self.position] != quote:
            self.position += 2 if self.text[self.position] == "\\" and quote != "`" else 1
        self.position += 1

    def _skip_comment(self) -> None:
        """Skip to the end of the line."""
        end = self.text.find("\n", self.position)
        self.position = len(self.text) if end < 0 else end

    def _alert(self) -> AlertOperand:
        if not self.literal("("):
            self.fail("Expected ( after alert.")
        matchers: list[Matcher] = []
        while not self.literal(")"):
            if matchers and not self.literal(","):
                self.fail("Expected , or ).")
            label = self.take(_LABEL)
            if label is None:
                self.fail('Expected a label of the alert, as in alert(severity="critical").')
            operator = next((each for each in ("=~", "!~", "!=", "=") if self.literal(each)), None)
            if operator is None:
                self.fail("Expected =, !=, =~ or !~.")
            self.space()
            start = self.position
            text = self._string()
            if operator in ("=~", "!~"):
                try:
                    re.compile(text)
                except re.error as error:
                    self.fail(f"Not a regular expression: {error}.", start)
            matchers.append(Matcher(label, operator, text))
        return AlertOperand(tuple(matchers))
