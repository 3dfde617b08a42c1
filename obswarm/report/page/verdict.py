"""What a run comes to, in a few sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from obswarm.report.cut_off import cut_off_sentences
from obswarm.report.wording import NO_REQUEST_SELECTED, generator_sentence, had_little_data, no_data_of
from obswarm.stats import GuardState, guard_title
from obswarm.store import RunRecord
from obswarm.units import counted, format_count, format_duration, format_latency

_MANY = 0.05
"""A share of failures that nobody calls noise."""


@dataclass(frozen=True, slots=True)
class Line:
    """`tone` is good, bad, warn or nothing."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run ended, in one line, and what else has to be known before anything below is believed."""

    headline: str
    tone: str
    lines: tuple[Line, ...]


def verdict(record: RunRecord) -> Verdict:
    """From the end of the run where it had one, else from what was kept of it."""
    result = record.info.result
    lines = [_figures(record)]
    if result is None:
        lines.append(
            Line("It did not end properly, or is still going on: at most its last two seconds are missing.", "warn")
        )
        return Verdict("Cut off", "warn", (*lines, _validity_of_seconds(record)))
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
    # Earlier versions did not keep it.
    lines += [Line(each["problem"], "warn") for each in result.get("targets", ()) if each["problem"]]
    for loss in result["lost"]:
        # A result that an earlier version has kept knows of no requests.
        requests = loss.get("requests")
        unreported_s = loss["unreported_s"]
        extent = "an unknown part of it" if unreported_s is None else f"at most {unreported_s:.1f} s of it"
        if requests is not None:
            extent = counted(requests, "request")
        lines.append(Line(f"Lost: {loss['worker']}, {loss['detail']}; {extent}.", "bad"))
    lines += [Line(sentence) for sentence in (*_under_way(result), *_cut_off(result))]
    generator = result["generator"]
    lines.append(_validity(generator["saturated"], generator.get("max_cpu_ratio"), generator.get("max_loop_lag_s")))
    headline, tone = _headline(record)
    return Verdict(headline, tone, tuple(lines))


_NAMED = 3
_OLD_S = 1.0


def _under_way(result: Mapping[str, Any]) -> list[str]:
    """Which endpoints had old requests under way, the oldest first."""
    # Earlier versions did not keep it.
    endpoints = result.get("in_flight", {}).get("max", {}).get("endpoints", [])
    old = sorted((each for each in endpoints if each["oldest_s"] >= _OLD_S), key=lambda each: -each["oldest_s"])
    if not old:
        return []
    named = ", ".join(
        f"{each['method']} {each['name']} (oldest {format_latency(each['oldest_s'])},"
        f" up to {each['requests']:,} at a time)"
        for each in old[:_NAMED]
    )
    more = f" and {len(old) - _NAMED} more endpoints" if len(old) > _NAMED else ""
    return [f"Requests were under way for long: {named}{more}."]


def _cut_off(result: Mapping[str, Any]) -> list[str]:
    if "cut_off" in result:
        return cut_off_sentences(result["cut_off"])
    # An earlier version's.
    interrupted = result["totals"].get("interrupted")
    return [f"{counted(interrupted, 'request')} cut off when it stopped, which count nowhere."] if interrupted else []


def _headline(record: RunRecord) -> tuple[str, str]:
    result = record.info.result
    assert result is not None
    kind, detail = result["stop_reason"]["kind"], result["stop_reason"]["detail"]
    after = format_duration(round(record.info.duration_s, 1))
    if kind in ("guard", "alert"):
        return f"Stopped by {'a guard' if kind == 'guard' else 'an alert'} after {after}: {detail}", "bad"
    if kind in ("error", "lost"):
        return f"Failed after {after}: {detail}", "bad"
    if not all(each["met"] for each in result["requirements"]):
        return f"Requirements not met, after {after}", "bad"
    if result.get("never_answered"):
        return f"Nothing was answered in {after}", "bad"
    if not record.total().requests:
        return f"Nothing was measured: no request was made in {after}", "warn"
    ratio = result["totals"]["error_ratio"]
    if ratio:
        return f"Ended after {after}, {ratio:.2%} of the requests failed", "bad" if ratio >= _MANY else "warn"
    return f"Ended after {after} without a failure", "good"


def _figures(record: RunRecord) -> Line:
    total = record.total()
    rate = format_count(total.rate(record.load_s))
    p50, p95 = total.quantiles((0.5, 0.95)) or (None, None)
    users = max((second.users_max or sum(second.users.values()) for second in record.seconds), default=0)
    if record.info.result is not None:
        users = record.info.result["users_max"]
    if not total.requests:
        return Line(f"0 requests have ended, of at most {users:,} users.", "warn")
    return Line(
        f"{counted(total.requests, 'request')} by at most {counted(users, 'user')}, {rate}/s;"
        f" {total.failures:,} failed;"
        f" p50 {format_latency(p50)}, p95 {format_latency(p95)}."
    )


def _validity(saturated: bool, max_cpu_ratio: float | None, max_loop_lag_s: float | None) -> Line:
    return Line(generator_sentence(saturated, max_cpu_ratio, max_loop_lag_s), "bad" if saturated else "good")


def _validity_of_seconds(record: RunRecord) -> Line:
    workers = [worker for second in record.seconds for worker in second.workers.values()]
    return _validity(
        any(worker.saturated for worker in workers),
        max((worker.cpu_ratio for worker in workers), default=0.0),
        max((worker.loop_lag_s for worker in workers), default=0.0),
    )
