"""The search for a limit, and the decision whether a load meets a requirement."""

import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.analysis import LimitSearch, Verdict, judge


@given(st.integers(1, 100), st.integers(0, 20_000), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_search_ends_at_the_limit_within_the_precision(start: int, limit: int, precision: float) -> None:
    search = LimitSearch(start, 10_000, precision)
    tried = []
    while search.load is not None:
        tried.append(search.load)
        search.decide(search.load <= limit)
    assert len(set(tried)) == len(tried) <= 30
    assert max(tried) <= 10_000
    if limit >= 10_000:
        assert (search.met, search.not_met) == (10_000, None)
        return
    assert search.not_met is not None
    assert (search.met or 0) <= limit < search.not_met
    assert search.not_met - (search.met or 0) <= max(1, precision * search.not_met)


@given(st.floats(0.1, 100), st.floats(0.01, 20_000), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_search_for_a_rate_ends_at_the_limit_within_the_precision(
    start: float, limit: float, precision: float
) -> None:
    search = LimitSearch(start, 10_000, precision, is_rate=True)
    tried = []
    while search.load is not None:
        tried.append(search.load)
        search.decide(search.load <= limit)
    assert len(set(tried)) == len(tried) <= 40
    if limit >= 10_000:
        assert (search.met, search.not_met) == (10_000, None)
        return
    assert search.not_met is not None
    assert (search.met or 0) <= limit < search.not_met
    if search.met is None:
        assert search.not_met <= start * 0.01, "a hundredth of the first rate"
    else:
        assert search.not_met - search.met <= precision * search.not_met


@pytest.mark.parametrize(
    ("start", "most", "precision"), [(0, 10, 0.1), (1.5, 10, 0.1), (11, 10, 0.1), (1, 10, 0), (1, 10, 1)]
)
def test_a_search_that_cannot_be_is_refused(start: int, most: int, precision: float) -> None:
    with pytest.raises(ValueError, match="no search"):
        LimitSearch(start, most, precision)


def test_values_far_from_the_threshold_are_decided_and_others_are_not() -> None:
    chance = random.Random(1)
    blocks = [chance.gauss(100, 10) for _ in range(20)]
    assert judge(blocks, fmean, lambda value: value < 120) is Verdict.MET
    assert judge(blocks, fmean, lambda value: value < 80) is Verdict.NOT_MET
    assert judge(blocks, fmean, lambda value: value < fmean(blocks)) is Verdict.UNDECIDED
    assert judge([], fmean, lambda value: True) is Verdict.UNDECIDED
    assert judge(blocks, lambda _: None, lambda value: True) is Verdict.NOT_MET


def test_decisions_are_wrong_as_rarely_as_their_confidence_says() -> None:
    """Values whose true mean is exactly the threshold are decided, one way or the other, in few cases."""
    chance = random.Random(2)
    decided = 0
    for _ in range(300):
        blocks = [chance.expovariate(1.0) for _ in range(30)]
        decided += judge(blocks, fmean, lambda value: value < 1.0) is not Verdict.UNDECIDED
    # 5 % are expected; the bootstrap of 30 skewed values is a little too sure.
    assert decided < 300 * 0.12
