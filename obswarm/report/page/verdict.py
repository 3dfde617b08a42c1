"""The verdict of a run's report: a headline and a few sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from obswarm.analysis.explain import explain, headline
from obswarm.record import GuardState, RunRecord, StopKind, dropped_by_reason, guard_title
from obswarm.report.cut_off import cut_off_sentences
from obswarm.report.iterations import intended_text, iteration_sentences
from obswarm.report.run_wording import NO_REQUEST_SELECTED, generator_sentence, had_little_data, no_data_of
from obswarm.units import counted, format_count, format_duration, format_latency, format_percent, format_tenths

_HIGH_ERROR_RATIO = 0.05
"""Error ratio from which the headline is bad."""


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence. `tone`: CSS class good, bad, warn or empty."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The headline says how the run ended; the lines tell whether its results are valid."""

    headline: str
    tone: str
    lines: tuple[Line, ...]


def verdict(record: RunRecord) -> Verdict:
    """Return the verdict, from the result if the run has one, else from its stored intervals."""
    result = record.info.result
    lines = [_totals_line(record), *_iterations(record), *_explanation(record)]
    if result is None:
        lines.append(
            Line("The run is still in progress, or was killed: up to its last two seconds are missing.", "warn")
        )
        return Verdict("Incomplete run", "warn", (*lines, _validity_of_intervals(record)))
    lines += [
        Line(f"Required {each['require']}: {'met' if each['met'] else 'not met'}.", "good" if each["met"] else "bad")
        for each in result["requirements"]
    ]
    for guard in result["guards"]:
        title = guard_title(guard["name"], guard["when"], guard["action"])
        if guard["trips"]:
            lines.append(Line(f"The guard {title} tripped ({guard['action']}).", "bad"))
        elif guard.get("stopped"):
            why = f"{guard['stopped']}: {guard['no_data_reason']}" if guard["no_data_reason"] else guard["stopped"]
            lines.append(Line(f"The guard {title} stopped the run: {why}.", "bad"))
        elif not guard.get("matched", True):
            lines.append(Line(f"The guard {title} had no data: {NO_REQUEST_SELECTED}.", "warn"))
        elif guard["state"] == GuardState.NO_DATA:
            lines.append(Line(f"The guard {title} had no data: {guard['no_data_reason']}.", "warn"))
        elif had_little_data(guard):
            lines.append(Line(f"The guard {title} had {no_data_of(guard)}.", "warn"))
    # Not stored by earlier versions.
    lines += [Line(each["problem"], "warn") for each in result.get("targets", ()) if each["problem"]]
    for loss in result["lost"]:
        # Results of earlier versions have no number of requests.
        requests = loss.get("requests")
        unreported_s = loss["unreported_s"]
        extent = "for an unknown time" if unreported_s is None else f"up to {format_tenths(unreported_s)}"
        if requests is not None:
            extent = counted(requests, "request")
        lines.append(Line(f"Lost statistics: {loss['worker']}, {loss['detail']}; {extent}.", "bad"))
    lines += [Line(sentence) for sentence in (*_in_flight(result), *_cut_off(result))]
    generator = result["generator"]
    lines.append(_validity(generator["saturated"], generator.get("max_cpu_ratio"), generator.get("max_loop_lag_s")))
    headline, tone = _headline(record)
    return Verdict(headline, tone, tuple(lines))


def _explanation(record: RunRecord) -> list[Line]:
    """Return what saturated first, of a run that broke."""
    found = explain(record)
    return [Line(headline(found), "bad")] if found.has_broken else []


_MAX_NAMED = 3
_LONG_RUNNING_S = 1.0


