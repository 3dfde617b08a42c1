"""The report of a run: one self-contained HTML file with verdict, charts over time, tables and configuration."""

from collections.abc import Mapping
from typing import Any

from obswarm import clock
from obswarm.config import setting_text
from obswarm.record import GuardState, RunRecord, guard_title
from obswarm.report import endpoint_table
from obswarm.report.custom_table import custom_cells
from obswarm.report.endpoint_table import endpoint_cells
from obswarm.report.page.comparison import comparison_page
from obswarm.report.page.data import MAX_SHOWN, annotation_colour, busiest_first, chart_data
from obswarm.report.page.template import embedded, render
from obswarm.report.page.verdict import verdict
from obswarm.report.run_wording import guard_outcome, had_little_data
from obswarm.stats import TOTAL, EndpointKey, EndpointStats
from obswarm.units import format_bytes, format_duration, format_latency, format_tenths

__all__ = ["comparison_page", "run_page"]

_MAX_ERRORS = 100


def run_page(record: RunRecord) -> str:
    """Return the HTML report of a run. Raises ObswarmError."""
    info = record.info
    result = info.result or {}
    return render(
        "page.html.j2",
        info=info,
        started=clock.iso(info.started_s),
        took=format_duration(info.duration_s),
        verdict=verdict(record),
        endpoints=_endpoints(record),
        busiest=_busiest(record),
        annotations=[
            {
                "at": format_tenths(annotation.time_s - info.started_s),
                "colour": annotation_colour(annotation.kind),
                "text": annotation.text,
            }
            for annotation in record.annotations
        ],
        errors=_errors(record),
        exceptions=[
            {"count": f"{each.count:,}", "message": each.message, "traceback": each.traceback}
            for each in sorted(record.exceptions.values(), key=lambda each: -each.count)
        ],
        guards=_guards(result),
        workers=_workers(record),
        custom=_custom(record),
        configuration=_configuration(record),
        headings=["endpoint", *endpoint_table.SHORT],
        loadtests=[{"name": each.name, "text": each.text.decode("utf-8", "replace")} for each in record.loadtests],
        data=embedded(chart_data(record)),
    )


def _endpoints(record: RunRecord) -> list[dict[str, Any]]:
    rows = sorted(record.endpoints.items(), key=lambda item: (item[0].name, item[0].method))
    return [_endpoint(key, stats, record.load_s) for key, stats in [*rows, (TOTAL, record.total())]]


def _busiest(record: RunRecord) -> list[dict[str, Any]]:
    """Return rows of the busiest endpoints and the total if there are more than MAX_SHOWN endpoints, else none."""
    if len(record.endpoints) <= MAX_SHOWN:
        return []
    keys = busiest_first(record.endpoints)[:MAX_SHOWN]
    rows = sorted((record.endpoints[key] for key in keys), key=lambda stats: (stats.key.name, stats.key.method))
    return [_endpoint(stats.key, stats, record.load_s) for stats in [*rows, record.total()]]


def _endpoint(key: EndpointKey, stats: EndpointStats, load_s: float) -> dict[str, Any]:
    return {"name": key.label, "cells": endpoint_cells(stats, endpoint_table.SHORT, load_s)}


def _errors(record: RunRecord) -> list[dict[str, Any]]:
    start_s = record.info.started_s
    return [
        {
            "name": key.endpoint.label,
            "cells": [
                key.message,
                f"{seen.count:,}",
                format_tenths(seen.first_seen_s - start_s),
                format_tenths(seen.last_seen_s - start_s),
            ],
            "example": seen.example,
        }
        for key, seen in sorted(record.errors.items(), key=lambda item: -item[1].count)[:_MAX_ERRORS]
    ]


def _guards(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "name": guard_title(guard["name"], guard["when"], guard["action"]),
            "cells": [guard["action"], guard_outcome(guard)],
            "tone": _tone_of(guard),
        }
        for guard in result.get("guards", ())
    ]
    for each in result.get("requirements", ()):
        verdict, tone = ("met", "good") if each["met"] else ("not met", "bad")
        rows.append({"name": each["require"], "cells": ["required", verdict], "tone": tone})
    return rows


def _tone_of(guard: Mapping[str, Any]) -> str:
    if guard["trips"] or guard.get("stopped"):
        return "bad"
    lacks = guard["state"] == GuardState.NO_DATA or not guard.get("matched", True) or had_little_data(guard)
    return "warn" if lacks else "good"


def _custom(record: RunRecord) -> dict[str, Any]:
    headings, rows = custom_cells(record.custom, record.load_s)
    return {"headings": ["metric", *headings], "rows": [{"name": name, "cells": cells} for name, cells in rows]}


def _workers(record: RunRecord) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for interval in record.intervals for name in interval.workers)
    rows = []
    for name in names:
        seen = [interval.workers[name] for interval in record.intervals if name in interval.workers]
        state = "saturated" if any(each.saturated for each in seen) else seen[-1].state
        rows.append(
            {
                "name": name,
                "cells": [
                    f"{max(each.cpu_ratio for each in seen):.0%}",
                    format_latency(max(each.loop_lag_s for each in seen)),
                    format_bytes(seen[-1].memory_bytes),
                    state,
                ],
            }
        )
    return rows


def _configuration(record: RunRecord) -> list[tuple[str, str]]:
    info = record.info
    rows: list[tuple[str, Any]] = [
        ("obswarm", info.version),
        ("revision", info.revision),
        ("started", clock.iso(info.started_s)),
        ("measured", format_duration(round(sum(interval.interval_s for interval in record.intervals), 1))),
        *info.configuration.items(),
    ]
    return [(name, setting_text(name, value)) for name, value in rows if value is not None]
