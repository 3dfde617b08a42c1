"""Two runs beside each other as one HTML file."""

from collections.abc import Sequence
from typing import Any

from obswarm.analysis import CONFIDENCE
from obswarm.report.compare import Comparison, Difference
from obswarm.report.page.data import chart
from obswarm.report.page.steps import steps_of
from obswarm.report.page.template import embedded, render
from obswarm.report.wording import (
    between,
    extent_of,
    figure_name,
    figure_value,
    size_of,
    tone_of,
    unjudged_sentences,
    value_of,
)
from obswarm.stats import TOTAL
from obswarm.store import RunRecord, value_at

_MOST_POINTS = 600


def comparison_page(found: Comparison, base: RunRecord, run: RunRecord) -> str:
    """The whole file. Raises ObswarmError."""
    headline, tone = _headline(found)
    return render(
        "comparison.html.j2",
        base=found.base,
        run=found.run,
        extent=extent_of(found),
        unjudged=unjudged_sentences(found),
        headline=headline,
        tone=tone,
        doubts=found.doubts,
        settings=_notes(found),
        confidence=f"{CONFIDENCE:.0%}",
        tables=_tables(found),
        data=embedded(_charts(found, base, run)),
    )


def _headline(found: Comparison) -> tuple[str, str]:
    differences = [
        (key, each) for key, all_of_it in found.endpoints.items() for each in all_of_it if each.is_significant
    ]
    bad = [pair for pair in differences if tone_of(pair[1]) == "bad"]
    good = [pair for pair in differences if tone_of(pair[1]) == "good"]
    if not found.blocks or all(each.unjudged for all_of_it in found.endpoints.values() for each in all_of_it):
        return "Nothing can be judged", "warn"
    if not differences:
        return "No difference that this data can show", ""
    worst = sorted(bad or good, key=lambda pair: (pair[0] != TOTAL, pair[1].change.p))
    text = ", ".join(f"{key.label} {each.change.measure.name} {size_of(each)}" for key, each in worst[:3])
    if bad and good:
        return f"Better and worse: {text}", "warn"
    return (f"Worse: {text}", "bad") if bad else (f"Better: {text}", "good")


def _notes(found: Comparison) -> list[str]:
    notes = [f"Only in {where}: {key.label}." for key, where in found.only.items()]
    return notes + [f"Configured differently: {name}: {one} → {other}." for name, one, other in found.settings]


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
        for number, (key, differences) in enumerate(found.endpoints.items())
    ]
    changed = [(figure, each) for figure, each in found.targets.items() if each.is_significant]
    if changed:
        rows = [
            _row(
                figure_name(figure),
                figure_value(figure.unit, each.change.base),
                figure_value(figure.unit, each.change.run),
                each,
            )
            for figure, each in changed
        ]
        tables.insert(1, {"id": "targets", "title": "What has changed at the target", "what": "figure", "rows": rows})
    return tables


def _row(name: str, base: str, run: str, difference: Difference) -> dict[str, Any]:
    return {
        "name": name,
        "cells": [base, run, size_of(difference), between(difference), difference.verdict],
        "tone": tone_of(difference),
    }


def _charts(found: Comparison, base: RunRecord, run: RunRecord) -> dict[str, Any]:
    """The two runs on one axis of seconds since their start."""
    longest = max(len(base.seconds), len(run.seconds))
    length = max(1, -(-longest // _MOST_POINTS))
    both = [steps_of(record.seconds, length) for record in (base, run)]
    count = max(map(len, both))

    def lines(values: Sequence[Sequence[float | None]]) -> list[tuple[str, list[float | None]]]:
        names = ("base", "run")
        return [(name, [*each, *[None] * (count - len(each))]) for name, each in zip(names, values, strict=True)]

    charts = [
        chart("Users", "number", lines([[step.users for step in steps] for steps in both])),
        chart("Requests per second", "per_second", lines([[step.requests_rate for step in steps] for steps in both])),
        chart("p50", "seconds", lines([[step.total.quantile(0.5) for step in steps] for steps in both])),
        chart("p95", "seconds", lines([[step.total.quantile(0.95) for step in steps] for steps in both])),
        chart("Error ratio", "ratio", lines([[step.total.error_ratio for step in steps] for steps in both])),
    ]
    groups = [{"title": "Load test", "charts": charts}]
    changed = [figure for figure, each in found.targets.items() if each.is_significant]
    if changed:
        figures = [
            chart(
                figure_name(figure),
                figure.unit,
                lines(
                    [
                        [value_at(record.samples[figure], step.time_s) for step in steps]
                        for record, steps in zip((base, run), both, strict=True)
                    ]
                ),
            )
            for figure in changed
        ]
        groups.append({"title": "Target", "charts": figures})
    time = [round((number + 1) * length, 1) for number in range(count)]
    return {"time": time, "marks": [], "groups": groups, "heat": None, "endpoints": []}
