"""What is called a difference is one, and what is one is found."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.analysis import (
    MEASURES,
    Block,
    Change,
    block_count,
    changes,
    cut,
    lanes_of,
    mean_change,
    significant,
)
from obswarm.analysis.change import Aggregate, student_p, student_quantile
from obswarm.stats import Histogram

SECONDS, RATE = 300, 50
P95 = [measure.name for measure in MEASURES].index("p95")


def made_up(chance: numpy.random.Generator, slower: float = 1.0) -> list[Block]:
    """Seconds of a run as targets make them: durations spread log-normally around 50 ms, the middle wanders by 5 % with
    a memory of a few seconds, the number of requests is Poisson's, and one in a hundred fails."""
    wander, blocks = 0.0, []
    for count in chance.poisson(RATE, SECONDS).tolist():
        wander = 0.7 * wander + chance.normal(0, 0.05 * math.sqrt(1 - 0.7**2))
        durations = slower * 0.05 * chance.lognormal(wander, 0.5, count)
        # The buckets in which Histogram.record would count them.
        buckets = Counter(numpy.ceil(numpy.log2(durations) * 32).astype(int).tolist())
        blocks.append(Block(1.0, count, int(chance.binomial(count, 0.01)), lanes_of(buckets)))
    return cut(blocks, block_count(SECONDS))


def compared(seed: int, slower: float = 1.0) -> list[Change]:
    chance = numpy.random.default_rng(seed)
    return changes(made_up(chance), made_up(chance, slower), paired=True)


def test_of_200_pairs_without_a_difference_fewer_than_ten_are_called_different() -> None:
    wolves = sum(any(significant(compared(seed))) for seed in range(200))
    assert wolves < 10


def test_a_tenth_more_of_p95_is_found_nine_times_in_ten() -> None:
    found = [compared(1000 + seed, 1.1) for seed in range(50)]
    assert sum(significant(each)[P95] for each in found) > 45
    inside = sum(each[P95].low < 0.1 < each[P95].high for each in found)  # type: ignore[operator]  # there is one
    assert inside > 45


@given(st.lists(st.floats(2e-6, 3000), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_quantiles_of_lanes_lie_in_the_bucket_of_the_exact_one(durations: list[float], q: float) -> None:
    histogram = Histogram()
    for each in durations:
        histogram.record(each)
    found = Aggregate([Block(1.0, len(durations), 0, lanes_of(histogram.buckets))]).durations.quantile(q)
    exact = sorted(durations)[max(1, math.ceil(q * len(durations))) - 1]
    assert found is not None
    assert abs(math.log2(found / exact)) <= 1.001 / 32


@pytest.mark.parametrize(("t", "freedom", "p"), [(2.262, 9, 0.05), (3.25, 9, 0.01), (2.045, 29, 0.05), (0.0, 9, 1.0)])
def test_students_distribution_is_as_in_the_tables(t: float, freedom: int, p: float) -> None:
    assert student_p(t, freedom) == pytest.approx(p, rel=0.02)
    if t:
        assert student_quantile(1 - p / 2, freedom) == pytest.approx(t, rel=0.01)


def test_more_comparisons_need_smaller_p_values() -> None:
    def change(p: float, size: float = 0.5) -> Change:
        return Change(MEASURES[0], 1.0, 1.0 + size, size, 0, 1, p)

    assert significant([change(0.015)]) == [True]
    assert significant([change(0.015), change(0.9)]) == [False, False]
    assert significant([change(0.009), change(0.015)]) == [True, True]
    assert significant([change(0.0, 0.01)]) == [False], "less than 2 % is never one"


def test_a_missing_measure_has_no_change() -> None:
    empty = [Block(1.0, 0, 0, 0)] * 10
    full = [Block(1.0, 10, 0, lanes_of({-100: 10}))] * 10
    found = changes(full, empty, paired=True)
    assert [each.change for each in found] == [None] * len(MEASURES)
    assert not any(significant(found))


def test_equal_blocks_do_not_differ_and_clearly_different_ones_have_p_0() -> None:
    one = [Block(1.0, 100, 0, lanes_of({-100: 100}))] * 10
    other = [Block(1.0, 100, 0, lanes_of({-90: 100}))] * 10
    assert not any(significant(changes(one, one, paired=True)))
    p95 = changes(one, other, paired=True)[P95]
    assert p95.change == pytest.approx(2 ** (10 / 32) - 1)
    assert p95.p == 0


@pytest.mark.parametrize(
    ("base", "run", "is_one"),
    [
        ([4.0, 5, 4, 5, 4, 5], [9.0, 8, 9, 8, 9, 8], True),
        ([4.0, 5, 4, 5], [5.0, 4, 5, 4], False),
        ([], [1.0, 2], False),
    ],
)
def test_changes_of_a_targets_metric(base: Sequence[float], run: Sequence[float], is_one: bool) -> None:
    assert significant([mean_change("threads", base, run, least=0.05)]) == [is_one]


def test_a_run_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="19s is too short"):
        block_count(19)
    assert [block_count(seconds) for seconds in (20, 60, 100, 3600)] == [10, 12, 20, 30]
