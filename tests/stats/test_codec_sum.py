"""Statistics on the wire: what is packed comes out the same, many add up, and garbage counts for nothing."""

import random
from array import array

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.stats import PHASES, EndpointKey, Recorder, StatsTable, TimingStats
from obswarm.stats.codec import DeltaSum, Malformed, pack_delta, pack_table, pack_unchecked
from obswarm.stats.histogram import LAST_BUCKET

REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["GET", "POST", ""]),
        st.sampled_from(["/", "/a", "/b", "ä" * 50]),
        st.one_of(st.none(), st.floats(0, 5000)),
        st.integers(0, 10**9),
        st.sampled_from([0, None, 200, 204, 301, 404, 500, 999]),
        st.sampled_from([None, "went wrong", "other"]),
        st.one_of(st.none(), st.tuples(st.floats(0, 1), st.one_of(st.none(), st.floats(0, 1)), st.floats(0, 1), st.floats(0, 1))),
        st.one_of(st.none(), st.sampled_from(["0" * 31 + "1", "f" * 32])),
        st.one_of(st.none(), st.floats(0, 100)),
        st.integers(1, 12),
    ),
    max_size=30,
)  # fmt: skip


def recorded(requests, detailed: bool = False) -> StatsTable:
    recorder = Recorder(wall_clock=lambda: 1000.0, detailed_timings=detailed)
    in_load = len(requests) // 2
    for number, (method, name, seconds, size, status, error, timings, trace_id, delay_s, times) in enumerate(requests):
        if number == in_load:
            recorder.end_load()
        for _ in range(times):
            recorder.record(method, name, seconds, size, status, error, timings, trace_id, delay_s)
        recorder.record_iteration("User")
        if error == "other":
            recorder.record_exception("oh no", "Traceback")
            recorder.record_cut_off("request", method, name, seconds or 0.0)
            recorder.record_cut_off("on_stop", "", "User.on_stop", 0.25)
    return recorder.take()


def facts(table: StatsTable):
    endpoints = {
        key: (
            stats.duration, stats.untimed, stats.failures, stats.min_s, stats.max_s, stats.response_bytes, stats.successes, stats.failures_by,
            stats.late, stats.timings, stats.intended_duration, set(stats.exemplars()),
        )
        for key, stats in table.endpoints.items()
    }  # fmt: skip
    errors = {key: (seen.count, seen.first_seen_s, seen.last_seen_s) for key, seen in table.errors.items()}
    exceptions = {key: (found.count, found.traceback) for key, found in table.exceptions.items()}
    return endpoints, errors, exceptions, table.iterations, table.cut_off


@given(st.lists(REQUESTS, max_size=5), st.booleans())
def test_deltas_add_up_to_what_merging_the_tables_gives(many, detailed: bool) -> None:
    tables = [recorded(requests, detailed) for requests in many]
    merged, gathered = StatsTable(), DeltaSum()
    for table in tables:
        gathered.add(pack_table(table))
        merged.merge(table)
    assert facts(gathered.take(1000)) == facts(merged)
    assert gathered.take(1000).is_empty()


def test_requests_without_an_intended_start_take_no_bytes_for_it() -> None:
    requests = [("GET", "/", 0.1, 10, 200, None, None, None, None, 3)]
    assert b"intended" not in pack_table(recorded(requests))
    due = [(*request[:8], 0.5, 3) for request in requests]
    assert len(pack_table(recorded(due))) > len(pack_table(recorded(requests)))


def test_the_limit_of_endpoints_is_held_over_all_workers() -> None:
    gathered = DeltaSum()
    for worker in range(3):
        recorder = Recorder()
        for number in range(5):
            recorder.record("GET", f"/{worker}/{number}", 0.1, 1, 200 if number else 500, None if number else "no")
        gathered.add(pack_table(recorder.take()))
    table = gathered.take(6)
    assert len(table.endpoints) == 6
    assert sum(stats.requests for stats in table.endpoints.values()) == 15
    assert sum(stats.failures for stats in table.endpoints.values()) == 3
    assert table.overflow_names


