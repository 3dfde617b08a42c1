import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.stats import Histogram, bucket_index, upper_bound
from obswarm.stats.histogram import FIRST_BUCKET, LAST_BUCKET, middle

durations = st.floats(min_value=1e-6, max_value=3600)
samples = st.lists(durations, max_size=200)


def histogram_of(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def merged(*histograms: Histogram) -> Histogram:
    result = Histogram()
    for histogram in histograms:
        result.merge(histogram)
    return result


@given(st.lists(durations, min_size=1, max_size=300), st.floats(min_value=0, max_value=1))
def test_any_quantile_is_within_1_1_percent_of_the_exact_one(values: list[float], q: float) -> None:
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    estimate = histogram_of(values).quantile(q)
    assert estimate is not None
    assert abs(estimate - exact) <= 0.011 * exact


@given(samples, samples, samples)
def test_merge_is_associative_and_commutative(a: list[float], b: list[float], c: list[float]) -> None:
    one, two, three = map(histogram_of, (a, b, c))
    assert merged(merged(one, two), three) == merged(one, merged(two, three))
    assert merged(one, two) == merged(two, one)
    assert merged(one, two) == histogram_of(a + b)


@given(samples, samples)
def test_subtracting_what_was_merged_gives_back_the_rest(a: list[float], b: list[float]) -> None:
    one, two = histogram_of(a), histogram_of(b)
    both = merged(one, two)
    both.subtract(two)
    assert both == one
    assert both.count == one.count


@given(durations)
def test_a_duration_lies_within_the_borders_of_its_bucket(value: float) -> None:
    index = bucket_index(value)
    assert upper_bound(index - 1) * (1 - 1e-12) <= value <= upper_bound(index) * (1 + 1e-12)


@given(samples, st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=6))
def test_several_quantiles_at_once_are_those_asked_for_one_by_one(values: list[float], qs: list[float]) -> None:
    histogram = histogram_of(values)
    together = histogram.quantiles(tuple(qs))
    assert together == tuple(histogram.quantile(q) for q in qs if values)


def test_subtracting_what_never_was_in_it_is_an_error() -> None:
    with pytest.raises(ValueError, match="fewer than the 1 to subtract"):
        histogram_of([0.1]).subtract(histogram_of([0.5]))


@pytest.mark.parametrize(("seconds", "index"), [(0.0, FIRST_BUCKET), (1e-9, FIRST_BUCKET), (1e6, LAST_BUCKET)])
def test_what_is_out_of_range_counts_in_the_outermost_bucket(seconds: float, index: int) -> None:
    assert dict(histogram_of([seconds])) == {index: 1}


def test_a_negative_duration_counts_as_zero() -> None:
    histogram = histogram_of([-0.5])
    assert (histogram.count, histogram.sum_ns) == (1, 0)


def test_an_empty_histogram_has_no_quantile_and_no_mean() -> None:
    assert Histogram().quantile(0.5) is None
    assert Histogram().mean_s is None


def test_a_quantile_outside_0_to_1_is_an_error() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        histogram_of([1.0]).quantile(95)


def test_the_layout_is_that_of_prometheus_schema_5() -> None:
    assert upper_bound(0) == 1.0
    assert upper_bound(32) == 2.0
    assert bucket_index(1.0) == 0
    assert bucket_index(2.0) == 32
    assert math.isclose(middle(1), math.sqrt(upper_bound(0) * upper_bound(1)))


@given(st.lists(st.floats(min_value=0, max_value=5000), min_size=1, max_size=200))
def test_many_at_once_are_in_the_buckets_of_each_by_itself(values: list[float]) -> None:
    at_once, one_by_one = Histogram(), histogram_of(values)
    at_once.record_all(sorted(values), math.fsum(values))
    assert (at_once.buckets, at_once.count) == (one_by_one.buckets, one_by_one.count)
    # Each by itself is rounded to a nanosecond, the sum of all only once.
    assert abs(at_once.sum_ns - one_by_one.sum_ns) <= len(values) / 2 + 1


def test_at_the_bounds_of_buckets_many_at_once_are_where_each_by_itself_is() -> None:
    bounds = [upper_bound(index) for index in range(FIRST_BUCKET - 1, LAST_BUCKET + 1)]
    values = sorted(
        value for bound in bounds for value in (math.nextafter(bound, 0.0), bound, math.nextafter(bound, math.inf))
    )
    at_once = Histogram()
    at_once.record_all(values, math.fsum(values))
    assert at_once.buckets == histogram_of(values).buckets
