"""Conditions that are the same whatever is measured: a guard that can never trip, a requirement that is always met."""

from obswarm.guards.conditions import AlertOperand, Condition, EngineOperand, Quantity
from obswarm.guards.operands import metric_of

_BARE_SHARE = 1.5
"""From here on a share without % was meant in percent: 5 would be 500 %, of one core, too."""


def why_constant(condition: Condition) -> str | None:
    """A sentence that says why, with what may have been meant; None for a condition that depends on what is measured.

    A threshold that the operand never reaches is refused for every operator, one at the end of the range only where
    the condition is never met: `error_ratio >= 0` still asks whether anything was measured.
    """
    operand, operator, quantity = condition.operand, condition.operator, condition.quantity
    if not isinstance(operand, EngineOperand):
        if isinstance(operand, AlertOperand) and (quantity.base < 0 or (operator == "<" and quantity.base == 0)):
            return "The number of alerts is never below 0."
        return None
    metric = metric_of(operand.metric)
    value = quantity.base
    if value < 0 or (operator == "<" and value == 0):
        return f"{operand.metric} is never below 0."
    is_share = metric.unit == "ratio"
    if is_share and not quantity.unit and value >= _BARE_SHARE:
        never = f", and {operand.metric} is never above {metric.most:.0%}" if value > metric.most else ""
        return f"{quantity} is {_percent(value)}{never}.{_meant_in_percent(quantity)}"
    if value > metric.most or (operator == ">" and value == metric.most):
        hint = _meant_in_percent(quantity) if not quantity.unit else ""
        return f"{operand.metric} is never above {metric.most:.0%}.{hint}"
    return None


def _meant_in_percent(quantity: Quantity) -> str:
    return f" Did you mean {Quantity(quantity.number, '%')}?" if quantity.number <= 100 else ""


def _percent(value: float) -> str:
    return f"{value * 100:.12g}%"
