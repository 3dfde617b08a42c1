"""The result of a run as a JSON document. Its keys are a contract; times are in seconds."""

from collections.abc import Mapping, Sequence
from typing import Any

from obswarm import clock
from obswarm.engine import RunResult
from obswarm.guards import RequirementResult
from obswarm.record import GuardView
from obswarm.report.custom_table import custom_documents
from obswarm.report.cut_off import cut_off_rows
from obswarm.report.run_wording import generator_sentence
from obswarm.stats import (
    NONE_IN_FLIGHT,
    PHASES,
    TOTAL,
    EndpointKey,
    EndpointStats,
    Histogram,
    InFlight,
    scenario_totals,
    total_in_flight,
)
from obswarm.units import rounded

_QUANTILES = {"p50_s": 0.5, "p90_s": 0.9, "p95_s": 0.95, "p99_s": 0.99}


def result_document(result: RunResult, requirement_results: Sequence[RequirementResult] = ()) -> dict[str, Any]:
    """Return the JSON document of a run: measurements, guards, requirements. Undefined values (the p95 of no requests)
    are null."""
    final = result.final
    return {
        "run_id": result.run_id,
        "test": final.test,
        "host": final.host,
        "started_at": clock.iso(result.started_s),
        "ended_at": clock.iso(result.ended_s),
        "duration_s": rounded(result.duration_s),
        "load_s": rounded(final.load_s),
        "state": str(final.state),
        "stop_reason": {"kind": result.stop_reason.kind, "detail": result.stop_reason.detail},
        "users_max": result.users_max,
        "totals": {**_statistics(final.total, final.load_s), "interrupted": final.interrupted},
        "explanation": result.explanation or None,
        "model": "open" if final.is_open else "closed",
        "iterations": dict(sorted(final.iterations.items())),
        "limited_iterations": [
            {"limit": name, "number": number, "ended": final.iterations_ended.get(name, 0)}
            for name, number in final.iterations_target.items()
        ],
        "dropped_iterations": [
            {"user_class": user_class, "reason": reason, "count": count}
            for (user_class, reason), count in sorted(final.dropped.items())
        ],
        "feeds": [{"name": name, **use} for name, use in sorted(result.feeds.items())],
        **({"limit": dict(result.limit)} if result.limit else {}),
        "never_answered": result.was_never_answered,
        "in_flight": {**_in_flight(final.in_flight), "max": _in_flight_max(result.in_flight_peaks)},
        "cut_off": cut_off_rows(final.cut_off),
        "endpoints": [
            {**key.document, **_statistics(stats, final.load_s)} for key, stats in sorted(final.endpoints.items())
        ],
        "scenarios": [
            {"scenario": name, **_statistics(stats, final.load_s)}
            for name, stats in scenario_totals(final.endpoints.values()).items()
        ],
        "metrics": custom_documents(final.custom, final.load_s),
        "errors": [
            {
                "method": key.method,
                "name": key.name,
                "error": key.message,
                "example": seen.example or None,
                "count": seen.count,
                "first_seen_at": clock.iso(seen.first_seen_s),
                "last_seen_at": clock.iso(seen.last_seen_s),
            }
            for key, seen in sorted(final.errors.items(), key=lambda item: (-item[1].count, item[0]))
        ],
        "exceptions": [
            {"message": found.message, "count": found.count, "traceback": found.traceback}
            for found in sorted(final.exceptions.values(), key=lambda found: -found.count)
        ],
        "workers": [
            {
                "worker": worker.worker,
                "cpu_ratio": rounded(worker.cpu_ratio),
                "loop_lag_s": rounded(worker.loop_lag_s),
                "max_cpu_ratio": rounded(worker.max_cpu_ratio),
                "max_loop_lag_s": rounded(worker.max_loop_lag_s),
                "memory_bytes": worker.memory_bytes,
                "saturated": worker.saturated,
                "state": worker.state,
                "capacity": rounded(worker.capacity),
                "stats_messages": worker.stats_messages,
                "stats_lost": worker.stats_lost,
            }
            for worker in final.workers
        ],
        "generator": {
            "saturated": result.saturated,
            "verdict": generator_sentence(result.saturated, result.max_cpu_ratio, result.max_loop_lag_s),
            "max_loop_lag_s": rounded(result.max_loop_lag_s),
            "max_cpu_ratio": rounded(result.max_cpu_ratio),
        },
        "lost": [
            {
                "worker": loss.worker,
                "detail": loss.detail,
                "unreported_s": rounded(loss.unreported_s),
                "users": loss.users,
                "requests": loss.requests,
            }
            for loss in result.losses
        ],
        "failed_outputs": [
            {"output": failed.output, "reason": failed.reason, "required": failed.required}
            for failed in result.failed_outputs
        ],
        "rejected": {"refused_handshakes": result.refused_handshakes, "dropped_frames": result.dropped_frames},
        "guards": [_guard(guard) for guard in final.guards],
        "requirements": [
            {
                "require": str(requirement_result.requirement),
                "met": requirement_result.met,
                "value": rounded(requirement_result.value),
                "shown": requirement_result.shown,
            }
            for requirement_result in requirement_results
        ],
        "alerts": [
            {"alertname": alert.alertname, "status": alert.status, "source": alert.source, "count": alert.count}
            for alert in final.alerts
        ],
        "refused_alerts": [
            {"reason": refused.reason, "count": refused.count, "example": refused.example}
            for refused in final.refused_alerts
        ],
        "targets": [
            {
                "target": each.target,
                "kind": each.kind,
                "measured_s": rounded(each.measured_s),
                "down_s": rounded(each.down_s),
                "not_seen_s": rounded(each.not_seen_s),
                "without_metrics_s": rounded(each.without_metrics_s),
                "problem": each.problem or None,
            }
            for each in result.targets
        ],
        "annotations": [
            {"at": clock.iso(annotation.time_s), "kind": annotation.kind, "text": annotation.text}
            for annotation in result.annotations
        ],
    }


