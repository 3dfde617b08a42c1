"""Allocation of users to user classes: fixed counts first, the rest by weight; and division of numbers and rates. Pure
functions."""

import math
import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from obswarm.api import ObswarmError, User


class ClassWeight(NamedTuple):
    """Weight and fixed count of a user class."""

    name: str
    weight: int
    fixed_count: int


def weight_of(cls: type[User]) -> ClassWeight:
    """Return weight and fixed count of a class. Raises ObswarmError if they are invalid."""
    for attribute in ("weight", "fixed_count"):
        value = getattr(cls, attribute)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ObswarmError(f"{cls.__name__}.{attribute} is {value!r}; it has to be a whole number, 0 or more.")
    return ClassWeight(cls.__name__, cls.weight, cls.fixed_count)


def allocate(total: int, shares: Sequence[ClassWeight]) -> dict[str, int]:
    """Users by class name, summing up to `total` (less when only fixed counts are there to be filled).

    Weights are served by the Webster/Sainte-Laguë divisor method: exact whenever `total` divides, and monotone, so
    that one user more never takes one away from another class, which the largest remainder would do.
    """
    counts = {share.name: 0 for share in shares}
    left = total
    for share in shares:
        if share.fixed_count:
            counts[share.name] = min(share.fixed_count, left)
            left -= counts[share.name]
    weighted = [share for share in shares if not share.fixed_count and share.weight]
    weights = sum(share.weight for share in weighted)
    if not weights:
        return counts
    for share in weighted:
        # The result of the method never lies more than one below the quota's floor for any realistic set of weights;
        # starting there leaves a handful of seats to be given out one by one.
        counts[share.name] = max(0, left * share.weight // weights - 1)
    for _ in range(left - sum(counts[share.name] for share in weighted)):
        winner = max(weighted, key=lambda share: share.weight / (2 * counts[share.name] + 1))
        counts[winner.name] += 1
    return counts


_Key = TypeVar("_Key", bound=Hashable)


def apportion(total: int, weights: Sequence[float], present: Sequence[int] | None = None) -> list[int]:
    """Whole numbers that sum up to `total`, each less than 1 away from its exact share by weight.

    By largest remainder; but where `present` numbers are near enough already, they stay, so that users are not moved
    for the sake of rounding. Weights are not negative, and one of them is above 0.
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
"""Of two, in the smallest number above 0."""


def apportion_rate(rate: float, weights: Sequence[float]) -> list[float]:
    """Parts of a rate by weight, whose sum is the rate exactly, in whatever order they are added.

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
    """A part of each amount, in proportion, that sum up to `total`, or to all of them where that is less."""
    everything = sum(amounts.values())
    if total >= everything:
        return dict(amounts)
    if total <= 0:
        return dict.fromkeys(amounts, 0)
    return dict(zip(amounts, apportion(total, list(amounts.values())), strict=True))
