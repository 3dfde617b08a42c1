"""What `obswarm find-limit` searches: a value that a client sends to a master service with its run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from obswarm.api import HIGHEST_ARRIVAL_RATE, ObswarmError
from obswarm.config import MOST_USERS, RunConfig
from obswarm.units import counted


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """A search from the load `start` to at most `most`: numbers of users, or with `is_rate` iterations per second.

    `most_users` is the number of users for which there have to be open files, 0 if it is unknown; `precision` the
    relative width of the interval in which the limit is. Each load is measured for `measure_s` seconds after
    `settle_s` seconds. `requirements` are texts of --require.
    """

    start: float
    most: float
    is_rate: bool
    most_users: int
    precision: float
    settle_s: float
    measure_s: float
    requirements: tuple[str, ...]

    @property
    def unit(self) -> str:
        return "iterations/s" if self.is_rate else "users"

    def text_of(self, load: float) -> str:
        """Format a load: `80 users`, `12.5 iterations/s`."""
        return format_load(load, self.is_rate)

    def plain(self) -> dict[str, Any]:
        """Return the settings as values for MessagePack."""
        return {**asdict(self), "requirements": list(self.requirements)}

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings of `plain`. Raises ObswarmError for anything else."""
        try:
            numbers = {name: values[name] for name in ("start", "most", "precision", "settle_s", "measure_s")}
            is_right = (
                values.keys() == {each.name for each in fields(cls)}
                and all(type(number) in (int, float) for number in numbers.values())
                and 0 < numbers["start"] <= numbers["most"] <= max(MOST_USERS, HIGHEST_ARRIVAL_RATE)
                and 0 < numbers["precision"] < 1
                and type(values["is_rate"]) is bool
                and type(values["most_users"]) is int
                and all(type(text) is str for text in values["requirements"])
            )
        except (LookupError, TypeError):
            is_right = False
        if not is_right:
            raise ObswarmError("The request for a search of a limit is not one of this version.")
        return cls(**{**values, "requirements": tuple(values["requirements"])})

    def config_of(self, config: RunConfig) -> RunConfig:
        """Return the configuration of the search's run.

        It has no requirements for the whole run: over all loads of a search together, they are not met. The rate of a
        search by rate is a share: each class gets its part of 1 iteration per second.
        """
        texts = {key: texts for key, texts in config.file.texts.items() if key != "require"}
        values: dict[str, Any] = {"requirements": ()}
        if self.is_rate:
            values["arrival_rate"] = "1/s"
        return replace(config.replaced(values), file=replace(config.file, texts=texts))


def format_load(load: float, is_rate: bool) -> str:
    """Format a load: `80 users`, `12.5 iterations/s`."""
    return (
        f"{load:,.4g} iterations/s"
        if is_rate and load < 1000
        else (f"{load:,.0f} iterations/s" if is_rate else counted(int(load), "user"))
    )
