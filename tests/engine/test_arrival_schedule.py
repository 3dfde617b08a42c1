import math
from itertools import cycle, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import RateStage
from obswarm.engine import ArrivalLoad, ArrivalSchedule, OpenExecutor, RateCurve, apportion_rate, gaps_of

CHANGES = st.lists(st.tuples(st.floats(0.001, 20), st.floats(0, 500)), min_size=1, max_size=10)
"""Rates, each for a number of seconds."""


def starts(schedule: ArrivalSchedule, changes: list[tuple[float, float]], step_s: float = 0.7) -> list[float]:
    """The starts while the rates change, to one who looks every `step_s` seconds."""
    now, found = 0.0, []
    for duration_s, rate in changes:
        found += schedule.set_rate(rate, now)
        end = now + duration_s
        while now < end:
            now = min(now + step_s, end)
            found += schedule.take_due(now)
    return found


@given(CHANGES, st.integers(0, 100))
def test_the_number_of_starts_is_the_integral_of_the_rate(changes: list[tuple[float, float]], index: int) -> None:
    first, gaps = gaps_of("constant", None, "A", index)
    found = starts(ArrivalSchedule(0.0, first, gaps), changes)
    integral = sum(duration_s * rate for duration_s, rate in changes)
    assert abs(len(found) - (integral + 1 - first)) <= 1 + 1e-6


@given(CHANGES, st.sampled_from(["constant", "poisson"]), st.floats(0.01, 3))
def test_starts_are_in_order_whoever_looks(changes: list[tuple[float, float]], arrivals: str, step_s: float) -> None:
    """No gap is negative, and when somebody looks does not matter."""
    found = starts(ArrivalSchedule(0.0, *gaps_of(arrivals, 3, "A", 0)), changes, step_s)
    assert all(later >= earlier for earlier, later in pairwise(found))
    assert all(0 <= each <= sum(duration_s for duration_s, _ in changes) + 1e-9 for each in found)
    seen_later = starts(ArrivalSchedule(0.0, *gaps_of(arrivals, 3, "A", 0)), changes, 1000.0)
    assert found == pytest.approx(seen_later, abs=1e-6)


@given(CHANGES, st.lists(st.floats(0.1, 10), min_size=1, max_size=6))
def test_what_is_divided_among_workers_is_not_lost(changes: list[tuple[float, float]], weights: list[float]) -> None:
    """Each worker is less than one start away from its own integral, and the parts of a rate sum up to it."""
    divided = [(duration_s, apportion_rate(rate, weights)) for duration_s, rate in changes]
    number = 0
    for index in range(len(weights)):
        own = [(duration_s, parts[index]) for duration_s, parts in divided]
        number += len(starts(ArrivalSchedule(0.0, *gaps_of("constant", None, "A", index)), own))
    assert abs(number - sum(duration_s * rate for duration_s, rate in changes)) <= len(weights) * (1 + 1e-6)


@given(st.integers(1, 5000), st.integers(1, 20), st.floats(0.001, 3))
def test_no_start_is_due_at_the_end_or_later(rate: int, duration_s: int, step_s: float) -> None:
    """The plan is a half-open interval: its number of starts is the integral of the rate."""
    schedule = ArrivalSchedule(0.1, *gaps_of("constant", None, "A", 0))
    schedule.end_s = 0.1 + duration_s
    schedule.set_rate(rate, 0.1)
    now, number = 0.1, 0
    while now < duration_s + 2:
        now += step_s
        number += len(schedule.take_due(now))
    assert number == rate * duration_s
    assert schedule.next_s() == math.inf
    schedule.end_s = math.inf
    assert schedule.next_s() == pytest.approx(0.1 + duration_s), "if the end moves, starts go on where they were"