def test_whatever_is_changed_or_cut_off_is_counted_altogether_or_not_at_all() -> None:
    draw = random.Random(1)
    requests = [("GET", f"/{i}", draw.random(), 10, draw.choice([200, 500]), None, None, None, draw.choice([None, 0.5]), draw.randrange(1, 9)) for i in range(9)]  # fmt: skip
    packed = pack_table(recorded(requests))
    refused = 0
    for _ in range(3000):
        broken = bytearray(packed)
        for _ in range(draw.randrange(1, 4)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        gathered = DeltaSum()
        try:
            gathered.add(bytes(broken[: draw.randrange(len(broken))] if draw.random() < 0.3 else broken))
        except Malformed:
            refused += 1
            assert gathered.take(1000).is_empty()
        else:
            gathered.take(1000)
    assert refused > 1000


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x90", b"\x9d" + b"\xc0" * 13, b"\xff" * 100])
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(Malformed):
        DeltaSum().add(garbage)


def large_table(draw: random.Random) -> StatsTable:
    """As a run of months has it, with numbers that no column has room for."""
    table = StatsTable()
    for name in ("/a", "/b"):
        stats = table.endpoint(EndpointKey("GET", name))
        stats.record(10.0, 5, "2xx", False)
        stats.record(None, 5, "4xx", True)
        stats.duration.sum_ns = draw.randrange(2**80)
        stats.response_bytes = draw.randrange(2**80)
        stats.timings = TimingStats()
        stats.timings.record((0.1, 0.1, 0.1, 0.1), detailed=True)
        stats.timings.sums_ns = [draw.randrange(2**70) for _ in PHASES]
        for histogram in stats.timings.histograms.values():
            histogram.sum_ns = draw.randrange(2**80)
    return table


def test_sums_of_any_size_add_up() -> None:
    draw = random.Random(1)
    merged, gathered = StatsTable(), DeltaSum()
    for _ in range(20):
        table = large_table(draw)
        gathered.add(pack_table(table))
        merged.merge(table)
    assert facts(gathered.take(1000)) == facts(merged)


def test_as_many_of_the_largest_values_as_fit_between_two_folds_add_up() -> None:
    largest = 2**55 - 1
    table = StatsTable()
    for name in ("/a", "/b"):
        stats = table.endpoint(EndpointKey("GET", name))
        stats.record(0.1, 0, "2xx", False)
        stats.duration.sum_ns = stats.response_bytes = largest
    delta, gathered = pack_table(table), DeltaSum()
    for _ in range(1_300):
        gathered.add(delta)
    summed = gathered.take(10).endpoints
    assert {(stats.requests, stats.duration.sum_ns, stats.response_bytes) for stats in summed.values()} == {
        (1_300, 1_300 * largest, 1_300 * largest)
    }


def test_a_bucket_that_no_histogram_has_counts_as_the_last() -> None:
    recorder = Recorder()
    for seconds in (0.1, 3600.0, 3600.0):
        recorder.record("GET", "/", seconds, 1, 200)
    parts = msgpack.unpackb(pack_table(recorder.take()), strict_map_key=False)
    light = array("I", parts[3])
    light[-1] = 1023
    gathered = DeltaSum()
    gathered.add(msgpack.packb([*parts[:3], light.tobytes(), *parts[4:]]))
    (stats,) = gathered.take(10).endpoints.values()
    assert stats.duration.count == 3
    assert stats.duration.buckets[LAST_BUCKET] == 2


def test_what_a_worker_has_lost_is_known_by_its_name() -> None:
    gathered = DeltaSum()
    for _ in range(2):
        table = StatsTable()
        table.count_lost("w1", "it does not fit", 3)
        gathered.add(pack_table(table))
    assert gathered.take(1000).lost == {("w1", "it does not fit"): 6}


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2J", "x" * 501])
def test_texts_that_no_recorder_lets_in_are_refused(text: str) -> None:
    table = StatsTable()
    table.endpoint(EndpointKey("GET", text)).record(0.1, 1, "2xx", False)
    with pytest.raises(Malformed):
        DeltaSum().add(pack_unchecked(table))


def test_a_delta_that_no_message_can_hold_is_named_as_lost() -> None:
    table = recorded([("GET", f"/{number}", 0.1, 1, 200, None, None, None, None, 3) for number in range(100)])
    gathered = DeltaSum()
    gathered.add(pack_delta(table, "w1", 1000))
    ((key, requests),) = gathered.take(1000).lost.items()
    assert (key[0], requests) == ("w1", 300)
    assert "more than the maximum of a message" in key[1]
