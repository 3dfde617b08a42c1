"""The comparison of two runs as one self-contained HTML file."""

from collections.abc import Callable
from typing import Any

from obswarm.analysis import CONFIDENCE
from obswarm.record import MetricKey, RunRecord, value_at
from obswarm.report.compare import Comparison, Difference
from obswarm.report.compare_targets import target_sentences
from obswarm.report.custom_table import custom_title
from obswarm.report.page.chart import chart
from obswarm.report.page.custom_charts import MAX_CUSTOM_CHARTS, custom_column
from obswarm.report.page.data import MAX_POINTS, MAX_SHOWN
from obswarm.report.page.steps import Step, length_of, steps_of
from obswarm.report.page.template import embedded, render
from obswarm.report.wording import (
    change_text,
    compared_extent,
    confidence_interval_text,
    inconclusive_sentences,
    one_sided_sentences,
    target_metric_name,
    tone_of,
    value_of,
)
from obswarm.stats import TOTAL, CustomKey, EndpointKey
from obswarm.units import format_in_unit, format_number


def comparison_page(found: Comparison, base: RunRecord, run: RunRecord) -> str:
    """Return the HTML page of a comparison. Raises ObswarmError."""
    headline, tone = _headline(found)
    tables = _tables(found)
    return render(
        "comparison.html.j2",
        base=found.base,
        run=found.run,
        extent=compared_extent(found),
        inconclusive=inconclusive_sentences(found),
        headline=headline,
        tone=tone,
        incomparable=found.incomparable,
        settings=_notes(found),
        confidence=f"{CONFIDENCE:.0%}",
        tables=tables[: MAX_SHOWN + 1],
        more_tables=tables[MAX_SHOWN + 1 :],
        data=embedded(_charts(found, base, run)),
    )


def _headline(found: Comparison) -> tuple[str, str]:
    differences = [
        (key, each) for key, all_of_it in found.endpoints.items() for each in all_of_it if each.is_significant
    ]
    bad = [pair for pair in differences if tone_of(pair[1]) == "bad"]
    good = [pair for pair in differences if tone_of(pair[1]) == "good"]
    if all(each.inconclusive for all_of_it in found.endpoints.values() for each in all_of_it):
        return "Inconclusive", "warn"
    if not differences:
        return "No difference that this data can show", ""
    worst = sorted(bad or good, key=lambda pair: (pair[0] != TOTAL, pair[1].change.p))
    text = ", ".join(f"{key.label} {each.change.measure.name} {change_text(each)}" for key, each in worst[:3])
    if bad and good:
        return f"Better and worse: {text}", "warn"
    return (f"Worse: {text}", "bad") if bad else (f"Better: {text}", "good")


def _notes(found: Comparison) -> list[str]:
    return (
        target_sentences(found)
        + one_sided_sentences(found)
        + [f"Configured differently: {name}: {one} → {other}." for name, one, other in found.settings]
    )


def _changed_first(found: Comparison) -> list[tuple[EndpointKey, tuple[Difference, ...]]]:
    """Return the total and the endpoints; if there are many, those that have changed first."""
    (whole, *rest) = found.endpoints.items()
    if len(rest) > MAX_SHOWN:
        rest.sort(key=lambda item: not any(each.is_significant for each in item[1]))
    return [whole, *rest]