@given(
    st.lists(st.tuples(st.floats(0, 20), st.floats(0, 200)), min_size=1, max_size=5),
    st.lists(st.floats(0.001, 0.5), min_size=1, max_size=30),
)
def test_a_plan_has_as_many_starts_as_its_integral(stages: list[tuple[float, float]], steps_s: list[float]) -> None:
    """However irregular the steps of the executor are: what one has missed is made up for until the end."""
    curve = RateCurve.of([RateStage(duration_s, rate) for duration_s, rate in stages])
    assert curve.duration_s is not None
    executor = OpenExecutor({"A": ArrivalLoad(curve, 1)})
    executor.start(0.0)
    schedule = ArrivalSchedule(0.0, *gaps_of("constant", None, "A", 0))
    now, number, waits = 0.0, 0, cycle(steps_s)
    while (assignment := executor.step(now)) is not None:
        schedule.end_s = assignment.ends["A"]
        number += len(schedule.set_rate(assignment.rates["A"], now))
        now += next(waits)
    number += len(schedule.set_rate(0.0, now))
    # A step that is much longer than planned keeps a rate for too long.
    longest = max(steps_s) * curve.highest
    assert abs(number - curve.integral(curve.duration_s)) <= 1 + longest


def test_a_schedule_does_not_drift() -> None:
    """After a day of 1,000 starts a second, looked at in odd steps, every start is where it should be."""
    schedule = ArrivalSchedule(0.0, *gaps_of("constant", None, "A", 0))
    schedule.set_rate(1000.0, 0.0)
    number, now = 0, 0.0
    while now < 300.0:
        now += 0.0137
        for start in schedule.take_due(now):
            assert abs(start - number / 1000) < 1e-6
            number += 1
    assert number == math.floor(now * 1000) + 1


def test_processes_start_their_iterations_between_those_of_the_others() -> None:
    """At equal rates no two of eight processes start an iteration at the same time."""
    firsts = sorted(gaps_of("constant", None, "A", index)[0] for index in range(8))
    assert firsts[0] == 0.0
    assert min(later - earlier for earlier, later in pairwise(firsts)) > 0.05


def test_a_seed_gives_the_same_starts_and_another_process_others() -> None:
    one, again, other = (
        starts(ArrivalSchedule(0.0, *gaps_of("poisson", 7, "A", index)), [(10.0, 50.0)]) for index in (0, 0, 1)
    )
    assert one == again
    assert not set(one) & set(other)
    without = [starts(ArrivalSchedule(0.0, *gaps_of("poisson", None, "A", 0)), [(10.0, 50.0)]) for _ in range(2)]
    assert without[0] != without[1]


def chi_square_of_gaps(found: list[float], rate: float, bins: int = 50) -> float:
    """Chi-square of the gaps against an exponential distribution, in bins of equal probability."""
    counts = [0] * bins
    for earlier, later in pairwise(found):
        counts[min(bins - 1, int((1 - math.exp(-rate * (later - earlier))) * bins))] += 1
    expected = (len(found) - 1) / bins
    return sum((count - expected) ** 2 / expected for count in counts)


CHI_SQUARE_49_DEGREES = 85.35
"""Quantile 0.999 of the chi-square distribution with 49 degrees of freedom (NIST/SEMATECH e-Handbook, table of upper
critical values)."""


def test_poisson_arrivals_have_exponential_gaps() -> None:
    found = starts(ArrivalSchedule(0.0, *gaps_of("poisson", 1, "A", 0)), [(200.0, 100.0)])
    assert len(found) == pytest.approx(20_000, abs=4 * math.sqrt(20_000))
    assert chi_square_of_gaps(found, 100.0) < CHI_SQUARE_49_DEGREES


def test_two_workers_together_are_still_poisson() -> None:
    parts = [
        starts(ArrivalSchedule(0.0, *gaps_of("poisson", 1, "A", index)), [(200.0, rate)])
        for index, rate in enumerate((30.0, 70.0))
    ]
    both = sorted(parts[0] + parts[1])
    assert chi_square_of_gaps(both, 100.0) < CHI_SQUARE_49_DEGREES
    even = [starts(ArrivalSchedule(0.0, *gaps_of("constant", None, "A", i)), [(200.0, 50.0)]) for i in range(2)]
    assert chi_square_of_gaps(sorted(even[0] + even[1]), 100.0) > CHI_SQUARE_49_DEGREES, "the test can fail"


def test_a_poisson_process_of_a_changing_rate_has_its_integral() -> None:
    changes = [(1.0, rate) for rate in range(0, 200, 2)]
    found = starts(ArrivalSchedule(0.0, *gaps_of("poisson", 2, "A", 0)), [(d, float(r)) for d, r in changes])
    integral = sum(rate for _, rate in changes)
    assert len(found) == pytest.approx(integral, abs=4 * math.sqrt(integral))
