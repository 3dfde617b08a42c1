"""What `obswarm find-limit` has found, in a terminal: the loads that were tried, and the limit."""

from collections.abc import Mapping
from typing import Any

from obswarm.app import exit_codes
from obswarm.app.limit_settings import format_load
from obswarm.cli.tables import metrics_table
from obswarm.cli.text_console import TextConsole, plain
from obswarm.engine import RunResult
from obswarm.record import StopKind
from obswarm.units import format_count, format_duration, format_percent


def print_limit(console: TextConsole, result: RunResult, is_rate: bool) -> int:
    """Print the loads that were tried, and the limit or why there is none. Returns the exit code."""
    code, text, style = _sentence(result, is_rate)
    levels = result.limit.get("levels", ())
    if levels:
        _print_levels(console, levels, is_rate)
    console.print(plain(text, style))
    return code


def _print_levels(console: TextConsole, levels: list[Mapping[str, Any]], is_rate: bool) -> None:
    dropped = ["dropped"] if any(level["dropped_ratio"] for level in levels) else []
    requirements = [each["requirement"] for each in levels[0]["requirements"]]
    headings = ("measured", "req/s", *dropped, *requirements, "verdict")
    rows = []
    for level in levels:
        verdict = ("met" if level["met"] else "not met") + ("" if level["certain"] else " (uncertain)")
        cells = [format_duration(round(level["seconds"])), format_count(level["requests_per_second"])]
        cells += [format_percent(level["dropped_ratio"])] if dropped else []
        cells += [each["shown"] for each in level["requirements"]]
        name = f"{level['load']:,.6g}/s" if is_rate else f"{level['load']:,.0f}"
        rows.append((name, [*cells, verdict]))
    console.print(metrics_table(console.width, "rate" if is_rate else "users", headings, rows, ("measured", "req/s")))


def _sentence(result: RunResult, is_rate: bool) -> tuple[int, str, str]:
    """Return the exit code, the sentence about the limit, and its style."""
    limit, warning = result.limit, "bold yellow"
    if not limit:
        reason = result.stop_reason.detail.rstrip(".")
        return exit_codes.INCOMPLETE, f"The limit was not found: {reason}.", warning
    met, not_met = limit["met"], limit["not_met"]
    at_least = "No load met the requirements."
    if met is not None:
        at_least = f"{format_load(met, is_rate)} met the requirements."
    if limit["saturated_at"] is not None:
        text = (
            "The limit was not found: the load generator was the bottleneck at"
            f" {format_load(limit['saturated_at'], is_rate)}. {at_least} Use more workers."
        )
        return exit_codes.INCOMPLETE, text, warning
    if limit["not_made"]:
        return exit_codes.INCOMPLETE, f"The limit was not found: {limit['not_made']}. {at_least}", warning
    if not limit["is_found"]:
        reason = result.stop_reason.detail.rstrip(".")
        code = exit_codes.INTERRUPTED if result.stop_reason.kind is StopKind.SIGNAL else exit_codes.INCOMPLETE
        return code, f"The limit was not found: {reason}. {at_least}", warning
    if met is None:
        return exit_codes.REQUIREMENTS, f"Not even {format_load(not_met, is_rate)} met the requirements.", warning
    if not_met is None:
        text = f"No limit up to {format_load(met, is_rate)}: all loads met the requirements. Try more with --up-to."
        return exit_codes.OK, text, "bold"
    around = [level for level in limit["levels"] if level["load"] in (met, not_met)]
    rps = next(level["requests_per_second"] for level in around if level["load"] == met)
    doubt = ""
    if not all(level["certain"] for level in around):
        doubt = " One of the two was too close to a requirement to be certain."
    text = (
        f"The limit is {format_load(met, is_rate)} ({format_count(rps)} requests/s): {format_load(met, is_rate)} met"
        f" the requirements, {format_load(not_met, is_rate).split()[0]} did not (each with {limit['confidence']:.0%}"
        f" confidence).{doubt}"
    )
    return exit_codes.OK, text, "bold"
