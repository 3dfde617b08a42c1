"""The span that grew between the traces from before a run broke and the slowest from after it."""

from dataclasses import replace

from obswarm.analysis.explain.spans import Operation, find_growth, trace_sentences
from obswarm.targets import Span, Trace


def trace(number: int, lock_s: float, root: str = "POST /submit") -> Trace:
    """Two statements, one after the other; the second waits for a lock. The first root span's parent is elsewhere."""
    whole_s = 0.03 + lock_s
    return Trace(
        f"t{number}",
        (
            Span("c", "a", "db", "INSERT", 100.01, 0.01),
            Span("a", "elsewhere", "shop", root, 100.0, whole_s),
            Span("d", "a", "db", "UPDATE", 100.02, lock_s),
        ),
    )


BEFORE = [trace(number, 0.01) for number in range(9)]
AFTER = [trace(number, 2.0 + number / 100) for number in range(12)]


def test_the_operation_whose_own_time_grew_most_is_named_with_the_slowest_traces() -> None:
    found = find_growth(BEFORE, AFTER)
    assert found.growth is not None
    assert found.growth.operation == Operation("db", "UPDATE")
    assert list(trace_sentences(found)) == [
        "Slowest traces: t11, POST /submit (shop), 2.14 s; t10, POST /submit (shop), 2.13 s; t9, POST /submit (shop),"
        " 2.12 s.",
        "The span that grew: UPDATE (db) itself took 2.06 s of 2.08 s (99%) in the 12 slowest traces of POST /submit"
        " (shop) after the run broke, instead of 10.0 ms of 40.0 ms in 9 traces before.",
    ]


def test_time_that_no_child_covers_is_the_parents_own() -> None:
    slow = [
        replace(each, spans=tuple(replace(span, duration_s=3.0) if span.id == "a" else span for span in each.spans))
        for each in BEFORE
    ]
    found = find_growth(BEFORE, slow)
    assert found.growth is not None
    assert found.growth.operation == Operation("shop", "POST /submit")
    assert round(found.growth.after_s, 3) == 2.98
    assert round(found.growth.before_s, 3) == 0.02


def test_children_at_the_same_time_count_once_and_only_within_their_parent() -> None:
    def made(own_s: float) -> Trace:
        parent = Span("a", "", "shop", "page", 10.0, 1.0 + own_s)
        children = (Span("b", "a", "x", "one", 9.5, 1.0), Span("c", "a", "x", "two", 10.2, 0.8))
        return Trace("t", (parent, *children))

    found = find_growth([made(0.0)] * 3, [made(0.5)] * 3)
    assert found.growth is not None
    assert (round(found.growth.before_s, 6), round(found.growth.after_s, 6)) == (0.0, 0.5)


def test_traces_of_the_root_that_takes_most_of_the_time_are_compared() -> None:
    reads = [trace(number, 0.011, "GET /page") for number in range(50)]
    found = find_growth([*reads, *BEFORE], [*reads, *AFTER])
    assert found.growth is not None
    assert (found.growth.root.name, found.growth.before, found.growth.after) == ("POST /submit", 9, 12)


def test_without_enough_traces_or_growth_the_reason_is_said() -> None:
    assert list(trace_sentences(find_growth(BEFORE, []))) == [
        "No span is known to have grown: there are no traces from the time after the run broke."
    ]
    assert list(trace_sentences(find_growth(BEFORE[:2], AFTER)))[1] == (
        "No span is known to have grown: of POST /submit (shop), there are 2 traces from before and 12 from after the run"
        " broke, and at least 3 of each are needed."
    )
    assert list(trace_sentences(find_growth(BEFORE, BEFORE)))[1] == (
        "No span is known to have grown: no span of POST /submit (shop) takes longer than before."
    )
