"""Job: the load test that a worker runs, with its part of the RunConfig, and its encoding."""

import argparse
from dataclasses import dataclass, fields
from typing import Any

import msgpack

from obswarm.api import ObswarmError
from obswarm.bounded_msgpack import unpack
from obswarm.config import BadConfig, RunConfig, from_master, to_workers

_MOST_ITEMS = 1_000_000
"""A load test's own options may hold lists."""


@dataclass(frozen=True, slots=True)
class Job:
    """`files` are paths relative to the bundle, or to `root` if worker and master share a file system.

    `options` are the values of `environment.parsed_options`, including the load test's own options. `config` has the
    settings that workers need; all others have their defaults.
    """

    files: tuple[str, ...]
    root: str
    user_classes: tuple[str, ...]
    options: dict[str, Any]
    config: RunConfig

    def pack(self) -> bytes:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        packed: bytes = msgpack.packb(values | {"config": to_workers(self.config)}, default=str)
        return packed

    @staticmethod
    def unpack(packed: bytes) -> "Job":
        """Decode a job. Raises ObswarmError for anything that `pack` would not have produced."""
        try:
            values = unpack(packed, _MOST_ITEMS)
            config = from_master(values["config"])
            values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
            return Job(**{field.name: values[field.name] for field in fields(Job)} | {"config": config})
        except BadConfig as error:
            raise ObswarmError(
                f"The master's settings are invalid: {error}. Install the same release of obswarm on both."
            ) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ObswarmError(
                f"The load test that the master sent cannot be decoded ({type(error).__name__})."
            ) from None


def plain_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the values of a namespace that can be sent: numbers, strings, lists and dictionaries of them."""

    def can_be_sent(value: Any) -> bool:
        if value is None or isinstance(value, bool | int | float | str):
            return True
        if isinstance(value, list | tuple):
            return all(map(can_be_sent, value))
        return isinstance(value, dict) and all(
            isinstance(key, str) and can_be_sent(each) for key, each in value.items()
        )

    return {name: value for name, value in vars(options).items() if can_be_sent(value)}
