"""Chart data of a report: columns over time, as JSON-ready values."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from obswarm.record import AnnotationKind, Interval, MetricKey, RunRecord, value_at
from obswarm.report.compare import target_metric_order
from obswarm.report.page.chart import MAX_LINES, Column, chart, short
from obswarm.report.page.custom_charts import custom_groups
from obswarm.report.page.steps import Step, length_of, steps_of
from obswarm.stats import EndpointKey, EndpointStats
from obswarm.stats.histogram import upper_bound
from obswarm.targets import title_of
from obswarm.units import counted, format_clock, format_duration

MAX_POINTS = 600
"""Maximum number of points on the time axis; longer runs have steps of several seconds."""

MAX_SHOWN = 10
"""Number of endpoints shown without expanding the rest."""

_MAX_HEAT_COLUMNS = 150
_BUCKETS_PER_BAND = 4
"""Histogram buckets in a band of the heatmap: eight bands per doubling."""

_QUANTILES = (0.5, 0.95, 0.99)

ANNOTATION_COLOURS: Mapping[str, str] = {
    AnnotationKind.START: "--good",
    AnnotationKind.TAKEOVER: "--c7",
    AnnotationKind.STOP: "--c0",
    AnnotationKind.STAGE: "--c3",
    AnnotationKind.RESTART: "--c7",
    AnnotationKind.GUARD: "--bad",
    AnnotationKind.ALERT: "--bad",
    AnnotationKind.RELEASE: "--good",
    AnnotationKind.TARGET: "--warn",
    AnnotationKind.NOTE: "--c0",
}
"""Colours of annotations, in charts and in their list, as names of base.css."""

_GAP_AT_FIRST_S = 5.0
"""Time until the first values of a target, in seconds, that does not count as a gap."""
_SHORTEST_GAP_S = 0.5
_MAX_GAPS_NAMED = 4

Gap = tuple[float, float]
"""(start, end) in seconds since the start of the run."""


def chart_data(record: RunRecord) -> dict[str, Any]:
    """Return the data of all charts. `time`: seconds since the start; each line has as many values, null for none."""
    steps = _at_most(record.intervals, MAX_POINTS)
    start_s = record.info.started_s
    time: Column = [round(step.elapsed_s, 1) for step in steps]
    groups = [
        {"title": "Load test", "charts": _load_test(steps)},
        *custom_groups(record, steps),
        *_targets(record, steps),
        {"title": "Load generator", "charts": _generator(steps)},
    ]
    lines = [line["values"] for group in groups for drawn in group["charts"] for line in drawn["lines"]]
    for at in range(len(steps) - 1, 0, -1):
        if steps[at].number > steps[at - 1].number + 1:
            # No snapshots (blocked event loop): interrupt the lines.
            time.insert(at, round((steps[at - 1].elapsed_s + steps[at].elapsed_s) / 2, 1))
            for values in lines:
                values.insert(at, None)
    return {
        "time": time,
        "annotations": [
            [round(annotation.time_s - start_s, 1), annotation_colour(annotation.kind)]
            for annotation in record.annotations
        ],
        "groups": groups,
        "heat": _heat(record),
        "endpoints": [_distribution(key, record.endpoints[key]) for key in _with_the_busiest_first(record.endpoints)],
        "shown": MAX_SHOWN,
    }


def annotation_colour(kind: str) -> str:
    """Return the colour of annotations of a kind, which may be one of another version of obswarm."""
    return ANNOTATION_COLOURS.get(kind, "--c7")


def busiest_first(endpoints: Mapping[EndpointKey, EndpointStats]) -> list[EndpointKey]:
    """Sort endpoints by number of requests, descending."""
    return sorted(endpoints, key=lambda key: (-endpoints[key].requests, key))


def _with_the_busiest_first(endpoints: Mapping[EndpointKey, EndpointStats]) -> list[EndpointKey]:
    """Return the busiest endpoints by name, then the others by name."""
    order = busiest_first(endpoints)
    return [*sorted(order[:MAX_SHOWN]), *sorted(order[MAX_SHOWN:])]


def _at_most(seconds: Sequence[Interval], max_steps: int) -> list[Step]:
    return steps_of(seconds, length_of(seconds, max_steps))


def _load_test(steps: Sequence[Step]) -> list[dict[str, Any]]:
    quantiles = [step.total.quantiles(_QUANTILES) or (None,) * len(_QUANTILES) for step in steps]
    return [
        chart(
            "Users",
            "number",
            [
                ("users", [step.users for step in steps]),
                ("target", [float(sum(step.present.users_target.values())) for step in steps]),
            ],
        ),
        chart(
            "Requests per second",
            "per_second",
            [
                ("all", [step.requests_rate for step in steps]),
                ("successful", [step.successes_rate for step in steps]),
            ],
        ),
        chart(
            "Latency",
            "seconds",
            [(f"p{q * 100:.0f}", [values[number] for values in quantiles]) for number, q in enumerate(_QUANTILES)],
        ),
        *_open_model(steps),
        chart("p95 by endpoint", "seconds", _by_endpoint(steps)),
        *_in_flight(steps),
        chart("Errors per second, by kind", "per_second", _errors(steps), stacked=True),
    ]


def _open_model(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return the charts of iterations and of latency from the intended start, of runs that have them."""
    charts = []
    if any(step.present.rates_target for step in steps):
        charts.append(
            chart(
                "Iterations per second",
                "per_second",
                [
                    ("finished", _growth(steps, lambda interval: sum(interval.iterations.values()))),
                    ("target", [float(sum(step.present.rates_target.values())) for step in steps]),
                ],
            )
        )
    if any(interval.dropped for step in steps for interval in step.intervals):
        dropped = _growth(steps, lambda interval: sum(interval.dropped.values()))
        charts.append(chart("Iterations per second that were not started", "per_second", [("dropped", dropped)]))
    if any(step.total.intended_duration is not None for step in steps):
        histograms = [step.total.intended_duration for step in steps]
        columns: list[tuple[str, Column]] = [
            (f"p{q * 100:.0f}", [None if each is None else each.quantile(q) for each in histograms]) for q in _QUANTILES
        ]
        charts.append(chart("Latency from the intended start", "seconds", columns))
    return charts


