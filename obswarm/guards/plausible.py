"""Conditions that are the same whatever is measured: a guard that never trips, or at once; a requirement likewise."""

import math

from obswarm.guards.conditions import Condition, EngineOperand, PromqlOperand, Quantity
from obswarm.guards.operands import metric_of

_BARE_SHARE = 1.5
"""From here on a share without % was meant in percent: 5 would be 500 %, of one core, too."""


def why_constant(condition: Condition) -> str | None:
    """A sentence that says why, with what may have been meant; None for a condition that depends on what is measured.

    What no operand ever is, below 0 or above its most, is refused as a threshold for every operator; the end of a range
    where all of it is on one side: `error_ratio < 0` is never true, `error_ratio >= 0` always.
    """
    operand, operator, quantity = condition.operand, condition.operator, condition.quantity
    if isinstance(operand, PromqlOperand):
        return None
    name, most, is_share = "The number of alerts", math.inf, False
    if isinstance(operand, EngineOperand):
        metric = metric_of(operand.metric)
        name, most, is_share = operand.metric, metric.most, metric.unit == "ratio"
    value = quantity.base
    bare_share = is_share and not quantity.unit
    if bare_share and value >= _BARE_SHARE:
        never = f", and {name} is never above {most:.0%}" if value > most else ""
        return f"{quantity} is {_percent(value)}{never}.{_meant_in_percent(quantity)}"
    # It is so for all values if it is for one of them.
    always = ", so that this is always true" if condition.holds(0.0) else ""
    if value < 0 or (operator in ("<", ">=") and value == 0):
        return f"{name} is never below 0{always}."
    if value > most or (operator in (">", "<=") and value == most):
        hint = _meant_in_percent(quantity) if bare_share else ""
        return f"{name} is never above {most:.0%}{always}.{hint}"
    return None


def _meant_in_percent(quantity: Quantity) -> str:
    return f" Did you mean {Quantity(quantity.number, '%')}?" if quantity.number <= 100 else ""


def _percent(value: float) -> str:
    return f"{value * 100:.12g}%"
