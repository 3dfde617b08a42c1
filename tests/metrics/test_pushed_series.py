"""Series in remote write: which are pushed, and one stale marker for each."""

import struct
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from obswarm.metrics import SnapshotRegistry, contract
from obswarm.metrics.pushed_series import PushedSeries
from obswarm.metrics.samples import MetricSample
from obswarm.metrics.schema import REMOTE_WRITE, Messages
from obswarm.record import GuardState, GuardView
from obswarm.stats import Histogram
from tests.metrics.test_created import Run

MESSAGES = Messages("obswarm.test_pushed_series", REMOTE_WRITE)
STALE = struct.pack("<Q", 0x7FF0000000000002)


def of_duration(name: str) -> MetricSample:
    histogram = Histogram()
    histogram.record(0.25)
    return MetricSample(("GET", name), 0.0, histogram)


def families(names):
    """A gauge and a histogram with a series for each name."""
    return [
        (contract.IN_FLIGHT, iter([MetricSample(("GET", name), 3.0) for name in names])),
        (contract.DURATION, map(of_duration, names)),
    ]


def read(pieces) -> dict[tuple[tuple[str, str], ...], tuple[bool, int]]:
    """By labels, whether it is a stale marker, and its time. No series twice, each with one value."""
    found = {}
    for piece in pieces:
        series = MESSAGES.TimeSeries.FromString(piece.encoded)
        labels = tuple((label.name, label.value) for label in series.labels)
        assert labels not in found
        assert labels == tuple(sorted(labels))
        ((value, time_ms),) = [
            *((sample.value, sample.timestamp) for sample in series.samples),
            *((histogram.sum, histogram.timestamp) for histogram in series.histograms),
        ]
        found[labels] = (struct.pack("<d", value) == STALE, time_ms)
    return found


@given(pushes=st.lists(st.sets(st.sampled_from("abcd"), max_size=4), min_size=1, max_size=6))
def test_a_series_is_ended_once_when_it_is_not_pushed_any_more(pushes) -> None:
    series = PushedSeries({"job": "obswarm", "team": "search"})
    open_series = set()
    for number, names in enumerate(pushes):
        found = read(series.encode(families(names), "here", float(number)))
        live = {labels for labels, (stale, _) in found.items() if not stale}
        assert len(live) == 24 * len(names), "requests in flight; durations as native histogram, 20 buckets, count, sum"
        assert {labels for labels, (stale, _) in found.items() if stale} == open_series - live
        assert {time_ms for _, time_ms in found.values()} <= {number * 1000}
        assert all({("instance", "here"), ("job", "obswarm"), ("team", "search")} <= set(labels) for labels in live)
        open_series = live
    ended = read(series.end(100.0))
    assert set(ended) == open_series
    assert set(ended.values()) <= {(True, 100_000)}
    assert read(series.end(101.0)) == {}


def test_runs_of_two_instances_share_no_series() -> None:
    first, second = (set(read(PushedSeries({}).encode(families("ab"), name, 1.0))) for name in ("x:1", "x:2"))
    assert first
    assert not first & second


def test_a_native_histogram_is_ended_as_one() -> None:
    series = PushedSeries({})
    list(series.encode(families("a"), "here", 1.0))
    ended = [MESSAGES.TimeSeries.FromString(piece.encoded) for piece in series.end(2.0)]
    (native,) = [each for each in ended if each.histograms]
    assert {label.value for label in native.labels} >= {"obswarm_request_duration_seconds", "a"}
    assert not native.samples


def values(pieces) -> dict[str, list[tuple[float, int]]]:
    """By name and `le`, the values and times of floats, or counts and times of histograms."""
    found = {}
    for piece in pieces:
        series = MESSAGES.TimeSeries.FromString(piece.encoded)
        assert piece.samples == len(series.samples) + len(series.histograms)
        labels = {label.name: label.value for label in series.labels}
        found[labels["__name__"] + labels.get("le", "")] = [
            *((sample.value, sample.timestamp) for sample in series.samples),
            *((histogram.count_int, histogram.timestamp) for histogram in series.histograms),
        ]
    return found


