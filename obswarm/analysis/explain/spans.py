"""The span that grew: traces from before a run broke and from after it, compared by the time of each operation itself.
Pure functions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from obswarm.targets import Trace
from obswarm.units import counted, format_latency, format_percent

_LEAST_TRACES = 3
_MORE = 1.5
_LEAST_S = 0.001
_MAX_SLOWEST = 3


@dataclass(frozen=True, slots=True)
class Operation:
    """A kind of span: what a service does."""

    service: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.service})" if self.service else self.name


@dataclass(frozen=True, slots=True)
class SpanGrowth:
    """The operation whose own time grew most: `before_s` and `after_s` are its means per trace, in seconds, without the
    spans below it; `before_trace_s` and `after_trace_s` the mean durations of these traces, whose root is `root`."""

    operation: Operation
    root: Operation
    before_s: float
    after_s: float
    before_trace_s: float
    after_trace_s: float
    before: int
    after: int
    """Number of traces."""


@dataclass(frozen=True, slots=True)
class TraceFindings:
    """The slowest traces after the run broke, the slowest first, and the span that grew, or why none is known."""

    slowest: tuple[Trace, ...]
    growth: SpanGrowth | None
    reason: str = ""


def find_growth(before: Sequence[Trace], after: Sequence[Trace]) -> TraceFindings:
    """Compare the traces from before with the slowest ones from after a run broke.

    Traces of one root operation are compared: of the one that takes most of the time of the slowest traces.
    """
    slowest = tuple(sorted(after, key=lambda trace: -trace.duration_s))
    if not slowest:
        return TraceFindings((), None, "there are no traces from the time after the run broke")
    by_root: dict[Operation, list[Trace]] = {}
    for trace in slowest:
        by_root.setdefault(_root_of(trace), []).append(trace)
    root, slow = max(by_root.items(), key=lambda item: sum(trace.duration_s for trace in item[1]))
    calm = [trace for trace in before if _root_of(trace) == root]
    if min(len(calm), len(slow)) < _LEAST_TRACES:
        return TraceFindings(
            slowest,
            None,
            f"of {root}, there are {counted(len(calm), 'trace')} from before and {len(slow)} from after the run broke,"
            f" and at least {_LEAST_TRACES} of each are needed",
        )
    one, other = _own_means(calm), _own_means(slow)
    grown = max(other, key=lambda operation: other[operation] - one.get(operation, 0.0))
    growth = SpanGrowth(
        operation=grown,
        root=root,
        before_s=one.get(grown, 0.0),
        after_s=other[grown],
        before_trace_s=fmean(trace.duration_s for trace in calm),
        after_trace_s=fmean(trace.duration_s for trace in slow),
        before=len(calm),
        after=len(slow),
    )
    if growth.after_s < max(_MORE * growth.before_s, growth.before_s + _LEAST_S):
        return TraceFindings(slowest, None, f"no span of {root} takes longer than before")
    return TraceFindings(slowest, growth)


def _root_of(trace: Trace) -> Operation:
    return Operation(trace.root.service, trace.root.name)


def _own_means(traces: Sequence[Trace]) -> dict[Operation, float]:
    """Return the own time of each operation, in seconds, as a mean of all traces."""
    sums: dict[Operation, float] = {}
    for trace in traces:
        children: dict[str, list[tuple[float, float]]] = {}
        for span in trace.spans:
            if span.parent:
                children.setdefault(span.parent, []).append((span.start_s, span.start_s + span.duration_s))
        for span in trace.spans:
            operation = Operation(span.service, span.name)
            covered_s = _covered_s(children.get(span.id, ()), span.start_s, span.start_s + span.duration_s)
            sums[operation] = sums.get(operation, 0.0) + span.duration_s - covered_s
    return {operation: own_s / len(traces) for operation, own_s in sums.items()}


def _covered_s(parts: Sequence[tuple[float, float]], begin_s: float, end_s: float) -> float:
    """Return how much of a time is covered by parts, which may overlap, and go beyond it."""
    covered_s, until_s = 0.0, begin_s
    for start_s, stop_s in sorted(parts):
        start_s, stop_s = max(start_s, until_s), min(stop_s, end_s)
        if stop_s > start_s:
            covered_s += stop_s - start_s
            until_s = stop_s
    return covered_s


def trace_sentences(found: TraceFindings) -> Iterator[str]:
    """Yield the slowest traces, and the span that grew."""
    if found.slowest:
        named = "; ".join(
            f"{trace.id}, {_root_of(trace)}, {format_latency(trace.duration_s)}"
            for trace in found.slowest[:_MAX_SLOWEST]
        )
        yield f"Slowest traces: {named}."
    growth = found.growth
    if growth is None:
        yield f"No span is known to have grown: {found.reason}."
        return
    yield (
        f"The span that grew: {growth.operation} itself took {format_latency(growth.after_s)} of"
        f" {format_latency(growth.after_trace_s)} ({format_percent(growth.after_s / growth.after_trace_s, 0)}) in the"
        f" {counted(growth.after, 'slowest trace')} of {growth.root} after the run broke, instead of"
        f" {format_latency(growth.before_s)} of {format_latency(growth.before_trace_s)} in"
        f" {counted(growth.before, 'trace')} before."
    )