def _in_flight(in_flight: Mapping[EndpointKey, InFlight], total: InFlight | None = None) -> dict[str, Any]:
    if total is None:
        total = total_in_flight(in_flight.values())
    return {
        "requests": total.count,
        "oldest_s": rounded(total.oldest_s),
        "endpoints": [
            {**key.document, "requests": each.count, "oldest_s": rounded(each.oldest_s)}
            for key, each in sorted(in_flight.items())
        ],
    }


def _in_flight_max(peaks: Mapping[EndpointKey, InFlight]) -> dict[str, Any]:
    """Return the maxima of requests in flight at the ends of the run's seconds."""
    by_endpoint = {key: each for key, each in peaks.items() if key != TOTAL}
    return _in_flight(by_endpoint, peaks.get(TOTAL, NONE_IN_FLIGHT))


def _guard(guard: GuardView) -> dict[str, Any]:
    return {
        "name": guard.name,
        "when": guard.when,
        "action": guard.action,
        "state": guard.state,
        "value": rounded(guard.value),
        "shown": guard.shown,
        "since_at": None if guard.since_s is None else clock.iso(guard.since_s),
        "trips": sum(count for _, count in guard.trips),
        "stopped": guard.stopped or None,
        "suspect": guard.suspect or None,
        "matched": guard.matched,
        "watched_s": rounded(guard.watched_s),
        "no_data_s": rounded(guard.no_data_s),
        "no_data_reason": guard.no_data_reason or None,
    }


def _statistics(stats: EndpointStats, load_s: float) -> dict[str, Any]:
    intended = stats.intended_duration
    return {
        "requests": stats.requests,
        "failures": stats.failures,
        "late": stats.late_requests,
        "rps": rounded(stats.rate(load_s)),
        "error_ratio": rounded(stats.error_ratio),
        **_quantiles(stats),
        "max_s": rounded(stats.max_s),
        "mean_s": rounded(stats.duration.mean_s),
        "response_bytes": stats.response_bytes,
        "untimed": stats.untimed,
        "timings": _timings(stats),
        **({} if intended is None else {"intended_duration": _intended_duration(intended)}),
    }


def _intended_duration(histogram: Histogram) -> dict[str, Any]:
    return {"count": histogram.count, "mean_s": rounded(histogram.mean_s), **_quantiles(histogram)}


def _quantiles(durations: EndpointStats | Histogram) -> dict[str, float | None]:
    """Return quantiles by name, null without any requests."""
    values = durations.quantiles(tuple(_QUANTILES.values())) or (None,) * len(_QUANTILES)
    return {name: rounded(value) for name, value in zip(_QUANTILES, values, strict=True)}


def _timings(stats: EndpointStats) -> dict[str, dict[str, Any]]:
    """Return count and mean of each phase; with --timings histograms, quantiles as well."""
    if stats.timings is None:
        return {}
    phases: dict[str, dict[str, Any]] = {}
    for phase, count, total_ns in zip(PHASES, stats.timings.counts, stats.timings.sums_ns, strict=True):
        if not count:
            continue
        phases[phase] = {"count": count, "mean_s": rounded(total_ns / count / 1e9)}
        histogram = stats.timings.histograms.get(phase)
        if histogram is not None:
            phases[phase] |= _quantiles(histogram)
    return phases