def test_counters_and_histograms_begin_with_a_zero_when_they_were_created() -> None:
    series = PushedSeries({})

    def made(created_s):
        return [
            (contract.REQUESTS, iter([MetricSample(("GET", "a", "success", "2xx"), 7.0, created_s=created_s)])),
            (contract.DURATION, iter([of_duration("a")._replace(created_s=created_s)])),
            (contract.IN_FLIGHT, iter([MetricSample(("GET", "a"), 3.0)])),
        ]

    first = values(series.encode(made(0.5), "here", 2.0))
    assert first["obswarm_requests_total"] == [(0, 500), (7, 2000)]
    assert first["obswarm_request_duration_seconds"] == [(0, 500), (1, 2000)]
    assert first["obswarm_request_duration_seconds_bucket+Inf"] == [(0, 500), (1, 2000)]
    assert first["obswarm_request_duration_seconds_count"] == [(0, 500), (1, 2000)]
    assert first["obswarm_requests_in_flight"] == [(3, 2000)]
    later = values(series.encode(made(0.5), "here", 3.0))
    assert {time_ms for found in later.values() for _, time_ms in found} == {3000}, "once is enough"
    values(series.end(4.0))
    assert values(series.encode(made(0.5), "here", 5.0))["obswarm_requests_total"] == [(7, 5000)], "as old as before"
    assert values(series.encode(made(6.0), "here", 7.0))["obswarm_requests_total"] == [(0, 6000), (7, 7000)]


GUARD = GuardView("g", "p95 > 2s", "mark", GuardState.OK, None, "", None, (("mark", 2),))


@given(
    seconds=st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(1, 9)), min_size=3, max_size=12),
    killed_after=st.integers(1, 12),
    unpushed=st.integers(0, 2),
)
def test_a_run_that_is_taken_up_goes_on_in_the_same_series(seconds, killed_after: int, unpushed: int) -> None:
    """The next process writes nothing that is older than what is there, and what is new begins with a zero. Of
    endpoints that its predecessor did not get to push it cannot know."""
    run, latest, series = Run(100.0), SnapshotRegistry(), PushedSeries({})
    received: dict[bytes, list[tuple[int, float]]] = {}
    now, counted, unknown = 100.0, set(), set()

    def push() -> None:
        for piece in series.encode(latest.families(now), "here", now):
            message = MESSAGES.TimeSeries.FromString(piece.encoded)
            samples = received.setdefault(MESSAGES.TimeSeries(labels=message.labels).SerializeToString(), [])
            samples += ((sample.timestamp, sample.value) for sample in message.samples)
            samples += ((histogram.timestamp, histogram.count_int) for histogram in message.histograms)
            assert all(earlier < later for (earlier, _), (later, _) in pairwise(samples)), message.labels

    for number, counts in enumerate(seconds):
        if number == killed_after:
            now += 2.5
            latest, series = SnapshotRegistry(), PushedSeries({})
            restored = replace(run.snapshot(now), guards=(GUARD,))
            latest.restored(restored, [])
            series.restore(restored.time_s)
        for name, count in counts.items():
            run.count(name, count)
        now += 1
        latest.snapshot(replace(run.snapshot(now), guards=(GUARD,)))
        if killed_after - unpushed <= number < killed_after:
            unknown |= set(counts) - counted
        else:
            push()
            counted |= set(counts)
    if killed_after < len(seconds):
        counted -= unknown
    found = {}
    for encoded, samples in received.items():
        labels = {label.name: label.value for label in MESSAGES.TimeSeries.FromString(encoded).labels}
        values = [value for _, value in samples]
        increase = sum(later - before if later >= before else later for before, later in pairwise(values))
        if labels["__name__"] == "obswarm_requests_total" and labels["name"] in counted:
            found[labels["name"]] = increase == values[-1]
        if labels["__name__"] == "obswarm_guard_trips_total":
            assert increase <= 2
    assert found == dict.fromkeys(counted, True)
