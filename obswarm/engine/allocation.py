"""How many users of each class there are among n: fixed counts first, then by weight. Pure functions."""

from collections.abc import Sequence
from typing import NamedTuple

from obswarm.api import ObswarmError, User


class Share(NamedTuple):
    """What a user class asks for."""

    name: str
    weight: int
    fixed_count: int


def share_of(cls: type[User]) -> Share:
    """Raises ObswarmError when weight or fixed_count make no sense."""
    for attribute in ("weight", "fixed_count"):
        value = getattr(cls, attribute)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ObswarmError(f"{cls.__name__}.{attribute} is {value!r}; it has to be a whole number, 0 or more.")
    return Share(cls.__name__, cls.weight, cls.fixed_count)


def allocate(total: int, shares: Sequence[Share]) -> dict[str, int]:
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
