"""What a worker has to run, as it is sent to it: files, user classes, options. A value and its form on the wire."""

import argparse
from dataclasses import asdict, dataclass, fields
from typing import Any

import msgpack

from obswarm.api import ObswarmError
from obswarm.bounded_msgpack import unpack

_MOST_ITEMS = 1_000_000
"""A load test's own options may hold lists."""


@dataclass(frozen=True, slots=True)
class Job:
    """`files` are paths relative to the bundle, or to `root` where worker and master share a file system.

    `options` are the values of `environment.parsed_options`, those of the load-test file's own options among them.
    """

    files: tuple[str, ...]
    root: str
    user_classes: tuple[str, ...]
    host: str | None
    tags: tuple[str, ...]
    exclude_tags: tuple[str, ...]
    stop_timeout_s: float
    max_endpoints: int
    detailed_timings: bool
    trace_share: float
    locust_names: bool
    options: dict[str, Any]
    loglevel: str

    def pack(self) -> bytes:
        packed: bytes = msgpack.packb(asdict(self), default=str)
        return packed

    @staticmethod
    def unpack(packed: bytes) -> "Job":
        """Raises ObswarmError for anything else than `pack` has made."""
        try:
            values = unpack(packed, _MOST_ITEMS)
            values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
            return Job(**{field.name: values[field.name] for field in fields(Job)})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ObswarmError(
                f"What the master wants to be run cannot be understood ({type(error).__name__})."
            ) from None


def plain_options(options: argparse.Namespace) -> dict[str, Any]:
    """Those values of a namespace that can be sent: numbers, texts, lists and dictionaries of them. Others stay
    behind."""

    def fine(value: Any) -> bool:
        if value is None or isinstance(value, bool | int | float | str):
            return True
        if isinstance(value, list | tuple):
            return all(map(fine, value))
        return isinstance(value, dict) and all(isinstance(key, str) and fine(each) for key, each in value.items())

    return {name: value for name, value in vars(options).items() if fine(value)}
