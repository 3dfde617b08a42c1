"""Values of the load test's own metrics in conditions: `metric("cart_size").p95`, `metric("orders").rate{tier="gold"}`.

Pure functions.
"""

import re
from collections.abc import Mapping, Sequence

from obswarm.guards.conditions import EngineOperand, Operand
from obswarm.guards.selection import PERCENTILE, per_second
from obswarm.nearest import nearest_names
from obswarm.record import Snapshot
from obswarm.sanitize import clean_text
from obswarm.stats import CustomKey, CustomKind, CustomStats, summed

STATISTICS: Mapping[CustomKind, tuple[str, ...]] = {
    CustomKind.COUNTER: ("sum", "rate", "count"),
    CustomKind.GAUGE: ("last", "min", "max"),
    CustomKind.HISTOGRAM: ("count", "rate", "avg", "min", "max", "p50 to p99.9"),
}
"""Statistics by kind of a metric. `rate` of a counter is its sum per second, of a histogram the number of values."""
_ALL = tuple(dict.fromkeys(name for names in STATISTICS.values() for name in names))
CUSTOM_VALUE = re.compile(r'metric\("(\w+)"\)\.([a-z][a-z0-9.]*)')


def wrong_statistic(name: str) -> str | None:
    """Return why a text is no statistic, None if it is one."""
    if name in _ALL or PERCENTILE.fullmatch(name):
        return None
    nearest = nearest_names(name, _ALL, 1)
    return f"Expected one of {', '.join(_ALL)}.{f' Did you mean {nearest[0]}?' if nearest else ''}"


def is_custom(operand: Operand) -> bool:
    """Return whether an operand is about a load test's own metric."""
    return isinstance(operand, EngineOperand) and CUSTOM_VALUE.fullmatch(operand.metric) is not None


def wrong_metric(operand: EngineOperand, declared: Mapping[str, tuple[CustomKind, Sequence[str]]]) -> str | None:
    """Return why an operand has no value for a load test with these metrics (kind and labels by name), None if it may
    have one."""
    name, statistic = _parts(operand)
    if name not in declared:
        nearest = nearest_names(name, declared, 1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        which = f"its metrics are {', '.join(sorted(declared))}" if declared else "it declares none"
        return f"The load test has no metric {clean_text(name, 80)}; {which}.{hint}"
    kind, labels = declared[name]
    if not _has(kind, statistic):
        return f"The metric {name} is a {kind}, which has no {statistic}; it has {', '.join(STATISTICS[kind])}."
    for label, _ in operand.labels:
        if label not in labels:
            return f"The metric {name} has no label {label}; its labels are {', '.join(labels) or '(none)'}."
    return None


def custom_value_of_interval(operand: EngineOperand, snapshot: Snapshot) -> float | None:
    """Return the value over the last interval, None if there is none.

    A counter that was not added to has the value 0, a gauge that was not set the one it had.
    """
    _, statistic = _parts(operand)
    known = _selected(operand, snapshot.custom)
    if known is None:
        return None
    kind, whole = known
    found = _selected(operand, snapshot.interval_custom)
    stats = CustomStats() if found is None else found[1]
    if found is None and kind is CustomKind.GAUGE:
        return whole.last
    if statistic == "rate":
        return _total(kind, stats) / snapshot.interval_s
    value = _value(kind, statistic, stats)
    # An interval that is much longer than a second counts by the second, as of requests.
    return per_second(value, snapshot) if statistic in ("sum", "count") and value is not None else value


def custom_value_of_run(operand: EngineOperand, snapshot: Snapshot) -> float | None:
    """Return the value over the whole run, None if there is none."""
    _, statistic = _parts(operand)
    known = _selected(operand, snapshot.custom)
    if known is None:
        return None
    if statistic == "rate":
        return _total(*known) / snapshot.load_s if snapshot.load_s > 0 else None
    kind, stats = known
    return _value(kind, statistic, stats)


def _parts(operand: EngineOperand) -> tuple[str, str]:
    found = CUSTOM_VALUE.fullmatch(operand.metric)
    assert found is not None, operand
    return found[1], found[2]


def _has(kind: CustomKind, statistic: str) -> bool:
    return statistic in STATISTICS[kind] or (
        kind is CustomKind.HISTOGRAM and PERCENTILE.fullmatch(statistic) is not None
    )


def _selected(operand: EngineOperand, series: Mapping[CustomKey, CustomStats]) -> tuple[CustomKind, CustomStats] | None:
    """Return the kind and the sum of the series with the operand's name and labels."""
    name, _ = _parts(operand)
    wanted = set(operand.labels)
    found = [(key.kind, stats) for key, stats in series.items() if key.name == name and wanted <= set(key.labels)]
    return (found[0][0], summed(stats for _, stats in found)) if found else None


def _total(kind: CustomKind, stats: CustomStats) -> float:
    return stats.sum if kind is CustomKind.COUNTER else float(stats.count)


def _value(kind: CustomKind, statistic: str, stats: CustomStats) -> float | None:
    if not _has(kind, statistic):
        return None
    match statistic:
        case "sum":
            return stats.sum
        case "count":
            return float(stats.count)
        case "avg":
            return stats.mean
        case "min":
            return stats.low
        case "max":
            return stats.high
        case "last":
            return stats.last
    percentile = PERCENTILE.fullmatch(statistic)
    assert percentile is not None, statistic
    return stats.quantile(float(percentile[1]) / 100)
