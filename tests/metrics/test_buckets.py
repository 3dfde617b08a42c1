"""Conversion of a recorded histogram to classic and native buckets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.metrics.buckets import CLASSIC_BOUNDS_S, MAX_NATIVE_BUCKETS, classic_counts, native_buckets
from obswarm.stats import Histogram, bucket_index

seconds = st.floats(1e-6, 3600)


def recorded(durations: list[float]) -> Histogram:
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)
    return histogram


def unpacked(histogram: Histogram, most: int = MAX_NATIVE_BUCKETS) -> tuple[int, dict[int, int]]:
    """(schema, counts by index) as Prometheus reads them."""
    schema, spans, deltas = native_buckets(histogram, most)
    counts: dict[int, int] = {}
    index = count = 0
    each = iter(deltas)
    for offset, length in spans:
        index += offset
        for _ in range(length):
            count += next(each)
            counts[index] = count
            index += 1
    assert next(each, None) is None
    return schema, counts


@given(st.lists(seconds))
def test_native_buckets_are_the_recorded_ones(durations: list[float]) -> None:
    histogram = recorded(durations)
    assert unpacked(histogram, 10_000) == (5, histogram.buckets)


@given(st.lists(seconds, min_size=1, max_size=60), st.integers(1, 20))
def test_the_schema_is_lowered_until_the_buckets_are_few_enough(durations: list[float], most: int) -> None:
    histogram = recorded(durations)
    schema, counts = unpacked(histogram, most)
    # At the format's lowest schema the whole range is three buckets.
    assert len(counts) <= max(most, 3)
    assert sum(counts.values()) == len(durations)
    base = 2.0 ** (2.0**-schema)
    for duration in durations:
        index = math.ceil(bucket_index(duration) / 2 ** (5 - schema))
        assert counts[index] > 0
        assert base ** (index - 1) <= duration * (1 + 1e-9) <= base**index * (1 + 2e-9)


def test_the_whole_range_fits_into_160_buckets() -> None:
    histogram = recorded([1e-6 * 1.02**step for step in range(1100)])
    schema, counts = unpacked(histogram)
    assert len(counts) <= 160
    assert schema == 2


@given(st.lists(seconds, max_size=200))
def test_classic_counts_are_off_by_no_more_than_the_bucket_that_a_bound_lies_in(durations: list[float]) -> None:
    histogram = recorded(durations)
    counts = classic_counts(histogram)
    assert counts == sorted(counts)
    assert len(counts) == len(CLASSIC_BOUNDS_S)
    for bound, count in zip(CLASSIC_BOUNDS_S, counts, strict=True):
        exact = sum(duration <= bound for duration in durations)
        assert abs(count - exact) <= histogram.buckets.get(bucket_index(bound), 0)


@given(st.lists(seconds, max_size=60), st.lists(seconds, max_size=60))
def test_classic_counts_never_go_down(first: list[float], more: list[float]) -> None:
    before = classic_counts(recorded(first))
    after = classic_counts(recorded(first + more))
    assert all(a >= b for a, b in zip(after, before, strict=True))


def test_splitting_a_bucket_at_a_bound_is_unbiased() -> None:
    # Ten thousand durations spread evenly, on the logarithmic scale, around a bound.
    bound = 0.1
    histogram = recorded([bound * 2 ** ((step - 5000) / 5000 / 4) for step in range(10_000)])
    count = classic_counts(histogram)[CLASSIC_BOUNDS_S.index(bound)]
    assert count == pytest.approx(5000, abs=10)
