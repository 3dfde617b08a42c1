"""The series that are there now, in a Prometheus and in the embedded source."""

import math
from collections.abc import Iterable, Mapping

from obswarm import clock
from obswarm.targets import EmbeddedSource
from tests.support.prometheus import Prometheus

Series = dict[tuple[tuple[str, str], ...], float | None]
"""By all labels. None for what is no number, and for how long a scrape took, which is another time each time."""

_DURATION = "scrape_duration_seconds"


def series_of_prometheus(prometheus: Prometheus) -> dict[str, Series]:
    """By job."""
    return _by_job((each["metric"], float(each["value"][1])) for each in prometheus.query('{__name__=~".+"}'))


def series_of_source(source: EmbeddedSource) -> dict[str, Series]:
    """By job. Of a source that was made without queries: it keeps all."""
    store, now = source._store, clock.monotonic()
    return _by_job(
        ({"__name__": name, **labels}, value)
        for name in store.metric_names
        for labels, _, value in store.latest(name, now)
    )


def _by_job(every: Iterable[tuple[Mapping[str, str], float]]) -> dict[str, Series]:
    found: dict[str, Series] = {}
    for labels, value in every:
        is_told = labels["__name__"] != _DURATION and not math.isnan(value)
        found.setdefault(labels["job"], {})[tuple(sorted(labels.items()))] = value if is_told else None
    return found


def only_in(these: Mapping[str, Series], those: Mapping[str, Series], job: str) -> list[str]:
    """What a person needs to see of the series that one has and the other has not, or with another value."""
    found = those.get(job, {})
    return [
        f"{ {name: text for name, text in labels if name != 'job'} } {value}"
        for labels, value in these.get(job, {}).items()
        if labels not in found or found[labels] != value
    ]