def _in_flight(result: Mapping[str, Any]) -> list[str]:
    """Return a sentence on endpoints with long-running requests, longest first."""
    # Not stored by earlier versions.
    endpoints = result.get("in_flight", {}).get("max", {}).get("endpoints", [])
    old = sorted(
        (each for each in endpoints if each["oldest_s"] >= _LONG_RUNNING_S), key=lambda each: -each["oldest_s"]
    )
    if not old:
        return []
    named = ", ".join(
        f"{each['method']} {each['name']} (oldest {format_latency(each['oldest_s'])},"
        f" up to {each['requests']:,} concurrently)"
        for each in old[:_MAX_NAMED]
    )
    more = f" and {len(old) - _MAX_NAMED} more endpoints" if len(old) > _MAX_NAMED else ""
    return [f"Long-running requests: {named}{more}."]


def _cut_off(result: Mapping[str, Any]) -> list[str]:
    if "cut_off" in result:
        return cut_off_sentences(result["cut_off"])
    # A result of an earlier version.
    interrupted = result["totals"].get("interrupted")
    return (
        [f"{counted(interrupted, 'request')} cut off when the run stopped; not counted anywhere else."]
        if interrupted
        else []
    )


def _headline(record: RunRecord) -> tuple[str, str]:
    result = record.info.result
    assert result is not None
    kind, detail = result["stop_reason"]["kind"], result["stop_reason"]["detail"]
    after = format_duration(round(record.info.duration_s, 1))
    if kind in (StopKind.GUARD, StopKind.ALERT):
        return f"Stopped by {'a guard' if kind == StopKind.GUARD else 'an alert'} after {after}: {detail}", "bad"
    if kind in (StopKind.ERROR, StopKind.LOST):
        return f"Failed after {after}: {detail}", "bad"
    if not all(each["met"] for each in result["requirements"]):
        return f"Requirements not met after {after}", "bad"
    if result.get("never_answered"):
        return f"No request was answered in {after}", "bad"
    if not record.total().requests:
        return f"Nothing was measured: no requests in {after}", "warn"
    ratio = result["totals"]["error_ratio"]
    if ratio:
        return (
            f"Completed after {after}, {format_percent(ratio, 2)} of the requests failed",
            "bad" if ratio >= _HIGH_ERROR_RATIO else "warn",
        )
    return f"Completed after {after} without failures", "good"


def _totals_line(record: RunRecord) -> Line:
    total = record.total()
    rate = format_count(total.rate(record.load_s))
    p50, p95 = total.quantiles((0.5, 0.95)) or (None, None)
    users = max((interval.users_max or sum(interval.users.values()) for interval in record.intervals), default=0)
    if record.info.result is not None:
        users = record.info.result["users_max"]
    if not total.requests:
        return Line(f"0 requests completed; peak: {counted(users, 'user')}.", "warn")
    return Line(
        f"{counted(total.requests, 'request')} by up to {counted(users, 'user')}, {rate}/s;"
        f" {total.failures:,} failed;"
        f" p50 {format_latency(p50)}, p95 {format_latency(p95)}."
    )


def _iterations(record: RunRecord) -> list[Line]:
    """Return sentences on iterations that were not started, and the latency from the intended start."""
    if not record.intervals:
        return []
    last = record.intervals[-1]
    dropped = dropped_by_reason(last.dropped)
    is_open = any(interval.rates_target for interval in record.intervals)
    sentences = iteration_sentences(sum(last.iterations.values()), dropped, is_open)
    lines = [Line(text, "warn") if is_warning else Line(text) for text, is_warning in sentences]
    intended = intended_text(record.total())
    return [Line(f"From the intended start: {intended}."), *lines] if intended else lines


def _validity(saturated: bool, max_cpu_ratio: float | None, max_loop_lag_s: float | None) -> Line:
    return Line(generator_sentence(saturated, max_cpu_ratio, max_loop_lag_s), "bad" if saturated else "good")


def _validity_of_intervals(record: RunRecord) -> Line:
    workers = [worker for interval in record.intervals for worker in interval.workers.values()]
    return _validity(
        any(worker.saturated for worker in workers),
        max((worker.cpu_ratio for worker in workers), default=0.0),
        max((worker.loop_lag_s for worker in workers), default=0.0),
    )
