"""Runs whose load is a rate of iterations: their load is that rate, and users become more since the target is slow."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import pytest

from obswarm.analysis.explain import Explanation, explain, explanation_document, headline, sections
from obswarm.record import RunRecord
from obswarm.stats import GENERATOR_BEHIND, NO_FREE_USER
from tests.support.incidents import Incident, System, database_lock, healthy, overload, pool_exhausted

CLASS = "Visitor"
MOST = 200
"""Users of the run at most."""
Reasons = Mapping[str, Callable[[int], int]]


def opened(record: RunRecord, dropped: Reasons | None = None) -> RunRecord:
    """The run as one of the open model: each of its users began an iteration a second, and those of the run were as
    many as had requests in flight, MOST of them. `dropped` are iterations that did not start until a second, by reason;
    without it, those for which there was no free user."""
    intervals = []
    dropped_so_far = 0
    for number, interval in enumerate(record.intervals):
        rate = float(sum(interval.users.values()))
        in_flight = min(interval.in_flight or 0, MOST)
        if in_flight == MOST:
            dropped_so_far += round(rate * interval.interval_s / 3)
        counts = (
            {NO_FREE_USER: dropped_so_far} if dropped is None else {each: of(number) for each, of in dropped.items()}
        )
        intervals.append(
            replace(
                interval,
                users={CLASS: in_flight},
                users_target={CLASS: 0},
                rates_target={CLASS: rate},
                dropped={(CLASS, reason): count for reason, count in counts.items()},
            )
        )
    return replace(record, intervals=intervals)


@cache
def explained(at: Callable[[float], System], seed: int = 1) -> Explanation:
    return explain(opened(Incident(at, seed=seed).record()))


@pytest.mark.parametrize(("at", "first"), [(overload, "uwsgi"), (pool_exhausted, "pgbouncer"), (database_lock, "db")])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_cause_is_that_of_the_closed_model(at: Callable[[float], System], first: str, seed: int) -> None:
    # Metrics that grow with the users are not on the line of the load: here users are a consequence.
    assert explained(at, seed).suspects[0].component.target.startswith(first)


def test_sentences_say_the_rate_and_not_the_users() -> None:
    found = explained(overload)
    assert found.is_overload
    assert " iterations/s and rising: " in headline(found)
    text = "\n".join(line for _, lines in sections(found) for line in lines)
    assert " users" not in text.replace("free users", "").replace("law of users", "")
    (symptom, *_) = found.symptoms
    assert f"{symptom.rate:,.0f} iterations/s" in headline(found)


def test_the_knee_is_at_a_rate() -> None:
    closed = explain(Incident(overload).record())
    found = explained(overload)
    assert found.knee is not None
    assert closed.knee is not None
    # Each user of the closed run began an iteration a second, as long as the answers came at once.
    assert found.knee.users == pytest.approx(closed.knee.users, rel=0.02)
    document = explanation_document(found)
    assert document["knee"]["users"] is None
    assert document["knee"]["iterations_per_s"] == pytest.approx(found.knee.users)
    assert explanation_document(closed)["knee"]["iterations_per_s"] is None
    assert "law of users that wait for their answers" in document["scalability"]["reason"]


def test_dropped_iterations_are_noticed() -> None:
    found = explained(overload)
    (dropped,) = [each for each in found.symptoms if each.what == "dropped"]
    assert dropped.before == 0
    assert dropped.after == pytest.approx(1 / 3, rel=0.01)
    noticed = dict(sections(found))["What users noticed"]
    assert any(each.startswith("Dropped iterations rose from 0.0% to 33.") for each in noticed)


def test_dropped_iterations_of_a_calm_target_are_for_lack_of_users() -> None:
    found = explain(opened(Incident(healthy).record(), {NO_FREE_USER: lambda number: 40 * max(0, number - 60)}))
    assert [each.what for each in found.symptoms] == ["dropped"]
    assert headline(found).endswith(
        " iterations/s. Response times stayed as they were: that rate needs more users (--max-users)."
    )


def test_a_healthy_run_is_named_with_its_rate() -> None:
    found = explain(opened(Incident(healthy).record(), {}))
    assert headline(found).startswith(
        "Nothing saturated: latency and errors stayed as they were up to 200 iterations/s."
    )


def test_iterations_for_which_the_generator_was_late_are_its_own_matter() -> None:
    found = explain(opened(Incident(healthy).record(), {GENERATOR_BEHIND: lambda number: 10 * max(0, number - 60)}))
    assert headline(found).startswith("The load generator saturated first, at 1:02")
    assert not found.symptoms


def test_a_count_that_is_reset_with_the_statistics_has_no_peak() -> None:
    record = opened(Incident(healthy).record(), {NO_FREE_USER: lambda number: 5 if number < 40 else 0})
    intervals = [replace(each, epoch=each.epoch + (number >= 40)) for number, each in enumerate(record.intervals)]
    assert not explain(replace(record, intervals=intervals)).symptoms


def test_a_run_with_users_and_a_rate_has_no_knee() -> None:
    record = opened(Incident(overload).record())
    both = replace(
        record,
        intervals=[
            replace(each, users={**each.users, "Reader": 10}, users_target={CLASS: 0, "Reader": 10})
            for each in record.intervals
        ],
    )
    found = explain(both)
    assert found.model == "combined"
    assert found.knee is None