def _tables(found: Comparison) -> list[dict[str, Any]]:
    tables = [
        {
            "id": f"table-{number}",
            "title": "All endpoints" if key == TOTAL else key.label,
            "what": "measure",
            "rows": [
                _row(
                    each.change.measure.name,
                    value_of(each.change.measure.name, each.change.base),
                    value_of(each.change.measure.name, each.change.run),
                    each,
                )
                for each in differences
            ],
        }
        for number, (key, differences) in enumerate(_changed_first(found))
    ]
    changed = [(metric, each) for metric, each in found.targets.items() if each.is_significant]
    if changed:
        rows = [
            _row(
                target_metric_name(metric),
                format_in_unit(metric.unit, each.change.base),
                format_in_unit(metric.unit, each.change.run),
                each,
            )
            for metric, each in changed
        ]
        tables.insert(1, {"id": "targets", "title": "Changes in the targets' metrics", "what": "metric", "rows": rows})
    own = [(key, statistic, each) for (key, statistic), each in found.custom.items()]
    if own:
        rows = [
            _row(
                f"{custom_title(key)} {statistic}",
                format_number(each.change.base),
                format_number(each.change.run),
                each,
            )
            for key, statistic, each in own
        ]
        tables.insert(1, {"id": "metrics", "title": "Metrics of the load test", "what": "metric", "rows": rows})
    return tables


def _row(name: str, base: str, run: str, difference: Difference) -> dict[str, Any]:
    return {
        "name": name,
        "cells": [base, run, change_text(difference), confidence_interval_text(difference), difference.verdict],
        "tone": tone_of(difference),
    }


def _charts(found: Comparison, base: RunRecord, run: RunRecord) -> dict[str, Any]:
    """Return the charts of both runs on a common axis: seconds since the start."""
    length = max(length_of(record.intervals, MAX_POINTS) for record in (base, run))
    both = [
        (name, record, {step.number: step for step in steps_of(record.intervals, length)})
        for name, record in (("base", base), ("run", run))
    ]
    count = max((number + 1 for _, _, steps in both for number in steps), default=0)

    def lines(value: Callable[[RunRecord, Step], float | None]) -> list[tuple[str, list[float | None]]]:
        return [
            (name, [value(record, steps[number]) if number in steps else None for number in range(count)])
            for name, record, steps in both
        ]

    def of_target(metric: MetricKey) -> Callable[[RunRecord, Step], float | None]:
        return lambda record, step: value_at(record.samples[metric], step.time_s)

    def of_metric(key: CustomKey) -> Callable[[RunRecord, Step], float | None]:
        columns = {
            name: dict(zip(steps, custom_column(key, list(steps.values())), strict=True)) for name, _, steps in both
        }
        names = {id(record): name for name, record, _ in both}
        return lambda record, step: columns[names[id(record)]][step.number]

    has_intended = any(record.total().intended_duration is not None for record in (base, run))
    charts = [
        chart("Users", "number", lines(lambda _, step: step.users)),
        chart("Requests per second", "per_second", lines(lambda _, step: step.requests_rate)),
        chart("p50", "seconds", lines(lambda _, step: step.total.quantile(0.5))),
        chart("p95", "seconds", lines(lambda _, step: step.total.quantile(0.95))),
        *([chart("p95 from the intended start", "seconds", lines(_intended_p95))] if has_intended else []),
        chart("Error ratio", "ratio", lines(lambda _, step: step.total.error_ratio)),
    ]
    groups = [{"title": "Load test", "charts": charts}]
    # With many series, those that have changed first.
    own = sorted(found.custom.items(), key=lambda item: not item[1].is_significant)[:MAX_CUSTOM_CHARTS]
    if own:
        groups.append(
            {
                "title": "Metrics of the load test",
                "charts": [
                    chart(f"{custom_title(key)} {statistic}", "number", lines(of_metric(key)))
                    for (key, statistic), _ in own
                ],
            }
        )
    changed = [metric for metric, each in found.targets.items() if each.is_significant]
    if changed:
        metrics = [
            chart(
                target_metric_name(metric),
                metric.unit,
                lines(of_target(metric)),
            )
            for metric in changed
        ]
        groups.append({"title": "Target", "charts": metrics})
    time = [round((number + 1) * length, 1) for number in range(count)]
    return {"time": time, "annotations": [], "groups": groups, "heat": None, "endpoints": []}


def _intended_p95(_: RunRecord, step: Step) -> float | None:
    intended = step.total.intended_duration
    return None if intended is None else intended.quantile(0.95)
