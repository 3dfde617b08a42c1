"""Allocation of users to user classes: fixed counts first, the rest by weight; and division of numbers and rates. Pure
functions."""

import math
import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from obswarm.api import ObswarmError, User

if TYPE_CHECKING:
    from fractions import Fraction


class ClassWeight(NamedTuple):
    """Weight and fixed count of a user class."""

    name: str
    weight: "int | Fraction"
    fixed_count: int


def weight_of(cls: type[User]) -> ClassWeight:
    """Return weight and fixed count of a class. Raises ObswarmError if they are invalid."""
    weight: Any = cls.weight
    fixed_count: Any = cls.fixed_count
    if type(weight) not in (int, float) or not 0 <= weight < math.inf:
        raise ObswarmError(f"{cls.__name__}.weight is {weight!r}; it has to be a number, 0 or more.")
    if type(fixed_count) is not int or fixed_count < 0:
        raise ObswarmError(f"{cls.__name__}.fixed_count is {fixed_count!r}; it has to be a whole number, 0 or more.")
    if type(weight) is float:
        # Only here: hardly any load test has such weights.
        from fractions import Fraction

        # As it is written: 0.1 is a tenth.
        weight = Fraction(str(weight))
    return ClassWeight(cls.__name__, weight, fixed_count)


def is_weighted(share: ClassWeight) -> bool:
    """Return whether a class has as many users as are left for its weight."""
    return bool(share.weight) and not share.fixed_count


def allocate(total: int, shares: Sequence[ClassWeight]) -> dict[str, int]:
    """Return users by class name, with the sum `total` (less if all classes have fixed counts).

    Weights are served by the Webster/Sainte-Laguë divisor method: exact whenever `total` divides, and monotone, so
    that one user more never takes one away from another class, which the largest remainder would do.
    """
    counts = {share.name: 0 for share in shares}
    left = total
    for share in shares:
        if share.fixed_count:
            counts[share.name] = min(share.fixed_count, left)
            left -= counts[share.name]
    weighted = [share for share in shares if is_weighted(share)]
    weights = sum(share.weight for share in weighted)
    if not weights:
        return counts
    for share in weighted:
        # The result of the method is never more than one below the quota's floor for realistic weights; starting there
        # leaves only a few users to be allocated one by one.
        counts[share.name] = max(0, left * share.weight // weights - 1)
    for _ in range(left - sum(counts[share.name] for share in weighted)):
        winner = max(weighted, key=lambda share: share.weight / (2 * counts[share.name] + 1))
        counts[winner.name] += 1
    return counts


_Key = TypeVar("_Key", bound=Hashable)


def apportion(total: int, weights: Sequence[float], present: Sequence[int] | None = None) -> list[int]:
    """Return whole numbers with the sum `total`, each less than 1 away from its exact share by weight.

    By largest remainder; but `present` numbers that satisfy this stay unchanged, so that users are not moved because of
    rounding. Weights are not negative, and one of them is above 0.
    """
    whole = sum(weights)
    quotas = [total * weight / whole for weight in weights]
    lower = [math.floor(quota + 1e-9) for quota in quotas]
    upper = [math.ceil(quota - 1e-9) for quota in quotas]
    if present is None:
        given = list(lower)
    else:
        given = [min(max(has, low), high) for has, low, high in zip(present, lower, upper, strict=True)]
    missing = total - sum(given)
    # The order makes the result the same each time; of equals the first.
    by_need = sorted(range(len(weights)), key=lambda i: (given[i] - quotas[i], i), reverse=missing < 0)
    while missing:
        step = 1 if missing > 0 else -1
        before = missing
        for i in by_need:
            if missing and lower[i] <= given[i] + step <= upper[i]:
                given[i] += step
                missing -= step
        if missing == before:
            # Only rounding of the quotas themselves can lead here.
            given[by_need[0]] += missing
            missing = 0
    return given


_MANTISSA_BITS = sys.float_info.mant_dig
_LEAST_EXPONENT = sys.float_info.min_exp - _MANTISSA_BITS
"""Exponent of two of the smallest number above 0."""


def apportion_rate(rate: float, weights: Sequence[float]) -> list[float]:
    """Return parts of a rate by weight; their sum is exactly the rate, in any order of addition.

    A rate is a whole number of at most 53 bits times a power of two. So are the parts, with the same power: the whole
    number is divided, rounded down, and the rest goes to the largest part. Weights are not negative, and one of them is
    above 0.
    """
    _, exponent = math.frexp(rate)
    unit = max(exponent - _MANTISSA_BITS, _LEAST_EXPONENT)
    whole, weight_of_all = int(math.ldexp(rate, -unit)), sum(weights)
    parts = [int(whole * (weight / weight_of_all)) for weight in weights]
    parts[weights.index(max(weights))] += whole - sum(parts)
    return [math.ldexp(part, unit) for part in parts]


def spread(total: int, amounts: Mapping[_Key, int]) -> dict[_Key, int]:
    """Return proportional parts of the amounts with the sum `total`, or all of them if they are fewer."""
    everything = sum(amounts.values())
    if total >= everything:
        return dict(amounts)
    if total <= 0:
        return dict.fromkeys(amounts, 0)
    return dict(zip(amounts, apportion(total, list(amounts.values())), strict=True))
