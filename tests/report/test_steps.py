"""The time axis of a page: what is left of a second at the end is no drop, and rates are over the time of the load."""

from dataclasses import replace

import pytest

from obswarm.record import Interval
from obswarm.report.page.steps import length_of, steps_of
from obswarm.stats import EndpointKey, EndpointStats

PAGE = EndpointKey("GET", "/page")


def second(
    number: float,
    interval_s: float = 1.0,
    requests: int = 100,
    late: int = 0,
    load_s: float | None = None,
    state: str = "running",
    users: int = 10,
) -> Interval:
    stats = EndpointStats(PAGE)
    for _ in range(late):
        stats.record(0.1, 1, "2xx", False)
    stats.count_all_as_late()
    for _ in range(requests):
        stats.record(0.1, 1, "2xx", False)
    return Interval(
        time_s=1000 + number,
        epoch=0,
        elapsed_s=number,
        stats_since_s=1000,
        interval_s=interval_s,
        state=state,
        users={"Visitor": users},
        users_target={"Visitor": users},
        endpoints={PAGE: stats},
        errors={},
        exceptions={},
        iterations={},
        interrupted=0,
        workers={},
        guards={},
        load_s=number if load_s is None else load_s,
    )


def test_a_short_rest_belongs_to_the_step_before() -> None:
    run = [*map(second, (1, 2, 3)), second(3.4, 0.4, requests=30, load_s=3.3, state="stopped", users=0)]
    steps = steps_of(run, 1)
    assert [step.time_s for step in steps] == [1001, 1002, 1003.4]
    assert [step.requests_rate for step in steps] == pytest.approx([100, 100, 100])
    assert [step.users for step in steps] == [10, 10, 10]


def test_a_long_rest_is_a_step_with_the_rate_of_its_load() -> None:
    run = [*map(second, (1, 2)), second(2.9, 0.9, requests=60, late=7, load_s=2.6, state="stopped", users=0)]
    steps = steps_of(run, 1)
    assert steps[-1].requests_rate == pytest.approx(100)
    assert steps[-1].users == 10, "they were there for most of it"


def test_the_wait_for_the_last_requests_has_its_own_rate() -> None:
    waits = [second(number, requests=0, late=4, load_s=2, state="stopping", users=4) for number in (3, 4)]
    steps = steps_of([*map(second, (1, 2)), *waits, second(5, requests=0, load_s=2, state="stopped", users=0)], 1)
    assert [step.requests_rate for step in steps] == pytest.approx([100, 100, 4, 4, 0])
    assert [step.users for step in steps] == [10, 10, 4, 4, 0]


@pytest.mark.parametrize("count", range(1, 12))
@pytest.mark.parametrize("length", [1, 3])
def test_every_second_is_in_one_step(count: int, length: int) -> None:
    run = [second(number + 1) for number in range(count)]
    steps = steps_of(run, length)
    assert [each for step in steps for each in step.intervals] == run
    assert all(step.requests_rate == pytest.approx(100) for step in steps)
    assert steps_of([], length) == []


def test_runs_of_earlier_versions_and_a_reset_in_between() -> None:
    old = [replace(second(number), load_s=None) for number in (1, 2)]
    assert [step.requests_rate for step in steps_of(old, 1)] == pytest.approx([100, 100])
    again = [second(1), replace(second(2), epoch=1, load_s=1.0), replace(second(3), epoch=1, load_s=2.0)]
    assert [step.load_s for step in steps_of(again, 1)] == pytest.approx([1, 1, 1])


def test_requests_in_flight_are_not_shown_after_the_end() -> None:
    run = [*map(second, (1, 2)), second(2.9, 0.9, load_s=2.8, state="stopped"), second(4, load_s=2.8, state="stopped")]
    assert [[each.time_s for each in step.counted] for step in steps_of(run, 1)] == [[1001], [1002], [], [1004]]


def test_no_second_occurs_twice_whenever_snapshots_come() -> None:
    """A guard acts in the middle of a second, statistics begin anew, a program was held up for some ms."""
    again = replace(second(2.03, 0.05, requests=5), epoch=1, load_s=0.05)
    run = [
        second(0.3, 0.3, requests=30),
        second(1.0, 0.7, requests=70),
        second(1.98, 0.98, requests=98),
        again,
        replace(second(3, 0.97, requests=97), epoch=1, load_s=1.02),
    ]
    steps = steps_of(run, 1)
    assert [step.elapsed_s for step in steps] == [1.0, 2.03, 3]
    assert [step.requests_rate for step in steps] == pytest.approx([100, 100, 100])


def test_seconds_without_snapshots_are_no_steps() -> None:
    run = [*map(second, (1, 2)), second(9, 7.0, requests=70), second(10)]
    steps = steps_of(run, 1)
    assert [step.number for step in steps] == [0, 1, 8, 9]
    assert [step.requests_rate for step in steps] == pytest.approx([100, 100, 10, 100])
    assert [step.number for step in steps_of(run, 4)] == [0, 2]


@pytest.mark.parametrize(("end_s", "length"), [(0.0, 1), (600, 1), (601, 2), (6000, 10)])
def test_the_number_of_steps_is_bounded(end_s: float, length: int) -> None:
    assert length_of([second(end_s)], 600) == length
    assert length_of([], 600) == 1
