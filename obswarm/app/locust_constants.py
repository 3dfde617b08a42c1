"""Constants of `locust.stats` that load tests set to change what a run writes."""

import sys
from typing import Any

from obswarm.api import ObswarmError

_MODULE = "obswarm.locust.stats"
_PLACE = "locust.stats"


def report_percentiles() -> tuple[float, ...]:
    """Return the percentiles with a column in CSV files, as shares. Raises ObswarmError if the load test has set
    something else."""
    found = _constant("PERCENTILES_TO_REPORT")
    if found is None:
        from obswarm.report.csv_files import PERCENTILES

        return PERCENTILES
    values: list[Any] = list(found) if isinstance(found, list | tuple) else [None]
    if not all(isinstance(value, int | float) and 0 < value <= 1 for value in values):
        raise ObswarmError(
            f"{_PLACE}.PERCENTILES_TO_REPORT is {found!r}; it has to be a list of shares above 0 and at most 1."
        )
    return tuple(float(value) for value in values)


def console_interval_s() -> float | None:
    """Return the seconds between two lines of progress that the load test has set, None if it has not. Raises
    ObswarmError for an invalid value."""
    found = _constant("CONSOLE_STATS_INTERVAL_SEC")
    if found is None or found == _DEFAULT_INTERVAL_S:
        return None
    if not isinstance(found, int | float) or not 0 < found < float("inf"):
        raise ObswarmError(f"{_PLACE}.CONSOLE_STATS_INTERVAL_SEC is {found!r}; it has to be a number above 0.")
    return float(found)


_DEFAULT_INTERVAL_S = 2
"""Of Locust. Lines of obswarm come every five seconds, unless the load test says otherwise."""


def _constant(name: str) -> Any:
    """Return a constant of the module, None if no load test has imported it."""
    return getattr(sys.modules.get(_MODULE), name, None)
