"""Whatever is in a table: what can be packed arrives, and what cannot is lost by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.stats import (
    CutOff,
    CutOffKey,
    EndpointKey,
    EndpointStats,
    ErrorKey,
    ErrorStats,
    Histogram,
    Recorder,
    StatsTable,
    TaskException,
)
from obswarm.stats.codec import DeltaSum, pack_table
from tests.support.anything import ANYTHING


def sound() -> StatsTable:
    recorder = Recorder()
    for number in range(5):
        recorder.record("GET", f"/{number}", 0.1, 10, 200 if number else 500, None if number else "no")
    recorder.record_iteration("A")
    return recorder.take()


def broken_endpoint(**attributes: object) -> EndpointStats:
    stats = EndpointStats(EndpointKey("GET", "/broken"))
    for _ in range(3):
        stats.record(0.1, 10, "2xx", False)
    for name, value in attributes.items():
        setattr(stats, name, value)
    return stats


@pytest.mark.parametrize(
    ("attributes", "requests"),
    [
        ({"response_bytes": -5}, 3),
        ({"response_bytes": 1.5}, 3),
        ({"response_bytes": None}, 3),
        ({"max_s": "long"}, 3),
        ({"successes": {"2xx": -3}}, 3),
        ({"failures_by": {"\ud83d": 1}}, 3),
        ({"duration": Histogram({0: 4}, -1)}, 4),
        ({"duration": None}, 0),
        ({"timings": "some"}, 3),
    ],
)
def test_an_endpoint_that_cannot_be_packed_is_lost_and_no_other(
    attributes: dict[str, object], requests: int, caplog
) -> None:
    table = sound()
    table.endpoints[EndpointKey("GET", "/broken")] = broken_endpoint(**attributes)
    gathered = DeltaSum()
    gathered.add(pack_table(table, "w1"))
    found = gathered.take(1000)
    assert found.total().requests == 5
    assert found.total().failures == 1
    assert found.iterations == {"A": 1}
    (((worker, reason), lost),) = found.lost.items()
    assert (worker, lost) == ("w1", requests)
    assert reason.startswith("requests of GET /broken: it could not be sent (")
    assert "are left out and counted as lost" in caplog.text


def test_other_entries_that_cannot_be_packed_are_lost_too() -> None:
    table = sound()
    table.errors[ErrorKey("GET", "/\ud83d", "no")] = ErrorStats(1, 1.0, 2.0)
    table.exceptions["x"] = TaskException("\ud83d", "", 1)
    table.iterations["\ud83d"] = 1
    table.cut_off[CutOffKey("request", "GET", "\ud83d")] = CutOff(1, 1.0)
    table.overflow_names.append("\ud83d")
    gathered = DeltaSum()
    gathered.add(pack_table(table, "w\ud83d1"))
    found = gathered.take(1000)
    assert found.total().requests == 5
    assert {worker for worker, _ in found.lost} == {"w\\ud83d1"}
    assert len(found.lost) == 5
    assert set(found.lost.values()) == {0}


@given(ANYTHING, ANYTHING, ANYTHING, st.booleans())
def test_records_that_cannot_be_encoded_do_not_affect_the_others(name, value, key, unknown: bool) -> None:
    table = sound()
    try:
        table.endpoints[EndpointKey("GET", name)] = broken_endpoint(response_bytes=value)
        table.iterations[key] = value
    except BaseException:
        # It cannot even be looked up, whatever it raises.
        return
    table.errors[ErrorKey("GET", "/0", "no")].count = value if unknown else 1
    gathered = DeltaSum()
    gathered.add(pack_table(table, "w1"))
    found = gathered.take(1000)
    assert found.total().requests + sum(found.lost.values()) == 8
