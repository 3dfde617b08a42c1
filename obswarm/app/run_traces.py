"""Reads the traces of the time in which a stored run broke, from a Tempo or a Jaeger."""

from typing import Any

from obswarm.analysis.explain import Explanation
from obswarm.analysis.explain.spans import TraceFindings, find_growth, trace_sentences
from obswarm.record import RunInfo
from obswarm.targets import TraceApi
from obswarm.units import rounded

_TIME_S = 30.0
"""Before and after the run broke."""
_TRACES = 20


def find_traces(info: RunInfo, found: Explanation, url: str) -> TraceFindings:
    """Compare up to 20 of the slowest traces of the 30 s before with those of the 30 s after the first symptom. Raises
    SourceError."""
    if not found.symptoms:
        return TraceFindings((), None, "the run did not break")
    onset = found.symptoms[0].onset
    broken_s, settled_s = info.started_s + onset.low_s, info.started_s + onset.settled_s
    with TraceApi(url) as api:
        after = api.slowest(settled_s, settled_s + _TIME_S, _TRACES)
        before = api.slowest(max(info.started_s, broken_s - _TIME_S), broken_s, _TRACES)
    return find_growth(before, after)


def traces_document(found: TraceFindings) -> dict[str, Any]:
    """Return the findings as a JSON document; durations are in seconds."""
    growth = found.growth
    return {
        "sentences": list(trace_sentences(found)),
        "slowest": [
            {
                "trace_id": trace.id,
                "duration_s": rounded(trace.duration_s),
                "service": trace.root.service,
                "name": trace.root.name,
            }
            for trace in found.slowest
        ],
        "growth": None
        if growth is None
        else {
            "service": growth.operation.service,
            "name": growth.operation.name,
            "root": {"service": growth.root.service, "name": growth.root.name},
            "before_s": rounded(growth.before_s),
            "after_s": rounded(growth.after_s),
            "before_traces": growth.before,
            "after_traces": growth.after,
        },
        "reason": found.reason or None,
    }
