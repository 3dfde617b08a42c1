"""The load test's own operands of guards and requirements, as one table.

A new operand is a row of `_TABLE`: grammar, error messages, requirements and the table in docs/guards.md come from it.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from obswarm.guards.conditions import Condition, EngineOperand, Operand, PromqlOperand, Quantity
from obswarm.guards.custom_values import CUSTOM_VALUE, custom_value_of_interval, custom_value_of_run, is_custom
from obswarm.guards.selection import INTENDED_PERCENTILE, PERCENTILE, STATUS, Selection
from obswarm.record import Snapshot, WorkerStatus

Unit = Literal["seconds", "ratio", "number"]
Value = Callable[[Selection], float | None]
SCENARIO = "scenario"
"""The label that selects requests by their scenario."""
_ENDPOINT = ("name", "method", SCENARIO)
_REQUEST = (*_ENDPOINT, STATUS)
_NO_WORKER = "no worker has reported"
_BARE_SHARE = 1.5
"""A ratio without % of at least this value is a percentage without its unit: 5 would be 500 %."""


@dataclass(frozen=True, slots=True)
class OperandDefinition:
    """A row of the table.

    `interval` is the value over the last interval, `run` the value over the whole run; without the latter, the operand
    is refused in requirements. Both return None if there is no value; `missing` is the reason ("{}" is replaced by the
    labels). Values are between `minimum` and `maximum`.
    """

    name: str
    unit: Unit
    labels: tuple[str, ...]
    meaning: str
    interval: Value
    run: Value | None = None
    missing: str = "no request{} has finished"
    maximum: float = math.inf
    as_ratio: str = ""
    """Name of the corresponding operand with a ratio, empty if there is none."""
    pattern: re.Pattern[str] | None = None
    """Pattern of the operand's names; None if it is `name` alone."""
    minimum: float = 0.0
    has_any_label: bool = False
    """Whether the labels are those of a load test's own metric."""


_TABLE = (
    OperandDefinition(
        "error_ratio",
        "ratio",
        _REQUEST,
        "Failed requests as a share of all; with `status`, requests with that status as a share of all.",
        lambda selected: selected.error_ratio(selected.interval),
        lambda selected: selected.error_ratio(selected.run),
        maximum=1.0,
    ),
    OperandDefinition(
        "failures",
        "number",
        _REQUEST,
        "Failed requests.",
        lambda selected: selected.per_second(selected.failures(selected.interval)),
        lambda selected: selected.failures(selected.run),
        as_ratio="error_ratio",
    ),
    OperandDefinition(
        "rps",
        "number",
        _REQUEST,
        "Finished requests per second.",
        lambda selected: selected.rps,
        lambda selected: selected.rps_of_run,
    ),
    OperandDefinition(
        "avg",
        "seconds",
        _ENDPOINT,
        "Mean response time.",
        lambda selected: selected.mean_s,
        lambda selected: selected.run.duration.mean_s,
    ),
    OperandDefinition(
        "max",
        "seconds",
        _ENDPOINT,
        "Longest response time.",
        lambda selected: selected.max_s,
        lambda selected: selected.run.max_s,
    ),
    OperandDefinition(
        "in_flight",
        "number",
        _ENDPOINT,
        "Requests in flight.",
        lambda selected: float(selected.in_flight.count),
    ),
    OperandDefinition(
        "oldest",
        "seconds",
        _ENDPOINT,
        "Age of the oldest request in flight.",
        lambda selected: selected.in_flight.oldest_s,
    ),
    OperandDefinition("users", "number", (), "Running users.", lambda selected: float(selected.snapshot.user_count)),
    OperandDefinition(
        "exceptions",
        "number",
        (),
        "Exceptions raised by tasks.",
        lambda selected: selected.per_second(selected.snapshot.interval_exceptions),
        lambda selected: float(sum(found.count for found in selected.snapshot.exceptions.values())),
    ),
    OperandDefinition(
        "interrupted",
        "number",
        (),
        "Requests interrupted because their user was stopped.",
        lambda selected: selected.per_second(selected.snapshot.interval_interrupted),
        lambda selected: float(selected.snapshot.interrupted),
    ),
    OperandDefinition(
        "dropped",
        "number",
        (),
        "Iterations that were planned and not started: of a rate, or of users with constant pacing.",
        lambda selected: selected.per_second(selected.snapshot.interval_dropped),
        lambda selected: float(sum(selected.snapshot.dropped.values())),
    ),
    OperandDefinition(
        "loop_lag",
        "seconds",
        (),
        "Largest delay of a worker's event loop.",
        lambda selected: max((worker.loop_lag_s for worker in selected.snapshot.workers), default=None),
        missing=_NO_WORKER,
    ),
    OperandDefinition(
        "worker_cpu",
        "ratio",
        (),
        "CPU use of the busiest worker; 100% is one core.",
        lambda selected: max((worker.cpu_ratio for worker in selected.snapshot.workers), default=None),
        missing=_NO_WORKER,
    ),
    OperandDefinition(
        "workers_missing",
        "number",
        (),
        "Workers without a heartbeat, or lost.",
        lambda selected: float(
            sum(worker.state in (WorkerStatus.MISSING, WorkerStatus.LOST) for worker in selected.snapshot.workers)
        ),
    ),
    OperandDefinition(
        "p50 to p99.9",
        "seconds",
        _ENDPOINT,
        "Percentile of the response time: `p` and a number above 0 and below 100.",
        lambda selected: selected.percentile_s,
        lambda selected: selected.percentile_of_run_s,
        pattern=PERCENTILE,
    ),
    OperandDefinition(
        'metric("…").…',
        "number",
        (),
        "Value of one of the [load test's own metrics](writing-load-tests.md#metrics-of-your-own), with its labels.",
        lambda selected: custom_value_of_interval(selected.operand, selected.snapshot),
        lambda selected: custom_value_of_run(selected.operand, selected.snapshot),
        missing="no value of the metric{} was recorded",
        pattern=CUSTOM_VALUE,
        minimum=-math.inf,
        has_any_label=True,
    ),
    OperandDefinition(
        "intended_p50 to intended_p99.9",
        "seconds",
        _ENDPOINT,
        "Percentile of the response time from the intended start, in the open model.",
        lambda selected: selected.intended_percentile_s,
        lambda selected: selected.intended_percentile_of_run_s,
        missing="no request{} with an intended start has finished",
        pattern=INTENDED_PERCENTILE,
    ),
)
OPERANDS: Mapping[str, OperandDefinition] = {row.name: row for row in _TABLE}
LABELS = tuple(dict.fromkeys(label for row in _TABLE for label in row.labels))
REQUIREMENT_OPERANDS = tuple(row.name for row in _TABLE if row.run is not None)


