"""Limited numbers of iterations: what the configuration and the load test ask for, and how many have ended."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obswarm.api import MOST_ITERATIONS, ObswarmError, User, parse_iterations
from obswarm.engine.scenario_classes import scenarios_in
from obswarm.units import format_names

if TYPE_CHECKING:
    from obswarm.feeds import FeedServer

SHARED = "all"
"""Name of the limit that all user classes share."""


@dataclass(frozen=True, slots=True)
class IterationLimit:
    """`number` iterations of the users of these classes together, over the whole fleet."""

    name: str
    number: int
    user_classes: tuple[str, ...]


def plan_iterations(classes: Sequence[type[User]], text: str | None) -> tuple[IterationLimit, ...]:
    """Return the limits of --iterations (`text`) and of the user classes. Master and workers call it with the same
    arguments. A number that all classes share replaces those of the classes, a number of a class that of this class.
    Classes of a scenario with a number share that.

    Raises ObswarmError for a class that is not there, or cannot run iterations one at a time, or for an invalid value.
    """
    given = {} if text is None else parse_iterations(text)
    names = [cls.__name__ for cls in classes]
    unknown = [name for name in given if name and name not in names]
    if unknown:
        raise ObswarmError(
            f"--iterations: there is no user class {unknown[0]!r} in this run; it has {', '.join(names)}."
        )
    if "" in given:
        found = [IterationLimit(SHARED, given[""], tuple(names))]
    else:
        found = [
            IterationLimit(scenario.name, scenario.iterations, tuple(cls.__name__ for cls in own))
            for scenario, own in scenarios_in(classes)
            if scenario.iterations is not None
        ]
        shared = {name for limit in found for name in limit.user_classes}
        numbers = {cls.__name__: given.get(cls.__name__, _own(cls)) for cls in classes if cls.__name__ not in shared}
        found += [IterationLimit(name, number, (name,)) for name, number in numbers.items() if number]
    limited = {name for limit in found for name in limit.user_classes}
    for cls in classes:
        if cls.__name__ in limited and cls.run is not User.run:
            raise ObswarmError(
                f"{cls.__name__} overrides User.run, so its users have no iterations whose number could be limited."
            )
    return tuple(found)


def _own(cls: type[User]) -> int:
    number = cls.iterations
    if number is None:
        return 0
    if type(number) is not int or not 0 <= number <= MOST_ITERATIONS:
        raise ObswarmError(
            f"{cls.__name__}.iterations is {number!r}; it has to be a whole number of iterations, or None."
        )
    return number


class IterationCount:
    """Counts the ended iterations of a run that has limits, from its statistics. `server` grants them to processes."""

    def __init__(self, limits: Iterable[IterationLimit], server: "FeedServer") -> None:
        self.limits = tuple(limits)
        self._server = server
        self._ended: dict[tuple[str, str], int] = {}
        """By limit and process."""

    def restore(self, ended: Iterable[tuple[str, str, int]]) -> None:
        """Continue from the numbers of an earlier process of the same run."""
        self._ended.update({(name, node): number for name, node, number in ended})
        self._server.note_ended(self._ended)

    def saved(self) -> list[list[str | int]]:
        """Return the numbers as `restore` takes them."""
        return [[name, node, number] for (name, node), number in self._ended.items()]

    def note(self, ended: Mapping[tuple[str, str], int]) -> None:
        """Add what has ended since the last call, as StatsTable.ended has it. All statistics that have arrived from
        processes that are known to be dead are part of it."""
        for key, number in ended.items():
            self._ended[key] = self._ended.get(key, 0) + number
        self._server.note_ended({key: self._ended[key] for key in ended})

    @property
    def targets(self) -> dict[str, int]:
        """Number of iterations by limit."""
        return {limit.name: limit.number for limit in self.limits}

    @property
    def ended(self) -> dict[str, int]:
        """Number of ended iterations by limit."""
        numbers = dict.fromkeys(self.targets, 0)
        for (name, _), number in self._ended.items():
            if name in numbers:
                numbers[name] += number
        return numbers

    def is_done(self, name: str) -> bool:
        """Whether all iterations of a limit have ended; False for another name."""
        targets = self.targets
        return name in targets and self.ended[name] >= targets[name]

    def done_classes(self) -> frozenset[str]:
        """Return the user classes whose iterations have all ended."""
        ended = self.ended
        done = (limit for limit in self.limits if ended[limit.name] >= limit.number)
        return frozenset(name for limit in done for name in limit.user_classes)

    def reason_to_stop(self, classes: Iterable[str]) -> str | None:
        """Return why the run is over, None if it is not: a user class of it still has iterations to run, or no limit
        of them."""
        if not self.limits or not set(classes) <= self.done_classes():
            return None
        numbers = [f"{limit.number:,}{'' if limit.name == SHARED else f' of {limit.name}'}" for limit in self.limits]
        return f"all iterations have ended: {format_names(numbers)}"
