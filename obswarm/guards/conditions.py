"""Conditions of guards and requirements as values. Their `str()` is text that grammar.py parses, without secrets."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from obswarm.redact import redact_text

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}
UNITS = {"%": 0.01, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
DURATION_UNITS = ("us", "ms", "s", "m", "h", "d")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, as written. `base` is in seconds, a ratio, or the number itself."""

    number: float
    unit: str = ""

    @property
    def base(self) -> float:
        return self.number * UNITS[self.unit]

    def __str__(self) -> str:
        text = repr(self.number)
        return (text.removesuffix(".0") if "e" not in text else text) + self.unit


@dataclass(frozen=True, slots=True)
class EngineOperand:
    """One of the load test's own operands (obswarm.guards.operands). `labels` select requests."""

    metric: str
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def selector(self) -> str:
        """The labels as written: `name="/login", method="POST"`."""
        return _pairs(self.labels)

    def __str__(self) -> str:
        return self.metric + (f"{{{self.selector}}}" if self.labels else "")


@dataclass(frozen=True, slots=True)
class PromqlOperand:
    """A PromQL query of the target's metrics. The condition is true if it is true for any of several series."""

    query: str

    def __str__(self) -> str:
        return f"promql({redact_text(self.query)})"


@dataclass(frozen=True, slots=True)
class Matcher:
    """A matcher of an alert's label; `operator` is =, !=, =~ or !~."""

    label: str
    operator: str
    text: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (value == self.text) == (self.operator == "=")
        return (re.fullmatch(self.text, value) is not None) == (self.operator == "=~")

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{_quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class AlertOperand:
    """The number of firing alerts whose labels match."""

    matchers: tuple[Matcher, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(matcher.matches(labels) for matcher in self.matchers)

    def __str__(self) -> str:
        return f"alert({redact_text(', '.join(map(str, self.matchers)))})"


Operand = EngineOperand | PromqlOperand | AlertOperand
ZERO = Quantity(0.0)


@dataclass(frozen=True, slots=True)
class Condition:
    operand: Operand
    operator: str
    quantity: Quantity

    def holds(self, value: float) -> bool:
        """Return whether the condition is true of a value; it is never true of NaN."""
        return value == value and OPERATORS[self.operator](value, self.quantity.base)

    def __str__(self) -> str:
        if isinstance(self.operand, AlertOperand) and (self.operator, self.quantity) == (">", ZERO):
            return str(self.operand)
        return f"{self.operand} {self.operator} {self.quantity}"


@dataclass(frozen=True, slots=True)
class When:
    """A condition and how long it has to hold; `lasting` is None for an immediate effect."""

    condition: Condition
    lasting: Quantity | None = None

    @property
    def for_s(self) -> float:
        return self.lasting.base if self.lasting is not None else 0.0

    def __str__(self) -> str:
        return f"{self.condition} for {self.lasting}" if self.lasting is not None else str(self.condition)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _pairs(labels: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{name}={_quoted(text)}" for name, text in labels)
