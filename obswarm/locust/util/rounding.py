"""`locust.util.rounding`."""

from decimal import ROUND_HALF_UP, Decimal


def proper_round(val: float, digits: int = 0) -> float:
    """Round half up: 0.5 to 1, 2.5 to 3 (`round` gives the even one of both)."""
    step = Decimal(1).scaleb(-digits)
    number = Decimal(str(val)).quantize(step, ROUND_HALF_UP)
    return float(number) if digits else int(number)
