"""`locust.argument_parser`: the parser of `events.init_command_line_parser`, and types for its options."""

import argparse

from obswarm.api import LoadTestParser
from obswarm.locust.util.timespan import parse_timespan

LocustArgumentParser = LoadTestParser

__all__ = ["LocustArgumentParser", "gt_zero", "positive_integer", "timespan"]


def timespan(text: str) -> int:
    """Return the seconds of a duration such as `1h30m`. Raises argparse.ArgumentTypeError."""
    try:
        return parse_timespan(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive_integer(text: str) -> int:
    """Return a whole number of at least 1. Raises argparse.ArgumentTypeError."""
    number = int(text) if text.strip().lstrip("+").isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def gt_zero(text: str) -> float:
    """Return a number above 0. Raises argparse.ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number