def find_operand(name: str) -> OperandDefinition | None:
    """Return the row of an operand's name, None if there is none."""
    for row in _TABLE:
        if row.name == name if row.pattern is None else row.pattern.fullmatch(name):
            return row
    return None


def definition_of(operand: EngineOperand) -> OperandDefinition:
    """Return the row of a parsed operand."""
    row = find_operand(operand.metric)
    assert row is not None, operand
    return row


def missing_of(operand: EngineOperand) -> str:
    """Return why the operand has no value, as text."""
    return definition_of(operand).missing.format(f" with {operand.selector}" if operand.labels else "")


def value_of_interval(operand: EngineOperand, snapshot: Snapshot) -> float | None:
    """Return the value over the last interval.

    It is AtLeast if only a lower bound is known; None if there is no value, or if the labels select endpoints without
    requests.
    """
    selected = Selection(operand, snapshot)
    if selects_endpoints(operand) and not selected.matches_any:
        return None
    return definition_of(operand).interval(selected)


def value_of_run(operand: EngineOperand, snapshot: Snapshot) -> float | None:
    """Return the value over the whole run, None if there is none."""
    run = definition_of(operand).run
    assert run is not None, operand
    return run(Selection(operand, snapshot))


def selects_endpoints(operand: Operand) -> bool:
    """Return whether the operand's labels select endpoints."""
    if not isinstance(operand, EngineOperand) or is_custom(operand):
        return False
    return any(name != STATUS for name, _ in operand.labels)


def matches_any(operand: EngineOperand, snapshot: Snapshot) -> bool:
    """Return whether a selected endpoint has had a request, or has one in flight."""
    return Selection(operand, snapshot).matches_any


def constant_reason(condition: Condition) -> str | None:
    """Return why a condition has the same result for every possible value, with a suggestion; None if it varies.

    A threshold below 0 or above the operand's `maximum` is refused with every operator. A threshold of exactly 0 or
    `maximum` is refused where it leaves all values on one side: `error_ratio < 0` is never true, `error_ratio >= 0`
    always.
    """
    operand, operator, quantity = condition.operand, condition.operator, condition.quantity
    if isinstance(operand, PromqlOperand):
        return None
    name, minimum, maximum, is_share = "The number of alerts", 0.0, math.inf, False
    if isinstance(operand, EngineOperand):
        row = definition_of(operand)
        name, minimum, maximum, is_share = operand.metric, row.minimum, row.maximum, row.unit == "ratio"
    value = quantity.base
    is_bare_share = is_share and not quantity.unit
    if is_bare_share and value >= _BARE_SHARE:
        never = f", and {name} is never above {maximum:.0%}" if value > maximum else ""
        return f"{quantity} is {value * 100:.12g}%{never}.{_meant_in_percent(quantity)}"
    # If it holds for one possible value, it holds for all of them.
    always = ", so that this is always true" if condition.holds(0.0) else ""
    if value < minimum or (operator in ("<", ">=") and value == minimum):
        return f"{name} is never below 0{always}."
    if value > maximum or (operator in (">", "<=") and value == maximum):
        hint = _meant_in_percent(quantity) if is_bare_share else ""
        return f"{name} is never above {maximum:.0%}{always}.{hint}"
    return None


def _meant_in_percent(quantity: Quantity) -> str:
    return f" Did you mean {Quantity(quantity.number, '%')}?" if quantity.number <= 100 else ""
