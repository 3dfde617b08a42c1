"""Where an observation of obswarm differs from the recorded one of Locust."""

import math
from collections.abc import Iterator
from typing import Any

from tests.locust_compat.corpus import Case
from tests.locust_compat.runs import Observation

LEAST_PROBABILITY = 1e-6
"""Counts by kind differ when equal proportions would give such a difference less often: with the 800 requests of a case,
three of four are told from three of five, and among a hundred cases none fails by chance."""

Difference = tuple[str, str, str]
"""Where, what Locust has, what obswarm has."""


def differences(case: Case, locust: Observation, obswarm: Observation) -> list[Difference]:
    """Return every difference, in the order of the observations."""
    found = []
    for key in dict.fromkeys((*locust, *obswarm)):
        mine, theirs = locust.get(key), obswarm.get(key)
        if key == "requests" and case.by_proportions:
            found += _by_proportions(mine, theirs)
        else:
            found += _between(key, mine, theirs)
    return found


def _by_proportions(locust: dict[str, int], obswarm: dict[str, int]) -> Iterator[Difference]:
    if sum(locust.values()) != sum(obswarm.values()):
        yield "requests in all", str(sum(locust.values())), str(sum(obswarm.values()))
    if probability_of(locust, obswarm) < LEAST_PROBABILITY:
        yield "requests by kind", str(locust), str(obswarm)


def _between(path: str, locust: Any, obswarm: Any) -> Iterator[Difference]:
    if path == "json: keys" and {} in (locust, obswarm):
        return  # Without requests there are no entries that have keys.
    if isinstance(locust, dict) and isinstance(obswarm, dict):
        for key in dict.fromkeys((*locust, *obswarm)):
            yield from _between(f"{path}: {key}", locust.get(key), obswarm.get(key))
    elif isinstance(locust, list) and isinstance(obswarm, list):
        yield from _between_lists(path, locust, obswarm)
    elif locust != obswarm or type(locust) is not type(obswarm):
        yield path, str(locust), str(obswarm)


def _between_lists(path: str, locust: list[Any], obswarm: list[Any]) -> Iterator[Difference]:
    """Yield what one list has and the other has not, and where the same elements have another order."""
    missing, surplus, common = list(locust), [], []
    for element in obswarm:
        if element in missing:
            missing.remove(element)
            common.append(element)
        else:
            surplus.append(element)
    for mine in missing:
        theirs = next((each for each in surplus if _kind(path, each) == _kind(path, mine)), "")
        if theirs != "":
            surplus.remove(theirs)
        yield path, str(mine), str(theirs)
    yield from ((path, "", str(theirs)) for theirs in surplus)
    in_order = [element for element in locust if element in common]
    if in_order != common and sorted(in_order) == sorted(common):
        yield f"{path}, order", str(in_order), str(common)


def _kind(path: str, element: Any) -> object:
    """Return what pairs an element with one that stands in its place: of events the name, of requests method and target,
    of rows method and name, or the count of an exception."""
    fields = str(element).split(" | ")
    if path == "csv: exceptions: rows":
        return fields[1]
    if path == "requests":
        return fields[0].split()[:2]
    return fields[: 1 if path in ("events", "said") else 2]


def probability_of(one: dict[str, int], other: dict[str, int]) -> float:
    """Return how probable a difference of this size is between two samples of one distribution (chi-square test of
    homogeneity; the tail by Wilson and Hilferty's approximation, 1931)."""
    kinds = sorted({*one, *other})
    degrees = len(kinds) - 1
    sums = (sum(one.values()), sum(other.values()))
    if degrees == 0 or 0 in sums:
        return 1.0 if (0 in sums) == (sums == (0, 0)) else 0.0
    chi_square = 0.0
    for kind in kinds:
        both = one.get(kind, 0) + other.get(kind, 0)
        for counts, total in ((one, sums[0]), (other, sums[1])):
            expected = both * total / sum(sums)
            chi_square += (counts.get(kind, 0) - expected) ** 2 / expected
    deviation = 2 / (9 * degrees)
    normal = ((chi_square / degrees) ** (1 / 3) - (1 - deviation)) / math.sqrt(deviation)
    return 0.5 * math.erfc(normal / math.sqrt(2))