def _growth(steps: Sequence[Step], total: Callable[[Interval], int]) -> Column:
    """Return by how much a count since the reset of statistics has grown in each step, per second."""
    column: Column = []
    before, epoch = 0, None
    for step in steps:
        last = step.intervals[-1]
        if last.epoch != epoch:
            before, epoch = 0, last.epoch
        column.append((total(last) - before) / step.span_s if step.span_s else None)
        before = total(last)
    return column


def _in_flight(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return the charts of requests in flight; none for runs stored by a version that did not record them."""
    if not any(interval.in_flight is not None for step in steps for interval in step.intervals):
        return []
    counts: Column = [max((interval.in_flight or 0 for interval in step.counted), default=None) for step in steps]
    oldest: Column = [max((interval.oldest_s or 0.0 for interval in step.counted), default=None) for step in steps]
    return [
        chart("Requests in flight", "number", [("in flight", counts)]),
        chart("Oldest request in flight", "seconds", [("oldest", oldest)]),
    ]


def _by_endpoint(steps: Sequence[Step]) -> list[tuple[str, Column]]:
    """Return the p95 of the busiest endpoints."""
    requests: Counter[EndpointKey] = Counter()
    for step in steps:
        for interval in step.intervals:
            requests.update({key: stats.requests for key, stats in interval.endpoints.items()})
    lines: list[tuple[str, Column]] = []
    for key, _ in requests.most_common(MAX_LINES):
        values: Column = []
        for step in steps:
            merged = EndpointStats(key)
            for interval in step.intervals:
                if key in interval.endpoints:
                    merged.merge(interval.endpoints[key])
            values.append(merged.quantile(0.95))
        lines.append((key.label, values))
    return lines


def _errors(steps: Sequence[Step]) -> list[tuple[str, Column]]:
    spans = [step.rate_s for step in steps]
    by_kind: dict[str, list[int]] = {}
    for number, step in enumerate(steps):
        for interval in step.intervals:
            for key, seen in interval.errors.items():
                by_kind.setdefault(key.message, [0] * len(steps))[number] += seen.count
    most_frequent = sorted(by_kind.items(), key=lambda item: -sum(item[1]))
    lines: list[tuple[str, Column]] = [
        (kind, [count / span for count, span in zip(counts, spans, strict=True)])
        for kind, counts in most_frequent[:MAX_LINES]
    ]
    rest = [counts for _, counts in most_frequent[MAX_LINES:]]
    if rest:
        lines.append(("others", [sum(each) / span for each, span in zip(zip(*rest, strict=True), spans, strict=True)]))
    return lines


def _targets(record: RunRecord, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return a group of charts for each target, in the order in which a request passes them, with the gaps in its
    metrics."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    points: dict[tuple[str, str], list[Sequence[tuple[float, float]]]] = {}
    for metric in sorted(record.samples, key=target_metric_order):
        values: Column = [value_at(record.samples[metric], step.time_s) for step in steps]
        drawn = chart(_sentence(metric), metric.unit, [(metric.name, values)])
        groups.setdefault((metric.target, metric.kind), []).append(drawn)
        points.setdefault((metric.target, metric.kind), []).append(record.samples[metric])
    end_s = record.intervals[-1].time_s if record.intervals else record.info.started_s
    gaps = {of: gaps_of(metrics, record.info.started_s, end_s) for of, metrics in points.items()}
    return [
        {
            "title": title_of(*of),
            "charts": charts,
            "gaps": [[round(edge, 1) for edge in gap] for gap in gaps[of]],
            "gaps_text": gaps_text(gaps[of]),
        }
        for of, charts in groups.items()
    ]


def _sentence(metric: MetricKey) -> str:
    return metric.name[:1].upper() + metric.name[1:]


def _generator(steps: Sequence[Step]) -> list[dict[str, Any]]:
    workers = sorted({name for step in steps for interval in step.intervals for name in interval.workers})[:MAX_LINES]

    def lines(of: Callable[[Any], float]) -> list[tuple[str, Column]]:
        return [
            (name, [of(step.present.workers[name]) if name in step.present.workers else None for step in steps])
            for name in workers
        ]

    return [
        chart("CPU of workers (100 % is one core)", "ratio", lines(lambda worker: worker.cpu_ratio)),
        chart("Event loop lag", "seconds", lines(lambda worker: worker.loop_lag_s)),
        chart("Users by worker", "number", lines(lambda worker: float(worker.users)), stacked=True),
    ]


def _heat(record: RunRecord) -> dict[str, Any]:
    """Return the heatmap of requests by time and duration.

    `edges`: bounds of the bands in seconds (one more than bands); `columns`: [band, requests, band, requests …] for
    each step, which ends at `time`.
    """
    steps = _at_most(record.intervals, _MAX_HEAT_COLUMNS)
    columns: list[dict[int, int]] = []
    for step in steps:
        counts: dict[int, int] = {}
        for index, count in step.total.duration:
            band = -(-index // _BUCKETS_PER_BAND)
            counts[band] = counts.get(band, 0) + count
        columns.append(counts)
    bands = [band for counts in columns for band in counts]
    if not bands:
        return {"edges": [], "time": [], "columns": []}
    lowest, highest = min(bands), max(bands)
    return {
        "edges": [short(upper_bound(band * _BUCKETS_PER_BAND)) for band in range(lowest - 1, highest + 1)],
        "time": [round(step.elapsed_s, 1) for step in steps],
        "columns": [
            [value for band, count in sorted(counts.items()) for value in (band - lowest, count)] for counts in columns
        ],
    }


def _distribution(key: EndpointKey, stats: EndpointStats) -> dict[str, Any]:
    """Return the latency distribution of an endpoint. `bands`: [upper bound in seconds, requests] of non-empty
    bands."""
    counts: dict[int, int] = {}
    for index, count in stats.duration:
        band = -(-index // _BUCKETS_PER_BAND)
        counts[band] = counts.get(band, 0) + count
    return {
        "name": key.label,
        "bands": [[short(upper_bound(band * _BUCKETS_PER_BAND)), count] for band, count in sorted(counts.items())],
    }


def gaps_of(metrics: Iterable[Sequence[tuple[float, float]]], start_s: float, end_s: float) -> list[Gap]:
    """Return the gaps between `start_s` and `end_s` in which no metric had a value. Each metric is a list of its
    changes, (time, value), with NaN where its values end."""
    changes: dict[float, dict[int, bool]] = {start_s: {}, end_s: {}}
    for number, points in enumerate(metrics):
        for time_s, value in points:
            changes.setdefault(time_s, {})[number] = not math.isnan(value)
    known: set[int] = set()
    gaps: list[Gap] = []
    begin_s: float | None = None
    for time_s in sorted(changes):
        for number, has_value in changes[time_s].items():
            (known.add if has_value else known.discard)(number)
        if not known and begin_s is None:
            begin_s = time_s
        elif begin_s is not None and (known or time_s == end_s):
            gaps.append((max(begin_s, start_s) - start_s, min(time_s, end_s) - start_s))
            begin_s = None
    return [gap for gap in gaps if gap[1] - gap[0] >= (_SHORTEST_GAP_S if gap[0] else _GAP_AT_FIRST_S)]


def gaps_text(gaps: Sequence[Gap]) -> str:
    """Return a sentence on the gaps; empty if there are none."""
    if not gaps:
        return ""
    total = format_duration(round(sum(to_s - from_s for from_s, to_s in gaps)))
    named = ", ".join(f"{format_clock(from_s)} to {format_clock(to_s)}" for from_s, to_s in gaps[:_MAX_GAPS_NAMED])
    more = f" and {counted(len(gaps) - _MAX_GAPS_NAMED, 'more gap')}" if len(gaps) > _MAX_GAPS_NAMED else ""
    return f"No data for {total}: {named}{more}."
