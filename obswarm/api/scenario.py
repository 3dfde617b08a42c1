"""Scenario: user classes with a load, a start and requirements of their own, in a run with several of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from obswarm.api.arrivals import ArrivalRate
from obswarm.api.errors import ObswarmError
from obswarm.api.iterations import MOST_ITERATIONS
from obswarm.api.shapes import Stage, parse_stages
from obswarm.api.user import User
from obswarm.sanitize import is_clean
from obswarm.units import parse_duration

_LONGEST_NAME = 100
_MOST_USERS = 1_000_000

Load = int | ArrivalRate | tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario of a load-test file: `scenarios = [Scenario("browse", Visitor, 50), …]`.

    `user` is a user class or several, whose weights divide the load. `load` is a number of users (started at
    `spawn_rate` users per second, 1 by default), stages of it as `"30s:100,2m:500,30s:0"`, or a rate of iterations
    as `"200/s"`, `"30s:50/s,2m:400/s"` or an ArrivalRate. The scenario starts `start_after` the start of the run: a
    duration, or the name of another scenario, at whose end it starts. It ends with its stages, after `run_time`, or
    when `iterations` of them have ended; otherwise with the run. `tags` and `exclude_tags` choose tasks, as --tags
    does; `require` are requirements for the requests of the scenario alone: `["p95 < 300ms"]`. Raises ObswarmError
    for invalid values.
    """

    name: str
    user: type[User] | Sequence[type[User]]
    load: int | str | ArrivalRate = 1
    start_after: str | float = 0.0
    tags: Sequence[str] = ()
    exclude_tags: Sequence[str] = ()
    iterations: int | None = None
    run_time: str | float | None = None
    spawn_rate: float | None = None
    require: Sequence[str] = ()

    def __post_init__(self) -> None:
        name: Any = self.name
        if not (isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and is_clean(name)):
            raise ObswarmError(
                f"Scenario: the name {self.name!r} has to be a text of 1 to {_LONGEST_NAME} characters, without control"
                " characters."
            )
        classes: Sequence[Any] = self.user_classes
        if not classes or not all(isinstance(cls, type) and issubclass(cls, User) for cls in classes):
            raise ObswarmError(f"{self.where}: user is {self.user!r}; it has to be a user class, or a list of some.")
        for cls in classes:
            if cls.abstract:
                raise ObswarmError(
                    f"{self.where}: the user class {cls.__name__} has abstract = True, so it is only to be subclassed;"
                    " give a subclass of it."
                )
        load = self.parsed_load()
        for what in ("tags", "exclude_tags", "require"):
            values = getattr(self, what)
            if isinstance(values, str) or not all(isinstance(each, str) for each in values):
                raise ObswarmError(f"{self.where}: {what} is {values!r}; it has to be a list of texts.")
        number = self.iterations
        if number is not None and (type(number) is not int or not 1 <= number <= MOST_ITERATIONS):
            raise ObswarmError(f"{self.where}: iterations is {number!r}; it has to be a whole number above 0.")
        rate: Any = self.spawn_rate
        if rate is not None:
            if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= _MOST_USERS:
                raise ObswarmError(f"{self.where}: spawn_rate is {rate!r}; it has to be a number of users per second.")
            if type(load) is not int:
                raise ObswarmError(
                    f"{self.where}: spawn_rate is given, but goes with a number of users only; stages and rates say"
                    " themselves how fast the load changes. Leave it out."
                )
        if self.run_time_s is not None and not self.run_time_s > 0:
            raise ObswarmError(f"{self.where}: run_time is {self.run_time!r}; it has to be above 0.")
        self.start_s()

    @property
    def where(self) -> str:
        """The beginning of messages about it."""
        return f"Scenario {self.name!r}"

    @property
    def user_classes(self) -> tuple[type[User], ...]:
        return (self.user,) if isinstance(self.user, type) else tuple(self.user)

    @property
    def run_time_s(self) -> float | None:
        """The maximum duration in seconds, None without one."""
        if self.run_time is None:
            return None
        try:
            return parse_duration(self.run_time)
        except ValueError as error:
            raise ObswarmError(f"{self.where}: run_time: {error}.") from None

    def start_s(self) -> float | None:
        """Return the seconds from the start of the run to that of the scenario; None if it starts after another one,
        whose name `start_after` is."""
        try:
            return parse_duration(self.start_after)
        except ValueError as error:
            if isinstance(self.start_after, str):
                return None
            raise ObswarmError(f"{self.where}: start_after: {error}.") from None

    def parsed_load(self) -> Load:
        """Return the load: a number of users, their stages, or a rate of iterations."""
        load = self.load
        try:
            if isinstance(load, ArrivalRate):
                return load
            if isinstance(load, str):
                return ArrivalRate(load) if "/" in load else parse_stages(load)
        except (ObswarmError, ValueError) as error:
            raise ObswarmError(f"{self.where}: load: {str(error).removesuffix('.')}.") from None
        if type(load) is int and 1 <= load <= _MOST_USERS:
            return load
        raise ObswarmError(
            f"{self.where}: load is {load!r}; it has to be a number of users, stages of it as a text, or a rate as"
            ' "200/s".'
        )
