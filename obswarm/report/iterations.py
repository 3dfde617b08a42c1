"""Sentences on iterations: how many were finished, and how many were planned and not started."""

from collections.abc import Mapping

from obswarm.stats import GENERATOR_BEHIND, NO_FREE_USER, PACING, RUN_STOPPED, USER_FAILED, WORKER_LOST, EndpointStats
from obswarm.units import counted, format_latency, format_names, format_percent

_REASONS = {
    NO_FREE_USER: "all users were busy, and their maximum number (--max-users) was reached",
    GENERATOR_BEHIND: "the load generator was more than a second late",
    USER_FAILED: "their user could not be created, or failed before",
    RUN_STOPPED: "the run stopped before their user was ready",
    WORKER_LOST: "they were the share of a lost worker, from its last report until others took it over",
}


def iteration_sentences(finished: int, dropped: Mapping[str, int], is_open: bool) -> list[tuple[str, bool]]:
    """Return sentences on finished iterations and on dropped ones by reason, each with whether it is a warning."""
    sentences = []
    if is_open:
        sentences.append((f"{counted(finished, 'iteration')} finished.", False))
    planned = finished + sum(dropped.values())
    for reason, number in dropped.items():
        ratio = format_percent(number / planned)
        if reason == PACING:
            text = (
                f"SHORTFALL: {counted(number, 'iteration')} ({ratio}) could not be started in time, as users with"
                " constant pacing were busy with the one before. The load was lower than planned."
            )
        else:
            was, unknown = "was" if number == 1 else "were", " or not reported" if reason == WORKER_LOST else ""
            text = f"DROPPED: {counted(number, 'iteration')} ({ratio}) {was} not started{unknown}: {_REASONS[reason]}."
        sentences.append((text, reason != RUN_STOPPED))
    return sentences


def limited_sentence(targets: Mapping[str, int], ended: Mapping[str, int]) -> str:
    """Return how many iterations of a limited number have ended, by the name of the limit; empty without any limit."""
    if not targets:
        return ""
    of = {name: "" if len(targets) == 1 else f" of {name}" for name in targets}
    texts = [f"{ended.get(name, 0):,} of {number:,}{of[name]}" for name, number in targets.items()]
    return f"Iterations that have ended: {format_names(texts)}."


def intended_text(stats: EndpointStats) -> str:
    """Format the percentiles of response times from the intended start; empty without any."""
    if stats.intended_duration is None or not stats.intended_duration.count:
        return ""
    p50, p95, p99 = stats.intended_duration.quantiles((0.5, 0.95, 0.99))
    return f"p50 {format_latency(p50)}, p95 {format_latency(p95)}, p99 {format_latency(p99)}"
